"""The whole detector of one node: the part that peers merge, and the part that stays at home."""

from math import nan

import numpy as np
from numpy.typing import NDArray

from gossip.actions import Train
from gossip.codec import PARAMETER_MAX
from gossip.errors import StateError
from gossip.events import Trained
from gossip.learning.learner import Batches, Learner

Floats = NDArray[np.float32]


class Trainer:
    """Trains the detector for a peer that knows only its shared part.

    Args:
        learner: how to train; its vector's first `learner.shared` numbers are the peer's.
        initial: the vector to begin with, float32 `(dim,)`; its own part is kept.
    """

    def __init__(self, learner: Learner, initial: Floats) -> None:
        self.learner = learner
        self._own = initial[learner.shared :].copy()
        self._momentum = np.zeros(learner.dim, np.float32)

    def whole(self, shared: Floats) -> Floats:
        """The detector made of a peer's vector `(shared,)` and our own part; float32 `(dim,)`."""
        return np.concatenate([shared, self._own])

    def train(self, action: Train, batches: Batches | None) -> Trained:
        """Train for one cycle. Called in a worker thread, one call at a time.

        Where training diverged, our own part stays as it was and the delta is NaN, so that the
        peer, too, discards what was learnt, and says so.
        """
        if batches is None:
            return Trained(action.cycle, None, 0, nan)
        before = self.whole(action.vector)
        # Values that overflow are found below; numpy need not warn of them as well.
        with np.errstate(over="ignore", invalid="ignore"):
            outcome = self.learner.train(before[None], self._momentum[None], batches)
            after, momentum = outcome.vectors[0], outcome.momentum[0]
            sound = (np.abs(after) <= PARAMETER_MAX).all() and np.isfinite(momentum).all()
        steps, loss = batches.x.shape[1], float(outcome.loss[0])
        shared = self.learner.shared
        if not sound:
            self._momentum = np.zeros_like(self._momentum)
            return Trained(action.cycle, np.full(shared, nan, np.float32), steps, loss)
        self._own, self._momentum = after[shared:].copy(), momentum
        return Trained(action.cycle, after[:shared] - action.vector, steps, loss)

    def to_arrays(self) -> dict[str, Floats]:
        """Arrays for the store; the peer's part is not among them."""
        return {"own": self._own, "momentum": self._momentum}

    def restore(self, arrays: dict[str, Floats]) -> None:
        """Become what `to_arrays` described.

        Raises:
            StateError: an array is absent or of another model.
        """
        own, momentum = arrays.get("own"), arrays.get("momentum")
        if (
            own is None
            or momentum is None
            or own.shape != self._own.shape
            or momentum.shape != self._momentum.shape
        ):
            raise StateError("the stored model has other sizes; move the state folder away")
        self._own, self._momentum = own, momentum
