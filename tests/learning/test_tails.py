"""Thresholds that borrow: split conformal without a mesh, bounded by it with any, good with one."""

from math import inf, isinf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from gossip.learning.calibration import conformal_threshold, expected_rate
from gossip.learning.tails import (
    BORROWED,
    CEILING,
    CONFIDENCE,
    LENGTH,
    LEVELS,
    MeshTail,
    Threshold,
    alarms_a_day,
    allowed,
    chance_of_worst,
    contribution,
    threshold,
    without_outliers,
)

NONE = np.empty(0)
BUDGETS = st.sampled_from([0.005, 0.01, 0.02, 0.1, 0.25])


def gateway(rng: np.random.Generator, count: int) -> np.ndarray:
    """Benign scores: skewed, and each gateway's on a scale of its own."""
    where, scale = rng.normal(), np.exp(0.5 * rng.normal())
    return np.asarray(where + scale * rng.gamma(2.0, size=count))


def gateways(count: int, rows: int, seed: int = 1) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Calibration rows and reference rows of some, and the same followed by 20,000 to test on."""
    rng = np.random.default_rng(seed)
    drawn = [gateway(rng, rows + 150 + 20_000) for _ in range(count)]
    return [own[: rows + 150] for own in drawn], [own[rows + 150 :] for own in drawn]


def mesh_of(owns: list[np.ndarray], rows: int) -> MeshTail:
    said: MeshTail | None = None
    for _ in range(2):  # the second time with a common unit
        told = [contribution(own[:rows], own[rows:], said) for own in owns]
        said = MeshTail.of(np.mean([each for each in told if each is not None], axis=0), 40)
    assert said is not None
    return said


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=300), BUDGETS)
def test_without_a_mesh_it_is_split_conformal(values: list[int], budget: float) -> None:
    scores = np.array(values, np.float64)
    found = threshold(scores, NONE, budget)
    assert found.value == conformal_threshold(scores, budget)
    assert found.rate_max == pytest.approx(budget)
    if found.value < inf and len(set(values)) == len(values):
        assert found.interval() == expected_rate(len(scores), budget)


mesh_tails = st.builds(
    lambda shares, ratio, rows: MeshTail.of(np.array([*shares, ratio, rows]), 64),
    st.lists(st.floats(0, 1), min_size=len(LEVELS), max_size=len(LEVELS)),
    st.floats(0, 1),
    st.floats(0, 1),
)


@given(
    st.lists(st.floats(-50, 50, width=16), min_size=2, max_size=60),
    st.lists(st.floats(-50, 50, width=16), max_size=60),
    mesh_tails,
    st.sampled_from([0.01, 0.03, 0.09]),
)
def test_whatever_the_mesh_says_the_rate_is_bounded(
    values: list[float], reference: list[float], mesh: MeshTail, budget: float
) -> None:
    """Each of n + 1 exchangeable rows may be the new one: no more alarm than `rate_max` says."""
    scores = np.array(values, np.float64)
    found = [
        threshold(np.delete(scores, i), np.array(reference), budget, mesh)
        for i in range(len(scores))
    ]
    alarms = sum(score > each.value for score, each in zip(scores, found, strict=True))
    assert alarms <= found[0].rate_max * len(scores) + 1e-6


@pytest.mark.parametrize("rows", [50, 100, 400])
def test_a_gateway_with_few_rows_keeps_its_budget_and_finds_more(rows: int) -> None:
    owns, tests = gateways(40, rows)
    said = mesh_of(owns, rows)
    borrowed = [threshold(own[:rows], own[rows:], 0.01, said) for own in owns]
    alone = [threshold(own[:rows], NONE, 0.01) for own in owns]
    rates = [(new > each.value).mean() for new, each in zip(tests, borrowed, strict=True)]
    assert 0.003 < np.mean(rates) < 0.01
    assert max(rates) < 0.025
    assert all(each.borrowed == BORROWED / 0.01 for each in borrowed)
    before = [(new > each.value).mean() for new, each in zip(tests, alone, strict=True)]
    assert np.std(rates) < np.std(before) or isinf(alone[0].value)
    ends = [each.interval() for each in borrowed]
    assert np.mean([rate <= high for rate, (_, high) in zip(rates, ends, strict=True)]) >= 0.95
    # With few rows the rule is cautious, so that some rates lie below their interval.
    assert np.mean([low <= rate for rate, (low, _) in zip(rates, ends, strict=True)]) >= 0.85


@pytest.mark.parametrize("budget", [0.005, 0.01, 0.05])
def test_what_is_allowed_keeps_the_budget_with_confidence(budget: float) -> None:
    shares = []
    for total in (500.0, 800.0, 4_000.0, 100_000.0):
        a = allowed(total, budget)
        assert beta.cdf(budget, a, total - a) == pytest.approx(CONFIDENCE)
        shares.append(a / (budget * total))  # the expected rate over the budget
    assert shares == sorted(shares)
    assert max(shares) < 1
    assert allowed(0.9 * np.log(1 - CONFIDENCE) / np.log(1 - budget), budget) == 0


def test_no_more_is_borrowed_than_the_mesh_has_rows() -> None:
    owns, _ = gateways(3, 50)
    shares = np.mean([contribution(own[:50], own[50:]) for own in owns], axis=0)
    found = threshold(owns[0][:50], owns[0][50:], 0.01, MeshTail.of(shares, 4))
    assert found.borrowed == 200
    assert found.rate_max == pytest.approx(0.01 * 251 / 51)
    nobody = threshold(owns[0][:50], owns[0][50:], 0.01, MeshTail.of(shares, 0))
    assert (nobody.borrowed, nobody.value) == (0, inf)


@given(st.integers(1, 450), st.integers(0, 450), st.sampled_from([0.005, 0.01, 0.05]))
def test_a_mesh_that_lends_little_takes_no_threshold_away(
    rows: int, lent: int, budget: float
) -> None:
    own = np.random.default_rng(rows).gamma(2.0, size=rows)
    mesh = MeshTail(np.minimum(0.1 * np.exp(-LEVELS), CEILING), 0.5, lent)
    alone = threshold(own, NONE, budget)
    assert threshold(own, NONE, budget, mesh).value < inf or alone.value == inf


def test_lies_about_tails_neither_blind_a_gateway_nor_set_it_ablaze() -> None:
    (own,), (new,) = gateways(1, 100)
    everything, nothing = np.ones(LENGTH), np.zeros(LENGTH)
    nothing[-2:] = everything[-2:]
    deaf = threshold(own[:100], own[100:], 0.01, MeshTail.of(everything, 40))
    wolf = threshold(own[:100], own[100:], 0.01, MeshTail.of(nothing, 40))
    assert wolf.value < deaf.value < inf
    assert (new > wolf.value).mean() < 2 * wolf.rate_max
    assert threshold(own[:100], NONE, 0.1, MeshTail.of(nothing, 40)).borrowed == 0


def test_a_contribution_is_shares_in_the_tails_own_units() -> None:
    own = np.random.default_rng(1).exponential(size=20_000)
    for scale, shift in ((1.0, 0.0), (7.0, -3.0)):
        said = contribution(shift + scale * own, NONE)
        assert said is not None
        assert said.shape == (LENGTH,)
        assert said[: len(LEVELS)] == pytest.approx(0.1 * np.exp(-LEVELS), abs=2e-3)
        assert (said[: len(LEVELS)] <= CEILING).all()
        assert said[-1] == 1.0
    assert contribution(own[:19], own) is None


@pytest.mark.parametrize("own", [np.zeros(50), np.r_[np.zeros(49), 1e9]])
def test_scores_without_a_spread_are_no_trouble(own: np.ndarray) -> None:
    said = contribution(own, NONE)
    assert said is not None
    assert ((said >= 0) & (said <= 1)).all()
    found = threshold(own, NONE, 0.02, MeshTail.of(said, 40))
    assert 0 <= found.value < inf
    assert found.over <= 1


def test_levels_and_shares_answer_each_other() -> None:
    tail = MeshTail.of(np.r_[0.1 * np.exp(-LEVELS), 0.5, 0.5], 10)
    for share in (0.09, 0.01, 1e-4):
        assert tail.beyond(tail.level(share)) == pytest.approx(share)
    assert tail.level(0.5) == 0.0
    assert LEVELS[-1] < tail.level(1e-9) < inf
    assert tail.beyond(100.0) < tail.beyond(50.0) < 1e-5


@pytest.mark.parametrize("budget", [0.0, 1.0, np.nan])
def test_a_senseless_budget_or_score_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold(np.ones(9), NONE, budget)
    with pytest.raises(ValueError, match="NaN"):
        threshold(np.array([1.0, np.nan]), NONE, 0.5)


def test_rows_far_out_are_left_out_while_they_are_few() -> None:
    rng = np.random.default_rng(1)
    own, other = rng.exponential(size=200), rng.exponential(size=150)
    kept, kept_other = without_outliers(np.r_[own, 40.0, 90.0], np.r_[other, 70.0])
    assert np.isin(kept, own).all()
    assert len(kept) >= 198
    assert kept_other.max() < 10
    few = without_outliers(np.r_[own, [40.0] * 20], other)
    assert [len(each) for each in few] == [220, 150]
    assert without_outliers(own[:10], NONE)[0].tolist() == own[:10].tolist()


def test_an_interval_says_nothing_where_nothing_is_known() -> None:
    assert Threshold(inf, 0.01, 5, 0).interval() == (0.0, 0.0)


def test_alarms_a_day() -> None:
    assert alarms_a_day(0.01, 1_000, 3_600) == pytest.approx(240)
    with pytest.raises(ValueError, match="no rate"):
        alarms_a_day(0.01, 5, 0)


@pytest.mark.parametrize(("trials", "gateways_"), [(126, 32), (500, 6), (10, 1)])
def test_the_worst_of_many_is_bad_by_chance(trials: int, gateways_: int) -> None:
    exact = 1 - binom.cdf(int(0.03 * trials + 1e-9), trials, 0.01) ** gateways_
    assert chance_of_worst(0.03, 0.01, trials, gateways_) == pytest.approx(exact, abs=1e-9)
    assert chance_of_worst(1.0, 0.01, trials, gateways_) == 0
