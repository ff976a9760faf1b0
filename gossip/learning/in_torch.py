"""The same training in torch: what a scenario may ask for, and the oracle of `in_numpy`'s tests.

The only file of Hedgerow that imports torch. Forward and backward passes are written by hand with
`torch.bmm` over parameters stacked as `(peers, dim)`; `vmap` costs twice as much. Peers are taken
in chunks small enough for the processor's cache, each through all of its steps before the next.

A peer's result does not depend on who else is in the stack, up to the rounding of matrix products
(1e-5 of the vector's largest number, see tests/learning/test_detector.py).
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gossip.learning.dense import DenseLearner
from gossip.learning.layout import Layout
from gossip.learning.learner import BENIGN, Batches, Outcome
from gossip.learning.shapes import DetectorShape, MLPShape

Arrays = dict[str, Tensor]

CHUNK_NUMBERS = 320_000
CHUNK_PEERS_MAX = 256
"""Parameters, and peers, trained at a time. Measured on two machines: about 32 peers of 9,834
parameters (16 to 64 are close) and from 128 peers of 116."""


def _views(layout: Layout, stack: Tensor) -> Arrays:
    peers = stack.shape[0]
    return {name: stack[:, place].view(peers, *shape) for name, place, shape in layout.slices()}


def _affine(w: Arrays, name: str, a: Tensor) -> Tensor:
    return torch.baddbmm(w[f"{name}.b"].unsqueeze(1), a, w[f"{name}.w"])


def _affine_back(g: Arrays, name: str, a: Tensor, delta: Tensor) -> None:
    torch.bmm(a.transpose(1, 2), delta, out=g[f"{name}.w"])
    torch.sum(delta, 1, out=g[f"{name}.b"])


def _through(w: Arrays, name: str, delta: Tensor) -> Tensor:
    return torch.bmm(delta, w[f"{name}.w"].transpose(1, 2))


def _cross_entropy(
    outputs: Tensor, y: Tensor, known: Tensor, codes: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Masked softmax cross entropy: loss `(peers,)` and its gradient by a head's outputs.

    The mean runs over the rows that carry a label of a known family; others weigh nothing.
    """
    logits = outputs if codes is None else outputs @ codes
    target = y.clamp(min=0).unsqueeze(2)
    counted = (y >= 0) & torch.gather(known, 1, target.squeeze(2))
    share = (counted.to(logits.dtype) / counted.sum(1, keepdim=True).clamp(min=1)).unsqueeze(2)
    # A peer that knows nothing would have only masked outputs, and a softmax of those is NaN.
    masked = logits.masked_fill(~(known | ~known.any(1, keepdim=True)).unsqueeze(1), -torch.inf)
    log_p = torch.log_softmax(masked, 2)
    picked = torch.gather(log_p, 2, target)
    loss = -(torch.where(counted.unsqueeze(2), picked, 0.0) * share).sum((1, 2))
    delta = log_p.exp() * share
    delta.scatter_add_(2, target, -share)
    return loss, delta if codes is None else delta @ codes.T


def _reconstruction(out: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error over the rows not labelled as attacks: loss `(peers,)` and gradient."""
    trusted = (y <= BENIGN).to(x.dtype)
    share = (trusted / (trusted.sum(1, keepdim=True).clamp(min=1) * x.shape[2])).unsqueeze(2)
    residual = out - x
    delta = residual * share
    return (residual * delta).sum((1, 2)), delta.mul_(2.0)


def _tensor(array: NDArray[Any]) -> Tensor:
    # torch warns of read-only arrays, which rows read from a store may well be.
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a `Batches`.

    Args:
        x: `(peers, rows, features)`.
        y: `(peers, rows)`.
        known: `(peers, families)`.
        codes: `(outputs, families)`, or None.
    """

    x: Tensor
    y: Tensor
    known: Tensor
    codes: Tensor | None

    def entropy(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """See `_cross_entropy`."""
        return _cross_entropy(outputs, self.y, self.known, self.codes)


class _Model(DenseLearner):
    """A model and how stacks of it are trained."""

    @abstractmethod
    def gradients(self, w: Arrays, g: Arrays, step: Step) -> Tensor:
        """Write every gradient into `g` and return the loss `(peers,)`.

        `w` and `g` hold views of the layout's arrays, each `(peers, *shape)`.
        """

    def train(
        self, vectors: NDArray[np.float32], momentum: NDArray[np.float32], batches: Batches
    ) -> Outcome:
        """See `Learner.train`. Peers are taken a chunk at a time.

        A peer whose numbers overflow keeps the vector it came with; its momentum starts from zero
        and its loss is NaN.
        """
        self.check(len(vectors), batches)
        torch.set_num_threads(1)
        out = Outcome(vectors.copy(), momentum.copy(), np.empty(len(vectors), np.float32))
        with torch.no_grad():
            size = min(max(CHUNK_NUMBERS // vectors.shape[1], 1), CHUNK_PEERS_MAX)
            for start in range(0, len(vectors), size):
                part = slice(start, start + size)
                stack, moving = _tensor(out.vectors[part]), _tensor(out.momentum[part])
                out.loss[part] = self._train_chunk(stack, moving, batches.part(part)).numpy()
        sound = np.isfinite(out.vectors).all(1) & np.isfinite(out.momentum).all(1)
        out.vectors[~sound], out.momentum[~sound], out.loss[~sound] = vectors[~sound], 0.0, np.nan
        return out

    def _train_chunk(self, vectors: Tensor, momentum: Tensor, batches: Batches) -> Tensor:
        """Train in place; returns the mean loss `(peers,)`."""
        descent, layout = self.descent, self.sizes.layout
        gradient = torch.empty_like(vectors)
        w, g = _views(layout, vectors), _views(layout, gradient)
        x, y, known = _tensor(batches.x), _tensor(batches.y), _tensor(batches.known)
        codes = None if batches.codes is None else _tensor(batches.codes)
        total = torch.zeros(vectors.shape[0])
        for step in range(x.shape[1]):
            total += self.gradients(w, g, Step(x[:, step], y[:, step], known, codes))
            norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            gradient *= (descent.clip / norm.clamp(min=1e-12)).clamp(max=1.0)
            momentum.mul_(descent.momentum).add_(gradient)
            vectors.sub_(momentum, alpha=descent.rate)
        return total / x.shape[1]


@final
@dataclass(frozen=True)
class TorchDetector(_Model):
    """`gossip.learning.in_numpy.Detector` in torch.

    Args:
        sizes: layer sizes.
        descent: how to step.
        reconstruction: weight of the autoencoder's loss beside the head's.
    """

    sizes: DetectorShape
    reconstruction: float = 1.0

    def gradients(self, w: Arrays, g: Arrays, step: Step) -> Tensor:
        """See `_Model`."""
        x = step.x
        encoded = _affine(w, "encode", x).relu_()
        code = _affine(w, "code", encoded).tanh_()
        decoded = _affine(w, "decode", code).relu_()
        judged = _affine(w, "judge", encoded).relu_()

        mse, by_rebuilt = _reconstruction(_affine(w, "rebuild", decoded), x, step.y)
        by_rebuilt.mul_(self.reconstruction)
        entropy, by_named = step.entropy(_affine(w, "name", judged))

        _affine_back(g, "rebuild", decoded, by_rebuilt)
        by_decoded = _through(w, "rebuild", by_rebuilt).mul_(decoded > 0)
        _affine_back(g, "decode", code, by_decoded)
        by_code = _through(w, "decode", by_decoded).mul_(1.0 - code * code)
        _affine_back(g, "code", encoded, by_code)

        _affine_back(g, "name", judged, by_named)
        by_judged = _through(w, "name", by_named).mul_(judged > 0)
        _affine_back(g, "judge", encoded, by_judged)

        by_encoded = _through(w, "code", by_code)
        by_encoded.add_(_through(w, "judge", by_judged)).mul_(encoded > 0)
        _affine_back(g, "encode", x, by_encoded)
        return mse.mul_(self.reconstruction).add_(entropy)


@final
@dataclass(frozen=True)
class TorchClassifier(_Model):
    """`gossip.learning.in_numpy.Classifier` in torch.

    Args:
        sizes: layer sizes.
        descent: how to step.
    """

    sizes: MLPShape

    def gradients(self, w: Arrays, g: Arrays, step: Step) -> Tensor:
        """See `_Model`."""
        names = [name for name, _, _ in self.sizes.layers]
        x = step.x
        inputs = [x]
        for name in names[:-1]:
            inputs.append(_affine(w, name, inputs[-1]).relu_())
        loss, delta = step.entropy(_affine(w, names[-1], inputs[-1]))
        for name, a in zip(reversed(names), reversed(inputs), strict=True):
            _affine_back(g, name, a, delta)
            if a is not x:
                delta = _through(w, name, delta).mul_(a > 0)
        return loss
