"""A file of lines that other programs follow while we append to it."""

import os
from pathlib import Path
from stat import S_ISREG

from gossip.errors import StateError

# A pipe put in the file's place, which nobody reads, must not hold up the loop.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_MODE = 0o640  # log shippers read through their group


class LineFile:
    """Appends whole lines, each in one write, and survives rotation and a full disk.

    After a write that the disk cut short, the next line begins with a line break, so that at most
    the torn line is lost to a reader. The file is never shortened: whoever follows it would take
    that for a rotation and read everything again.

    Args:
        path: made with mode 0640, as are its missing parent folders with theirs.

    Raises:
        StateError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._torn = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._reopen()
        except OSError as error:
            raise StateError(
                f"{path}: cannot be written ({error.strerror}); check the path and its permissions"
            ) from error

    def append(self, line: bytes) -> bool:
        """Append a line without its line break; False if the disk refused it or a part of it."""
        data = (b"\n" if self._torn else b"") + line + b"\n"
        try:
            if self._moved():
                self._reopen()
                data = (b"\n" if self._torn else b"") + line + b"\n"
            written = os.write(self._descriptor, data)
        except OSError:
            return False
        self._torn = written < len(data)
        return not self._torn

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _moved(self) -> bool:
        """Whether the path no longer leads to the open file: it was rotated or removed."""
        if self._descriptor < 0:
            return True
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        here = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _reopen(self) -> None:
        self.close()
        self._descriptor = os.open(self._path, _FLAGS, _MODE)
        self._torn = self._ends_within_a_line()

    def _ends_within_a_line(self) -> bool:
        about = os.fstat(self._descriptor)
        if not S_ISREG(about.st_mode) or about.st_size == 0:
            return False
        with self._path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) != b"\n"
