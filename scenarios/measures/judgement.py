"""From one peer's scores on its own test rows to what its model is worth."""

from dataclasses import dataclass, fields
from math import floor

import numpy as np
from numpy.typing import NDArray

from gossip.learning.learner import BENIGN

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Judgement:
    """One peer's own model on its own test rows. Shares in [0, 1]; NaN without such rows.

    A row's likeliest family is what the model's outputs say, whatever the threshold: accuracy and
    macro-F1 measure naming, the others alarming, and a peer without a threshold has the former,
    too. It is the same for a classifier and for a detector's head.

    Args:
        accuracy: rows whose likeliest family is the true one.
        detection: attack rows above the threshold that the peer calibrated for itself.
        false_alarms: benign rows above it.
        detection_1: attack rows above the lowest threshold that lets at most 1 % of the peer's own
            benign test rows alarm; NaN with fewer than 100 of those. The usual "true-positive
            rate at a fixed false-positive rate" (Fawcett 2006, section 5), read off without
            interpolation: of rows with equal scores all alarm or none.
        detection_01: the same at 0.1 %; NaN with fewer than 1,000 benign test rows.
        auc: probability that an attack row scores above a benign one, ties counting half: the
            Mann-Whitney statistic (Hanley and McNeil 1982).
        macro_f1: unweighted mean of F1 over the families present in the test rows, benign among
            them (Opitz and Burst 2019, "averaged F1"). A family never named has F1 = 0.
        families: `detection` by family, in the order of `Shards.families`. NaN for benign, and
            where the peer has no test rows of the family.
        named: by family, rows of it whose likeliest family is the true one, whatever the threshold.
            NaN where the peer has no test rows of the family; benign has a share, too.
        calibrated: whether there were enough calibration rows for the budget. Without them the
            threshold is infinite: the peer raises no alarm, and `detection` is 0.
    """

    accuracy: float
    detection: float
    false_alarms: float
    detection_1: float
    detection_01: float
    auc: float
    macro_f1: float
    families: tuple[float, ...]
    named: tuple[float, ...]
    calibrated: bool


SHARES = tuple(
    field.name
    for field in fields(Judgement)
    if field.name not in {"families", "named", "calibrated"}
)
"""The fields of a judgement that are one number."""

BAD_IS_HIGH = ("false_alarms", "alarms_a_day", "bytes_per_peer")
"""Measures of which the highest value is the worst."""


def judge_scores(
    scores: NDArray[np.floating],
    likeliest: NDArray[np.integer],
    truth: NDArray[np.integer],
    families: int,
    threshold: float,
) -> Judgement:
    """Judge a model by its scores.

    Args:
        scores: of the test rows, the more the likelier an attack, `(n,)`. One that is not a
            number (a model that diverged) counts as the lowest of all: it never alarms.
        likeliest: family that the model names, `(n,)`. One beyond `families` is right for no row.
        truth: the true families, 0 is benign, `(n,)`.
        families: how many there are.
        threshold: the peer's own; a row alarms when its score is above it. Infinite where the
            peer has none.
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    rows = np.bincount(truth, minlength=families)
    hits = np.bincount(truth[scores > threshold], minlength=families)
    named = np.bincount(likeliest, minlength=families)[:families]
    right = np.bincount(truth[likeliest == truth], minlength=families)
    attack = truth != BENIGN
    attacks, benign = scores[attack], np.sort(scores[~attack])
    present = rows > 0
    shares, names = np.full((2, families), NAN)
    np.divide(hits, rows, out=shares, where=present)
    np.divide(right, rows, out=names, where=present)
    shares[BENIGN] = NAN
    return Judgement(
        accuracy=_share(right.sum(), len(truth)),
        detection=_share(hits[BENIGN + 1 :].sum(), len(attacks)),
        false_alarms=_share(hits[BENIGN], len(benign)),
        detection_1=detection_at(attacks, benign, 0.01),
        detection_01=detection_at(attacks, benign, 0.001),
        auc=auc(attacks, benign),
        macro_f1=(
            float((2.0 * right[present] / (rows + named)[present]).mean()) if present.any() else NAN
        ),
        families=tuple(shares.tolist()),
        named=tuple(names.tolist()),
        calibrated=threshold < np.inf,
    )


def detection_at(
    attacks: NDArray[np.floating], benign: NDArray[np.floating], false_alarms: float
) -> float:
    """See `Judgement.detection_1`.

    Args:
        attacks: scores of attack rows, `(a,)`.
        benign: scores of benign rows, ascending, `(b,)`.
        false_alarms: the share of benign rows that may alarm.
    """
    allowed = floor(len(benign) * false_alarms + 1e-9)
    if not allowed or not len(attacks):
        return NAN
    above = attacks > benign[len(benign) - allowed - 1]
    return _share(int(np.count_nonzero(above)), len(attacks))


def auc(attacks: NDArray[np.floating], benign: NDArray[np.floating]) -> float:
    """See `Judgement.auc`; `benign` is ascending."""
    if not len(attacks) or not len(benign):
        return NAN
    below = np.searchsorted(benign, attacks, "left")
    not_above = np.searchsorted(benign, attacks, "right")
    return float((below + not_above).sum() / (2.0 * len(attacks) * len(benign)))


def _share(part: float, whole: int) -> float:
    return float(part) / whole if whole else NAN
