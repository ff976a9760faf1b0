"""What every source of flows is to the node, and what they share."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from statistics import median_low
from typing import Any, Protocol

import trio

from gossip.errors import SensorError
from gossip.flows import Flow
from node.config.sensing import SensorSettings
from node.logs import get_logger
from node.sensors.lines import ReadStats
from node.threads import off_the_loop

BATCH_FLOWS = 256  # read between two looks at the network, of what is read whole; our choice
CLOCK_FLOWS = 31  # our choice: an odd number, so that a few wrong times do not reach the middle

Take = Callable[[list[Flow]], None]
"""Called with flows, in order. Never waits."""

Pace = Callable[[], Awaitable[None]]
"""Awaited before more is read; a source that can wait leaves what comes meanwhile where it is."""

_log = get_logger("sensor")


class Source(Protocol):
    """One sensor, as the node sees it: a log, a pipe, a socket or an interface.

    Attributes:
        settings: which sensor, and how to read it.
        finished: whether it has ended for good, as a log that is read whole does at its end.
        last_ts: start of the flow handed over last, s since 1970; None before the first.
        live: whether what it hands over is of now, so that it may be a flood, see
            `node.intake.pump`.
        patient: whether what it does not read now is still there later, as in a log.
    """

    settings: SensorSettings
    finished: bool
    last_ts: float | None
    live: bool
    patient: bool

    @property
    def stats(self) -> ReadStats:
        """What became of what came in."""

    @property
    def clock_s(self) -> float | None:
        """The time by this sensor's own flows, s since 1970; None before the first."""

    def saved(self) -> dict[str, Any]:
        """Where to go on from, as JSON can hold it; true of all flows handed over so far."""

    async def run(self, take: Take, pace: Pace = trio.lowlevel.checkpoint) -> None:
        """Hand over flows, in order, a few at a time; returns when the sensor has ended.

        Args:
            take: called with them.
            pace: awaited before more is read.

        Raises:
            SensorError: it is of no use, and never will be.
        """


class Handing(ABC):
    """A `Source` but for where flows come from: hands over, keeps time, warns of what is bad.

    Args:
        settings: which sensor, and how to read it.

    Attributes:
        finished: see `Source`; last_ts, live and patient likewise.
    """

    live = False
    patient = True

    def __init__(self, settings: SensorSettings) -> None:
        self.settings = settings
        self.finished = False
        self.last_ts: float | None = None
        self._lately: deque[float] = deque(maxlen=CLOCK_FLOWS)
        self._taken = 0
        self._warned_bad = 0

    @property
    @abstractmethod
    def stats(self) -> ReadStats:
        """See `Source`."""

    @property
    def clock_s(self) -> float | None:
        """See `Source`.

        The middle of the last few starts: one flow with a wrong time does not move it, and after
        the sensor's clock was set back it follows.
        """
        return median_low(self._lately) if self._lately else None

    def _hand_over(self, flows: list[Flow], take: Take) -> None:
        if not self.settings.labels:
            flows = [replace(flow, family=None) for flow in flows]
        if flows:
            self._taken += len(flows)
            self.last_ts = flows[-1].ts
            self._lately.extend(flow.ts for flow in flows)
            take(flows)
        self._warn_of_bad_lines()

    def _warn_of_bad_lines(self) -> None:
        """At the first bad one, and then each time their number has doubled."""
        stats = self.stats
        bad = stats.bad + stats.refused
        if bad < max(1, 2 * self._warned_bad):
            return
        self._warned_bad = bad
        if stats.received:  # datagrams and packets have no number that anybody could look up
            first = "; ".join(sample.reason for sample in stats.samples)
            self._warn("some of what came was skipped", skipped=bad, of=stats.received, first=first)
            return
        first = "; ".join(f"line {s.number}: {s.reason}" for s in stats.samples)
        self._warn("lines were skipped", bad_lines=bad, of=stats.lines, first=first)

    def _info(self, event: str, **more: Any) -> None:
        _log.info(event, sensor=self.settings.place, **more)

    def _warn(self, event: str, **more: Any) -> None:
        _log.warning(event, sensor=self.settings.place, **more)

    def _error(self, event: str, **more: Any) -> None:
        _log.error(event, **more)

    async def _read_through(self, flows: Iterator[Flow], skip: int, take: Take, pace: Pace) -> int:
        """Hand over all of what is read whole but the first `skip`; how many there were.

        It is read off the loop, for a packed file may hold much that is no flow. What was read but
        not handed over when the node stops is read again in the next life.

        Raises:
            SensorError: as `flows` does; what came before was handed over.
        """
        seen = 0
        batch: list[Flow] = []
        trouble: SensorError | None = None
        while trouble is None:
            trouble = await off_the_loop(partial(_fill, batch, flows))
            if not batch:
                break
            fresh = batch[max(0, skip - seen) :]  # the others came in an earlier life
            seen += len(batch)
            self._hand_over(fresh, take)
            batch.clear()
            await pace()
        self._hand_over([], take)
        if trouble is not None:
            raise trouble
        self.finished = True
        return seen


def _fill(batch: list[Flow], flows: Iterator[Flow]) -> SensorError | None:
    """Read a batch; what came before an error is in it, and the error is returned."""
    try:
        batch.extend(islice(flows, BATCH_FLOWS))
    except SensorError as error:
        return error
    return None
