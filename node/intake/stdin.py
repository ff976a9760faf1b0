"""Lines of standard input, brought to the detector.

A pipe cannot be asked again for what was read, and nothing is lost of it either: while the node is
busy it is left alone, and whoever writes waits.
"""

import base64
import os
from functools import partial
from stat import S_ISFIFO, S_ISSOCK
from typing import Any

import trio

from gossip.errors import StateError
from gossip.flows import Flow
from node.config.sensing import SensorSettings
from node.intake.source import Handing, Pace, Take
from node.sensors.lines import LineSplitter, ReadStats
from node.sensors.reading import EXPECTED, Kind, parser_for
from node.threads import off_the_loop

CHUNK_BYTES = 1 << 16
"""What a pipe of Linux holds; some 150 lines, 5 ms of work."""


class StandardInput(Handing):
    """Standard input to its end, after which the node goes on without it; see `Source`.

    Args:
        settings: whose lines they are.
        saved: what `saved()` gave in an earlier life; None to begin anew.
        descriptor: where to read, for tests.

    Raises:
        StateError: what was saved is damaged.
    """

    def __init__(
        self, settings: SensorSettings, saved: dict[str, Any] | None = None, descriptor: int = 0
    ) -> None:
        super().__init__(settings)
        self._descriptor = descriptor
        self._parser = parser_for(Kind(settings.kind))
        self._splitter = LineSplitter()
        if saved is not None:
            self._restore(saved)

    def _restore(self, saved: dict[str, Any]) -> None:
        """Take up what earlier lines said: a header, labels without their flow, servers."""
        try:
            if saved["kind"] != self.settings.kind:
                return
            self._taken = int(saved["taken"])
            self._parser.restore(base64.b64decode(saved["parser"], validate=True))
        except (KeyError, ValueError, TypeError) as error:
            raise StateError(
                f"the saved state of standard input is damaged ({error!r}); move the state folder "
                "away to begin anew"
            ) from None

    @property
    def stats(self) -> ReadStats:
        """See `Source`."""
        return self._parser.stats

    def saved(self) -> dict[str, Any]:
        """See `Source`. A line that has not ended is not part of it."""
        parser = base64.b64encode(self._parser.snapshot()).decode()
        return {"kind": self.settings.kind, "taken": self._taken, "parser": parser}

    async def run(self, take: Take, pace: Pace = trio.lowlevel.checkpoint) -> None:
        """Hand over flows until standard input ends; see `Source`."""
        while chunk := await self._read_or_end():
            self.live = len(chunk) < CHUNK_BYTES  # all was read that had been written
            lines = self._splitter.feed(chunk)
            self._hand_over(self._parsed(lines), take)
            await pace()
        tail = self._splitter.finish()
        self._hand_over(self._parsed([tail] if tail else []), take)
        self.finished = True
        stats = self.stats
        self._info("standard input has ended", flows=stats.flows, bad_lines=stats.bad)
        if not stats.flows:
            self._warn("it held no flow", expected=EXPECTED[Kind(self.settings.kind)])

    def _parsed(self, lines: list[bytes | None]) -> list[Flow]:
        flows = []
        for line in lines:
            if line is None:
                self.stats.refuse_overlong()
            elif (flow := self._parser.parse(line)) is not None:
                flows.append(flow)
        return flows

    async def _read_or_end(self) -> bytes:
        try:
            return await self._read()
        except OSError as error:  # a terminal that is gone, or nothing was ever there
            self._warn("standard input cannot be read", reason=error.strerror)
            return b""

    async def _read(self) -> bytes:
        """What is there, waiting if there is nothing; empty at the end.

        A pipe's own mode is left as it is, since others have it open, too: it is read only when it
        can be. What cannot be waited for, such as a file, is read off the loop.
        """
        descriptor = self._descriptor
        mode = os.fstat(descriptor).st_mode
        if S_ISFIFO(mode) or S_ISSOCK(mode):
            await trio.lowlevel.wait_readable(descriptor)
            return os.read(descriptor, CHUNK_BYTES)
        return await off_the_loop(partial(os.read, descriptor, CHUNK_BYTES))
