"""Postponed training: every `Train` waits until the first of those waiting is due to complete.

Then all of them are trained in one batched call. No result is visible before its own completion
time, and no input can change after `Train` was asked for, so nobody can tell the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.events import Trained
from gossip.learning.learner import Batches, Learner

CHUNK_PEERS = 32
"""Peers in one call of the learner: as many as the torch learner takes at a time. The batches of
more would only need more memory (0.1 MB a peer for 7 steps of 32 rows of 115 features)."""


class Rows(Protocol):
    """Where peers' training rows come from."""

    def trainable(self, peer: int) -> bool:
        """Whether a peer has anything to train on."""

    def batches(
        self, peers: Sequence[int], cycles: Sequence[int], times_us: Sequence[int]
    ) -> Batches:
        """Rows for one training of each of these peers.

        What a peer gets depends on the peer, its cycle and the moment at which it asked (simulated
        microseconds), never on who else is asked for.
        """


@dataclass(slots=True, eq=False)
class Job:
    """One training asked for, and later its result.

    Args:
        peer: index of the peer.
        cycle: given back in `Trained`.
        asked_us: simulated time of the question.
        vector: the part that peers merge, float32 `(shared,)`; dropped once trained.
        local: the part that stays with the peer, float32 `(dim - shared,)`; None stands for the
            initial one. Replaced by the trained one.
        momentum: float32 `(dim,)`; None stands for zeros. Replaced by the new one.
        trained: the result, once there is one.
    """

    peer: int
    cycle: int
    asked_us: int
    vector: NDArray[np.float32] | None
    local: NDArray[np.float32] | None
    momentum: NDArray[np.float32] | None
    trained: Trained | None = None


class Postponed:
    """Jobs waiting to be trained together.

    Args:
        learner: trains stacks of vectors.
        rows: the peers' data; `rows` stays at hand.
        initial: the vector that everybody starts with, float32 `(dim,)`.
        postpone: False trains each job alone at its completion, for comparison.
        chunk_peers: at most this many in one call of the learner, which bounds memory.
    """

    def __init__(
        self,
        learner: Learner,
        rows: Rows,
        initial: NDArray[np.float32],
        *,
        postpone: bool = True,
        chunk_peers: int = CHUNK_PEERS,
    ) -> None:
        self._learner = learner
        self.rows = rows
        self._initial = initial
        self._postpone = postpone
        self._chunk_peers = chunk_peers
        self._waiting: dict[int, Job] = {}  # by peer, in order of asking
        self.calls = 0

    def ask(self, job: Job) -> None:
        """Take on a job. A peer has at most one at any time."""
        if self.rows.trainable(job.peer):
            self._waiting[job.peer] = job
        else:
            job.vector = None
            job.trained = Trained(job.cycle, None, 0, float("nan"))

    def cancel(self, job: Job) -> None:
        """Forget a job whose peer has gone."""
        if self._waiting.get(job.peer) is job:
            del self._waiting[job.peer]

    def result(self, job: Job) -> Trained:
        """The job is due: its result, training everything that waits if it has none yet."""
        if job.trained is None:
            due = list(self._waiting.values()) if self._postpone else [job]
            for start in range(0, len(due), self._chunk_peers):
                self._train(due[start : start + self._chunk_peers])
            for done in due:
                del self._waiting[done.peer]
        assert job.trained is not None  # noqa: S101 - trained above; tells the type checker
        return job.trained

    def whole(
        self, vector: NDArray[np.float32], local: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """A peer's merged and local parts in one, float32 `(dim,)`."""
        if local is None:
            local = self._initial[len(vector) :]
        return np.concatenate([vector, local]) if len(local) else vector

    def _train(self, jobs: list[Job]) -> None:
        self.calls += 1
        batches = self.rows.batches(
            [job.peer for job in jobs],
            [job.cycle for job in jobs],
            [job.asked_us for job in jobs],
        )
        shared = self._learner.shared
        vectors = np.empty((len(jobs), self._learner.dim), np.float32)
        vectors[:, shared:] = self._initial[shared:]
        momentum = np.zeros_like(vectors)
        for row, job in enumerate(jobs):
            vectors[row, :shared] = job.vector
            if job.local is not None:
                vectors[row, shared:] = job.local
            if job.momentum is not None:
                momentum[row] = job.momentum
        outcome = self._learner.train(vectors, momentum, batches)
        deltas = outcome.vectors[:, :shared] - vectors[:, :shared]
        moving = np.count_nonzero(outcome.momentum, axis=1)
        steps = int(batches.x.shape[1])
        for row, job in enumerate(jobs):
            job.vector = None
            # What is empty or zero costs no memory: a whole mesh of it would be much.
            job.local = (
                outcome.vectors[row, shared:].copy() if shared < len(self._initial) else None
            )
            job.momentum = outcome.momentum[row].copy() if moving[row] else None
            job.trained = Trained(job.cycle, deltas[row], steps, float(outcome.loss[row]))
