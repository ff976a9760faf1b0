from math import inf, isinf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import StateError
from gossip.learning.calibration import (
    Calibration,
    State,
    Tail,
    calibrate,
    conformal_threshold,
    expected_rate,
    rows_needed,
)
from gossip.learning.scoring import Scores
from gossip.learning.tails import MeshTail


def benign(n: int, seed: int, shift: float = 0.0) -> Scores:
    """Scores as a detector gives them: skewed errors, odds that are correlated with them."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=n)
    error = np.exp(common + rng.normal(size=n) + shift).astype(np.float32)
    odds = (-6 + common + rng.normal(size=n) + shift).astype(np.float32)
    p = 1 / (1 + np.exp(odds))
    return Scores(error, np.stack([p, 1 - p], 1).astype(np.float32), odds)


def test_the_threshold_is_the_rank_of_the_textbook() -> None:
    calibration = np.arange(1, 200, dtype=np.float64)  # 199 rows: ceil(200 * 0.99) = 198
    assert conformal_threshold(calibration[::-1], 0.01) == 198
    assert conformal_threshold(calibration, 0.5) == 100
    assert isinf(conformal_threshold(calibration, 0.004))  # ceil(200 * 0.996) = 200 > 199


@pytest.mark.parametrize("budget", [0.0, 1.0, -1, np.nan])
def test_a_senseless_budget_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        conformal_threshold(np.ones(9), budget)


def test_a_nan_score_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        conformal_threshold(np.array([1.0, np.nan]), 0.5)


@given(
    st.lists(st.integers(-5, 5), min_size=2, max_size=60),
    st.sampled_from([0.02, 0.1, 0.25, 0.5]),
)
def test_on_exchangeable_rows_the_budget_holds_exactly(values: list[int], budget: float) -> None:
    """Any one of n + 1 exchangeable rows may be the new one: at most (n + 1) budget of them alarm.

    This is the whole proof of conformal prediction, ties included, checked without chance.
    """
    scores = np.array(values, np.float64)
    alarms = sum(
        scores[i] > conformal_threshold(np.delete(scores, i), budget) for i in range(len(scores))
    )
    assert alarms <= budget * len(scores) + 1e-9


@pytest.mark.parametrize("budget", [0.01, 0.05])
def test_both_scores_together_keep_the_budget(budget: float) -> None:
    rates = []
    for seed in range(40):
        reference, rows, new = (benign(n, 3 * seed + i) for i, n in enumerate((300, 1000, 4000)))
        rates.append(calibrate(reference, rows, budget).alarms(new).mean())
    # The mean of 40 rates of Beta(n budget, …) has a standard error of budget / sqrt(400) or less.
    assert np.mean(rates) == pytest.approx(budget, rel=0.2)
    low, high = expected_rate(1000, budget, 0.999)
    assert all(low - 0.005 <= rate <= high + 0.005 for rate in rates)


def test_the_budget_holds_even_with_reference_rows_of_another_kind() -> None:
    """As after training: errors on training rows are lower than on fresh ones."""
    rates = [
        calibrate(benign(300, 3 * s, -2.0), benign(1000, 3 * s + 1), 0.02)
        .alarms(benign(4000, 3 * s + 2))
        .mean()
        for s in range(40)
    ]
    assert np.mean(rates) == pytest.approx(0.02, rel=0.2)


def test_either_score_alone_can_alarm() -> None:
    calibration = calibrate(benign(500, 1), benign(2000, 2), 0.01)
    quiet = benign(4, 3)
    error, odds = np.ones(4, np.float32), np.full(4, -6, np.float32)
    error[1], odds[2] = 1e4, 20
    loud = Scores(error, quiet.families, odds)
    assert calibration.alarms(loud).tolist() == [False, True, True, False]
    by_error, by_odds = calibration.surprises(loud)
    assert np.array_equal(calibration.combined(loud), np.maximum(by_error, by_odds))


def test_a_gateway_learns_until_it_has_rows_enough() -> None:
    assert rows_needed(0.005) == 2000
    few = calibrate(benign(100, 1), benign(1999, 2), 0.005)
    assert few.state is State.LEARNING
    assert few.threshold == inf
    assert not few.alarms(benign(100, 3, shift=50.0)).any()
    enough = calibrate(benign(100, 1), benign(2000, 2), 0.005)
    assert enough.state is State.WATCHING
    assert enough.alarms(benign(100, 3, shift=50.0)).all()


def test_the_interval_of_the_rate_narrows_with_rows() -> None:
    # Beta(n + 1 - k, k), n = 1999, budget 0.01: Beta(20, 1980).
    low, high = expected_rate(1999, 0.01)
    assert (low, high) == pytest.approx((0.0061, 0.0148), abs=2e-4)
    assert expected_rate(200_000, 0.01)[1] - expected_rate(200_000, 0.01)[0] < (high - low) / 9
    assert expected_rate(10, 0.01) == (0.0, 0.0)
    assert calibrate(benign(100, 1), benign(1999, 2), 0.01).rate == (low, high)


@given(st.lists(st.floats(-50, 50, width=32), min_size=20, max_size=200))
def test_surprise_never_falls_as_the_score_grows(values: list[float]) -> None:
    tail = Tail.fit(np.array(values, np.float32))
    surprise = tail(np.linspace(-60, 60, 500))
    assert np.isfinite(surprise).all()
    assert (np.diff(surprise) >= 0).all()


def test_surprise_is_the_log_of_the_tail() -> None:
    scores = np.random.default_rng(1).exponential(size=20_000)
    tail = Tail.fit(scores)
    assert tail(np.array([0.5, 1.0, 3.0, 9.0])) == pytest.approx([0.5, 1.0, 3.0, 9.0], rel=0.1)


@pytest.mark.parametrize("values", [np.ones(19), np.full(50, np.nan), np.full(50, np.inf)])
def test_a_tail_needs_finite_scores(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="20 finite scores"):
        Tail.fit(values)


def test_it_survives_the_store() -> None:
    for rows in (2000, 10):
        calibration = calibrate(benign(100, 1), benign(rows, 2), 0.01)
        again = Calibration.from_arrays(calibration.to_arrays())
        new = benign(100, 3)
        assert np.array_equal(again.combined(new), calibration.combined(new))
        assert (again.budget, again.rows, again.threshold, again.state) == (
            calibration.budget,
            calibration.rows,
            calibration.threshold,
            calibration.state,
        )


@pytest.mark.parametrize("name", ["summary", "error", "odds"])
def test_a_damaged_store_is_refused(name: str) -> None:
    arrays = calibrate(benign(100, 1), benign(1000, 2), 0.01).to_arrays()
    for bad in (arrays[name][:1], arrays[name] * np.nan):
        with pytest.raises(StateError, match="damaged"):
            Calibration.from_arrays({**arrays, name: bad})
    del arrays[name]
    with pytest.raises(StateError, match=name):
        Calibration.from_arrays(arrays)


def lent(count: int, rows: int) -> tuple[list[Calibration], MeshTail]:
    """Gateways that tell each other of their tails; calibrated with what they hear."""
    scored = [(benign(150, 2 * s), benign(rows, 2 * s + 1)) for s in range(count)]
    first = [calibrate(reference, own, 0.01) for reference, own in scored]
    told = [
        made.contribution(reference, own)
        for made, (reference, own) in zip(first, scored, strict=True)
    ]
    mesh = MeshTail.of(np.mean([each for each in told if each is not None], axis=0), count)
    return [calibrate(reference, own, 0.01, mesh) for reference, own in scored], mesh


def test_a_gateway_watches_sooner_with_what_the_mesh_lends() -> None:
    made, mesh = lent(12, 80)
    assert mesh.rows >= 900
    rates = [each.alarms(benign(4000, 100 + s)).mean() for s, each in enumerate(made)]
    assert all(each.state is State.WATCHING for each in made)
    assert np.mean(rates) == pytest.approx(0.01, rel=0.4)
    low, high = made[0].rate
    assert low < np.mean(rates) < high < 0.05
    again = Calibration.from_arrays(made[0].to_arrays())
    assert (again.limit, again.rate) == (made[0].limit, made[0].rate)


@pytest.mark.parametrize(("rows", "peers"), [(49, 40), (80, 2)])
def test_few_rows_or_a_small_mesh_do_not_suffice(rows: int, peers: int) -> None:
    _, mesh = lent(4, 80)
    few = MeshTail(mesh.shares, mesh.ratio, 80 * peers)
    made = calibrate(benign(150, 1), benign(rows, 2), 0.01, few)
    assert (made.state, made.threshold, made.rate) == (State.LEARNING, inf, (0.0, 0.0))


def test_a_store_from_before_gateways_could_borrow_is_read() -> None:
    made = calibrate(benign(100, 1), benign(1000, 2), 0.01)
    arrays = made.to_arrays()
    again = Calibration.from_arrays({**arrays, "summary": arrays["summary"][:5]})
    assert (again.threshold, again.rate, again.state) == (made.threshold, made.rate, made.state)


def test_unseen_attacks_among_the_calibration_rows_can_be_left_out() -> None:
    own, attacks = benign(1200, 2), benign(24, 3, shift=12.0)
    dirty = Scores(*(np.concatenate(each) for each in zip(parts(own), parts(attacks), strict=True)))
    new = benign(300, 4, shift=12.0)
    blind, seeing = (calibrate(benign(300, 1), dirty, 0.01, trim=trim) for trim in (False, True))
    assert blind.alarms(new).mean() < 0.7 < 0.98 < seeing.alarms(new).mean()
    assert seeing.alarms(benign(4000, 5)).mean() < 0.025


def parts(scores: Scores) -> tuple[np.ndarray, ...]:
    return scores.error, scores.families, scores.odds
