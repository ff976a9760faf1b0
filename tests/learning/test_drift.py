"""The change detector against the definition written out, and its errors and delays."""

from itertools import pairwise
from math import log, sqrt

import numpy as np
import pytest

from gossip.learning.drift import BUCKETS_MAX, CONFIDENCE, LOOK_EVERY, PART_MIN, Adwin


def differs(window: np.ndarray, cut: int) -> bool:
    """The bound of the paper, for one place to cut, by all numbers of the window."""
    n, old, new = len(window), window[:cut], window[cut:]
    inverse = 1 / (len(old) - PART_MIN + 1) + 1 / (len(new) - PART_MIN + 1)
    spread = log(2 * log(n) / CONFIDENCE)
    bound = sqrt(2 * inverse * window.var() * spread) + 2 / 3 * inverse * spread
    return bool(abs(old.mean() - new.mean()) > bound)


def first_cut(values: np.ndarray, after: int = 0) -> int | None:
    detector = Adwin()
    cuts = [i for i, value in enumerate(values) if detector.add(float(value))]
    return next((i for i in cuts if i >= after), None)


def test_it_keeps_count_mean_and_few_buckets() -> None:
    values = np.random.default_rng(1).random(5_000)
    detector = Adwin()
    for value in values:
        assert not detector.add(float(value))
    assert detector.width == 5_000
    assert detector.mean == pytest.approx(values.mean())
    buckets = [bucket for row in detector._sizes for bucket in row]
    assert len(buckets) <= BUCKETS_MAX * len(detector._sizes)
    whole = buckets[0]
    for bucket in buckets[1:]:
        whole = whole.joined(bucket)
    assert whole.scatter / whole.count == pytest.approx(values.var())
    assert detector._all.scatter / 5_000 == pytest.approx(values.var())


def test_it_cuts_only_where_the_definition_does() -> None:
    """Buckets offer fewer places to cut than the definition, so it may be late, never early."""
    rng = np.random.default_rng(2)
    for _ in range(6):
        values = np.r_[rng.beta(2, 5, 150), rng.beta(4, 5, 150)]
        found = first_cut(values)
        looks = range(LOOK_EVERY, len(values) + 1, LOOK_EVERY)
        by_definition = next(
            (
                at - 1
                for at in looks
                if any(differs(values[:at], cut) for cut in range(PART_MIN, at - PART_MIN + 1))
            ),
            None,
        )
        assert found is None or (by_definition is not None and by_definition <= found)


def test_after_a_cut_the_window_holds_the_new_numbers() -> None:
    rng = np.random.default_rng(3)
    detector = Adwin()
    for value in np.r_[0.3 * rng.random(1_000), 0.5 + 0.3 * rng.random(1_000)]:
        detector.add(float(value))
    assert detector.width < 1_200
    assert detector.mean == pytest.approx(0.65, abs=0.03)
    spread = sqrt(detector._all.scatter / detector.width)
    assert spread < 0.15, "what was dropped is gone from the variance, too"
    detector.restart()
    assert (detector.width, detector.mean) == (0, 0.0)


def test_it_is_silent_on_what_does_not_change() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        assert first_cut(rng.random(4_000)) is None
        assert first_cut((rng.random(4_000) < 0.01) * 1.0) is None


def test_delays_shrink_as_changes_grow() -> None:
    delays = []
    for share in (0.05, 0.1, 0.3):
        found = []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            before, after = rng.random(2_000) < 0.01, rng.random(4_000) < share
            cut = first_cut(np.r_[before, after] * 1.0, after=2_000)
            assert cut is not None
            found.append(cut - 2_000)
        delays.append(float(np.median(found)))
    assert all(slow > fast for slow, fast in pairwise(delays))
    assert delays[-1] < 100


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_numbers_out_of_bounds_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Adwin().add(value)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_a_senseless_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Adwin(confidence)
