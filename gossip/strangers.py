"""What senders may ask of a peer: models in a cycle, and nothing once they are refused."""

from gossip.config import PeerConfig
from gossip.contacts import PeerId

STRANGERS_MAX = 256
"""Senders counted in one cycle, and refused peers kept in mind; the oldest are forgotten first."""

REFUSED_CYCLES = 30
"""Cycles for which a refused peer is ignored."""


class Strangers:
    """How often each sender pushed in this cycle, and whom we refuse.

    Args:
        config: gives the models accepted from one sender in a cycle.

    Attributes:
        refused: peers that we do not exchange with, and the cycle that ends it.

    Invariant: neither table is longer than `STRANGERS_MAX`.
    """

    __slots__ = ("_most", "_pushes", "refused")

    def __init__(self, config: PeerConfig) -> None:
        self._most = config.pushes_per_sender_max
        self._pushes: dict[PeerId, int] = {}
        self.refused: dict[PeerId, int] = {}

    def begin_cycle(self, cycle: int) -> None:
        """Count anew, and forgive whom we refused for long enough."""
        self._pushes.clear()
        if self.refused:
            self.refused = {p: until for p, until in self.refused.items() if until > cycle}

    def crowds(self, sender: PeerId) -> bool:
        """Whether one more model of this sender is one too many."""
        counted = self._pushes.get(sender, 0)
        return counted >= self._most or (not counted and len(self._pushes) >= STRANGERS_MAX)

    def count(self, sender: PeerId) -> None:
        """A model of this sender was accepted."""
        self._pushes[sender] = self._pushes.get(sender, 0) + 1

    def refuse(self, peer: PeerId, cycle: int) -> bool:
        """Exchange with it no more for a while; False if that is so already."""
        if peer in self.refused:
            return False
        if len(self.refused) >= STRANGERS_MAX:
            del self.refused[next(iter(self.refused))]
        self.refused[peer] = cycle + REFUSED_CYCLES
        return True

    def forgive(self, peer: PeerId) -> None:
        """It sent what matches, so it was upgraded."""
        self.refused.pop(peer, None)
