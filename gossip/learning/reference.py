"""The same learners in numpy alone, one peer after the other.

They stand in for torch in tests and on machines that have none (there is no torch for musl or
armv7), and say in the fewest lines what `gossip.learning.detector` must compute; a test holds the
two together.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from gossip.learning.dense import DenseLearner
from gossip.learning.learner import BENIGN, Batches, Outcome
from gossip.learning.shapes import DetectorShape, MLPShape, affine

Vector = NDArray[np.float32]
Labels = NDArray[np.int64]
Flags = NDArray[np.bool_]
Arrays = dict[str, Vector]


def _back(w: Arrays, g: Arrays, name: str, a: Vector, delta: Vector) -> Vector:
    """Write a layer's gradients; returns the gradient by its input `a`."""
    np.matmul(a.T, delta, out=g[f"{name}.w"])
    delta.sum(0, out=g[f"{name}.b"])
    out: Vector = delta @ w[f"{name}.w"].T
    return out


def _cross_entropy(logits: Vector, y: Labels, known: Flags) -> tuple[float, Vector]:
    """Mean over the rows that carry a label of a known family, and its gradient."""
    rows = np.flatnonzero((y >= 0) & known[np.maximum(y, 0)])
    delta = np.zeros_like(logits)
    if not len(rows):
        return 0.0, delta
    log_p = np.where(known, logits[rows], np.float32(-np.inf))
    log_p -= log_p.max(1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
    delta[rows] = np.exp(log_p)
    delta[rows, y[rows]] -= 1.0
    delta /= len(rows)
    return -float(log_p[np.arange(len(rows)), y[rows]].mean()), delta


def _reconstruction(out: Vector, x: Vector, y: Labels) -> tuple[float, Vector]:
    """Mean squared error over the rows not labelled as attacks, and its gradient."""
    residual = np.where((y <= BENIGN)[:, None], out - x, np.float32(0.0))
    count = max(int((y <= BENIGN).sum()), 1) * x.shape[1]
    return float(np.square(residual).sum()) / count, residual * np.float32(2.0 / count)


class _Model(DenseLearner):
    """A model and how it is trained."""

    @abstractmethod
    def gradients(self, w: Arrays, g: Arrays, x: Vector, y: Labels, known: Flags) -> float:
        """Write every gradient of one peer's step into `g` and return the loss."""

    def train(self, vectors: Vector, momentum: Vector, batches: Batches) -> Outcome:
        """See `Learner.train`."""
        batches.check(peers=len(vectors))
        out = Outcome(vectors.copy(), momentum.copy(), np.zeros(len(vectors), np.float32))
        steps = batches.x.shape[1]
        gradient = np.empty(vectors.shape[1], np.float32)
        g = self.sizes.layout.views(gradient)
        for peer in range(len(vectors)):
            vector, moving = out.vectors[peer], out.momentum[peer]
            w = self.sizes.layout.views(vector)
            with np.errstate(over="ignore", invalid="ignore"):
                for step in range(steps):
                    x, y = batches.x[peer, step], batches.y[peer, step]
                    out.loss[peer] += self.gradients(w, g, x, y, batches.known[peer]) / steps
                    length = float(np.linalg.norm(gradient))
                    gradient *= np.float32(min(1.0, self.descent.clip / max(length, 1e-12)))
                    moving *= np.float32(self.descent.momentum)
                    moving += gradient
                    vector -= np.float32(self.descent.rate) * moving
            if not (np.isfinite(vector).all() and np.isfinite(moving).all()):
                vector[:], moving[:], out.loss[peer] = vectors[peer], 0.0, np.nan
        return out


@final
@dataclass(frozen=True)
class ReferenceClassifier(_Model):
    """`gossip.learning.detector.Classifier` in numpy; `(features, classes)` is softmax regression.

    Args:
        sizes: layer sizes.
        descent: how to step.
    """

    sizes: MLPShape

    def gradients(self, w: Arrays, g: Arrays, x: Vector, y: Labels, known: Flags) -> float:
        """See `_Model`."""
        names = [name for name, _, _ in self.sizes.layers]
        inputs = [x]
        for name in names[:-1]:
            inputs.append(np.maximum(affine(w, name, inputs[-1]), 0.0))
        loss, delta = _cross_entropy(affine(w, names[-1], inputs[-1]), y, known)
        for name, a in zip(reversed(names), reversed(inputs), strict=True):
            delta = _back(w, g, name, a, delta) * (a > 0)
        return loss


@final
@dataclass(frozen=True)
class ReferenceDetector(_Model):
    """`gossip.learning.detector.Detector` in numpy.

    Args:
        sizes: layer sizes.
        descent: how to step.
        reconstruction: weight of the autoencoder's loss beside the head's.
    """

    sizes: DetectorShape
    reconstruction: float = 1.0

    def gradients(self, w: Arrays, g: Arrays, x: Vector, y: Labels, known: Flags) -> float:
        """See `_Model`."""
        encoded = np.maximum(affine(w, "encode", x), 0.0)
        code: Vector = np.tanh(affine(w, "code", encoded))
        decoded = np.maximum(affine(w, "decode", code), 0.0)
        judged = np.maximum(affine(w, "judge", encoded), 0.0)
        mse, delta = _reconstruction(affine(w, "rebuild", decoded), x, y)
        delta *= np.float32(self.reconstruction)
        delta = _back(w, g, "rebuild", decoded, delta) * (decoded > 0)
        delta = _back(w, g, "decode", code, delta)
        delta -= delta * np.square(code)
        by_encoded = _back(w, g, "code", encoded, delta)
        entropy, delta = _cross_entropy(affine(w, "name", judged), y, known)
        delta = _back(w, g, "name", judged, delta) * (judged > 0)
        by_encoded += _back(w, g, "judge", encoded, delta)
        _back(w, g, "encode", x, by_encoded * (encoded > 0))
        return self.reconstruction * mse + entropy
