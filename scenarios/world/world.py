"""The World: drives the same peers as a node does, in simulated time.

Everything happens in the order of (time, sequence number). Time is integer microseconds; nothing
here reads a clock, iterates a set, or draws except through `gossip.draws`.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossip.actions import Action, Disconnect, Report, Send, SetTimer, Topic, Train
from gossip.contacts import Contact, PeerId
from gossip.events import Event, PeerLost, Received, Start, Stop, Timer, TimerFired
from gossip.records import record
from scenarios.conditions.churn import Change, Deed
from scenarios.conditions.links import Crossing, Delivered, Fate, Links
from scenarios.world.agenda import Agenda, Entry
from scenarios.world.connections import Connections
from scenarios.world.hosts import Host, Kept, Machine, Physics, Presents, Spawn, State, Tells
from scenarios.world.trace import Trace
from scenarios.world.training import Batch, Job, Postponed


class _Due(IntEnum):
    """What an entry of the agenda stands for."""

    ARRIVE = 0
    FAIL = 1
    TIMER = 2
    TRAINED = 3
    CHANGE = 4
    SPLIT = 5
    SILENT = 6


COLLECT = (100_000, 50, 100)
"""Thresholds of Python's cycle collector while a World runs. What a mesh makes has no cycles, and
to look through all peers' objects again and again took a fifth of the time (measured with 1,000 and
20,000 peers, lr; off altogether gains no more)."""

_FIRED = {timer: TimerFired(timer) for timer in Timer}


@record
class Transfer:
    """A frame on its way."""

    sender: int
    sender_life: int
    receiver: int
    receiver_life: int
    frame: bytes
    begun_us: int


@dataclass(slots=True)
class Tally:
    """Counts over a whole run."""

    topics: Counter[Topic] = field(default_factory=Counter)
    delivered: int = 0
    dropped: int = 0
    unreachable: int = 0
    shed: int = 0
    cycles: int = 0
    trainings: int = 0


@dataclass(slots=True)
class Standing:
    """Where a World stands, beside its hosts and what is due.

    Args:
        now_us: simulated time.
        sequence: numbers given out on the agenda.
        tally: see there.
        trace: state of the fingerprint.
        queues: of the links.
        connections: of each node; None where nobody asks.
        training: state of the trainer.
    """

    now_us: int
    sequence: int
    tally: Tally
    trace: tuple[bytes, bytes, int]
    queues: list[dict[tuple[int, int], int]]
    connections: list[dict[int, tuple[int, int]]] | None
    training: tuple[list[Job], int, list[Batch], int, int]


class World:
    """All simulated nodes and everything that is going to happen to them.

    Args:
        names: identity of each node, by index.
        spawn: makes a node's peer whenever the node starts.
        trainer: carries out `Train`.
        links: decides on every frame.
        physics: everything else that is assumed.
        changes: starts, stops, crashes and returns; nodes start only by these.
        trace: takes the fingerprint; None for a fresh one.
        listen: told of every report, with the time and the reporting node's index.
        presents: what peers have to say of attacks; None for nothing.
        tells: what they add to the mesh's mean; None for nothing.
    """

    def __init__(
        self,
        names: Sequence[PeerId],
        spawn: Spawn,
        trainer: Postponed,
        links: Links,
        physics: Physics,
        changes: Sequence[Change],
        trace: Trace | None = None,
        listen: Callable[[int, int, Report], None] | None = None,
        presents: Presents | None = None,
        tells: Tells | None = None,
    ) -> None:
        self.now_us = 0
        self.hosts = [Host(index, Contact(name)) for index, name in enumerate(names)]
        self.tally = Tally()
        self.trace = trace if trace is not None else Trace()
        self._index = {name: index for index, name in enumerate(names)}
        self._spawn = spawn
        self._trainer = trainer
        self._links = links
        self._physics = physics
        self._listen = listen
        self._presents = presents
        self._tells = tells
        self._agenda = Agenda()
        self._sequence = 0
        self._connections: Connections | None = None
        splits = links.splits
        # What nobody will ask about is not worth its memory in a mesh of 100,000.
        if splits or any(change.deed is Deed.CRASH for change in changes):
            self._connections = Connections(len(names))
        for change in changes:
            self._push(change.at_us, _Due.CHANGE, change)
        for start_us in splits:
            self._push(start_us, _Due.SPLIT, None)

    def run(self, until_us: int) -> None:
        """Let everything happen that is due up to and including `until_us`."""
        usual = gc.get_threshold()
        gc.set_threshold(*COLLECT)
        try:
            self._run(until_us)
        finally:
            gc.set_threshold(*usual)

    def _run(self, until_us: int) -> None:
        take = self._agenda.next
        while (entry := take(until_us)) is not None:
            self.now_us, sequence, due, what = entry
            if due is _Due.ARRIVE:
                self._arrive(what)
            elif due is _Due.TIMER:
                host, timer = what
                self._fire(host, timer, sequence)
            elif due is _Due.TRAINED:
                self._complete(*what)
            elif due is _Due.FAIL:
                self._fail(*what)
            elif due is _Due.SILENT:
                self._fall_silent(*what)
            elif due is _Due.SPLIT:
                self._split()
            else:
                self._change(what)
        self.now_us = until_us

    def alive(self) -> list[tuple[int, Machine]]:
        """Index and peer of every node that is up, by index."""
        return [(host.index, host.machine) for host in self.hosts if host.machine is not None]

    def reachable(self, index: int) -> list[int]:
        """The nodes in a node's view that are up and not beyond a partition now."""
        machine = self.hosts[index].machine
        known = () if machine is None else machine.view
        others = [self._index[contact.peer] for contact in known if contact.peer in self._index]
        return [
            other
            for other in others
            if self.hosts[other].machine is not None
            and not self._links.severed(self.now_us, index, other)
        ]

    def whole_vector(self, index: int) -> NDArray[np.float32]:
        """The model a node that is up detects with: merged part and local part, `(dim,)`."""
        host = self.hosts[index]
        assert host.machine is not None  # noqa: S101 - the caller asks for nodes that are up
        if host.serving is not None:
            return host.serving
        return self._trainer.whole(host.machine.vector, host.local)

    def standing(self) -> Standing:
        """Where it stands, beside its hosts and what is due; settled, by reference."""
        connections = None if self._connections is None else self._connections.by_node
        queues, training = self._links.queues, self._trainer.state()
        trace = self.trace.state()
        return Standing(
            self.now_us, self._sequence, self.tally, trace, queues, connections, training
        )

    def due(self) -> Iterator[Entry]:
        """Everything that will happen, in no order."""
        for at_us, sequence, due, what in self._agenda:
            yield at_us, sequence, int(due), what

    def restore(self, standing: Standing, due: Iterable[Entry]) -> None:
        """Go on where another World of the same plan stood, whose hosts are in place already.

        Raises:
            ValueError: this is no state of a World of this plan.
            StateError: the state of the trace is damaged.
        """
        if (standing.connections is None) != (self._connections is None):
            raise ValueError("connections are not as planned")
        self._links.restore(standing.queues)
        self._trainer.restore(*standing.training)
        self.trace.restore(*standing.trace)
        if self._connections is not None and standing.connections is not None:
            self._connections.by_node = standing.connections
        self.now_us, self._sequence = standing.now_us, standing.sequence
        self.tally = standing.tally
        self._agenda = Agenda(
            (at_us, number, _Due(kind), what) for at_us, number, kind, what in due
        )

    # Events and actions

    def _push(self, at_us: int, due: _Due, what: Any) -> int:
        self._sequence += 1
        self._agenda.add((at_us, self._sequence, due, what))
        return self._sequence

    def _deliver(self, host: Host, event: Event) -> None:
        machine = host.machine
        if machine is None:
            return
        self.trace.event(self.now_us, host.index, host.contact.peer, event)
        for action in machine.handle(event, self.now_us):
            self._carry_out(host, action)

    def _carry_out(self, host: Host, action: Action) -> None:
        match action:  # the most frequent first
            case Report():
                self.tally.topics[action.topic] += 1
                if self._listen is not None:
                    self._listen(self.now_us, host.index, action)
            case Send():
                self._send(host, action)
            case SetTimer():
                # Setting a timer anew replaces it: only the last one on the agenda counts.
                timer, due_us = action.timer, max(action.at_us, self.now_us)
                host.armed[timer] = self._push(due_us, _Due.TIMER, (host, timer))
            case Train(cycle, vector, antigens):
                told = (antigens, host.machine.norms) if host.machine is not None else ((), ())
                host.job = Job(
                    host.index, cycle, self.now_us, vector, host.local, host.momentum, *told
                )
                self._trainer.ask(host.job)
                due_us = self.now_us + self._physics.train_us[host.index]
                self._push(due_us, _Due.TRAINED, (host, host.job))
            case Disconnect(peer):
                waiting = host.outboxes.get(self._index.get(peer, -1))
                if waiting is not None:
                    waiting.clear()

    def _fire(self, host: Host, timer: Timer, sequence: int) -> None:
        if host.armed.get(timer) != sequence:
            return
        del host.armed[timer]
        if timer is Timer.CYCLE:
            self.tally.cycles += 1
            if self._presents is not None:
                self._present(host, self._presents)
        self._deliver(host, _FIRED[timer])

    def _present(self, host: Host, presents: Presents) -> None:
        if host.machine is None:
            return
        for each in presents.due(host.index, host.machine, self.now_us):
            if isinstance(each, Send):
                self._send(host, each)
            else:
                self._deliver(host, each)

    def _complete(self, host: Host, job: Job) -> None:
        if host.job is not job:
            return
        trained = self._trainer.result(job)
        host.job = None
        host.local, host.momentum = job.local, job.momentum
        self.tally.trainings += 1
        self._deliver(host, trained)
        if self._physics.serve:
            self._serve(host)
        if self._tells is not None and host.machine is not None:
            whole = self.whole_vector(host.index)
            told = self._tells.trained(host.index, host.machine, whole, self.now_us)
            self._deliver(host, told)

    def _serve(self, host: Host) -> None:
        """Detect with a mean of models: a single merge moves it only a little."""
        before, host.serving = host.serving, None
        now = self.whole_vector(host.index)
        if before is None:
            host.serving = now.copy()
        else:
            past = np.float32(self._physics.serve)
            host.serving = past * before + (np.float32(1.0) - past) * now

    # Frames

    def _send(self, host: Host, send: Send) -> None:
        receiver = self._index.get(send.to.peer)
        if receiver is None or receiver == host.index:
            self._fail_later(host, host.life, send.to.peer, self.now_us)
            return
        waiting = host.outboxes.get(receiver)
        if waiting is not None:
            waiting.append(send.frame)
            if len(waiting) > self._physics.queue_frames:
                del waiting[0]
                self.tally.shed += 1
        elif len(host.outboxes) >= self._physics.outboxes:
            self.tally.shed += 1
        else:
            host.outboxes[receiver] = []
            self._transmit(host, receiver, send.frame)

    def _transmit(self, host: Host, receiver: int, frame: bytes) -> None:
        """Put a frame on its way; the outbox exists for as long as one is."""
        other = self.hosts[receiver]
        crossing = Crossing(self.now_us, host.index, receiver, len(frame), host.frames)
        host.frames += 1
        verdict = Fate.UNREACHABLE if other.machine is None else self._links.decide(crossing)
        if verdict is Fate.UNREACHABLE:
            self.tally.unreachable += 1
            self._fail_later(host, host.life, other.contact.peer, self.now_us)
            return
        host.bytes_sent += len(frame)
        if isinstance(verdict, Delivered):
            transfer = Transfer(host.index, host.life, receiver, other.life, frame, self.now_us)
            self._push(self.now_us + verdict.after_us, _Due.ARRIVE, transfer)
        else:
            self.tally.dropped += 1
            self._next(host, receiver)

    def _next(self, host: Host, receiver: int) -> None:
        waiting = host.outboxes.get(receiver)
        if waiting is None:
            return
        if waiting:
            self._transmit(host, receiver, waiting.pop(0))
        else:
            del host.outboxes[receiver]

    def _arrive(self, transfer: Transfer) -> None:
        sender, receiver = self.hosts[transfer.sender], self.hosts[transfer.receiver]
        if transfer.sender_life <= sender.severed:
            return
        if receiver.machine is None or receiver.life != transfer.receiver_life:
            # It died, or died and came back, while this was on its way.
            self.tally.unreachable += 1
            to = receiver.contact.peer
            self._fail_later(sender, transfer.sender_life, to, transfer.begun_us)
            return
        receiver.bytes_received += len(transfer.frame)
        self.tally.delivered += 1
        here = sender.machine is not None and sender.life == transfer.sender_life
        if self._connections is not None and here:
            self._connections.used(
                self.now_us, sender.index, sender.life, receiver.index, receiver.life
            )
        self._deliver(receiver, Received(sender.contact.peer, transfer.frame))
        self._next(sender, transfer.receiver)

    def _fail_later(self, sender: Host, life: int, to: PeerId, begun_us: int) -> None:
        """A transfer failed that began at `begun_us`; its sender learns it when it gives up."""
        at_us = max(self.now_us, begun_us + self._physics.lost_after_us)
        self._push(at_us, _Due.FAIL, (sender, life, to))

    def _fail(self, sender: Host, life: int, to: PeerId) -> None:
        if life <= sender.severed:
            return
        sender.outboxes.pop(self._index.get(to, -1), None)
        self._deliver(sender, PeerLost(to, "unreachable"))

    # Connections

    def _break(self, host: Host, other: Host, used_us: int) -> None:
        """The connection between two nodes carries nothing any more; `host` notices in time.

        While it lived, `host` asked for a sign of life whenever it had heard none for `silence_us`;
        the next question is the one that nobody answers.
        """
        silence_us = self._physics.silence_us
        asks_us = silence_us - (self.now_us - used_us) % silence_us
        at_us = self.now_us + asks_us + silence_us
        self._push(at_us, _Due.SILENT, (host, host.life, other, other.life))

    def _split(self) -> None:
        """A partition begins."""
        assert self._connections is not None  # noqa: S101 - made where there are partitions
        for host in self.hosts:
            for other, used_us in self._connections.of(host.index):
                if self._links.severed(self.now_us, host.index, other):
                    self._break(host, self.hosts[other], used_us)

    def _fall_silent(self, host: Host, life: int, other: Host, other_life: int) -> None:
        """A node gives up a connection, unless it healed or was opened anew meanwhile."""
        connections = self._connections
        assert connections is not None  # noqa: S101 - as above
        if host.life != life or not connections.holds(host.index, other.index, other_life):
            return
        there = other.machine is not None and other.life == other_life
        if there and not self._links.severed(self.now_us, host.index, other.index):
            return
        connections.forget(host.index, other.index)
        self._deliver(host, PeerLost(other.contact.peer, "no sign of life"))

    # Coming and going

    def _change(self, change: Change) -> None:
        host = self.hosts[change.peer]
        up = host.machine is not None
        match change.deed:
            case Deed.JOIN if host.state is State.WAITING:
                self._start(host, None)
            case Deed.RETURN_KEPT if not up and host.state is not State.WAITING:
                self._start(host, host.kept)
            case Deed.RETURN_FRESH if not up and host.state is not State.WAITING:
                self._start(host, None)
            case Deed.LEAVE if up:
                self._end(host, State.LEFT)
            case Deed.CRASH if up:
                self._end(host, State.CRASHED)

    def _start(self, host: Host, kept: Kept | None) -> None:
        host.life += 1
        host.state = State.UP
        host.kept = None
        if kept is not None:
            host.local, host.momentum = kept.local, kept.momentum
        host.machine = self._spawn(host.index, host.life, kept)
        antigens = kept.antigens if kept else ()
        neighbours = self._physics.neighbours
        if neighbours is not None:
            fixed = tuple(self.hosts[each].contact for each in neighbours[host.index])
            turns = tuple(
                tuple(self.hosts[each].contact.peer for each in table[host.index])
                for table in self._physics.turns
            )
            self._deliver(host, Start(neighbours=fixed, turns=turns, antigens=antigens))
            return
        others = tuple(
            self.hosts[each].contact for each in self._physics.bootstrap if each != host.index
        )
        contacts = kept.contacts if kept else ()
        self._deliver(host, Start(bootstrap=others, remembered=contacts, antigens=antigens))

    def _end(self, host: Host, state: State) -> None:
        machine = host.machine
        assert machine is not None  # noqa: S101 - the caller looked; tells the type checker
        vector, ages = machine.vector.copy(), machine.ages.copy()
        kept = Kept(
            vector, ages, machine.cycle, machine.remembered, host.local, host.momentum, machine.kept
        )
        if state is State.LEFT:
            for waiting in host.outboxes.values():
                waiting.clear()
            self._deliver(host, Stop())  # the good-byes it sends stay on their way
        else:
            self.trace.crash(self.now_us, host.index, host.contact.peer)
            host.severed = host.life
            host.outboxes.clear()
        if self._connections is not None:
            crashed = state is State.CRASHED
            for other, used_us in self._connections.of(host.index) if crashed else ():
                self._break(self.hosts[other], host, used_us)
            self._connections.end(host.index, politely=not crashed)
        if host.job is not None:
            self._trainer.cancel(host.job)
        host.kept, host.state = kept, state
        host.machine = host.job = host.local = host.momentum = host.serving = None
        host.armed.clear()
