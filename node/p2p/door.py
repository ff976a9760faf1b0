"""Who gets in: bounds on handshakes, and a word with each peer whose identity is proven."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio
from libp2p.abc import IRawConnection

from gossip.contacts import PeerId
from node.logs import get_logger
from node.p2p.bounds import Refusals
from node.p2p.limits import Limits
from node.p2p.stats import HOSTILE, Fault, Stats
from node.p2p.swarm import RefusedError
from node.p2p.transport import Admission
from node.rates import TokenBucket

LINES_PER_MINUTE = 10
"""Log lines on refused peers: one that an operator excluded calls again and again. `Stats.refused`
counts all. Our choice."""

_log = get_logger("p2p")


@dataclass(slots=True)
class Door:
    """Decides about connections; owns the list of those who are not let in.

    Args:
        limits: handshakes at once, and how long a refusal lasts.
        stats: counts faults and refusals.
        admission: the node's own rule; everybody if None.
    """

    limits: Limits
    stats: Stats
    admission: Admission | None
    _handshakes: dict[IRawConnection, trio.CancelScope] = field(default_factory=dict)
    _refusals: Refusals = field(init=False)
    _lines: TokenBucket = field(default_factory=lambda: TokenBucket(LINES_PER_MINUTE))

    def __post_init__(self) -> None:
        limits = self.limits
        self._refusals = Refusals(limits.refuse_s, limits.refused_max, trio.current_time)

    def refusal(self, peer: PeerId) -> str | None:
        """Why we will have nothing to do with `peer` for now; None if we will."""
        return self._refusals.reason(peer)

    def refuse(self, peer: PeerId, reason: str) -> None:
        """Keep `peer` out for a while."""
        self._refusals.add(peer, reason)

    def admit(self, peer: PeerId) -> str | None:
        """Called once a peer has proven who it is; a text refuses it."""
        refusal = self.refusal(peer)
        if refusal is None and self.admission is not None:
            refusal = self.admission(peer)
        if refusal is not None:
            self.stats.refused += 1
            if self._lines.take(trio.current_time()):
                _log.info("peer refused", peer=peer, reason=refusal)
        return refusal

    def fault(self, peer: PeerId, fault: Fault) -> None:
        """Count what a peer did; keep it out if that was hostile."""
        self.stats.faults[fault] += 1
        _log.info("peer cut off", peer=peer, reason=fault.value)
        if fault in HOSTILE:
            self.refuse(peer, fault.value)

    @contextmanager
    def handshake(self, raw: IRawConnection) -> Iterator[None]:
        """Entered for the time of an inbound handshake.

        When there are too many, the oldest is given up: an honest one takes 10 ms, so it is a
        tarpit's that stand there.
        """
        if len(self._handshakes) >= self.limits.handshakes_max:
            oldest = next(iter(self._handshakes))
            self._handshakes.pop(oldest).cancel()
        with trio.CancelScope() as scope:
            self._handshakes[raw] = scope
            try:
                yield
            except RefusedError:
                raise
            except Exception:
                self.stats.faults[Fault.HANDSHAKE] += 1
                raise
            finally:
                self._handshakes.pop(raw, None)
        if scope.cancelled_caught:
            self.stats.faults[Fault.HANDSHAKE] += 1
            raise TimeoutError("too many handshakes at once")
