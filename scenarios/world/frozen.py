"""A World as bytes, and back into a fresh World of the same plan.

Everything that follows from the plan is made anew: data, learner, links, names. What is written is
what has changed since, so that the run goes on to the same result, event for event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any

from gossip.actions import Topic
from gossip.antigens import Antigen
from gossip.averaging import Averaging
from gossip.config import Encoding, Exchange, PeerConfig
from gossip.contacts import Contact
from gossip.errors import StateError
from gossip.events import Timer
from gossip.exchange import STRATEGIES, Arrived
from gossip.fingerprint import Fingerprint
from gossip.immunity import Held, Immunity
from gossip.membership import Membership
from gossip.merge import slices
from gossip.messages import Entry
from gossip.model import LocalModel
from gossip.neighbours import FixedNeighbours
from gossip.peer import Peer
from gossip.pushsum import PushSum
from gossip.samplers import Samplers
from gossip.strangers import Strangers
from gossip.timers import Timers
from gossip.view import View
from scenarios.conditions.churn import Change, Deed
from scenarios.immunity.seals import HashSeal
from scenarios.world.freezing import Freezer, Kind, Kinds, Known, Made, Thawer
from scenarios.world.hosts import Host, Kept, State
from scenarios.world.stacks import Stack
from scenarios.world.training import Batch, Job, Postponed
from scenarios.world.world import Standing, Tally, Transfer, World

KINDS = Kinds(
    kinds=(
        # What it said last has been carried out.
        Kind(Peer, single=True, anew={"_out": lambda _: []}),
        Kind(
            LocalModel,
            single=True,
            anew={"slices": lambda model: slices(len(model.vector), len(model.ages))},
        ),
        *(Kind(strategy, single=True) for strategy in STRATEGIES.values()),
        Kind(Membership, single=True),
        Kind(View, single=True),
        Kind(Samplers, single=True),
        Kind(FixedNeighbours, single=True),
        Kind(Strangers, single=True),
        Kind(Timers, single=True),
        Kind(Averaging, single=True),
        Kind(PushSum, single=True),
        Kind(Immunity, single=True),
        Kind(Held),
        Kind(Job, single=True),
        Kind(Batch, single=True),
        Kind(Entry),
        Kind(Arrived),
        Kind(Kept),
        Kind(Transfer),
        Kind(Tally),
        Kind(Standing),
    ),
    values=(Contact, PeerConfig, Fingerprint, Antigen, HashSeal, Change),
    enums=(Topic, Encoding, Exchange, Timer, Deed, State),
)
"""Every class of which a World that runs may hold instances."""

HOST_FIELDS = tuple(field.name for field in fields(Host) if field.name not in {"index", "contact"})

DUE_TOGETHER = 1_000
"""Places of the heap written in one go. Our choice: some 100 kB."""


def freeze(world: World, trainer: Postponed) -> Iterator[bytes]:
    """A World that stands, piece by piece; it must not move before the last piece is made.

    Args:
        world: between two calls of `run`.
        trainer: the one that it trains with.

    Raises:
        TypeError: it holds an object of a class that is not in `KINDS`.
        LocalError: the process for training failed.
    """
    trainer.settle()
    freezer = Freezer(KINDS, _known(world, trainer))
    yield freezer.freeze(world.standing())
    for host in world.hosts:
        yield freezer.freeze(tuple(getattr(host, name) for name in HOST_FIELDS))
    due = world.due()
    while some := list(islice(due, DUE_TOGETHER)):
        yield freezer.freeze(some)


def thaw(world: World, trainer: Postponed, pieces: Iterator[bytes]) -> None:
    """Let a fresh World stand where another of the same plan stood.

    Args:
        world: has not run yet. After an error it is of no use.
        trainer: the one that it trains with.
        pieces: as `freeze` gave them.

    Raises:
        StateError: there are too few pieces, or one of them no World ever had.
    """
    thawer = Thawer(KINDS, _known(world, trainer))
    try:
        standing = _of(thawer.thaw(next(pieces)), Standing)
        for host in world.hosts:
            values = _of(thawer.thaw(next(pieces)), tuple)
            for name, value in zip(HOST_FIELDS, values, strict=True):
                setattr(host, name, value)
        due = [_of(each, tuple) for piece in pieces for each in _of(thawer.thaw(piece), list)]
        world.restore(standing, due)
    except (StopIteration, ValueError, TypeError) as error:
        raise StateError(f"damaged: {error or 'too short'}") from error


def _known(world: World, trainer: Postponed) -> Known:
    hosts: Sequence[Host] = world.hosts
    contacts = [host.contact for host in hosts]
    return Known(
        texts=[contact.peer for contact in contacts],
        values=contacts,
        made=(
            Made(Host, lambda host: host.index, lambda index: hosts[index]),
            Made(
                Stack,
                lambda stack: (stack.memory, len(stack.peers)),
                lambda parts: trainer.stack(*parts),
            ),
        ),
    )


def _of(value: Any, cls: type) -> Any:
    if not isinstance(value, cls):
        raise TypeError(f"a {type(value).__name__} where a {cls.__name__} was expected")
    return value
