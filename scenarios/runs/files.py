"""Files and folders of results: whose fault it is that one cannot be written, and who may."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from gossip.errors import StateError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Part(FileIO):
    """A file whose own faults, such as a full disk, name what it is to become.

    Args:
        part: where it is written.
        path: what it is to become.
        append: go on at its end; else begin anew.
    """

    def __init__(self, part: Path, path: Path, *, append: bool = False) -> None:
        super().__init__(part, "a" if append else "w")
        self._path = path

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write some bytes; gives how many.

        Raises:
            StateError: they cannot be written.
        """
        with written(self._path):
            return super().write(data)


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Within the block a fault of the system is one of writing this file.

    Raises:
        StateError: so it is.
    """
    try:
        yield
    except OSError as error:
        raise StateError(
            f"{path}: cannot be written ({error.strerror}); choose another place with --out"
        ) from error


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Within the block no other run or sweep writes to this folder.

    Two that write the same files would spoil each other's. The system lets go of it when the
    process ends, however it ends.

    Raises:
        StateError: another one does.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"{folder}: another run is at work there; wait for its end, or choose another "
                "place with --out"
            ) from error
        yield
    finally:
        os.close(descriptor)
