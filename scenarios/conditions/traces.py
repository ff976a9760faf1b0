"""Churn recorded elsewhere: a comma-separated file of `at,peer,do`.

The first line is that heading. `at` is a duration with its unit or plain seconds, `peer` a number,
`do` one of the words of an event. Lines are in the order of time.

    at,peer,do
    12.5,3,crash
    40 s,3,return
"""

from pathlib import Path

from gossip.errors import ConfigError
from node.config.quantities import parse_duration_us
from scenarios.conditions.churn import Change, Deed
from scenarios.conditions.tables import lines, wrong

LINES_MAX = 1_000_000
HEADING = ["at", "peer", "do"]
_DEEDS = {deed.value: deed for deed in Deed}


def read_trace(path: Path, peers: int, end_us: int) -> list[Change]:
    """Read a trace of churn.

    Args:
        path: of the file.
        peers: how many the mesh has.
        end_us: end of the run; a line after it is refused, so that nothing is left out unseen.

    Raises:
        ConfigError: the file is unreadable or too large, or a line is malformed, names a peer that
            is not there, or lies before the one above it or after the end.
    """
    rows = lines(path)
    number, heading = next(rows, (1, []))
    if [field.lower() for field in heading] != HEADING:
        raise wrong(path, number, "is not the heading; write at,peer,do there")
    changes: list[Change] = []
    before_us = 0
    for number, fields in rows:
        if len(changes) == LINES_MAX:
            raise wrong(path, number, f"more than {LINES_MAX:,} changes; shorten the trace")
        at_us, peer, deed = _read(path, number, fields, peers)
        if at_us < before_us:
            raise wrong(path, number, "lies before the line above it; sort the lines by time")
        if at_us > end_us:
            raise wrong(path, number, "lies after the end; raise mesh.duration or cut the trace")
        before_us = at_us
        changes.append(Change(at_us, peer, deed))
    if not changes:
        raise ConfigError(f"{path}: holds no changes; add lines such as 12.5,3,crash")
    return changes


def _read(path: Path, line: int, fields: list[str], peers: int) -> tuple[int, int, Deed]:
    """Time, peer and deed of one line."""
    if len(fields) != len(HEADING):
        raise wrong(path, line, f"{len(fields)} values; write {','.join(HEADING)}")
    at, peer, deed = fields
    try:
        at_us = _at_us(at)
    except (ValueError, OverflowError) as error:
        raise wrong(
            path, line, f"{at[:40]!r} is no time; write seconds, or a duration as 5 min"
        ) from error
    if not (peer.isascii() and peer.isdecimal() and len(peer) < 10 and int(peer) < peers):
        raise wrong(path, line, f"{peer[:40]!r} is no peer; there are 0 to {peers - 1}")
    if deed not in _DEEDS:
        raise wrong(path, line, f"{deed[:40]!r} is no deed; write one of {', '.join(_DEEDS)}")
    return at_us, int(peer), _DEEDS[deed]


def _at_us(text: str) -> int:
    if text[-1:].isdecimal():
        at_us = float(text) * 1e6
        if not 0.0 <= at_us < 2.0**62:
            raise ValueError(text)
        return round(at_us)
    return parse_duration_us(text)
