"""What the World assumes of simulated nodes, and what it keeps for each of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.actions import Action, Send
from gossip.antigens import Antigen
from gossip.contacts import Contact
from gossip.events import Contribute, Event, Present, Timer
from scenarios.world.training import Job


class Machine(Protocol):
    """The part of `gossip.peer.Peer` that a driver uses."""

    @property
    def me(self) -> Contact:
        """Who the peer is."""

    @property
    def vector(self) -> NDArray[np.float32]:
        """Its model, float32 `(dim,)`."""

    @property
    def ages(self) -> NDArray[np.int64]:
        """Updates absorbed by each fragment, int64 `(fragments,)`."""

    @property
    def cycle(self) -> int:
        """How many of its own cycles have begun."""

    @property
    def view(self) -> tuple[Contact, ...]:
        """The peers it knows now."""

    @property
    def remembered(self) -> tuple[Contact, ...]:
        """The peers worth writing down for its next life."""

    @property
    def antigens(self) -> tuple[Antigen, ...]:
        """What it holds of attacks, its own among it."""

    @property
    def norms(self) -> tuple[Antigen, ...]:
        """What it holds of benign rows, its own among it."""

    @property
    def kept(self) -> tuple[Antigen, ...]:
        """The same with what has been revoked, for its next life."""

    @property
    def mesh(self) -> tuple[NDArray[np.float64], int] | None:
        """What the mesh has on average, and how many peers that rests on; None for nothing."""

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """Take one event and say what to do."""


class Presents(Protocol):
    """What peers have to say of attacks. Remembers nothing that a checkpoint would lack."""

    def due(self, peer: int, machine: Machine, now_us: int) -> Iterable[Present | Send]:
        """What a peer that begins a cycle is handed to present, or what goes out in its name."""


class Tells(Protocol):
    """What peers add to the mesh's mean. Remembers nothing that a checkpoint would lack."""

    def trained(
        self, peer: int, machine: Machine, vector: NDArray[np.float32], now_us: int
    ) -> Contribute:
        """What a peer is handed that has trained; `vector` is what it detects with, `(dim,)`."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a node's state directory holds across a restart.

    Args:
        vector: float32 `(dim,)`.
        ages: int64 `(fragments,)`.
        cycle: the last one begun.
        contacts: peers remembered.
        local: the part of the model that peers do not merge, float32; None if untrained or empty.
        momentum: of the whole model, float32 `(dim,)`; None stands for zeros.
        antigens: held, see `gossip.peer.Peer.kept`.
    """

    vector: NDArray[np.float32]
    ages: NDArray[np.int64]
    cycle: int
    contacts: tuple[Contact, ...]
    local: NDArray[np.float32] | None = None
    momentum: NDArray[np.float32] | None = None
    antigens: tuple[Antigen, ...] = ()


Spawn = Callable[[int, int, Kept | None], Machine]
"""`(index, life, kept) -> peer`: makes the peer for a node's `life`-th start."""


NEVER_US = 2**62


@dataclass(frozen=True, slots=True)
class Physics:
    """What the World assumes of nodes, apart from links. Times in microseconds.

    Args:
        train_us: per peer, simulated time from `Train` to `Trained`.
        lost_after_us: from the start of a transfer to an unreachable peer until the sender is
            told by `PeerLost`.
        queue_frames: frames that may wait for one neighbour behind the one on its way.
        outboxes: neighbours to whom frames may be on their way at one time; a frame for a further
            one is shed.
        bootstrap: peers that everybody joins by.
        neighbours: per peer, its neighbours in a fixed topology; None is peer sampling.
        turns: of a topology that changes with time, tables like `neighbours`: in its cycle t, a
            peer pushes to those of table t modulo their number. Empty: it never changes.
        silence_us: how long a node hears nothing on a connection before it asks for a sign of life,
            and then how long it waits for one until it is told by `PeerLost`; at least 1.
        serve: weight of the past in the model that a node detects with: a moving average, renewed
            after each training, as in a gateway (`Watch.serve`). 0 is its model as it
            is.
    """

    train_us: Sequence[int]
    lost_after_us: int
    queue_frames: int = 4
    outboxes: int = 64
    bootstrap: tuple[int, ...] = ()
    neighbours: tuple[tuple[int, ...], ...] | None = None
    turns: tuple[tuple[tuple[int, ...], ...], ...] = ()
    silence_us: int = NEVER_US
    serve: float = 0.0


class State(Enum):
    """Where a simulated node stands."""

    WAITING = "waiting"  # never started
    UP = "up"
    LEFT = "left"
    CRASHED = "crashed"


@dataclass(slots=True)
class Host:
    """One simulated node, up or down.

    `outboxes` has the neighbours to whom a frame is on its way now, and the frames behind it.
    """

    index: int
    contact: Contact
    state: State = State.WAITING
    machine: Machine | None = None
    kept: Kept | None = None
    life: int = 0  # starts so far
    severed: int = 0  # the last life that ended in a crash: what it was sending is gone
    armed: dict[Timer, int] = field(default_factory=dict)
    job: Job | None = None
    local: NDArray[np.float32] | None = None
    momentum: NDArray[np.float32] | None = None
    serving: NDArray[np.float32] | None = None  # the moving average, where there is one
    outboxes: dict[int, list[bytes]] = field(default_factory=dict)
    frames: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
