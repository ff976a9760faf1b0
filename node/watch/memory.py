"""What a gateway remembers of its flows to learn from, and which of them it believes benign."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from statistics import median_low
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossip.arrays import group_of, prefixed
from gossip.features import CONTEXT_S
from gossip.flows import Flow
from gossip.learning.learner import BENIGN, NO_LABEL
from gossip.learning.samples import Role, SampleConfig, Samples, Trust
from gossip.learning.scaling import Scaler
from gossip.learning.tails import alarms_a_day
from node.antigens.presenting import Evidence
from node.vocabulary import LABELS_MAX, from_array, known_as, to_array, with_name

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

COLD_FLOWS_MAX = 512
"""After a restart the 30 s context is empty, which looks like nothing the model knows: of the first
eight ordinary flows it found seven anomalous (measured). So flows that start within 30 s of the
first ones' end are neither judged nor believed, but never more than these; our choice."""

WITNESSES = 3
"""Flows whose middle says what time it is, so that one record that is hours late or from the future
says nothing, neither of the context after a restart nor of how often flows come. Our choice."""

FLOOD_LABELLED_MAX = 128
"""In one flood, labelled flows of a family that are learnt from: a quarter of what is kept of it
(`SampleConfig.family_max`), so that no flood displaces all that was known of other attacks. Our
choice."""

SPAN_S_MIN = 60.0
"""Flows over less than a minute give no rate worth telling. Our choice."""

Rows = NDArray[np.float32]


@dataclass(slots=True)
class Seen:
    """Counts of flows since the process started, and the times that they began at.

    Of these the middle of three in a row counts, so that no single wrong time is among them.
    """

    flows: int = 0
    labelled: int = 0
    anomalous: int = 0
    quarantined: int = 0
    pardoned: int = 0
    first_ts_s: float = inf
    last_ts_s: float = -inf

    def alarms_a_day(self, rate: float) -> float | None:
        """False alarms a day at a rate; None before flows of `SPAN_S_MIN`, by their own time."""
        span_s = self.last_ts_s - self.first_ts_s
        return None if span_s < SPAN_S_MIN else alarms_a_day(rate, self.flows, span_s)


class Memory:
    """Rows of flows, kept apart by use, and the last few flows' oddity.

    Args:
        budget: share of benign flows that may alarm.
        samples: bounds of what is remembered, and how a cycle's batches are drawn.
        seed: secret in a live node.
        peer: this gateway's peer id.

    Attributes:
        scaler: of this gateway's own rows; None before there are enough.
        budget: as given; it may be changed.
        flooded: whether there is a flood of flows, of which unlabelled ones prove nothing; set by
            whoever counts them.
    """

    def __init__(self, budget: float, samples: SampleConfig, seed: bytes, peer: str) -> None:
        self.seen = Seen()
        self.samples = Samples(samples, seed, peer)
        self.scaler: Scaler | None = None
        self.budget, self._seed, self._peer = budget, seed, peer
        self.flooded = False
        self._flood_labelled: Counter[int] = Counter()
        self._early: list[Rows] = []
        self._recent: deque[str | None] = deque(maxlen=STORM_FLOWS)  # who sent an odd one
        self._begun: deque[float] = deque(maxlen=WITNESSES)
        self._cold_ends: list[float] = []
        self._cold_left = self._warm_left = 0

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
        share = max(STORM_SHARE_MIN, STORM_BUDGETS * self.budget)
        return sum(who is not None for who in self._recent) > share * STORM_FLOWS

    def begin_cold(self) -> None:
        """From now on the flows' context may lack what was seen before a restart."""
        self._cold_left, self._warm_left = COLD_FLOWS_MAX, WITNESSES
        self._cold_ends = []

    def is_cold(self, flow: Flow) -> bool:
        """Whether the flow's context may lack what was seen before a restart."""
        if not self._cold_left:
            return False
        self._cold_left -= 1
        if len(self._cold_ends) < WITNESSES:
            self._cold_ends.append(flow.ts + flow.duration)
        elif flow.ts >= median_low(self._cold_ends) + CONTEXT_S:
            self._warm_left -= 1
            if not self._warm_left:
                self._cold_left = 0
        return self._cold_left > 0

    def learn_from(self, flow: Flow, row: Rows, *, odd: bool, cold: bool) -> tuple[bool, bool]:
        """Remember a flow.

        Returns:
            Whether nothing speaks against it but, perhaps, its score; and whether it calibrates.
        """
        self.seen.flows += 1
        self._begun.append(flow.ts)
        if len(self._begun) == WITNESSES:
            middle_ts_s = median_low(self._begun)
            self.seen.first_ts_s = min(self.seen.first_ts_s, middle_ts_s)
            self.seen.last_ts_s = max(self.seen.last_ts_s, middle_ts_s)
        self.seen.anomalous += odd
        if not self.flooded:
            self._flood_labelled.clear()
        if self.scaler is None and not self.flooded:
            self._early.append(row)
            if len(self._early) >= SCALER_ROWS:
                self.scaler = Scaler.fit(np.stack(self._early))
                self._early.clear()
        label = NO_LABEL if flow.family is None else self._label(flow.family)
        self.seen.labelled += label > 0
        self._recent.append(flow.orig_h if odd or label > 0 else None)
        trust = Trust.ODD if odd else Trust.CLEAN
        if cold or self.flooded or self.storm or self._recent.count(flow.orig_h) >= BURST_FLOWS:
            trust = Trust.UNKNOWN
            self.seen.quarantined += label == NO_LABEL
        if self.flooded and label != NO_LABEL:
            self._flood_labelled[label] += 1
            if self._flood_labelled[label] > FLOOD_LABELLED_MAX:
                return False, False
        role = self.samples.add(flow.uid, row, label, trust)
        believed = trust is not Trust.UNKNOWN and label in (NO_LABEL, BENIGN)
        return believed, role is Role.CALIBRATE

    def hear(self, words: Mapping[str, Rows]) -> None:
        """Learn from what a person said of flows, in place of all that was said before.

        Args:
            words: features by "benign" or a family of attack, unscaled float32 `(n, features)`.
        """
        self.samples.said = {}
        found: dict[int, list[Rows]] = {}
        for word, rows in words.items():
            found.setdefault(self._label(word), []).append(rows)
        self.samples.said = {label: np.concatenate(rows) for label, rows in found.items()}

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
            grown.unused, grown.said = before.unused, before.said
        self.samples = grown

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays for the store."""
        arrays: dict[str, NDArray[Any]] = prefixed("samples", self.samples.to_arrays())
        arrays["names"] = to_array(self.samples.config.names)
        if self._early:
            arrays["early"] = np.stack(self._early)
        if self.scaler is not None:
            arrays |= prefixed("scaler", self.scaler.to_arrays())
        return arrays

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Become what `to_arrays` described.

        Raises:
            StateError: an array is absent or damaged.
        """
        self._grow(*from_array(arrays["names"])[len(self.samples.config.names) :][:LABELS_MAX])
        self.samples.restore(group_of(arrays, "samples"))
        self._early = list(arrays.get("early", ()))
        if scaler := group_of(arrays, "scaler"):
            self.scaler = Scaler.from_arrays(scaler)
