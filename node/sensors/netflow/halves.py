"""Two records of one direction each become one record of both.

Routers, and NetFlow v9 always, export each direction of a connection by itself. Taken as they come,
every answered connection would be two that nobody answered. So a record waits for its other half:
the same exporter's, with the ends swapped, in the same time. What waits too long goes out alone, as
does the oldest when the table is full; nothing is lost.
"""

from collections import deque
from math import inf
from typing import NamedTuple

from node.sensors.ipfix import Record

HALVES_MAX = 4_096
"""Records that wait. Our choice: 270 unanswered flows a second; 3.5 MB when full (twice as many
measured). A gateway's memory may grow by 20 MB in a flood, all in all (benchmarks/flood.py)."""

WAIT_S = 15.0
"""How long one waits, by the time at which records arrive. Our choice: softflowd sends both halves
in one datagram; a router's cache times each out by itself, and looks every few seconds."""

SLACK_MS = 5_000
"""Halves may lie this far apart: a reply comes later than its request, and some exporters' times
are whole seconds. Our choice."""

SAME_MAX = 4  # halves of one direction and one pair of ends that may wait; our choice

_ICMP = frozenset({1, 58})

Key = tuple[str, int, str, int, str, int]


class Half(NamedTuple):
    """One that waits: its record, and when it came, s on the collector's clock."""

    record: Record
    came_s: float


class Halves:
    """The table of records that wait.

    Args:
        most: records that may wait.
        wait_s: how long.

    Attributes:
        paired: records of both directions that were made.
        alone: records that found no other half.
    """

    def __init__(self, most: int = HALVES_MAX, wait_s: float = WAIT_S) -> None:
        self._most = most
        self._wait_s = wait_s
        self._waiting: dict[Key, list[Half]] = {}
        self._order: deque[tuple[Key, Half]] = deque()
        self._count = 0
        self.paired = 0
        self.alone = 0

    def __len__(self) -> int:
        return self._count

    def take(self, exporter: str, half: Record, now_s: float) -> list[Record]:
        """What this record completes, and what it pushes out.

        Args:
            exporter: whose record.
            half: with nothing in its reverse counters.
            now_s: when it came; never earlier than at the call before.
        """
        other = self._take_other(_key(exporter, half, swapped=True), half)
        if other is not None:
            self.paired += 1
            return [_joined(other, half)]
        key = _key(exporter, half, swapped=False)
        found = Half(half, now_s)
        queue = self._waiting.setdefault(key, [])  # a deque would be ten times the size
        queue.append(found)
        self._order.append((key, found))
        self._count += 1
        out = []
        if len(queue) > SAME_MAX:
            out.append(self._let_go(key, queue[0]))
        while self._count > self._most:
            out += self._oldest()
        return out

    def expire(self, now_s: float, most: float = inf) -> list[Record]:
        """Those that have waited long enough, in the order in which they came; so many at most."""
        out: list[Record] = []
        while self._order and self._order[0][1].came_s <= now_s - self._wait_s and len(out) < most:
            out += self._oldest()
        return out

    def finish(self) -> list[Record]:
        """All that wait."""
        out: list[Record] = []
        while self._order:
            out += self._oldest()
        return out

    def _oldest(self) -> list[Record]:
        """Take the oldest off the order; none if it found its half meanwhile."""
        key, half = self._order.popleft()
        queue = self._waiting.get(key)
        # By identity: two records may say the same.
        if queue is None or not any(each is half for each in queue):
            return []
        return [self._let_go(key, half)]

    def _let_go(self, key: Key, half: Half) -> Record:
        self._drop(key, half)
        self.alone += 1
        return half.record

    def _take_other(self, key: Key, half: Record) -> Record | None:
        for other in self._waiting.get(key, ()):
            if (
                half.flow_start_ms <= other.record.flow_end_ms + SLACK_MS
                and other.record.flow_start_ms <= half.flow_end_ms + SLACK_MS
            ):
                self._drop(key, other)
                return other.record
        return None

    def _drop(self, key: Key, half: Half) -> None:
        queue = self._waiting[key]
        for place, each in enumerate(queue):
            if each is half:
                del queue[place]
                break
        if not queue:
            del self._waiting[key]
        self._count -= 1
        # What is dropped stays in the order until its turn; were it much, it is swept.
        if len(self._order) > 2 * self._most:
            waiting = {id(each) for queue in self._waiting.values() for each in queue}
            self._order = deque(pair for pair in self._order if id(pair[1]) in waiting)


def _key(exporter: str, record: Record, *, swapped: bool) -> Key:
    """A direction's name, without the numbers of ICMP: a reply has others than its request."""
    icmp = record.proto in _ICMP
    here = (record.src_addr, 0 if icmp else record.src_port)
    there = (record.dst_addr, 0 if icmp else record.dst_port)
    first, second = (there, here) if swapped else (here, there)
    return (exporter, record.proto, *first, *second)


def _joined(first: Record, second: Record) -> Record:
    """Both directions in one; the earlier record is the forward one."""
    if second.flow_start_ms < first.flow_start_ms:
        first, second = second, first
    return Record(
        src_addr=first.src_addr,
        dst_addr=first.dst_addr,
        proto=first.proto,
        flow_start_ms=first.flow_start_ms,
        flow_end_ms=max(first.flow_end_ms, second.flow_end_ms),
        packets=first.packets,
        octets=first.octets,
        rev_packets=second.packets,
        rev_octets=second.octets,
        src_port=first.src_port,
        dst_port=first.dst_port,
        tcp_flags=first.tcp_flags,
        rev_flags=second.tcp_flags,
        icmp_type_code=first.icmp_type_code,
        icmp_type_code_v6=first.icmp_type_code_v6,
        rev_icmp=second.icmp_type_code,
        rev_icmp6=second.icmp_type_code_v6,
    )
