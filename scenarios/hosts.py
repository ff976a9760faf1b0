"""What the World keeps for each simulated node."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.actions import Action
from gossip.contacts import Contact
from gossip.events import Event, Timer
from scenarios.training import Job


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

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """Take one event and say what to do."""


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
    """

    vector: NDArray[np.float32]
    ages: NDArray[np.int64]
    cycle: int
    contacts: tuple[Contact, ...]
    local: NDArray[np.float32] | None = None
    momentum: NDArray[np.float32] | None = None


Spawn = Callable[[int, int, Kept | None], Machine]
"""`(index, life, kept) -> peer`: makes the peer for a node's `life`-th start."""


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
    outboxes: dict[int, deque[bytes]] = field(default_factory=dict)
    frames: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
