"""What one gateway sees, remembers to learn from, and finds unlike its own traffic.

    flow ─ features ─ score ─┬─ above the threshold ─ anomaly
                             └─ trusted, by its role ─ train │ calibrate │ hold out

The model that scores (`Serving`) is a frozen copy with a calibration of its own, renewed after each
training; merges that arrive in between never meet a threshold made for another vector.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossip.arrays import group_of, prefixed
from gossip.errors import StateError
from gossip.features import CONTEXT_S, SCHEMA, FeatureExtractor
from gossip.flows import FAMILIES, Flow
from gossip.learning.calibration import Calibration, State, calibrate, rows_needed
from gossip.learning.codes import codes
from gossip.learning.guard import Guard
from gossip.learning.learner import BENIGN, NO_LABEL, Batches
from gossip.learning.samples import Role, SampleConfig, Samples, Trust
from gossip.learning.scaling import Scaler
from gossip.learning.scoring import scores, top_features
from gossip.learning.shapes import DetectorShape
from gossip.learning.tails import BORROWED, LENGTH, MeshTail, Numbers, alarms_a_day
from node.alerts.incidents import FEATURES_MAX, UNKNOWN, Anomaly, Feature
from node.antigens.presenting import Evidence
from node.vocabulary import (
    LABELS_MAX,
    Drawn,
    from_array,
    joined,
    known_as,
    mixed,
    to_array,
    with_name,
)

SCALER_ROWS = 300
"""Rows before the scaler is fitted, once: three times the least it accepts. Our choice."""

STORM_FLOWS = 64
STORM_SHARE_MIN = 0.125
STORM_BUDGETS = 8
"""Of the last 64 flows, an eighth (or eight budgets' worth, if that is more) are labelled attacks
or alarms: a storm. With honest traffic at a budget of 2 %, 11 of 64 happen once in ten million."""

BURST_FLOWS = 5
"""So many odd flows of one source among the last 64: what it sends proves nothing either. Else a
quiet attack calibrates, and lifts the threshold above itself. Measured on the demo's gateways at a
budget of 3 %, five seeds: mean false alarms of 0.7 to 3.6 % without this, 1.6 to 3.9 % with it."""


REFERENCE_ROWS_MIN = 100

SERVING_MEMORY = np.float32(0.7)
"""Weight of the past in the model that serves: about three cycles. Measured on the demo's gateway
with most labels, five seeds, last seven cycles, without it and with it: floods rightly named 0.77
and 0.99, with a deviation from cycle to cycle of 0.34 and 0.01; password guessing 0.95 and 0.99;
scans 0.63 and 0.46 (of 25 flows), 0.32 and 0.13. Nothing is found less."""

COLD_FLOWS_MAX = 512
"""After a restart the 30 s context is empty, which looks like nothing the model knows: of the first
eight ordinary flows it found seven anomalous (measured). So flows that start within 30 s of the
first one's end are neither judged nor believed, but never more than these; our choice."""

SPAN_S_MIN = 60.0
"""Flows over less than a minute give no rate worth telling. Our choice."""

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Serving:
    """A model that scores.

    Args:
        vector: the whole detector, float32 `(dim,)`.
        calibration: made for it.
        cycle: it came from.
        names: of its outputs, benign first.
    """

    vector: Rows
    calibration: Calibration
    cycle: int
    names: tuple[str, ...] = FAMILIES

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that name the vector."""
        return blake2b(self.vector.tobytes(), digest_size=4).hexdigest()


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


@dataclass(slots=True)
class Seen:
    """Counts of flows since the process started, and the times that they began at."""

    flows: int = 0
    labelled: int = 0
    anomalous: int = 0
    quarantined: int = 0
    first_ts_s: float = inf
    last_ts_s: float = -inf

    def alarms_a_day(self, rate: float) -> float | None:
        """False alarms a day at a rate; None before flows of `SPAN_S_MIN`, by their own time."""
        span_s = self.last_ts_s - self.first_ts_s
        return None if span_s < SPAN_S_MIN else alarms_a_day(rate, self.flows, span_s)


class Watch:
    """A gateway's detector and its memory.

    Args:
        shape: sizes of the detector.
        budget: share of benign flows that may alarm.
        samples: bounds of what is remembered, and how a cycle's batches are drawn.
        seed: secret in a live node.
        peer: this gateway's peer id.

    Attributes:
        rehearsed: families that are learnt from others' antigens now.
        told: what the mesh may know of this gateway's scores, see `tails.contribution`; None where
            there are too few rows.
        guard: says whether the budget is kept on flows believed benign. It is only listened to: no
            older model is gone back to, for one that finds a new attack alarms more, too.
    """

    def __init__(
        self, shape: DetectorShape, budget: float, samples: SampleConfig, seed: bytes, peer: str
    ) -> None:
        self.seen = Seen()
        self.serving: Serving | None = None
        self.samples = Samples(samples, seed, peer)
        self.rehearsed: tuple[str, ...] = ()
        self.told: Numbers | None = None
        self._mesh: MeshTail | None = None
        self.guard = Guard[Serving](budget)
        self._seed, self._peer = seed, peer
        self._shape = shape
        self._budget = budget
        self._extractor = FeatureExtractor()
        self._scaler: Scaler | None = None
        self._early: list[Rows] = []
        self._recent: deque[str | None] = deque(maxlen=STORM_FLOWS)  # who sent an odd one
        self._cold_left = 0
        self._warm_ts_s: float | None = None

    @property
    def state(self) -> State:
        """`learning` until a calibration with enough rows serves."""
        return State.LEARNING if self.serving is None else self.serving.calibration.state

    @property
    def calibration_rows(self) -> int:
        """Rows to calibrate with, so far."""
        return len(self.samples.rows(Role.CALIBRATE))

    @property
    def calibration_rows_needed(self) -> int:
        """Rows without which no alert is raised."""
        return rows_needed(self._budget)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the outputs: families with rows here, then those rehearsed from antigens."""
        return joined(self.samples.config.names, self.rehearsed)

    @property
    def scaler(self) -> Scaler | None:
        """Of this gateway's rows; None before there are enough."""
        return self._scaler

    @property
    def ready(self) -> bool:
        """Whether there are rows enough to train on."""
        return self._scaler is not None

    @property
    def benign(self) -> Rows:
        """Benign rows to train on, unscaled float32 `(n, features)`; a copy."""
        return np.concatenate([self.samples.rows(Role.TRAIN), self.samples.family(BENIGN)])

    @property
    def held(self) -> Rows:
        """Benign rows that no model was trained on or calibrated with, likewise."""
        return np.concatenate(
            [self.samples.rows(Role.HOLDOUT), self.samples.family(BENIGN, Role.HOLDOUT)]
        )

    def evidence(self) -> tuple[Evidence, ...]:
        """This gateway's labelled rows of each family of attack, copied."""
        return tuple(
            Evidence(self.samples.config.names[family], self.samples.family(family).copy())
            for family in self.samples.labelled
        )

    @property
    def storm(self) -> bool:
        """Whether attacks are so frequent now that an unlabelled flow proves nothing."""
        if len(self._recent) < STORM_FLOWS:
            return False
        share = max(STORM_SHARE_MIN, STORM_BUDGETS * self._budget)
        return sum(who is not None for who in self._recent) > share * STORM_FLOWS

    def observe(self, flows: Sequence[Flow]) -> list[Anomaly]:
        """Take flows in the order in which the sensor gave them; the anomalous ones among them.

        An anomaly is given a family where the head objected, not the autoencoder alone. What a
        sensor says of a flow (`family`) is a label to learn from; it neither finds nor pardons.
        """
        if not flows:
            return []
        rows = np.stack([self._extractor.add(flow) for flow in flows])
        cold = np.array([self._is_cold(flow) for flow in flows])
        watching = self.state is State.WATCHING
        judged = self.judge(rows)
        anomalous = np.zeros(len(rows), np.bool_)
        if judged is not None:
            anomalous = judged.anomalous & ~cold
            judged = replace(judged, anomalous=anomalous)
        score = np.zeros(len(rows)) if judged is None else judged.score
        for flow, row, odd, unfit, high in zip(
            flows, rows, anomalous.tolist(), cold.tolist(), score.tolist(), strict=True
        ):
            if self._learn_from(flow, row, odd=odd, cold=unfit) and watching:
                self._count(high, odd=odd)
        return [] if judged is None else self._anomalies(flows, rows, judged)

    def judge(self, rows: Rows) -> Judged | None:
        """What the serving model says of unscaled rows `(n, features)`; None without a model.

        Remembers nothing.
        """
        if self._scaler is None or self.serving is None:
            return None
        calibration = self.serving.calibration
        scaled = self._scaler(rows)
        found = scores(self._shape, self.serving.vector, scaled, codes(self.serving.names))
        by_error, by_odds = calibration.surprises(found)
        score = np.maximum(by_error, by_odds)
        attacks = found.families[:, 1:]
        # Outputs for families that nobody has labels of are untrained; one may lead, but not far.
        clear = attacks.max(axis=1) > 0.5 * attacks.sum(axis=1)
        named = clear & (by_odds > calibration.threshold)
        family = np.where(named, 1 + attacks.argmax(axis=1), NO_LABEL)
        return Judged(scaled, score, score > calibration.threshold, family)

    def _is_cold(self, flow: Flow) -> bool:
        """Whether the flow's context may lack what was seen before a restart."""
        if not self._cold_left:
            return False
        if self._warm_ts_s is None:
            self._warm_ts_s = flow.ts + flow.duration + CONTEXT_S
        self._cold_left = 0 if flow.ts >= self._warm_ts_s else self._cold_left - 1
        return self._cold_left > 0

    def _count(self, score: float, *, odd: bool) -> None:
        breach = self.guard.saw(score, odd)
        if breach is not None:  # the next training calibrates anew, and is judged from zero
            self.guard.settle(breach.flows, breach.alarms, None)

    def _learn_from(self, flow: Flow, row: Rows, *, odd: bool, cold: bool) -> bool:
        """Whether nothing speaks against the flow but, perhaps, its score."""
        self.seen.flows += 1
        self.seen.first_ts_s = min(self.seen.first_ts_s, flow.ts)
        self.seen.last_ts_s = max(self.seen.last_ts_s, flow.ts)
        self.seen.anomalous += odd
        if self._scaler is None:
            self._early.append(row)
            if len(self._early) >= SCALER_ROWS:
                self._scaler = Scaler.fit(np.stack(self._early))
                self._early.clear()
        label = NO_LABEL if flow.family is None else self._label(flow.family)
        self.seen.labelled += label > 0
        self._recent.append(flow.orig_h if odd or label > 0 else None)
        trust = Trust.ODD if odd else Trust.CLEAN
        if cold or self.storm or self._recent.count(flow.orig_h) >= BURST_FLOWS:
            trust = Trust.UNKNOWN
            self.seen.quarantined += label == NO_LABEL
        self.samples.add(flow.uid, row, label, trust)
        return trust is not Trust.UNKNOWN and label in (NO_LABEL, BENIGN)

    def _label(self, family: str) -> int:
        """The number under which rows of a family are kept; a new one where there is room."""
        name, new = known_as(family, self.samples.config.names)
        if new:
            self._grow(name)
        return self.samples.config.names.index(name)

    def _grow(self, *names: str) -> None:
        grown = self.samples
        for name in names:
            before = grown
            grown = Samples(with_name(before.config, name), self._seed, self._peer)
            grown.restore(grown.to_arrays() | before.to_arrays())
            grown.unused = before.unused
        self.samples = grown

    def _anomalies(self, flows: Sequence[Flow], rows: Rows, judged: Judged) -> list[Anomaly]:
        """The anomalous flows, each with what made it stand out."""
        picked = np.flatnonzero(judged.anomalous)
        if not len(picked) or self.serving is None:
            return []
        columns, _ = top_features(
            self._shape, self.serving.vector, judged.scaled[picked], FEATURES_MAX
        )
        low, high = np.quantile(self.samples.rows(Role.TRAIN), [0.05, 0.95], axis=0)
        anomalies = []
        for i, top in zip(picked.tolist(), columns, strict=True):
            family = judged.family[i]
            features = tuple(
                Feature(SCHEMA[c], float(rows[i, c]), float(low[c]), float(high[c])) for c in top
            )
            named = UNKNOWN if family == NO_LABEL else self.serving.names[family]
            anomalies.append(Anomaly(flows[i], float(judged.score[i]), named, features))
        return anomalies

    def batches(self, cycle: int, drawn: Drawn | None = None) -> Batches | None:
        """Rows for one cycle of training; None while there are too few.

        Args:
            cycle: the peer's.
            drawn: from antigens; from now on their families are outputs of the head as well.
        """
        self.rehearsed = () if drawn is None else drawn.names
        if self._scaler is None:
            return None
        own = self.samples.batches(cycle, self._scaler)
        if own is None or drawn is None:
            return own
        return mixed(own, self.names, drawn, self._scaler)

    def serve(self, vector: Rows, cycle: int, mesh: MeshTail | None = None) -> None:
        """Score with this model from now on, calibrated on rows that it was not trained on.

        What serves is a moving average of the models given (Polyak and Juditsky 1992): each merge
        moves the head a little away from what this gateway knows, and training moves it back.

        Args:
            vector: the whole detector, float32 `(dim,)`.
            cycle: in which it came to be; for the alerts.
            mesh: what the mesh says of tails now; None leaves what it said before.
        """
        self._hear(mesh)
        reference = self.samples.rows(Role.TRAIN)
        if self._scaler is None or len(reference) < REFERENCE_ROWS_MIN:
            return
        held = self.samples.rows(Role.CALIBRATE)
        if self.serving is not None:
            vector = vector + SERVING_MEMORY * (self.serving.vector - vector)
        known = scores(self._shape, vector, self._scaler(reference), codes(self.names))
        unknown = scores(self._shape, vector, self._scaler(held), codes(self.names))
        made = calibrate(known, unknown, self._budget, self._mesh)
        self.told = made.contribution(known, unknown, self._mesh)
        self._take_up(Serving(vector.copy(), made, cycle, self.names))

    def _take_up(self, serving: Serving) -> None:
        self.serving = serving
        if serving.calibration.state is State.WATCHING:
            self.guard.offer(serving, serving.calibration.rate)

    def _hear(self, mesh: MeshTail | None) -> None:
        """Remember what the mesh says, unless it could lend all that is needed and now no longer.

        Else a gateway that began to watch on a loan would stop when peers leave or it restarts.
        """
        if mesh is None:
            return
        if self._mesh is None or mesh.rows >= min(self._mesh.rows, BORROWED / self._budget):
            self._mesh = mesh

    def realised_rate(self) -> tuple[int, int]:
        """Alarms among held-out rows, and their number: neither trained nor calibrated on.

        Held-out rows of quarantined flows are not among them, so this speaks of usual traffic.
        """
        held = self.samples.rows(Role.HOLDOUT)
        judged = self.judge(held) if len(held) else None
        return (0, 0) if judged is None else (int(judged.anomalous.sum()), len(held))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays for the store."""
        arrays: dict[str, NDArray[Any]] = prefixed("samples", self.samples.to_arrays())
        arrays["names"] = to_array(self.samples.config.names)
        if self._early:
            arrays["early"] = np.stack(self._early)
        if self._scaler is not None:
            arrays |= prefixed("scaler", self._scaler.to_arrays())
        if self.serving is not None:
            arrays["serving.vector"] = self.serving.vector
            arrays["serving.names"] = to_array(self.serving.names)
            arrays["serving.cycle"] = np.array([self.serving.cycle], np.int64)
            arrays |= prefixed("calibration", self.serving.calibration.to_arrays())
        if self.told is not None:
            arrays["told"] = self.told
        if self._mesh is not None:
            arrays["mesh"] = np.array([*self._mesh.shares, self._mesh.ratio, self._mesh.rows])
        return arrays

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Become what `to_arrays` described. The 30 s context starts empty.

        Raises:
            StateError: an array is absent or damaged.
        """
        self._grow(*from_array(arrays["names"])[len(self.samples.config.names) :][:LABELS_MAX])
        self.samples.restore(group_of(arrays, "samples"))
        self._early = list(arrays.get("early", ()))
        if scaler := group_of(arrays, "scaler"):
            self._scaler = Scaler.from_arrays(scaler)
        vector = arrays.get("serving.vector")
        if vector is not None and vector.shape == (self._shape.layout.dim,):
            calibration = Calibration.from_arrays(group_of(arrays, "calibration"))
            names = from_array(arrays["serving.names"])
            self._take_up(Serving(vector, calibration, int(arrays["serving.cycle"][0]), names))
            self.rehearsed = names[len(self.samples.config.names) :]
        self.told = _of_the_mesh(arrays, "told")
        if (mesh := _of_the_mesh(arrays, "mesh")) is not None:
            self._mesh = MeshTail(mesh[:-2], float(mesh[-2]), int(mesh[-1]))
        if self.state is State.WATCHING:  # until then every row helps, and nothing is alarming
            self._cold_left, self._warm_ts_s = COLD_FLOWS_MAX, None


def _of_the_mesh(arrays: dict[str, NDArray[Any]], name: str) -> Numbers | None:
    """Stored numbers that went to the mesh or came from it; None where there were none."""
    found = arrays.get(name)
    if found is None:
        return None
    if found.shape != (LENGTH,) or found.dtype != np.float64 or not (found >= 0).all():
        raise StateError(f"the stored watch.{name} is damaged; restore the folder from a backup")
    return found
