"""What every sensor shares: lines of bounded length, a count of what became of them, a parser."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from gossip.flows import Flow

LINE_BYTES_MAX = 1 << 20
"""A longer line is no record: Suricata's own limit for one event is 64 KiB of payload fields."""

FOLLOWING = "a log that comes later can be followed (follow = true, or without --read-once)"
SAMPLES_MAX = 3
REASON_CHARS_MAX = 160


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that gave no record: its number in the log (from 1) and why."""

    number: int
    reason: str


@dataclass(slots=True)
class ReadStats:
    """What became of the lines so far.

    Args:
        lines: all of them; each is one of the next four, or blank.
        flows: became a `Flow`.
        alerts: Suricata alerts taken as weak labels, or weighed and found to say nothing.
        ignored: sound, but about something else (DNS, statistics, a header).
        bad: gave no record; the first three are kept in `samples`.
        late_alerts: among `alerts`, those whose flow had been logged before; they label nothing.
        received: datagrams or packets, where a sensor sends or sees such.
        refused: of these, that were not taken or could not be read.
        dropped: of these, that the kernel let go because nobody fetched them in time.
        lost: exports that never arrived, by the exporter's own numbers.
    """

    lines: int = 0
    flows: int = 0
    alerts: int = 0
    ignored: int = 0
    bad: int = 0
    late_alerts: int = 0
    received: int = 0
    refused: int = 0
    dropped: int = 0
    lost: int = 0
    samples: list[BadLine] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """Count the present line as bad."""
        self.bad += 1
        self._keep(self.lines, reason)

    def refuse_packet(self, reason: str) -> None:
        """Count the datagram or packet received last as refused."""
        self.refused += 1
        self._keep(self.received, reason)

    def _keep(self, number: int, reason: str) -> None:
        """Keep the first few; of packets, which nobody can look up, each reason once."""
        if len(self.samples) >= SAMPLES_MAX:
            return
        sample = BadLine(number, reason[:REASON_CHARS_MAX])
        if not self.received or all(sample.reason != kept.reason for kept in self.samples):
            self.samples.append(sample)

    def refuse_overlong(self) -> None:
        """Count a line that was longer than `LINE_BYTES_MAX` and was never held in memory."""
        self.lines += 1
        self.refuse(f"longer than {LINE_BYTES_MAX} bytes")


class LineParser(Protocol):
    """Turns one sensor's lines into flows, whether from a whole file or one that is followed."""

    @property
    def stats(self) -> ReadStats:
        """What became of the lines so far."""

    def parse(self, line: bytes) -> Flow | None:
        """The line's flow; None where it holds none. Never raises: a bad line is counted."""

    def snapshot(self) -> bytes:
        """What earlier lines said that later ones need (a header, labels without a flow yet).

        A follower's position is of use only together with this.
        """

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot of the same kind of parser.

        Raises:
            StateError: it is damaged; the parser is as it was before.
        """


class CountingParser(ABC):
    """A `LineParser` but for what lines mean: counts what became of them, and why some are bad."""

    def __init__(self) -> None:
        self._stats = ReadStats()

    @property
    def stats(self) -> ReadStats:
        """See `LineParser`."""
        return self._stats

    def parse(self, line: bytes) -> Flow | None:
        """See `LineParser`; None also for a blank line, which is counted as a line only."""
        self._stats.lines += 1
        if not line.strip():
            return None
        try:
            flow = self._read(line)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            self._stats.refuse(self._complaint(str(error)))
            return None
        if flow is not None:
            self._stats.flows += 1
        return flow

    @abstractmethod
    def _read(self, line: bytes) -> Flow | None:
        """A line's flow; None where it holds none, and then it is counted here.

        Raises:
            ValueError: the line is bad. So is one for which msgspec raises, or that is too deep.
        """

    def _complaint(self, reason: str) -> str:
        """What is said of a bad line."""
        return reason


class LineSplitter:
    """Cuts a stream of chunks into lines and never holds more than `LINE_BYTES_MAX` of a line."""

    def __init__(self) -> None:
        self._tail = b""
        self._skipping = False
        self._fed = 0
        self.consumed = 0
        """Bytes up to the end of the last whole line; a reader that starts there loses nothing."""

    def feed(self, chunk: bytes) -> list[bytes | None]:
        """The lines that the chunk completes, without their ends; None for one that was too long.

        A line that is too long is reported as soon as that is known, and passed over to its end.
        """
        last = chunk.rfind(b"\n")
        if last >= 0:
            self.consumed = self._fed + last + 1
        self._fed += len(chunk)
        if self._skipping:
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                return []
            self._skipping = False
        *whole, self._tail = (self._tail + chunk).split(b"\n")
        parts = [_bounded(part) for part in whole]
        if len(self._tail) > LINE_BYTES_MAX:
            self._tail = b""
            self._skipping = True
            parts.append(None)
        return parts

    def finish(self) -> bytes:
        """The last line, where the stream ended without a newline; empty if there is none."""
        tail, self._tail = self._tail, b""
        self.consumed = self._fed
        return tail.removesuffix(b"\r")


def _bounded(line: bytes) -> bytes | None:
    return line.removesuffix(b"\r") if len(line) <= LINE_BYTES_MAX else None


def cure(error: OSError) -> str:
    """What to do about a log that cannot be read, after the system's own words for why."""
    if isinstance(error, FileNotFoundError):
        return f"{error.strerror}; check the path; {FOLLOWING}"
    if isinstance(error, IsADirectoryError):
        return f"{error.strerror}; name the log file in it, such as eve.json or conn.log"
    return f"{error.strerror or error}; check the path and its permissions"
