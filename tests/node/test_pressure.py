"""When it is a flood, and when it is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.watch import pressure as module
from node.watch.pressure import BURST_S, CALM_S, CLOCK_SET_S, Pressure

RATE = 100
FULL = int(RATE * BURST_S)


class Clock:
    def __init__(self):
        self.now_s = 50.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pressure(clock):
    return Pressure(RATE, clock)


def test_what_comes_at_the_rate_or_in_bursts_is_no_flood(pressure, clock):
    for _ in range(50):
        pressure.came("a", FULL, 0, clock.now_s)
        clock.now_s += BURST_S
        assert not pressure.look()
    assert pressure.floods.begun == 0


def test_a_flood_is_said_and_ends_once_it_was_calm_for_a_while(pressure, clock, monkeypatch):
    said = []
    for level in ("warning", "info"):
        monkeypatch.setattr(
            module._log, level, lambda event, level=level, **_: said.append((level, event))
        )
    for _ in range(30):  # it pulsates, with pauses shorter than that
        pressure.came("a", 3 * FULL, FULL, clock.now_s)
        assert pressure.look()
        assert pressure.presses("a")
        assert not pressure.presses("b")
        clock.now_s += CALM_S - 0.1
    assert pressure.look()
    clock.now_s += 0.2
    assert not pressure.look()
    assert pressure.since_s is None
    floods = pressure.floods
    assert (floods.begun, floods.came, floods.shed) == (1, 90 * FULL, 30 * FULL)
    assert [level for level, _ in said] == ["warning", "info"]
    assert "training pauses" in said[0][1]
    assert "training goes on" in said[1][1]


def test_what_must_be_shed_makes_a_flood(pressure, clock):
    pressure.came("a", 2, 1, clock.now_s)
    assert pressure.look()


def test_a_log_of_hours_that_is_written_at_once_is_no_flood(pressure):
    start_s = 1_750_000_000.0
    for i in range(500):
        pressure.came("log", RATE, 0, start_s + 1.5 * i)
    assert not pressure.flooded
    pressure.came("log", FULL + 1, 0, start_s + 1.5 * 500)
    assert pressure.flooded


def test_a_clock_that_is_set_back_counts_from_there(pressure):
    pressure.came("log", FULL, 0, 1_750_000_000.0)
    back_s = 1_750_000_000.0 - 2 * CLOCK_SET_S
    for i in range(10):
        pressure.came("log", FULL // 2, 0, back_s + BURST_S * (i + 1))
    assert not pressure.flooded


@given(st.lists(st.tuples(st.integers(0, 3 * FULL), st.floats(0, 10)), max_size=40))
def test_a_flood_means_more_than_the_rate_over_some_time(beats):
    clock = Clock()
    pressure = Pressure(RATE, clock)
    came = [(clock.now_s, 0)]
    for flows, pause_s in beats:
        clock.now_s += pause_s
        came.append((clock.now_s, flows))
        pressure.came("a", flows, 0, clock.now_s)
        # By definition: some span, up to now, in which more came than may.
        over = any(
            sum(count for _, count in came[i:]) > FULL + RATE * (clock.now_s - came[i][0]) + 1e-6
            for i in range(len(came))
        )
        if over:
            assert pressure.flooded
        if pressure.floods.begun == 0:
            assert not over
