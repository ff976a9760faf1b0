"""Postponed, batched training is exact."""

import numpy as np
import pytest

from gossip.actions import SetTimer, Train
from gossip.events import Start, Timer, TimerFired, Trained
from scenarios.conditions.churn import Change, Deed
from tests.scenarios.fakes import MS, FakeRows, Rig, training_every

PEERS = 9
CHURN = (
    Change(130 * MS, 3, Deed.CRASH),
    Change(132 * MS, 5, Deed.LEAVE),
    Change(190 * MS, 3, Deed.RETURN_KEPT),
)


def play(*, postpone: bool, rows: FakeRows | None = None) -> Rig:
    train_ms = tuple(10 + 3 * number for number in range(PEERS))
    rig = Rig(
        PEERS,
        training_every(20, 30, PEERS, apart=PEERS),
        train_ms=train_ms,
        changes=CHURN,
        postpone=postpone,
        rows=rows,
    )
    rig.world.run(2_000 * MS)
    return rig


def test_batched_and_one_by_one_give_the_same_trace_and_vectors():
    together, alone = play(postpone=True), play(postpone=False)
    assert together.world.trace.digest == alone.world.trace.digest
    assert together.world.trace.events == alone.world.trace.events
    for index in range(PEERS):
        np.testing.assert_array_equal(together.peer(index).vector, alone.peer(index).vector)
    # The test means something only if batches were shared and vectors moved.
    assert max(map(len, together.rows.asked)) > 1
    assert max(map(len, alone.rows.asked)) == 1
    assert together.peer(1).vector.any()


def test_a_call_takes_no_more_than_a_chunk():
    assert max(map(len, play(postpone=True).rows.asked)) <= 4


def test_training_takes_its_time():
    rig = play(postpone=True)
    assert rig.peer(0).times(Trained)[0] == 20 + 10
    assert rig.peer(8).times(Trained)[0] == 28 + 34


def test_a_peer_without_rows_gets_no_delta_and_the_learner_is_not_asked():
    rig = play(postpone=True, rows=FakeRows(without=(2,)))
    results = rig.peer(2).events(Trained)
    assert len(results) > 10
    assert all(event.delta is None and event.updates == 0 for event in results)
    assert not any(2 in asked for asked in rig.rows.asked)


def test_a_crash_ends_the_training_it_interrupts():
    rig = play(postpone=True)
    first = rig.lives[3][0]
    assert len(first.events(TimerFired)) == len(first.events(Trained)) + 1
    assert rig.lives[3][1].events(Trained)


def three_trainings() -> Rig:
    """Two peers that train from 0 every 50 ms."""

    def script(peer, event, now_us):
        match event:
            case Start() | TimerFired():
                peer.cycle += 1
                again = SetTimer(Timer.CYCLE, now_us + 50 * MS)
                return [Train(peer.cycle, np.zeros(2, np.float32)), again]
        return []

    rig = Rig(2, script)
    rig.world.run(130 * MS)
    return rig


def test_momentum_is_carried_from_one_training_to_the_next():
    rig = three_trainings()
    deltas = [event.delta[0] for event in rig.peer(1).events(Trained)]
    # Mean of rows is (1 + cycle) / 2, plus half of the move before.
    assert deltas == pytest.approx([1.0, 1.5 + 0.5, 2.0 + 1.0])


def test_the_local_part_goes_on_from_where_it_was_and_never_travels():
    rig = three_trainings()
    deltas = [event.delta for event in rig.peer(1).events(Trained)]
    assert [delta.shape for delta in deltas] == [(2,)] * 3
    # The fake learner moves all three numbers alike; the first two start from 0 each time.
    assert rig.world.hosts[1].local.tolist() == pytest.approx([sum(d[0] for d in deltas)])


def test_a_training_of_an_earlier_life_is_neither_done_nor_answered():
    def script(peer, event, now_us):
        if isinstance(event, Start):
            return [Train(peer.life, np.zeros(2, np.float32))]
        return []

    back = (Change(10 * MS, 1, Deed.CRASH), Change(12 * MS, 1, Deed.RETURN_FRESH))
    rig = Rig(2, script, train_ms=(90, 50), changes=back)
    rig.world.run(200 * MS)
    assert rig.peer(1).times(Trained) == [62]
    gone = Rig(2, script, train_ms=(90, 50), changes=back[:1])
    gone.world.run(200 * MS)
    assert gone.rows.asked == [(0,)]
