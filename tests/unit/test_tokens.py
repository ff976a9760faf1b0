"""The randomised token account against the formulas of its paper, and its rate in the long run."""

import numpy as np
import pytest

from gossip import tokens

A, C = 10, 20


def published_proactive(a: int, cost: int, capacity: int) -> float:
    """Danner and Jelasity 2018: 0 below A - 1, (a - A + 1) / (C - A + 1) up to C, then 1."""
    if a < cost - 1:
        return 0.0
    if a <= capacity:
        return (a - cost + 1) / (capacity - cost + 1)
    return 1.0


@pytest.mark.parametrize(("cost", "capacity"), [(1, 1), (1, 10), (5, 5), (10, 20)])
def test_proactive_is_the_published_function(cost, capacity):
    for a in range(capacity + 3):
        expected = published_proactive(a, cost, capacity)
        assert tokens.proactive(a, cost, capacity) == pytest.approx(expected)


def test_proactive_at_its_corners():
    assert tokens.proactive(A - 1, A, C) == 0
    assert tokens.proactive(A, A, C) == pytest.approx(1 / 11)
    assert tokens.proactive(C, A, C) == 1


@pytest.mark.parametrize("held", range(C + 1))
def test_reactive_spends_a_share_of_tokens_on_news_only(held):
    coins = (np.arange(1_000) + 0.5) / 1_000
    spent = [tokens.reactive(held, A, coin, useful=True) for coin in coins]
    assert np.mean(spent) == pytest.approx(held / A, abs=1e-3)
    assert set(spent) <= {held // A, held // A + 1}
    assert max(spent) <= held
    assert all(tokens.reactive(held, A, coin, useful=False) == 0 for coin in coins[::100])


@pytest.mark.parametrize("dropped", [0.0, 0.5])
def test_about_one_push_a_cycle_in_the_long_run_whatever_is_dropped(dropped):
    rng = np.random.default_rng(4)
    peers, cycles = 40, 400
    accounts = [A] * peers
    sent = 0
    for _ in range(cycles):
        for p in range(peers):
            if rng.random() >= tokens.proactive(accounts[p], A, C):
                accounts[p] = min(accounts[p] + 1, C)
                continue
            pushes = 1
            while pushes:  # a chain of reactions, one message at a time
                pushes -= 1
                sent += 1
                if rng.random() >= dropped:
                    to = int(rng.integers(peers))
                    spent = tokens.reactive(accounts[to], A, rng.random(), useful=True)
                    accounts[to] -= spent
                    pushes += spent
    assert 0.95 <= sent / (peers * cycles) <= 1.03  # tokens held at the start are spent, too
