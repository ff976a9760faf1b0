"""What using an antigen would cost: the false alarms among a peer's own benign rows.

An antigen that looks like benign traffic would make a gateway cry wolf. So each is held against
benign rows that the gateway kept apart: those that look more like what the antigen describes than
like the gateway's own benign rows, by at least as much as what the antigen describes does itself,
would alarm. Where they are too many, it is not used.

"Looks like" is the log density under a mixture in the peer's scaled features; spreads below a few
scaled units count as these, so that a mixture which fits its own few rows too well proves nothing.
Each component is measured by itself, so that a benign one does not hide behind others. Measured on
NSL-KDD and the recordings, see docs/immunity.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gossip.learning.beta import clopper_pearson
from gossip.learning.mixture import Floats, Mixture, Numbers
from gossip.learning.scaling import ROWS_MIN, SPREAD_MIN, Scaler

HELD_MIN = 20
"""Benign rows held out, and to learn from, without which nothing can be said. With a cost of 5 %
that vouching releases at most, 20 rows still show two false alarms in a quarter of all cases."""

ROWS_MAX = 1_024
"""Rows looked at, of each of the two kinds: bounds the work."""

COMPONENTS = 8
"""Of the mixture of own benign rows. Measured on NSL-KDD (tuning seed 100): 2, 4 and 8 are alike;
with 32 a mimic of everybody's benign traffic passed at 0.94 of peers instead of 0.75."""

SPREAD = 1.0
"""Smallest spread in a density, in scaled units, where `Likeness` asks what looks like what.
Measured on NSL-KDD (tuning seed 100), where it served for costs, too: 0.94 of the mimics pass with
0.1, 0.38 with 0.5, 0.22 with 1; true antigens pass with all of them."""

COST_SPREAD = 3.0
"""The same where it is asked what an antigen would cost. Wide, for then it counts how far rows are
from what is described and from what is usual, and what a mimic widens counts little. With 1,
`COST_RECALL` 0.95 and `DRAWN_SPREAD` 0.25, 0.70 of the mimics of a gateway's own traffic with
spreads three times as wide are refused, and 0.039 of true antigens of warezclient; as it is 0.88
and 0.028 (`benchmarks/tolerance.py`, NSL-KDD, tuning seeds 100 to 103, 1 %; docs/immunity.md)."""

RECALL = 0.95
"""Share of what is described that looks like it, see `Likeness`."""

USUAL = 0.9
"""Share of own benign rows that look usual. Measured on the hospital's and the factory's
recordings: 0.86 of benign flows look so while attacks run, of floods, scans and exfiltration none,
of password guessing 0.02 and 0.07."""

COST_RECALL = 0.7
"""Share of what a component describes that would have to alarm. Measured as above with 0.95, 0.9,
0.7, 0.6 and 0.5: with 0.6 mimics of a small part of a gateway's own traffic pass at 0.35 of
gateways instead of 0.13, with 0.95 twice as many true antigens are refused."""

DRAWS = 128
"""Of each component; the quantiles are then of the sixth and the 39th lowest score."""

DRAWN_SPREAD = 1.0
"""Smallest spread of the draws that are measured by, in scaled units: a network that is taught a
point learns its neighbourhood. With 0.25 instead 0.73 of the means of gateways' own traffic and
0.59 of single rows of it are refused, with 1 0.93 and 0.76."""

SHARE_MIN = 0.02
"""A component of a smaller share is neither measured nor drawn from, see `counted`."""

PART_MIN = 0.5
"""Share of what an antigen describes that must be tolerable, or nothing of it is used."""

CONFIDENCE = 0.9
"""Of the two-sided interval of the cost; its lower end is above the budget with 95 % confidence
before an antigen is refused, for with few rows one benign flow that looks odd is 1 % of them."""

HITS_MIN = 2
"""A single benign row proves nothing: it may be an attack that nobody noticed."""

VOUCHED_MAX = 0.05
"""Estimated cost up to which others may vouch for an antigen. Peer ids cost nothing, so "two
origins" may be one person; what would cry wolf at more than this only an operator releases."""

AGREEING = 0.5
"""Share of one's draws that must look like the other's. Our choice."""


class State(Enum):
    """What a peer does with an antigen. The value is what status and logs show."""

    USED = "used"
    VOUCHED = "vouched"  # costs more than the budget, but other origins say the same
    APPROVED = "approved"  # costs more than the budget; an operator said so
    KNOWN = "known"  # used, beside rows of this peer's own
    PART = "part"  # used without those of its components that cost more than the budget
    QUARANTINED = "quarantined"
    WAITING = "waiting"  # beyond what is looked at

    @property
    def rehearsed(self) -> bool:
        """Whether draws from it are trained on."""
        return self not in {State.QUARANTINED, State.WAITING}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a peer decided of one antigen.

    Args:
        state: see `State`.
        false_alarms: estimated share of own benign rows that would alarm; None: not measured.
        reason: for people.
    """

    state: State
    false_alarms: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Of so many benign rows held out, so many would alarm."""

    hits: int
    rows: int

    @property
    def share(self) -> float:
        """The estimate."""
        return self.hits / self.rows

    def exceeds(self, budget: float) -> bool:
        """Whether it is more than the budget, with confidence; see `CONFIDENCE`, `HITS_MIN`."""
        if self.hits < HITS_MIN:
            return False
        return _least(self.hits, self.rows) > budget


@lru_cache(maxsize=4_096)
def _least(hits: int, rows: int) -> float:
    """An interval takes milliseconds, and a review asks for the same few again and again."""
    return clopper_pearson(hits, rows, CONFIDENCE)[0]


class Likeness:
    """What looks like an antigen: what is as likely under it as `RECALL` of its own draws.

    Args:
        antigen: unscaled.
        scaler: of whoever looks.
        rng: of the draws.
    """

    def __init__(self, antigen: Mixture, scaler: Scaler, rng: np.random.Generator) -> None:
        self._scaler = scaler
        self._antigen = _through(antigen, scaler)
        own = self._antigen.log_density(scaler(antigen.draw(DRAWS, rng)), SPREAD)
        self._least = np.quantile(own, 1.0 - RECALL)

    def share(self, rows: Floats) -> float:
        """Of these rows, unscaled float32 `(n, features)`, how many look like it."""
        found = self._antigen.log_density(self._scaler(rows), SPREAD)
        return float((found >= self._least).mean())


class Benign:
    """A peer's own benign rows, as antigens are measured by them.

    Args:
        train: to learn what benign rows look like, unscaled float32 `(n, features)`.
        held: to measure by; nothing was trained on them.
        rng: chooses rows and the first centres.

    Raises:
        ValueError: fewer than `HELD_MIN` rows of a kind.
    """

    def __init__(self, train: Floats, held: Floats, rng: np.random.Generator) -> None:
        if min(len(train), len(held)) < HELD_MIN:
            raise ValueError(f"{len(train)} and {len(held)} benign rows; {HELD_MIN} are needed")
        train, held = (_some(rows, rng) for rows in (train, held))
        self._scaler = _scaler(train)
        self._own = Mixture.fit(self._scaler(train), rng, COMPONENTS)
        self._held = self._scaler(held)
        self._usual = self._own.log_density(self._held, COST_SPREAD)
        self._least = np.quantile(self._own.log_density(self._held, SPREAD), 1.0 - USUAL)

    @property
    def rows(self) -> int:
        """How many are held out to measure by, at most `ROWS_MAX`."""
        return len(self._held)

    def odds(self, antigens: Sequence[Mixture], rows: Floats | None = None) -> Numbers:
        """How much more likely rows are under what antigens describe than as own benign rows.

        Args:
            antigens: k of them, unscaled.
            rows: unscaled float32 `(n, features)`; None for those held out.

        Returns:
            Natural logs of the ratios, float64 `(k, n)`.
        """
        x = self._held if rows is None else self._scaler(rows)
        usual = self._usual if rows is None else self._own.log_density(x, COST_SPREAD)
        likely = [_through(each, self._scaler).log_density(x, COST_SPREAD) for each in antigens]
        return np.array(likely, np.float64).reshape(len(antigens), len(x)) - usual

    def usual(self, rows: Floats) -> NDArray[np.bool_]:
        """Which of unscaled rows `(n, features)` look like own benign ones, as `USUAL` of these do.

        Returns:
            bool `(n,)`.
        """
        return np.asarray(self._own.log_density(self._scaler(rows), SPREAD) >= self._least)

    def cost(self, antigen: Mixture, rng: np.random.Generator) -> Cost:
        """What using it would cost."""
        return cost_of(self.alarms(antigen, rng))

    def alarms(self, antigen: Mixture, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which of the rows held out each of k components would make alarm, bool `(k, n)`.

        n is at most `ROWS_MAX`.
        """
        alarms = np.zeros((len(antigen.shares), len(self._held)), np.bool_)
        least = np.float32(DRAWN_SPREAD) * self._scaler.spread
        for j in range(len(alarms)):
            part = some(antigen, [j])
            wide = Mixture(part.shares, part.means, np.maximum(part.spreads, least))
            threshold = np.quantile(self.odds([part], wide.draw(DRAWS, rng)), 1.0 - COST_RECALL)
            alarms[j] = self.odds([part])[0] >= threshold
        return alarms

    def agree(self, one: Mixture, other: Mixture, rng: np.random.Generator) -> bool:
        """Whether draws from one of them look like the other's; either way is enough.

        One peer may have seen only a part of what another saw.
        """
        return any(self._alike(a, b, rng) >= AGREEING for a, b in ((one, other), (other, one)))

    def _alike(self, drawn: Mixture, by: Mixture, rng: np.random.Generator) -> float:
        looks = Likeness(by, self._scaler, rng)
        return looks.share(drawn.draw(DRAWS, rng))


def counted(antigen: Mixture) -> Mixture:
    """The components of a share of at least `SHARE_MIN`: all that is measured, and drawn from.

    Of eight, seven benign ones of 1.9 % each would else be an eighth of the draws, unmeasured.
    """
    return some(antigen, np.flatnonzero(antigen.shares >= SHARE_MIN * antigen.shares.sum()))


def some(antigen: Mixture, places: Sequence[int] | NDArray[np.int64]) -> Mixture:
    """These of its components, and their shares as they were."""
    return Mixture(antigen.shares[places], antigen.means[places], antigen.spreads[places])


def cost_of(alarms: NDArray[np.bool_]) -> Cost:
    """What components cost together that make these rows alarm, bool `(k, n)`."""
    return Cost(int(alarms.any(axis=0).sum()), alarms.shape[1])


def tolerable(antigen: Mixture, alarms: NDArray[np.bool_], budget: float) -> NDArray[np.int64]:
    """The components that together cost no more than the budget; the dearest go first.

    Each that stays would be used if it came alone, so nobody gains by what he puts beside it.

    Args:
        antigen: of k components.
        alarms: which rows each makes alarm, bool `(k, n)`.
        budget: share of the rows.

    Returns:
        Their places, rising, int64; none where less than `PART_MIN` of the antigen is left.
    """
    left = np.arange(len(alarms))
    while len(left) and cost_of(alarms[left]).exceeds(budget):
        left = np.delete(left, alarms[left].sum(axis=1).argmax())
    enough = antigen.shares[left].sum() >= PART_MIN * antigen.shares.sum()
    return left if enough else left[:0]


def _through(mixture: Mixture, scaler: Scaler) -> Mixture:
    return Mixture(mixture.shares, scaler(mixture.means), mixture.spreads / scaler.spread)


def _some(rows: Floats, rng: np.random.Generator) -> Floats:
    if len(rows) <= ROWS_MAX:
        return rows
    some: Floats = rows[rng.choice(len(rows), ROWS_MAX, replace=False)]
    return some


def _scaler(rows: Floats) -> Scaler:
    """As a gateway scales; from few rows by mean and deviation."""
    if len(rows) >= ROWS_MIN:
        return Scaler.fit(rows)
    return Scaler(rows.mean(axis=0), np.maximum(rows.std(axis=0), np.float32(SPREAD_MIN)))


def material_change(before: Floats, now: Floats) -> bool:
    """Whether benign rows changed so much that antigens must be measured anew.

    A quarter more or fewer, or a column whose mean moved by half a standard deviation (at least
    half of `SPREAD_MIN`). Our choice: a sample's mean moves less by chance from 60 rows on.
    """
    if before is now:
        return False
    if not len(before) or not 0.8 <= len(now) / len(before) <= 1.25:
        return len(before) != len(now)
    moved = np.abs(now.mean(axis=0) - before.mean(axis=0))
    return bool((moved > 0.5 * np.maximum(before.std(axis=0), SPREAD_MIN)).any())
