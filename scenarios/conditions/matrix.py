"""A user's own matrix of delays: one-way milliseconds between groups or peers.

The first line names the places: an empty (or any) field, then the receivers. Each further line is a
sender: its name, then one number for each receiver. The names in the lines are those of the first,
in the same order.

    ,office,plant
    office,2,35
    plant,40,1
"""

from array import array
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from gossip.errors import ConfigError
from scenarios.conditions.tables import lines, wrong

PLACES_MAX = 4_096
DELAY_MS_MAX = 3_600_000.0
"""An hour; more than that is a partition."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Names of the places, and the delay from each (rows) to each (columns), microseconds."""

    names: tuple[str, ...]
    one_way_us: "tuple[array[int], ...]"


def read_matrix(path: Path) -> Matrix:
    """Read a matrix of delays.

    Raises:
        ConfigError: the file is unreadable, too large, not square, names a place twice, or holds
            something that is no delay; the message has the line.
    """
    rows = lines(path)
    head, first = next(rows, (0, [""]))
    names = tuple(first[1:])
    if not names:
        raise wrong(path, max(1, head), "names no places; write an empty field, then a name each")
    if len(names) > PLACES_MAX:
        raise wrong(path, head, f"{len(names)} places; {PLACES_MAX} at most")
    if len(frozenset(names)) < len(names) or "" in names:
        raise wrong(path, head, "a place is named twice or has no name; name each once")
    table: list[array[int]] = []
    for number, fields in rows:
        if len(table) == len(names):
            raise wrong(path, number, f"one line too many; the first line names {len(names)}")
        expected = names[len(table)]
        if fields[0] != expected:
            raise wrong(
                path, number,
                f"is for {fields[0][:40]!r}, but {expected[:40]!r} is next in the first line",
            )  # fmt: skip
        if len(fields) != len(names) + 1:
            raise wrong(path, number, f"{len(fields) - 1} delays; give {len(names)}")
        table.append(array("q", [_delay_us(path, number, field) for field in fields[1:]]))
    if len(table) < len(names):
        raise ConfigError(f"{path}: ends before the line for {names[len(table)]!r}; add it")
    return Matrix(names, tuple(table))


def _delay_us(path: Path, line: int, field: str) -> int:
    try:
        delay_ms = float(field)
    except ValueError:
        delay_ms = -1.0
    if not (isfinite(delay_ms) and 0.0 <= delay_ms <= DELAY_MS_MAX):
        raise wrong(
            path, line, f"{field[:40]!r} is no delay; write milliseconds, 0 to {DELAY_MS_MAX:,.0f}"
        )
    return round(delay_ms * 1_000)
