"""A fingerprint of everything that happened in a World, and on request the list itself."""

import json
from dataclasses import dataclass, field
from hashlib import blake2b
from struct import Struct
from typing import Any, TextIO
from zlib import crc32

from gossip.contacts import PeerId
from gossip.events import Event, PeerLost, Received, Start, Stop, TimerFired, Trained

_LINE = Struct("<qIBII")
_KINDS: dict[type, int] = {
    Start: 0,
    Received: 1,
    TimerFired: 2,
    Trained: 3,
    PeerLost: 4,
    Stop: 5,
}
CRASHED = 6  # no event: the driver fell silent


@dataclass(slots=True)
class Trace:
    """BLAKE2b over every (time, peer, kind of event, length and CRC-32 of its content), in order.

    Args:
        lines: where to write one JSON object per event as well; None for the hash alone.
    """

    lines: TextIO | None = None
    events: int = 0
    _hash: Any = field(default_factory=lambda: blake2b(digest_size=16))

    @property
    def digest(self) -> str:
        """The hash so far, 32 hexadecimal digits."""
        return str(self._hash.hexdigest())

    def event(self, now_us: int, index: int, peer: PeerId, event: Event) -> None:
        """Note an event on its way to a peer."""
        self._note(now_us, index, peer, _KINDS[type(event)], type(event).__name__, _payload(event))

    def crash(self, now_us: int, index: int, peer: PeerId) -> None:
        """Note that a peer fell silent."""
        self._note(now_us, index, peer, CRASHED, "Crash", b"")

    def _note(
        self, now_us: int, index: int, peer: PeerId, kind: int, name: str, payload: bytes
    ) -> None:
        # CRC-32 guards against accident, not forgery, and costs a quarter of BLAKE2b.
        check = crc32(payload)
        self._hash.update(_LINE.pack(now_us, index, kind, len(payload), check))
        self.events += 1
        if self.lines is not None:
            line = {
                "us": now_us,
                "peer": peer,
                "event": name,
                "bytes": len(payload),
                "crc32": check,
            }
            self.lines.write(json.dumps(line) + "\n")


def _payload(event: Event) -> bytes:
    match event:
        case Received(sender, frame):
            return sender.encode() + b"\0" + frame
        case TimerFired(timer):
            return timer.value.encode()
        case Trained(cycle, delta, updates, loss):
            body = b"" if delta is None else delta.tobytes()
            return f"{cycle} {updates} {loss!r} ".encode() + body
        case PeerLost(peer, reason):
            return f"{peer} {reason}".encode()
        case Start(bootstrap, remembered, neighbours):
            lists = (bootstrap, remembered, neighbours or ())
            return repr([[contact.peer for contact in each] for each in lists]).encode()
        case _:
            return b""
