"""A model that scores, frozen together with all that it is judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossip.arrays import group_of, prefixed, wanted
from gossip.errors import StateError
from gossip.features import SCHEMA
from gossip.flows import FAMILIES, Flow
from gossip.learning.calibration import Calibration
from gossip.learning.codes import codes
from gossip.learning.learner import NO_LABEL
from gossip.learning.scaling import Scaler
from gossip.learning.scoring import Scores, scores, top_features
from gossip.learning.shapes import DetectorShape
from node.alerts.incidents import FEATURES_MAX, UNKNOWN, Anomaly, Feature
from node.vocabulary import from_array, to_array

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model says of n rows.

    Args:
        scaled: the rows as the model sees them, float32 `(n, features)`.
        score: combined surprise, -ln of a tail probability, float64 `(n,)`.
        anomalous: score above the threshold, bool `(n,)`.
        family: what the head takes it for, index into `Serving.names`, int64 `(n,)`. `NO_LABEL`
            unless its own surprise is above the threshold and one family has most of the
            probability of any attack.
    """

    scaled: Rows
    score: NDArray[np.float64]
    anomalous: NDArray[np.bool_]
    family: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Serving:
    """A model that scores.

    Args:
        vector: the whole detector, float32 `(dim,)`.
        calibration: made for it.
        cycle: it came from.
        scaler: that it was trained and calibrated with.
        names: of its outputs, benign first.
        norms: of the mesh, that the scaler stands for; 0 for this gateway's own scaler.
    """

    vector: Rows
    calibration: Calibration
    cycle: int
    scaler: Scaler
    names: tuple[str, ...] = FAMILIES
    norms: int = 0

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that name the vector."""
        return blake2b(self.vector.tobytes(), digest_size=4).hexdigest()

    def scales_as(self, scaler: Scaler) -> bool:
        """Whether this is its scaler."""
        own = self.scaler
        return np.array_equal(own.centre, scaler.centre) and np.array_equal(
            own.spread, scaler.spread
        )

    def scores(self, shape: DetectorShape, rows: Rows) -> Scores:
        """Raw scores of unscaled rows `(n, features)`."""
        return scores(shape, self.vector, self.scaler(rows), codes(self.names))

    def judge(self, shape: DetectorShape, rows: Rows) -> Judged:
        """What it says of unscaled rows `(n, features)`."""
        calibration, scaled = self.calibration, self.scaler(rows)
        found = scores(shape, self.vector, scaled, codes(self.names))
        by_error, by_odds = calibration.surprises(found)
        score = np.maximum(by_error, by_odds)
        attacks = found.families[:, 1:]
        # Outputs for families that nobody has labels of are untrained; one may lead, but not far.
        clear = attacks.max(axis=1) > 0.5 * attacks.sum(axis=1)
        named = clear & (by_odds > calibration.threshold)
        family = np.where(named, 1 + attacks.argmax(axis=1), NO_LABEL)
        return Judged(scaled, score, score > calibration.threshold, family)

    def alarms(self, shape: DetectorShape, rows: Rows) -> int:
        """How many of unscaled rows alarm."""
        return int(self.calibration.alarms(self.scores(shape, rows)).sum()) if len(rows) else 0

    def anomalies(
        self,
        shape: DetectorShape,
        flows: Sequence[Flow],
        rows: Rows,
        judged: Judged,
        usual: Rows,
    ) -> list[Anomaly]:
        """The anomalous flows, each with what made it stand out.

        Args:
            shape: the detector's sizes.
            flows: as many as rows.
            rows: unscaled.
            judged: what this model said of them.
            usual: rows of ordinary traffic, unscaled.
        """
        picked = np.flatnonzero(judged.anomalous)
        if not len(picked):
            return []
        columns, _ = top_features(shape, self.vector, judged.scaled[picked], FEATURES_MAX)
        low, high = np.quantile(usual, [0.05, 0.95], axis=0)
        found = []
        for i, top in zip(picked.tolist(), columns, strict=True):
            family = judged.family[i]
            features = tuple(
                Feature(SCHEMA[c], float(rows[i, c]), float(low[c]), float(high[c])) for c in top
            )
            named = UNKNOWN if family == NO_LABEL else self.names[family]
            row = rows[i].astype(np.float32).tobytes()
            found.append(Anomaly(flows[i], float(judged.score[i]), named, features, row))
        return found

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays for the store."""
        return {
            "vector": self.vector,
            "names": to_array(self.names),
            "cycle": np.array([self.cycle], np.int64),
            "norms": np.array([self.norms], np.int64),
            **prefixed("calibration", self.calibration.to_arrays()),
            **prefixed("scaler", self.scaler.to_arrays()),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], dim: int) -> "Serving":
        """The model that `to_arrays` described.

        Raises:
            StateError: an array is absent or damaged.
        """
        what = "a stored model that scores"
        vector, names, cycle = wanted(arrays, what, "vector", "names", "cycle")
        norms = arrays.get("norms", np.zeros(1, np.int64))
        sound = vector.shape == (dim,) and bool(np.isfinite(vector).all())
        if not sound or cycle.shape != (1,) or norms.shape != (1,):
            raise StateError(f"{what} is damaged; restore the folder from a backup")
        return cls(
            vector,
            Calibration.from_arrays(group_of(arrays, "calibration")),
            int(cycle[0]),
            Scaler.from_arrays(group_of(arrays, "scaler")),
            from_array(names),
            int(norms[0]),
        )
