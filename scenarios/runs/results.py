"""What a run of a scenario gives, and how it is written down: whole files or none."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from io import BufferedWriter, TextIOWrapper
from math import isnan, nan
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

import msgspec

from gossip.errors import StateError
from node.config.quantities import format_size
from scenarios.measures.samples import Count, JudgedPeer, Sample, Snapshot
from scenarios.runs.files import Part, written
from scenarios.runs.text import one_line, readable, with_nan

T = TypeVar("T")

RESULT, PEERS, MESH = "result.json", "peers.jsonl", "mesh.jsonl"

RESULT_BYTES_MAX = 256 * 2**20
"""100,000 nodes at 1,000 samples take 3 MB."""
DETAILS_BYTES_MAX = 2 * 2**30
"""200 judged peers at 1,000 samples take 60 MB."""

BY_FAMILY = ("families", "named")
"""Fields of a judgement that have a share for each family; in files, by its name."""

DETAILS = ("judged", "mesh")
"""Fields of a result that stand in files of their own."""


FORMAT = 3
"""Of a folder of results; grows with every change that an older reader would misread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that a run of a scenario found out, whatever engine ran it.

    Args:
        title: the scenario's.
        engine: `world` (simulated time), `lab` (real processes) or `rounds` (synchronous baseline).
        method: how peers learn; `gossip` unless a baseline.
        seed: the number that, with `spec`, repeats the run.
        spec: the scenario as its file would say it, every default filled in.
        versions: of what computed it; another numpy or torch may round differently.
        faults: every fault that the scenario asks for, one line each.
        complete: False for a run that was interrupted; its samples are those of the whole run as
            far as it came.
        reached_us: simulated time that it came to.
        families: names of the classes of rows, benign first.
        samples: the mesh over time; of a complete run the last one is at its end.
        judged: each judged peer by itself, in the order of the samples and of the peers.
        mesh: who was there and knew whom, at each sample.
        bytes_sent: by each node.
        bytes_received: by each node.
        wire_sent: by each node to its sockets, handshakes and multiplexer included; empty where no
            sockets are.
        topics: how often peers reported each topic.
        frames: how many frames were delivered, dropped, unreachable, or shed by a full queue.
        cycles: begun by all peers.
        trainings: completed by all peers.
        trace_hash: 32 hexadecimal digits over every event in order; empty where there is no trace.
        trace_events: how many events that was.
        holdings: who holds how many rows of what, where the data tells.
        wall_s: seconds that the run took; says nothing about the mesh.
    """

    title: str
    engine: str = "world"
    method: str = "gossip"
    seed: Count
    spec: dict[str, Any]
    versions: dict[str, str]
    faults: tuple[str, ...] = ()
    complete: bool = True
    reached_us: Count
    families: tuple[str, ...]
    samples: tuple[Sample, ...]
    judged: tuple[JudgedPeer, ...] = ()
    mesh: tuple[Snapshot, ...] = ()
    bytes_sent: tuple[Count, ...]
    bytes_received: tuple[Count, ...]
    wire_sent: tuple[Count, ...] = ()
    topics: dict[str, Count]
    frames: dict[str, Count]
    cycles: Count
    trainings: Count
    trace_hash: str
    trace_events: Count
    holdings: dict[str, Any] | None = None
    wall_s: float = field(compare=False)

    def as_json(self) -> str:
        """One JSON object without single peers; numbers that do not exist (NaN) become null."""
        kept = {
            part.name: getattr(self, part.name) for part in fields(self) if part.name not in DETAILS
        }
        kept["samples"] = [asdict(sample) for sample in self.samples]
        return readable({"format": FORMAT, **kept})


def versions() -> dict[str, str]:
    """Releases of Hedgerow and of what its arithmetic rests on; `none` where not installed."""
    found = {"python": platform.python_version()}
    for name in ("hedgerow", "numpy", "torch"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "none"
    return found


@contextmanager
def whole_file(path: Path, *, append: bool = False, keep: Path | None = None) -> Iterator[TextIO]:
    """A text file that appears under its name only if the block ends well.

    Args:
        path: of the file.
        append: go on with what is in `part_of(path)`.
        keep: while this file is there, what has been written so far stays in `part_of(path)` even
            if the block ends badly.

    Raises:
        StateError: the folder cannot be made or the file cannot be written.
    """
    with whole_bytes(path, append=append, keep=keep) as stream:
        text = TextIOWrapper(stream, encoding="utf-8")
        try:
            yield text
        finally:
            text.detach()  # flushes


@contextmanager
def whole_bytes(
    path: Path, *, append: bool = False, keep: Path | None = None
) -> Iterator[BinaryIO]:
    """The same for a file that is no text.

    Raises:
        StateError: as `whole_file`. Faults of anything else within the block pass as they are.
    """
    part = part_of(path)
    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = Part(part, path, append=append)
    try:
        with BufferedWriter(raw) as stream:
            yield stream
            stream.flush()
            with written(path):
                os.fsync(stream.fileno())
        with written(path):
            part.replace(path)
    except BaseException:  # an interrupt too must not leave half a file behind
        if keep is None or not keep.exists():
            part.unlink(missing_ok=True)
        raise


def part_of(path: Path) -> Path:
    """Under which name a file is written until it is whole."""
    return path.with_name(f".{path.name}.part")


def make_folder(folder: Path) -> None:
    """Make a folder for results and try it, before the work whose results it is to hold.

    Raises:
        StateError: it cannot be made, or takes no files.
    """
    probe = folder / ".probe.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # a run beside this one may try it, too
    except OSError as error:
        raise StateError(
            f"{folder}: cannot be written ({error.strerror}); choose another place with --out"
        ) from error


def save(result: Result, folder: Path) -> Path:
    """Write `result.json`, `peers.jsonl` and `mesh.jsonl` into `folder`; gives the first's path.

    `result.json` comes last, so that where it stands the others belong to it.

    Raises:
        StateError: a file cannot be written.
    """
    with whole_file(folder / PEERS) as stream:
        for row in result.judged:
            judgement = asdict(row.judgement)
            for key in BY_FAMILY:
                shares = zip(result.families, judgement[key], strict=True)
                judgement[key] = {name: share for name, share in shares if not isnan(share)}
            stream.write(one_line({"at_us": row.at_us, "peer": row.peer, **judgement}))
    with whole_file(folder / MESH) as stream:
        for snapshot in result.mesh:
            stream.write(one_line(asdict(snapshot)))
    path = folder / RESULT
    with whole_file(path) as stream:
        stream.write(result.as_json())
    return path


def load(folder: Path, *, details: bool = False, moments: frozenset[int] | None = None) -> Result:
    """Read back what `save` wrote.

    Args:
        folder: of the results.
        details: read the single peers and the mesh over time, too; they are empty otherwise.
        moments: simulated microseconds of the samples whose details are wanted, since those of all
            samples may be large; None is all.

    Raises:
        StateError: a file is missing, cannot be read, is too large, is damaged, or was written by
            another version of Hedgerow.
    """
    path = folder / RESULT
    found = _decoded(_read(path, RESULT_BYTES_MAX), str(path))
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        raise StateError(
            f"{path}: no result that this version of Hedgerow reads (it reads format {FORMAT}); "
            f"run the scenario again"
        )
    try:
        found["samples"] = with_nan(found.get("samples"))
    except RecursionError as error:
        raise StateError(f"{path}: nested too deeply; {_AGAIN}") from error
    result = _converted(found, Result, str(path))
    if len(result.bytes_sent) != len(result.bytes_received):
        raise StateError(f"{path}: counts bytes of different numbers of nodes; {_AGAIN}")
    if not details:
        return result
    families = {name: number for number, name in enumerate(result.families)}
    judged = []
    for place, line in _lines(folder / PEERS, moments):
        judged.append(_judged(line, families, place))
    mesh = [_converted(line, Snapshot, place) for place, line in _lines(folder / MESH, moments)]
    return replace(result, judged=tuple(judged), mesh=tuple(mesh))


_AGAIN = "it is damaged; run the scenario again"


def _judged(line: Any, families: dict[str, int], place: str) -> JudgedPeer:
    if not isinstance(line, dict) or not all(isinstance(line.get(key), dict) for key in BY_FAMILY):
        raise StateError(f"{place}: no judged peer; {_AGAIN}")
    judgement = with_nan({key: line[key] for key in line if key not in {"at_us", "peer"}})
    for key in BY_FAMILY:
        judgement[key] = [nan] * len(families)
        for name, share in line[key].items():
            if name not in families or not isinstance(share, float):
                raise StateError(f"{place}: family {name[:80]!r} is none of the result's; {_AGAIN}")
            judgement[key][families[name]] = share
    row = {"at_us": line.get("at_us"), "peer": line.get("peer")}
    return _converted({**row, "judgement": judgement}, JudgedPeer, place)


_MOMENT = re.compile(rb'\{"at_us": (\d{1,18}),')


def _lines(path: Path, moments: frozenset[int] | None) -> Iterator[tuple[str, Any]]:
    """The lines of these moments, decoded; one that does not tell its moment is not passed by."""
    lines = _read(path, DETAILS_BYTES_MAX).splitlines()
    for number, line in enumerate(lines, 1):
        told = None if moments is None else _MOMENT.match(line)
        if told is None or moments is None or int(told[1]) in moments:
            place = f"{path}, line {number}"
            yield place, _decoded(line, place)


def _read(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(bytes_max + 1)
    except OSError as error:
        raise StateError(
            f"{path}: cannot be read ({error.strerror}); name a folder that "
            f"`hedgerow simulate --out` wrote"
        ) from error
    if len(data) > bytes_max:
        raise StateError(f"{path}: larger than {format_size(bytes_max)}; {_AGAIN}")
    return data


def _decoded(data: bytes, place: str) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StateError(f"{place}: not JSON ({error}); {_AGAIN}") from error


def _converted(value: Any, kind: type[T], place: str) -> T:
    try:
        return msgspec.convert(value, kind, str_keys=True)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise StateError(f"{place}: {error}; {_AGAIN}") from error
