"""Moves flows from the sensors to the detector, at its pace, and never for long at a time.

    Source.run ── put ── FlowQueue ── swap ── batch ── judge
                   │                            └─ a look at the network after each
                   └── Pressure

A source that can leave what it has not read where it is, as a log can, waits while something of it
waits. One that cannot (a socket, packets) never does: what is too much is sampled and counted. So
it is with a log that its sensor floods just now, by the flows' own time; else alerts would be hours
behind. A log that is read whole, or was not read for hours, is read to the last flow.

Time is the flows' own. Each sensor's clock is the middle of the last few starts that were judged,
so that a record with a wrong time does not move it; the sensor furthest behind decides what is
over. One that keeps up and is silent holds up nobody: after a while its clock goes on by itself.
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from statistics import median_low
from typing import Any

import trio

from gossip.flows import Flow
from node.intake.queue import FlowQueue, Held, Lane
from node.intake.source import Pace, Source
from node.status.document import FloodStatus
from node.watch.pressure import Pressure

BATCH_FLOWS = 256
BATCH_FLOWS_FLOODED = 64
"""Flows judged between two looks at the network: 10 and 3 ms of work (measured: 26 to 46 us each).
In a flood fewer, so that reading, which costs less, keeps up and what is judged is of now."""

TURNS_FLOODED = 8
"""Turns that all others get between two batches of a flood, if a sensor cannot wait: a collector
takes one datagram a turn, of up to 30 flows; what it leaves the kernel lets fall. Our choice."""

CLOCK_FLOWS = 31  # an odd number, so that a few wrong times do not reach the middle
SHARP_S = 60.0  # half of these lie within so much where a clock is to be relied on
TICK_S = 1.0
IDLE_S = 60.0
"""A silent sensor's clock goes on after so long: sensors write a flow when they time it out,
Suricata a new one after 60 s. As watermarks must in any stream with idle inputs (Akidau et al.,
"The Dataflow Model", VLDB 2015)."""

LEFT_S = 0.5  # what waits when a node stops is judged for so long; it has 2 s in all
"""Our choices."""

Judge = Callable[[list[Flow], float | None, float | None], None]
"""Called with flows of one sensor in order, with what time it is by the clocks of all sensors, and
by that sensor's own, s since 1970; None where that is not known, or not for sure."""

Saved = dict[str, Any]


class _Clock:
    """One sensor's time."""

    def __init__(self) -> None:
        self._lately: deque[float] = deque(maxlen=CLOCK_FLOWS)
        self._moved_s = 0.0

    def add(self, starts: Iterable[float], now_s: float) -> None:
        if now_s - self._moved_s > IDLE_S:
            self._lately.clear()
        self._lately.extend(starts)
        self._moved_s = now_s

    def now_ts_s(self, now_s: float, *, live: bool) -> float | None:
        """What time it is, s since 1970; None before the first flow."""
        if not self._lately:
            return None
        silent_s = now_s - self._moved_s
        return median_low(self._lately) + (silent_s if live and silent_s > IDLE_S else 0.0)

    def sharp_ts_s(self) -> float | None:
        """What time it is, where flows come so densely that one of another time stands out."""
        if len(self._lately) < CLOCK_FLOWS:
            return None
        ordered = sorted(self._lately)
        quarter = CLOCK_FLOWS // 4
        sharp = ordered[-1 - quarter] - ordered[quarter] <= SHARP_S
        return ordered[CLOCK_FLOWS // 2] if sharp else None


class Pump:
    """See above.

    Args:
        sources: those of now; one list, whose content may change.
        queue: between them and `judge`.
        pressure: told of what cannot wait.
        judge: called on the loop.
        pace: awaited before flows are judged.
        learning: whether the detector is not ready to judge yet; then logs wait, too.
    """

    def __init__(
        self,
        sources: list[Source],
        queue: FlowQueue,
        pressure: Pressure,
        judge: Judge,
        pace: Pace,
        learning: Callable[[], bool],
    ) -> None:
        self.queue = queue
        self.pressure = pressure
        self._sources = sources
        self._judge = judge
        self._pace = pace
        self._learning = learning
        self._current: deque[Held] = deque()
        self._clocks: dict[str, _Clock] = {}
        self._news = trio.Event()
        self._room = trio.Event()
        self._asked: Callable[[Saved], None] | None = None
        self._cut: tuple[Callable[[Saved], None], Saved] | None = None

    @property
    def waiting(self) -> int:
        """Flows that were handed over and are not judged yet."""
        return self.queue.waiting + len(self._current)

    def lane(self, source: Source) -> Lane:
        """What became of a source's flows."""
        return self.queue.lane(source.settings.place)

    def status(self) -> FloodStatus:
        """For the status document."""
        pressure, floods = self.pressure, self.pressure.floods
        now = pressure.look()
        return FloodStatus(
            now=now,
            since_s=None if pressure.since_s is None else trio.current_time() - pressure.since_s,
            floods=floods.begun,
            flows=floods.came,
            shed=sum(lane.shed for lane in self.queue.lanes.values()),
            waiting=self.waiting,
            pauses=floods.pauses,
        )

    async def attend(self, source: Source) -> None:
        """Run one source to its end.

        Raises:
            SensorError: as `Source.run`.
        """
        await source.run(partial(self._take, source), partial(self._wait_for_room, source))

    async def run(self) -> None:
        """Have flows judged until cancelled."""
        while True:
            if not self._current:
                self._settle()
            if not self._current:
                await self._wait_for_news()
                continue
            await self._pace()
            self._judge_some()
            for _ in range(TURNS_FLOODED if self._hurries() else 1):
                await trio.lowlevel.checkpoint()

    def settle(self, then: Callable[[Saved], None]) -> None:
        """Call `then` once, with positions of all sensors that are true of what was judged by then.

        That is at once where nothing waits. Of several that must wait, only the last is called.
        """
        if self.waiting:
            self._asked = then
        else:
            then(self.positions())

    def finish(self) -> None:
        """Judge what waits, now that no source runs any more, and shed what takes too long."""
        deadline_s = trio.current_time() + LEFT_S
        while self._current or self.queue.waiting:
            if not self._current:
                self._current.extend(self.queue.swap())
            if trio.current_time() < deadline_s:
                self._judge_some()
                continue
            for _, name, _ in self._current:
                self.queue.lane(name).shed += 1
            self._current.clear()

    def now_ts_s(self) -> float | None:
        """The time of the sensor furthest behind, so that none ends another one's incidents.

        Seconds since 1970; None where no sensor tells.
        """
        now_s, earliest = trio.current_time(), inf
        for source in self._sources:
            place = source.settings.place
            if source.finished and not self.lane(source).unjudged:
                continue
            clock = self._clocks.get(place)
            ts_s = None if clock is None else clock.now_ts_s(now_s, live=source.live)
            earliest = min(earliest, inf if ts_s is None else ts_s)
        return None if earliest == inf else earliest

    def positions(self) -> Saved:
        """Of all sensors; true of what was handed over."""
        return {source.settings.place: source.saved() for source in self._sources}

    def _take(self, source: Source, flows: list[Flow]) -> None:
        place = source.settings.place
        shed = self.queue.put(place, flows, waits=not self._cannot_wait(source))
        if shed or source.live:
            clock_s = source.clock_s if source.patient else None
            at_s = trio.current_time() if clock_s is None else clock_s
            self.pressure.came(place, len(flows), shed, at_s)
        self._news.set()

    def _cannot_wait(self, source: Source) -> bool:
        if not source.patient:
            return True
        pressed = source.live and self.pressure.presses(source.settings.place)
        return pressed and not self._learning()

    def _hurries(self) -> bool:
        """Whether what a sensor that cannot wait sends now would be lost unless it is fetched."""
        return any(
            not source.patient and self.pressure.presses(source.settings.place)
            for source in self._sources
        )

    async def _wait_for_room(self, source: Source) -> None:
        """What a source awaits before it reads more."""
        lane = self.lane(source)
        while lane.held and not self._cannot_wait(source):
            await self._room.wait()
        await trio.lowlevel.checkpoint()

    async def _wait_for_news(self) -> None:
        with trio.move_on_after(TICK_S) as late:
            await self._news.wait()
        self.pressure.look()
        if late.cancelled_caught:  # time goes on without flows
            self._judge([], self.now_ts_s(), None)

    def _settle(self) -> None:
        """Between two swaps all that was handed over before the first of them is judged."""
        if self._cut is not None:
            then, positions = self._cut
            self._cut = None
            then(positions)
        if self.queue.waiting:
            if self._asked is not None:
                self._cut, self._asked = (self._asked, self.positions()), None
            self._current.extend(self.queue.swap())
        elif self._asked is not None:
            then, self._asked = self._asked, None
            then(self.positions())
        self._news = trio.Event()
        self._room.set()
        self._room = trio.Event()

    def _judge_some(self) -> None:
        count = BATCH_FLOWS_FLOODED if self.pressure.look() else BATCH_FLOWS
        name = self._current[0][1]
        flows: list[Flow] = []
        while self._current and len(flows) < count and self._current[0][1] == name:
            flows.append(self._current.popleft()[2])
        self.queue.lane(name).judged += len(flows)
        clock = self._clocks.setdefault(name, _Clock())
        clock.add((flow.ts for flow in flows), trio.current_time())
        self._judge(flows, self.now_ts_s(), clock.sharp_ts_s())
