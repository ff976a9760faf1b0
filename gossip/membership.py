"""Peer sampling: who we know, whom we ask, and how we find back after a partition.

Cyclon's view gives fresh random links cheaply, but whoever shuffles often enough owns it; Brahms'
samplers beside it cannot be flooded. A neighbour is taken from the samplers or from the view by a
coin, the likelier from the samplers the fuller they are. (Brahms instead renews the view itself
from pushes, pulls and samplers.) docs/protocol.md has the measurements.
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

ANSWER_US_MIN = 2_000_000
"""Least time in which a peer may answer a shuffle, however short the cycle. Measured: with cycles
of 0.2 s on a machine with a load of 13, peers given two of them took all others for dead."""

CALLERS_KEPT_MAX = 2
"""Uninvited callers that may take a place in a full view between two of our own shuffles. One is
expected (Cyclon: on average as many as we begin); Poisson(1) exceeds 2 in 8 % of the periods, and
then nothing is lost but a little mixing."""

REFRESHED_SHARE = 0.1
"""Share of the view renewed from the samplers at each shuffle: gamma of Brahms (Bortnikov et al.
2009 use 0.1). Without it a captured view would never again hold an honest peer."""

SHUFFLES_PER_SENDER_MAX = 4
"""Shuffles answered to one sender between two of our own: its periodic one, a probe, and retries
of a join. An answer may be 400 times as long as the question, so it must not be free."""

ASKERS_MAX = 1_024
"""Senders counted between two of our own shuffles; further ones wait. A flash crowd larger than
this is served over several periods, by its own retries."""

LOST_SHUFFLES = 20
LOST_MAX = 256
"""Shuffles for which hearsay about a lost peer is ignored, and how many such peers are kept in
mind, so that peers do not hand a dead one back and forth. Its own word lifts the ban at once."""

SAMPLER_SHARE = 0.875
"""How often a neighbour comes from the samplers when every slot holds a peer of its own. It bounds
the share of a captured view in our choices to 1/8; the 1/8 keeps the links changing. Our choice."""


class Membership:
    """The peers that one peer knows.

    Args:
        config: sizes of view, shuffle and samplers; no samplers is Cyclon as published.
        me: never kept.
        seed: of every choice.
        shuffles: where to go on counting, above any count of an earlier life with this seed.

    Attributes:
        attempts: to join, since anybody was known.

    Invariant: `pending` holds only peers we asked and that neither answered nor timed out.
    """

    __slots__ = (
        "_askers",
        "_bootstrap",
        "_callers",
        "_config",
        "_lost",
        "_me",
        "_pending",
        "_samplers",
        "_seed",
        "_shuffles",
        "attempts",
        "view",
    )

    def __init__(self, config: PeerConfig, me: Contact, seed: bytes, shuffles: int = 0) -> None:
        self.view = View(me.peer, config.view_size)
        self._samplers = Samplers(me.peer, seed, config.samplers)
        self._config = config
        self._me = me
        self._seed = seed
        self._shuffles = shuffles
        self.attempts = 0
        self._callers = 0
        self._askers: dict[PeerId, int] = {}
        self._lost: dict[PeerId, int] = {}
        self._bootstrap: tuple[Contact, ...] = ()
        self._pending: dict[PeerId, tuple[Contact, int, tuple[PeerId, ...]]] = {}

    def remember(self, bootstrap: Iterable[Contact], earlier: Iterable[Contact]) -> None:
        """Contacts from the operator and from an earlier life: to be tried, not trusted alive."""
        self._bootstrap = tuple(c for c in bootstrap if c.peer != self._me.peer)
        for contact in (*self._bootstrap, *earlier):
            self._samplers.meet(contact)
            # Until it speaks to us it counts as one that failed: worth a try, but no neighbour.
            self._samplers.fail(contact.peer)

    def remembered(self) -> tuple[Contact, ...]:
        """Everybody worth writing down before this peer stops."""
        known = {c.peer: c for c in (*self._samplers.failed(), *self._samplers.alive())}
        known.update({c.peer: c for c in self.view.contacts()})
        return tuple(known.values())

    def neighbours(self, count: int, serial: int, avoid: Iterable[PeerId] = ()) -> list[Contact]:
        """`count` distinct peers to address now, or all there are."""
        me, seed = self._me.peer, self._seed
        barred = {self._me.peer, *avoid}
        met = self._samplers.alive()
        share = SAMPLER_SHARE * len(met) / max(1, self._config.samplers)
        enough = count + len(barred)  # from either pool alone, were all the barred among them
        pools = [
            choose(self.view.contacts(), enough, seed, me, serial, Purpose.NEIGHBOUR, 1),
            choose(met, enough, seed, me, serial, Purpose.NEIGHBOUR, 2),
        ]
        taken: dict[PeerId, Contact] = {}
        coin = 0
        while len(taken) < count and any(pools):
            from_samplers = fraction(seed, me, serial, Purpose.NEIGHBOUR, coin) < share
            coin += 1
            pool = pools[from_samplers] or pools[not from_samplers]
            contact = pool.pop()
            if contact.peer not in barred:
                taken.setdefault(contact.peer, contact)
        return list(taken.values())

    def begin_shuffle(self) -> list[tuple[Contact, Shuffle]]:
        """One shuffle period has passed: ask the oldest entry and, now and then, a lost peer."""
        self._shuffles += 1
        self._callers = 0
        self._askers.clear()
        self._lost = {p: until for p, until in self._lost.items() if until > self._shuffles}
        self._refresh()
        self.view.grow_older()
        targets = [] if (oldest := self.view.oldest(self._pending)) is None else [oldest]
        if self._shuffles % self._config.probe_cycles == 0:
            # The bootstrap peers are never forgotten, else a partition that outlasts the memory
            # of the samplers would never heal.
            known = (*self._bootstrap, *self._samplers.failed(), *self._samplers.alive())
            outside = [
                c
                for c in {c.peer: c for c in known}.values()
                if c.peer not in self.view and c.peer not in self._pending and c not in targets
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
        """Peers that did not answer for a whole shuffle period, or 2 s; no longer pending."""
        periods = -(-ANSWER_US_MIN // self._config.cycle_us)  # rounded up
        latest = self._shuffles - periods
        late = [p for p, (_, since, _) in self._pending.items() if since <= latest]
        for peer in late:
            del self._pending[peer]
        return late

    def answer(self, sender: PeerId, message: Shuffle) -> ShuffleReply | None:
        """Reply to a shuffle; None if the sender asked too often in this period."""
        asked = self._askers.get(sender, 0)
        if asked >= SHUFFLES_PER_SENDER_MAX or (not asked and len(self._askers) >= ASKERS_MAX):
            return None
        others = [e for e in self.view.entries() if e.contact.peer != sender]
        index = len(self._askers) * SHUFFLES_PER_SENDER_MAX + asked
        given = self._choose(others, self._config.shuffle_size, Purpose.SHUFFLE, index)
        self._askers[sender] = asked + 1
        contact = Contact(sender, message.addresses)
        self._meet(contact)
        leaving = [e.contact.peer for e in given]
        # Hearsay that we did not ask for fills empty places only, else whoever calls most would own
        # the view. The caller itself, whose identity is proven, may replace an entry.
        plain = not self._config.samplers
        self._absorb(message.entries, leaving if plain and not asked else ())
        if (
            not self.view.meet(contact)
            and not asked
            and (plain or self._callers < CALLERS_KEPT_MAX)
        ):
            self._callers += 1
            self.view.absorb([Entry(contact)], leaving)
        return ShuffleReply(self._me.addresses, tuple(given))

    def absorb_reply(self, sender: PeerId, message: ShuffleReply) -> bool:
        """Take the answer to our shuffle; False if we had not asked."""
        asked = self._pending.pop(sender, None)
        if asked is None:
            return False
        contact = Contact(sender, message.addresses or asked[0].addresses)
        self._meet(contact)
        # Cyclon gives the place of the peer asked to what it sent; it comes back if room is left.
        self.view.remove(sender)
        self._absorb(message.entries, asked[2])
        self.view.meet(contact)
        return True

    def lose(self, peer: PeerId) -> bool:
        """A peer failed or left; whether that matters: it was in the view, or our only hope."""
        self._samplers.fail(peer)
        self._lost.pop(peer, None)
        while len(self._lost) >= LOST_MAX:
            del self._lost[next(iter(self._lost))]
        self._lost[peer] = self._shuffles + LOST_SHUFFLES
        asked = self._pending.pop(peer, None) is not None
        return self.view.remove(peer) or (asked and not len(self.view))

    def call_out(self) -> list[tuple[Contact, Shuffle]]:
        """While nobody is known: ask a bootstrap peer, in turn, and one remembered."""
        if len(self.view):
            self.attempts = 0
            return []
        seeds = self._bootstrap
        targets = [seeds[self.attempts % len(seeds)]] if seeds else []
        taken = [c.peer for c in targets]
        known = [
            c for c in (*self._samplers.alive(), *self._samplers.failed()) if c.peer not in taken
        ]
        targets += choose(known, 1, self._seed, self._me.peer, self.attempts, Purpose.JOIN)
        self.attempts += bool(targets)
        return [(target, self.ask(target)) for target in targets]

    def _meet(self, contact: Contact) -> None:
        self._lost.pop(contact.peer, None)
        self._samplers.meet(contact)

    def _absorb(self, entries: tuple[Entry, ...], sent: Iterable[PeerId]) -> None:
        bounded = entries[: self._config.shuffle_size]
        self._samplers.hear(e.contact for e in bounded)
        # Addresses that a peer told us itself outrank hearsay about it.
        met = self._samplers.met()
        proven = [
            Entry(met.get(e.contact.peer, e.contact), e.age)
            for e in bounded
            if e.contact.peer not in self._lost
        ]
        self.view.absorb(proven, sent)

    def _refresh(self) -> None:
        """Give a few places of the view to peers that the samplers hold."""
        places = max(1, round(REFRESHED_SHARE * self._config.view_size))
        met = [c for c in self._samplers.alive() if c.peer not in self.view]
        fresh = self._choose(met, places, Purpose.REFRESH)
        leaving = self._choose([c.peer for c in self.view.contacts()], places, Purpose.REFRESH, 1)
        self.view.absorb([Entry(c) for c in fresh], leaving)

    def _choose(self, items: list[T], count: int, purpose: Purpose, index: int = 0) -> list[T]:
        return choose(items, count, self._seed, self._me.peer, self._shuffles, purpose, index)
