"""Whether more flows come than a gateway should spend its time on.

A leaky bucket (Turner, "New directions in communications", 1986): flows fill it, and it leaks at
the rate that is allowed. While it runs over, or something had to be shed, there is a flood; it ends
once neither was so for a while. So a sensor that writes its flows in bursts makes no flood, and one
that pulsates makes one and not a hundred.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from node.logs import get_logger

BURST_S = 2.0
"""The bucket holds what may come in so many seconds: sensors write in bursts, Suricata's flow
manager once a second. Our choice."""

CLOCK_SET_S = 60.0
"""A clock that goes back further than that was set, and counts from there. Our choice."""

CALM_S = 5.0
"""A flood is over after so long below the rate and with nothing shed. Our choice: half a cycle."""

_log = get_logger("sensor")


@dataclass(slots=True)
class Floods:
    """Counts since the process started.

    Args:
        begun: floods, the present one included.
        came: flows that came during them.
        shed: of these, let fall.
        pauses: trainings left out.
    """

    begun: int = 0
    came: int = 0
    shed: int = 0
    pauses: int = 0


class _Bucket:
    """One sensor's.

    Args:
        rate: that leaks, 1/s.
    """

    def __init__(self, rate: float) -> None:
        self.full = rate * BURST_S
        self.level = 0.0
        self._rate = rate
        self._at_s: float | None = None

    def add(self, flows: int, at_s: float) -> bool:
        """Whether it runs over. Between a clock's small steps back and forth nothing leaks."""
        if self._at_s is None or at_s < self._at_s - CLOCK_SET_S:
            self._at_s, self.level = at_s, 0.0
        if at_s > self._at_s:
            self.level = max(0.0, self.level - (at_s - self._at_s) * self._rate)
            self._at_s = at_s
        self.level += flows
        over = self.level > self.full
        self.level = min(self.level, self.full)
        return over


class Pressure:
    """See above.

    Args:
        flows_per_s: rate of one sensor above which it is a flood.
        now_s: any clock that does not go back.

    Attributes:
        flooded: whether there is a flood.
        since_s: by that clock; None without one.
        floods: counts.
    """

    def __init__(self, flows_per_s: float, now_s: Callable[[], float] = trio.current_time) -> None:
        self.flooded = False
        self.since_s: float | None = None
        self.floods = Floods()
        self._rate = flows_per_s
        self._now_s = now_s
        self._buckets: dict[str, _Bucket] = {}
        self._over_s = 0.0
        self._before = Floods()

    def came(self, sensor: str, flows: int, shed: int, at_s: float) -> None:
        """Count flows of a sensor that is as far as its network.

        Args:
            sensor: its name; each has a bucket of its own.
            flows: how many came.
            shed: how many had to be let fall for them.
            at_s: the sensor's clock. For a log that is the flows' own: what was written late and at
                once is no flood. For what cannot wait it is ours.
        """
        bucket = self._buckets.setdefault(sensor, _Bucket(self._rate))
        over = bucket.add(flows, at_s) or shed > 0
        if over:
            now_s = self._over_s = self._now_s()
            if not self.flooded:
                self._begin(now_s)
        if self.flooded:
            self.floods.came += flows
            self.floods.shed += shed

    def presses(self, sensor: str) -> bool:
        """Whether this sensor makes a flood now, so that waiting for the rest would not help."""
        bucket = self._buckets.get(sensor)
        return self.flooded and bucket is not None and bucket.level > bucket.full / 2

    def look(self) -> bool:
        """Whether there is a flood now; call now and then, for it ends in silence."""
        if self.flooded and self._now_s() - self._over_s >= CALM_S:
            self.flooded, self.since_s = False, None
            came = self.floods.came - self._before.came
            shed = self.floods.shed - self._before.shed
            _log.info("the flood is over; training goes on", flows=came, shed=shed)
        return self.flooded

    def paused(self) -> None:
        """Count a training that was left out."""
        self.floods.pauses += 1

    def _begin(self, now_s: float) -> None:
        self.flooded, self.since_s = True, now_s
        self._before = Floods(came=self.floods.came, shed=self.floods.shed)
        self.floods.begun += 1
        _log.warning(
            "a flood of flows; training pauses until it is over", flows_per_s_max=self._rate
        )
