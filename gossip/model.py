"""A peer's model: one flat vector in fixed fragments, each with an age."""

from collections.abc import Iterable, Sequence

import numpy as np

from gossip.codec import PARAMETER_MAX, is_sound, pack, unpack
from gossip.config import Encoding, PeerConfig
from gossip.draws import Purpose, choose, generator
from gossip.errors import RemoteError
from gossip.merge import Ages, Vector, capped_age, slices
from gossip.messages import Fragment, Model
from gossip.pushsum import Sums

Values = dict[int, tuple[Vector, int]]
"""Decoded fragments by index: the values and the claimed age."""


class LocalModel:
    """The vector that a peer owns.

    Invariant: every value is within ±1e6 (`PARAMETER_MAX`) but for rounding, and ages never
    decrease. Any mean of such vectors keeps it, and what one peer holds another may receive.

    Args:
        config: gives fragments, encoding and caps.
        vector: float32 `(dim,)`, copied.
        ages: int64 `(fragments,)`, copied; zeros for a model that absorbed nothing.
    """

    __slots__ = ("_ages", "_config", "_sound", "slices", "vector")

    def __init__(self, config: PeerConfig, vector: Vector, ages: Ages | None) -> None:
        self._config = config
        self.vector = np.array(vector, dtype=np.float32)
        self.slices = slices(len(self.vector), config.fragments)
        held = np.zeros(config.fragments, np.int64) if ages is None else np.asarray(ages, np.int64)
        if held.shape != (config.fragments,):
            raise ValueError(f"{config.fragments} fragments need as many ages, not {held.shape}")
        # Python's integers: they are looked at one by one, which numpy's are slow at.
        self._ages: list[int] = held.tolist()
        if self.vector.ndim != 1 or not len(self.vector):
            raise ValueError(f"a vector of shape {self.vector.shape} is not flat, or empty")
        if min(self._ages) < 0:
            raise ValueError("an age is negative")
        self._sound = is_sound(self.vector)  # to the last bit, as after training
        if not self._sound:
            raise ValueError(f"the vector holds a value not finite or beyond ±{PARAMETER_MAX:g}")

    @property
    def ages(self) -> Ages:
        """Updates absorbed by each fragment, int64 `(fragments,)`; a copy."""
        return np.array(self._ages, np.int64)

    def age(self, index: int) -> int:
        """Updates absorbed by one fragment."""
        return self._ages[index]

    def add(self, delta: Vector, updates: int) -> bool:
        """Apply what training learnt; False, and nothing changes, if it diverged."""
        # No sum overflows, which numpy would warn of: the largest float32 plus 1e6 is itself.
        trained = self.vector + delta
        if not is_sound(trained):
            return False
        self.vector[:] = trained
        self._sound = True
        highest = self._config.age_max
        for index, age in enumerate(self._ages):
            if age < highest:
                self._ages[index] = min(age + updates, highest)
        return True

    def merge(self, index: int, values: Vector, age: int) -> None:
        """Replace one fragment by its merge with another's."""
        self.vector[self.slices[index]] = values
        self._sound = False  # but for rounding
        self._ages[index] = max(self._ages[index], age)

    def own(self, index: int) -> Vector:
        """One fragment of the vector, float32 `(n,)`; a view."""
        return self.vector[self.slices[index]]

    def cap(self, index: int, claimed: int) -> int:
        """The age that a sender's claim counts for."""
        config = self._config
        return capped_age(claimed, self._ages[index], config.age_lead_max, config.age_max)

    def draw_fragments(self, seed: bytes, me: str, serial: int, count: int) -> Sequence[int]:
        """The indices of `count` fragments, drawn at random."""
        indices = range(len(self.slices))
        if count >= len(indices):
            return indices
        return sorted(choose(indices, count, seed, me, serial, Purpose.FRAGMENTS))

    def message(
        self,
        seed: bytes,
        me: str,
        serial: int,
        indices: Iterable[int],
        *,
        answer: bool,
        holds: bytes = b"",
        sums: Sums | None = None,
    ) -> Model:
        """These fragments for the wire, with the ids of the antigens held, and sums."""
        encoding = self._config.encoding
        rounds = encoding is Encoding.INT8
        rng = generator(seed, me, serial, Purpose.ROUNDING) if rounds else None
        sound, ages = self._sound, self._ages
        parts = [pack(self.own(i), i, ages[i], encoding, rng, sound=sound) for i in indices]
        return Model(tuple(parts), answer, holds, sums)

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
