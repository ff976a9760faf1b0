"""What writing in a state folder takes: one at a time, and names that outlive a power cut."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG

from gossip.errors import StateError


def sync_folder(folder: Path) -> None:
    """Make names that were given or changed in a folder durable.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One writer at a time in a state folder: what another one says meanwhile must not be lost.

    Raises:
        StateError: there is no such folder, or it cannot be opened.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StateError(
            f"{folder}: cannot be opened ({error.strerror}); name the node's state folder"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_small(path: Path, most: int) -> bytes | None:
    """A small file, at most `most` bytes of it and one more; None where there is none.

    A pipe in its place holds up neither a command nor a training.

    Raises:
        StateError: it cannot be read, or is no regular file.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as stream:
            if not S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise StateError(f"{path}: is no regular file; move it away")
            return stream.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            f"{path}: cannot be read ({error.strerror}); make it a file that the node's user may "
            "read, or move it away"
        ) from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
