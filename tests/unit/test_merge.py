"""Combining models: published values, one peer like many, and what must be conserved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.merge import age_weighted, capped_age, mean_with_arrived, midpoint, slices


def test_age_weighted_merge_by_hand():
    # w = (t w + t' w') / (t + t'): (3 * 1 + 1 * 5) / 4 = 2 and (3 * 2 + 1 * 10) / 4 = 4.
    merged, age = age_weighted(np.float32([1, 2]), 3, np.float32([5, 10]), 1)
    assert merged.tolist() == [2, 4]
    assert age == 3
    merged, age = age_weighted(np.float32([1, 2]), 1, np.float32([5, 10]), 3)
    assert merged.tolist() == [4, 8]
    assert age == 3


def test_age_weighted_merge_at_the_edges():
    own, other = np.float32([1, 2]), np.float32([5, 10])
    assert age_weighted(own, 0, other, 7)[0].tolist() == [5, 10]  # we know nothing
    assert age_weighted(own, 7, other, 0)[0].tolist() == [1, 2]  # the other knows nothing
    assert age_weighted(own, 0, other, 0)[0].tolist() == [3, 6]  # nor does anybody
    assert age_weighted(own, 2**40, other, 2**40)[0].tolist() == [3, 6]


def test_the_epidemic_mean_by_hand():
    assert mean_with_arrived(np.float32([1, 1]), np.float32([5, 11]), 2).tolist() == [2, 4]
    assert mean_with_arrived(np.float32([1, 1]), np.float32([0, 0]), 0).tolist() == [1, 1]


def test_one_peer_and_an_array_of_peers_give_identical_results():
    rng = np.random.default_rng(1)
    own = rng.normal(size=(20, 13)).astype(np.float32)
    other = rng.normal(size=(20, 13)).astype(np.float32)
    ages = rng.integers(0, 5, size=(2, 20))
    counts = rng.integers(0, 9, size=20)
    merged, older = age_weighted(own, ages[0], other, ages[1])
    mean = mean_with_arrived(own, other, counts)
    middle = midpoint(own, other)
    assert {a.dtype for a in (merged, mean, middle)} == {np.dtype(np.float32)}
    for i in range(20):
        one, age = age_weighted(own[i], int(ages[0, i]), other[i], int(ages[1, i]))
        assert one.tobytes() == merged[i].tobytes()
        assert age == older[i]
        assert mean_with_arrived(own[i], other[i], int(counts[i])).tobytes() == mean[i].tobytes()
        assert midpoint(own[i], other[i]).tobytes() == middle[i].tobytes()


def test_pairwise_averaging_conserves_the_mean_and_converges():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(16, 5)).astype(np.float32)
    mean = vectors.mean(axis=0)
    for _ in range(400):
        i, j = rng.choice(16, size=2, replace=False)
        vectors[i] = vectors[j] = midpoint(vectors[i], vectors[j])
    assert np.allclose(vectors.mean(axis=0), mean, atol=1e-6)
    assert np.abs(vectors - mean).max() < 1e-4


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=2),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
)
def test_a_merge_lies_between_its_models(values, own_age, other_age):
    own, other = (np.float32([v]) for v in values)
    merged, age = age_weighted(own, own_age, other, other_age)
    slack = 1e-6 * max(abs(own[0]), abs(other[0])) + 1e-30
    assert min(own[0], other[0]) - slack <= merged[0] <= max(own[0], other[0]) + slack
    assert age == max(own_age, other_age)


@pytest.mark.parametrize("dim", [1, 5, 64, 1_000])
@pytest.mark.parametrize("fragments", [1, 4, 7])
def test_slices_cover_the_vector_once_and_evenly(dim, fragments):
    parts = slices(dim, fragments)
    assert len(parts) == fragments
    assert [i for p in parts for i in range(p.start, p.stop)] == list(range(dim))
    lengths = [p.stop - p.start for p in parts]
    assert max(lengths) - min(lengths) <= 1


def test_a_claimed_age_counts_up_to_the_lead_and_the_maximum():
    assert capped_age(5, own=10, lead_max=100, age_max=1_000) == 5
    assert capped_age(2**60, own=10, lead_max=100, age_max=1_000) == 110
    assert capped_age(2**60, own=950, lead_max=100, age_max=1_000) == 1_000
