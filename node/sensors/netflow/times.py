"""When a flow began and ended, whichever of its forms an exporter chose.

Milliseconds, seconds, or NTP's time since 1970 are taken as they are. NetFlow v9 gives milliseconds
since the exporter was started, beside a header with the same clock and whole seconds since 1970, so
that each datagram alone would place the start up to a second early. The latest start that any of
the last datagrams allowed is the best guess, and all flows of an exporter are placed by it.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

CLOCKS_MAX = 256  # exporters and observation domains remembered; our choice
SECOND_MS = 1_000
WRAP_MS = 1 << 32  # of the exporter's clock, every 49.7 days

CURE = (
    "no start and end of the flow; export flowStartMilliseconds and flowEndMilliseconds "
    "(softflowd -A milli), or in NetFlow v9 FIRST_SWITCHED and LAST_SWITCHED"
)

_ABSOLUTE = (
    ("flow_start_ms", "flow_end_ms", 1),
    ("flow_start_us", "flow_end_us", SECOND_MS),  # netflume gives seconds for these two
    ("flow_start_ns", "flow_end_ns", SECOND_MS),
    ("flow_start_s", "flow_end_s", SECOND_MS),
)

Stream = tuple[str, int]
"""An exporter's address and its observation domain."""


class Clocks:
    """When each exporter's own clock stood at zero, ms since 1970."""

    def __init__(self) -> None:
        self._zero: OrderedDict[Stream, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._zero)

    def saved(self) -> list[tuple[str, int, int]]:
        """Exporter, observation domain and zero of each clock."""
        return [(*stream, zero) for stream, zero in self._zero.items()]

    def restore(self, saved: list[tuple[str, int, int]]) -> None:
        """Take up what an earlier life saved."""
        for exporter, domain, zero in saved:
            self._note((exporter, domain), zero)

    def header(self, stream: Stream, header: Mapping[str, Any]) -> None:
        """Learn from a datagram's header; IPFIX's says nothing here."""
        uptime_ms, seconds = header.get("sys_uptime"), header.get("unix_secs")
        if uptime_ms is None or not seconds:
            return
        zero = seconds * SECOND_MS - uptime_ms
        known = self._zero.get(stream)
        if known is not None and 0 <= known - zero < SECOND_MS:
            zero = known
        self._note(stream, zero)

    def option(self, stream: Stream, record: Mapping[str, Any]) -> None:
        """Learn from an options record that tells systemInitTimeMilliseconds, as softflowd does."""
        started_ms = record.get("system_init_time_ms")
        if isinstance(started_ms, int) and 0 < started_ms < 1 << 53:
            self._note(stream, started_ms)

    def _note(self, stream: Stream, zero_ms: int) -> None:
        self._zero[stream] = zero_ms
        self._zero.move_to_end(stream)
        while len(self._zero) > CLOCKS_MAX:
            self._zero.popitem(last=False)

    def span_ms(
        self, stream: Stream, header: Mapping[str, Any], record: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Start and end of a flow, ms since 1970.

        Raises:
            ValueError: the record says neither, or not in a form that can be placed.
        """
        for first, last, scale in _ABSOLUTE:
            start, end = record.get(first), record.get(last)
            if start and end:
                return round(_number(start) * scale), round(_number(end) * scale)
        first_ms, last_ms = record.get("first_switched"), record.get("last_switched")
        zero = self._zero.get(stream)
        if first_ms is None or last_ms is None or zero is None:
            raise ValueError(CURE)
        first_ms, last_ms = round(_number(first_ms)), round(_number(last_ms))
        uptime_ms = header.get("sys_uptime")
        if uptime_ms is None:  # IPFIX
            uptime_ms = (header.get("unix_secs") or 0) * SECOND_MS - zero
        first_ms, last_ms = (uptime_ms - _before(uptime_ms, t) for t in (first_ms, last_ms))
        return zero + first_ms, zero + last_ms


def _number(time: Any) -> float:
    """A time as a number; one of a length that its kind does not have is decoded as text."""
    if isinstance(time, int | float):
        return time
    raise ValueError("a time of the flow is no number; its template gives it an odd length")


def _before(uptime_ms: int, then_ms: int) -> int:
    """How long ago, by a clock that wraps; negative if the flow's time is a little ahead."""
    ago: int = (uptime_ms - then_ms) % WRAP_MS
    return ago - WRAP_MS if ago >= WRAP_MS // 2 else ago
