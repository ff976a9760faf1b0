"""Generation files: one whole snapshot's arrays each, written so that a crash leaves no half.

A generation is a safetensors file named after its number and the digest of its content, with the
snapshot's small state as metadata. The name makes it checkable without the database, so a lost or
damaged database costs nothing but itself.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from gossip.errors import StateError
from node.durable import sync_folder
from node.state.formats import FORMAT, upgraded
from node.state.snapshot import Snapshot

__all__ = ["Generation", "Snapshot", "listed", "read", "set_aside", "write", "write_whole"]

DIGEST_BYTES = 16
FILE_BYTES_MAX = 256 * 2**20  # a full reservoir of 100,000 rows of 26 float32 features is 10 MiB
ARRAYS_MAX = 256
SMALL_CHARS_MAX = 4 * 2**20

_NAME = re.compile(r"generation-([0-9]{12})-([0-9a-f]{32})\.safetensors")
_HEADER_BYTES = 8  # safetensors: length of the JSON header, little-endian


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation's number, the digest of its file's content, and the file's name."""

    number: int
    digest: str

    @property
    def name(self) -> str:
        """Of the file."""
        return f"generation-{self.number:012d}-{self.digest}.safetensors"


def write(folder: Path, number: int, snapshot: Snapshot) -> Generation:
    """Write a snapshot and make it durable; it is complete under its name or not there at all.

    Raises:
        StateError: it is over a bound, holds what cannot be stored, or the disk refused it.
    """
    data = _encode(snapshot)
    generation = Generation(number, digest_of(data))
    write_whole(folder / generation.name, data)
    return generation


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves either all of it, durable, or nothing under its name.

    Raises:
        StateError: the disk refused it; nothing is left behind.
    """
    temporary = path.with_suffix(".tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StateError(
            f"{path}: cannot be written ({error.strerror}); free some space or mend the "
            "permissions. What was saved before is untouched"
        ) from error


def read(folder: Path, generation: Generation) -> Snapshot | None:
    """The snapshot, or None if the file is missing, damaged, or not what its digest says.

    Raises:
        StateError: the file cannot be read, which says nothing about its content; or it is whole
            and of a format that this Hedgerow does not know (`node.state.formats`).
    """
    path = folder / generation.name
    try:
        with path.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            f"{path}: cannot be read ({error.strerror}); mend the permissions"
        ) from error
    if len(data) > FILE_BYTES_MAX or digest_of(data) != generation.digest:
        return None
    try:
        header = json.loads(
            data[_HEADER_BYTES : _HEADER_BYTES + int.from_bytes(data[:8], "little")]
        )
        about = json.loads(header["__metadata__"]["snapshot"])
        told = about.get("format")
        cycle, small = int(about["cycle"]), dict(about["small"])
        arrays = safetensors.numpy.load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The digest fits, so this is no damage.
        raise StateError(
            f"{path}: is whole, but holds no snapshot that this Hedgerow understands ({error!r}); "
            "go back to the release that wrote it, or name another node.state_dir. Nothing was "
            "changed"
        ) from error
    return upgraded(Snapshot(cycle, arrays, small), told, str(path))


def listed(folder: Path) -> Iterator[Generation]:
    """Every generation whose file lies in the folder, newest first."""
    names = sorted((entry.name for entry in folder.iterdir()), reverse=True)
    for match in map(_NAME.fullmatch, names):
        if match:
            yield Generation(int(match[1]), match[2])


def set_aside(path: Path) -> Path | None:
    """Rename a file to the first free `NAME.damaged-N`; None if there was no such file."""
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        path.rename(kept)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            f"{path}: is damaged and cannot be renamed ({error.strerror}); move it away by hand"
        ) from error
    return kept


def _encode(snapshot: Snapshot) -> bytes:
    try:
        about = json.dumps(
            {"format": FORMAT, "cycle": snapshot.cycle, "small": snapshot.small},
            allow_nan=False,
            sort_keys=True,
        )
    except (ValueError, TypeError) as error:
        raise StateError(
            f"the small state of cycle {snapshot.cycle} is no JSON: {error}"
        ) from error
    size = sum(array.nbytes for array in snapshot.arrays.values())
    for what, measured, most in (
        ("bytes of arrays", size, FILE_BYTES_MAX // 2),
        ("arrays", len(snapshot.arrays), ARRAYS_MAX),
        ("characters of small state", len(about), SMALL_CHARS_MAX),
    ):
        if measured > most:
            raise StateError(f"a snapshot of {measured} {what} is over the bound of {most}")
    arrays = {name: np.ascontiguousarray(array) for name, array in snapshot.arrays.items()}
    encoded: bytes = safetensors.numpy.save(arrays, metadata={"snapshot": about})
    return encoded


def digest_of(data: bytes) -> str:
    """32 hexadecimal digits that name a file's content, BLAKE2b."""
    return blake2b(data, digest_size=DIGEST_BYTES).hexdigest()
