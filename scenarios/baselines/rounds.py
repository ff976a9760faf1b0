"""Simulated time for methods that go round by round.

    round begins ── everybody trains ──> results ── models change hands ──> all go on
         T                            T + train time               max(T + cycle, all done)

A peer that goes during a round costs those who wait for it `mesh.lost_after`; they go on without
it. Rounds begin at one cycle after the start, as the first cycle of a peer of the World does.
"""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gossip.contacts import Contact, PeerId
from gossip.draws import Purpose, fraction
from gossip.events import Trained
from gossip.fingerprint import Fingerprint
from gossip.learning.learner import Learner
from gossip.model import LocalModel
from scenarios.baselines.members import Member, Tally
from scenarios.conditions.churn import Change, Deed
from scenarios.data.shards import Shards
from scenarios.plan.plan import Plan
from scenarios.world.hosts import State
from scenarios.world.training import Job, Postponed, Rows

Floats = NDArray[np.float32]


class Method(ABC):
    """What happens in a round."""

    def prepare(self, mesh: "Rounds") -> None:  # noqa: B027 - most have nothing to prepare
        """Called once, before anybody starts."""

    def started(self, mesh: "Rounds", member: Member, *, fresh: bool) -> None:  # noqa: B027
        """A node came up; `fresh` if it knows nothing of an earlier life."""

    @abstractmethod
    def begin(self, mesh: "Rounds") -> None:
        """A round begins. Must lead to `mesh.next_round`, now or in an event of its own."""

    def trained(self, mesh: "Rounds", member: Member, result: Trained) -> None:  # noqa: ARG002
        """A member's training is complete."""
        if result.delta is not None:
            member.model.add(result.delta, result.updates)


class Rounds:
    """All nodes of a baseline; what measuring needs of a mesh (`scenarios.measures.watched`).

    Args:
        plan: as `make_plan` gave it.
        names: identity of each node, by index.
        shards: every peer's data.
        rows: what they train on.
        learner: trains stacks of vectors.
        method: what happens in a round.
        worker: train in a process beside this one, see `Postponed`.
    """

    def __init__(
        self,
        plan: Plan,
        names: Sequence[PeerId],
        shards: Shards,
        rows: Rows,
        learner: Learner,
        method: Method,
        *,
        worker: bool = False,
    ) -> None:
        self.plan, self.shards, self.rows, self.learner = plan, shards, rows, learner
        self.seed = plan.seed_bytes
        self.initial = learner.initial(self.seed)
        shape = f"{learner.shape}, {plan.config.fragments} fragments"
        self.digest = Fingerprint(shards.schema, shape).digest
        self.trainer = Postponed(learner, rows, self.initial, worker=worker)
        self.now_us = 0
        self.round = 0
        self.begun_us = 0
        self.hosts = [
            Member(index, Contact(name), self.fresh_model()) for index, name in enumerate(names)
        ]
        self.tally = Tally()
        self._method = method
        self._index = {name: index for index, name in enumerate(names)}
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        method.prepare(self)
        for change in plan.changes:
            self.at(change.at_us, partial(self._change, change))
        self.next_round(0)

    def run(self, until_us: int) -> None:
        """Let everything happen that is due up to and including `until_us`."""
        while self._heap and self._heap[0][0] <= until_us:
            self.now_us, _, happen = heapq.heappop(self._heap)
            happen()
        self.now_us = until_us

    # What is measured

    def alive(self) -> list[tuple[int, Member]]:
        """Index and peer of every node that is up, by index."""
        return [(member.index, member) for member in self.hosts if member.up]

    def reachable(self, index: int) -> list[int]:
        """The nodes that are up and that a node exchanges models with."""
        others = [self._index[contact.peer] for contact in self.hosts[index].view]
        return [other for other in others if self.hosts[other].up]

    def whole_vector(self, index: int) -> Floats:
        """The model a node detects with: merged part and local part, `(dim,)`."""
        member = self.hosts[index]
        return self.trainer.whole(member.model.vector, member.local)

    # What methods need

    def at(self, at_us: int, happen: Callable[[], None]) -> None:
        """Let something happen; what is due at one time happens in the order of asking."""
        self._sequence += 1
        heapq.heappush(self._heap, (at_us, self._sequence, happen))

    def up(self) -> list[Member]:
        """The nodes that are up, by index."""
        return [member for member in self.hosts if member.up]

    def next_round(self, done_us: int) -> None:
        """This round is done; the next begins one cycle after this one did, or then."""
        self.at(max(self.begun_us + self.plan.scenario.mesh.cycle_us, done_us), self._begin)

    def train(self, member: Member, after_us: int = 0) -> int:
        """Let a member train on its own rows from what it holds; gives when that is complete.

        What it trains on is settled now; with `after_us` the result comes so much later.
        """
        member.job = job = Job(
            member.index,
            member.cycle,
            self.now_us,
            member.model.vector.copy(),
            member.local,
            member.momentum,
        )
        self.trainer.ask(job)
        done_us = self.now_us + after_us + self.plan.physics.train_us[member.index]
        self.at(done_us, lambda: self._trained(member, job))
        return done_us

    def delay_us(self, sender: int, receiver: int) -> int:
        """One-way delay of this round's model between two nodes, by `links.latency`."""
        delay = self.plan.otherwise
        key = f"round/{sender}/{receiver}"
        share = 0.0 if delay.constant else fraction(self.seed, key, self.round, Purpose.LINK)
        return delay.after_us(sender, receiver, share)

    def transfer(self, sender: Member, receiver: Member, size: int) -> None:
        """Count a frame that crossed."""
        sender.bytes_sent += size
        receiver.bytes_received += size
        self.tally.delivered += 1

    def fresh_model(self) -> LocalModel:
        """The merged part of the model that everybody begins with."""
        return LocalModel(self.plan.config, self.initial[: self.learner.shared], None)

    # What happens

    def _begin(self) -> None:
        self.round += 1
        self.begun_us = self.now_us
        for member in self.up():
            member.cycle += 1
            self.tally.cycles += 1
        self._method.begin(self)

    def _trained(self, member: Member, job: Job) -> None:
        if member.job is not job:
            return
        result = self.trainer.result(job)
        member.job = None
        member.local, member.momentum = job.local, job.momentum
        self.tally.trainings += 1
        self._method.trained(self, member, result)

    def _change(self, change: Change) -> None:
        member = self.hosts[change.peer]
        waiting = member.state is State.WAITING
        match change.deed:
            case Deed.JOIN if waiting:
                self._start(member, fresh=True)
            case Deed.RETURN_KEPT if not member.up and not waiting:
                self._start(member, fresh=False)
            case Deed.RETURN_FRESH if not member.up and not waiting:
                self._start(member, fresh=True)
            case Deed.LEAVE | Deed.CRASH if member.up:
                member.state = State.LEFT if change.deed is Deed.LEAVE else State.CRASHED
                if member.job is not None:
                    self.trainer.cancel(member.job)
                    member.job = None
                member.update = None

    def _start(self, member: Member, *, fresh: bool) -> None:
        member.life += 1
        member.state = State.UP
        if fresh:
            member.model = self.fresh_model()
            member.local, member.momentum = None, None
            member.cycle, member.version = 0, 0
        self._method.started(self, member, fresh=fresh)


class Together(Method):
    """A method with a barrier: nobody goes on before the models of the round have changed hands."""

    @abstractmethod
    def chosen(self, mesh: Rounds) -> list[Member]:
        """Who takes part in the round that begins."""

    @abstractmethod
    def ask(self, mesh: Rounds, members: Sequence[Member]) -> int:
        """Let them train; gives when the round's last model would be with its last receiver."""

    @abstractmethod
    def exchange(self, mesh: Rounds, members: Sequence[Member]) -> None:
        """The models change hands; members that went meanwhile are no longer among these."""

    def begin(self, mesh: Rounds) -> None:
        """See `Method`."""
        members = self.chosen(mesh)
        if not members:
            mesh.next_round(mesh.now_us)
            return
        lives = [member.life for member in members]
        mesh.at(self.ask(mesh, members), lambda: self._finish(mesh, members, lives, waited=False))

    def _finish(
        self, mesh: Rounds, members: Sequence[Member], lives: Sequence[int], *, waited: bool
    ) -> None:
        there = [
            member
            for member, life in zip(members, lives, strict=True)
            if member.up and member.life == life
        ]
        if len(there) < len(members) and not waited:
            late_us = mesh.now_us + mesh.plan.physics.lost_after_us
            mesh.at(late_us, lambda: self._finish(mesh, members, lives, waited=True))
            return
        self.exchange(mesh, there)
        mesh.next_round(mesh.now_us)
