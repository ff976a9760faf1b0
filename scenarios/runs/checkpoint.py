"""The checkpoint of one run: a file from which it goes on to the very same result.

    "Hedgerow checkpoint 1" and a line feed
    pieces, each after its length (4 bytes, little-endian):
        header      JSON: scenario, versions, digest of the data, how far the run had come
        found       what has been measured so far
        World       as `scenarios.world.frozen` makes it
    BLAKE2b of all that, 32 bytes

Nothing of it is read before the digest fits, so damage is always noticed; and reading makes
instances of the classes of a World alone, whoever wrote the file.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, TextIO
from zlib import crc32

import msgspec
import numpy as np

from gossip.errors import StateError
from node.config.quantities import format_size
from scenarios.data.shards import Shards
from scenarios.measures.judgement import Judgement
from scenarios.measures.samples import JudgedPeer, Sample, Snapshot, Spread
from scenarios.plan.plan import Plan
from scenarios.runs.results import RESULT, Result, load, versions, whole_file
from scenarios.runs.simulate import Progress, Record, Stage, run_stage
from scenarios.runs.text import first_difference, one_line
from scenarios.runs.tracing import TRACE, Place, check_trace, place_of, trace_file
from scenarios.world import frozen
from scenarios.world.freezing import Freezer, Kind, Kinds, Known, Thawer

CHECKPOINT = "checkpoint"
"""Its name, in the folder of the results."""

EVERY_S = 600.0
"""Seconds of real time from one checkpoint to the next: so much work is lost at most. Our choice;
that of 100,000 peers took 13 s to write (docs/simulation.md), 2 % of it."""

MAGIC = b"Hedgerow checkpoint 1\n"
DIGEST_BYTES = 32
FILE_BYTES_MAX = 256 * 2**30
"""100,000 peers with a model of 10,000 parameters and its momentum take 8 GB."""
_CHUNK_BYTES = 2**20
_LENGTH = Struct("<I")

FOUND = Kinds(kinds=tuple(Kind(cls) for cls in (Sample, Spread, JudgedPeer, Judgement, Snapshot)))
FOUND_TOGETHER = 1_000
"""Items written in one go: some 100 kB of judged peers."""

_AGAIN = "remove it and begin anew without --resume"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that fits a plan, its digest checked.

    Args:
        path: the file.
        begin: where the pieces after the header begin, bytes.
        end: where they end.
        found: how many of them are measurements.
        data: digest of the data that the run began with, hexadecimal.
        reached_us: simulated time that the run had come to.
        wall_s: seconds of work until then.
        trace: where its list of events stood; None for a run without one.
    """

    path: Path
    begin: int
    end: int
    found: int
    data: str
    reached_us: int
    wall_s: float
    trace: Place | None


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where a run keeps its checkpoint.

    Args:
        path: the file.
        every_s: seconds of real time between two; 0 for none but that of an interrupted run.
        resume: from where to go on; None begins anew.
    """

    path: Path
    every_s: float = EVERY_S
    resume: Checkpoint | None = None


def keep_in(
    folder: Path, plan: Plan, *, every_s: float = EVERY_S, resume: bool = False, trace: bool = False
) -> Keeping:
    """How a run keeps its checkpoint in the folder of its results.

    Args:
        folder: of its results.
        plan: of the run.
        every_s: see `Keeping`.
        resume: go on from a checkpoint that must be there; else begin anew where none may be.
        trace: whether the run lists its events, which it does from beginning to end or not at all.

    Raises:
        StateError: there is no checkpoint or it does not fit; or there is one that nobody asked
            for, and beginning anew would overwrite it.
        ConfigError: the run began with a trace and is to go on without, or the other way round.
    """
    path = folder / CHECKPOINT
    if resume:
        found = find(path, plan)
        check_trace(path, found.trace, trace=trace)
        return Keeping(path, every_s, found)
    if path.exists():
        raise StateError(
            f"{path}: an interrupted run can go on from here; add --resume, or remove the file to "
            f"begin anew"
        )
    return Keeping(path, every_s)


def trace_of(keeping: Keeping) -> AbstractContextManager[TextIO]:
    """The file for the run's trace, beside its checkpoint; see `trace_file`."""
    resume = None if keeping.resume is None else keeping.resume.trace
    return trace_file(keeping.path.with_name(TRACE), resume, keep=keeping.path)


def run_kept(stage: Stage, progress: Callable[[Progress], None] | None, kept: Keeping) -> Result:
    """Run a World to its end from its start or from a checkpoint; leaves one if interrupted.

    The caller removes the checkpoint of a complete run when its result is written.

    Args:
        stage: its World has not run yet.
        progress: told how far the run has come.
        kept: where the checkpoint is.

    Raises:
        StateError: the data are not those that the run began with, or the file is damaged or
            cannot be written.
    """
    data = ""

    def keep(stage: Stage, record: Record) -> None:
        nonlocal data
        data = data or data_digest(stage)
        write(kept.path, stage, record, data)

    record = None
    if kept.resume is not None:
        data = data_digest(stage)
        record = take_up(kept.resume, stage, data)
    return run_stage(stage, progress, record, keep=keep, keep_every_s=kept.every_s)


def finished(folder: Path, plan: Plan) -> Result | None:
    """The whole result of a run that is in its folder already; None where it is still to be made.

    Raises:
        StateError: what is there is damaged, or another run's.
    """
    path = folder / RESULT
    if not path.exists():
        return None
    result = load(folder)
    if not result.complete:
        return None
    ours = msgspec.json.decode(one_line(plan.spec))
    if result.spec != ours or result.versions != versions():
        key = first_difference(result.spec, ours) or "versions"
        raise StateError(
            f"{path}: is the result of another run (they differ in {key}); choose another place "
            f"with --out, or remove it"
        )
    return result


def write(path: Path, stage: Stage, record: Record, data: str) -> None:
    """Write a checkpoint, or leave the last one as it is.

    Args:
        path: the file.
        stage: its World stands between two calls of `run`.
        record: what was found until then.
        data: see `data_digest`.

    Raises:
        StateError: the file cannot be written.
    """
    found = list(_found(record))
    lines = stage.world.trace.lines
    place = None if lines is None else place_of(lines)
    header = {
        "scenario": stage.plan.spec,
        "versions": versions(),
        "classes": _classes(),
        "data": data,
        "found": len(found),
        "reached_us": stage.world.now_us,
        "wall_s": record.wall_s,
        "trace": None if place is None else [place.bytes, place.crc32],
    }
    with whole_file(path) as text:
        stream = text.buffer
        digest = blake2b(digest_size=DIGEST_BYTES)

        def put(piece: bytes) -> None:
            digest.update(piece)
            stream.write(piece)

        put(MAGIC)
        pieces = frozen.freeze(stage.world, stage.trainer)
        for some in ([one_line(header).encode()], found, pieces):
            for piece in some:
                put(_LENGTH.pack(len(piece)))
                put(piece)
        stream.write(digest.digest())


def find(path: Path, plan: Plan) -> Checkpoint:
    """The checkpoint of a run of this plan.

    Raises:
        StateError: there is none, it cannot be read, is damaged, or is another run's.
    """
    try:
        with path.open("rb") as stream:
            return _checked(path, stream, plan)
    except FileNotFoundError:
        raise StateError(
            f"{path}: there is no checkpoint to go on from; leave --resume out to begin the run"
        ) from None
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error.strerror}); {_AGAIN}") from error


def take_up(checkpoint: Checkpoint, stage: Stage, data: str) -> Record:
    """Let a fresh World stand where the checkpoint's stood; gives what had been found by then.

    Raises:
        StateError: the data are not those that the run began with, or the file is damaged.
    """
    path = checkpoint.path
    if data != checkpoint.data:
        raise StateError(
            f"{path}: the data, or a table that the scenario names, are not what the run began "
            f"with; put them back, or {_AGAIN}"
        )
    record = Record(wall_s=checkpoint.wall_s)
    lists = record.samples, record.judged, record.mesh
    thawer = Thawer(FOUND, Known())
    try:
        with path.open("rb") as stream:
            stream.seek(checkpoint.begin)
            pieces = _pieces(stream, checkpoint.end)
            for _ in range(checkpoint.found):
                number, items = thawer.thaw(next(pieces))
                lists[number].extend(items)
            frozen.thaw(stage.world, stage.trainer, pieces)
    except (StateError, ValueError, TypeError, LookupError, StopIteration) as error:
        raise StateError(f"{path}: {error}; {_AGAIN}") from error
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error.strerror}); {_AGAIN}") from error
    return record


def data_digest(stage: Stage) -> str:
    """Of every peer's rows, and of what the plan takes from files beside the scenario's.

    Files that a scenario names may change while a run is interrupted; the run would then go on to
    a result of its own. CRC-32 guards against accident, not forgery: a second for 3 GB.
    """
    plan = stage.plan
    told = plan.physics, plan.changes, plan.otherwise, plan.memory_bytes, plan.appear
    rules = [(type(rule).__name__, getattr(rule, "latency", None)) for rule in plan.rules]
    digest = blake2b(repr((*told, rules)).encode(), digest_size=16)
    digest.update(_LENGTH.pack(_rows(stage.shards)))
    return digest.hexdigest()


def _rows(shards: Shards) -> int:
    check = 0
    for shard in shards.shards:
        for rows in (shard.train_x, shard.train_y, shard.calibrate_x, shard.test_x, shard.test_y):
            check = crc32(np.ascontiguousarray(rows).data, check) if rows.size else check
    return check


def _classes() -> str:
    return (FOUND.digest + frozen.KINDS.digest).hex()


def _found(record: Record) -> Iterator[bytes]:
    freezer = Freezer(FOUND, Known())
    lists: Sequence[Sequence[Any]] = (record.samples, record.judged, record.mesh)
    for number, items in enumerate(lists):
        for begin in range(0, len(items), FOUND_TOGETHER):
            yield freezer.freeze((number, list(items[begin : begin + FOUND_TOGETHER])))


def _checked(path: Path, stream: BinaryIO, plan: Plan) -> Checkpoint:
    end = _end(path, stream)
    try:
        pieces = _pieces(stream, end)
        header = msgspec.json.decode(next(pieces), type=dict[str, Any])
        found, reached_us, wall_s = header["found"], header["reached_us"], header["wall_s"]
        place = None if header["trace"] is None else Place(*header["trace"])
        told = header["scenario"], header["versions"], header["classes"], header["data"]
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, StopIteration) as error:
        raise StateError(f"{path}: damaged: {error or 'too short'}; {_AGAIN}") from error
    _check_is_ours(path, told, plan)
    return Checkpoint(path, stream.tell(), end, found, told[-1], reached_us, wall_s, place)


def _check_is_ours(path: Path, told: tuple[Any, ...], plan: Plan) -> None:
    theirs, their_versions, classes, _ = told
    ours = msgspec.json.decode(one_line(plan.spec))
    if theirs != ours:
        key = first_difference(theirs, ours)
        raise StateError(
            f"{path}: belongs to a run of another scenario or seed (they differ in {key}); choose "
            f"another place with --out, or {_AGAIN}"
        )
    if their_versions != versions():
        name = first_difference(their_versions, versions())
        theirs, ours = their_versions.get(name), versions().get(name)
        raise StateError(
            f"{path}: was written with {name} {theirs}, and here is {ours}, which may round "
            f"differently; go on with {name} {theirs}, or {_AGAIN}"
        )
    if classes != _classes():
        raise StateError(f"{path}: was written by another state of Hedgerow; {_AGAIN}")


def _end(path: Path, stream: BinaryIO) -> int:
    """Where the pieces end; the stream then stands where they begin.

    Raises:
        StateError: it is no checkpoint, or damaged.
    """
    size = path.stat().st_size
    if stream.read(len(MAGIC)) != MAGIC:
        raise StateError(
            f"{path}: no checkpoint that this version of Hedgerow reads, or a damaged one; {_AGAIN}"
        )
    if size > FILE_BYTES_MAX:
        raise StateError(f"{path}: larger than {format_size(FILE_BYTES_MAX)}; {_AGAIN}")
    digest, left = blake2b(MAGIC, digest_size=DIGEST_BYTES), size - len(MAGIC) - DIGEST_BYTES
    while left > 0:
        chunk = stream.read(min(left, _CHUNK_BYTES))
        if not chunk:
            break
        digest.update(chunk)
        left -= len(chunk)
    if left or stream.read(DIGEST_BYTES + 1) != digest.digest():
        raise StateError(f"{path}: damaged, its digest does not fit; {_AGAIN}")
    stream.seek(len(MAGIC))
    return size - DIGEST_BYTES


def _pieces(stream: BinaryIO, end: int) -> Iterator[bytes]:
    """From where the stream stands until the end.

    Raises:
        ValueError: a piece would end after it.
    """
    while (left := end - stream.tell()) > 0:
        head = stream.read(_LENGTH.size) if left >= _LENGTH.size else b""
        size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else left
        if size > left - _LENGTH.size:
            raise ValueError("a piece is cut off")
        yield stream.read(size)
