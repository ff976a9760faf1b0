"""`trace.jsonl`: one line per event; the file appears whole and goes on after an interrupt."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from zlib import crc32

from gossip.errors import ConfigError, StateError
from scenarios.runs.files import written
from scenarios.runs.results import part_of, whole_file

TRACE = "trace.jsonl"
TAIL_BYTES = 4_096
"""Before the place at which a trace is taken up: they must be what they were."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trace stood.

    Args:
        bytes: its length.
        crc32: of its last `TAIL_BYTES`.
    """

    bytes: int
    crc32: int


def place_of(lines: TextIO) -> Place:
    """Where a trace that `trace_file` gave stands now, everything so far being on disk."""
    lines.flush()
    os.fsync(lines.fileno())
    path = Path(lines.name)
    size = path.stat().st_size
    return Place(size, _check(path, size))


@contextmanager
def trace_file(path: Path, resume: Place | None = None, *, keep: Path) -> Iterator[TextIO]:
    """A text file that appears under its name if the block ends well, as `whole_file`'s does.

    Args:
        path: of the file.
        resume: where to go on; what was written after that is dropped. None begins anew.
        keep: while this file is there, what has been written is kept even if the block ends badly.

    Raises:
        StateError: the file cannot be written, or what is there is not what was written.
    """
    if resume is not None:
        with written(path):
            _put_back(path, part_of(path), resume)
    with whole_file(path, append=resume is not None, keep=keep) as lines:
        yield lines


def check_trace(checkpoint: Path, before: Place | None, *, trace: bool) -> None:
    """Refuse to go on with a trace that a run began without, or the other way round.

    Raises:
        ConfigError: so it is.
    """
    if trace and before is None:
        raise ConfigError(
            f"--trace: the run that {checkpoint} goes on with has no trace so far; leave --trace "
            f"out, or remove the checkpoint and begin anew"
        )
    if before is not None and not trace:
        raise ConfigError(
            f"--resume: the run that {checkpoint} goes on with writes its trace; add --trace"
        )


def _put_back(path: Path, part: Path, place: Place) -> None:
    """Make `part` what it was at that place. An interrupted run left it under its own name."""
    for found in (part, path):
        if _reaches(found, place):
            os.truncate(found, place.bytes)
            found.replace(part)
            return
    raise StateError(
        f"{path}: is not the trace that the checkpoint goes on with; put it back, or remove the "
        f"checkpoint and begin anew without --resume"
    )


def _reaches(path: Path, place: Place) -> bool:
    if not path.is_file() or path.stat().st_size < place.bytes:
        return False
    return _check(path, place.bytes) == place.crc32


def _check(path: Path, end: int) -> int:
    with path.open("rb") as stream:
        begin = max(0, end - TAIL_BYTES)
        stream.seek(begin)
        return crc32(stream.read(end - begin))
