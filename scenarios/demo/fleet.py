"""The demo's gateways as real processes: start, feed, ask, kill, start again, stop."""

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import trio

from gossip.errors import LocalError, StateError
from node.status import document, service
from node.status.document import Status
from scenarios.demo.feeds import Feed, zeek_header

BUDGET = 0.03
"""Share of benign flows that may alarm. The default is 0.5 %, which needs 2,000 flows to calibrate
with; half an hour of recording has a few hundred a gateway, enough for 3 %."""

CYCLE_S = 2
START_S_MAX = 60.0
ASK_S_MAX = 2.0
STOP_S_MAX = 10.0


@dataclass(slots=True)
class Member:
    """One gateway: its process, its folder, and what it last said.

    Args:
        feed: what its sensor logs.
        folder: for its state, log and sensor's log.
        process: None before it was started.
        status: None before it first answered.
        down: it was killed and has not come back.
    """

    feed: Feed
    folder: Path
    process: trio.Process | None = None
    status: Status | None = None
    down: bool = False

    @property
    def name(self) -> str:
        """The gateway's."""
        return self.feed.plan.name

    @property
    def log(self) -> Path:
        """What its sensor writes and it reads."""
        return self.folder / ("conn.log" if self.feed.plan.sensor == "zeek" else "eve.json")

    @property
    def state_dir(self) -> Path:
        """Where it keeps what it learnt."""
        return self.folder / "state"

    def prepare(self) -> None:
        """Make its folder, and its sensor's log with no flow in it yet."""
        self.folder.mkdir(parents=True)
        self.log.write_bytes(zeek_header() if self.feed.plan.sensor == "zeek" else b"")

    def append(self, lines: list[bytes]) -> None:
        """Have its sensor log something."""
        if lines:
            with self.log.open("ab") as log:
                log.write(b"".join(lines))

    async def start(self, bootstrap: str | None) -> None:
        """Start its node. It joins by `bootstrap`, or is the first."""
        command = [sys.executable, "-m", "node", "up"]
        command += ["--name", self.name, "--state-dir", str(self.state_dir)]
        command += ["--listen", "/ip4/127.0.0.1/tcp/0"]
        command += ["--sensor", f"{self.feed.plan.sensor}:{self.log}"]
        command += ["--budget", f"{BUDGET * 100:g}%", "--cycle", f"{CYCLE_S}s"]
        command += ["--share-antigens", "--log-level", "info"]
        if not self.feed.plan.labels:
            command.append("--no-labels")
        if bootstrap is not None:
            command += ["--bootstrap", bootstrap]
        output = (self.folder / "node.log").open("ab")
        with output:
            self.process = await trio.lowlevel.open_process(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.down, self.status = False, None

    async def ask(self) -> Status | None:
        """Its status now, or None if it does not answer."""
        try:
            found = await trio.to_thread.run_sync(
                service.fetch, self.state_dir / "status.sock", ASK_S_MAX
            )
            status = document.parse(found)
        except StateError:
            return None
        if self.down:  # killed while it answered
            return None
        self.status = status
        return status

    async def answers(self) -> Status:
        """Wait until it answers.

        Raises:
            LocalError: it ended, or took too long; with the end of its log.
        """
        with trio.move_on_after(START_S_MAX):
            while self.process is not None and self.process.poll() is None:
                if (found := await self.ask()) is not None:
                    return found
                await trio.sleep(0.1)
        raise LocalError(f"{self.name} did not start. The end of its log:\n{self.tail()}")

    def tail(self, lines: int = 8) -> str:
        """The end of its node's own log."""
        path = self.folder / "node.log"
        text = path.read_text(errors="replace") if path.exists() else "(no log)"
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])

    async def kill(self) -> None:
        """End it without warning, as a power cut does."""
        if self.process is not None:
            self.down = True
            self.status = None
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> None:
        """Ask it to leave politely; insist if it does not."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        with trio.move_on_after(STOP_S_MAX):
            await self.process.wait()
            return
        self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def fleet(feeds: list[Feed], folder: Path) -> AsyncIterator[list[Member]]:
    """Members, prepared and not yet started; none outlives the block."""
    members = [Member(feed, folder / feed.plan.name) for feed in feeds]
    for member in members:
        member.prepare()
    try:
        yield members
    finally:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for member in members:
                    nursery.start_soon(member.stop)
