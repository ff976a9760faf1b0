import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import StateError
from gossip.learning.reservoir import DrawKey, Reservoir


def filled(
    rows: int, capacity: int = 10, memory: int = 10_000, seed: bytes = b"s", index: int = 0
) -> Reservoir:
    """A reservoir offered the rows 0, 1, 2, …"""
    reservoir = Reservoir(capacity, 1, memory, DrawKey(seed, "p", index))
    for i in range(rows):
        reservoir.offer(np.array([i], np.float32))
    return reservoir


@given(st.integers(0, 200), st.integers(1, 20))
def test_it_holds_distinct_offered_rows_within_its_bound(rows: int, capacity: int) -> None:
    reservoir = filled(rows, capacity)
    held = reservoir.rows[:, 0].tolist()
    assert len(reservoir) == len(held) == min(rows, capacity)
    assert len(set(held)) == len(held)
    assert set(held) <= set(range(rows))
    assert reservoir.seen == rows


def test_every_row_is_equally_likely_to_stay() -> None:
    runs, rows, capacity = 400, 50, 10
    counts = np.zeros(rows)
    for run in range(runs):
        counts[filled(rows, capacity, seed=b"%d" % run).rows[:, 0].astype(int)] += 1
    expected = runs * capacity / rows
    chi2 = ((counts - expected) ** 2 / (expected * (1 - capacity / rows))).sum()
    assert chi2 < 90  # 49 degrees of freedom: exceeded once in 3,000 seeds; the seeds are fixed


def test_the_past_fades_after_its_memory() -> None:
    assert filled(5_000, capacity=50, memory=100).rows.min() > 4_000
    assert filled(5_000, capacity=50, memory=10_000).rows.min() < 1_000


def test_draws_hang_on_the_key_alone() -> None:
    first = filled(500).rows
    assert np.array_equal(first, filled(500).rows)
    assert not np.array_equal(first, filled(500, seed=b"t").rows)
    assert not np.array_equal(first, filled(500, index=1).rows)


def test_rows_are_copied_and_cannot_be_written() -> None:
    reservoir = Reservoir(2, 1, 2, DrawKey(b"s", "p", 0))
    row = np.ones(1, np.float32)
    reservoir.offer(row)
    row[0] = 9
    assert reservoir.rows.tolist() == [[1]]
    with pytest.raises(ValueError, match="read-only"):
        reservoir.rows[0] = 5


def test_it_goes_on_from_the_store_as_if_never_stopped() -> None:
    whole, second = filled(500), filled(0)
    second.restore(filled(200).to_arrays())
    for i in range(200, 500):
        second.offer(np.array([i], np.float32))
    assert np.array_equal(whole.rows, second.rows)
    assert second.seen == 500


def test_a_smaller_reservoir_takes_what_fits() -> None:
    small = filled(0, capacity=4)
    small.restore(filled(100).to_arrays())
    assert (len(small), small.seen) == (4, 100)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", np.zeros((3, 2))),
        ("rows", np.zeros(3)),
        ("rows", np.full((3, 1), np.nan)),
        ("seen", np.array([2])),
        ("seen", np.array([], np.int64)),
    ],
)
def test_a_damaged_store_changes_nothing(name: str, value: np.ndarray) -> None:
    reservoir = filled(20)
    before = reservoir.rows.copy()
    with pytest.raises(StateError, match="damaged"):
        reservoir.restore({**filled(9).to_arrays(), name: value})
    with pytest.raises(StateError, match="seen"):
        reservoir.restore({"rows": np.zeros((3, 1))})
    assert np.array_equal(reservoir.rows, before)
    assert reservoir.seen == 20


def test_a_memory_shorter_than_the_reservoir_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot have a memory"):
        filled(0, capacity=10, memory=9)


def test_after_a_change_it_keeps_the_recent_rows_and_as_many_of_the_others() -> None:
    reservoir = filled(100, capacity=60)
    recent = np.arange(80, 100, dtype=np.float32)[:, None]
    reservoir.follow(recent, least=10)
    held = reservoir.rows[:, 0].tolist()
    assert held[20:] == recent[:, 0].tolist()
    assert len(set(held)) == 40
    assert max(held[:20]) < 80, "none twice"
    assert reservoir.seen == 40
    assert reservoir.offer(np.array([200], np.float32)), "there is room again"
    again = filled(100, capacity=60)
    again.follow(recent, least=50)
    assert len(again) == 50
    again.follow(np.zeros((0, 1), np.float32), least=1_000)
    assert len(again) == 50, "there are no more"
    again.follow(np.full((90, 1), 7, np.float32), least=0)
    assert again.rows[:, 0].tolist() == [7] * 60
    repeated = filled(0)
    for value in (1, 1, 1, 2):
        repeated.offer(np.array([value], np.float32))
    repeated.follow(np.array([[1], [2]], np.float32), least=4)
    assert sorted(repeated.rows[:, 0].tolist()) == [1, 1, 1, 2], "equal rows are different rows"
