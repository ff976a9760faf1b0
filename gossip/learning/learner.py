"""What the rest of Hedgerow knows of a model: a flat vector and a function that trains a stack.

A learner has no state of its own. One call trains any number of peers, so a node calls it with a
stack of one and the World with a stack of thousands, and both get the same numbers.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

NO_LABEL = -1
BENIGN = 0


@dataclass(frozen=True, slots=True)
class Batches:
    """Rows to train on, one step after the other.

    Args:
        x: features, float32 `(peers, steps, rows, features)`, already scaled by each peer.
        y: attack family, int64 `(peers, steps, rows)`: 0 is benign, 1… the families, and -1 where
            nobody has said.
        known: bool `(peers, families)`: the families (0 = benign) that a peer's rows speak for or
            against. Outputs of other families are masked out of its classification loss and stay
            as they are. `Samples` masks none: see there for what was measured.
        codes: the families' codes, float32 `(CODE_BITS, families)`, see `gossip.learning.codes`: a
            family's output is its code times what the head gives. None for a plain head, which
            gives an output for each family.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    known: NDArray[np.bool_]
    codes: NDArray[np.float32] | None = None

    @property
    def outputs(self) -> int:
        """Numbers that a head must give for these families."""
        return int(self.known.shape[1] if self.codes is None else self.codes.shape[0])

    def part(self, peers: slice) -> "Batches":
        """The same for some of the peers; views, not copies."""
        return Batches(self.x[peers], self.y[peers], self.known[peers], self.codes)

    def check(self, peers: int) -> None:
        """Refuse arrays that do not fit each other or a stack of `peers` vectors.

        Raises:
            ValueError: the shapes do not match, or there is no step or no row.
        """
        if self.x.ndim != 4 or self.y.ndim != 3 or self.known.ndim != 2:
            raise ValueError("batches need x (p, s, r, f), y (p, s, r) and known (p, families)")
        if self.x.shape[:3] != self.y.shape or min(self.x.shape[1:]) < 1:
            raise ValueError(f"rows {self.x.shape} do not fit labels {self.y.shape}")
        if not len(self.x) == len(self.known) == peers:
            raise ValueError(
                f"{peers} vectors need as many batches; got {len(self.x)} and {len(self.known)}"
            )
        if self.codes is not None and self.codes.shape[1:] != self.known.shape[1:]:
            raise ValueError(f"codes {self.codes.shape} do not fit families {self.known.shape}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of training: vectors and momentum float32 `(peers, dim)`, loss float32 `(peers,)`."""

    vectors: NDArray[np.float32]
    momentum: NDArray[np.float32]
    loss: NDArray[np.float32]


class Learner(Protocol):
    """Trains stacks of flat parameter vectors."""

    @property
    def dim(self) -> int:
        """Length of the flat float32 vector."""

    @property
    def shared(self) -> int:
        """How many of the vector's first numbers peers merge; the others stay local.

        What describes one site's own traffic is better left alone: see `DetectorShape.shared`.
        """

    @property
    def carries(self) -> bool:
        """Whether momentum goes from one training to the next; if not, it is zero throughout."""

    @property
    def shape(self) -> str:
        """Layer sizes as text; part of the fingerprint that peers compare."""

    def initial(self, seed: bytes) -> NDArray[np.float32]:
        """A fresh vector, float32 `(dim,)`; the same for the same seed."""

    def train(
        self, vectors: NDArray[np.float32], momentum: NDArray[np.float32], batches: Batches
    ) -> Outcome:
        """Take `batches.x.shape[1]` steps of SGD with momentum; the inputs stay as they are."""
