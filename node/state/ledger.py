"""The ledger: what became part of the model, one line an entry, each bound to the one before.

    ledger-000001.jsonl   {"n":1,"at_s":…,"what":"begin",…,"before":"00…"}
                          {"n":2,"at_s":…,"what":"merge",…,"before":BLAKE2b of the line above}
    ledger-000002.jsonl   goes on where the file before ended

An entry holds the BLAKE2b-256 of the line before it, so none can be changed, taken out or put in
without every later one telling (Haber and Stornetta, "How to time-stamp a digital document", 1991).
A checkpoint, at the end of each file and at each stop, is signed with the node's key. A snapshot
tells how far the ledger went, so a tail that was cut off is missed.

Noting is cheap and touches no disk; `flush` writes, in the thread that saves snapshots, before each
of them. The disk may refuse: then entries wait, a bounded number of them, and what is lost is
counted in an entry of its own. Nothing else waits for the ledger.
"""

import json
import os
import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from gossip.contacts import PeerId
from gossip.errors import StateError
from node.durable import sync_folder

FILES = 4
"""Files that the bound is spread over: the oldest quarter goes at once. Our choice."""

WAITING_MAX = 4_096
"""Entries that wait for a disk that refuses: a megabyte and a half, and eleven hours of one merge
in each cycle of 10 s. Our choice."""

LINE_BYTES_MAX = 64 * 1_024
"""Of an entry: one of a merge of all 256 fragments has 20 kB (`MeshSettings.fragments`)."""

HASH_BYTES = 32
NOTHING = "0" * (2 * HASH_BYTES)
"""What the first entry of all holds in place of a hash."""

CHECKPOINT = "checkpoint"
MISSING = "missing"
DAMAGE = "damage"

_NUMBER_MAX = 2**62
_NAME = re.compile(r"ledger-([0-9]{6})\.jsonl")


class Signs(Protocol):
    """Whoever signs checkpoints, and checks them; `node.p2p.seal.Ed25519Seal` does."""

    def sign(self, body: bytes) -> bytes:
        """Its signature of the body."""

    def verifies(self, origin: PeerId, body: bytes, signature: bytes) -> bool:
        """Whether the origin signed the body."""


def files(folder: Path) -> list[tuple[int, Path]]:
    """Number and path of each file of a folder's ledger, oldest first.

    Raises:
        StateError: the folder cannot be read.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise StateError(
            f"{folder}: cannot be read ({error.strerror}); name the state folder of a node with "
            "--state-dir or --config"
        ) from error
    return [(int(m[1]), folder / m[0]) for m in map(_NAME.fullmatch, names) if m]


def hash_of(line: bytes) -> str:
    """64 hexadecimal digits of a line, without its end."""
    return blake2b(line, digest_size=HASH_BYTES).hexdigest()


def signed_body(number: int, before: str) -> bytes:
    """What a checkpoint's signature is over: its number, and all that came before it."""
    return f"hedgerow ledger checkpoint {number} {before}".encode()


class Ledger:
    """Writes a folder's ledger. One at a time: whoever holds the lock of the state folder.

    Args:
        folder: the state folder.
        me: this node.
        seal: signs checkpoints.
        size_bytes_max: of all files together.
        noted: the last number that a snapshot knows of; what is missing up to it is said.
        now_s: seconds since 1970.

    Attributes:
        number: of the last entry noted.
        lost: entries that a disk kept from being written, since the start.
        trouble: why nothing is written now; empty while all is well.

    Raises:
        StateError: the ledger cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        me: PeerId,
        seal: Signs,
        size_bytes_max: int,
        noted: int = 0,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.lost = 0
        self.trouble = ""
        self._folder, self._me, self._seal, self._now_s = folder, me, seal, now_s
        self._file_bytes_max = max(LINE_BYTES_MAX, size_bytes_max // FILES)
        self._waiting: deque[dict[str, Any]] = deque()
        self._unsaid_lost = 0
        self._lock = Lock()
        self._flushing = Lock()
        self._file, self.number, self._hash, reason = _resumed(folder)
        if reason:
            self.note(DAMAGE, detail=reason)
        if noted > self.number:
            first, self.number = self.number + 1, noted
            self.note(MISSING, first=first, last=noted)

    def note(self, what: str, **about: Any) -> None:
        """Have an entry written soon.

        Args:
            what: kind of entry.
            about: what JSON can hold.
        """
        with self._lock:
            if len(self._waiting) >= WAITING_MAX:
                self.lost += 1
                self._unsaid_lost += 1
                return
            if self._unsaid_lost:
                self._append("lost", {"entries": self._unsaid_lost})
                self._unsaid_lost = 0
            self._append(what, about)

    def _append(self, what: str, about: dict[str, Any]) -> None:
        self.number += 1
        at_s = round(self._now_s(), 3)
        self._waiting.append({"n": self.number, "at_s": at_s, "what": what, **about})

    def flush(self) -> None:
        """Write what waits, durably. Does not raise: see `trouble`."""
        with self._flushing:
            try:
                while self._waiting:
                    self._write_some()
            except OSError as error:
                self.trouble = f"the ledger cannot be written ({error.strerror})"
            else:
                self.trouble = ""

    def checkpoint(self) -> None:
        """Sign all that came so far, and write it. Does not raise."""
        if self.number:
            self._note_checkpoint()
        self.flush()

    def _note_checkpoint(self) -> None:
        with self._lock:
            self._append(CHECKPOINT, {"peer": self._me})

    def _write_some(self) -> None:
        """Up to the next checkpoint; a file that is full ends with one, and another begins.

        Raises:
            OSError: the disk refused; nothing was written.
        """
        with self._lock:
            batch = list(self._waiting)
        ends = [place for place, entry in enumerate(batch) if entry["what"] == CHECKPOINT]
        batch = batch[: ends[0] + 1] if ends else batch
        lines, before = [], self._hash
        for entry in batch:
            lines.append(self._line(entry, before))
            before = hash_of(lines[-1])
        size = self._write(b"".join(line + b"\n" for line in lines))
        self._hash = before
        with self._lock:
            for _ in batch:
                self._waiting.popleft()
        if size < self._file_bytes_max:
            return
        if ends:
            self._file += 1
            for _, path in files(self._folder)[: 1 - FILES]:
                path.unlink(missing_ok=True)
        else:
            self._note_checkpoint()

    def _line(self, entry: dict[str, Any], before: str) -> bytes:
        if entry["what"] == CHECKPOINT:
            signature = self._seal.sign(signed_body(entry["n"], before))
            entry = {**entry, "signature": signature.hex()}
        whole = {**entry, "before": before}
        return json.dumps(whole, separators=(",", ":"), allow_nan=False).encode()

    def _write(self, data: bytes) -> int:
        """Append in one piece, or not at all; the file's size then.

        Raises:
            OSError: the disk refused.
        """
        path = self._folder / f"ledger-{self._file:06d}.jsonl"
        new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size, left = os.fstat(descriptor).st_size, data
            try:
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fdatasync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if new:
            sync_folder(self._folder)
        return size + len(data)


def _resumed(folder: Path) -> tuple[int, int, str, str]:
    """Where a ledger goes on.

    A last line that a crash cut short was never an entry and goes. Where the last whole line is
    none of ours, the file stays as it is and a new one begins, with no hash before it.

    Returns:
        Number of the file to write, of the last entry, its hash, and what is wrong, if anything.

    Raises:
        StateError: it cannot be read, or not be mended.
    """
    found = files(folder)
    if not found:
        return 1, 0, NOTHING, ""
    number, path = found[-1]
    try:
        cut = _cut_tail(path)
        last = _last_line(found[-2][1] if cut == 0 and len(found) > 1 else path)
    except OSError as error:
        raise StateError(
            f"{path}: cannot be read or written ({error.strerror}); mend the permissions, or move "
            "the ledger's files away"
        ) from error
    if not last:
        return number, 0, NOTHING, ""
    try:
        entry = json.loads(last)
        return number, _count(entry), hash_of(last), ""
    except (ValueError, KeyError, TypeError) as error:
        return number + 1, 0, NOTHING, f"{path.name} ends with what is no entry ({error!r})"


def _count(entry: Any) -> int:
    number = entry["n"]
    if type(number) is not int or not 0 < number < _NUMBER_MAX:
        raise ValueError("its number is none")
    return number


def _cut_tail(path: Path) -> int:
    """Remove what stands behind the last line's end; the size then."""
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(0, size - LINE_BYTES_MAX)
        stream.seek(start)
        end = start + stream.read().rfind(b"\n") + 1
        if end > start or start == 0:
            if end < size:
                stream.truncate(end)
            return end
        return size


def _last_line(path: Path) -> bytes:
    """Without its end; empty where there is none."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - LINE_BYTES_MAX))
        return stream.read().rstrip(b"\n").rpartition(b"\n")[2]
