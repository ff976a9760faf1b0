"""Stand-ins for peers and learners: they speak the same events and actions, and record."""

from collections.abc import Callable

import numpy as np

from gossip.actions import Action, Send, SetTimer, Train
from gossip.contacts import Contact, PeerId
from gossip.events import Event, Received, Start, Timer, TimerFired, Trained
from gossip.learning.learner import Batches, Outcome
from scenarios.conditions.churn import Change, Deed
from scenarios.conditions.distributions import constant
from scenarios.conditions.latency import Anywhere
from scenarios.conditions.links import Links
from scenarios.world.hosts import NEVER_US, Kept, Machine, Physics
from scenarios.world.trace import Trace
from scenarios.world.training import Postponed
from scenarios.world.world import World

MS = 1_000
Script = Callable[["FakePeer", Event, int], list[Action]]


class FakePeer:
    """Does what a function says and remembers what happened to it."""

    def __init__(self, index: int, life: int, kept: Kept | None, script: Script) -> None:
        self.me = Contact(name(index))
        self.life = life
        self.given = kept
        self.vector = np.zeros(2, np.float32) if kept is None else kept.vector
        self.ages = np.zeros(1, np.int64) if kept is None else kept.ages
        self.cycle = 0 if kept is None else kept.cycle
        self.view: tuple[Contact, ...] = ()
        self.remembered: tuple[Contact, ...] = ()
        self.antigens = self.norms = self.kept = ()
        self.mesh = None
        self.log: list[tuple[int, Event]] = []
        self._script = script

    def handle(self, event: Event, now_us: int) -> list[Action]:
        self.log.append((now_us, event))
        return self._script(self, event, now_us)

    def times(self, kind: type) -> list[int]:
        """When events of one kind came, in milliseconds."""
        return [at_us // MS for at_us, event in self.log if isinstance(event, kind)]

    def events(self, kind: type) -> list[Event]:
        return [event for _, event in self.log if isinstance(event, kind)]


def training_every(first_ms: int, later_ms: int, peers: int, apart: int) -> Script:
    """Trains again and again, pushes the vector on completion, and averages on receipt.

    Each peer has milliseconds of its own: its number to begin with, and that modulo `apart` later.
    """

    def script(peer: FakePeer, event: Event, now_us: int) -> list[Action]:
        number = int(peer.me.peer.removeprefix("peer-"))
        match event:
            case Start():
                return [SetTimer(Timer.CYCLE, now_us + (first_ms + number) * MS)]
            case TimerFired():
                peer.cycle += 1
                later = SetTimer(Timer.CYCLE, now_us + (later_ms + number % apart) * MS)
                return [Train(peer.cycle, peer.vector.copy()), later]
            case Trained(_, delta, _, _):
                if delta is not None:
                    peer.vector = peer.vector + delta
                target = Contact(name((number * 5 + peer.cycle) % peers))
                return [Send(target, peer.vector.tobytes())]
            case Received(_, frame):
                peer.vector = (peer.vector + np.frombuffer(frame, np.float32)) / 2
        return []

    return script


class FakeLearner:
    """Moves every vector by the mean of its rows; row by row, so batching cannot matter."""

    dim = 3
    shared = 2
    carries = True
    shape = "fake 3"

    def initial(self, seed: bytes) -> np.ndarray:
        return np.zeros(3, np.float32)

    def train(self, vectors: np.ndarray, momentum: np.ndarray, batches: Batches) -> Outcome:
        out = vectors.copy()
        for row in range(len(vectors)):
            out[row] += batches.x[row].mean() + 0.5 * momentum[row]
        loss = np.full(len(vectors), 0.25, np.float32)
        return Outcome(out, out - vectors, loss)


class FakeRows:
    """Two rows, made of the peer's and the cycle's numbers; peers in `without` have none."""

    def __init__(self, without: tuple[int, ...] = ()) -> None:
        self.without = without
        self.asked: list[tuple[int, ...]] = []

    def trainable(self, peer: int) -> bool:
        return peer not in self.without

    def batches(self, peers, cycles, times_us) -> Batches:
        self.asked.append(tuple(peers))
        x = np.array([[[[p, c], [c, p]]] for p, c in zip(peers, cycles, strict=True)], np.float32)
        return Batches(x, np.zeros(x.shape[:3], np.int64), np.ones((len(peers), 2), np.bool_))


class Rig:
    """A World of fake peers, all started at 0, with every peer of every life at hand."""

    def __init__(
        self,
        count: int,
        script: Script,
        *,
        rules: tuple = (),
        latency_ms: int = 10,
        lost_after_ms: int = 100,
        silence_ms: int = NEVER_US // MS,
        train_ms: tuple[int, ...] | None = None,
        changes: tuple[Change, ...] = (),
        postpone: bool = True,
        rows: FakeRows | None = None,
        outboxes: int = 64,
        worker: bool = False,
    ) -> None:
        self.lives: dict[int, list[FakePeer]] = {index: [] for index in range(count)}

        def spawn(index: int, life: int, kept: Kept | None) -> Machine:
            self.lives[index].append(FakePeer(index, life, kept, script))
            return self.lives[index][-1]

        late = [change.peer for change in changes if change.deed is Deed.JOIN]
        starts = [Change(0, peer, Deed.JOIN) for peer in range(count) if peer not in late]
        times = tuple(ms * MS for ms in train_ms) if train_ms else (5 * MS,) * count
        self.rows = rows or FakeRows()
        latency = Anywhere(constant(latency_ms * MS))
        self.trainer = Postponed(
            FakeLearner(),
            self.rows,
            np.zeros(3, np.float32),
            postpone=postpone,
            stack_peers_max=4,
            worker=worker,
        )
        self.world = World(
            [name(index) for index in range(count)],
            spawn,
            self.trainer,
            Links(rules, latency, b"rig"),
            Physics(
                times,
                lost_after_ms * MS,
                outboxes=outboxes,
                bootstrap=(0,),
                silence_us=silence_ms * MS,
            ),
            [*starts, *changes],
            Trace(),
        )

    def peer(self, index: int) -> FakePeer:
        return self.lives[index][-1]


def name(index: int) -> PeerId:
    return PeerId(f"peer-{index}")
