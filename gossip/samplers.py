"""Min-wise samplers: a memory of peers that repetition cannot bias.

The sampler of Bortnikov, Gurevich, Keidar, Kliot, Shraer, "Brahms: Byzantine resilient random
membership sampling" (Computer Networks 53, 2009). Each slot has a secret random order of all
possible peer ids and keeps the smallest id that it ever met. A peer that calls a thousand times
gains nothing over one that called once, so colluders who fill everybody's view still hold only
their share of these slots.

Two departures. A slot takes only peers that spoke to us under a proven identity, never hearsay:
made-up ids cost nothing, and every slot would end on one. And a slot outlives failures for a while
where Brahms starts it afresh at once, which makes the slots the addresses by which the halves of a
healed partition find each other.
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gossip.contacts import Contact, PeerId
from gossip.draws import Purpose, draw

FAILURES_MAX = 20  # probes in vain before a slot starts afresh; our choice


@lru_cache(maxsize=8192)  # shared by all the peers of a simulation; 2 MB at most
def _key(peer: PeerId) -> int:
    return int.from_bytes(blake2b(peer.encode(), digest_size=8).digest(), "big")


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014, figure 15): a bijection on 64 bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Samplers:
    """A fixed number of slots, each with one contact at most."""

    __slots__ = ("_failures", "_held", "_me", "_ranks", "_restarts", "_salts", "_seed", "_slots")

    def __init__(self, me: PeerId, seed: bytes, slots: int) -> None:
        self._me = me
        self._seed = seed
        self._slots = slots
        self._restarts = slots
        self._held: list[Contact | None] = []
        self._failures: list[int] = []

    def _open(self) -> None:
        """Make the slots: at the first meeting, since in a fixed topology nobody is met."""
        self._salts = np.array([self._salt(i) for i in range(self._slots)], dtype=np.uint64)
        self._ranks = np.full(self._slots, np.iinfo(np.uint64).max, dtype=np.uint64)
        self._held = [None] * self._slots
        self._failures = [0] * self._slots

    def _salt(self, serial: int) -> int:
        return draw(self._seed, self._me, serial, Purpose.SAMPLER)

    def meet(self, contact: Contact) -> None:
        """A peer spoke to us, its identity proven, and told its addresses."""
        if contact.peer == self._me or not self._slots:
            return
        if not self._held:
            self._open()
        ranks = _mix(np.uint64(_key(contact.peer)) ^ self._salts)
        for slot in np.flatnonzero(ranks <= self._ranks):
            self._held[slot] = contact
            self._ranks[slot] = ranks[slot]
            self._failures[slot] = 0

    def hear(self, contacts: Iterable[Contact]) -> None:
        """Hearsay: it moves the addresses of a held peer that failed, and nothing else."""
        heard = {c.peer: c for c in contacts if c.addresses}
        for slot, held in enumerate(self._held):
            if held is not None and self._failures[slot] and held.peer in heard:
                self._held[slot] = heard[held.peer]

    def met(self) -> dict[PeerId, Contact]:
        """Those of `alive` by peer."""
        return self._distinct(failed=False)

    def alive(self) -> list[Contact]:
        """Distinct peers that have not failed since they were last heard of, in slot order."""
        return list(self._distinct(failed=False).values())

    def failed(self) -> list[Contact]:
        """Distinct peers worth another try."""
        return list(self._distinct(failed=True).values())

    def _distinct(self, *, failed: bool) -> dict[PeerId, Contact]:
        found: dict[PeerId, Contact] = {}
        for contact, failures in zip(self._held, self._failures, strict=True):
            if contact is not None and (failures > 0) is failed:
                found.setdefault(contact.peer, contact)
        return found

    def fail(self, peer: PeerId) -> None:
        """A peer could not be reached. After many times its slots start afresh."""
        for slot, contact in enumerate(self._held):
            if contact is None or contact.peer != peer:
                continue
            self._failures[slot] += 1
            if self._failures[slot] >= FAILURES_MAX:
                self._salts[slot] = self._salt(self._restarts)
                self._restarts += 1
                self._ranks[slot] = np.iinfo(np.uint64).max
                self._held[slot] = None
                self._failures[slot] = 0
