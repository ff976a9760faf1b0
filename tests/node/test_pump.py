"""From the sensors to the detector: who waits, what is saved, and what time it is."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from node.intake.pump import BATCH_FLOWS, CLOCK_FLOWS, IDLE_S, TICK_S, Pump
from node.intake.queue import FlowQueue
from node.watch.pressure import Pressure
from tests.unit.test_flows import FLOW

START_S = FLOW.ts
CAPACITY = 200


def flows(first, count, step_s=1.0, place="a"):
    return [
        replace(FLOW, uid=str(n), ts=START_S + step_s * n, sensor=place)
        for n in range(first, first + count)
    ]


class Fed:
    """A sensor that hands over what a test tells it to."""

    def __init__(self, place="a", *, live=False, patient=True):
        self.settings = SimpleNamespace(place=place)
        self.finished, self.live, self.patient = False, live, patient
        self.last_ts = self.clock_s = None
        self.handed = 0
        self._orders, self._inbox = trio.open_memory_channel(1_000)

    def give(self, count, step_s=1.0):
        self._orders.send_nowait((count, step_s))

    def saved(self):
        return {"handed": self.handed}

    async def run(self, take, pace):
        async for count, step_s in self._inbox:
            await pace()
            given = flows(self.handed, count, step_s, self.settings.place)
            self.handed += count
            if given:
                self.clock_s = given[-1].ts
            take(given)


class Scene:
    """A pump, its sensors, and what was judged."""

    def __init__(self, *sources, pace=trio.lowlevel.checkpoint, learning=lambda: False):
        self.judged, self.judged_of, self.times, self.batches = [], [], [], []
        self.pressure = Pressure(1_000)
        queue = FlowQueue(CAPACITY, b"secret", "me")
        self.sources = list(sources)
        self.pump = Pump(self.sources, queue, self.pressure, self.judge, pace, learning)

    def judge(self, found, now_ts_s, clock_ts_s):
        self.judged += [int(flow.uid) for flow in found]
        self.judged_of += [(flow.sensor, flow.uid) for flow in found]
        self.batches.append(len(found))
        self.times.append((now_ts_s, clock_ts_s))

    def lane(self, number=0):
        return self.pump.lane(self.sources[number])

    def run(self, main):
        async def whole():
            async with trio.open_nursery() as nursery:
                for source in self.sources:
                    nursery.start_soon(self.pump.attend, source)
                nursery.start_soon(self.pump.run)
                await main()
                nursery.cancel_scope.cancel()

        trio.run(whole, clock=MockClock(autojump_threshold=0))


def test_a_log_waits_and_loses_nothing():
    log = Fed()
    scene = Scene(log)

    async def main():
        for _ in range(30):
            log.give(CAPACITY)
        await trio.sleep(1)

    scene.run(main)
    assert scene.judged == list(range(30 * CAPACITY))
    assert not scene.pressure.floods.begun
    assert max(scene.batches) <= BATCH_FLOWS


def test_what_cannot_wait_is_sampled_and_counted():
    gate = trio.Event()
    socket = Fed(live=True, patient=False)
    scene = Scene(socket, pace=gate.wait)

    async def main():
        socket.give(10)
        await wait_all_tasks_blocked()  # these are on their way to the detector
        for _ in range(50):
            socket.give(100)
        await wait_all_tasks_blocked()
        lane = scene.lane()
        assert (lane.taken, lane.judged, lane.shed) == (5_010, 0, 5_000 - CAPACITY)
        assert scene.pump.waiting == lane.unjudged == 10 + CAPACITY
        assert scene.pressure.look()
        found = scene.pump.status()
        assert (found.now, found.shed, found.waiting) == (True, lane.shed, 10 + CAPACITY)
        gate.set()
        await trio.sleep(1)
        assert (lane.judged, lane.unjudged) == (10 + CAPACITY, 0)

    scene.run(main)
    assert scene.judged == sorted(set(scene.judged))
    assert len(scene.judged) == 10 + CAPACITY


@pytest.mark.parametrize("learning", [True, False])
def test_a_log_that_its_sensor_floods_waits_only_while_learning(learning):
    gate = trio.Event()
    log = Fed(live=True)
    scene = Scene(log, pace=gate.wait, learning=lambda: learning)

    async def main():
        scene.pressure.came("a", 5_000, 0, START_S)  # so far
        for _ in range(100):
            log.give(100, step_s=1e-4)
        await wait_all_tasks_blocked()
        assert (scene.lane().shed == 0) == (scene.lane().taken <= 200) == learning
        gate.set()
        await trio.sleep(1)
        assert scene.lane().judged + scene.lane().shed == scene.lane().taken == 10_000

    scene.run(main)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("gsp"), st.integers(0, 150)), max_size=30), st.data())
def test_what_is_saved_is_true_of_what_was_judged_by_then(steps, data):
    """Killed after any save, and begun anew from it: each flow is judged or shed once."""
    log, socket = Fed("log"), Fed("socket", live=True, patient=False)
    scene = Scene(log, socket)
    saves = []

    def save(positions):
        saves.append((positions, len(scene.judged)))

    async def main():
        for step, count in steps:
            if step == "g":
                log.give(count)
                socket.give(data.draw(st.integers(0, 300)))
            elif step == "s":
                scene.pump.settle(save)
            else:
                for _ in range(count % 7):
                    await trio.lowlevel.checkpoint()
        await trio.sleep(1)
        scene.pump.settle(save)
        await trio.sleep(1)

    scene.run(main)
    assert saves
    for positions, count in saves:
        for source in scene.sources:
            place, handed = source.settings.place, positions[source.settings.place]["handed"]
            before, after = (
                [int(uid) for at, uid in some if at == place]
                for some in (scene.judged_of[:count], scene.judged_of[count:])
            )
            assert all(number < handed for number in before)
            assert all(number >= handed for number in after)
            assert place == "socket" or before == list(range(handed)), "nothing of a log is shed"
    assert [saves[-1][0][source.settings.place]["handed"] for source in scene.sources] == [
        source.handed for source in scene.sources
    ]


def test_what_waits_when_a_node_stops_is_judged_or_counted_as_shed():
    gate = trio.Event()
    socket = Fed(live=True, patient=False)
    scene = Scene(socket, pace=gate.wait)
    late = False

    def slow(found, now_ts_s, clock_ts_s):
        Scene.judge(scene, found, now_ts_s, clock_ts_s)
        if late:
            clock.jump(10)

    async def main():
        socket.give(5)
        await wait_all_tasks_blocked()
        socket.give(150)
        await wait_all_tasks_blocked()

    clock = MockClock()
    scene.pump._judge = slow

    async def whole():
        nonlocal late
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.pump.attend, socket)
            nursery.start_soon(scene.pump.run)
            await main()
            nursery.cancel_scope.cancel()
        late = True
        scene.pump.finish()
        assert scene.pump.waiting == 0
        lane = scene.lane()
        assert (lane.judged, lane.shed) == (5, 150)

    trio.run(whole, clock=clock)


def test_the_time_is_that_of_the_sensor_furthest_behind_that_still_says_something():
    early, late = Fed("early", live=True), Fed("late", live=True)
    scene = Scene(early, late)

    async def main():
        early.give(40)
        late.give(40, step_s=100.0)
        await trio.sleep(1)
        assert scene.pump.now_ts_s() == START_S + 40 - 1 - CLOCK_FLOWS // 2
        await trio.sleep(IDLE_S + 10)
        assert scene.pump.now_ts_s() > START_S + 40 + IDLE_S - CLOCK_FLOWS, "it goes on by itself"
        early.finished = True
        assert scene.pump.now_ts_s() >= START_S + 100 * (40 - 1 - CLOCK_FLOWS // 2)
        before = len(scene.times)
        await trio.sleep(3 * TICK_S)
        assert len(scene.times) > before, "and is told, so that incidents end"

    scene.run(main)


def test_a_clock_is_relied_on_only_where_flows_are_dense():
    dense, sparse = Fed("dense"), Fed("sparse")
    told = []
    for source, step_s in ((dense, 0.1), (sparse, 600.0)):
        scene = Scene(source)

        async def main(source=source, step_s=step_s):
            source.give(CLOCK_FLOWS - 1, step_s)
            await trio.sleep(1)
            source.give(CLOCK_FLOWS, step_s)
            await trio.sleep(0.5)

        scene.run(main)
        told.append([clock for _, clock in scene.times if clock is not None])
    assert len(told[0]) == 1
    assert told[1] == []
