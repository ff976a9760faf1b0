"""Which lines of files are kept when they hold more rows than are wanted.

Every file is passed over twice: once to count its lines, once to take the chosen ones. What is kept
is the same for the same files and seed, spread evenly over each file, and costs memory only for
itself. A million lines take about a fifth of a second to pass over (measured).
"""

import gzip
import lzma
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossip.draws import Purpose, generator
from gossip.errors import ConfigError
from node.sensors.lines import cure
from node.sensors.reading import open_log

BLOCK_BYTES = 1 << 20
LINE_BYTES_MAX = 1 << 20
"""A longer line is not a row of any set that we know: the longest, with a packet's payload in
hexadecimal, has some 130 kB."""

Lines = NDArray[np.int64]


def count_lines(path: Path) -> int:
    """Lines of a plain, gzip or xz file; the last needs no end.

    Raises:
        ConfigError: the file cannot be read, is damaged, or is no text.
    """
    count, open_bytes = 0, 0
    for block in _blocks(path):
        found = block.count(b"\n")
        count += found
        open_bytes = len(block) - 1 - block.rfind(b"\n") if found else open_bytes + len(block)
        if open_bytes > LINE_BYTES_MAX:
            raise _overlong(path, count + 1)
    return count + (open_bytes > 0)


def kept_lines(path: Path, wanted: Lines) -> Iterator[tuple[int, bytes]]:
    """The wanted lines of a file with their numbers, the first line being 0; without line ends.

    Args:
        path: plain, gzip or xz.
        wanted: numbers, ascending.

    Raises:
        ConfigError: the file cannot be read, is damaged, or is no text.
    """
    at, number, carried = 0, 0, b""
    for raw in _blocks(path):
        block = carried + raw
        lines = block.count(b"\n")
        if not lines:
            carried = block
        elif at == len(wanted):
            return
        elif wanted[at] >= number + lines:  # nothing wanted in here: only its last piece may be
            carried = block[block.rindex(b"\n") + 1 :]
            number += lines
        else:
            pieces = block.split(b"\n")
            carried = pieces.pop()
            while at < len(wanted) and wanted[at] < number + lines:
                line = int(wanted[at])
                yield line, pieces[line - number].removesuffix(b"\r")
                at += 1
            number += lines
        if len(carried) > LINE_BYTES_MAX:
            raise _overlong(path, number + 1)
    if at < len(wanted) and carried:
        yield number, carried.removesuffix(b"\r")


def first_lines(path: Path, count: int) -> Iterator[tuple[int, bytes]]:
    """The first lines of a file, as `kept_lines` gives them.

    Raises:
        ConfigError: see `kept_lines`.
    """
    return kept_lines(path, np.arange(count))


def quotas(rows: Sequence[int], rows_max: int) -> list[int]:
    """How many rows each file gives: all, or all of the smaller and equally many of the larger.

    Args:
        rows: of each file.
        rows_max: of all together.
    """
    given = [0] * len(rows)
    left = rows_max
    order = sorted(range(len(rows)), key=lambda file: (rows[file], file))
    for place, file in enumerate(order):
        given[file] = min(rows[file], left // (len(rows) - place))
        left -= given[file]
    return given


def chosen(rows: int, quota: int, seed: bytes, name: str) -> Lines:
    """Numbers of the rows that are kept, ascending: drawn uniformly, without repetition.

    Args:
        rows: in the file.
        quota: to keep, at most `rows`.
        seed: of the scenario.
        name: of the file.
    """
    if quota >= rows:
        return np.arange(rows)
    rng = generator(seed, f"source/{name}", 0, Purpose.WORLD)
    return np.sort(rng.choice(rows, quota, replace=False, shuffle=False))


def stretches(rows: int, quota: int, seed: bytes, name: str, count: int = 16) -> Lines:
    """Numbers of the rows that are kept, ascending: whole stretches, evenly far apart.

    For logs whose rows mean something only beside their neighbours.

    Args:
        rows: in the file.
        quota: to keep, at most `rows`.
        seed: decides where in its part of the file each stretch lies.
        name: of the file.
        count: stretches at most.
    """
    if quota >= rows:
        return np.arange(rows)
    rng = generator(seed, f"source/{name}", 0, Purpose.WORLD)
    parts = max(1, min(count, quota))
    kept = []
    for part in range(parts):
        low, high = rows * part // parts, rows * (part + 1) // parts
        length = min(quota * (part + 1) // parts - quota * part // parts, high - low)
        start = low + int(rng.integers(0, high - low - length + 1))
        kept.append(np.arange(start, start + length))
    return np.concatenate(kept)


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with open_log(path) as stream:
            while block := stream.read(BLOCK_BYTES):
                yield block
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ConfigError(
            f"{path}: the compressed data are damaged ({error}); fetch it again"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {cure(error)}") from None


def _overlong(path: Path, line: int) -> ConfigError:
    return ConfigError(
        f"{path}: line {line} is longer than {LINE_BYTES_MAX >> 20} MiB: this is no table of text"
    )
