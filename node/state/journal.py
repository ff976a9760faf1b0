"""A node's journal: everything its peer was told, so that a run can be replayed exactly.

The file is a sequence of records, each a 4-byte big-endian length and that many bytes of msgpack.
The first is the head: all that is needed to build the same peer again. Every other one is
`[now_us, kind, event, digest of the actions that came of it]`. A record is written with a single
call, so only the last one can be cut short, and the reader stops there.

The journal holds the peer's secret seed and whatever frames it received: keep it private.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from gossip.actions import Action
from gossip.antigens import Seal
from gossip.config import PeerConfig
from gossip.contacts import Contact
from gossip.errors import ConfigError, StateError
from gossip.events import Event
from gossip.fingerprint import Fingerprint
from gossip.peer import Peer

FORMAT = 2
RECORD_BYTES_MAX = 64 * 2**20
DIGEST_BYTES = 16
_LENGTH_BYTES = 4
_FLOATS = (np.dtype("<f4"), np.dtype("<f8"))

# Named, not numbered: a journal stays readable when a kind is added.
_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}


@dataclass(frozen=True, slots=True)
class Head:
    """What a peer is made of; the arguments of `gossip.peer.Peer`.

    Args:
        config: the peer's settings.
        me: its identity and addresses.
        seed: its secret seed.
        fingerprint: what it shares with the peers it merges with.
        vector: its model at the start, float32 `(dim,)`.
        ages: of the fragments, int64 `(fragments,)`; None for a peer that never learned.
        cycle: its cycle at the start.
        sealed: whether it took part in antigens; the seal itself, which holds a key, is not here.
        epoch_s: seconds since 1970 when its driver's clock showed 0.
        format: of the journal.
    """

    config: PeerConfig
    me: Contact
    seed: bytes
    fingerprint: Fingerprint
    vector: NDArray[np.float32]
    ages: NDArray[np.int64] | None = None
    cycle: int = 0
    sealed: bool = False
    epoch_s: float = 0.0
    format: int = FORMAT

    def peer(self, seal: Seal | None = None) -> Peer:
        """A fresh one.

        Args:
            seal: checks signatures as the peer's own did; any node's does. Needed where it was
                sealed, and used nowhere else. The peer itself never signs.

        Raises:
            ValueError: there is none where one is needed.
        """
        if self.sealed and seal is None:
            raise ValueError("a peer that took part in antigens needs a seal")
        return Peer(
            self.config,
            self.me,
            self.seed,
            self.fingerprint,
            self.vector,
            self.ages,
            self.cycle,
            seal if self.sealed else None,
            self.epoch_s,
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One event, when it happened on the driver's clock, and the digest of what came of it."""

    now_us: int
    event: Event
    actions_digest: bytes


class Journal:
    """Writes a journal. It ends by itself at its size limit, and never stops the node.

    Args:
        path: a file that does not exist yet; made with mode 0600.
        head: what the peer is made of.
        size_bytes_max: where the journal ends.

    Attributes:
        ended: why nothing more is written; empty while it goes on.

    Raises:
        StateError: the file exists, or cannot be written.
    """

    def __init__(self, path: Path, head: Head, size_bytes_max: int) -> None:
        self.ended = ""
        self._path = path
        self._left_bytes = size_bytes_max
        try:
            self._descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
        except FileExistsError as error:
            raise StateError(
                f"{path}: exists; a journal belongs to one run, so move it away or name another"
            ) from error
        except OSError as error:
            raise StateError(
                f"{path}: cannot be written ({error.strerror}); check the folder and its "
                "permissions, or name another place with --journal"
            ) from error
        self._append(_pack(head))
        if self.ended:
            os.close(self._descriptor)
            raise StateError(f"{path}: {self.ended}")

    def write(self, event: Event, now_us: int, actions_digest: bytes) -> None:
        """Append a record; what is over the size limit, or the disk refuses, ends the journal."""
        if not self.ended:
            self._append(_pack([now_us, type(event).__name__, event, actions_digest]))

    def close(self) -> None:
        """End the journal."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self.ended = self.ended or "closed"

    def _append(self, body: bytes) -> None:
        record = len(body).to_bytes(_LENGTH_BYTES, "big") + body
        if len(record) > self._left_bytes:
            self.ended = "journal.size_max is reached; the journal ends here"
            return
        try:
            written = os.write(self._descriptor, record)
        except OSError as error:
            self.ended = f"cannot be written ({error.strerror}); the journal ends here"
            return
        if written < len(record):
            self.ended = "the disk is full; the journal ends here"
        self._left_bytes -= written


def digest(actions: Sequence[Action]) -> bytes:
    """16 bytes that differ when any action, its order, or a bit in it does."""
    packed = _pack([[type(action).__name__, action] for action in actions])
    return blake2b(packed, digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Replay:
    """The outcome of a replay.

    Args:
        records: events replayed.
        differing: number (from 0) of the first event whose actions differ; None if none does.
        event: the kind of that event.
    """

    records: int
    differing: int | None = None
    event: str = ""

    @property
    def identical(self) -> bool:
        """Whether the fresh peer did all that the journalled one did, and nothing was skipped."""
        return self.records > 0 and self.differing is None


def replay(path: Path, seal: Seal | None = None) -> Replay:
    """Tell a fresh peer all that the journal's was told, and compare what they do.

    Stops at the first difference: from there on the peers have different pasts.

    Args:
        path: of the journal.
        seal: see `Head.peer`.

    Raises:
        StateError: the file is unreadable, no journal, or damaged other than cut short; or it
            holds no event.
    """
    head, records = read(path)
    peer = head.peer(seal)
    number = -1
    for number, record in enumerate(records):
        if digest(peer.handle(record.event, record.now_us)) != record.actions_digest:
            return Replay(number + 1, number, type(record.event).__name__)
    if number < 0:
        raise StateError(f"{path}: holds no event; let the node run longer with a journal")
    return Replay(number + 1)


def read(path: Path) -> tuple[Head, Iterator[Record]]:
    """The head, and the records as they are asked for.

    Raises:
        StateError: the file is unreadable, no journal, or damaged other than cut short. The
            iterator raises it too.
    """
    bodies = _bodies(path)
    first = next(bodies, None)
    if first is None:
        raise StateError(f"{path}: holds no whole record; it is no journal, or was cut at once")
    head = _unpack(first, Head, f"{path}: record 0")
    if head.format != FORMAT:
        raise StateError(
            f"{path}: has format {head.format}, this Hedgerow reads {FORMAT}; use the one that "
            "wrote it"
        )
    return head, _records(bodies, path)


def _records(bodies: Iterator[bytes], path: Path) -> Iterator[Record]:
    for number, body in enumerate(bodies, start=1):
        where = f"{path}: record {number}"
        now_us, kind, event, actions_digest = _unpack(
            body, tuple[int, str, msgspec.Raw, bytes], where
        )
        if kind not in _EVENTS:
            raise StateError(f"{where}: unknown event {kind[:40]!r}; a newer Hedgerow wrote it")
        yield Record(now_us, _unpack(event, _EVENTS[kind], where), actions_digest)


def _bodies(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            yield from iter(lambda: _body(stream, path), None)
    except OSError as error:
        raise StateError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions. "
            "`hedgerow up --journal` writes such a file"
        ) from error


def _body(stream: BinaryIO, path: Path) -> bytes | None:
    """The next record's bytes; None at the end, and where the last record is cut short."""
    prefix = stream.read(_LENGTH_BYTES)
    if len(prefix) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(prefix, "big")
    if length > RECORD_BYTES_MAX:
        raise StateError(f"{path}: a record claims {length} bytes; it is damaged or no journal")
    body = stream.read(length)
    return body if len(body) == length else None


def _pack(value: object) -> bytes:
    return msgspec.msgpack.encode(value, enc_hook=_array_out)


def _unpack(body: bytes | msgspec.Raw, cls: Any, where: str) -> Any:
    try:
        return msgspec.msgpack.decode(body, type=cls, dec_hook=_array_in)
    except (msgspec.MsgspecError, ValueError, TypeError, ConfigError) as error:
        raise StateError(f"{where}: damaged ({error}); it is no journal or was changed") from error


def _array_out(value: object) -> object:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, value.tobytes()]
    raise NotImplementedError(f"{type(value).__name__} cannot be journalled")


def _array_in(kind: Any, value: Any) -> NDArray[Any]:
    """Check against the annotation: `NDArray[np.float32]` takes nothing but float32."""
    wanted = get_args(get_args(kind)[1])[0]
    able = _FLOATS if wanted is np.floating else (np.dtype(wanted),)
    dtype, shape, data = msgspec.convert(value, tuple[str, tuple[int, ...], bytes])
    for each in able:
        if dtype == each.str:
            return np.frombuffer(data, dtype=each).reshape(shape).copy()
    names = " or ".join(each.str for each in able)
    raise ValueError(f"an array of {dtype[:8]} where {names} is needed")
