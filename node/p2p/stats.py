"""What a transport counts. Plain integers, read by metrics and tests; never reset."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from gossip.contacts import PeerId


class Fault(Enum):
    """Why a peer, or an address that never became one, was cut off."""

    FLOOD = "flood"  # more streams at once, or a second, than allowed
    GARBAGE = "garbage"  # no multistream-select where it has to be
    HANDSHAKE = "handshake"  # never got as far as an identity: scanner, tarpit, wrong key
    LOST = "lost"  # no sign of life
    OVERRUN = "overrun"  # more bytes than its receive window
    OVERSIZE = "oversize"  # announced a frame above the limit
    SILENT = "silent"  # opened a stream and did not go on with it
    STUCK = "stuck"  # did not take what we wrote


HOSTILE = frozenset({Fault.FLOOD, Fault.GARBAGE, Fault.OVERRUN, Fault.OVERSIZE, Fault.SILENT})
"""Faults after which a peer's next connections are refused for a while."""


PEERS_MAX = 256
"""Peers counted by themselves; the one heard from or written to least recently makes room. Our
choice: four times what the status document lists."""


@dataclass(slots=True)
class Traffic:
    """Frames and their bytes, without framing, exchanged with one peer.

    Args:
        last_s: when the last one came in, seconds of the caller's clock; None before that.
    """

    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    last_s: float | None = None


@dataclass(slots=True)
class Stats:
    """Counters since the start.

    Args:
        wire_bytes_in: read from sockets, everything included.
        wire_bytes_out: written to sockets, everything included.
        payload_bytes_in: requests received and replies read.
        payload_bytes_out: requests sent and replies written.
        requests_in: requests that reached the handler.
        requests_out: requests that were answered.
        requests_failed: requests that raised PeerUnreachable.
        handler_errors: requests whose handler failed or was too slow; our own fault.
        shed: inbound streams that were reset because too many bytes were in flight.
        foreign: inbound streams for a protocol that we do not speak.
        dials: dials begun; merged ones count once.
        dials_failed: dials that ended without a connection.
        accepted: sockets accepted.
        refused: connections closed after the handshake because the peer is not welcome.
        evicted: connections closed to make room.
        rebuilds: times the host died and was built anew.
        faults: by reason.
        by_peer: what was exchanged with whom, the latest last; at most PEERS_MAX.
    """

    wire_bytes_in: int = 0
    wire_bytes_out: int = 0
    payload_bytes_in: int = 0
    payload_bytes_out: int = 0
    requests_in: int = 0
    requests_out: int = 0
    requests_failed: int = 0
    handler_errors: int = 0
    shed: int = 0
    foreign: int = 0
    dials: int = 0
    dials_failed: int = 0
    accepted: int = 0
    refused: int = 0
    evicted: int = 0
    rebuilds: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    by_peer: dict[PeerId, Traffic] = field(default_factory=dict)

    def sent(self, peer: PeerId, size: int) -> None:
        """A frame was sent, and answered."""
        self.payload_bytes_out += size
        traffic = self._traffic(peer)
        traffic.frames_out += 1
        traffic.bytes_out += size

    def received(self, peer: PeerId, size: int, now_s: float) -> None:
        """A frame came in, and was handled."""
        self.payload_bytes_in += size
        traffic = self._traffic(peer)
        traffic.frames_in += 1
        traffic.bytes_in += size
        traffic.last_s = now_s

    def _traffic(self, peer: PeerId) -> Traffic:
        found = self.by_peer.pop(peer, None) or Traffic()
        while len(self.by_peer) >= PEERS_MAX:
            del self.by_peer[next(iter(self.by_peer))]
        self.by_peer[peer] = found
        return found
