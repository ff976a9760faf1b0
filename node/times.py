"""Moments as text. Flows' times are untrusted, so none of these can fail."""

from datetime import UTC, datetime

_LAST_S = 253_402_300_799.0  # the end of the year 9999, beyond which datetime gives up


def utc(ts_s: float) -> datetime:
    """Seconds since 1970 as a moment in UTC, kept within what datetime can hold."""
    return datetime.fromtimestamp(min(max(ts_s, 0.0), _LAST_S), UTC)


def eve_time(ts_s: float) -> str:
    """As Suricata writes it: `2026-11-23T04:17:12.837038+0000`."""
    return utc(ts_s).strftime("%Y-%m-%dT%H:%M:%S.%f%z")


def short_time(ts_s: float | None) -> str:
    """For tables, to the second; a dash for None."""
    return "—" if ts_s is None else utc(ts_s).strftime("%Y-%m-%d %H:%M:%SZ")
