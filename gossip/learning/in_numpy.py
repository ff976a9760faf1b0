"""Training in numpy: the detector and plain classifiers, one peer or many at a time.

What a gateway runs, with a stack of one, and what the World runs unless told otherwise.

Parameters are stacked as `(peers, dim)` and every product is one `numpy.matmul` over the stack,
which hands each peer's matrices to BLAS by themselves. A peer's result is therefore the same to the
last bit whoever else is in the stack. It is also fast: at these sizes OpenBLAS has kernels of its
own for small matrices, and brings 95-108 GFLOP/s where `torch.bmm` brings 60-78 (40-54 against 7-11
for the 32-10 layer; one core of an AMD EPYC, numpy 2.4, torch 2.13).

A coded head (`Batches.codes`) is one more product with numbers that nobody learns, forth and back;
a plain one is computed as if there were no codes.

A layer's weights and biases lie side by side in the flat vector. Activations carry a last column of
ones, so that one product applies both, and one gives both gradients. What names a row (the last
layer of a head) is computed with classes before rows, so that sums over classes run along memory.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from gossip.learning.dense import DenseLearner
from gossip.learning.learner import BENIGN, Batches, Outcome
from gossip.learning.shapes import DenseShape, DetectorShape, MLPShape

Floats = NDArray[np.float32]

CHUNK_NUMBERS = 160_000
CHUNK_PEERS_MAX = 128
"""Parameters, and peers, trained at a time, so that they stay in the processor's cache: measured, 8
to 32 peers of 9,834 parameters are alike, and 64 to 256 peers of 116."""

_NEVER = np.float32(-1e30)
"""Added to the output of a family that a peer does not know; minus infinity would give NaN."""


class _Net:
    """One chunk's parameters, gradients and activations.

    Args:
        sizes: layer sizes.
        vectors: float32 `(peers, dim)`; layers are views of it.
        rows: of one step.
    """

    def __init__(self, sizes: DenseShape, vectors: Floats, rows: int) -> None:
        peers = len(vectors)
        self.gradient = np.empty_like(vectors)
        self._w: dict[str, Floats] = {}
        self._g: dict[str, Floats] = {}
        self._a: dict[str, Floats] = {}
        start = 0
        for name, inputs, outputs in sizes.layers:
            place = slice(start, start + (inputs + 1) * outputs)
            shape = (peers, inputs + 1, outputs)
            self._w[name] = vectors[:, place].reshape(shape)
            self._g[name] = self.gradient[:, place].reshape(shape)
            self._a[name] = np.ones((peers, rows, outputs + 1), np.float32)
            start = place.stop

    def affine(self, name: str, a: Floats) -> Floats:
        """What a layer makes of `(peers, rows, in + 1)`: `(peers, rows, out + 1)`, to write on."""
        out = self._a[name]
        np.matmul(a, self._w[name], out=out[..., :-1])
        return out

    def relu(self, name: str, a: Floats) -> Floats:
        """The same, and zero where that is negative."""
        out = self.affine(name, a)
        return np.maximum(out, np.float32(0.0), out=out)

    def named(self, name: str, a: Floats) -> Floats:
        """What a head's last layer makes of activations, `(peers, outputs, rows)`."""
        out: Floats = np.matmul(self._w[name].transpose(0, 2, 1), a.transpose(0, 2, 1))
        return out

    def back(self, name: str, a: Floats, delta: Floats) -> None:
        """Write a layer's gradient, given that by its output `(peers, rows, out)`."""
        np.matmul(a.transpose(0, 2, 1), delta, out=self._g[name])

    def through(self, name: str, delta: Floats) -> Floats:
        """The gradient by a layer's input, `(peers, rows, in)`."""
        out: Floats = np.matmul(delta, self._w[name][:, :-1].transpose(0, 2, 1))
        return out


class _Labels:
    """What a chunk's labels say, for all of its steps at once.

    The mean of the loss runs over a step's rows that carry a label of a family the peer knows;
    others weigh nothing.
    """

    def __init__(self, batches: Batches) -> None:
        self._y = batches.y
        self._decode, self._encode = None, None
        if batches.codes is not None:
            self._decode = np.ascontiguousarray(batches.codes.T)  # (families, outputs)
            self._encode = np.ascontiguousarray(batches.codes)
        target = np.maximum(batches.y, 0)
        peers = np.arange(len(target))[:, None, None]
        counted = (batches.y >= 0) & batches.known[peers, target]
        count = np.maximum(counted.sum(2, keepdims=True), 1)
        self._share = (counted / count).astype(np.float32)  # (peers, steps, rows)
        families = np.arange(batches.known.shape[1])[:, None]
        hot = (target[:, :, None] == families) * self._share[:, :, None]
        self._hot = np.ascontiguousarray(hot.swapaxes(0, 1))  # (steps, peers, families, rows)
        # A peer that knows nothing would have only masked outputs.
        silent = ~(batches.known | ~batches.known.any(1, keepdims=True))
        self._masked = (silent * _NEVER)[:, :, None] if silent.any() else None

    def entropy(self, step: int, outputs: Floats) -> tuple[Floats, Floats]:
        """Masked softmax cross entropy of one step.

        Args:
            step: which one.
            outputs: of the head, `(peers, outputs, rows)`; overwritten.

        Returns:
            Loss `(peers,)`, and the gradient by the outputs `(peers, rows, outputs)`.
        """
        logits = outputs if self._decode is None else np.matmul(self._decode, outputs)
        share, hot = self._share[:, step, None], self._hot[step]
        if self._masked is not None:
            logits += self._masked
        logits -= logits.max(1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(1, keepdims=True)
        loss = _dot(share, np.log(total)) - _dot(hot, logits)
        odds *= share / total
        odds -= hot
        if self._encode is not None:
            odds = np.matmul(self._encode, odds)
        return loss, odds.transpose(0, 2, 1)

    def reconstruction(self, step: int, out: Floats, x: Floats) -> tuple[Floats, Floats]:
        """Mean squared error over one step's rows not labelled as attacks, and its gradient.

        Args:
            step: which one.
            out: what the autoencoder makes of `x`, `(peers, rows, features)`.
            x: the rows.
        """
        trusted = self._y[:, step] <= BENIGN
        count = np.maximum(trusted.sum(1, keepdims=True), 1) * x.shape[2]
        residual = out - x
        delta = residual * (trusted / count).astype(np.float32)[..., None]
        loss = _dot(residual, delta)
        delta *= np.float32(2.0)
        return loss, delta


def _dot(a: Floats, b: Floats) -> Floats:
    """The sum of each peer's products, `(peers,)`."""
    peers = len(a)
    out: Floats = np.matmul(a.reshape(peers, 1, -1), b.reshape(peers, -1, 1))
    return out.reshape(peers)


class _Model(DenseLearner):
    """A model and how stacks of it are trained."""

    @abstractmethod
    def gradients(self, net: _Net, labels: _Labels, step: int, x: Floats) -> Floats:
        """Write every gradient of one step into `net.gradient` and return the loss `(peers,)`.

        `x` has the step's rows and a last column of ones, `(peers, rows, features + 1)`.
        """

    def train(self, vectors: Floats, momentum: Floats, batches: Batches) -> Outcome:
        """See `Learner.train`. Peers are taken a chunk at a time.

        A peer whose numbers overflow keeps the vector it came with; its momentum starts from zero
        and its loss is NaN.
        """
        self.check(len(vectors), batches)
        trained = np.array(vectors, np.float32, order="C")
        moving = np.array(momentum, np.float32) if self.carries else momentum
        loss = np.zeros(len(vectors), np.float32)
        size = min(max(CHUNK_NUMBERS // vectors.shape[1], 1), CHUNK_PEERS_MAX)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, len(vectors), size):
                part = slice(start, start + size)
                loss[part] = self._train_chunk(trained[part], moving[part], batches.part(part))
        sound = np.isfinite(trained).all(1)
        if self.carries:
            sound &= np.isfinite(moving).all(1)
        if not sound.all():
            trained[~sound], loss[~sound] = vectors[~sound], np.nan
            if self.carries:
                moving[~sound] = 0.0
        if not self.carries:
            moving = np.broadcast_to(np.float32(0.0), vectors.shape)
        return Outcome(trained, moving, loss)

    def _train_chunk(self, vectors: Floats, momentum: Floats, batches: Batches) -> Floats:
        """Train in place; returns the mean loss `(peers,)`."""
        descent = self.descent
        peers, steps, rows, features = batches.x.shape
        net, labels = _Net(self.sizes, vectors, rows), _Labels(batches)
        gradient = net.gradient
        x = np.ones((peers, rows, features + 1), np.float32)
        loss = np.zeros(peers, np.float32)
        rate, clip = np.float32(descent.rate), np.float32(descent.clip)
        for step in range(steps):
            x[..., :-1] = batches.x[:, step]
            loss += self.gradients(net, labels, step, x)
            length = np.sqrt(_dot(gradient, gradient))
            scale = np.minimum(clip / np.maximum(length, np.float32(1e-12)), np.float32(1.0))
            if self.carries:
                gradient *= scale[:, None]
                momentum *= np.float32(descent.momentum)
                momentum += gradient
                np.multiply(momentum, rate, out=gradient)
            else:
                gradient *= (rate * scale)[:, None]
            vectors -= gradient
        return loss / np.float32(steps)


@final
@dataclass(frozen=True)
class Classifier(_Model):
    """A classifier of any depth, `MLPShape((57, 2))` being logistic regression.

    Its head is plain or coded, as the batches are.

    Args:
        sizes: layer sizes.
        descent: how to step.
    """

    sizes: MLPShape

    def gradients(self, net: _Net, labels: _Labels, step: int, x: Floats) -> Floats:
        """See `_Model`."""
        names = [name for name, _, _ in self.sizes.layers]
        inputs = [x]
        for name in names[:-1]:
            inputs.append(net.relu(name, inputs[-1]))
        loss, delta = labels.entropy(step, net.named(names[-1], inputs[-1]))
        for name, a in zip(reversed(names), reversed(inputs), strict=True):
            net.back(name, a, delta)
            if a is not x:
                delta = net.through(name, delta)
                delta *= a[..., :-1] > 0.0
        return loss


@final
@dataclass(frozen=True)
class Detector(_Model):
    """The gateway's model: an autoencoder of its own traffic and a head over attack families.

    Rows labelled as attacks do not train the autoencoder.

    Args:
        sizes: layer sizes.
        descent: how to step.
        reconstruction: weight of the autoencoder's loss beside the head's.
    """

    sizes: DetectorShape
    reconstruction: float = 1.0

    def gradients(self, net: _Net, labels: _Labels, step: int, x: Floats) -> Floats:
        """See `_Model`."""
        encoded = net.relu("encode", x)
        code = net.affine("code", encoded)
        np.tanh(code[..., :-1], out=code[..., :-1])
        decoded = net.relu("decode", code)
        judged = net.relu("judge", encoded)

        rebuilt = net.affine("rebuild", decoded)[..., :-1]
        mse, delta = labels.reconstruction(step, rebuilt, x[..., :-1])
        delta *= np.float32(self.reconstruction)
        net.back("rebuild", decoded, delta)
        delta = net.through("rebuild", delta)
        delta *= decoded[..., :-1] > 0.0
        net.back("decode", code, delta)
        delta = net.through("decode", delta)
        delta -= delta * np.square(code[..., :-1])
        net.back("code", encoded, delta)
        by_encoded = net.through("code", delta)

        entropy, delta = labels.entropy(step, net.named("name", judged))
        net.back("name", judged, delta)
        delta = net.through("name", delta)
        delta *= judged[..., :-1] > 0.0
        net.back("judge", encoded, delta)
        by_encoded += net.through("judge", delta)
        by_encoded *= encoded[..., :-1] > 0.0
        net.back("encode", x, by_encoded)
        return mse * np.float32(self.reconstruction) + entropy
