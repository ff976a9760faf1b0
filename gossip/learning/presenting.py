"""When a peer tells others of a family of attacks that it has rows of: one rule for all drivers.

A node and a simulated peer ask the same, so that a simulation shows what a node does.
"""

from collections.abc import Callable, Iterable

from gossip.antigens import EVIDENCE_MIN, Antigen, is_live
from gossip.contacts import PeerId
from gossip.draws import Purpose, generator
from gossip.errors import RemoteError
from gossip.immunity import ORIGINS_MAX
from gossip.learning.mixture import Floats, Mixture
from gossip.learning.scaling import Scaler
from gossip.learning.tolerance import AGREEING, DRAWS, Likeness
from gossip.records import record

ORIGINS_ENOUGH = ORIGINS_MAX
"""Other origins that describe a family when one more would tell nobody anything: as many as a peer
holds."""

GROWTH = 2
"""A new antigen is made of so many times the rows of the last one. Our choice: means settle with
the root of the rows, and one more frame must be worth its bytes."""

KIN_MIN = 0.05
"""Share of an antigen's draws that must look like a peer's own rows, besides the other way round:
a description so wide that everything looks like it describes nothing. Small, because its origin may
have seen more kinds of the family."""

_SEEN_MAX = 256
"""Antigens that a `Witness` keeps an answer for; four times as many as a peer holds."""


@record
class Said:
    """What a peer said of a family before.

    Args:
        evidence: rows that it was made of.
        created_s: seconds since 1970.
        expires_s: seconds since 1970.
    """

    evidence: int
    created_s: float
    expires_s: float

    def is_young(self, now_s: float) -> bool:
        """Whether less than half its life is over; not where a clock was set back before it."""
        return self.created_s <= now_s < (self.created_s + self.expires_s) / 2


def has_news(
    count: int, said: Iterable[Said], now_s: float, evidence_min: int = EVIDENCE_MIN
) -> bool:
    """Whether a peer has something to say of a family that it has not said lately.

    Enough rows, and of these `GROWTH` times as many as it ever said, or nothing said that is young.

    Args:
        count: rows that it has of the family.
        said: what it said before.
        now_s: seconds since 1970.
        evidence_min: rows without which it says nothing.
    """
    if count < evidence_min:
        return False
    before = tuple(said)
    grown = count >= GROWTH * max((each.evidence for each in before), default=0)
    return grown or not any(each.is_young(now_s) for each in before)


def is_due(
    family: str,
    count: int,
    held: Iterable[Antigen],
    me: PeerId,
    now_s: float,
    same: Callable[[Antigen], bool],
    said: Iterable[Said] = (),
    evidence_min: int = EVIDENCE_MIN,
) -> bool:
    """Whether a peer presents an antigen of a family now.

    It does where it `has_news`, unless `ORIGINS_ENOUGH` others say the same. What others say
    falsely must not keep an honest witness silent, so `same` looks at what they say.

    Args:
        family: of the rows.
        count: rows that the peer has of it.
        held: all antigens that the peer holds, its own among them.
        me: the peer.
        now_s: seconds since 1970.
        same: whether another's antigen of the family describes these rows; asked only where all
            else speaks for presenting, so it may take its time. See `Witness`.
        said: what the peer said of the family before and may hold no longer.
        evidence_min: rows without which it says nothing.
    """
    told = [
        each for each in held if each.family == family and is_live(each, now_s) and not each.revokes
    ]
    own = [Said(a.evidence, a.created_s, a.expires_s) for a in told if a.origin == me]
    if not has_news(count, (*own, *said), now_s, evidence_min):
        return False
    others = [each for each in told if each.origin != me]
    return len(others) < ORIGINS_ENOUGH or sum(map(same, others)) < ORIGINS_ENOUGH


class Witness:
    """Whether others' antigens describe what a peer has seen, by its own rows.

    The same for the same seed, peer, antigen, rows and scaler; an answer is kept as long as the
    number of rows stays.

    Args:
        seed: of the draws; secret in a live node.
        peer: whose rows these are.
    """

    __slots__ = ("_peer", "_seed", "_seen")

    def __init__(self, seed: bytes, peer: PeerId) -> None:
        self._seed = seed
        self._peer = peer
        self._seen: dict[bytes, tuple[int, bool]] = {}

    def same(self, other: Antigen, rows: Floats, scaler: Scaler) -> bool:
        """Whether at least `AGREEING` of a family's rows look like what another says of it.

        And `KIN_MIN` of what it says look like these rows.

        Args:
            other: of the same family.
            rows: the peer's own of the family, unscaled float32 `(n, features)`, n at least
                `EVIDENCE_MIN`.
            scaler: of the peer.
        """
        known = other.id
        found = self._seen.get(known)
        if found is not None and found[0] == len(rows):
            return found[1]
        if found is None and len(self._seen) >= _SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        answer = self._looked_at(other, known, rows, scaler)
        self._seen[known] = len(rows), answer
        return answer

    def _looked_at(self, other: Antigen, known: bytes, rows: Floats, scaler: Scaler) -> bool:
        try:
            told = Mixture.unpack(other.description, rows.shape[1])
        except RemoteError:
            return False
        rng = generator(self._seed, f"{self._peer}\0{known.hex()}", 0, Purpose.ROWS)
        if Likeness(told, scaler, rng).share(rows) < AGREEING:
            return False
        own = Likeness(Mixture.fit(rows, rng), scaler, rng)
        return own.share(told.draw(DRAWS, rng)) >= KIN_MIN
