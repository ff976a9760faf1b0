"""What the mesh has on average, by push-sum with renewal: no server, no rounds, nothing to finish.

Push-sum (Kempe, Dobra and Gehrke, "Gossip-based computation of aggregate information", FOCS 2003):
every peer holds a sum of vectors and a sum of weights, sends half of both to another, and adds what
it receives; sum over weight goes to the mean of all contributions. A message that is dropped takes
value and weight along in equal parts, which leaves the mean's expectation as it was.

Two things differ from the paper, because peers come, go, change, and some lie:

- *renewal* in place of epochs: each cycle a tenth of what a peer holds is replaced by its own
  contribution as it is now. The estimate follows a mesh that changes, within about ten cycles, and
  what a liar injected fades likewise; plain push-sum keeps it for ever (measured, docs/budget.md).
- *clipping*: what arrives counts with a bounded weight, and is first moved to within half as much
  again of the median of what arrived lately. The estimate is that median, not this peer's own mix.

All numbers lie in [0, 1]. On the way they are float16 means beside one float32 weight.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray

from gossip.errors import RemoteError
from gossip.records import record

Vector = NDArray[np.float64]

LENGTH_MAX = 1024
"""Numbers in a vector, 2 kB on a frame. Our choice."""

RENEWAL = 0.1
"""Share of what is held that a cycle replaces. With 0.15 three liars among 32 do three quarters of
the harm, and honest peers' own error is a fifth larger (measured, docs/budget.md, section 7)."""

BAND = 1.5
"""What arrives is clipped to between median / 1.5 and median x 1.5. With 2 and 3 the same liars, if
they say too much, do 1.5 and 2.5 times the harm; honest peers' error hardly changes."""

SLACK = 1e-3
"""Added to the band, so that a median of zero can be left again."""

RECENT = 15
"""Arrivals whose median is the estimate: about as many cycles. With 25 the error is an eighth
smaller, and changes are followed later."""

ARRIVALS_MIN = 3
"""Arrivals without which there is neither an estimate nor a band; two have no majority."""

WEIGHT_MAX = 0.3
"""Most that one arrival may weigh; honest peers send about as much. With 0.75 liars do twice the
harm, with 0.2 three quarters of it, and with 0.2 convergence takes a quarter longer."""

HELD_MAX = 4.0
"""Most that a peer holds, whoever sends to it. Our choice."""

SENDERS_MAX = 64
"""Distinct senders remembered, to say how many peers the estimate rests on at least."""


@record
class Sums:
    """Half of what a peer holds.

    Args:
        weight: above 0, at most `HELD_MAX`.
        means: sum over weight of each number, little-endian float16, 2 bytes a number.
    """

    weight: float
    means: bytes


@record
class Arrival:
    """What a peer sent, read and found to be within all bounds.

    Args:
        weight: above 0, at most `HELD_MAX`.
        means: float64 `(length,)` in [0, 1].
    """

    weight: float
    means: Vector


@final
class PushSum:
    """One peer's part in an average over the mesh.

    Args:
        length: numbers in a vector, all within [0, 1].
    """

    __slots__ = ("_heard", "_length", "_own", "_recent", "_senders", "_sum", "_weight")

    def __init__(self, length: int) -> None:
        if not 1 <= length <= LENGTH_MAX:
            raise ValueError(f"push-sum of {length} numbers; give 1 to {LENGTH_MAX}")
        self._length = length
        self._own: Vector | None = None
        self._sum: Vector = np.zeros(length)
        self._weight = 0.0
        self._recent: list[Vector] = []  # the latest last, at most `RECENT`
        self._senders: dict[str, None] = {}
        self._heard: dict[str, None] = {}  # since the cycle began

    @property
    def peers(self) -> int:
        """Distinct peers that sent something lately, at most `SENDERS_MAX`."""
        return len(self._senders)

    def begin(self, contribution: NDArray[np.floating] | None) -> None:
        """Begin a cycle with what this peer has to say now, `(length,)` in [0, 1]; or with nothing.

        A peer without a contribution still passes on what it hears; what it said before fades.

        Raises:
            ValueError: a wrong shape, or a number outside [0, 1].
        """
        self._heard.clear()
        own = None if contribution is None else checked(contribution, self._length)
        if own is not None:
            if self._own is None:
                self._sum, self._weight = self._sum + own, self._weight + 1.0
                self._bound()  # who takes its word back and gives it again has no more than others
            self._sum = (1 - RENEWAL) * self._sum + RENEWAL * own
            self._weight = (1 - RENEWAL) * self._weight + RENEWAL
        self._own = own

    def share(self) -> Sums | None:
        """Half of what is held, to be sent to one peer; None while nothing is held.

        It is gone from here whether it arrives or not.
        """
        if self._weight < 1e-6:
            return None
        means = (self._sum / self._weight).astype("<f2")
        self._sum, self._weight = self._sum / 2, self._weight / 2
        return Sums(self._weight, means.tobytes())

    def absorb(self, sender: str, sums: Sums) -> bool:
        """`read` and `add` in one."""
        return self.add(sender, self.read(sums))

    def add(self, sender: str, arrival: Arrival) -> bool:
        """Add what a peer sent; False where it sent before in this cycle, which is left out.

        Args:
            sender: the peer's id as the transport authenticated it.
            arrival: what it sent, read by `read`; kept, so nobody may write to it.
        """
        if sender in self._heard or len(self._heard) >= SENDERS_MAX:
            return False
        self._heard[sender] = None
        self._senders.pop(sender, None)
        self._senders[sender] = None  # the latest last
        if len(self._senders) > SENDERS_MAX:
            del self._senders[next(iter(self._senders))]
        middle, means = self._median(), arrival.means
        self._recent.append(means)
        del self._recent[:-RECENT]
        if middle is not None:
            means = np.maximum(means, middle / BAND - SLACK)
            means = np.minimum(means, middle * BAND + SLACK)
        weight = min(arrival.weight, WEIGHT_MAX)
        self._sum, self._weight = self._sum + weight * means, self._weight + weight
        self._bound()
        return True

    def read(self, sums: Sums) -> Arrival:
        """What a peer sent; changes nothing.

        Raises:
            RemoteError: not `length` numbers from 0 to 1, or a weight out of bounds.
        """
        if len(sums.means) != 2 * self._length:
            raise RemoteError(f"sums of {len(sums.means)} bytes instead of {2 * self._length}")
        means = np.frombuffer(sums.means, "<f2").astype(np.float64)
        if not ((means >= 0) & (means <= 1)).all():
            raise RemoteError("sums hold a number outside 0 to 1")
        if not 0 < sums.weight <= HELD_MAX:
            raise RemoteError(f"sums weigh {sums.weight}, which is not within 0 to {HELD_MAX}")
        return Arrival(sums.weight, means)

    def estimate(self) -> Vector | None:
        """What the mesh has on average, float64 `(length,)`; None before three arrivals."""
        return self._median()

    def lose(self, sender: str) -> None:
        """Count no more on one that has gone."""
        self._senders.pop(sender, None)

    def _median(self) -> Vector | None:
        if len(self._recent) < ARRIVALS_MIN:
            return None
        # By hand: 11 us where numpy.median takes 60, once an arrival.
        rows = np.array(self._recent)
        rows.sort(axis=0)
        middle: Vector = (rows[(len(rows) - 1) // 2] + rows[len(rows) // 2]) / 2
        return middle

    def _bound(self) -> None:
        if self._weight > HELD_MAX:
            self._sum *= HELD_MAX / self._weight
            self._weight = HELD_MAX


def checked(numbers: NDArray[np.floating], length: int) -> Vector:
    """A copy of what a peer has to say, float64 `(length,)`.

    Raises:
        ValueError: a wrong shape, or a number outside [0, 1].
    """
    own = np.array(numbers, np.float64)
    if own.shape != (length,) or not ((own >= 0) & (own <= 1)).all():
        raise ValueError(f"a contribution is {length} numbers from 0 to 1")
    return own
