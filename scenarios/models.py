"""The model a scenario trains, and what each peer's own model is worth on rows it never saw."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.learning.learner import BENIGN, Learner
from gossip.learning.scoring import scores
from gossip.learning.shapes import DetectorShape, MLPShape
from scenarios.shards import Shard, Shards
from scenarios.spec import Learning, Model

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One peer's own model on its own test rows. Shares in [0, 1]; NaN without such rows.

    Args:
        accuracy: rows whose likeliest family is the true one.
        detection: attack rows above the threshold.
        false_alarms: benign rows above the threshold.
    """

    accuracy: float
    detection: float
    false_alarms: float


class Judge(Protocol):
    """Judges a vector by a shard's rows."""

    def judge(self, vector: Floats, shard: Shard) -> Judgement:
        """Judge one peer's model; `vector` is float32 `(dim,)`."""


def threshold(benign: Floats, budget: float) -> float:
    """The score that a new benign row exceeds with a probability of at most `budget`.

    Split conformal: the ceil((n + 1)(1 - budget))-th smallest of n held-out benign scores (Vovk et
    al. 2005; Lei et al. 2018, section 2.2); infinite while n is too small for the budget.
    """
    rank = int(np.ceil((len(benign) + 1) * (1.0 - budget)))
    return float(np.partition(benign, rank - 1)[rank - 1]) if 1 <= rank <= len(benign) else np.inf


def verdict(calibrate: Floats, odds: Floats, likeliest: NDArray[np.int64], shard: Shard,
            budget: float) -> Judgement:  # fmt: skip
    """Judge scores: calibrate on one set of rows, count on the other."""
    alarm = odds > threshold(calibrate, budget)
    attack = shard.test_y != BENIGN
    return Judgement(
        accuracy=_share(likeliest == shard.test_y),
        detection=_share(alarm[attack]),
        false_alarms=_share(alarm[~attack]),
    )


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else float("nan")


@dataclass(frozen=True)
class ClassifierJudge:
    """Scores rows of a plain classifier by the log odds of any attack against benign."""

    shape: MLPShape
    budget: float

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.shape.layers)

    def judge(self, vector: Floats, shard: Shard) -> Judgement:
        """See `Judge`."""
        calibrate = self._logits(vector, shard.calibrate_x)
        test = self._logits(vector, shard.test_x)
        likeliest = test.argmax(axis=1)
        return verdict(_odds(calibrate), _odds(test), likeliest, shard, self.budget)

    def _logits(self, vector: Floats, x: Floats) -> Floats:
        w = self.shape.layout.views(vector)
        for name in self._names[:-1]:
            x = np.maximum(x @ w[f"{name}.w"] + w[f"{name}.b"], 0.0)
        last = self._names[-1]
        logits: Floats = x @ w[f"{last}.w"] + w[f"{last}.b"]
        return logits


def _odds(logits: Floats) -> Floats:
    attacks = logits[:, 1:]
    top = attacks.max(axis=1, keepdims=True)
    total: Floats = top[:, 0] + np.log(np.exp(attacks - top).sum(axis=1)) - logits[:, 0]
    return total


@dataclass(frozen=True)
class DetectorJudge:
    """Scores rows of the gateways' detector by its head's log odds."""

    shape: DetectorShape
    budget: float

    def judge(self, vector: Floats, shard: Shard) -> Judgement:
        """See `Judge`."""
        calibrate = scores(self.shape, vector, shard.calibrate_x)
        test = scores(self.shape, vector, shard.test_x)
        likeliest = test.families.argmax(axis=1)
        return verdict(calibrate.odds, test.odds, likeliest, shard, self.budget)


def make_model(learning: Learning, shards: Shards) -> tuple[Learner, Judge]:
    """The learner, and the judge that fits it.

    Raises:
        ConfigError: a layer's size is out of bounds.
    """
    # torch takes a second to import and much memory, and checking a scenario needs neither.
    from gossip.learning.detector import Classifier, Descent, Detector  # noqa: PLC0415

    descent = Descent(learning.rate, learning.momentum, learning.clip)
    features, families = shards.features, len(shards.families)
    if learning.model is Model.CLASSIFIER:
        sizes = MLPShape((features, *learning.hidden, families))
        return Classifier(sizes, descent), ClassifierJudge(sizes, learning.alarm_budget)
    shape = DetectorShape(features, families)
    return Detector(shape, descent), DetectorJudge(shape, learning.alarm_budget)
