"""A threshold that borrows strength: a gateway's own benign scores, and the shape of others' tails.

With n rows of its own a gateway knows its 1 % tail by n / 100 of them. What it can learn from the
mesh is how tails fall off, once each is measured in its own units: from the gateway's 90 % quantile
(`start`) in steps of its mean excess over it (`unit`), as in peaks over threshold (Pickands 1975).
Each gateway sends the share of its rows beyond 32 such levels; `gossip.pushsum` averages them.

A row alarms above the smallest t for which

    (own rows above t) + 1 + m * (the mesh's share beyond t) <= a

where m, `borrowed`, is how many rows the mesh's word counts for. Were a `budget * (n + 1 + m)`, the
rate to expect were the budget, and every other gateway above it. So a is smaller: the rate, which
is known as a Beta(a, n + 1 + m - a) knows it (Vovk 2012, proposition 2b), is at most the budget
with `CONFIDENCE`; see `allowed`. That costs little where rows are many, and is careful where they
are few. What holds, and when:

- m = 0 is split conformal prediction to the letter (see `gossip.learning.calibration`).
- Whatever the mesh says, true or not: if benign rows stay exchangeable with the calibration rows,
  the expected false-alarm rate is at most `budget * (n + 1 + m) / (n + 1)` (`rate_max`), because t
  is never below the conformal threshold of that larger budget.
- Where own and mesh's tails are alike the rate is near a / (n + 1 + m); measured, docs/budget.md.
- Nothing is promised for traffic that has changed. `gossip.learning.drift` watches for that.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import floor, inf, log

import numpy as np
from numpy.typing import NDArray

from gossip.learning.beta import beta_cdf, beta_quantile

Numbers = NDArray[np.float64]

LEVELS: Numbers = np.concatenate([np.arange(0.0, 4.01, 0.5), np.geomspace(4.5, 40.0, 23)])
"""Where tails are counted, in units above the start: fine where 5 to 0.5 % of rows are left."""

LENGTH = len(LEVELS) + 2
"""Numbers that a gateway contributes: shares at the levels, its unit's ratio, its rows."""

QUANTILE = 0.9
"""Where the tail starts. Measured: 0.8 finds a point less (docs/budget.md, section 7)."""

PRIOR = 5.0
"""Rows above the start that the mesh's word on the unit counts for. Measured on NSL-KDD with 50
rows: mean rate 0.89, 0.85, 0.83 % and worst of 32 4.0, 3.8, 3.8 % with 0, 5 and 10; detection
0.710, 0.701, 0.696 (docs/budget.md, section 7)."""

BORROWED = 4.0
"""`borrowed` is this over the budget, 400 rows at 1 %. Measured: docs/budget.md, section 1."""

CONFIDENCE = 0.9
"""That a gateway's rate is within its budget, where it borrows. Above 1 - 1 / e, so that the
expected rate is within it, too (a Beta's mean, with a >= 1, is no further up). Measured on NSL-KDD,
168 rows, 1 %: docs/budget.md, sections 2 and 7, where the worst of 32 gateways shows 3.7 % with 0.7
and 2.8 % with 0.9."""

ROWS_MIN = 20
"""Rows, reference rows among them, without which a tail has no unit; and calibration rows without
which a gateway's shares are not worth sending. Ours: two rows above the start."""

ROWS_SCALE = 4096.0
"""Rows are sent as a share of this, the most that a gateway calibrates with."""

OUTLIER = 6.0
"""Robust units above the start beyond which a row is not believed benign; `without_outliers`.
Measured: docs/budget.md, section 7: with 10 and 15 less of the contamination is mended."""

OUTLIERS_MAX = 0.03
"""Share of rows that may be left out. Where more lie out there, it is how this gateway's benign
traffic is, or more contamination than leaving out mends (5 %, same table)."""

_RATIO_SCALE = 8.0
_BODY_MIN = 0.25  # nats from median to start, at least; scores are log odds or surprises
_UNIT_MIN = 1e-3
_SLOPE_MAX = -0.02  # of the log tail beyond the last level
_SHARE_MIN = 1e-6

CEILING: Numbers = 2 * (1 - QUANTILE) / np.maximum(LEVELS, 1.0)
"""The largest share believed beyond each level. Of the rows beyond the start no more than 1 / x lie
x mean excesses beyond it (Markov), and a tenth of all do; twice that leaves room for chance."""


@dataclass(frozen=True, slots=True)
class MeshTail:
    """What the mesh says of tails.

    Args:
        shares: of rows beyond each of `LEVELS`, float64, falling.
        ratio: a unit over the way from median to start.
        rows: that this rests on, at least.
    """

    shares: Numbers
    ratio: float
    rows: int

    @classmethod
    def of(cls, mean: NDArray[np.floating], peers: int) -> "MeshTail":
        """Read the mean of contributions `(LENGTH,)` in [0, 1]; hostile numbers are bounded.

        Args:
            mean: what `PushSum.estimate` gives.
            peers: distinct ones that it rests on at least, `PushSum.peers`.
        """
        shares = np.minimum.accumulate(np.clip(mean[: len(LEVELS)], 0.0, CEILING))
        ratio, rows = float(mean[-2]) * _RATIO_SCALE, float(mean[-1]) * ROWS_SCALE
        return cls(shares.astype(np.float64), ratio, floor(rows * peers))

    def beyond(self, level: float) -> float:
        """Share of rows beyond a level >= 0; exponential beyond the last one."""
        logs = self._log()
        if level <= LEVELS[-1]:
            return float(np.exp(np.interp(level, LEVELS, logs)))
        return float(np.exp(logs[-1] + self._slope(logs) * (level - LEVELS[-1])))

    def level(self, share: float) -> float:
        """The smallest level >= 0 beyond which no more than `share` (> 0) of rows lie."""
        logs, wanted = self._log(), log(share)
        if wanted >= logs[0]:
            return 0.0
        if wanted < logs[-1]:
            return float(LEVELS[-1] + (wanted - logs[-1]) / self._slope(logs))
        after = int(np.argmax(logs <= wanted))
        low, high = logs[after - 1], logs[after]
        part = (low - wanted) / (low - high)
        return float(LEVELS[after - 1] + part * (LEVELS[after] - LEVELS[after - 1]))

    def _log(self) -> Numbers:
        logs: Numbers = np.log(np.maximum(self.shares, _SHARE_MIN))
        return logs

    @staticmethod
    def _slope(logs: Numbers) -> float:
        return min(float((logs[-1] - logs[-6]) / (LEVELS[-1] - LEVELS[-6])), _SLOPE_MAX)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold, and what may be expected of it.

    Args:
        value: rows with a score above it alarm; infinite where too little is known.
        budget: share of benign rows that may alarm.
        rows: own calibration rows.
        over: of these above the value.
        borrowed: rows that the mesh's word counts for; 0 is split conformal prediction.
        beyond: the mesh's share beyond the value.
    """

    value: float
    budget: float
    rows: int
    over: int
    borrowed: float = 0.0
    beyond: float = 0.0

    @property
    def rate_max(self) -> float:
        """The largest expected rate, whatever the mesh says; see the module."""
        return min(1.0, self.budget * (self.rows + 1 + self.borrowed) / (self.rows + 1))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Central interval of the false-alarm rate to expect.

        Own rows are counted as Vovk (2012, proposition 2b) has it, Beta(over + 1, rows - over); the
        mesh's word adds `INTERVAL_SHARE` of what it weighs in the threshold, for tails differ from
        gateway to gateway by more than their rows' chance.
        """
        if self.value == inf or self.over >= self.rows:
            return 0.0, 0.0
        weight = INTERVAL_SHARE * self.borrowed
        a = self.over + 1 + weight * self.beyond
        b = self.rows - self.over + weight * (1 - self.beyond)
        tail = (1 - confidence) / 2
        return beta_quantile(tail, a, b), beta_quantile(1 - tail, a, b)


INTERVAL_SHARE = 0.25
"""Measured: docs/budget.md, section 2."""


@dataclass(frozen=True, slots=True)
class _Place:
    start: float
    unit: float


def _place(
    calibration: NDArray[np.floating],
    reference: NDArray[np.floating],
    mesh: MeshTail | None,
) -> tuple[_Place, float]:
    """Where this gateway's tail starts and its unit; and its own ratio of unit to body."""
    rows = np.concatenate([calibration, reference]).astype(np.float64)
    middle, start = np.quantile(rows, [0.5, QUANTILE])
    over = rows[rows > start] - start
    unit = float(over.mean()) if len(over) else 0.0
    body = max(float(start - middle), _BODY_MIN)
    ratio = unit / body
    if mesh is not None:
        unit = (len(over) * unit + PRIOR * mesh.ratio * body) / (len(over) + PRIOR)
    return _Place(float(start), max(unit, _UNIT_MIN)), ratio


def contribution(
    calibration: NDArray[np.floating],
    reference: NDArray[np.floating],
    mesh: MeshTail | None = None,
) -> Numbers | None:
    """What a gateway says of its tail, float64 `(LENGTH,)` in [0, 1]; None with too few rows.

    Only shares of rows leave, in the tail's own units: neither rows nor scores. A share of
    fewer than 4,096 rows tells how many rows are beyond a level, and nothing of any one of them.

    Args:
        calibration: scores of benign rows that no model trained on, finite, `(n,)`.
        reference: scores of other benign rows, such as those trained on; they help to place the
            tail, and are not counted in it. May be empty.
        mesh: what the mesh said before.
    """
    if len(calibration) < ROWS_MIN:
        return None
    place, ratio = _place(calibration, reference, mesh)
    at = place.start + place.unit * LEVELS
    shares = np.minimum((calibration > at[:, None]).mean(axis=1), CEILING)
    rows = min(len(calibration) / ROWS_SCALE, 1.0)
    return np.concatenate([shares, [min(ratio / _RATIO_SCALE, 1.0), rows]])


def threshold(
    calibration: NDArray[np.floating],
    reference: NDArray[np.floating],
    budget: float,
    mesh: MeshTail | None = None,
) -> Threshold:
    """The threshold of the module's rule.

    Args:
        calibration: scores of benign rows that no model trained on, `(n,)`.
        reference: scores of other benign rows; used only with a mesh.
        budget: share of benign rows that may alarm; above 0.1 nothing is borrowed, for that is
            where the tail starts.
        mesh: what the mesh says; None borrows nothing. Where it lends so little that none would
            be allowed, the own rows alone decide.

    Raises:
        ValueError: a budget outside (0, 1), or a score that is NaN.
    """
    if not 0 < budget < 1:
        raise ValueError(f"a false-alarm budget lies between 0 and 1; got {budget}")
    if np.isnan(calibration).any() or np.isnan(reference).any():
        raise ValueError("a calibration score is NaN; check the model's vector")
    rows = len(calibration)
    borrows = (
        mesh is not None
        and budget < 1 - QUANTILE
        and rows + len(reference) >= ROWS_MIN
        and bool(np.isfinite(calibration).all() and np.isfinite(reference).all())
    )
    borrowed = min(BORROWED / budget, mesh.rows) if mesh is not None and borrows else 0.0
    falling = np.sort(calibration.astype(np.float64))[::-1]
    total = rows + 1 + borrowed
    # Room for own rows above, and for the mesh's share.
    room = (allowed(total, budget) if borrowed else budget * total) - 1
    over_max = min(floor(room + 1e-9), rows - 1)
    if over_max < 0:
        if borrowed:
            return threshold(calibration, reference, budget)
        return Threshold(inf, budget, rows, 0)
    if mesh is None or not borrowed:
        value = float(falling[over_max])
        return Threshold(value, budget, rows, int((falling > value).sum()))
    place, _ = _place(calibration, reference, mesh)
    best = inf
    for over in range(over_max + 1):
        share = (room - over) / borrowed
        if share <= 0:
            break
        value = max(falling[over], place.start + place.unit * mesh.level(share))
        best = min(best, float(value))
    if best == inf:
        return threshold(calibration, reference, budget)
    beyond = mesh.beyond(max((best - place.start) / place.unit, 0.0))
    return Threshold(best, budget, rows, int((falling > best).sum()), borrowed, beyond)


@lru_cache(maxsize=1_024)  # a gateway asks after each training, of the same few totals
def allowed(total: float, budget: float) -> float:
    """The largest a for which Beta(a, total - a) lies within the budget with `CONFIDENCE`.

    Never more than `budget * total`; 0 where not even a = 1 does, that is without
    log(1 - `CONFIDENCE`) / log(1 - budget) rows, 230 at 1 %.

    Args:
        total: rows, own and borrowed, and one; above 1.
        budget: in (0, 1).
    """
    low, high = 1.0, budget * total
    if high <= low or beta_cdf(budget, low, total - low) < CONFIDENCE:
        return 0.0
    for _ in range(40):
        middle = (low + high) / 2
        if beta_cdf(budget, middle, total - middle) < CONFIDENCE:
            high = middle
        else:
            low = middle
    return low


def without_outliers(
    calibration: NDArray[np.floating], reference: NDArray[np.floating]
) -> tuple[Numbers, Numbers]:
    """The scores without those that stand so far out that they may be unseen attacks.

    Far out is `OUTLIER` units above the start, by a unit that outliers do not move: the median
    excess over the logarithm of 2, which is the mean excess of an exponential tail. Nothing is left
    out where more than `OUTLIERS_MAX` of the rows lie there. Each calibration row left out may
    raise the expected false-alarm rate by 1 / (n + 1) above what the threshold promises.

    Args:
        calibration: scores `(n,)`.
        reference: scores; may be empty.
    """
    own, other = calibration.astype(np.float64), reference.astype(np.float64)
    rows = np.concatenate([own, other])
    if len(rows) < ROWS_MIN:
        return own, other
    start = float(np.quantile(rows, QUANTILE))
    over = rows[rows > start] - start
    unit = max(float(np.median(over)) / log(2) if len(over) else 0.0, _UNIT_MIN)
    limit = start + OUTLIER * unit
    if (rows > limit).mean() > OUTLIERS_MAX:
        return own, other
    return own[own <= limit], other[other <= limit]


def alarms_a_day(rate: float, flows: int, seconds: float) -> float:
    """False alarms a day at a rate, for a gateway that saw so many flows in so many seconds.

    Raises:
        ValueError: no time has passed.
    """
    if not seconds > 0:
        raise ValueError(f"{flows} flows in {seconds} s give no rate")
    return rate * flows * 86_400 / seconds


def chance_of_worst(limit: float, rate: float, trials: int, gateways: int) -> float:
    """Chance that the worst of some gateways shows more than `limit`, with the same true rate each.

    What sampling alone does: a yardstick for "the worst gateway" of a test.

    Args:
        limit: share of test rows.
        rate: true false-alarm rate of every gateway, in (0, 1).
        trials: benign test rows of each.
        gateways: how many.
    """
    hits = floor(limit * trials + 1e-9)
    if hits >= trials:
        return 0.0
    within = 1.0 - beta_cdf(rate, hits + 1, trials - hits)  # P(at most `hits`)
    return 1.0 - max(within, 0.0) ** gateways
