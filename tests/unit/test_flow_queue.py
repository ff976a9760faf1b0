"""The queue before the detector: bounded, in order, fair, counted to the flow."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.intake.queue import FlowQueue
from tests.unit.test_flows import FLOW

SEED = b"secret"
SENSORS = ("a", "b")


def flows(first: int, count: int) -> list:
    return [replace(FLOW, uid=str(number)) for number in range(first, first + count)]


def uids(held) -> list[int]:
    return [int(flow.uid) for _, _, flow in held]


class Queueing(RuleBasedStateMachine):
    """Sensors put, the detector takes. What is in one hand is in no other, and nothing vanishes."""

    @initialize(capacity=st.integers(1, 9))
    def begin(self, capacity):
        self.capacity = capacity
        self.queue, self.again = (FlowQueue(capacity, SEED, "me") for _ in range(2))
        for name in SENSORS:
            assert self.queue.lane(name) == self.again.lane(name)
        self.put_so_far = dict.fromkeys(SENSORS, 0)
        self.since_swap = dict.fromkeys(SENSORS, 0)
        self.taken = {name: [] for name in SENSORS}

    @rule(name=st.sampled_from(SENSORS), count=st.integers(0, 20))
    def put(self, name, count):
        before = self.since_swap[name]
        fresh = flows(self.put_so_far[name], count)
        shed = self.queue.put(name, fresh)
        assert shed == self.again.put(name, fresh)
        self.put_so_far[name] += count
        self.since_swap[name] += count
        over = max(0, self.since_swap[name] - self.capacity) - max(0, before - self.capacity)
        assert shed == over, "nothing is shed below capacity, nothing is kept above"

    @rule()
    def swap(self):
        held = self.queue.swap()
        assert held == self.again.swap(), "the same seed sheds the same"
        for name in SENSORS:
            mine = uids(each for each in held if each[1] == name)
            assert mine == sorted(mine), "in the order of arrival"
            assert len(mine) == min(self.capacity, self.since_swap[name])
            first = self.put_so_far[name] - self.since_swap[name]
            assert all(first <= uid < self.put_so_far[name] for uid in mine)
            self.taken[name] += mine
            self.since_swap[name] = 0
        assert not self.queue.waiting

    @invariant()
    def every_flow_is_taken_shed_or_waiting(self):
        if not hasattr(self, "queue"):
            return
        for name in SENSORS:
            lane = self.queue.lane(name)
            assert lane.taken == self.put_so_far[name]
            assert lane.taken == len(self.taken[name]) + lane.shed + len(lane.held)
            assert len(lane.held) <= self.capacity
            assert len(set(self.taken[name])) == len(self.taken[name])


Queueing.TestCase.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, derandomize=True
)
TestQueueing = Queueing.TestCase


@pytest.mark.parametrize("burst", [1, 7, 100])
def test_above_capacity_every_flow_has_the_same_chance(burst):
    """Early or late, and however many come at once: each of ten tenths gets its share."""
    kept = [0] * 10
    for trial in range(200):
        queue = FlowQueue(20, b"%d" % trial, "me")
        for first in range(0, 100, burst):
            queue.put("a", flows(first, min(burst, 100 - first)))
        for uid in uids(queue.swap()):
            kept[uid // 10] += 1
    assert sum(kept) == 200 * 20
    expected, deviation = 400, (4_000 * 0.1 * 0.9) ** 0.5
    assert all(abs(count - expected) < 4.5 * deviation for count in kept)


def test_one_sensor_in_a_flood_takes_no_room_from_another():
    queue = FlowQueue(10, SEED, "me")
    queue.put("calm", flows(0, 8))
    queue.put("flood", flows(0, 10_000))
    assert uids(each for each in queue.swap() if each[1] == "calm") == list(range(8))
    assert (queue.lane("calm").shed, queue.lane("flood").shed) == (0, 9_990)


def test_who_waits_loses_nothing_even_of_one_large_piece():
    queue = FlowQueue(10, SEED, "me")
    assert queue.put("log", flows(0, 500), waits=True) == 0
    assert queue.put("log", flows(500, 100)) == 100, "it stopped waiting"
    assert len(queue.swap()) == 500


def test_a_queue_of_no_flow_is_refused():
    with pytest.raises(ValueError, match="holds none"):
        FlowQueue(0, SEED, "me")
