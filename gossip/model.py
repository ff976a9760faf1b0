"""A peer's model: one flat vector in fixed fragments, each with an age."""

from collections.abc import Iterable

import numpy as np

from gossip.codec import PARAMETER_MAX, pack, unpack
from gossip.config import Encoding, PeerConfig
from gossip.draws import Purpose, choose, generator
from gossip.errors import RemoteError
from gossip.merge import Ages, Vector, capped_age, slices
from gossip.messages import Fragment, Model

Values = dict[int, tuple[Vector, int]]
"""Decoded fragments by index: the values and the claimed age."""


def _is_sound(vector: Vector) -> bool:
    return bool((np.abs(vector) <= PARAMETER_MAX).all())  # NaN compares false


class LocalModel:
    """The vector that a peer owns.

    Invariant: every value is within ±1e6 (`PARAMETER_MAX`) but for rounding, and ages never
    decrease. Any mean of such vectors keeps it, and what one peer holds another may receive.

    Args:
        config: gives fragments, encoding and caps.
        vector: float32 `(dim,)`, copied.
        ages: int64 `(fragments,)`, copied; zeros for a model that absorbed nothing.
    """

    def __init__(self, config: PeerConfig, vector: Vector, ages: Ages | None) -> None:
        self._config = config
        self.vector = np.array(vector, dtype=np.float32)
        self.slices = slices(len(self.vector), config.fragments)
        self.ages = (
            np.zeros(config.fragments, np.int64) if ages is None else np.array(ages, np.int64)
        )
        if self.ages.shape != (config.fragments,):
            raise ValueError(
                f"{config.fragments} fragments need as many ages, not {self.ages.shape}"
            )
        if self.vector.ndim != 1 or not len(self.vector):
            raise ValueError(f"a vector of shape {self.vector.shape} is not flat, or empty")
        if self.ages.min() < 0:
            raise ValueError("an age is negative")
        if not _is_sound(self.vector):
            raise ValueError(f"the vector holds a value not finite or beyond ±{PARAMETER_MAX:g}")

    def add(self, delta: Vector, updates: int) -> bool:
        """Apply what training learnt; False, and nothing changes, if it diverged."""
        with np.errstate(over="ignore", invalid="ignore"):
            trained = (self.vector + delta).astype(np.float32, copy=False)
        if not _is_sound(trained):
            return False
        self.vector = trained
        self.ages = np.minimum(self.ages + updates, np.maximum(self._config.age_max, self.ages))
        return True

    def merge(self, index: int, values: Vector, age: int) -> None:
        """Replace one fragment by its merge with another's."""
        self.vector[self.slices[index]] = values
        self.ages[index] = max(self.ages[index], age)

    def own(self, index: int) -> Vector:
        """One fragment of the vector, float32 `(n,)`; a view."""
        return self.vector[self.slices[index]]

    def cap(self, index: int, claimed: int) -> int:
        """The age that a sender's claim counts for."""
        return capped_age(
            claimed, int(self.ages[index]), self._config.age_lead_max, self._config.age_max
        )

    def draw_fragments(self, seed: bytes, me: str, serial: int, count: int) -> list[int]:
        """The indices of `count` fragments, drawn at random."""
        indices = list(range(len(self.slices)))
        if count < len(indices):
            indices = sorted(choose(indices, count, seed, me, serial, Purpose.FRAGMENTS))
        return indices

    def message(
        self, seed: bytes, me: str, serial: int, indices: Iterable[int], *, answer: bool
    ) -> Model:
        """These fragments for the wire."""
        encoding = self._config.encoding
        rounds = encoding is Encoding.INT8
        rng = generator(seed, me, serial, Purpose.ROUNDING) if rounds else None
        parts = [pack(self.own(i), i, int(self.ages[i]), encoding, rng) for i in indices]
        return Model(tuple(parts), answer)

    def read(self, fragments: tuple[Fragment, ...]) -> Values:
        """Decode what a peer sent.

        Raises:
            RemoteError: a fragment does not exist here, has the wrong size, or a bad value.
        """
        values = {}
        for fragment in fragments:
            if fragment.index >= len(self.slices):
                raise RemoteError(f"fragment {fragment.index} of {len(self.slices)}")
            part = self.slices[fragment.index]
            values[fragment.index] = (unpack(fragment, part.stop - part.start), fragment.age)
        return values
