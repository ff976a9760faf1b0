"""The mesh as its own processes see it, put together for the measures that the World has, too."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gossip.contacts import Contact, PeerId
from scenarios.conditions.links import Links
from scenarios.lab.orders import Picture, Tallies


@dataclass(frozen=True, slots=True)
class Member:
    """One node: who it is and what it sent in all its lives."""

    index: int
    contact: Contact
    bytes_sent: int
    bytes_received: int
    wire_sent: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A peer that was up, as its picture shows it; nobody borrows here, nor scales alike."""

    vector: NDArray[np.float32]
    view: tuple[Contact, ...]
    mesh: None = None
    norms: tuple[()] = ()


class Pictured:
    """A mesh at one moment; see `scenarios.measures.watched.Watched`.

    Args:
        now_us: since the start.
        names: by peer; those of the World.
        pictures: of all that are up.
        lives: counts of all lives of each peer so far.
        links: tells partitions.
    """

    def __init__(
        self,
        now_us: int,
        names: Sequence[PeerId],
        pictures: Mapping[int, Picture],
        lives: Sequence[Tallies],
        links: Links,
    ) -> None:
        self.now_us = now_us
        self.tally = total(lives)
        self.hosts = [
            Member(index, Contact(name), own.bytes_sent, own.bytes_received, own.wire_out)
            for index, (name, own) in enumerate(zip(names, lives, strict=True))
        ]
        self._pictures = dict(sorted(pictures.items()))
        self._links = links

    def alive(self) -> list[tuple[int, Shown]]:
        """See `Watched`."""
        return [
            (
                index,
                Shown(
                    self.whole_vector(index)[: picture.shared],
                    tuple(self.hosts[other].contact for other in picture.view),
                ),
            )
            for index, picture in self._pictures.items()
        ]

    def reachable(self, index: int) -> list[int]:
        """See `Watched`."""
        picture = self._pictures.get(index)
        return [
            other
            for other in (picture.view if picture else ())
            if other in self._pictures and not self._links.severed(self.now_us, index, other)
        ]

    def whole_vector(self, index: int) -> NDArray[np.float32]:
        """See `Watched`."""
        return np.frombuffer(self._pictures[index].vector, "<f4").astype(np.float32)


def total(parts: Sequence[Tallies]) -> Tallies:
    """The sum of counts."""
    summed = Tallies()
    topics: Counter[str] = Counter()
    for part in parts:
        for each in fields(Tallies):
            if each.name != "topics":
                sum_so_far = getattr(summed, each.name) + getattr(part, each.name)
                setattr(summed, each.name, sum_so_far)
        topics.update(part.topics)
    summed.topics = dict(sorted(topics.items()))
    return summed
