"""What peers tell the mesh of their scores' tails, so that thresholds can borrow strength."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.events import Contribute
from scenarios.data.shards import Shards
from scenarios.measures.judges import Judge, tail_of
from scenarios.world.hosts import Machine


@dataclass(frozen=True, slots=True)
class Telling:
    """Tells after each training, by the model that the peer detects with (docs/budget.md).

    It remembers nothing: what a peer said is with the peer.

    Args:
        shards: every peer's data.
        judge: scores rows as it does where a peer is judged.
    """

    shards: Shards
    judge: Judge

    def trained(
        self, peer: int, machine: Machine, vector: NDArray[np.float32], now_us: int
    ) -> Contribute:
        """See `scenarios.world.hosts.Tells`."""
        shard = self.shards.at(peer, now_us, machine.norms)
        return Contribute(self.judge.contribution(vector, shard, tail_of(machine.mesh)))
