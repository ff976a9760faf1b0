"""Each peer's part of the data, and the rows it trains on in a given cycle."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.draws import Purpose, generator
from gossip.learning.learner import NO_LABEL, Batches

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shard:
    """What one peer has. Every row is already scaled as this peer scales its rows.

    Args:
        train_x: float32 `(rows, features)`; may have no rows.
        train_y: int64 `(rows,)`: family, 0 = benign, -1 = nobody has said.
        calibrate_x: benign rows that no model trains on, float32 `(rows, features)`.
        test_x: rows that no model trains on, float32 `(rows, features)`.
        test_y: their true families, int64 `(rows,)`.
    """

    train_x: Floats
    train_y: Labels
    calibrate_x: Floats
    test_x: Floats
    test_y: Labels


@dataclass(frozen=True, slots=True)
class Shards:
    """All peers' data.

    Args:
        schema: name of the features; part of the fingerprint that peers compare.
        features: columns.
        families: names, benign first.
        shards: by peer.
    """

    schema: str
    features: int
    families: tuple[str, ...]
    shards: tuple[Shard, ...]


class Epochs:
    """Rows to train on: shuffled passes over a peer's own, cut into steps of equal size.

    Args:
        shards: all peers' data.
        names: identities; with the seed and the cycle they decide the order of rows.
        steps: of one training.
        batch: rows in one step; passes follow each other without a gap.
        seed: of the scenario.
    """

    def __init__(
        self, shards: Shards, names: Sequence[str], steps: int, batch: int, seed: bytes
    ) -> None:
        self._shards = shards.shards
        self._features = shards.features
        self._names = names
        self._steps = steps
        self._batch = batch
        self._seed = seed
        self._known = np.zeros((len(shards.shards), len(shards.families)), np.bool_)
        for peer, shard in enumerate(shards.shards):
            self._known[peer, np.unique(shard.train_y[shard.train_y != NO_LABEL])] = True

    def trainable(self, peer: int) -> bool:
        """See `Rows`."""
        return len(self._shards[peer].train_y) > 0

    def batches(
        self, peers: Sequence[int], cycles: Sequence[int], _times_us: Sequence[int]
    ) -> Batches:
        """See `Rows`."""
        size = self._steps * self._batch
        x = np.empty((len(peers), size, self._features), np.float32)
        y = np.empty((len(peers), size), np.int64)
        for row, (peer, cycle) in enumerate(zip(peers, cycles, strict=True)):
            shard = self._shards[peer]
            order = self._order(peer, cycle, len(shard.train_y), size)
            shard.train_x.take(order, axis=0, out=x[row])
            shard.train_y.take(order, out=y[row])
        shape = (len(peers), self._steps, self._batch)
        return Batches(
            x.reshape(*shape, self._features), y.reshape(shape), self._known[list(peers)]
        )

    def _order(self, peer: int, cycle: int, rows: int, size: int) -> NDArray[np.intp]:
        rng = generator(self._seed, self._names[peer], cycle, Purpose.ROWS)
        passes = [rng.permutation(rows) for _ in range(-(-size // rows))]
        return (passes[0] if len(passes) == 1 else np.concatenate(passes))[:size]
