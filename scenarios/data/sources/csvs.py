"""Published tables in comma-separated files, read by a layout into one `Table`.

A record is one line. Python's own `csv` reads a line that has quotes; all others are split at the
commas, which is what makes a million rows a matter of seconds. Of the libraries in the lock file,
numpy's `loadtxt` stops at the first bad cell, and pyarrow is an optional extra; "-", "0x18" and
"inf" would have to be seen to by hand with either.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gossip.errors import ConfigError
from scenarios.data.sources.about import Reading
from scenarios.data.sources.columns import Doubles, fault, to_numbers
from scenarios.data.sources.gathered import Rows
from scenarios.data.sources.layout import File, Layout
from scenarios.data.sources.sampling import chosen, count_lines, kept_lines, quotas

BAD_SHARE_MAX = 0.01
"""Files with a larger share of bad rows are refused: this is then no accident but another layout.
Of the real files tried, none has a bad row; the share leaves room for a torn last line and a few
odd ones. Our choice."""

CHUNK_ROWS = 512
"""Rows held as Python texts at one time; 8,192 took half as long again (measured)."""


def read_files(files: Sequence[File], layout: Layout, rows_max: int, seed: bytes) -> Reading:
    """Read files into one table.

    Where they hold more than `rows_max` rows, every file gives equally many (a smaller one all it
    has), drawn uniformly with the seed; see `scenarios.data.sources.sampling`.

    Args:
        files: at least one.
        layout: of all of them.
        rows_max: of the table.
        seed: of the scenario.

    Raises:
        ConfigError: a file cannot be read, lacks a column, or more than `BAD_SHARE_MAX` of the
            rows looked at are bad. The message names file, line and column.
    """
    firsts = [file.skipped + (not file.header) for file in files]
    rows = [
        max(0, count_lines(file.path) - first) for file, first in zip(files, firsts, strict=True)
    ]
    if not sum(rows):
        raise ConfigError(f"{files[0].name} holds no rows; fetch the set again")
    given = quotas(rows, rows_max)
    gathered = Rows(layout, sum(given))
    for file, first, count, quota in zip(files, firsts, rows, given, strict=True):
        places = _places(file, layout)
        lines = first + chosen(count, quota, seed, file.name)
        for chunk in _chunks(kept_lines(file.path, lines)):
            _add(gathered, file, places, chunk)
    if gathered.bad > BAD_SHARE_MAX * gathered.looked_at:
        raise ConfigError(
            f"{gathered.bad} of {gathered.looked_at} rows cannot be used, the first in "
            f"{gathered.first_bad}. Are these the files that {layout.name} publishes?"
        )
    return Reading(
        gathered.table(any_held_out=len({file.held_out for file in files}) == 2),
        sum(rows),
        gathered.bad,
        gathered.first_bad,
        tuple(file.name for file in files),
    )


def header_of(file: File) -> tuple[str, ...]:
    """Names of a file's columns, as the layout spells them.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    names = file.header
    if not names:
        line = next(kept_lines(file.path, np.array([file.skipped])), None)
        if line is None:
            raise ConfigError(f"{file.name} is empty; fetch the set again")
        names = tuple(_split(line[1].removeprefix(b"\xef\xbb\xbf").decode(errors="replace")))
    stripped = (name.strip() for name in names)
    return tuple(file.renamed.get(name, name) for name in stripped)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where in a row the cells are that matter, and how long a row is."""

    width: int
    columns: tuple[int, ...]
    label: int | None
    time: int | None
    owner: tuple[int, ...]


def _places(file: File, layout: Layout) -> _Places:
    names = header_of(file)
    missing = [name for name in layout.needed if name not in names]
    if missing:
        more = f" and {len(missing) - 6} more" if len(missing) > 6 else ""
        raise ConfigError(
            f"{file.name}, line {file.skipped + 1}: no column {', '.join(missing[:6])}{more} "
            f"among its {len(names)}; is this a file that {layout.name} publishes?"
        )
    return _Places(
        len(names),
        tuple(names.index(column.name) for column in layout.columns),
        names.index(layout.label) if layout.label else None,
        names.index(layout.time) if layout.time else None,
        tuple(names.index(name) for name in layout.owner_from),
    )


_Chunk = list[tuple[int, bytes]]


def _chunks(lines: Iterator[tuple[int, bytes]]) -> Iterator[_Chunk]:
    chunk: _Chunk = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _split(line: str) -> list[str]:
    """The cells of a line.

    Raises:
        csv.Error: its quotes do not match.
    """
    return next(csv.reader([line], strict=True)) if '"' in line else line.split(",")


def _add(gathered: Rows, file: File, places: _Places, chunk: _Chunk) -> None:
    layout = gathered.layout
    numbers: list[int] = []
    rows: list[list[str]] = []
    families: list[int] = []
    for number, raw in chunk:
        if not raw.strip():
            continue
        gathered.looked_at += 1
        try:
            cells = _split(raw.decode(errors="replace"))
        except csv.Error as error:
            gathered.refuse(file, number + 1, str(error))
            continue
        if len(cells) != places.width:
            gathered.refuse(file, number + 1, f"{len(cells)} columns, not {places.width}")
            continue
        label = file.family if places.label is None else cells[places.label].strip()
        family = label if places.label is None else layout.family(label)
        if family is None:
            gathered.refuse(file, number + 1, f"column {layout.label}: {label[:40]!r} is unknown")
            continue
        numbers.append(number)
        rows.append(cells)
        families.append(gathered.families[family])
    if rows:
        _store(gathered, file, places, (numbers, rows, families))


def _store(
    gathered: Rows,
    file: File,
    places: _Places,
    sound: tuple[list[int], list[list[str]], list[int]],
) -> None:
    layout = gathered.layout
    numbers, rows, families = sound
    across = list(zip(*rows, strict=True))
    parts: list[Doubles] = [
        column.values(across[place])
        for column, place in zip(layout.columns, places.columns, strict=True)
    ]
    time_s = np.zeros(len(rows))
    if places.time is not None:
        time_s = to_numbers(across[places.time])
    x = np.concatenate(parts, axis=1)
    good = np.isfinite(x).all(axis=1) & np.isfinite(time_s)
    for row in np.flatnonzero(~good).tolist():
        cells = [rows[row][place] for place in places.columns]
        why = fault(layout.columns, cells) or f"column {layout.time}: no time"
        gathered.refuse(file, numbers[row] + 1, why)
    kept = np.flatnonzero(good)
    into = slice(gathered.count, gathered.count + len(kept))
    gathered.x[into] = x[kept]
    gathered.y[into] = np.array(families, np.int64)[kept]
    gathered.time_s[into] = time_s[kept]
    gathered.held_out[into] = file.held_out
    if places.owner:
        gathered.owner[into] = [
            gathered.number(layout.owner(*(rows[row][place].strip() for place in places.owner)))
            for row in kept.tolist()
        ]
    else:
        gathered.owner[into] = gathered.number(file.owner or layout.name)
    gathered.count += len(kept)
