"""What a transport counts. Plain integers, read by metrics and tests; never reset."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum


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
