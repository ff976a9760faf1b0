"""A fingerprint of everything that happened in a World, and on request the list itself."""

import json
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isnan, nan
from struct import Struct
from typing import TextIO
from zlib import crc32

import numpy as np

from gossip.antigens import body
from gossip.contacts import PeerId
from gossip.errors import StateError
from gossip.events import (
    Contribute,
    Event,
    PeerLost,
    Present,
    Received,
    Shun,
    Start,
    Stop,
    Timer,
    TimerFired,
    Trained,
)

_LINE = Struct("<qIBII")
_TRAINED = Struct("<qqd")
_DELTA = np.dtype("<f4")
_TIMERS = {timer: timer.value.encode() for timer in Timer}
_KINDS: dict[type, int] = {
    Start: 0,
    Received: 1,
    TimerFired: 2,
    Trained: 3,
    PeerLost: 4,
    Stop: 5,
    Present: 7,
    Contribute: 8,
    Shun: 9,
}
CRASHED = 6  # no event: the driver fell silent
DIGEST_BYTES = 16

BLOCK_BYTES = 1_024 * _LINE.size
"""Lines hashed in one go: four times as fast as one by one, and little to keep in a checkpoint."""


@dataclass(slots=True)
class Trace:
    """BLAKE2b over every (time, peer, kind of event, length and CRC-32 of its content), in order.

    A chain of blocks, each hashed together with the digest of those before it: unlike a hash under
    way, that can be written down and taken up again.

    Args:
        lines: where to write one JSON object per event as well; None for the hash alone.
    """

    lines: TextIO | None = None
    events: int = 0
    _chain: bytes = bytes(DIGEST_BYTES)
    _pending: bytearray = field(default_factory=bytearray)

    @property
    def digest(self) -> str:
        """The hash so far, 32 hexadecimal digits."""
        return self._hashed().hex()

    def state(self) -> tuple[bytes, bytes, int]:
        """What `restore` needs to go on: digest of the blocks, what is not yet hashed, events."""
        return self._chain, bytes(self._pending), self.events

    def restore(self, chain: bytes, pending: bytes, events: int) -> None:
        """Go on where another trace stood when it gave this state.

        Raises:
            StateError: no trace ever stood there.
        """
        lines, left = divmod(len(pending), _LINE.size)
        fits = len(chain) == DIGEST_BYTES and len(pending) < BLOCK_BYTES
        if left or not fits or events % (BLOCK_BYTES // _LINE.size) != lines:
            raise StateError("the state of the trace is damaged; begin the run anew")
        self._chain, self._pending, self.events = chain, bytearray(pending), events

    def event(self, now_us: int, index: int, peer: PeerId, event: Event) -> None:
        """Note an event on its way to a peer."""
        kind = type(event)
        size, check = _content(event)
        self._note(now_us, index, _KINDS[kind], size, check)
        if self.lines is not None:
            self._write(now_us, peer, kind.__name__, size, check)

    def crash(self, now_us: int, index: int, peer: PeerId) -> None:
        """Note that a peer fell silent."""
        self._note(now_us, index, CRASHED, 0, 0)
        if self.lines is not None:
            self._write(now_us, peer, "Crash", 0, 0)

    def _note(self, now_us: int, index: int, kind: int, size: int, check: int) -> None:
        self._pending += _LINE.pack(now_us, index, kind, size, check)
        self.events += 1
        if len(self._pending) == BLOCK_BYTES:
            self._chain = self._hashed()
            self._pending.clear()

    def _hashed(self) -> bytes:
        return blake2b(self._chain + self._pending, digest_size=DIGEST_BYTES).digest()

    def _write(self, now_us: int, peer: PeerId, name: str, size: int, check: int) -> None:
        assert self.lines is not None  # noqa: S101 - the caller looked; tells the type checker
        line = {"us": now_us, "peer": peer, "event": name, "bytes": size, "crc32": check}
        self.lines.write(json.dumps(line) + "\n")


def _content(event: Event) -> tuple[int, int]:
    """Length and CRC-32 of what an event says. Nothing large is copied.

    CRC-32 guards against accident, not forgery, and costs a quarter of BLAKE2b.
    """
    match event:  # the most frequent first
        case Received():
            name, frame = f"{event.sender}\0".encode(), event.frame
            return len(name) + len(frame), crc32(frame, crc32(name))
        case TimerFired():
            payload = _TIMERS[event.timer]
        case Trained():
            loss = nan if isnan(event.loss) else event.loss  # one NaN of many
            payload = _TRAINED.pack(event.cycle, event.updates, loss)
            if event.delta is not None:
                delta = np.ascontiguousarray(event.delta, _DELTA)
                return len(payload) + delta.nbytes, crc32(delta.data, crc32(payload))
        case PeerLost(peer, reason):
            payload = f"{peer} {reason}".encode()
        case Start(bootstrap, remembered, neighbours, turns, antigens):
            known = (bootstrap, remembered, neighbours or ())
            peers = [[contact.peer for contact in each] for each in known]
            payload = repr([peers, turns]).encode() + b"".join(each.id for each in antigens)
        case Present(antigen):
            payload = body(antigen, b"") + antigen.signature
        case Contribute(numbers):
            payload = b"" if numbers is None else numbers.astype("<f8").tobytes()
        case Shun() | Stop():
            payload = "\0".join(event.peers if isinstance(event, Shun) else ()).encode()
    return len(payload), crc32(payload)
