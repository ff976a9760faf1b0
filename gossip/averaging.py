"""A peer's part in what the mesh has on average: what it says, what it passes on, what it hears."""

import numpy as np
from numpy.typing import NDArray

from gossip.contacts import PeerId
from gossip.pushsum import Arrival, PushSum, Sums, Vector, checked


class Averaging:
    """Push-sum (`gossip.pushsum`), begun when this peer first says or hears something.

    Args:
        length: numbers that everybody contributes (`PeerConfig.sums_length`); with 0 this peer has
            no part in it, and looks at nothing that comes.
    """

    __slots__ = ("_length", "_own", "_sums")

    def __init__(self, length: int) -> None:
        self._length = length
        self._own: Vector | None = None
        self._sums: PushSum | None = None

    @property
    def mesh(self) -> tuple[Vector, int] | None:
        """The mean, float64 `(length,)`, and how many peers it rests on at least; None so far."""
        if self._sums is None or (found := self._sums.estimate()) is None:
            return None
        return found, self._sums.peers

    def contribute(self, numbers: NDArray[np.floating] | None) -> str:
        """What this peer has to say from the next cycle on; None says nothing more.

        Why that is ignored, where it is; else empty.

        Raises:
            ValueError: not float32 or float64, another shape, or a number outside [0, 1].
        """
        if numbers is None:
            self._own = None
            return ""
        if numbers.dtype not in (np.float32, np.float64):
            raise ValueError(f"a contribution is float32 or float64, not {numbers.dtype}")
        if not self._length:
            return "numbers of our own, for we take no part in the mesh's mean"
        self._own = checked(numbers, self._length)
        return ""

    def begin_cycle(self) -> None:
        """Replace a tenth of what is held by what this peer has to say."""
        if self._sums is not None or self._own is not None:
            self._begun().begin(self._own)

    def share(self) -> Sums | None:
        """Half of what is held, for exactly one peer; None while there is nothing."""
        return None if self._sums is None else self._sums.share()

    def read(self, sums: Sums | None) -> Arrival | None:
        """What came with a model, before anything changes; None where there is nothing to add.

        Raises:
            RemoteError: as `PushSum.read`.
        """
        return self._begun().read(sums) if sums is not None and self._length else None

    def absorb(self, sender: PeerId, arrival: Arrival | None) -> None:
        """Add what was read; left out where some came from this peer in this cycle."""
        if arrival is not None:
            self._begun().add(sender, arrival)

    def lose(self, peer: PeerId) -> None:
        """One has gone: what it said fades by itself, and it is counted no more."""
        if self._sums is not None:
            self._sums.lose(peer)

    def _begun(self) -> PushSum:
        if self._sums is None:
            self._sums = PushSum(self._length)
        return self._sums
