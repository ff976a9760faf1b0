"""Real node processes: started, listened to, killed."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from gossip.errors import StateError
from node.status import document, service

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0  # when a wait is given up for good; nothing that works comes near it
LOOK_S = 0.01  # between two looks at a status
LOOPBACK = "/ip4/127.0.0.1/tcp/0"


class Process:
    """A `hedgerow` command. Its output, both streams in one, is read as it is waited for."""

    def __init__(self, factory: "Factory", pid: int, output: int) -> None:
        self.pid = pid
        self.output = ""
        self._factory = factory
        self._pipe = output
        self._seen = 0
        self._code: int | None = None

    def says(self, pattern: str) -> re.Match[str]:
        """Wait until its output, after what earlier calls found, has this in it."""
        deadline = monotonic() + PATIENCE_S
        while True:
            found = re.compile(pattern).search(self.output, self._seen)
            if found:
                self._seen = found.end()
                return found
            if not self._read(deadline):
                raise AssertionError(f"it ended or fell silent without {pattern!r}: {self.output}")

    def status(self, state_dir: Path, holds: Callable[[document.Status], Any]) -> document.Status:
        """Wait until its status is so."""
        deadline, found = monotonic() + PATIENCE_S, None
        while monotonic() < deadline:
            with suppress(StateError):  # not up yet
                found = document.parse(service.fetch(state_dir / "status.sock"))
                if holds(found):
                    return found
            self._read(monotonic() + LOOK_S)
        raise AssertionError(f"it never became so: {found}\n{self.output}")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self) -> int:
        """Wait until it has ended; its exit code, or minus the signal."""
        if self._code is None:
            deadline = monotonic() + PATIENCE_S
            while self._read(deadline):
                pass
            if monotonic() >= deadline:
                self.signal(signal.SIGKILL)
            self._code = self._factory.ask({"wait": self.pid})
            os.close(self._pipe)
            assert monotonic() < deadline, f"it did not end: {self.output}"
        return self._code

    def kill(self) -> int:
        if self._code is None:
            self.signal(signal.SIGKILL)
        return self.end()

    def _read(self, deadline: float) -> bool:
        """More output; False at its end, or when there was none before the deadline."""
        ready, _, _ = select.select([self._pipe], [], [], max(0.0, deadline - monotonic()))
        chunk = os.read(self._pipe, 65_536) if ready else b""
        self.output += chunk.decode(errors="replace")
        return bool(chunk)


class Factory:
    """Makes processes by forking one that has imported everything."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.node.zygote", str(theirs.fileno())]
        self._server = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()
        self._control = ours

    def start(self, *arguments: str | Path, **more: int) -> Process:
        """`hedgerow ARGUMENTS`; for `more`, see `zygote`."""
        reading, writing = os.pipe()
        message = json.dumps({"run": [str(each) for each in arguments]} | more).encode()
        socket.send_fds(self._control, [message], [writing])
        os.close(writing)
        return Process(self, json.loads(self._control.recv(64)), reading)

    def ask(self, request: dict[str, Any]) -> int:
        self._control.sendall(json.dumps(request).encode())
        return int(json.loads(self._control.recv(64)))

    def close(self) -> None:
        self._control.close()
        self._server.wait(PATIENCE_S)

    @contextmanager
    def node(
        self, state_dir: Path, *arguments: str | Path, join: str = "", **more: int
    ) -> Iterator[Process]:
        """A node on loopback with a cycle of 50 ms; killed at the end if it still runs."""
        command = ["join", join] if join else ["up"]
        listen = [] if "--listen" in arguments else ["--listen", LOOPBACK]
        if "--cycle" not in arguments:
            listen += ["--cycle", "50 ms"]
        made = self.start(*command, "--state-dir", state_dir, *listen, *arguments, **more)
        try:
            yield made
        finally:
            made.kill()


def address_of(process: Process) -> str:
    """Where others can join it, once it says so."""
    return process.says(r"hedgerow join (/ip4/\S+/p2p/\w+)\s")[1]
