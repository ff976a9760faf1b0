"""The model a scenario trains, and what each peer's own model is worth on rows it never saw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.errors import ConfigError
from gossip.learning.calibration import calibrate, conformal_threshold
from gossip.learning.codes import CODE_BITS, codes
from gossip.learning.descent import Descent
from gossip.learning.in_numpy import Classifier, Detector
from gossip.learning.learner import BENIGN, Learner
from gossip.learning.scoring import Scores, log_odds, scores
from gossip.learning.shapes import DetectorShape, MLPShape, affine
from gossip.learning.tails import MeshTail, Numbers, contribution, threshold
from scenarios.data.shards import Shard, Shards
from scenarios.measures.judgement import Judgement, judge_scores
from scenarios.spec.learning import Alarm, Arithmetic, Learning, Model

Floats = NDArray[np.float32]

REFERENCE_ROWS_MIN = 20
"""What `gossip.learning.calibration.Tail.fit` needs."""


class Judge(Protocol):
    """Judges a vector by a shard's rows."""

    def judge(self, vector: Floats, shard: Shard, mesh: MeshTail | None = None) -> Judgement:
        """Judge one peer's model.

        Args:
            vector: float32 `(dim,)`.
            shard: the peer's rows.
            mesh: what the mesh says of tails; None borrows nothing.
        """

    def contribution(self, vector: Floats, shard: Shard, mesh: MeshTail | None) -> Numbers | None:
        """What the peer says of its own tail, as `gossip.learning.tails.contribution`.

        None with too few rows, and of a model that diverged.
        """


@dataclass(frozen=True)
class ClassifierJudge:
    """Scores rows of a classifier by the log odds of any attack against benign.

    Args:
        shape: layer sizes.
        budget: share of benign rows that may alarm.
        families: how many the test rows are of; the first of those that the head names.
        names: every family that a coded head names, benign first; None for a plain head.
    """

    shape: MLPShape
    budget: float
    families: int
    names: tuple[str, ...] | None = None

    @cached_property
    def _layers(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.shape.layers)

    def judge(self, vector: Floats, shard: Shard, mesh: MeshTail | None = None) -> Judgement:
        """See `Judge`. Only where something is borrowed do rows trained on help to place it."""
        logits = self.logits(vector, shard.test_x)
        return judge_scores(
            log_odds(logits),
            logits.argmax(axis=1),
            shard.test_y,
            self.families,
            self._threshold(vector, shard, mesh),
        )

    def contribution(self, vector: Floats, shard: Shard, mesh: MeshTail | None) -> Numbers | None:
        """See `Judge`."""
        held, trained = self._benign(vector, shard)
        return contribution(held, trained, mesh) if _sound(held, trained) else None

    def _threshold(self, vector: Floats, shard: Shard, mesh: MeshTail | None) -> float:
        if mesh is None:
            held = log_odds(self.logits(vector, shard.calibrate_x))
            return conformal_threshold(held, self.budget) if _sound(held) else np.inf
        held, trained = self._benign(vector, shard)
        return (
            threshold(held, trained, self.budget, mesh).value if _sound(held, trained) else np.inf
        )

    def _benign(self, vector: Floats, shard: Shard) -> tuple[Floats, Floats]:
        """Odds of the calibration rows, and of the benign rows that the peer trains on."""
        trained = shard.train_x[shard.train_y <= BENIGN]
        return (
            log_odds(self.logits(vector, shard.calibrate_x)),
            log_odds(self.logits(vector, trained)),
        )

    def logits(self, vector: Floats, x: Floats) -> Floats:
        """What the model says of each family it names, `(rows, families)`."""
        w = self.shape.layout.views(vector)
        for name in self._layers[:-1]:
            x = np.maximum(affine(w, name, x), 0.0)
        out = affine(w, self._layers[-1], x)
        return out if self.names is None else out @ codes(self.names)


@dataclass(frozen=True)
class DetectorJudge:
    """Raises alarms as a gateway does; see `gossip.learning.calibration`.

    With too few benign training rows to fit the tails the head's odds alone score a row, and there
    is no threshold.

    Args:
        shape: layer sizes.
        budget: share of benign rows that may alarm.
        families: how many the test rows are of; the first of those that the head names.
        names: every family that the head names, benign first.
        by: the scores that may raise an alarm.
    """

    shape: DetectorShape
    budget: float
    families: int
    names: tuple[str, ...]
    by: Alarm = Alarm.BOTH

    def _scores(self, vector: Floats, x: Floats) -> Scores:
        found = scores(self.shape, vector, x, codes(self.names))
        # A score that is the same for all rows surprises nobody.
        if self.by is Alarm.HEAD:
            return replace(found, error=np.ones_like(found.error))
        if self.by is Alarm.AUTOENCODER:
            return replace(found, odds=np.zeros_like(found.odds))
        return found

    def judge(self, vector: Floats, shard: Shard, mesh: MeshTail | None = None) -> Judgement:
        """See `Judge`. The tails are fitted on the benign rows that the peer trains on."""
        found = self._scores(vector, shard.test_x)
        combined: NDArray[np.floating] = found.odds
        limit = np.inf
        if (benign := self._benign(vector, shard)) is not None:
            calibration = calibrate(*benign, self.budget, mesh)
            combined, limit = calibration.combined(found), calibration.threshold
        return judge_scores(
            combined,
            found.families.argmax(axis=1),
            shard.test_y,
            self.families,
            limit,
        )

    def contribution(self, vector: Floats, shard: Shard, mesh: MeshTail | None) -> Numbers | None:
        """See `Judge`; of the score that both parts of the detector make together."""
        benign = self._benign(vector, shard)
        if benign is None:
            return None
        return calibrate(*benign, self.budget).contribution(*benign, mesh)

    def _benign(self, vector: Floats, shard: Shard) -> tuple[Scores, Scores] | None:
        """Scores to fit tails on and to calibrate with; None where that is impossible."""
        reference = self._scores(vector, shard.train_x[shard.train_y <= BENIGN])
        held = self._scores(vector, shard.calibrate_x)
        sound = _sound(reference.error, reference.odds, held.error, held.odds)
        return (reference, held) if len(reference) >= REFERENCE_ROWS_MIN and sound else None


def tail_of(mesh: tuple[Numbers, int] | None) -> MeshTail | None:
    """What a peer's mesh says of tails; see `gossip.peer.Peer.mesh`."""
    return None if mesh is None else MeshTail.of(*mesh)


def _sound(*found: NDArray[np.floating]) -> bool:
    """A model that diverged gives no threshold; judging it must not end the run."""
    return all(np.isfinite(each).all() for each in found)


def make_model(
    learning: Learning, shards: Shards, beside: Sequence[str] = ()
) -> tuple[Learner, Judge]:
    """The learner, and the judge that fits it.

    Args:
        learning: the scenario's.
        shards: the data.
        beside: names that a coded head may give though no row of the data is of them.

    Raises:
        ConfigError: a layer's size is out of bounds, or torch is asked for and not installed.
    """
    descent = Descent(learning.rate, learning.momentum, learning.clip)
    features, families = shards.features, len(shards.families)
    names = (*shards.families, *beside)
    if learning.model is Model.CLASSIFIER:
        outputs = CODE_BITS if learning.coded else families
        sizes = MLPShape((features, *learning.hidden, outputs))
        told = names if learning.coded else None
        judge = ClassifierJudge(sizes, learning.alarm_budget, families, told)
        if learning.arithmetic is Arithmetic.NUMPY:
            return Classifier(sizes, descent), judge
        return _in_torch().TorchClassifier(sizes, descent), judge
    shape = DetectorShape(features)
    scoring = DetectorJudge(shape, learning.alarm_budget, families, names, learning.alarm_by)
    if learning.arithmetic is Arithmetic.NUMPY:
        return Detector(shape, descent), scoring
    return _in_torch().TorchDetector(shape, descent), scoring


def _in_torch() -> ModuleType:
    """The learners in torch, which is slow and large to import and need not be installed.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from gossip.learning import in_torch  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise ConfigError(
            'learning.arithmetic = "torch": torch is not installed; leave the key out to train in '
            "numpy, which is faster and gives the same within 1e-5, or install the extra: "
            "pip install 'hedgerow[torch]'"
        ) from None
    return in_torch
