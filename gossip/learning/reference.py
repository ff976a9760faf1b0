"""A learner in numpy alone: plain classifiers of any depth, one peer after the other.

It stands in for torch in tests and on machines that have none, and says in the fewest lines what
`gossip.learning.detector.Classifier` must compute.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gossip.learning.descent import Descent
from gossip.learning.learner import Batches, Outcome
from gossip.learning.shapes import MLPShape

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class ReferenceClassifier:
    """`MLPShape((features, classes))` is softmax regression.

    Args:
        sizes: layer sizes.
        descent: how to step.
    """

    sizes: MLPShape
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
    def shape(self) -> str:
        """Layer sizes as text."""
        return self.sizes.text

    def initial(self, seed: bytes) -> Vector:
        """A fresh vector, float32 `(dim,)`."""
        return self.sizes.initial(seed)

    def train(self, vectors: Vector, momentum: Vector, batches: Batches) -> Outcome:
        """See `Learner.train`."""
        batches.check(peers=len(vectors))
        out = Outcome(vectors.copy(), momentum.copy(), np.zeros(len(vectors), np.float32))
        steps = batches.x.shape[1]
        for peer in range(len(vectors)):
            w, m = out.vectors[peer], out.momentum[peer]
            for step in range(steps):
                x, y = batches.x[peer, step], batches.y[peer, step]
                loss, gradient = self._gradient(w, x, y, batches.known[peer])
                out.loss[peer] += loss / steps
                length = float(np.linalg.norm(gradient))
                gradient *= min(1.0, self.descent.clip / max(length, 1e-12))
                m *= self.descent.momentum
                m += gradient
                w -= self.descent.rate * m
        return out

    def _gradient(
        self, vector: Vector, x: Vector, y: NDArray[np.int64], known: NDArray[np.bool_]
    ) -> tuple[float, Vector]:
        """Masked cross entropy over the rows that carry a label of a known family."""
        gradient = np.zeros_like(vector)
        counted = (y >= 0) & known[np.maximum(y, 0)]
        x, y = x[counted], y[counted]
        if not len(y):
            return 0.0, gradient
        w, g = self.sizes.layout.views(vector), self.sizes.layout.views(gradient)
        names = [name for name, _, _ in self.sizes.layers]
        inputs = [x]
        for name in names[:-1]:
            inputs.append(np.maximum(inputs[-1] @ w[f"{name}.w"] + w[f"{name}.b"], 0.0))
        logits = np.where(known, inputs[-1] @ w[f"{names[-1]}.w"] + w[f"{names[-1]}.b"], -np.inf)
        log_p = logits - logits.max(1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
        rows = np.arange(len(y))
        delta = np.exp(log_p)
        delta[rows, y] -= 1.0
        delta /= len(y)
        for name, a in zip(reversed(names), reversed(inputs), strict=True):
            g[f"{name}.w"][:] = a.T @ delta
            g[f"{name}.b"][:] = delta.sum(0)
            delta = (delta @ w[f"{name}.w"].T) * (a > 0)
        return -float(log_p[rows, y].mean()), gradient
