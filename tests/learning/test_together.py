"""The room as a whole: two gateways with traffic of their own, one of them without labels."""

import numpy as np
from numpy.typing import NDArray

from gossip.learning.beta import clopper_pearson
from gossip.learning.calibration import Calibration, State, calibrate
from gossip.learning.codes import codes
from gossip.learning.in_numpy import Detector
from gossip.learning.in_torch import TorchDetector
from gossip.learning.learner import Learner
from gossip.learning.samples import Role, SampleConfig, Samples
from gossip.learning.scaling import Scaler
from gossip.learning.scoring import Scores, scores
from gossip.learning.shapes import DetectorShape

SHAPE = DetectorShape(10, hidden=24, code=4, judge=8)
BUDGET = 0.02
NAMES = ("benign", "flood", "scan")


def benign(n: int, gateway: int, seed: int) -> NDArray[np.float32]:
    """Three kinds of flow on a plane of its own; the last four columns are quiet."""
    rng = np.random.default_rng([seed, gateway])
    plane = np.random.default_rng(gateway).normal(size=(3, 6))
    rows = 0.2 * rng.normal(size=(n, 10))
    rows[:, :6] += plane[rng.integers(3, size=n)] * rng.uniform(0.5, 1.5, (n, 1))
    return rows.astype(np.float32)


def attack(n: int, family: int, seed: int) -> NDArray[np.float32]:
    """Each family stirs two of the quiet columns, on any network."""
    rows = benign(n, 5, seed)
    rows[:, 4 + 2 * family : 6 + 2 * family] += 3
    return rows


class Gateway:
    def __init__(self, number: int, *, labelled: bool) -> None:
        self.number = number
        self.samples = Samples(SampleConfig(10, NAMES, steps=4, rows=32), b"seed", f"g{number}")
        for i, row in enumerate(benign(2500, number, 1)):
            self.samples.add(f"b{i}", row)
        for family in (1, 2) if labelled else ():
            for i, row in enumerate(attack(60, family, 2)):
                self.samples.add(f"a{family}-{i}", row, label=family)
        self.scaler = Scaler.fit(self.samples.rows(Role.TRAIN))
        self.vector = SHAPE.initial(b"both")
        self.momentum = np.zeros_like(self.vector)

    def train(self, learner: Learner, cycle: int) -> None:
        batches = self.samples.batches(cycle, self.scaler)
        assert batches is not None
        outcome = learner.train(self.vector[None], self.momentum[None], batches)
        self.vector, self.momentum = outcome.vectors[0], outcome.momentum[0]

    def scores(self, rows: NDArray[np.float32]) -> Scores:
        return scores(SHAPE, self.vector, self.scaler(rows), codes(NAMES))

    def calibrate(self) -> Calibration:
        reference, rows = (self.samples.rows(r) for r in (Role.TRAIN, Role.CALIBRATE))
        return calibrate(self.scores(reference), self.scores(rows), BUDGET)

    def named(self, family: int) -> float:
        return float((self.scores(attack(200, family, 9)).families.argmax(1) == family).mean())


def pair(learner: Learner, *, merging: bool, cycles: int = 40) -> list[Gateway]:
    gateways = [Gateway(1, labelled=True), Gateway(2, labelled=False)]
    for cycle in range(cycles):
        for gateway in gateways:
            gateway.train(learner, cycle)
        if merging and cycle < cycles - 1:
            mean = (gateways[0].vector + gateways[1].vector) / 2
            for gateway in gateways:
                gateway.vector[: SHAPE.shared] = mean[: SHAPE.shared]
    return gateways


LEARNER = Detector(SHAPE)


def test_a_gateway_without_labels_learns_names_from_its_neighbour() -> None:
    alone, meshed = (pair(LEARNER, merging=merging)[1] for merging in (False, True))
    for family in (1, 2):
        assert alone.named(family) < 0.1
        assert meshed.named(family) > 0.9
    quiet = meshed.scores(benign(1000, 2, 3)).families.argmax(1)
    assert (quiet == 0).mean() > 0.98


def test_every_gateway_finds_attacks_within_its_budget() -> None:
    for gateway in pair(LEARNER, merging=True):
        calibration = gateway.calibrate()
        assert calibration.state is State.WATCHING
        alarms = calibration.alarms(gateway.scores(benign(4000, gateway.number, 3)))
        low, high = clopper_pearson(int(alarms.sum()), len(alarms), 0.999)
        assert low <= calibration.rate[1]
        assert high >= calibration.rate[0]
        for family in (1, 2):
            assert calibration.alarms(gateway.scores(attack(200, family, 9))).mean() > 0.95


def test_both_learners_teach_the_same() -> None:
    learners = (TorchDetector(SHAPE), LEARNER)
    ours, theirs = (pair(each, merging=True, cycles=5)[1].vector for each in learners)
    assert np.allclose(ours, theirs, atol=1e-4)
