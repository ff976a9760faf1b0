"""One peer of a synchronous baseline, and the counts over all of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import Antigen
from gossip.codec import decode, encode
from gossip.contacts import Contact
from gossip.errors import StateError
from gossip.messages import Model
from gossip.model import LocalModel
from scenarios.world.hosts import State
from scenarios.world.training import Job

Floats = NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Member:
    """A node, up or not. What it holds stays with it while it is away.

    Args:
        index: its number.
        contact: who it is.
        model: the part that is merged with others: what it detects with, together with `local`.
        view: the nodes that it exchanges models with.
        state: where it stands.
        life: starts so far.
        cycle: rounds begun in its memory; keys the rows of its next training.
        version: the last model of a server's that it holds; 0 is the one that all begin with.
        update: a model trained for a server, until that has it.
        local: the part that stays with it, float32 `(dim - shared,)`; None is the initial one.
        momentum: float32 `(dim,)`; None is zero.
        job: its training under way.
        bytes_sent: of frames.
        bytes_received: of frames.
    """

    index: int
    contact: Contact
    model: LocalModel
    view: tuple[Contact, ...] = ()
    state: State = State.WAITING
    life: int = 0
    cycle: int = 0
    version: int = 0
    update: LocalModel | None = None
    local: Floats | None = None
    momentum: Floats | None = None
    job: Job | None = None
    bytes_sent: int = 0
    bytes_received: int = 0

    @property
    def up(self) -> bool:
        """Whether it takes part."""
        return self.state is State.UP

    @property
    def vector(self) -> Floats:
        """The merged part, float32 `(shared,)`."""
        return self.model.vector

    @property
    def mesh(self) -> None:
        """No mean of a mesh: nothing is borrowed."""

    @property
    def norms(self) -> tuple[Antigen, ...]:
        """None: everybody scales once and for all."""
        return ()


@dataclass(slots=True)
class Tally:
    """Counts over a whole run; see `scenarios.measures.watched.Counts`."""

    delivered: int = 0
    dropped: int = 0
    unreachable: int = 0
    shed: int = 0
    cycles: int = 0
    trainings: int = 0
    merged: int = 0


def frame_of(model: LocalModel, digest: bytes, seed: bytes, name: str, serial: int) -> bytes:
    """A whole model as the frame that a peer of the mesh would send.

    Args:
        model: whose.
        digest: of the fingerprint.
        seed: of the run.
        name: the sender's; with `serial` it keys the rounding of int8.
        serial: never repeats for one sender.
    """
    everything = range(len(model.slices))
    return encode(model.message(seed, name, serial, everything, answer=False), digest)


def read_frame(frame: bytes, like: LocalModel, digest: bytes) -> tuple[Floats, int]:
    """The vector in such a frame, float32 `(shared,)`, as its encoding left it, and its age.

    Args:
        frame: from `frame_of`.
        like: any model of the same shape.
        digest: of the fingerprint.
    """
    message = decode(frame, digest)
    if not isinstance(message, Model):
        raise StateError(f"a frame of a model holds a {type(message).__name__}")
    parts = like.read(message.fragments)
    vectors = [parts[index][0] for index in range(len(like.slices))]
    return np.concatenate(vectors), max(age for _, age in parts.values())


def replace_vector(model: LocalModel, vector: Floats, age: int) -> None:
    """Let a model hold another vector, float32 `(shared,)`; ages never decrease."""
    for index, part in enumerate(model.slices):
        model.merge(index, vector[part], age)
