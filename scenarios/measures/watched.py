"""What measuring needs to know of a mesh, whatever engine runs it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import Antigen
from gossip.contacts import Contact


class Seen(Protocol):
    """A peer that is up."""

    @property
    def vector(self) -> NDArray[np.float32]:
        """The part of its model that is merged with others, float32 `(shared,)`."""

    @property
    def view(self) -> tuple[Contact, ...]:
        """The peers it knows now."""

    @property
    def mesh(self) -> tuple[NDArray[np.float64], int] | None:
        """What its mesh says of tails; see `gossip.peer.Peer.mesh`. None where none does."""

    @property
    def norms(self) -> tuple[Antigen, ...]:
        """What it holds of others' benign rows; see `gossip.peer.Peer.norms`."""


class Seat(Protocol):
    """A node, up or not."""

    @property
    def index(self) -> int:
        """Its number."""

    @property
    def contact(self) -> Contact:
        """Who its peer is."""

    @property
    def bytes_sent(self) -> int:
        """Of frames, since the start."""


class Counts(Protocol):
    """Over all nodes since the start."""

    @property
    def cycles(self) -> int:
        """Begun."""

    @property
    def trainings(self) -> int:
        """Completed."""

    @property
    def delivered(self) -> int:
        """Frames that arrived."""

    @property
    def dropped(self) -> int:
        """Frames that left and never arrive."""

    @property
    def unreachable(self) -> int:
        """Frames that found no way."""

    @property
    def shed(self) -> int:
        """Frames that a full queue gave up."""


class Watched(Protocol):
    """A mesh at one moment."""

    @property
    def now_us(self) -> int:
        """Since the start, microseconds."""

    @property
    def hosts(self) -> Sequence[Seat]:
        """All nodes, by number."""

    @property
    def tally(self) -> Counts:
        """Counts over all of them."""

    def alive(self) -> Sequence[tuple[int, Seen]]:
        """Number and peer of every node that is up, by number."""

    def reachable(self, index: int) -> list[int]:
        """The nodes in a node's view that are up and not beyond a partition now."""

    def whole_vector(self, index: int) -> NDArray[np.float32]:
        """The model a node that is up detects with, float32 `(dim,)`."""
