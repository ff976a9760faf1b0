"""The model a scenario trains, and what each peer's own model is worth on rows it never saw."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.learning.calibration import calibrate, conformal_threshold
from gossip.learning.descent import Descent
from gossip.learning.learner import BENIGN, Learner
from gossip.learning.reference import ReferenceClassifier
from gossip.learning.scoring import log_odds, scores
from gossip.learning.shapes import DetectorShape, MLPShape, affine
from scenarios.data.shards import Shard, Shards
from scenarios.spec.learning import Arithmetic, Learning, Model

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One peer's own model on its own test rows. Shares in [0, 1]; NaN without such rows.

    Args:
        accuracy: rows whose likeliest family is the true one.
        detection: attack rows above the threshold.
        false_alarms: benign rows above the threshold.
        calibrated: whether there were enough calibration rows for the budget. Without them the
            threshold is infinite: the peer raises no alarm, and detects nothing.
    """

    accuracy: float
    detection: float
    false_alarms: float
    calibrated: bool


class Judge(Protocol):
    """Judges a vector by a shard's rows."""

    def judge(self, vector: Floats, shard: Shard) -> Judgement:
        """Judge one peer's model; `vector` is float32 `(dim,)`."""


def _judgement(
    alarms: NDArray[np.bool_], likeliest: NDArray[np.intp], shard: Shard, limit: float
) -> Judgement:
    attack = shard.test_y != BENIGN
    return Judgement(
        accuracy=_share(likeliest == shard.test_y),
        detection=_share(alarms[attack]),
        false_alarms=_share(alarms[~attack]),
        calibrated=limit < np.inf,
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
        calibration = log_odds(self._logits(vector, shard.calibrate_x))
        logits = self._logits(vector, shard.test_x)
        limit = conformal_threshold(calibration, self.budget)
        return _judgement(log_odds(logits) > limit, logits.argmax(axis=1), shard, limit)

    def _logits(self, vector: Floats, x: Floats) -> Floats:
        w = self.shape.layout.views(vector)
        for name in self._names[:-1]:
            x = np.maximum(affine(w, name, x), 0.0)
        return affine(w, self._names[-1], x)


@dataclass(frozen=True)
class DetectorJudge:
    """Raises alarms as a gateway does; see `gossip.learning.calibration`."""

    shape: DetectorShape
    budget: float

    def judge(self, vector: Floats, shard: Shard) -> Judgement:
        """See `Judge`. The tails are fitted on the benign rows that the peer trains on."""
        benign = shard.train_x[shard.train_y <= BENIGN]
        calibration = calibrate(
            scores(self.shape, vector, benign),
            scores(self.shape, vector, shard.calibrate_x),
            self.budget,
        )
        found = scores(self.shape, vector, shard.test_x)
        likeliest = found.families.argmax(axis=1)
        return _judgement(calibration.alarms(found), likeliest, shard, calibration.threshold)


def make_model(learning: Learning, shards: Shards) -> tuple[Learner, Judge]:
    """The learner, and the judge that fits it.

    Raises:
        ConfigError: a layer's size is out of bounds.
    """
    descent = Descent(learning.rate, learning.momentum, learning.clip)
    features, families = shards.features, len(shards.families)
    if learning.model is Model.CLASSIFIER:
        sizes = MLPShape((features, *learning.hidden, families))
        judge = ClassifierJudge(sizes, learning.alarm_budget)
        if learning.arithmetic is Arithmetic.NUMPY:
            return ReferenceClassifier(sizes, descent), judge
        from gossip.learning import detector  # noqa: PLC0415 - torch is slow and large to import

        return detector.Classifier(sizes, descent), judge
    from gossip.learning import detector  # noqa: PLC0415 - as above

    shape = DetectorShape(features, families)
    return detector.Detector(shape, descent), DetectorJudge(shape, learning.alarm_budget)
