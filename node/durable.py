"""What writing in a state folder takes: one at a time, and names that outlive a power cut."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
