"""How much came and went, over the last hour and the last day; kept in memory only."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from node.status.document import Status

STEP_S = 10.0
"""Between two looks; a cycle at the default settings. Our choice."""

_HOUR = 360
_STEPS_OF_DAY = 30  # a point of the day stands for five minutes
_DAY = 288


@dataclass(frozen=True, slots=True)
class Point:
    """Counters at a time; all but the time since the node started.

    Args:
        ts_s: seconds since 1970.
    """

    ts_s: float
    bytes_in: int
    bytes_out: int
    flows: int
    anomalous: int


class History:
    """Two rings of points, 650 at most. For months, have Prometheus ask for the metrics."""

    def __init__(self) -> None:
        self._hour: deque[Point] = deque(maxlen=_HOUR)
        self._day: deque[Point] = deque(maxlen=_DAY)
        self._count = 0

    def add(self, ts_s: float, status: Status) -> None:
        """Take a look."""
        mesh, detector = status.mesh, status.detector
        point = Point(
            ts_s, mesh.bytes_in, mesh.bytes_out, detector.flows_seen, detector.flows_anomalous
        )
        self._hour.append(point)
        if self._count % _STEPS_OF_DAY == 0:
            self._day.append(point)
        self._count += 1

    @property
    def hour(self) -> Sequence[Point]:
        """One point each ten seconds."""
        return tuple(self._hour)

    @property
    def day(self) -> Sequence[Point]:
        """One point each five minutes, and the newest."""
        if not self._day or self._hour[-1] is self._day[-1]:
            return tuple(self._day)
        return (*self._day, self._hour[-1])
