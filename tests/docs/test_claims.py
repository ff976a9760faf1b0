"""What docs/threat-model.md claims of a poisoned model, on synthetic traffic."""

import numpy as np
import pytest

from gossip.learning.beta import clopper_pearson
from tests.learning.test_together import BUDGET, LEARNER, SHAPE, Gateway, attack, benign

FORGERIES = {
    "fresh": SHAPE.initial(b"somebody else's"),
    "zeros": np.zeros(SHAPE.layout.dim, np.float32),
    "noise": 100 * np.random.default_rng(1).normal(size=SHAPE.layout.dim).astype(np.float32),
    "bound": np.full(SHAPE.layout.dim, 1e6, np.float32),
}


@pytest.fixture(scope="module")
def trained() -> Gateway:
    gateway = Gateway(1, labelled=True)
    for cycle in range(40):
        gateway.train(LEARNER, cycle)
    return gateway


def judged(gateway: Gateway) -> tuple[float, float, float]:
    """Lowest plausible false-alarm rate (99.9 %), the highest to expect, and attacks named."""
    calibration = gateway.calibrate()
    alarms = calibration.alarms(gateway.scores(benign(4000, gateway.number, 3)))
    low, _ = clopper_pearson(int(alarms.sum()), len(alarms), 0.999)
    named = np.mean([gateway.named(family) for family in (1, 2)])
    return low, calibration.rate[1], float(named)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_model_blinds_and_does_not_cry_wolf(trained: Gateway, forgery: str) -> None:
    honest = trained.vector
    try:
        trained.vector = honest.copy()
        trained.vector[: SHAPE.shared] = FORGERIES[forgery][: SHAPE.shared]
        low, expected_high, named = judged(trained)
    finally:
        trained.vector = honest
    assert expected_high < 2 * BUDGET
    assert low <= expected_high
    assert named < 0.9


def test_the_honest_model_sees_and_keeps_the_same_budget(trained: Gateway) -> None:
    low, expected_high, named = judged(trained)
    assert low <= expected_high < 2 * BUDGET
    assert named > 0.9
    assert trained.calibrate().alarms(trained.scores(attack(200, 1, 9))).mean() > 0.95
