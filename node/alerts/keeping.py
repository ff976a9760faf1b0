"""A file of alerts that outlives a disk that is full or read-only for a while."""

from collections import deque
from pathlib import Path

from node.alerts.appending import LineFile

KEPT_LINES_MAX = 1_000
KEPT_BYTES_MAX = 4 * 2**20
"""What memory holds while the disk refuses: 100 minutes of alerts at the default rate, each of at
most 4 kB (measured: 2.0 kB with five samples and five features). Our choice."""

RETRY_S_MIN, RETRY_S_MAX = 1.0, 60.0
"""Pause between two attempts, doubled after each. Our choice: a minute after the disk is mended all
is written."""


class KeepingFile:
    """Appends lines in order; what the disk refuses waits in memory and is written later.

    Nobody who waits for room loses an alert unless more wait than memory may hold; then the oldest
    go, and are counted, for the newest tell of what goes on now.

    Args:
        path: see `LineFile`.

    Attributes:
        written: lines on disk.
        lost: lines given up.

    Raises:
        StateError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.written = 0
        self.lost = 0
        self._file = LineFile(path)
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._pause_s = RETRY_S_MIN
        self._again_s = 0.0

    @property
    def waiting(self) -> int:
        """Lines that the disk refused so far."""
        return len(self._waiting)

    def append(self, line: bytes, now_s: float) -> bool:
        """Write a line behind those that wait; True once it is on disk, False while it waits.

        Args:
            line: without its line break.
            now_s: any clock that does not go back.
        """
        self._waiting.append(line)
        self._bytes += len(line)
        if len(self._waiting) > 1:
            self.retry(now_s)
        elif not self._flush():
            self._again_s = now_s + self._pause_s
        while len(self._waiting) > KEPT_LINES_MAX or self._bytes > KEPT_BYTES_MAX:
            self._bytes -= len(self._waiting.popleft())
            self.lost += 1
        return not self._waiting

    def retry(self, now_s: float) -> None:
        """Write what waits, if it is time to try again. Call now and then."""
        if not self._waiting or now_s < self._again_s:
            return
        before = len(self._waiting)
        if self._flush() or len(self._waiting) < before:
            self._pause_s = RETRY_S_MIN
        else:
            self._pause_s = min(RETRY_S_MAX, 2 * self._pause_s)
        self._again_s = now_s + self._pause_s

    def give(self) -> tuple[bytes, ...]:
        """The lines that wait, which are another file's to write from now on."""
        given = tuple(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return given

    def close(self) -> None:
        """Try once more; what still waits is lost."""
        self._flush()
        self.lost += len(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        self._file.close()

    def _flush(self) -> bool:
        while self._waiting and self._file.append(self._waiting[0]):
            self._bytes -= len(self._waiting.popleft())
            self.written += 1
        return not self._waiting
