"""Clocks that are set while a node runs."""

import time

import pytest

from node.service.clock import EARLIEST_S, ClockWatch
from node.service.health import Health
from tests.node.live import patient, running, settings_for

START_S = 1_795_000_000.0
HOUR_S = 3_600.0


class Clocks:
    """A wall clock that can be set, and one that cannot."""

    def __init__(self, wall_s: float) -> None:
        self.wall_s, self.steady_s, self.health = wall_s, 100.0, Health()
        self.watch = ClockWatch(
            wall_s - 100.0, self.health, lambda: self.wall_s, lambda: self.steady_s
        )

    def after(self, seconds: float, jump_s: float = 0.0) -> str:
        self.steady_s += seconds
        self.wall_s += seconds + jump_s
        self.watch.look()
        return self.health.clock


def test_a_clock_that_is_set_is_told_of_until_it_is_set_back() -> None:
    clocks = Clocks(START_S)
    assert clocks.after(10) == ""
    assert clocks.after(10, 5 * HOUR_S).startswith("set ahead by 5.00 h since this node started")
    assert clocks.after(10, -8 * HOUR_S).startswith("set back by 3.00 h")
    assert clocks.after(10, 3 * HOUR_S + 59) == "", "drift is nothing to tell"


def test_a_node_that_began_before_its_clock_was_right_says_so() -> None:
    clocks = Clocks(1_000.0)
    assert "wrong when this node started" in clocks.after(1)
    assert "restart it once the clock is right" in clocks.after(1, EARLIEST_S + 10**7)


@pytest.mark.parametrize("jump_s", [10 * 86_400.0, -10 * 86_400.0])
def test_hours_forth_and_back_stop_nothing(tmp_path, monkeypatch, jump_s) -> None:
    real = time.time

    async def main() -> None:
        async with running(settings_for(tmp_path / "a")) as node:
            before = await node.until(lambda s: s.mesh.cycle >= 1)
            monkeypatch.setattr(time, "time", lambda: real() + jump_s)
            node.gateway._clock.look()
            after = await node.until(lambda s: s.mesh.cycle >= before.mesh.cycle + 3)
            assert "240.00 h" in after.service.clock

    patient(main)
