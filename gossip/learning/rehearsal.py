"""Which of others' antigens a peer learns from, and the rows that it draws from them.

Generative rehearsal (Robins 1995; Shin et al., NeurIPS 2017), with what others have seen in place
of one's own past.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import Antigen
from gossip.draws import Purpose, draw, generator
from gossip.errors import RemoteError
from gossip.learning.calibration import BUDGET
from gossip.learning.mixture import Floats, Mixture
from gossip.learning.tolerance import (
    VOUCHED_MAX,
    Benign,
    Cost,
    State,
    Verdict,
    cost_of,
    counted,
    material_change,
    some,
    tolerable,
)
from gossip.learning.total import Total

ANTIGENS_MAX = 512
"""Looked at in one review, in the order given: bounds the work (3 ms each, once)."""

EVIDENCE_COUNTED = 512
"""Evidence beyond this counts no more; what a gateway holds of one family at most. An origin may
claim any number."""

BALANCE = 0.5
"""An origin's share of a family's draws grows with its evidence to this power, as a family's share
of a gateway's own labelled rows does (`SampleConfig.balance`)."""

ORIGIN_SHARE_MAX = 0.5
"""Of a family's draws, where there are several origins. Our choice: no single one decides."""

KNOWN_SHARE = 0.25
"""Of the draws go to families that the peer has rows of its own of, where there are others too;
else all do. What others have seen of a family is seldom quite what one has seen oneself. Measured,
mean F1 of the worst peer without it and with it: 0.92 and 0.97 on eight hosts of malware captures,
0.93 and 0.95 on ten N-BaIoT devices (tuning seeds 100 to 104); on NSL-KDD a quarter does no harm,
where equal shares are a little slower."""

_WITHIN = frozenset({State.USED, State.KNOWN, State.PART})
"""Nobody's word released these."""

_NO_ROWS = np.zeros((0, 0), np.float32)


@dataclass(slots=True)
class _Known:
    """What is remembered of one antigen: what it says, what it costs, and who says the same."""

    mixture: Mixture
    cost: Cost | None
    dear: bool  # beyond the budget
    alarms: int = 0  # a bit for each benign row held out, set where it would alarm
    part: Mixture | None = None  # of a dear one, the components that are within it
    part_alarms: int = 0
    agrees: dict[bytes, bool] = field(default_factory=dict)


class Rehearsal:
    """One peer's view of others' antigens.

    What it decides follows from the last `review`'s arguments alone, unless benign rows change a
    little from one review to the next: then the measurements of before are kept.

    Args:
        features: columns of a row.
        seed: of the draws; secret in a live node, so that nobody can foresee what is drawn.
        peer: this peer's id.
        budget: share of benign rows that an antigen may make alarm; kept as an attribute.
    """

    def __init__(self, features: int, seed: bytes, peer: str, budget: float = BUDGET) -> None:
        self._features = features
        self._seed = seed
        self._peer = peer
        self.budget = budget
        self._held: Floats = _NO_ROWS
        self._train: Floats = _NO_ROWS
        self._benign: Benign | None = None
        self._known: dict[bytes, _Known] = {}
        self._verdicts: dict[bytes, Verdict] = {}
        self._used: dict[str, list[tuple[Antigen, Mixture]]] = {}
        self._lacked: NDArray[np.int64] = np.zeros(0, np.int64)
        self._having: NDArray[np.int64] = np.zeros(0, np.int64)

    @property
    def verdicts(self) -> Mapping[bytes, Verdict]:
        """Of each antigen of the last review, by its id."""
        return MappingProxyType(self._verdicts)

    @property
    def names(self) -> tuple[str, ...]:
        """Families that are rehearsed, sorted."""
        return tuple(self._used)

    def tolerated(self) -> list[tuple[Antigen, Mixture]]:
        """Antigens in use that cost this peer's own benign rows no more than the budget.

        Nobody's word releases them, so they are evidence of what an attack is.
        """
        return [
            (antigen, mixture)
            for told in self._used.values()
            for antigen, mixture in told
            if self._verdicts[antigen.id].state in _WITHIN
        ]

    @property
    def drawn_from(self) -> list[tuple[Antigen, float]]:
        """Antigens in use, each with its share of its family's draws."""
        found: list[tuple[Antigen, float]] = []
        for told in self._used.values():
            used = [antigen for antigen, _ in told]
            found += zip(used, _shares(used).tolist(), strict=True)
        return found

    @property
    def benign(self) -> Benign | None:
        """This peer's benign rows, as antigens are measured by them; None while there are few."""
        return self._benign

    def tolerates(self, mixture: Mixture) -> bool:
        """Whether what this describes would cost no more than the budget."""
        if self._benign is None:
            return False
        rng = self._rng(f"own {mixture.pack().hex()}")
        return not self._benign.cost(counted(mixture), rng).exceeds(self.budget)

    def review(
        self,
        antigens: Sequence[Antigen],
        benign_train: Floats,
        benign_held: Floats,
        own_families: Collection[str],
        approved: Collection[bytes] = (),
    ) -> None:
        """Decide of each antigen whether to learn from it.

        Measured once each, and again where benign rows changed (see `material_change`). Those in
        use may cost no more than the budget all together; who costs less by itself comes first
        (see `Total`).

        Args:
            antigens: of others, checked, verified and live; revoking ones are passed over.
            benign_train: own benign rows to learn from, unscaled float32 `(n, features)`.
            benign_held: own benign rows that nothing was trained on; the arrays are kept, so they
                must not be written to afterwards.
            own_families: those of which this peer has rows enough of its own (`EVIDENCE_MIN`); they
                are learnt from antigens less than others.
            approved: ids that an operator released.
        """
        self._learn(benign_train, benign_held)
        told = [each for each in antigens[:ANTIGENS_MAX] if not each.revokes]
        told.sort(key=lambda each: (each.family, each.origin, each.id))
        self._verdicts = {
            each.id: Verdict(State.WAITING, None, f"more than {ANTIGENS_MAX} are held")
            for each in antigens[ANTIGENS_MAX:]
        }
        known: dict[bytes, _Known] = {}
        for each in told:
            found = self._known.get(each.id) or self._measured(each)
            if found is not None:
                known[each.id] = found
        self._known = known
        self._used = {}
        total = Total(self.budget, 0 if self._benign is None else self._benign.rows)
        for each in sorted(told, key=self._place):
            self._verdicts[each.id] = self._judged(each, told, own_families, approved, total)
        for each in told:
            if self._verdicts[each.id].state.rehearsed:
                self._used.setdefault(each.family, []).append((each, self._taken(each.id)))
        having = np.array([name in own_families for name in self._used], np.bool_)
        self._lacked, self._having = np.flatnonzero(~having), np.flatnonzero(having)

    def draw(
        self, cycle: int, steps: int, rows: int
    ) -> tuple[Floats, tuple[str, ...], NDArray[np.int64]] | None:
        """Rows of the families in use; None without any.

        Between families that this peer lacks and those that it knows see `KNOWN_SHARE`; among
        either kind see `_weights`. The same for the same seed, peer, cycle and antigens in use.

        Returns:
            Rows, unscaled float32 `(steps, rows, features)`; the families' names, sorted; and each
            row's place among them, int64 `(steps, rows)`.
        """
        if not self._used:
            return None
        rng = generator(self._seed, self._peer, cycle, Purpose.REHEARSAL)
        index = self._families(rng, (steps, rows))
        x = np.empty((steps, rows, self._features), np.float32)
        for number, told in enumerate(self._used.values()):
            places = np.argwhere(index == number)
            which = rng.choice(len(told), size=len(places), p=_shares([a for a, _ in told]))
            for origin, (_, mixture) in enumerate(told):
                own = places[which == origin]
                x[own[:, 0], own[:, 1]] = mixture.draw(len(own), rng)
        return x, self.names, index

    def _families(self, rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.int64]:
        """The family that each row is drawn from, as a place among the names."""
        groups = [each for each in (self._lacked, self._having) if len(each)]
        drawn = [rng.choice(each, size, p=self._weights(each)) for each in groups]
        if len(groups) == 1:
            return drawn[0]
        return np.where(rng.random(size) < KNOWN_SHARE, drawn[1], drawn[0])

    def _weights(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Shares of these families in the draws, float64 `(len(places),)`.

        A family has the weight of the origin that speaks of it and of the fewest others: each
        origin's word counts as one, and eight junk families for no more than one. Equal shares
        were measured beside it on NSL-KDD, 8 of 32 peers hostile with 8 junk families each
        (warezclient at tuning seeds 100 to 102 and smurf at 100, found elsewhere after ten
        cycles): 0.75 with equal shares, 0.82 with these; without hostile peers 0.85 and 0.87.
        """
        told = list(self._used.values())
        origins = [{antigen.origin for antigen, _ in told[place]} for place in places]
        many = Counter(origin for each in origins for origin in each)
        weight = np.array([max(1.0 / many[origin] for origin in each) for each in origins])
        shares: NDArray[np.float64] = weight / weight.sum()
        return shares

    def _learn(self, train: Floats, held: Floats) -> None:
        if not material_change(self._train, train) and not material_change(self._held, held):
            return
        self._train, self._held = train, held
        self._known = {}
        try:
            self._benign = Benign(train, held, self._rng("benign"))
        except ValueError:
            self._benign = None

    def _rng(self, about: str) -> np.random.Generator:
        return generator(self._seed, f"{self._peer}\0{about}", 0, Purpose.REHEARSAL)

    def _taken(self, antigen: bytes) -> Mixture:
        """What is learnt from of one that is used."""
        known = self._known[antigen]
        if self._verdicts[antigen].state is State.PART and known.part is not None:
            return known.part
        return known.mixture

    def _measured(self, antigen: Antigen) -> _Known | None:
        try:
            mixture = counted(Mixture.unpack(antigen.description, self._features))
        except RemoteError:
            return None
        if self._benign is None:
            return _Known(mixture, None, dear=True)
        alarms = self._benign.alarms(mixture, self._rng(antigen.id.hex()))
        cost = cost_of(alarms)
        if not cost.exceeds(self.budget):
            return _Known(mixture, cost, dear=False, alarms=_bits(alarms))
        left = tolerable(mixture, alarms, self.budget)
        part = some(mixture, left) if len(left) else None
        return _Known(mixture, cost, True, _bits(alarms), part, _bits(alarms[left]))

    def _place(self, antigen: Antigen) -> tuple[int, int]:
        """Where its turn is: the cheaper the earlier, and by a secret draw where costs are equal.

        Neither the time nor the serial counts: both are the origin's word.
        """
        known = self._known.get(antigen.id)
        hits = 0 if known is None or known.cost is None else known.cost.hits
        about = f"{self._peer}\0{antigen.id.hex()}"
        return hits, draw(self._seed, about, 0, Purpose.REHEARSAL)

    def _judged(
        self,
        antigen: Antigen,
        told: Sequence[Antigen],
        own_families: Collection[str],
        approved: Collection[bytes],
        total: Total,
    ) -> Verdict:
        known = self._known.get(antigen.id)
        if known is None:
            return Verdict(State.QUARANTINED, None, "its description is damaged")
        cost = known.cost
        share = None if cost is None else cost.share
        if cost is None:
            against = "this peer has too few benign rows to measure it by"
        elif known.dear:
            against = f"would make {_words(cost)} alarm; {self._limit}"
        elif total.takes(known.alarms):
            if antigen.family in own_families:
                return Verdict(State.KNOWN, share, f"beside rows of its own; costs {_words(cost)}")
            return Verdict(State.USED, share, f"costs {_words(cost)}")
        else:
            both = _words(total.with_(known.alarms))
            against = f"with those in use it would make {both} alarm; {self._limit}"
        if antigen.id in approved:
            return Verdict(State.APPROVED, share, f"{against}, but the operator released it")
        return self._refused(antigen, known, told, total, against)

    def _refused(
        self,
        antigen: Antigen,
        known: _Known,
        told: Sequence[Antigen],
        total: Total,
        against: str,
    ) -> Verdict:
        """Of one that speaks against it: used whole on others' word, or in part, or not."""
        share = None if known.cost is None else known.cost.share
        vouching = self._vouching(antigen, told) if share is not None and share < VOUCHED_MAX else 0
        if vouching and total.takes_vouched(known.alarms):
            return Verdict(
                State.VOUCHED, share, f"{against}, but other origins that say the same: {vouching}"
            )
        if known.part is not None and total.takes(known.part_alarms):
            left, every = len(known.part.shares), len(known.mixture.shares)
            return Verdict(State.PART, share, f"{against}; {left} of its {every} parts would not")
        return Verdict(State.QUARANTINED, share, against)

    @property
    def _limit(self) -> str:
        return f"the budget is {100 * self.budget:g} %"

    def _vouching(self, antigen: Antigen, told: Sequence[Antigen]) -> int:
        """Other origins that describe the family alike."""
        return len(
            {
                other.origin
                for other in told
                if other.family == antigen.family
                and other.origin != antigen.origin
                and self._agree(antigen.id, other.id)
            }
        )

    def _agree(self, one: bytes, other: bytes) -> bool:
        a, b = self._known.get(min(one, other)), self._known.get(max(one, other))
        if a is None or b is None or self._benign is None:
            return False
        if max(one, other) not in a.agrees:
            rng = self._rng(f"{min(one, other).hex()} {max(one, other).hex()}")
            a.agrees[max(one, other)] = self._benign.agree(a.mixture, b.mixture, rng)
        return a.agrees[max(one, other)]


def _bits(alarms: NDArray[np.bool_]) -> int:
    """A bit for each row that any component `(k, n)` makes alarm."""
    return int.from_bytes(np.packbits(alarms.any(axis=0)).tobytes(), "big")


def _words(cost: Cost) -> str:
    return f"{cost.hits} of {cost.rows} benign rows ({100 * cost.share:.1f} %)"


def _shares(told: Sequence[Antigen]) -> NDArray[np.float64]:
    """Each antigen's share of its family's draws, float64 `(n,)`."""
    counted = [min(each.evidence, EVIDENCE_COUNTED) for each in told]
    weight = np.array(counted, np.float64) ** BALANCE
    shares: NDArray[np.float64] = weight / weight.sum()
    top = int(shares.argmax())
    if len(told) > 1 and shares[top] > ORIGIN_SHARE_MAX:
        shares *= (1.0 - ORIGIN_SHARE_MAX) / (1.0 - shares[top])
        shares[top] = ORIGIN_SHARE_MAX
    shares /= shares.sum()
    return shares
