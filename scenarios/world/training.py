"""Postponed training: what peers ask for is gathered into stacks, and each is trained in one call.

No result is visible before its own completion time, and no input can change after `Train` was asked
for, so nobody can tell when the work was done, or in which process.

Who shares a stack depends on the order of asking alone, never on how fast anything was: a stack is
full after so many questions, or is closed early when the first of its results is due. So a learner
whose last digits depend on the stack still repeats, with a worker process and without.
"""

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import Antigen
from gossip.errors import LocalError
from gossip.events import Trained
from gossip.learning.learner import Batches, Learner
from scenarios.world.stacks import Bytes, Form, Stack
from scenarios.world.worker import Worker

STACK_NUMBERS = 160_000
STACK_PEERS_MAX = 128
"""Most parameters, and peers, in one stack: what learners take at a time (see
`gossip.learning.in_numpy`), 16 peers of 9,834 parameters or 128 of 116."""

STACK_PEERS_MIN = 8
STACKS_OUTSTANDING = 4
"""A stack is full when it holds a quarter of all trainings that are asked for and not yet due, but
at least 8. A smaller share would leave calls short, a larger one would leave the worker nothing to
do before the first result is wanted (measured with 1,000 peers, of which 50 train at any time)."""

WORKER_PEERS_MIN = 300
"""Peers from which on a worker pays. Measured with trainings of a twentieth of a cycle: with 50 to
200 peers a worker changed nothing beyond noise (stacks are rarely full before they are due), with
400 it brought 1.3 to 1.7 times as many updates a second."""


def worker_pays(peers: int) -> bool:
    """Whether a mesh of so many peers trains faster with a worker, on this machine."""
    return peers >= WORKER_PEERS_MIN and len(os.sched_getaffinity(0)) > 1


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


class Rehearses(Protocol):
    """Rows for peers that may draw from what others have told of attacks."""

    def batches(
        self,
        peers: Sequence[int],
        cycles: Sequence[int],
        times_us: Sequence[int],
        antigens: Sequence[Sequence[Antigen]],
        norms: Sequence[Sequence[Antigen]],
    ) -> Batches:
        """As `Rows.batches`, given the antigens of others and the norms that each peer holds."""


@dataclass(slots=True, eq=False)
class Job:
    """One training asked for, and later its result.

    Args:
        peer: index of the peer.
        cycle: given back in `Trained`.
        asked_us: simulated time of the question.
        vector: the part that peers merge, float32 `(shared,)`. All three are dropped once they are
            in a stack.
        local: the part that stays with the peer, float32 `(dim - shared,)`; None stands for the
            initial one. Replaced by the trained one.
        momentum: float32 `(dim,)`; None stands for zeros. Replaced by the new one.
        antigens: of others, as `Train` has them; dropped with the vector.
        norms: that the peer holds; likewise.
        batch: the others that it is trained with, once that is settled.
        row: its place among them.
    """

    peer: int
    cycle: int
    asked_us: int
    vector: NDArray[np.float32] | None
    local: NDArray[np.float32] | None
    momentum: NDArray[np.float32] | None
    antigens: tuple[Antigen, ...] = ()
    norms: tuple[Antigen, ...] = ()
    batch: "Batch | None" = None
    row: int = 0


@dataclass(slots=True, eq=False)
class Batch:
    """Jobs that are trained together; once they are, `stack` holds the results instead."""

    jobs: list[Job]
    stack: Stack | None = None
    away: bool = False  # with the worker
    loss: list[float] = field(default_factory=list)


class Postponed:
    """Jobs waiting to be trained together.

    `calls` counts the stacks trained so far, `given` those given to the worker.

    Args:
        learner: trains stacks of vectors.
        rows: the peers' data; `rows` stays at hand. What the worker draws from is its state when
            the worker starts, at the first full stack.
        initial: the vector that everybody starts with, float32 `(dim,)`.
        postpone: False trains each job alone at its completion, for comparison.
        stack_peers_max: at most this many in one call of the learner; None for what suits the
            length of its vectors.
        worker: train full stacks in a process beside this one. Results are the same.
        rehearsing: where rows to train on come from instead of `rows`, if peers hold antigens.
            Not with a worker, which gets no antigens.
    """

    def __init__(
        self,
        learner: Learner,
        rows: Rows,
        initial: NDArray[np.float32],
        *,
        postpone: bool = True,
        stack_peers_max: int | None = None,
        worker: bool = False,
        rehearsing: Rehearses | None = None,
    ) -> None:
        if worker and rehearsing is not None:
            raise ValueError("a worker gets no antigens")
        self._rehearsing = rehearsing
        self._learner = learner
        self.rows = rows
        self._initial = initial
        self._postpone = postpone
        self._form = Form(learner.dim, learner.carries)
        self._most = stack_peers_max or min(
            max(STACK_NUMBERS // learner.dim, STACK_PEERS_MIN), STACK_PEERS_MAX
        )
        self._least = min(STACK_PEERS_MIN, self._most)
        self._open: list[Job] = []
        self._outstanding = 0
        self._wanted = worker
        self._worker: Worker | None = None
        self._full: deque[Batch] = deque()  # for the worker, not yet with it
        self._away: dict[int, Batch] = {}  # given to the worker, by slot
        self.calls = 0
        self.given = 0

    def ask(self, job: Job) -> None:
        """Take on a job. A peer has at most one at any time."""
        if not self.rows.trainable(job.peer):
            job.vector = None
            return
        self._outstanding += 1
        self._open.append(job)
        full = min(max(self._outstanding // STACKS_OUTSTANDING, self._least), self._most)
        if len(self._open) >= full and self._postpone:
            batch = self._close_open()
            if self._wanted:
                self._full.append(batch)
                self._feed()

    def cancel(self, job: Job) -> None:
        """Forget a job whose peer has gone."""
        if job.batch is None:
            if job.vector is None:
                return  # there was nothing to train on
            self._open.remove(job)
        # One in a full stack is trained all the same: without it the others' last digits could
        # depend on whether the stack was trained before its peer went.
        self._outstanding -= 1

    def result(self, job: Job) -> Trained:
        """The job is due: its result, training what it needs if that is not done yet.

        Raises:
            LocalError: the worker failed or has died.
        """
        if job.batch is None and job.vector is None:
            return Trained(job.cycle, None, 0, float("nan"))
        batch = job.batch or self._close_open(None if self._postpone else job)
        while batch.stack is None:
            self._advance(batch)
        self._outstanding -= 1
        row, shared = job.row, self._learner.shared
        vector = batch.stack.vectors[row]
        delta = vector
        if shared < len(self._initial):
            # Copies, so that one peer's numbers do not keep the whole stack in memory.
            delta, job.local = vector[:shared], vector[shared:].copy()
        if self._form.carries:
            momentum = batch.stack.momentum[row]
            # What is zero costs no memory: a whole mesh of it would be much.
            job.momentum = momentum.copy() if momentum.any() else None
        job.batch = None
        return Trained(job.cycle, delta, int(batch.stack.steps[0]), batch.loss[row])

    def whole(
        self, vector: NDArray[np.float32], local: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """A peer's merged and local parts in one, float32 `(dim,)`."""
        if local is None:
            local = self._initial[len(vector) :]
        return np.concatenate([vector, local]) if len(local) else vector

    def settle(self) -> None:
        """Wait until the worker has nothing left, so that all there is is in this process.

        Raises:
            LocalError: the worker failed or has died.
        """
        while self._collect(wait=True):
            pass

    def state(self) -> tuple[list[Job], int, list[Batch], int, int]:
        """What `restore` needs to go on, beside the jobs of peers; settled, by reference.

        Who is trained together is part of it: with a worker, without one, or with one in only one
        of the two processes, all results are the same.
        """
        return self._open, self._outstanding, list(self._full), self.calls, self.given

    def restore(
        self, waiting: list[Job], outstanding: int, full: list[Batch], calls: int, given: int
    ) -> None:
        """Go on where another one stood when it gave this state."""
        self._open, self._outstanding, self._full = waiting, outstanding, deque(full)
        self.calls, self.given = calls, given

    def stack(self, memory: Bytes, trainings: int) -> Stack:
        """The stack of so many trainings whose memory this is.

        Raises:
            ValueError: its memory would be larger or smaller.
        """
        if memory.shape != (self._form.size(trainings),):
            raise ValueError(f"{memory.nbytes} bytes are no stack of {trainings} trainings")
        return self._form.over(memory, trainings)

    def close(self) -> None:
        """End the worker, if there is one, after what it has; a later full stack starts another."""
        if self._worker is None:
            return
        try:
            self.settle()
        except LocalError:
            self._worker.close()  # and keep it, so that it says so again to whoever asks for more
            return
        self._worker.close()
        self._worker = None

    def _close_open(self, only: Job | None = None) -> Batch:
        """Settle who is trained together: all that are open, or one alone."""
        if only is None:
            batch = Batch(self._open)
            self._open = []
        else:
            batch = Batch([only])
            self._open.remove(only)
        for row, job in enumerate(batch.jobs):
            job.batch, job.row = batch, row
        return batch

    def _advance(self, wanted: Batch) -> None:
        """Bring a batch that is due closer to being trained; never be idle meanwhile."""
        if not wanted.away:
            if wanted in self._full:
                self._full.remove(wanted)
            self._train_here(wanted)
            return
        worker = self._feed()
        if wanted.stack is not None:
            return
        slot = worker.take_back()
        if slot is not None:
            self._train(worker.stack(slot, len(self._away[slot].jobs)))
            self._return(slot)
        elif self._full:
            self._train_here(self._full.popleft())
        else:
            self._collect(wait=True)

    def _train_here(self, batch: Batch) -> None:
        stack = self._form.new(len(batch.jobs))
        held = [(job.antigens, job.norms) for job in batch.jobs]
        self._fill(stack, batch.jobs)
        self._train(stack, held)
        self._finish(batch, stack)

    def _feed(self) -> Worker:
        """Take from the worker what is done, and give it what it has room for."""
        if self._worker is None:
            self._worker = Worker(self._train, self._form, self._most)
        while self._collect(wait=False):
            pass
        while self._full and self._worker.has_room:
            batch = self._full.popleft()
            slot = self._worker.slot()
            self._fill(self._worker.stack(slot, len(batch.jobs)), batch.jobs)
            self._worker.give(slot, len(batch.jobs))
            batch.away = True
            self._away[slot] = batch
            self.given += 1
        return self._worker

    def _collect(self, *, wait: bool) -> bool:
        """Take one trained stack from the worker; False if there is none yet."""
        if self._worker is None or not self._away:
            return False
        slot = self._worker.done(wait=wait)
        if slot is None:
            return False
        self._return(slot)
        return True

    def _return(self, slot: int) -> None:
        """A slot's stack is trained, in whichever process."""
        assert self._worker is not None  # noqa: S101 - it has the slot; tells the type checker
        batch = self._away.pop(slot)
        batch.away = False
        self._finish(batch, self._worker.copy(slot, len(batch.jobs)))

    def _finish(self, batch: Batch, stack: Stack) -> None:
        self.calls += 1
        batch.loss = stack.loss.tolist()
        batch.stack = stack
        batch.jobs = []  # each knows its row

    def _fill(self, stack: Stack, jobs: list[Job]) -> None:
        shared = self._learner.shared
        stack.peers[:] = [job.peer for job in jobs]
        stack.cycles[:] = [job.cycle for job in jobs]
        stack.times_us[:] = [job.asked_us for job in jobs]
        stack.vectors[:, shared:] = self._initial[shared:]
        stack.momentum[:] = 0.0
        for row, job in enumerate(jobs):
            stack.vectors[row, :shared] = job.vector
            if job.local is not None:
                stack.vectors[row, shared:] = job.local
            if job.momentum is not None:
                stack.momentum[row] = job.momentum
            job.vector = job.local = job.momentum = None
            job.antigens = job.norms = ()

    def _train(
        self, stack: Stack, held: Sequence[tuple[Sequence[Antigen], Sequence[Antigen]]] = ()
    ) -> None:
        """Train in place; in this process or in the worker, which gets no antigens and norms."""
        peers = stack.peers.tolist()
        cycles, times_us = stack.cycles.tolist(), stack.times_us.tolist()
        if self._rehearsing is None:
            batches = self.rows.batches(peers, cycles, times_us)
        else:
            antigens, norms = zip(*held, strict=True)
            batches = self._rehearsing.batches(peers, cycles, times_us, antigens, norms)
        momentum = stack.momentum if self._form.carries else np.zeros_like(stack.vectors)
        outcome = self._learner.train(stack.vectors, momentum, batches)
        shared = self._learner.shared
        stack.vectors[:, :shared] = outcome.vectors[:, :shared] - stack.vectors[:, :shared]
        stack.vectors[:, shared:] = outcome.vectors[:, shared:]
        if self._form.carries:
            stack.momentum[:] = outcome.momentum
        stack.loss[:] = outcome.loss
        stack.steps[0] = batches.x.shape[1]
