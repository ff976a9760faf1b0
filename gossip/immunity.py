"""The antigens that a peer holds, and which it asks others for.

It keeps and hands on what is well-formed, signed, live and within its quota, whether its driver
uses it or not. Of each origin and family it holds the newest alone; one that revokes stays as a
tombstone, so that what it revoked cannot be sent again. Norms (`gossip.antigens.NORM`) spread
likewise, and have room of their own.

When there are more than it may hold, those with the highest keyed rank leave, as in the samplers
(`gossip.samplers`): a rank is secret, so nobody can choose names that stay, and repetition and
haste gain nothing.
"""

from collections.abc import Iterable

from gossip.antigens import ID_BYTES, Antigen, Seal, check, is_live, verified
from gossip.codec import GIVEN_MAX as GIVEN_AT_ONCE
from gossip.contacts import PeerId
from gossip.draws import Purpose, draw
from gossip.errors import RemoteError
from gossip.messages import Give, Have, Want
from gossip.records import record

FAMILIES_MAX = 8
"""Families that one origin may speak of, revoked ones among them. Our choice; the recordings and
NSL-KDD have up to nine at all gateways together."""

ORIGINS_MAX = 4
"""Origins of one family. Two release a quarantine; the others are there for its sake when some of
them lie or leave. Our choice."""

NORMS_MAX = 32
"""Origins' norms, held beside the antigens of families, so that neither drive out the others. Our
choice: half of them must lie before a median does."""

PASSED_MAX = 512
"""Ids kept in mind that are known but not held: outdated, expired, over a quota; and revocations
for which there was no room. Five times what may be held; an id that is forgotten is asked for and
passed over again. Our choice."""

ASKED_MAX = 128
ASKED_OF_ONE_MAX = 16
"""Ids asked for in one cycle, and of one sender. What nobody asks for is not read, so this bounds
what antigens can cost: 128 of at most 4 kB. Our choice: eight liars who name ids that do not exist
are needed before an honest peer is not asked until the next cycle."""

VERIFIED_MAX = 96
"""Signatures looked at in one cycle; as many as may be held, so that a newcomer needs not wait.
With Ed25519 0.2 ms each (measured)."""

GIVEN_MAX = 256
GIVEN_TO_ONE_MAX = 16
"""Antigens sent in answers in one cycle, and to one asker: an answer is 450 times as long as the
question. 16 are what an asker of this version asks for; 256 are 1 MB."""


Key = tuple[str, PeerId]
"""Family and origin: the order in which drivers see them."""

Age = tuple[int, bool, bytes]
"""Serial, whether it revokes, id."""


@record
class Held:
    """An antigen, its id, its secret rank (the lowest stay), and the cycle in which it came."""

    antigen: Antigen
    id: bytes
    rank: int
    cycle: int

    @property
    def key(self) -> Key:
        """Family and origin."""
        return self.antigen.family, self.antigen.origin

    @property
    def age(self) -> Age:
        """The higher, the newer. Peers agree on it even if the origin gave one serial twice."""
        return self.antigen.serial, self.antigen.revokes, self.id


@record
class Heard:
    """What follows from a message about antigens.

    Args:
        answers: for its sender.
        new: what is held now and was not before.
        shed: why some of it was ignored, if it was.
    """

    answers: tuple[Want | Give, ...] = ()
    new: tuple[Antigen, ...] = ()
    shed: str = ""


class Immunity:
    """What one peer holds, knows and waits for.

    Args:
        me: its own antigens always stay.
        seed: of the ranks; secret.
        limit: antigens of families held, at least 1 (`PeerConfig.antigens_max`).
        schema: of the features (`Fingerprint.schema`), which signatures cover.
        cycle: the present one.
        seal: checks signatures.
        epoch_s: seconds since 1970 when the driver's clock showed 0.

    Invariant: at most `limit` are held, `FAMILIES_MAX` of one origin and `ORIGINS_MAX` of one
    family, and beside these `NORMS_MAX` norms; each of them signed by its origin and newer than
    all that came of its origin and family since. No table is longer than the bounds above.
    """

    __slots__ = (
        "_asked", "_asked_of", "_before", "_by_id", "_cycle", "_epoch_s", "_given", "_graves",
        "_held", "_holds", "_limit", "_me", "_norms", "_others", "_passed", "_schema", "_seal",
        "_seed", "_shunned", "_verified",
    )  # fmt: skip

    def __init__(
        self,
        me: PeerId,
        seed: bytes,
        limit: int,
        schema: bytes,
        cycle: int,
        seal: Seal,
        epoch_s: float,
    ) -> None:
        self._me = me
        self._seed = seed
        self._limit = limit
        self._schema = schema
        self._cycle = cycle
        self._seal = seal
        self._epoch_s = epoch_s
        self._held: dict[Key, Held] = {}
        self._by_id: dict[bytes, Antigen] = {}
        self._holds = b""
        self._others: tuple[Antigen, ...] | None = ()
        self._norms: tuple[Antigen, ...] | None = ()
        self._passed: dict[bytes, None] = {}
        self._shunned: dict[PeerId, None] = {}
        self._graves: dict[Key, Held] = {}  # tombstones for which there was no room
        # Whom an id was asked of, in this cycle and in the one before; None once answered.
        self._asked: dict[bytes, PeerId | None] = {}
        self._before: dict[bytes, PeerId | None] = {}
        self._asked_of: dict[PeerId, int] = {}
        self._given: dict[PeerId, int] = {}
        self._verified = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def holds(self) -> bytes:
        """The ids of all that is held, revocations among it, sorted: equal if the same is held."""
        return self._holds

    @property
    def antigens(self) -> tuple[Antigen, ...]:
        """All that stand of families, our own among them, by family and origin."""
        return tuple(a for a in self._sorted() if not a.revokes and not a.is_norm)

    @property
    def others(self) -> tuple[Antigen, ...]:
        """Those of families, of other peers, by family and origin."""
        if self._others is None:
            self._others = tuple(a for a in self.antigens if a.origin != self._me)
        return self._others

    @property
    def norms(self) -> tuple[Antigen, ...]:
        """All norms that stand, our own among them, by origin; the same until that changes."""
        if self._norms is None:
            self._norms = tuple(a for a in self._sorted() if not a.revokes and a.is_norm)
        return self._norms

    @property
    def kept(self) -> tuple[Antigen, ...]:
        """All that is held, by family and origin, and then every revocation kept in mind.

        For `restore`. At most `PASSED_MAX` are not held.
        """
        return *self._sorted(), *(grave.antigen for grave in self._graves.values())

    def _sorted(self) -> tuple[Antigen, ...]:
        return tuple(h.antigen for _, h in sorted(self._held.items()))

    def restore(self, kept: Iterable[Antigen], now_us: int) -> None:
        """Hold again what an earlier life `kept`, but for what has ended or does not verify."""
        now_s = self._now_s(now_us)
        for antigen in kept:
            held = self._candidate(antigen)
            why = self._unfit(held, now_s)
            if why not in {"", _CROWDED} or not self._verifies(antigen):
                continue
            if not why:
                self._store(held)
            elif antigen.revokes:
                self._bury(held)

    def shun(self, peers: Iterable[PeerId]) -> None:
        """Hold nothing that these peers made, nor what revokes it; and again what others made."""
        self._shunned = dict.fromkeys(peers)
        self._passed.clear()  # one that may come in again has perhaps been passed over
        for key in [key for key in self._graves if key[1] in self._shunned]:
            del self._graves[key]
        self._drop([held for held in self._held.values() if held.key[1] in self._shunned])

    def begin_cycle(self, cycle: int, now_us: int) -> None:
        """Forget what has expired; ask anew for what did not come."""
        self._cycle = cycle
        self._verified = 0
        self._before, self._asked = self._asked, {}
        self._asked_of.clear()
        self._given.clear()
        now_s = self._now_s(now_us)
        for grave in [g for g in self._graves.values() if not is_live(g.antigen, now_s)]:
            del self._graves[grave.key]
        ended = [h for h in self._held.values() if not is_live(h.antigen, now_s)]
        if ended:
            # What had no room before may have it now.
            self._passed.clear()
            self._drop(ended)

    # Asking and answering

    def hear(self, sender: PeerId, message: Have | Want | Give, now_us: int) -> Heard:
        """A message came.

        Raises:
            RemoteError: a signature is not its origin's. Nothing of the message is held then.
        """
        match message:
            case Have(ids):
                unknown = b"" if ids == self._holds else self._unknown(sender, ids)
                return Heard((Want(unknown),)) if unknown else _NOTHING
            case Want(ids):
                given = self._wanted(sender, ids)
                parts = range(0, len(given), GIVEN_AT_ONCE)
                return Heard(tuple(Give(tuple(given[i : i + GIVEN_AT_ONCE])) for i in parts))
            case Give(antigens):
                return self._take(sender, antigens, self._now_s(now_us))

    def beyond(self, holds: bytes) -> bytes:
        """The ids held here that are not among those that another peer holds.

        It is told when its model comes. Without that, who is seldom chosen as a neighbour waited
        long: of 128 peers 2 % still lacked a new antigen four cycles after the others had it.
        """
        if holds == self._holds:
            return b""
        theirs = frozenset(_split(holds))
        return b"".join(each for each in _split(self._holds) if each not in theirs)

    def _unknown(self, sender: PeerId, ids: bytes) -> bytes:
        """Of the ids that a peer says it holds those to ask it for now; they count as asked for.

        An id is asked for once in a cycle, whoever else holds it: no antigen travels twice to us.
        """
        asked = self._asked_of.get(sender, 0)
        most = min(ASKED_OF_ONE_MAX - asked, ASKED_MAX - len(self._asked))
        found: list[bytes] = []
        for each in _split(ids):
            if len(found) >= most:
                break
            if each in self._by_id or each in self._passed or each in self._asked:
                continue
            self._asked[each] = sender
            found.append(each)
        if found:
            self._asked_of[sender] = asked + len(found)
        return b"".join(found)

    def _wanted(self, sender: PeerId, ids: bytes) -> list[Antigen]:
        """Those held of the ids that a peer wants, as far as the bounds of this cycle allow."""
        given = self._given.get(sender, 0)
        most = min(GIVEN_TO_ONE_MAX - given, GIVEN_MAX - sum(self._given.values()))
        wanted = dict.fromkeys(_split(ids))
        found = [self._by_id[each] for each in wanted if each in self._by_id][: max(0, most)]
        if found:
            self._given[sender] = given + len(found)
        return found

    # Storing

    def present(self, antigen: Antigen, now_us: int) -> str:
        """Hold one of our own. Why not, where it adds nothing; else empty.

        Raises:
            ValueError: others would refuse it, and take us for hostile.
        """
        if antigen.origin != self._me:
            raise ValueError(f"{self._me} presents an antigen by {antigen.origin}")
        try:
            check(antigen)
        except RemoteError as error:
            raise ValueError(f"what is presented breaks a bound: {error}") from None
        if not self._verifies(antigen):
            raise ValueError("what is presented bears no signature of ours for these features")
        held = self._candidate(antigen)
        why = self._unfit(held, self._now_s(now_us))
        if not why:
            self._store(held)
        return why

    def _take(self, sender: PeerId, antigens: Iterable[Antigen], now_s: float) -> Heard:
        """Hold what came from a peer, as far as we asked it for that and it fits."""
        shed = ""
        fit: list[Held] = []
        for antigen in antigens:
            held = self._candidate(antigen)
            if not self._awaited(sender, held.id):
                shed = "an antigen that nobody asked for"
            elif why := self._unfit(held, now_s):
                if held.id not in self._by_id and why != _HASTY:
                    self._pass_over(held.id)
                shed = why
            elif self._verified >= VERIFIED_MAX:
                shed = "more antigens in one cycle than allowed"
            else:
                self._verified += 1
                if not self._verifies(antigen):
                    name = f"{antigen.family} by {antigen.origin}"
                    raise RemoteError(f"antigen: the signature of {name} is not its origin's")
                fit.append(held)
        new: list[Antigen] = []
        for held in fit:
            if why := self._unfit(held, now_s):  # of those in one message one may be in the way
                shed = why
            else:
                self._store(held)
                new.append(held.antigen)
        # One that had to make room for another of the same message is not ours to tell of.
        return Heard((), tuple(a for a in new if a.id in self._by_id), shed)

    def _verifies(self, antigen: Antigen) -> bool:
        return verified(antigen, self._schema, self._seal)

    def _now_s(self, now_us: int) -> float:
        return self._epoch_s + now_us / 1e6

    def _candidate(self, antigen: Antigen) -> Held:
        name = f"{self._me}\0{antigen.family}\0{antigen.origin}"
        rank = draw(self._seed, name, 0, Purpose.IMMUNITY)
        return Held(antigen, antigen.id, rank, self._cycle)

    def _awaited(self, sender: PeerId, wanted: bytes) -> bool:
        """Whether we asked this peer for it; from now on it counts as answered."""
        for asked in (self._asked, self._before):
            if asked.get(wanted) == sender:
                asked[wanted] = None
                return True
        return False

    def _unfit(self, new: Held, now_s: float) -> str:
        """Why it cannot be held, whoever signed it; empty if it can."""
        live = is_live(new.antigen, now_s)
        if not live or new.antigen.origin in self._shunned:
            return f"an antigen {'of a peer that is kept out' if live else 'that is not live'}"
        old = self._held.get(new.key)
        if old is None:
            grave = self._graves.get(new.key)
            if grave is not None and grave.age >= new.age and new.id != grave.id:
                return "an antigen that its origin has revoked"
            return "" if self._leaving(new) is not None else _CROWDED
        if old.age >= new.age:
            return "an antigen no newer than what is held"
        revokes = new.antigen.revokes and not old.antigen.revokes
        if old.cycle == self._cycle and not revokes and new.antigen.origin != self._me:
            return _HASTY
        return ""

    def _store(self, new: Held) -> None:
        old = self._held.get(new.key)
        leaving = [old] if old is not None else self._leaving(new) or []
        for held in leaving:
            if held.antigen.revokes and held is not old:
                self._bury(held)
        self._drop(leaving)
        if new.antigen.revokes:
            self._graves.pop(new.key, None)
        self._held[new.key] = new
        self._by_id[new.id] = new.antigen
        self._passed.pop(new.id, None)
        self._renew()

    def _leaving(self, new: Held) -> list[Held] | None:
        """Who makes room for one of an origin and family not held yet; None if there is no room."""
        family, origin = new.key
        bounds: tuple[tuple[int, str | None, PeerId | None], ...] = (
            (FAMILIES_MAX, None, origin),
            (ORIGINS_MAX, family, None),
            (self._limit, None, None),
        )
        if new.antigen.is_norm:
            bounds = ((NORMS_MAX, None, None),)
        leaving: list[Held] = []
        for most, of_family, of_origin in bounds:
            crowd = [
                held
                for held in (*self._held.values(), new)
                if held.antigen.is_norm == new.antigen.is_norm
                and of_family in (None, held.antigen.family)
                and of_origin in (None, held.antigen.origin)
                and held not in leaving
            ]
            if len(crowd) <= most:
                continue
            # An origin's first before any other's second: else who names eight families has
            # eight times the share. Within one origin or family it makes no difference.
            place = _places(crowd)
            able = [held for held in crowd if held.antigen.origin != self._me]
            last = max(able, key=lambda held: (place[held.id], held.rank), default=new)
            if last is new:
                return None
            leaving.append(last)
        return leaving

    def _drop(self, leaving: Iterable[Held]) -> None:
        for held in leaving:
            del self._held[held.key]
            del self._by_id[held.id]
            self._pass_over(held.id)
        self._renew()

    def _bury(self, tombstone: Held) -> None:
        """Keep a revocation in mind; of too many those of the highest rank are forgotten."""
        self._graves[tombstone.key] = tombstone
        if len(self._graves) > PASSED_MAX:
            del self._graves[max(self._graves.values(), key=lambda grave: grave.rank).key]

    def _pass_over(self, known: bytes) -> None:
        if known not in self._passed and len(self._passed) >= PASSED_MAX:
            del self._passed[next(iter(self._passed))]
        self._passed[known] = None

    def _renew(self) -> None:
        self._holds = b"".join(sorted(self._by_id))
        self._others = None
        self._norms = None


_NOTHING = Heard()

_CROWDED = "an antigen for which there is no room"

_HASTY = "an antigen renewed twice in one cycle"
"""Only the first is taken, so that an origin cannot make the mesh carry one family without end;
the other is asked for again in the next cycle."""


def _places(crowd: Iterable[Held]) -> dict[bytes, int]:
    """For each id how many of its origin's have a lower rank."""
    place: dict[bytes, int] = {}
    seen: dict[PeerId, int] = {}
    for held in sorted(crowd, key=lambda each: each.rank):
        origin = held.antigen.origin
        place[held.id] = seen.get(origin, 0)
        seen[origin] = place[held.id] + 1
    return place


def _split(ids: bytes) -> list[bytes]:
    return [ids[i : i + ID_BYTES] for i in range(0, len(ids), ID_BYTES)]
