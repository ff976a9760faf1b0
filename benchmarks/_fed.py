"""Real nodes for benchmarks: started, fed with recorded flows as if they happened now, watched."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import psutil  # type: ignore[import-untyped]  # only where memory is measured
from _recorded import lines

from gossip.errors import StateError
from node.status import service
from scenarios.recordings import RECORDINGS

PATIENCE_S = 60.0
MB = 1e6
LOOPBACK = "/ip4/127.0.0.1/tcp/0"


class Node:
    """`hedgerow up`, or another command that runs on, in a process of its own.

    Args:
        folder: for its state and its log.
        options: of the command.
        command: the command itself.
    """

    def __init__(self, folder: Path, *options: str, command: str = "up") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.launched = monotonic()
        self._log = folder / "log"
        given = ["--state-dir", str(folder / "state"), "--listen", LOOPBACK, *options]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "node", command, *given],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._measured = psutil.Process(self._process.pid)

    def says(self, words: str) -> tuple[str, float]:
        """Wait for a line with these words; the line, and seconds from launch until it was seen."""
        deadline = monotonic() + PATIENCE_S
        while monotonic() < deadline and self._process.poll() is None:
            for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
                if words in line:
                    return line, monotonic() - self.launched
            time.sleep(0.02)
        raise ChildProcessError(f"no {words!r} within {PATIENCE_S:.0f} s; see {self._log}")

    @property
    def address(self) -> str:
        """By which others join it."""
        return self.says("/p2p/")[0].split()[-1]

    def status(self) -> dict[str, Any]:
        """Its status document; empty while it does not answer."""
        try:
            return service.fetch(self.folder / "state" / "status.sock")
        except StateError:
            return {}

    def rss_mb(self) -> float:
        """Resident memory, with what it shares with other processes."""
        return float(self._measured.memory_info().rss) / MB

    def uss_mb(self) -> float:
        """Memory that would be free without it."""
        return float(self._measured.memory_full_info().uss) / MB

    def cpu_s(self) -> float:
        """Processor time since its start, its helpers' included once they have ended."""
        times = self._measured.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    def peak_mb(self) -> float:
        """The most resident memory that it ever had, as the kernel counts it."""
        text = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        held = next(line for line in text.splitlines() if line.startswith("VmHWM:"))
        return float(held.split()[1]) * 1024 / MB

    def end(self) -> None:
        """Let it end politely."""
        self._process.terminate()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Feed:
    """Appends recorded flows to a log as if Suricata wrote them now.

    First the benign recordings, so often that a gateway calibrates; then attacks among them.

    Args:
        path: of the log.
        rate: flows a second, as they were recorded but for their times and numbers.
    """

    BENIGN = 6_000

    def __init__(self, path: Path, rate: float) -> None:
        self.flows = 0
        self._rate = rate
        self._begun = monotonic()
        self._events = self._endless()
        self._stream = path.open("ab", buffering=0)

    def feed(self) -> None:
        """Write what is due by now."""
        due = int((monotonic() - self._begun) * self._rate)
        written = []
        while self.flows < due:
            event = next(self._events)
            self.flows += event["event_type"] == "flow"
            written.append(json.dumps(_now(event)).encode() + b"\n")
        self._stream.write(b"".join(written))

    def close(self) -> None:
        """No more will come."""
        self._stream.close()

    def _endless(self) -> Iterator[dict[str, Any]]:
        benign = tuple(name for name in RECORDINGS if "-benign" in name)
        mixed = tuple(name for name in RECORDINGS if "-benign" not in name)
        number = 0
        while True:
            texts = lines(self.BENIGN, benign) + (lines(self.BENIGN, mixed) if number else [])
            highest = 0
            for text in texts:
                event = msgspec.json.decode(text)
                highest = max(highest, event["flow_id"])
                event["flow_id"] += number
                yield event
            number += highest + 1


def _now(event: dict[str, Any]) -> dict[str, Any]:
    """The event as of now, its flow as long as it was."""
    now = datetime.now(UTC)
    if flow := event.get("flow"):
        lasted = datetime.fromisoformat(flow["end"]) - datetime.fromisoformat(flow["start"])
        flow |= {"start": _text(now - max(lasted, timedelta())), "end": _text(now)}
    return event | {"timestamp": _text(now)}


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


def alone(program: str, given: bytes = b"") -> float:
    """Peak resident memory, MB, of a Python that runs this, reads what is given, and ends."""
    # Not getrusage: that would count what we had when it was forked.
    told = "print(*open('/proc/self/status').read().partition('VmHWM:')[2].split()[:1])"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", f"{program}\n{told}"],
        check=True,
        capture_output=True,
        input=given,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    return float(done.stdout.split()[-1]) * 1024 / MB
