"""Threshold rules to set side by side, for `budget.py`: the project's, and what was weighed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf, log
from typing import TYPE_CHECKING, Any

import numpy as np
from _summed import word

from gossip.learning import tails
from gossip.learning.beta import clopper_pearson
from gossip.learning.tails import (
    BORROWED,
    QUANTILE,
    MeshTail,
    Threshold,
    threshold,
    without_outliers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from _scored import Gateway, Numbers, Told

    from gossip.pushsum import Sums

    Words = Sequence[MeshTail | None]
    Rule = Callable[["Split", float], list[float]]

CAREFUL = 0.9
"""Confidence of the rule that is sure of its budget."""


@dataclass(frozen=True)
class Split:
    """Every gateway's rows, with a random part of its pool to calibrate with.

    Args:
        gateways: those with enough rows.
        own: of each, to calibrate with.
        tests: benign scores that it is tested with.
        seed: of who sends what to whom, the same for all rules.
    """

    gateways: Sequence[Gateway]
    own: Sequence[Told]
    tests: Sequence[Numbers]
    seed: tuple[int, ...]
    _words: dict[str, Words] = field(default_factory=dict)

    def word(
        self,
        name: str,
        calibrations: Sequence[Numbers],
        references: Sequence[Numbers],
        lying: Mapping[int, Sums] | None = None,
    ) -> Words:
        """What each gateway has heard; kept under a name, for it takes longer than all else."""
        if name not in self._words:
            rng = np.random.default_rng(self.seed)
            self._words[name] = word(calibrations, references, rng, lying)
        return self._words[name]

    @property
    def heard(self) -> Words:
        """The same of all rows, with nobody lying."""
        return self.word("all", self.calibrations, self.references)

    @property
    def calibrations(self) -> list[Numbers]:
        """Scores to calibrate with."""
        return [each.score for each in self.own]

    @property
    def references(self) -> list[Numbers]:
        """Scores of rows trained on."""
        return [each.reference.score for each in self.gateways]


@contextmanager
def set_to(module: Any, name: str, value: float) -> Iterator[None]:
    """One of the project's constants, with another value for a while."""
    kept = getattr(module, name)
    setattr(module, name, value)
    tails.allowed.cache_clear()
    try:
        yield
    finally:
        setattr(module, name, kept)
        tails.allowed.cache_clear()


def by_conformal(split: Split, budget: float) -> list[Threshold]:
    """Own rows alone."""
    pairs = zip(split.calibrations, split.references, strict=True)
    return [threshold(own, other, budget) for own, other in pairs]


def by_mesh(
    calibrations: Sequence[Numbers], references: Sequence[Numbers], budget: float, heard: Words
) -> list[Threshold]:
    """As a gateway does that borrows."""
    each = zip(calibrations, references, heard, strict=True)
    return [threshold(own, other, budget, mesh) for own, other, mesh in each]


def conformal(split: Split, budget: float) -> list[float]:
    return [each.value for each in by_conformal(split, budget)]


def careful(split: Split, budget: float) -> list[float]:
    """The lowest own score whose rate is below the budget with a confidence of `CAREFUL`."""
    found = []
    for own in split.calibrations:
        falling, over = np.sort(own)[::-1], -1
        while clopper_pearson(over + 1, len(own), 2 * CAREFUL - 1)[1] <= budget:
            over += 1
        found.append(inf if over < 0 else float(falling[over]))
    return found


def exponential(split: Split, budget: float) -> list[float]:
    """Peaks over threshold by own rows, those trained on among them (Pickands 1975)."""
    return [start + unit * log((1 - QUANTILE) / budget) for start, unit in _tails(split)]


def shape_alone(split: Split, budget: float) -> list[float]:
    """The same place and unit, with the mesh's shape in place of an exponential."""
    return [
        inf if mesh is None else start + unit * mesh.level(budget)
        for (start, unit), mesh in zip(_tails(split), split.heard, strict=True)
    ]


def _tails(split: Split) -> Iterator[tuple[float, float]]:
    for own, other in zip(split.calibrations, split.references, strict=True):
        rows = np.concatenate([own, other])
        start = float(np.quantile(rows, QUANTILE))
        yield start, float((rows[rows > start] - start).mean())


def borrowed(split: Split, budget: float) -> list[float]:
    found = by_mesh(split.calibrations, split.references, budget, split.heard)
    return [each.value for each in found]


def mean(split: Split, budget: float) -> list[float]:
    """The rate to expect is the budget: no confidence that it is within it is asked for."""
    with set_to(tails, "CONFIDENCE", 1e-6):
        return borrowed(split, budget)


def half(split: Split, budget: float) -> list[float]:
    """The mesh's word counts for half as many rows."""
    most = round(BORROWED / budget / 2)
    heard = [mesh and replace(mesh, rows=min(mesh.rows, most)) for mesh in split.heard]
    found = by_mesh(split.calibrations, split.references, budget, heard)
    return [each.value for each in found]


def unaided(split: Split, budget: float) -> list[float]:
    """Rows trained on do not help to place the tail."""
    none = [each[:0] for each in split.references]
    heard = split.word("unaided", split.calibrations, none)
    found = by_mesh(split.calibrations, none, budget, heard)
    return [each.value for each in found]


def trimmed(split: Split, budget: float) -> list[float]:
    """Rows far out are left out."""
    pairs = [*map(without_outliers, split.calibrations, split.references)]
    own, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = by_mesh(own, other, budget, split.word(f"without {tails.OUTLIER}", own, other))
    return [each.value for each in found]


def named(split: Split, budget: float) -> list[float]:
    """Rows that the head calls attacks are left out."""
    own = [each.score[each.odds <= 0] for each in split.own]
    other = [g.reference.score[g.reference.odds <= 0] for g in split.gateways]
    found = by_mesh(own, other, budget, split.word("named", own, other))
    return [each.value for each in found]


def oracle(split: Split, budget: float) -> list[float]:
    """The quantile of all that there is, test rows included."""
    return [float(np.quantile(each.pool.score, 1 - budget)) for each in split.gateways]


RULES: dict[str, Rule] = {
    "split conformal": conformal,
    "Clopper-Pearson upper bound, 90 %": careful,
    "peaks over threshold, exponential": exponential,
    "peaks over threshold, the mesh's shape": shape_alone,
    "borrowed, aimed at the mean": mean,
    "borrowed, m = 2 / budget": half,
    "borrowed": borrowed,
    "borrowed, no rows trained on": unaided,
    "borrowed, rows far out left out": trimmed,
    "oracle": oracle,
}

DEFENCES: dict[str, Rule] = {
    "split conformal": conformal,
    "borrowed": borrowed,
    "borrowed, rows far out left out": trimmed,
    "borrowed, rows left out that the head calls attacks": named,
}


def judged(split: Split, limits: Sequence[float]) -> tuple[Numbers, Numbers, float]:
    """False alarms and detection of each gateway, and how far apart true rates are."""
    alarms = np.array([(t > h).mean() for t, h in zip(split.tests, limits, strict=True)])
    found = np.array(
        [
            np.mean([(rows > limit).mean() for rows in each.attacks])
            for each, limit in zip(split.gateways, limits, strict=True)
        ]
    )
    chance = np.mean(alarms * (1 - alarms) / np.array([*map(len, split.tests)]))
    return alarms, found, float(max(alarms.var() - chance, 0.0)) ** 0.5


def summary(all_splits: Sequence[Split], limits: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The columns of the top of this file."""
    each = [judged(split, own) for split, own in zip(all_splits, limits, strict=True)]
    means = [alarms.mean() for alarms, _, _ in each]
    return {
        "alarms %": 100 * float(np.mean(means)),
        "±": 100 * float(np.std(means)),
        "worst %": 100 * float(np.mean([alarms.max() for alarms, _, _ in each])),
        "apart": 100 * float(np.mean([apart for _, _, apart in each])),
        "found": float(np.mean([found.mean() for _, found, _ in each])),
        "found by worst": float(np.mean([found.min() for _, found, _ in each])),
        "silent %": 100 * float(np.mean(np.isinf(np.concatenate([*map(np.array, limits)])))),
        "test rows": round(float(np.mean([len(t) for split in all_splits for t in split.tests]))),
    }
