"""Peer sampling: who we know, whom we ask, and how we find back after a partition.

Cyclon's view gives fresh random links cheaply; Brahms' samplers beside it cannot be flooded. Each
choice of a neighbour takes one or the other with equal chance, as Brahms does (section 3.3).
"""

from collections.abc import Iterable
from typing import TypeVar

from gossip.config import PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.draws import Purpose, choose, fraction
from gossip.messages import Entry, Shuffle, ShuffleReply
from gossip.samplers import Samplers
from gossip.view import View

T = TypeVar("T")

PENDING_MAX = 16
ABSORBED_PER_SHUFFLE_MAX = 8
"""Shuffles of others that may change our view between two of our own. One is expected (Cyclon,
section 3.1); Poisson(1) exceeds 8 once in a million."""


class Membership:
    """The peers that one peer knows.

    Invariant: `pending` holds only peers we asked and that neither answered nor timed out.
    """

    def __init__(self, config: PeerConfig, me: Contact, seed: bytes) -> None:
        self.view = View(me.peer, config.view_size)
        self._samplers = Samplers(me.peer, seed, config.samplers)
        self._config = config
        self._me = me
        self._seed = seed
        self._shuffles = 0
        self._absorbed = 0
        self._pending: dict[PeerId, tuple[Contact, int, tuple[PeerId, ...]]] = {}

    def remember(self, contacts: Iterable[Contact]) -> None:
        """Contacts known from an earlier life, to be tried but not trusted to be alive."""
        self._samplers.offer(list(contacts))

    def remembered(self) -> tuple[Contact, ...]:
        """Everybody worth writing down before this peer stops."""
        known = {c.peer: c for c in (*self._samplers.failed(), *self._samplers.alive())}
        known.update({c.peer: c for c in self.view.contacts()})
        return tuple(known.values())

    def neighbours(self, count: int, serial: int, avoid: Iterable[PeerId] = ()) -> list[Contact]:
        """`count` distinct peers to address now, or all there are."""
        me, seed = self._me.peer, self._seed
        barred = {self._me.peer, *avoid}
        enough = count + len(barred)  # from either pool alone, were all the barred among them
        pools = [
            choose(self.view.contacts(), enough, seed, me, serial, Purpose.NEIGHBOUR, 1),
            choose(self._samplers.alive(), enough, seed, me, serial, Purpose.NEIGHBOUR, 2),
        ]
        taken: dict[PeerId, Contact] = {}
        coin = 0
        while len(taken) < count and any(pools):
            from_samplers = fraction(seed, me, serial, Purpose.NEIGHBOUR, coin) < 0.5
            coin += 1
            pool = pools[from_samplers] or pools[not from_samplers]
            contact = pool.pop()
            if contact.peer not in barred:
                taken.setdefault(contact.peer, contact)
        return list(taken.values())

    def begin_shuffle(self) -> list[tuple[Contact, Shuffle]]:
        """One shuffle period has passed: ask the oldest entry and, now and then, a lost peer."""
        self._shuffles += 1
        self._absorbed = 0
        self.view.grow_older()
        targets = [] if (oldest := self.view.oldest(self._pending)) is None else [oldest]
        if self._shuffles % self._config.probe_cycles == 0:
            outside = [
                c
                for c in (*self._samplers.failed(), *self._samplers.alive())
                if c.peer not in self.view
            ]
            targets += self._choose(outside, 1, Purpose.PROBE)
        return [(t, self.ask(t)) for t in targets]

    def ask(self, target: Contact) -> Shuffle:
        """A shuffle for `target`, which counts as pending until it answers."""
        others = [e for e in self.view.entries() if e.contact.peer != target.peer]
        # Indexed by the number pending, so that two questions in one period differ.
        given = self._choose(
            others, self._config.shuffle_size - 1, Purpose.ENTRIES, len(self._pending)
        )
        self._pending.pop(target.peer, None)
        while len(self._pending) >= PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        sent = tuple(e.contact.peer for e in given)
        self._pending[target.peer] = (target, self._shuffles, sent)
        return Shuffle(self._me.addresses, tuple(given))

    def overdue(self) -> list[PeerId]:
        """Peers that did not answer within one to two shuffle periods; no longer pending."""
        late = [p for p, (_, since, _) in self._pending.items() if since < self._shuffles]
        for peer in late:
            del self._pending[peer]
        return late

    def answer(self, sender: PeerId, message: Shuffle) -> ShuffleReply:
        """Reply to a shuffle. What it offers is absorbed unless too many came in this period."""
        others = [e for e in self.view.entries() if e.contact.peer != sender]
        given = self._choose(others, self._config.shuffle_size, Purpose.SHUFFLE, self._absorbed)
        if self._absorbed < ABSORBED_PER_SHUFFLE_MAX:
            self._absorbed += 1
            contact = Contact(sender, message.addresses)
            self._samplers.meet(contact)
            self._absorb(message.entries, [e.contact.peer for e in given])
            if not self.view.meet(contact):
                self.view.absorb([Entry(contact)], [e.contact.peer for e in given])
        return ShuffleReply(self._me.addresses, tuple(given))

    def absorb_reply(self, sender: PeerId, message: ShuffleReply) -> bool:
        """Take the answer to our shuffle; False if we had not asked."""
        asked = self._pending.pop(sender, None)
        if asked is None:
            return False
        contact = Contact(sender, message.addresses or asked[0].addresses)
        self._samplers.meet(contact)
        # Cyclon gives the place of the peer asked to what it sent; it comes back if room is left.
        self.view.remove(sender)
        self._absorb(message.entries, asked[2])
        self.view.meet(contact)
        return True

    def lose(self, peer: PeerId) -> bool:
        """A peer failed or left; whether it was in the view or asked."""
        self._samplers.fail(peer)
        asked = self._pending.pop(peer, None) is not None
        return self.view.remove(peer) or asked

    def candidates(self, bootstrap: tuple[Contact, ...], attempt: int) -> list[Contact]:
        """Whom to ask when nobody is left: a bootstrap peer in turn, and one remembered."""
        seeds = [c for c in bootstrap if c.peer != self._me.peer]
        targets = [seeds[attempt % len(seeds)]] if seeds else []
        known = [c for c in (*self._samplers.alive(), *self._samplers.failed()) if c not in targets]
        return targets + choose(known, 1, self._seed, self._me.peer, attempt, Purpose.JOIN)

    def _absorb(self, entries: tuple[Entry, ...], sent: Iterable[PeerId]) -> None:
        bounded = entries[: self._config.shuffle_size]
        self._samplers.offer([e.contact for e in bounded])
        self.view.absorb(bounded, sent)

    def _choose(self, items: list[T], count: int, purpose: Purpose, index: int = 0) -> list[T]:
        return choose(items, count, self._seed, self._me.peer, self._shuffles, purpose, index)
