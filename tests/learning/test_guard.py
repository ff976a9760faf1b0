"""A gateway whose rate leaves its interval says so, and goes back or follows, as the cause is."""

import numpy as np
import pytest

from gossip.errors import StateError
from gossip.learning.guard import (
    FIRST_LOOK,
    LONG_LOOK,
    TRIALS,
    Breach,
    Cause,
    Guard,
    Remedy,
    Standing,
)

EXPECTED = (0.003, 0.023)
BUDGET = 0.01


def watching(model: str = "first") -> Guard[str]:
    guard = Guard[str](BUDGET)
    assert guard.offer(model, EXPECTED) == model
    return guard


def feed(guard: Guard[str], rate: float, flows: int, seed: int = 1, shift: float = 0.0) -> int:
    """Flows until a breach, which is then the last one seen; `flows` where there is none."""
    rng = np.random.default_rng(seed)
    for i in range(flows):
        alarm = bool(rng.random() < rate)
        if guard.saw(float(rng.exponential()) + shift, alarm) is not None:
            return i + 1
    return flows


def proven() -> Guard[str]:
    guard = watching("good")
    assert feed(guard, BUDGET, 600) == 600
    assert (guard.standing, guard.good) == (Standing.PROVEN, "good")
    return guard


def fallen() -> Guard[str]:
    guard = proven()
    guard.offer("poisoned", EXPECTED)
    assert feed(guard, 0.2, 2_000) < 300
    assert guard.settle(200, 40, 2) is Remedy.FALL_BACK
    return guard


def test_a_rate_within_its_interval_is_left_alone() -> None:
    for seed in range(10):
        guard = watching()
        assert feed(guard, BUDGET, LONG_LOOK, seed) == LONG_LOOK
        assert guard.reason is None


@pytest.mark.parametrize(("rate", "flows_max"), [(0.06, 1_500), (0.15, 400)])
def test_a_rate_out_of_its_interval_is_said_with_numbers(rate: float, flows_max: int) -> None:
    guard = watching()
    assert feed(guard, rate, flows_max) < flows_max
    assert guard.reason is not None
    assert "flows believed benign raised alarms" in guard.reason
    assert "0.3% to 2.3% were expected" in guard.reason
    alarms, flows = guard.realised
    assert alarms > flows * EXPECTED[1]


def test_a_rate_a_little_out_of_its_interval_is_said_in_time() -> None:
    found = [feed(watching(), 0.035, 2 * LONG_LOOK, seed) for seed in range(3)]
    assert max(found) <= LONG_LOOK


def test_a_rate_that_rises_later_is_noticed_too() -> None:
    guard = proven()
    assert feed(guard, 0.1, 2_000, seed=5) < 500


def test_scores_that_rise_are_noticed_before_they_alarm() -> None:
    guard = proven()
    rng = np.random.default_rng(4)
    found: Breach | None = None
    for _ in range(300):
        found = found or guard.saw(float(rng.exponential()) + 1.0, alarm=False)
    assert found is not None
    assert found.cause is Cause.TRAFFIC
    assert "score higher than before" in found.reason
    falling = proven()
    for _ in range(300):
        assert falling.saw(0.01, alarm=False) is None


def test_a_bad_model_gives_way_to_the_last_good_one_until_a_new_one_is_proven() -> None:
    guard = fallen()
    assert (guard.serving, guard.standing) == ("good", Standing.FALLEN)
    assert guard.reason is not None
    assert guard.offer("newer", EXPECTED) == "good", "it waits until it has proven itself"
    assert not guard.trial(200, 30)
    assert [guard.trial(200, 2) for _ in range(TRIALS)] == [False] * (TRIALS - 1) + [True]
    assert (guard.serving, guard.standing) == ("newer", Standing.UNPROVEN)
    assert not guard.trial(200, 0), "nothing is on trial now"
    assert feed(guard, BUDGET, 600) == 600
    assert (guard.standing, guard.good, guard.reason) == (Standing.PROVEN, "newer", None)


def test_what_is_proven_served_when_the_counts_began() -> None:
    guard = watching("good")
    assert feed(guard, BUDGET, 500) == 500
    guard.offer("newest", EXPECTED)
    assert feed(guard, BUDGET, 100, seed=2) == 100
    assert (guard.standing, guard.good, guard.serving) == (Standing.PROVEN, "good", "newest")


def test_a_storm_that_the_last_good_model_does_not_see_is_the_newer_ones_fault() -> None:
    guard = proven()
    guard.offer("poisoned", EXPECTED)
    assert guard.doubted(FIRST_LOOK // 2, FIRST_LOOK // 2, 0) is None
    breach = guard.doubted(FIRST_LOOK // 2, FIRST_LOOK // 2, 1)
    assert breach is not None
    assert (breach.cause, breach.flows, breach.good_alarms) == (Cause.STORM, FIRST_LOOK, 1)
    assert guard.settle(breach.flows, breach.alarms, breach.good_alarms) is Remedy.FALL_BACK
    assert guard.doubted(200, 200, 0) is None, "an older one serves already"
    guard = proven()
    guard.offer("newer", EXPECTED)
    assert guard.doubted(200, 190, 120) is None, "both see it, so it may be an attack"
    assert watching().doubted(200, 190, 0) is None, "nothing to compare with"


def test_trials_have_to_be_passed_in_a_row_and_on_rows_enough() -> None:
    guard = fallen()
    guard.offer("newer", EXPECTED)
    results = [guard.trial(200, alarms) for alarms in (1, 1, 50, 1, 1)]
    assert not any(results)
    assert not guard.trial(5, 0)
    assert guard.serving == "good"


def test_where_the_good_model_fares_no_better_the_threshold_follows_the_traffic() -> None:
    for good_alarms in (38, 41, None):
        guard = proven()
        guard.offer("newer", EXPECTED)
        assert guard.settle(200, 40, good_alarms) is Remedy.RECALIBRATE
        assert guard.standing is Standing.UNPROVEN
        guard.recalibrated("anew", EXPECTED)
        assert (guard.serving, guard.good) == ("anew", "good")


def test_a_good_model_whose_threshold_is_made_anew_does_not_bring_back_the_bad_one() -> None:
    guard = fallen()
    guard.offer("poisoned", EXPECTED)
    assert feed(guard, 0.2, 2_000, seed=3) < 2_000
    assert guard.settle(200, 40, 40) is Remedy.RECALIBRATE
    guard.recalibrated("good anew", EXPECTED)
    assert (guard.serving, guard.good) == ("good anew", "good anew")
    assert guard.offer("poisoned still", EXPECTED) == "good anew", "without a trial"
    assert guard.standing is Standing.FALLEN


def test_what_came_back_by_trials_is_not_held_against_an_older_one_again() -> None:
    guard = fallen()
    guard.offer("knows more", EXPECTED)
    assert [guard.trial(200, 2) for _ in range(TRIALS)][-1]
    assert guard.good == "knows more"
    guard.offer("knows no less", EXPECTED)
    assert guard.doubted(200, 190, 185) is None


def test_it_takes_more_than_chance_and_fewer_alarms_to_fall_back() -> None:
    guard = proven()
    guard.offer("newer", EXPECTED)
    assert guard.settle(200, 2, 0) is Remedy.RECALIBRATE, "the one that serves keeps its promise"


@pytest.mark.parametrize(
    ("good_alarms", "remedy"), [(5, Remedy.FALL_BACK), (6, Remedy.RECALIBRATE)]
)
def test_the_last_good_model_must_alarm_half_as_often(good_alarms: int, remedy: Remedy) -> None:
    guard = proven()
    guard.offer("newer", EXPECTED)
    assert guard.settle(200, 10, good_alarms) is remedy  # alone either keeps its promise


def restored(guard: Guard[str], **changes: np.ndarray) -> Guard[str]:
    again = Guard[str](BUDGET)
    again.restore({**guard.to_arrays(), **changes}, guard.serving, guard.good)
    return again


def test_everything_but_a_trial_outlives_a_restart() -> None:
    guard = fallen()
    guard.offer("newer", EXPECTED)
    assert feed(guard, BUDGET, 100) == 100
    again = restored(guard)
    assert (again.standing, again.reason) == (Standing.FALLEN, guard.reason)
    assert (again.serving, again.good, again.candidate) == ("good", "good", None)
    assert (again.realised, again.expected) == (guard.realised, EXPECTED)
    assert again.to_arrays().keys() == guard.to_arrays().keys()
    poisoned = watching("good")
    assert feed(poisoned, BUDGET, 600) == 600
    poisoned.offer("poisoned", (0.0, 0.01))
    again = restored(poisoned)
    assert feed(again, 0.2, 2_000) < 300
    assert again.settle(200, 40, 2) is Remedy.FALL_BACK
    assert (again.serving, again.expected) == ("good", EXPECTED)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("standing", np.array([3])),
        ("standing", np.array([-1])),
        ("counts", np.array([5, 6, 0, 64, 0, 0])),
        ("counts", np.array([5, 4, 0, 65, 0, 0])),
        ("counts", np.array([5, 4, 2**39, 64, 0, 0])),
        ("counts", np.array([5, 4, 0, 64, 0, LONG_LOOK])),
        ("counts", np.zeros(6)),
        ("expected", np.array([[0.5, np.nan], [0.0, 1.0]])),
        ("expected", np.zeros(3)),
        ("reason", np.full(4, 0xFF, np.uint8)),
    ],
)
def test_what_was_stored_is_checked(name: str, value: np.ndarray) -> None:
    with pytest.raises(StateError, match="damaged; restore the folder from a backup"):
        restored(fallen(), **{name: value})


def test_to_have_fallen_back_without_a_good_model_is_damage() -> None:
    again = Guard[str](BUDGET)
    with pytest.raises(StateError, match="damaged"):
        again.restore(fallen().to_arrays(), "good", None)


def test_a_senseless_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Guard[str](0.0)
