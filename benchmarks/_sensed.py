"""The same packets through several sensors: flows side by side, and a detector carried across."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gossip.features import SCHEMA, extract
from gossip.flows import FAMILIES, ConnState, Flow
from gossip.learning.calibration import Calibration, calibrate
from gossip.learning.codes import codes
from gossip.learning.learner import Batches
from gossip.learning.scaling import Scaler
from gossip.learning.scoring import Scores, scores
from node.detection import SHAPE, new_learner
from scenarios.recordings import BENIGN, attack_windows, truth

Rows = NDArray[np.float32]

APART_S = 1.5
"""Between two starts of one connection. No flow of either log then has two in the other."""

EQUAL = 1e-3
"""Two numbers of a feature vector are equal if they differ by no more; 0.1 % of a count."""

CONTEXT = SCHEMA.index("src_flows")  # this feature and those after it count other flows

TRAIN, CALIBRATE = 0.3, 0.4
"""Shares of the benign flows; the others are tested on."""

CYCLES, STEPS, BATCH = 60, 8, 64

Timeouts = Mapping[str, tuple[int, int, int]]
"""By sensor, s: of a closed TCP connection, and of an exchange that was not answered, or was."""

DOCUMENTED: Timeouts = {
    "suricata": (5, 30, 300),
    "meter": (5, 30, 300),
    "ipfix": (5, 300, 300),
}
"""As docs/sensors.md has these sensors set up. softflowd has one time-out for UDP."""

UNEQUAL: Timeouts = DOCUMENTED | {"suricata": (60, 30, 300), "ipfix": (5, 30, 30)}
"""Suricata's default, and a short time-out of UDP for softflowd."""


def pairs(here: Sequence[Flow], there: Sequence[Flow]) -> list[tuple[int, int]]:
    """Places of flows with the same Community ID and about the same start; none is used twice."""
    known = defaultdict(list)
    for place, flow in enumerate(there):
        known[flow.community_id].append(place)
    found = []
    for place, flow in enumerate(here):
        near = [other for other in known[flow.community_id] if _apart(flow, there[other]) < APART_S]
        if near:
            best = min(near, key=lambda other: _apart(flow, there[other]))
            known[flow.community_id].remove(best)
            found.append((place, best))
    return found


def _apart(here: Flow, there: Flow) -> float:
    return abs(here.ts - there.ts)


def by_end(flows: Sequence[Flow]) -> list[Flow]:
    """In the order of their last packets, to the millisecond."""
    return sorted(flows, key=lambda flow: (_ms(flow.ts + flow.duration), flow.community_id))


def as_reported(flows: Sequence[Flow], timeouts: Timeouts = DOCUMENTED) -> list[Flow]:
    """In the order in which a live sensor with these time-outs reports them."""
    return sorted(flows, key=lambda flow: (_due_s(flow, timeouts), flow.community_id))


def _due_s(flow: Flow, timeouts: Timeouts) -> float:
    closed, unanswered, answered = timeouts[flow.sensor]
    after = answered if flow.state is ConnState.CLOSED else unanswered
    if flow.proto == "tcp":
        silent = 60 if flow.state is ConnState.NO_REPLY else 600
        gone = flow.state in {ConnState.CLOSED, ConnState.RESET, ConnState.REJECTED}
        after = closed if gone else silent
    return flow.ts + flow.duration + after


def _ms(ts_s: float) -> int:
    return round(ts_s * 1e6) // 1_000


def agreement(here: Sequence[Flow], there: Sequence[Flow]) -> tuple[int, float, float, float]:
    """How far two sensors' vectors agree, flows taken in the order of their ends.

    Returns:
        Paired flows; shares of them with equal features: all but the context, all with a context
        of paired flows, and all with a context of the whole logs.
    """
    here, there = by_end(here), by_end(there)
    found = pairs(here, there)
    firsts, seconds = [i for i, _ in found], [j for _, j in found]
    whole = np.abs(extract(here)[firsts] - extract(there)[seconds]) <= EQUAL
    # What one log has and the other has not still shifts counts; in one order of the pairs, not.
    paired = np.abs(
        extract([here[i] for i in firsts]) - extract([there[j] for j in seconds])
    ) <= EQUAL  # fmt: skip
    return (
        len(found),
        float(whole[:, :CONTEXT].all(axis=1).mean()),
        float(paired.all(axis=1).mean()),
        float(whole.all(axis=1).mean()),
    )


def benign(flows: Sequence[Flow], site: str) -> tuple[Rows, list[Flow]]:
    """Vectors of the benign flows, in the order given; attacks are part of their context."""
    windows = attack_windows()
    kept = [i for i, flow in enumerate(flows) if truth(flow, site, windows) == BENIGN]
    return extract(flows)[kept], [flows[i] for i in kept]


def places(flows: Sequence[Flow], seed: int) -> NDArray[np.float64]:
    """Where each flow falls in [0, 1): one connection in the same place for every sensor."""
    names = [f"{flow.community_id} {round(flow.ts) // 4}".encode() for flow in flows]
    key = seed.to_bytes(8, "big")
    digests = [blake2b(name, digest_size=8, key=key).digest() for name in names]
    return np.array([int.from_bytes(digest, "big") * 2.0**-64 for digest in digests])


class Guarded:
    """A detector of one sensor's benign flows, trained and calibrated."""

    def __init__(self, rows: Rows, at: NDArray[np.float64], budget: float, seed: int) -> None:
        known = rows[at < TRAIN]
        self._scaler = Scaler.fit(known)
        self._vector = self._trained(known, seed)
        own = rows[(at >= TRAIN) & (at < TRAIN + CALIBRATE)]
        self.calibration: Calibration = calibrate(self._scores(known), self._scores(own), budget)

    def _trained(self, rows: Rows, seed: int) -> Rows:
        learner, rng = new_learner(), np.random.default_rng(seed)
        vector = SHAPE.initial(seed.to_bytes(8, "big"))[None]
        momentum = np.zeros_like(vector)
        known = np.ones((1, len(FAMILIES)), np.bool_)
        labels = np.zeros((1, STEPS, BATCH), np.int64)
        for _ in range(CYCLES):
            x = self._scaler(rows[rng.integers(len(rows), size=(1, STEPS, BATCH))])
            done = learner.train(vector, momentum, Batches(x, labels, known, codes(FAMILIES)))
            vector, momentum = done.vectors, done.momentum
        return vector[0]

    def _scores(self, rows: Rows) -> Scores:
        return scores(SHAPE, self._vector, self._scaler(rows), codes(FAMILIES))

    def rate(self, rows: Rows, at: NDArray[np.float64]) -> float:
        """Share of alarms among the rows to test on."""
        return float(self.calibration.alarms(self._scores(rows[at >= TRAIN + CALIBRATE])).mean())


def carried(
    logs: Mapping[str, Sequence[Flow]], site: str, budget: float, seeds: int
) -> dict[tuple[str, str], list[float]]:
    """False-alarm rates on each sensor's flows of a detector calibrated on each, by seed."""
    seen = {name: benign(flows, site) for name, flows in logs.items()}
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    for seed in range(seeds):
        at = {name: places(flows, seed) for name, (_, flows) in seen.items()}
        for here in logs:
            guarded = Guarded(seen[here][0], at[here], budget, seed)
            for there in logs:
                rates[here, there].append(guarded.rate(seen[there][0], at[there]))
    return rates
