"""What it takes for a new file's name to outlive a power cut."""

import os
from pathlib import Path


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
