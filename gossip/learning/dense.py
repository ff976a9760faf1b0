"""What every learner of dense layers says of itself; only how it trains is its own."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gossip.learning.descent import Descent
from gossip.learning.learner import Batches, Outcome
from gossip.learning.shapes import DenseShape


@dataclass(frozen=True)
class DenseLearner(ABC):
    """A `Learner` of some sizes.

    Args:
        sizes: layer sizes.
        descent: how to step.
    """

    sizes: DenseShape
    descent: Descent = field(default_factory=Descent)

    @property
    def dim(self) -> int:
        """Length of the flat float32 vector."""
        return self.sizes.layout.dim

    @property
    def shared(self) -> int:
        """How many of the first numbers travel."""
        return self.sizes.shared

    @property
    def carries(self) -> bool:
        """Whether momentum goes from one training to the next."""
        return self.descent.momentum > 0.0

    def check(self, peers: int, batches: Batches) -> None:
        """Refuse batches that do not fit each other, the stack, or the head.

        Raises:
            ValueError: they do not.
        """
        batches.check(peers)
        if batches.outputs != self.sizes.outputs:
            raise ValueError(
                f"a head of {self.sizes.outputs} outputs does not fit batches for {batches.outputs}"
                f" ({'plain' if batches.codes is None else 'coded'})"
            )

    @property
    def shape(self) -> str:
        """Layer sizes as text."""
        return self.sizes.text

    def initial(self, seed: bytes) -> NDArray[np.float32]:
        """A fresh vector, float32 `(dim,)`; the same for the same seed."""
        return self.sizes.initial(seed)

    @abstractmethod
    def train(
        self, vectors: NDArray[np.float32], momentum: NDArray[np.float32], batches: Batches
    ) -> Outcome:
        """See `Learner.train`."""
