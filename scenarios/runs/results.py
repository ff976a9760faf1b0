"""What a run of a scenario gives, and how it is written down: whole files or none."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from math import isnan
from pathlib import Path
from typing import Any, TextIO

from gossip.errors import StateError
from scenarios.measures.measure import Sample


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that a run of a scenario found out.

    Args:
        title: the scenario's.
        seed: the number that, with `spec`, repeats the run.
        spec: the scenario as its file would say it, every default filled in.
        versions: of what computed it; another numpy or torch may round differently.
        samples: the mesh over time, the last one at the end of the run.
        bytes_sent: by each node.
        bytes_received: by each node.
        topics: how often peers reported each topic.
        frames: how many frames were delivered, dropped, unreachable, or shed by a full queue.
        cycles: begun by all peers.
        trainings: completed by all peers.
        trace_hash: 32 hexadecimal digits over every event in order.
        trace_events: how many events that was.
        wall_s: seconds that the run took; says nothing about the mesh.
    """

    title: str
    seed: int
    spec: dict[str, Any]
    versions: dict[str, str]
    samples: tuple[Sample, ...]
    bytes_sent: tuple[int, ...]
    bytes_received: tuple[int, ...]
    topics: dict[str, int]
    frames: dict[str, int]
    cycles: int
    trainings: int
    trace_hash: str
    trace_events: int
    wall_s: float = field(compare=False)

    def as_json(self) -> str:
        """One JSON object; numbers that do not exist (NaN) become null."""
        return json.dumps(_without_nan(asdict(self)), indent=1) + "\n"


def versions() -> dict[str, str]:
    """Releases of Hedgerow and of what its arithmetic rests on; `none` where not installed."""
    found = {"python": platform.python_version()}
    for name in ("hedgerow", "numpy", "torch"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and isnan(value) else value


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A text file that appears under its name only if the block ends well.

    Raises:
        StateError: the folder cannot be made or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("w", encoding="utf-8") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except BaseException:  # an interrupt too must not leave half a file behind
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StateError(
            f"{path}: cannot be written ({error.strerror}); choose another place with --out"
        ) from error


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
    """Write `result.json` into `folder`; gives its path.

    Raises:
        StateError: it cannot be written.
    """
    path = folder / "result.json"
    with whole_file(path) as stream:
        stream.write(result.as_json())
    return path
