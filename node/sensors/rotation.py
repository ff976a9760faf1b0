"""Where a followed log has got to, and where its lines went when it was rotated."""

import gzip
import re
import zlib
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from gossip.errors import StateError

HEAD_BYTES_MAX = 256
"""So many first bytes tell one file from another. An EVE line begins with its time and its flow's
number, a Zeek log with the time it was opened, so two logs of one sensor differ early."""

SIBLINGS_MAX = 64  # rotated files looked at; logrotate keeps 4 by default, Suricata's guide says 3
NUMBER_DIGITS_MAX = 4  # eve.json.12 is the twelfth last; eve.json.20261123 is a day

DAMAGED = (OSError, EOFError, zlib.error)
"""What reading a rotated file may raise: it vanished, is still being packed, or is broken."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a log was read, to be saved in one transaction with what its lines led to.

    Args:
        inode: of the file; 0 for none.
        offset: bytes read, up to the end of a line; of a packed file, its unpacked bytes.
        head_bytes: how many first bytes of the file `head` speaks of, at most `HEAD_BYTES_MAX`.
        head: BLAKE2b hash of these, hexadecimal, 32 characters.
    """

    inode: int
    offset: int
    head_bytes: int
    head: str

    def dump(self) -> bytes:
        """As bytes for the state directory."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def load(cls, data: bytes) -> "Position":
        """From `dump`.

        Raises:
            StateError: the bytes are damaged.
        """
        try:
            position = msgspec.msgpack.decode(data, type=cls)
        except (ValueError, msgspec.MsgspecError) as error:
            raise StateError(f"the saved position in a log is damaged: {error}") from None
        if not (0 <= position.head_bytes <= min(HEAD_BYTES_MAX, position.offset)):
            raise StateError("the saved position in a log is damaged: its numbers contradict")
        return position

    def is_in(self, stream: BinaryIO) -> bool:
        """Whether this is the file that was read, and still as long at least. Moves the stream."""
        stream.seek(0)
        if digest(stream.read(self.head_bytes)) != self.head:
            return False
        stream.seek(self.offset)
        if self.offset:  # seeking beyond the end is allowed, reading the last byte is not
            stream.seek(self.offset - 1)
            return bool(stream.read(1))
        return True


def digest(head: bytes) -> str:
    """Hash of a file's first bytes."""
    return blake2b(head, digest_size=16).hexdigest()


def siblings(path: Path) -> list[Path]:
    """The rotated files of a log, oldest first, at most the newest `SIBLINGS_MAX`.

    Known are `eve.json.1` (the higher, the older), and dates or times after the name or before the
    suffix (`eve.json-20261123`, `conn.2026-11-23-10-00-00.log`), each also with `.gz`. While a file
    is being packed both forms exist; the plain one counts.
    """
    name, stem, suffix = (re.escape(part) for part in (path.name, path.stem, path.suffix))
    stamp = r"[.-](\d[\d:T_.-]*?)"
    pattern = re.compile(rf"(?:{name}{stamp}|{stem}{stamp}{suffix})(\.gz)?")
    found: dict[str, tuple[tuple[int, str], Path]] = {}
    for entry in sorted(file.name for file in path.parent.iterdir()):  # plain before packed
        match = pattern.fullmatch(entry)
        if match and entry != path.name:
            mark = match[1] or match[2]
            short = mark.isdigit() and len(mark) <= NUMBER_DIGITS_MAX
            found.setdefault(
                entry.removesuffix(".gz"), ((-int(mark) if short else 0, mark), path.parent / entry)
            )
    return [sibling for _, sibling in sorted(found.values())][-SIBLINGS_MAX:]


def locate(position: Position, candidates: list[Path]) -> int | None:
    """Which of the files holds a position; the inode only says where to look first."""
    if not position.head_bytes:
        return None
    places = sorted(
        range(len(candidates)),
        key=lambda place: (inode_of(candidates[place]) != position.inode, -place),
    )
    for place in places:
        try:
            with open_rotated(candidates[place]) as stream:
                if position.is_in(stream):
                    return place
        except DAMAGED:
            continue
    return None


def inode_of(path: Path) -> int:
    """The file's inode; 0 where there is no file."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def open_rotated(path: Path) -> BinaryIO:
    """A file's own bytes, unpacked where its name ends in `.gz`.

    Raises:
        OSError: it cannot be opened.
    """
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def is_packed(stream: BinaryIO) -> bool:
    """Whether a stream of `open_rotated` unpacks; such a file grows no more."""
    return isinstance(stream, gzip.GzipFile)
