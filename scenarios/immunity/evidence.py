"""What single peers have seen of attacks at a moment, unscaled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gossip.antigens import is_family
from gossip.learning.learner import BENIGN
from gossip.learning.scaling import Scaler
from scenarios.data.shards import Floats, Labels, Shards, Unscaled


@dataclass(frozen=True, slots=True)
class Own:
    """One peer's benign rows, and how it scales.

    Args:
        train: benign rows that it trains on, float32 `(n, features)`; those without a label count.
        held: benign rows that it calibrates with, float32 `(n, features)`.
        scaler: of all its rows.
    """

    train: Floats
    held: Floats
    scaler: Scaler


@dataclass(slots=True)
class Evidence:
    """Each peer's rows by family and moment; what was looked up is kept.

    Args:
        shards: with `unscaled` rows.
    """

    shards: Shards
    _unscaled: Sequence[Unscaled] = field(init=False)
    _own: dict[int, Own] = field(default_factory=dict, init=False)
    _counts: dict[tuple[int, int], Mapping[str, int]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Look for the rows.

        Raises:
            ValueError: the shards have none unscaled.
        """
        if self.shards.unscaled is None:
            raise ValueError("antigens are made of unscaled rows; keep them, see `Shards.unscaled`")
        self._unscaled = self.shards.unscaled

    def own(self, peer: int) -> Own:
        """A peer's benign rows."""
        if peer not in self._own:
            rows = self._unscaled[peer]
            train = rows.train_x[rows.train_y <= BENIGN]
            self._own[peer] = Own(train, rows.calibrate_x, rows.scaler)
        return self._own[peer]

    def counts(self, peer: int, now_us: int) -> Mapping[str, int]:
        """Labelled rows of each family of attacks that a peer has now; none without rows."""
        seen = self.shards.visible
        stage = 0 if seen is None else int(seen.stages([now_us])[0])
        if (peer, stage) not in self._counts:
            _, labels = self.shards.training(peer)
            found = np.bincount(
                self._now(peer, labels, now_us) + 1, minlength=len(self.shards.families) + 1
            )[1:]
            self._counts[peer, stage] = {
                name: count
                for name, count in zip(self.shards.families, found.tolist(), strict=True)
                if count and is_family(name)
            }
        return self._counts[peer, stage]

    def rows(self, peer: int, family: str, now_us: int) -> Floats:
        """A peer's labelled rows of a family now, unscaled float32 `(n, features)`."""
        own = self._unscaled[peer]
        number = self.shards.families.index(family)
        labels = self._now(peer, own.train_y, now_us)
        rows: Floats = own.train_x[: len(labels)][labels == number]
        return rows

    def _now(self, peer: int, labels: Labels, now_us: int) -> Labels:
        seen = self.shards.visible
        if seen is None:
            return labels
        return labels[: int(seen.rows[seen.stages([now_us])[0], peer])]
