"""Follows a log that a sensor is writing, through rotations and restarts of either side.

The guarantee. From the first line that was read on, every line that is written, or copied to a
rotated file in the same directory (see `rotation.siblings`), comes out once and in order, provided
that `Follower.position` is saved together with what the lines led to and given back at the next
start. Lines come out when their end has been written; what a rotated file holds after its last
newline comes out as a line when it is left.

What cannot be guaranteed:

- Copy-truncate loses what the sensor writes between the copy and the truncation. (Use rename.) If
  no copy is found, what was not read before the truncation is gone, too: `gaps` counts that.
- A log that is truncated and written again with the same first bytes and to at least the same
  length between two polls looks as if it had only grown.
- A rotated file that was deleted, or moved to another directory while nobody followed, is a gap.
- Of a log that is rotated before its first line was read, only the file in place is read.
"""

import os
from pathlib import Path
from typing import Self

from gossip.errors import SensorError
from node.sensors.lines import LineSplitter, cure
from node.sensors.rotation import (
    DAMAGED,
    HEAD_BYTES_MAX,
    Position,
    digest,
    inode_of,
    is_packed,
    locate,
    open_rotated,
    siblings,
)

CHUNK_BYTES = 1 << 16
STEPS_MAX = 1_024  # chunks and changes of file in one poll
NOWHERE = Position(inode=0, offset=0, head_bytes=0, head=digest(b""))


class _Open:
    """A file being read: the log itself, or one of its rotated files."""

    def __init__(self, path: Path, offset: int) -> None:
        self.stream = open_rotated(path)
        self.inode = os.fstat(self.stream.fileno()).st_ino
        self.base = offset
        self.splitter = LineSplitter()
        self.stream.seek(0)
        self.head = self.stream.read(min(HEAD_BYTES_MAX, offset))
        self.stream.seek(offset)

    @property
    def consumed(self) -> int:
        """Offset up to which whole lines were given out."""
        return self.base + self.splitter.consumed

    def position(self) -> Position:
        head = self.head[: self.consumed]
        return Position(self.inode, self.consumed, len(head), digest(head))

    def take(self, count: int) -> bytes:
        """The next bytes, at most `count`; empty at the end."""
        chunk = self.stream.read(count)
        if len(self.head) < HEAD_BYTES_MAX:
            self.head = (self.head + chunk)[:HEAD_BYTES_MAX]
        return chunk

    def is_intact(self) -> bool:
        """Whether the file still begins as it did and has not shrunk below what was read."""
        if is_packed(self.stream):
            return True
        handle = self.stream.fileno()
        here = self.stream.tell()
        if os.fstat(handle).st_size < here:
            return False
        return os.pread(handle, len(self.head), 0) == self.head


class Follower:
    """Gives out the lines of a log as they come. Never waits; call `poll` now and then.

    Args:
        path: the log; it need not exist yet.
        position: where an earlier life stopped; None to begin with the file that is in place.

    Raises:
        SensorError: the path is that of a packed file, which does not grow.
    """

    def __init__(self, path: Path, position: Position | None = None) -> None:
        if path.suffix == ".gz":
            raise SensorError(f"cannot follow {path}: a packed file does not grow; read it whole")
        self._path = path
        self._position = position or NOWHERE
        self._open: _Open | None = None
        self.gaps = 0
        """Times when the file last read was found nowhere, so that lines may be missing."""
        self.overlong = 0
        """Lines that were too long and were passed over (`lines.LINE_BYTES_MAX`)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> Position:
        """How far the lines given out reach."""
        return self._position

    def poll(self, bytes_max: int = 1 << 20) -> list[bytes]:
        """The lines that have been completed since, without their ends.

        Args:
            bytes_max: reads no more than this; call again at once if the lines were many.

        Raises:
            SensorError: the log is there and cannot be read.
        """
        lines: list[bytes] = []
        try:
            for _ in range(STEPS_MAX):
                taken = self._step(lines, min(CHUNK_BYTES, bytes_max))
                if taken is None:
                    break
                bytes_max -= taken
                if bytes_max <= 0:
                    break
        except OSError as error:
            self.close()
            if lines:  # the position is past them already; the next poll meets the error again
                return lines
            raise SensorError(f"cannot follow {self._path}: {cure(error)}") from None
        return lines

    def close(self) -> None:
        """Close the file. A later poll goes on from the position."""
        if self._open is not None:
            self._open.stream.close()
            self._open = None

    def _step(self, lines: list[bytes], count: int) -> int | None:
        """Read one chunk, or go on to the next file; bytes read, or None when all is read."""
        current = self._open or self._resume()
        if current is None:
            return None
        if not current.is_intact():
            self.close()  # truncated: what was not read may be in a copy
            return 0
        # Asked before the read: what was written before the new file came is then in the read.
        left = self._is_left(current)
        try:
            chunk = current.take(count)
        except DAMAGED:
            if not is_packed(current.stream):
                raise
            self.gaps += 1
            chunk, left = b"", True
        if chunk:
            for line in current.splitter.feed(chunk):
                self._give(lines, line)
            self._advance(current)
            return len(chunk)
        if not left:
            return None
        return None if self._leave(current, lines) is None else 0

    def _give(self, lines: list[bytes], line: bytes | None) -> None:
        if line is None:
            self.overlong += 1
        else:
            lines.append(line)

    def _advance(self, current: _Open) -> None:
        """Move the position, but never to a file of which no line was read yet."""
        if current.consumed:
            self._position = current.position()

    def _is_left(self, current: _Open) -> bool:
        """Whether the sensor has gone on to another file, of which something is written.

        A new file without a byte is no proof: logrotate creates it before the sensor is told.
        """
        if is_packed(current.stream):
            return True
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return False
        return status.st_ino != current.inode and status.st_size > 0

    def _leave(self, current: _Open, lines: list[bytes]) -> _Open | None:
        """Give out what the file holds after its last newline and open the next one."""
        tail = current.splitter.finish()
        if tail:
            lines.append(tail)
        self._advance(current)
        rotated = siblings(self._path)
        # While it is open no other file can have its inode, so that is looked for first. It has
        # another one if it was packed meanwhile.
        inodes = [inode_of(sibling) for sibling in rotated]
        found = inodes.index(current.inode) if current.inode in inodes else None
        place = locate(self._position, rotated) if found is None else found
        self.close()
        if place is None:
            return self._start(self._path, 0)  # moved elsewhere, but it was read to its end
        return self._start((*rotated, self._path)[place + 1], 0)

    def _resume(self) -> _Open | None:
        """Open the file that the position is in; None while there is none."""
        position = self._position
        if position != NOWHERE and self._path.parent.is_dir():
            files = [*siblings(self._path), self._path]
            place = locate(position, files)
            if place is not None:
                return self._start(files[place], position.offset)
            if self._path.exists():
                self.gaps += 1
        return self._start(self._path, 0)

    def _start(self, path: Path, offset: int) -> _Open | None:
        try:
            self._open = _Open(path, offset)
        except FileNotFoundError:  # not there yet, or renamed between two looks
            return None
        return self._open
