"""From scores to alarms: one threshold that keeps a false-alarm budget.

Split conformal prediction (Papadopoulos et al. 2002; Vovk et al. 2005, chapter 4): with n
calibration rows that no model trained on, a row alarms when its score is above the
ceil((n + 1)(1 - budget))-th smallest calibration score. If benign rows stay exchangeable with the
calibration rows, the false-alarm rate is at most the budget on average over calibrations, and for
one calibration it follows a known beta distribution (Vovk 2012, proposition 2b).

The detector has two scores: the autoencoder's error and the head's odds of an attack. Each is
turned into a surprise, minus the natural log of its tail probability, and the larger one counts.
The tails are fitted on *reference* rows, which are not the calibration rows (a gateway uses its
training rows); whatever the tails are like, the budget holds, because the threshold is calibrated
on the combined score.

A gateway with few rows can borrow from what the mesh knows of tails; see `gossip.learning.tails`,
whose threshold is the one above where nothing is borrowed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import ceil, floor, inf

import numpy as np
from numpy.typing import NDArray

from gossip.arrays import wanted
from gossip.errors import StateError
from gossip.learning.beta import beta_quantile
from gossip.learning.scoring import Scores
from gossip.learning.tails import (
    BORROWED,
    MeshTail,
    Threshold,
    contribution,
    threshold,
    without_outliers,
)

Numbers = NDArray[np.float64]

BUDGET = 0.005
"""Share of benign flows that may alarm. The project's default (design, sensors: 0.5 %)."""

ROWS_PER_BUDGET = 10
"""Calibrate from `ROWS_PER_BUDGET / budget` rows on. Measured: with 100 rows at 0.5 % the realised
rate is anything from 0 to 4 %; with 2,000 it is 0.85-1.3 % on recordings that drift."""

ROWS_WITH_MESH = 50
"""Own rows that suffice where the mesh lends all it can. Rates are then 0.8 to 0.9 times a budget
of 1 % and 0.7 to 0.9 times one of 0.5 %; with 20 rows many have no threshold (docs/budget.md,
section 1)."""

TAIL_SHARE = 0.1
"""The top tenth of reference scores shapes the tail. Our choice; the usual one for
peaks-over-threshold with a few hundred rows."""

KNOTS = 65


class State(Enum):
    """Whether a gateway may raise alerts."""

    LEARNING = "learning"
    WATCHING = "watching"


def rows_needed(budget: float) -> int:
    """Calibration rows without which a gateway stays in state `learning`."""
    return ceil(ROWS_PER_BUDGET / budget)


def conformal_threshold(calibration: NDArray[np.floating], budget: float) -> float:
    """The ceil((n + 1)(1 - budget))-th smallest score; infinite where n is too small for that.

    Raises:
        ValueError: a budget outside (0, 1), or a score that is NaN.
    """
    if not 0 < budget < 1:
        raise ValueError(f"a false-alarm budget lies between 0 and 1; got {budget}")
    if np.isnan(calibration).any():
        raise ValueError("a calibration score is NaN; check the model's vector")
    rank = _rank(len(calibration), budget)
    if rank > len(calibration):
        return inf
    return float(np.partition(calibration, rank - 1)[rank - 1])


def _rank(rows: int, budget: float) -> int:
    # (n + 1)(1 - budget) = n + 1 - (n + 1) budget; the small term rounds better in floats.
    return rows + 1 - floor((rows + 1) * budget + 1e-9)


def expected_rate(rows: int, budget: float, confidence: float = 0.95) -> tuple[float, float]:
    """Central interval of the false-alarm rate that a calibration of `rows` rows will realise.

    The rate is Beta(n + 1 - k, k) with k the threshold's rank (Vovk 2012); ties only lower it.
    It says what luck in drawing the calibration rows can do, and nothing about drift.
    """
    rank = _rank(rows, budget)
    if rank > rows:
        return 0.0, 0.0
    tail = (1 - confidence) / 2
    a, b = rows + 1 - rank, rank
    return beta_quantile(tail, a, b), beta_quantile(1 - tail, a, b)


@dataclass(frozen=True)
class Tail:
    """Tail probabilities of one score: empirical in the body, exponential above it.

    Args:
        knots: scores, ascending, float64 `(k,)`.
        surprise: minus the natural log of the tail probability at each knot, float64 `(k,)`.
        excess: mean excess over the last knot; the scale of the exponential tail (> 0).
    """

    knots: Numbers
    surprise: Numbers
    excess: float

    @classmethod
    def fit(cls, scores: NDArray[np.floating]) -> "Tail":
        """Fit to reference scores `(n,)`, all finite; n >= 20."""
        if len(scores) < 20 or not np.isfinite(scores).all():
            raise ValueError(f"a tail needs 20 finite scores; got {len(scores)}")
        below = np.linspace(0.0, 1.0 - TAIL_SHARE, KNOTS)
        knots = np.quantile(np.asarray(scores, np.float64), below)
        over = scores[scores > knots[-1]] - knots[-1]
        spread = float(np.mean(over)) if len(over) else 0.0
        return cls(knots, -np.log1p(-below), max(spread, 1e-3))

    def __call__(self, scores: NDArray[np.floating]) -> Numbers:
        """Surprise of each score `(n,)`; grows with the score without bound."""
        beyond = np.maximum(scores - self.knots[-1], 0.0) / self.excess
        return np.asarray(np.interp(scores, self.knots, self.surprise) + beyond, np.float64)


@dataclass(frozen=True)
class Calibration:
    """A gateway's threshold for one model vector; made anew after each training.

    Args:
        budget: share of benign rows that may alarm.
        rows: calibration rows used.
        threshold: of the combined score; infinite in state `learning`.
        error: tail of the log reconstruction error.
        odds: tail of the head's log odds.
        over: calibration rows above the threshold.
        borrowed: rows that the mesh's word counted for; 0 is split conformal prediction.
        beyond: the mesh's share of rows beyond the threshold.
    """

    budget: float
    rows: int
    threshold: float
    error: Tail
    odds: Tail
    over: int = 0
    borrowed: float = 0.0
    beyond: float = 0.0

    @property
    def state(self) -> State:
        """`learning` until there are enough calibration rows for the budget, own or lent."""
        enough = enough_rows(self.rows, self.budget, self.borrowed)
        return State.WATCHING if enough else State.LEARNING

    def combined(self, scores: Scores) -> Numbers:
        """One score a row, float64 `(n,)`: the larger of the two surprises."""
        by_error, by_odds = self.surprises(scores)
        return np.maximum(by_error, by_odds)

    def surprises(self, scores: Scores) -> tuple[Numbers, Numbers]:
        """Surprise by the autoencoder and by the head, each float64 `(n,)`."""
        return self.error(_log_error(scores)), self.odds(scores.odds)

    def alarms(self, scores: Scores) -> NDArray[np.bool_]:
        """Which rows alarm, bool `(n,)`; none in state `learning`."""
        return np.asarray(self.combined(scores) > self.threshold)

    @property
    def rate(self) -> tuple[float, float]:
        """95 % interval of the false-alarm rate to expect; see `expected_rate`, `Threshold`."""
        return self.limit.interval() if self.borrowed else expected_rate(self.rows, self.budget)

    @property
    def limit(self) -> Threshold:
        """The threshold with what it rests on."""
        return Threshold(
            self.threshold, self.budget, self.rows, self.over, self.borrowed, self.beyond
        )

    def contribution(
        self, reference: Scores, calibration: Scores, mesh: MeshTail | None = None
    ) -> Numbers | None:
        """What this gateway tells the mesh of its tail; see `tails.contribution`.

        Args:
            reference: as given to `calibrate`.
            calibration: likewise.
            mesh: what the mesh said before.
        """
        return contribution(self.combined(calibration), self.combined(reference), mesh)

    def to_arrays(self) -> dict[str, Numbers]:
        """Arrays for the store."""
        return {
            "summary": np.array(
                [
                    *(self.budget, self.rows, self.threshold, self.error.excess, self.odds.excess),
                    *(self.over, self.borrowed, self.beyond),
                ]
            ),
            "error": np.stack([self.error.knots, self.error.surprise]),
            "odds": np.stack([self.odds.knots, self.odds.surprise]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Numbers]) -> "Calibration":
        """The calibration that `to_arrays` described.

        Raises:
            StateError: an array is absent, of the wrong shape, or not a number.
        """
        what = "the stored calibration"
        summary, error, odds = wanted(arrays, what, "summary", "error", "odds")
        if summary.shape == (5,):  # as written before gateways could borrow
            summary = np.concatenate([summary, np.zeros(3)])
        if (summary.shape, error.shape, odds.shape) != ((8,), (2, KNOTS), (2, KNOTS)) or any(
            np.isnan(a).any() for a in (summary, error, odds)
        ):
            raise StateError(f"{what} is damaged; remove it to calibrate again")
        budget, rows, value, error_excess, odds_excess, over, borrowed, beyond = map(float, summary)
        return cls(
            budget,
            int(rows),
            value,
            Tail(error[0], error[1], error_excess),
            Tail(odds[0], odds[1], odds_excess),
            int(over),
            borrowed,
            beyond,
        )


def _log_error(scores: Scores) -> Numbers:
    # The log makes the error's tail close to exponential; the floor keeps a perfect row finite.
    return np.log(np.maximum(scores.error, 1e-12), dtype=np.float64)


def enough_rows(rows: int, budget: float, borrowed: float = 0.0) -> bool:
    """Whether a gateway may alarm: enough rows of its own, or some and all that the mesh can lend.

    Args:
        rows: own calibration rows.
        budget: share of benign rows that may alarm.
        borrowed: rows that the mesh's word counts for.
    """
    if rows >= rows_needed(budget):
        return True
    return rows >= ROWS_WITH_MESH and borrowed >= BORROWED / budget


def calibrate(
    reference: Scores,
    calibration: Scores,
    budget: float = BUDGET,
    mesh: MeshTail | None = None,
    *,
    trim: bool = False,
) -> Calibration:
    """Fit tails on reference rows and the threshold on calibration rows.

    Args:
        reference: scores of benign rows that are not calibration rows; at least 20.
        calibration: scores of benign rows that no model trained on.
        budget: share of benign rows that may alarm.
        mesh: what the mesh says of tails; None borrows nothing.
        trim: leave out rows so far out that they may be unseen attacks: finds attacks where 1 % of
            the rows are some, at the price of a rate above the budget where none is; see
            `tails.without_outliers` and docs/budget.md, section 5.

    Raises:
        ValueError: too few reference rows, or scores that are not finite.
    """
    rows = len(calibration)
    error, odds = Tail.fit(_log_error(reference)), Tail.fit(reference.odds)
    fitted = Calibration(budget, rows, inf, error, odds)
    if mesh is None and not enough_rows(rows, budget):
        return fitted
    own, other = fitted.combined(calibration), fitted.combined(reference)
    if trim:
        own, other = without_outliers(own, other)
    found = threshold(own, other, budget, mesh)
    if not enough_rows(rows, budget, found.borrowed):
        return fitted
    return Calibration(
        *(budget, found.rows, found.value, error, odds), found.over, found.borrowed, found.beyond
    )
