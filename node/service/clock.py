"""Notices when the wall clock is set, or was never right.

Nothing that a node waits for goes by the wall clock: timers and deadlines go by the monotonic one,
incidents by their flows' own times. Antigens carry wall time, which a node takes once, at its start
(`node.gateway`), and from there on counts by the monotonic clock. So a clock that is set by hours
expires nothing and hangs nothing. But a node that started with a wrong clock keeps it, and says so
here until it is started again.
"""

import time
from collections.abc import Callable

import trio

from node.logs import get_logger
from node.service.health import Health

LOOK_S = 10.0
SET_S_MIN = 60.0
"""Our choices. Clocks that are disciplined drift by less than 50 s a day (500 ppm, the most that
NTP slews: RFC 5905, section 11.3), so over weeks a slewed clock may show up here as well; then it
was wrong at the start, too."""

EARLIEST_S = 1_735_689_600.0
"""2025-01-01: no release of Hedgerow is older, so a clock before it is wrong."""

_log = get_logger("clock")


class ClockWatch:
    """Compares the wall clock with the one that the node goes by.

    Args:
        started_s: wall time at the start less the monotonic clock's, seconds.
        health: told what is wrong.
        wall_s: the wall clock, seconds since 1970; `time.time` if None.
        steady_s: the monotonic clock, seconds.
    """

    def __init__(
        self,
        started_s: float,
        health: Health,
        wall_s: Callable[[], float] | None = None,
        steady_s: Callable[[], float] = trio.current_time,
    ) -> None:
        self._started_s = started_s
        self._health = health
        self._wall_s = wall_s
        self._steady_s = steady_s
        self._said, self._said_s = False, 0.0

    async def run(self) -> None:
        """Look now and then until cancelled."""
        while True:
            self.look()
            await trio.sleep(LOOK_S)

    def look(self) -> None:
        """Tell the status; and the log, once for each time that something changed."""
        ours_s = self._started_s + self._steady_s()
        off_s = (self._wall_s or time.time)() - ours_s
        found = ""
        if abs(off_s) >= SET_S_MIN:
            way = "ahead" if off_s > 0 else "back"
            found = f"set {way} by {abs(off_s) / 3_600:.2f} h since this node started; "
        if ours_s < EARLIEST_S:
            found += "it was wrong when this node started, so restart it once the clock is right"
        elif found:
            found += "it goes on by the clock of its start; restart it if that one was wrong"
        if found != self._health.clock and self._is_news(off_s):
            _log.warning("the wall clock", found=found or "is as it was when this node started")
        self._health.clock = found

    def _is_news(self, off_s: float) -> bool:
        news = not self._said or abs(off_s - self._said_s) >= SET_S_MIN
        if news:
            self._said, self._said_s = True, off_s
        return news
