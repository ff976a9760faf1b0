"""Brings a sensor's log to the detector, live or whole, and knows how far it got."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import trio

from gossip.errors import SensorError, StateError
from gossip.flows import Flow
from node.logs import get_logger
from node.sensors.follow import Follower
from node.sensors.lines import ReadStats
from node.sensors.reading import Kind, parser_for, read
from node.sensors.rotation import Position
from node.settings import SensorSettings

POLL_S = 0.25  # alerts are minutes behind a flow's end anyway (sensors log when they time it out)
POLL_BYTES = 1 << 17  # about 300 lines, 10 ms of work between two looks at the network
BATCH_FLOWS = 256
RETRY_S = 5.0

_KINDS = {"auto": Kind.AUTO, "suricata": Kind.EVE, "zeek": Kind.ZEEK}
_log = get_logger("sensor")


class Intake:
    """One sensor.

    Args:
        settings: which log, and how to read it.
        saved: what `saved()` gave in an earlier life; None to begin anew.

    Raises:
        StateError: what was saved is damaged.
        SensorError: the log can never be followed.
    """

    def __init__(self, settings: SensorSettings, saved: dict[str, Any] | None = None) -> None:
        self.settings = settings
        self.finished = False
        self.last_ts: float | None = None
        self._taken = 0
        self._skip = 0
        self._warned_bad = 0
        self._parser = parser_for(_KINDS[settings.kind])
        position = None
        if saved is not None:
            try:
                self._skip = int(saved["taken"])
                if settings.follow:
                    position = Position.load(base64.b64decode(saved["position"]))
                    self._parser.restore(base64.b64decode(saved["parser"]))
            except (KeyError, ValueError, TypeError) as error:
                raise StateError(
                    f"the saved position in {settings.path} is damaged ({error!r}); move the "
                    "state folder away to begin anew"
                ) from None
        self._follower = Follower(settings.path, position) if settings.follow else None

    @property
    def stats(self) -> ReadStats:
        """What became of the lines."""
        return self._parser.stats

    def saved(self) -> dict[str, Any]:
        """Where to go on from, as JSON can hold it; true of all flows handed over so far."""
        state: dict[str, Any] = {"taken": self._taken}
        if self._follower is not None:
            state["position"] = base64.b64encode(self._follower.position.dump()).decode()
            state["parser"] = base64.b64encode(self._parser.snapshot()).decode()
        return state

    async def run(self, take: Callable[[list[Flow]], None]) -> None:
        """Hand over flows, in order, a few at a time; returns at the end of a log read whole.

        Raises:
            SensorError: a log that is read whole is unreadable or holds no flow.
        """
        if self._follower is None:
            await self._read_whole(take)
        else:
            await self._follow(self._follower, take)

    async def _follow(self, follower: Follower, take: Callable[[list[Flow]], None]) -> None:
        path = self.settings.path
        if not path.exists():
            _log.warning("the log is not there yet; waiting for it", path=str(path))
        while True:
            try:
                lines = follower.poll(POLL_BYTES)
            except SensorError as error:
                _log.error(str(error), retry_s=RETRY_S)
                await trio.sleep(RETRY_S)
                continue
            flows = [flow for line in lines if (flow := self._parser.parse(line)) is not None]
            self._hand_over(flows, take)
            await trio.sleep(0 if lines else POLL_S)

    async def _read_whole(self, take: Callable[[list[Flow]], None]) -> None:
        batch: list[Flow] = []
        for number, flow in enumerate(read(self.settings.path, parser=self._parser)):
            if number < self._skip:  # handed over in an earlier life
                self._taken = number + 1
                continue
            batch.append(flow)
            if len(batch) == BATCH_FLOWS:
                self._hand_over(batch, take)
                batch = []
                await trio.lowlevel.checkpoint()
        self._hand_over(batch, take)
        self.finished = True
        stats = self.stats
        _log.info(
            "the log is read to its end",
            path=str(self.settings.path),
            flows=stats.flows,
            bad_lines=stats.bad,
        )

    def _hand_over(self, flows: list[Flow], take: Callable[[list[Flow]], None]) -> None:
        if not self.settings.labels:
            flows = [replace(flow, family=None) for flow in flows]
        if flows:
            take(flows)
            self._taken += len(flows)
            self.last_ts = flows[-1].ts
        self._warn_of_bad_lines()

    def _warn_of_bad_lines(self) -> None:
        """At the first bad line, and then each time their number has doubled."""
        stats = self.stats
        if stats.bad < max(1, 2 * self._warned_bad):
            return
        self._warned_bad = stats.bad
        samples = "; ".join(f"line {s.number}: {s.reason}" for s in stats.samples)
        _log.warning(
            "lines were skipped",
            path=str(self.settings.path),
            bad_lines=stats.bad,
            of=stats.lines,
            first=samples,
        )
