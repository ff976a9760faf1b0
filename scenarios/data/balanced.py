"""Rows to train on, drawn so that a peer's families are equally likely."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gossip.draws import Purpose, generator
from scenarios.data.shards import Epochs, Labels


class Balanced(Epochs):
    """Each row of a step is of a family drawn evenly from the peer's, and drawn evenly from it.

    Rows without a label count as one family.
    """

    _piles: dict[tuple[int, int], list[Labels]] | None = None

    def _orders(
        self, peers: Sequence[int], cycles: Sequence[int], counts: Sequence[int], size: int
    ) -> NDArray[np.int64]:
        orders = np.empty((len(peers), size), np.int64)
        for row, (peer, cycle, count) in enumerate(zip(peers, cycles, counts, strict=True)):
            rng = generator(self._seed, self._names[peer], cycle, Purpose.ROWS)
            piles = self._piles_of(peer, count)
            place = rng.random(size)
            family = rng.integers(len(piles), size=size)
            for number, pile in enumerate(piles):
                own = family == number
                orders[row, own] = pile[(place[own] * len(pile)).astype(np.int64)]
        return orders

    def _piles_of(self, peer: int, count: int) -> list[Labels]:
        """A peer's rows by family, of the first so many."""
        if self._piles is None:
            self._piles = {}
        if (peer, count) not in self._piles:
            labels = self._shards.training(peer)[1][:count]
            piles = [np.flatnonzero(labels == each) for each in np.unique(labels)]
            self._piles[peer, count] = piles
        return self._piles[peer, count]
