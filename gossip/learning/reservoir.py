"""A bounded, fair sample of the rows a gateway has seen."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.arrays import wanted
from gossip.draws import Purpose, draw, generator
from gossip.errors import StateError


@dataclass(frozen=True, slots=True)
class DrawKey:
    """Whose draws these are: `seed` secret in a live node, `peer` its id, `index` the reservoir."""

    seed: bytes
    peer: str
    index: int


class Reservoir:
    """At most `capacity` rows, sampled by algorithm R (Vitter 1985) with a fading memory.

    While fewer than `memory` rows were seen, every one of them is equally likely to be held. After
    that a row's chance fades exponentially with mean age `memory` (Aggarwal 2006), so the sample
    follows a network that changes.

    Args:
        capacity: rows held at most.
        features: numbers in a row.
        memory: rows after which the past fades; at least `capacity`.
        key: for the counter-based draws.
    """

    def __init__(self, capacity: int, features: int, memory: int, key: DrawKey) -> None:
        if not 1 <= capacity <= memory:
            raise ValueError(f"a reservoir of {capacity} rows cannot have a memory of {memory}")
        self._rows = np.empty((capacity, features), np.float32)
        self._held = 0
        self._seen = 0
        self._memory = memory
        self._key = key

    def __len__(self) -> int:
        return self._held

    @property
    def seen(self) -> int:
        """Rows offered so far."""
        return self._seen

    @property
    def rows(self) -> NDArray[np.float32]:
        """The rows held, float32 `(len, features)`; a read-only view."""
        view = self._rows[: self._held].view()
        view.flags.writeable = False
        return view

    def offer(self, row: NDArray[np.float32]) -> bool:
        """Take a row `(features,)` into account; True where it was kept (and copied)."""
        self._seen += 1
        place = self._held
        if place < len(self._rows):
            self._held += 1
        else:
            bound = min(self._seen, self._memory)
            place = (
                draw(self._key.seed, self._key.peer, self._seen, Purpose.ROWS, self._key.index)
                % bound
            )
            if place >= len(self._rows):
                return False
        self._rows[place] = row
        return True

    def follow(self, recent: NDArray[np.float32], least: int) -> None:
        """Forget of the past what is not needed, because rows have changed.

        Keeps `recent` rows, and of the others at random as many, or more if else fewer than `least`
        would be held: what was usual, and is not now, may come again. From then
        on rows are taken in as by a reservoir that has seen no more than these.

        Args:
            recent: the last rows that were offered, float32 `(n, features)`, kept or not.
            least: rows to hold afterwards, if there are so many.
        """
        recent = recent[-len(self._rows) :]
        known = Counter(row.tobytes() for row in recent)
        others = [row for row in self.rows if not _taken(known, row)]
        count = min(max(least, 2 * len(recent)), len(self._rows)) - len(recent)
        about = f"{self._key.peer}\0follow {self._key.index}"
        rng = generator(self._key.seed, about, self._seen, Purpose.ROWS)
        some = sorted(rng.permutation(len(others))[:count].tolist())
        kept = [*(others[i].copy() for i in some), *recent]
        self._held = self._seen = len(kept)
        for place, row in enumerate(kept):
            self._rows[place] = row

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for the store: the rows held and the number seen."""
        return {"rows": self._rows[: self._held].copy(), "seen": np.array([self._seen], np.int64)}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Become what `to_arrays` described; of more rows than fit, the last ones are left out.

        Raises:
            StateError: an array is absent, of the wrong shape, or not finite. Nothing changed.
        """
        rows, seen = wanted(arrays, "a stored reservoir", "rows", "seen")
        if (
            rows.ndim != 2
            or rows.shape[1] != self._rows.shape[1]
            or seen.shape != (1,)
            or int(seen[0]) < len(rows)
            or not np.isfinite(rows.astype(np.float32)).all()
        ):
            raise StateError(f"a stored reservoir {rows.shape} is damaged; remove it")
        self._held = min(len(rows), len(self._rows))
        self._rows[: self._held] = rows[: self._held]
        self._seen = int(seen[0])


def _taken(known: Counter[bytes], row: NDArray[np.float32]) -> bool:
    """Whether a row is one of those counted, which is then one fewer."""
    if not known[row.tobytes()]:
        return False
    known[row.tobytes()] -= 1
    return True
