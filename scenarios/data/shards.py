"""Each peer's part of the data, and the rows it trains on in a given cycle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import Antigen
from gossip.draws import Purpose, draw, shuffles
from gossip.learning.learner import Batches
from gossip.learning.scaling import Scaler
from scenarios.data.appearing import Visible, visible

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shard:
    """What one peer has.

    Every row is already scaled as this peer scales its rows, unless `Shards.scales` is to do that.

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
class Unscaled:
    """What a peer makes antigens of, and tests others' by. Rows in `Shard`'s order, as they come.

    Args:
        train_x: float32 `(rows, features)`.
        train_y: int64 `(rows,)`: family, 0 = benign, -1 = nobody has said.
        calibrate_x: benign rows that no model trains on, float32 `(rows, features)`.
        scaler: how the peer scales its rows.
    """

    train_x: Floats
    train_y: Labels
    calibrate_x: Floats
    scaler: Scaler


class Scales(Protocol):
    """Scales each peer's rows as it does at a moment."""

    def scaler(self, peer: int, norms: Sequence[Antigen]) -> Scaler:
        """How a peer scales that holds these norms."""


@dataclass(frozen=True, slots=True)
class Shards:
    """All peers' data.

    Args:
        schema: name of the features; part of the fingerprint that peers compare.
        features: columns.
        families: names, benign first.
        shards: by peer; may be made at each look, so ask for one when it is needed.
        train: by peer, the rows to train on and their labels, where `shards` makes them at each
            look; None where these are the arrays of `shards`.
        visible: which of these rows may be used when; None where all may be from the start.
        removed: rows left out because the same row with the same label stands elsewhere.
        unscaled: by peer, made at each look; None where nobody asked for them, because they may
            take as much memory as the rows to train on once more.
        scales: how peers scale that may do so otherwise from moment to moment; then all rows of
            `shards` and `train` are as they come. None where they are scaled once and for all.
        flows_a_day: benign flows that come to each peer in a day, as often as in its recording;
            None where rows have no gateway and no time of their own.
    """

    schema: str
    features: int
    families: tuple[str, ...]
    shards: Sequence[Shard]
    train: Sequence[tuple[Floats, Labels]] | None = None
    visible: Visible | None = None
    removed: int = 0
    unscaled: Sequence[Unscaled] | None = None
    scales: Scales | None = None
    flows_a_day: Sequence[float] | None = None

    def at(self, peer: int, now_us: int, norms: Sequence[Antigen] = ()) -> Shard:
        """What a peer has at a moment: without the rows to train on that appear later.

        Args:
            peer: its number.
            now_us: simulated time.
            norms: that it holds, see `scales`.
        """
        own = self.shards[peer]
        if self.visible is not None:
            count = int(self.visible.rows[self.visible.stages([now_us])[0], peer])
            own = replace(own, train_x=own.train_x[:count], train_y=own.train_y[:count])
        if self.scales is None:
            return own
        scaler = self.scales.scaler(peer, norms)
        return replace(
            own,
            train_x=scaler(own.train_x),
            calibrate_x=scaler(own.calibrate_x),
            test_x=scaler(own.test_x),
        )

    def training(self, peer: int) -> tuple[Floats, Labels]:
        """A peer's rows to train on and their labels, those of late families last."""
        if self.train is not None:
            return self.train[peer]
        shard = self.shards[peer]
        return shard.train_x, shard.train_y


class Epochs:
    """Rows to train on: shuffled passes over a peer's own, cut into steps of equal size.

    Args:
        shards: all peers' data.
        names: identities; with the seed and the cycle they decide the order of rows.
        steps: of one training.
        batch: rows in one step; passes follow each other without a gap.
        seed: of the scenario.
        codes: the families' codes for a coded head, see `Batches`; None for a plain one.
    """

    def __init__(
        self,
        shards: Shards,
        names: Sequence[str],
        steps: int,
        batch: int,
        seed: bytes,
        codes: Floats | None = None,
    ) -> None:
        self._codes = codes
        self._shards = shards
        self._features = shards.features
        self._names = names
        self._steps = steps
        self._batch = batch
        self._seed = seed
        labels = [shards.training(peer)[1] for peer in range(len(shards.shards))]
        self._visible = shards.visible or visible(labels, labels, len(shards.families), {})

    def trainable(self, peer: int) -> bool:
        """See `Rows`."""
        return bool(self._visible.rows[0, peer])

    def batches(
        self, peers: Sequence[int], cycles: Sequence[int], times_us: Sequence[int]
    ) -> Batches:
        """See `Rows`."""
        size = self._steps * self._batch
        x = np.empty((len(peers), size, self._features), np.float32)
        y = np.empty((len(peers), size), np.int64)
        stages = self._visible.stages(times_us)
        counts = self._visible.rows[stages, list(peers)].tolist()
        orders = self._orders(peers, cycles, counts, size)
        for row, (peer, order) in enumerate(zip(peers, orders, strict=True)):
            train_x, train_y = self._shards.training(peer)
            # Every index is in bounds; but only told so does numpy write without a copy between.
            train_x.take(order, axis=0, out=x[row], mode="clip")
            train_y.take(order, out=y[row], mode="clip")
        shape = (len(peers), self._steps, self._batch)
        known = self._visible.known[stages, list(peers)]
        return Batches(x.reshape(*shape, self._features), y.reshape(shape), known, self._codes)

    def _orders(
        self, peers: Sequence[int], cycles: Sequence[int], counts: Sequence[int], size: int
    ) -> NDArray[np.int64]:
        """Which of its rows each peer takes, int64 `(peers, size)`."""
        keys = np.array(
            [
                draw(self._seed, self._names[peer], cycle, Purpose.ROWS)
                for peer, cycle in zip(peers, cycles, strict=True)
            ],
            np.uint64,
        )
        orders = np.empty((len(peers), size), np.int64)
        alike: dict[int, list[int]] = {}  # peers that have the same number of rows
        for row, count in enumerate(counts):
            alike.setdefault(count, []).append(row)
        for count, rows in alike.items():
            passes = shuffles(keys[rows], count, -(-size // count))
            orders[rows] = passes.reshape(len(rows), -1)[:, :size]
        return orders
