"""The baselines: what a round is in each of them.

Momentum and the part of a model that stays with its peer are each peer's own throughout, as they
are in the mesh, so that methods differ in who merges with whom and in nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np

from gossip.codec import is_sound
from gossip.draws import Purpose, choose
from gossip.events import Trained
from gossip.learning.learner import Batches
from gossip.model import LocalModel
from scenarios.baselines.members import Floats, Member, frame_of, read_frame, replace_vector
from scenarios.baselines.rounds import Method, Rounds, Together
from scenarios.baselines.statistics import pushes

SERVER = 0
"""The peer that serves FedAvg beside its own gateway: what it sends counts as bytes of the mesh."""


@final
class Alone(Method):
    """Each peer trains on its own rows, and no model travels.

    One that is still training when a round begins goes on, and misses the training of that round.

    Args:
        agreeing_bytes: of each of the frames by which a peer agrees on statistics with the others
            when it comes for the first time (`scenarios.baselines.statistics`); 0 is nothing to
            agree on.
    """

    def __init__(self, agreeing_bytes: int = 0) -> None:
        self._bytes = agreeing_bytes

    def started(self, mesh: Rounds, member: Member, *, fresh: bool) -> None:
        """Push-sum goes from anybody to anybody; in the mean each receives what each sends."""
        if fresh and self._bytes:
            count = pushes(len(mesh.hosts))
            member.bytes_sent += count * self._bytes
            member.bytes_received += count * self._bytes
            mesh.tally.delivered += count

    def begin(self, mesh: Rounds) -> None:
        """See `Method`."""
        for member in mesh.up():
            if member.job is None:
                mesh.train(member)
        mesh.next_round(mesh.now_us)


@final
class Pooled(Method):
    """One model, trained on everybody's rows at one place: the ceiling.

    It takes as many steps as a single peer takes, and each of its steps sees the batches that all
    peers would draw for theirs: the same rows, in the same order, used by one model. That is what
    a mesh would be that agreed without a delay after every single step. Every row is scaled as its
    own gateway scales it. The whole model is common, also what peers of a mesh keep to themselves.
    """

    def __init__(self) -> None:
        self._vector: Floats | None = None
        self._momentum: Floats | None = None
        self._steps = 0

    def started(self, mesh: Rounds, member: Member, *, fresh: bool) -> None:  # noqa: ARG002
        """Whoever comes is given the model as it is."""
        if self._vector is not None:
            self._hand(mesh, member, self._vector)

    def begin(self, mesh: Rounds) -> None:
        """See `Method`."""
        members = [member for member in mesh.up() if mesh.rows.trainable(member.index)]
        if not members:
            mesh.next_round(mesh.now_us)
            return
        vector = mesh.initial if self._vector is None else self._vector
        momentum = np.zeros_like(vector) if self._momentum is None else self._momentum
        batches = union(
            mesh.rows.batches(
                [member.index for member in members],
                [member.cycle for member in members],
                [mesh.now_us] * len(members),
            )
        )
        found = mesh.learner.train(vector[None], momentum[None], batches)
        trained, carried = found.vectors[0], found.momentum[0]
        done_us = mesh.now_us + mesh.plan.scenario.learning.train_us
        mesh.at(done_us, lambda: self._done(mesh, len(members), trained, carried))

    def _done(self, mesh: Rounds, trainings: int, vector: Floats, momentum: Floats) -> None:
        # Counted for each whose rows it took: `trainings_per_peer` then tells the model's steps.
        mesh.tally.trainings += trainings
        if is_sound(vector):
            self._vector, self._momentum = vector, momentum
            self._steps += mesh.plan.scenario.learning.steps
            for member in mesh.up():
                self._hand(mesh, member, vector)
        mesh.next_round(mesh.now_us)

    def _hand(self, mesh: Rounds, member: Member, vector: Floats) -> None:
        shared = mesh.learner.shared
        replace_vector(member.model, vector[:shared], self._steps)
        member.local = vector[shared:].copy() if shared < len(vector) else None


def union(batches: Batches) -> Batches:
    """The batches of several peers as those of one: step by step, side by side.

    A family that anybody's rows speak for is known to all.
    """
    peers, steps, rows, features = batches.x.shape
    x = batches.x.transpose(1, 0, 2, 3).reshape(1, steps, peers * rows, features)
    y = batches.y.transpose(1, 0, 2).reshape(1, steps, peers * rows)
    return Batches(x, y, np.atleast_2d(batches.known.any(axis=0)), batches.codes)


@final
class FedAvg(Together):
    """Federated averaging with a server (McMahan et al., AISTATS 2017, algorithm 1).

    In each round the server draws clients. They train from its model and send theirs up; it takes
    the mean weighted by their numbers of rows, and sends that to the clients of the next round as
    soon as it is made (the algorithm sends it when that round begins: the same frames, a little
    earlier). The initial model is known to all and costs nothing. Clients detect with the server's
    model that they hold last, never with their own update of it.

    A client keeps its momentum from round to round, which the paper's, having none, does not.

    Args:
        share: of the peers that are up, the clients of a round, at least one.
    """

    def __init__(self, share: float) -> None:
        self._share = share

    def prepare(self, mesh: Rounds) -> None:
        """See `Method`."""
        server = mesh.hosts[SERVER].contact
        clients = tuple(member.contact for member in mesh.hosts if member.index != SERVER)
        for member in mesh.hosts:
            member.view = clients if member.index == SERVER else (server,)

    def chosen(self, mesh: Rounds) -> list[Member]:
        """See `Together`."""
        return self._clients(mesh, mesh.round) if mesh.hosts[SERVER].up else []

    def ask(self, mesh: Rounds, members: Sequence[Member]) -> int:
        """See `Together`."""
        up_us = max(
            mesh.train(member, self._give(mesh, member)) + self._way_us(mesh, member.index, SERVER)
            for member in members
        )
        return up_us + max(self._way_us(mesh, SERVER, member.index) for member in members)

    def trained(self, mesh: Rounds, member: Member, result: Trained) -> None:
        """The update is for the server; what the client detects with stays."""
        if result.delta is not None:
            update = LocalModel(mesh.plan.config, member.model.vector, member.model.ages)
            member.update = update if update.add(result.delta, result.updates) else None

    def exchange(self, mesh: Rounds, members: Sequence[Member]) -> None:
        """See `Together`. Without its server the round is lost."""
        server = mesh.hosts[SERVER]
        total = np.zeros(mesh.learner.shared)
        rows = oldest = 0
        for member in members:
            update, member.update = member.update, None
            if update is None or not server.up:
                continue
            vector, age = self._sent(mesh, member, update, server)
            weight = len(mesh.shards.training(member.index)[1])
            total += weight * vector.astype(np.float64)
            rows += weight
            oldest = max(oldest, age)
            mesh.tally.merged += 1
        if rows:
            replace_vector(server.model, (total / rows).astype(np.float32), oldest)
            server.version = mesh.round
            for member in self._clients(mesh, mesh.round + 1):
                self._give(mesh, member)

    def _clients(self, mesh: Rounds, number: int) -> list[Member]:
        """Of those that are up now, the clients of a round, by index."""
        up = mesh.up()
        count = max(1, round(self._share * len(up)))
        drawn = choose(up, count, mesh.seed, "fedavg", number, Purpose.NEIGHBOUR)
        return sorted(drawn, key=lambda member: member.index)

    def _give(self, mesh: Rounds, member: Member) -> int:
        """Send a client the server's model if it has another; gives how long that takes."""
        server = mesh.hosts[SERVER]
        if member.version == server.version:
            return 0
        vector, age = self._sent(mesh, server, server.model, member)
        replace_vector(member.model, vector, age)
        member.version = server.version
        return self._way_us(mesh, SERVER, member.index)

    def _sent(
        self, mesh: Rounds, sender: Member, model: LocalModel, receiver: Member
    ) -> tuple[Floats, int]:
        """What arrives of a model, and its age."""
        if sender is receiver:
            return model.vector, int(model.ages.max())
        name = f"{sender.contact.peer}/{receiver.index}"
        frame = frame_of(model, mesh.digest, mesh.seed, name, mesh.round)
        mesh.transfer(sender, receiver, len(frame))
        return read_frame(frame, model, mesh.digest)

    def _way_us(self, mesh: Rounds, sender: int, receiver: int) -> int:
        return 0 if sender == receiver else mesh.delay_us(sender, receiver)


@final
class NeighbourMeans(Together):
    """Synchronous decentralised SGD on a fixed graph (D-PSGD; Lian et al., NeurIPS 2017).

    In each round every peer trains, sends its model to all its neighbours, and takes the mean of
    theirs and its own with Metropolis-Hastings weights. Algorithm 1 of the paper takes the mean of
    the models before the step and adds the gradient; here, as in the experiments that gossip is
    usually compared in (De Vos et al., NeurIPS 2023), models are trained first and averaged then.
    Weights are those of the graph among the peers of the round.
    """

    def prepare(self, mesh: Rounds) -> None:
        """See `Method`."""
        for member in mesh.hosts:
            near = self._table(mesh)[member.index]
            member.view = tuple(mesh.hosts[each].contact for each in near)

    def chosen(self, mesh: Rounds) -> list[Member]:
        """See `Together`."""
        return mesh.up()

    def ask(self, mesh: Rounds, members: Sequence[Member]) -> int:
        """See `Together`."""
        done_us = {member.index: mesh.train(member) for member in members}
        last_us = max(done_us.values())
        for one, others in self._among(mesh, members).items():
            for other in others:
                last_us = max(last_us, done_us[other] + mesh.delay_us(other, one))
        return last_us

    def exchange(self, mesh: Rounds, members: Sequence[Member]) -> None:
        """See `Together`."""
        near = self._among(mesh, members)
        weights = metropolis(near)
        sent: dict[int, tuple[Floats, int]] = {}
        for member in members:
            frame = frame_of(member.model, mesh.digest, mesh.seed, member.contact.peer, mesh.round)
            sent[member.index] = read_frame(frame, member.model, mesh.digest)
            for other in near[member.index]:
                mesh.transfer(member, mesh.hosts[other], len(frame))
        merged = []
        for member in members:
            one = member.index
            total = weights[one][one] * member.model.vector.astype(np.float64)
            for other in near[one]:
                total += weights[one][other] * sent[other][0].astype(np.float64)
            oldest = max(sent[other][1] for other in (one, *near[one]))
            merged.append((total.astype(np.float32), oldest))
            mesh.tally.merged += len(near[one])
        for member, (vector, age) in zip(members, merged, strict=True):
            replace_vector(member.model, vector, age)

    def _among(self, mesh: Rounds, members: Sequence[Member]) -> dict[int, list[int]]:
        """Each member's neighbours among the members."""
        there = {member.index: True for member in members}
        table = self._table(mesh)
        return {one: [other for other in table[one] if other in there] for one in there}

    def _table(self, mesh: Rounds) -> tuple[tuple[int, ...], ...]:
        table = mesh.plan.physics.neighbours
        assert table is not None  # noqa: S101 - `scenarios.plan.method` refuses a plan without
        return table


def metropolis(near: Mapping[int, Sequence[int]]) -> dict[int, dict[int, float]]:
    """Metropolis-Hastings weights of an undirected graph, as Xiao, Boyd and Kim (2007) give them.

    `1 / (1 + max(d_i, d_j))` for neighbours, and for oneself what is left of 1: symmetric, so that
    rows and columns sum to 1 and the mean over all nodes stays what it is.

    Args:
        near: each node's neighbours.
    """
    weights: dict[int, dict[int, float]] = {}
    for one, others in near.items():
        row = {other: 1.0 / (1 + max(len(others), len(near[other]))) for other in others}
        weights[one] = {**row, one: 1.0 - sum(row.values())}
    return weights
