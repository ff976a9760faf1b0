"""Randomness as a function: fixed for ever, uniform, and independent by purpose."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gossip.draws import Purpose, choose, draw, fraction, generator, shuffles


def test_draws_are_the_same_on_every_machine():
    assert draw(b"seed", "peer", 7, Purpose.TOKEN) == 9456218175382665619
    assert fraction(b"seed", "peer", 7, Purpose.TOKEN) == (9456218175382665619 >> 11) * 2.0**-53
    assert choose("abcdef", 3, b"seed", "peer", 7, Purpose.NEIGHBOUR) == ["a", "c", "b"]
    ten = choose(range(12), 10, b"seed", "peer", 7, Purpose.NEIGHBOUR, 3)
    assert ten == [2, 1, 8, 6, 3, 0, 7, 9, 10, 5]
    assert generator(b"seed", "peer", 7, Purpose.ROWS).integers(1_000) == 360
    keys = np.array([draw(b"seed", "peer", 7, Purpose.ROWS)], np.uint64)
    assert shuffles(keys, 6, 2).tolist() == [[[4, 1, 2, 5, 0, 3], [2, 0, 3, 1, 4, 5]]]


def test_every_argument_matters():
    base = draw(b"s", "p", 1, Purpose.TOKEN, 0)
    others = {
        draw(b"t", "p", 1, Purpose.TOKEN, 0),
        draw(b"s", "q", 1, Purpose.TOKEN, 0),
        draw(b"s", "p", 2, Purpose.TOKEN, 0),
        draw(b"s", "p", 1, Purpose.JOIN, 0),
        draw(b"s", "p", 1, Purpose.TOKEN, 1),
    }
    assert len({base, *others}) == 6
    assert len({p.value for p in Purpose}) == len(Purpose)


def test_fractions_are_uniform():
    values = [fraction(b"s", "p", i, Purpose.WORLD) for i in range(4_000)]
    assert min(values) >= 0
    assert max(values) < 1
    counts = np.histogram(values, bins=20, range=(0, 1))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 43.8  # 0.1 % of a chi-square of 19 degrees


def test_choices_are_uniform():
    counts = np.zeros(6)
    for i in range(3_000):
        for item in choose(range(6), 2, b"s", "p", i, Purpose.WORLD):
            counts[item] += 1
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 20.5  # 0.1 % of a chi-square of 5 degrees


@given(st.lists(st.integers(), unique=True, max_size=20), st.integers(0, 25), st.integers())
def test_choices_are_distinct_items(items, count, cycle):
    chosen = choose(items, count, b"s", "p", cycle, Purpose.WORLD)
    assert len(chosen) == len(set(chosen)) == min(count, len(items))
    assert set(chosen) <= set(items)


def test_shuffles_are_permutations_of_their_own_key() -> None:
    keys = np.array([draw(b"s", f"p{i}", 3, Purpose.ROWS) for i in range(50)], np.uint64)
    for items in (1, 2, 7, 200, 257):
        orders = shuffles(keys, items, 3)
        assert orders.shape == (50, 3, items)
        assert (np.sort(orders, axis=2) == np.arange(items)).all()
        np.testing.assert_array_equal(shuffles(keys[[7]], items, 3)[0], orders[7])
    flat = shuffles(keys, 200, 3).reshape(-1, 200)
    assert len({order.tobytes() for order in flat}) == len(flat)


def test_shuffles_put_everything_everywhere_alike() -> None:
    keys = np.array([draw(b"s", "p", i, Purpose.ROWS) for i in range(4_000)], np.uint64)
    orders = shuffles(keys, 5, 2).reshape(-1, 5)
    for place in range(5):
        counts = np.bincount(orders[:, place], minlength=5)
        assert abs(counts - 1_600).max() < 5 * 36  # standard deviations of a binomial
