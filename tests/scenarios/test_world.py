"""The World's own behaviour, seen by fake peers."""

import numpy as np

from gossip.actions import Disconnect, Send, SetTimer
from gossip.contacts import Contact, PeerId
from gossip.events import PeerLost, Received, Start, Stop, Timer, TimerFired
from scenarios.conditions.churn import Change, Deed
from scenarios.conditions.links import Condition, Partition, Shared
from tests.scenarios.fakes import MS, FakePeer, Rig, name


def to(index: int, frame: bytes = b"frame") -> Send:
    return Send(Contact(name(index)), frame)


def sends_at_start(sender: int, *sends: Send):
    def script(peer: FakePeer, event, now_us):
        return list(sends) if isinstance(event, Start) and peer.me.peer == name(sender) else []

    return script


def drop_all() -> Condition:
    everybody = b"\1" * 9
    return Condition(everybody, everybody, 0, 10**12, 1.0, None, 0, 0, Shared.PAIR)


def test_a_frame_arrives_after_the_latency_with_its_sender_and_is_counted():
    rig = Rig(2, sends_at_start(1, to(0, b"hello")))
    rig.world.run(50 * MS)
    assert rig.peer(0).log[-1] == (10 * MS, Received(name(1), b"hello"))
    sender, receiver = rig.world.hosts[1], rig.world.hosts[0]
    assert (sender.bytes_sent, receiver.bytes_received) == (5, 5)
    assert rig.world.tally.delivered == 1


def test_events_of_one_moment_keep_their_order_and_the_end_is_included():
    sends = [to(0, b"a"), to(1, b"b")]
    rig = Rig(3, sends_at_start(2, *sends))
    rig.world.run(10 * MS - 1)
    assert rig.world.tally.delivered == 0
    rig.world.run(10 * MS)
    assert rig.world.tally.delivered == 2


def test_one_transfer_at_a_time_and_the_oldest_waiting_are_shed():
    frames = [bytes([number]) for number in range(8)]
    rig = Rig(2, sends_at_start(1, *(to(0, frame) for frame in frames)))
    rig.world.run(1_000 * MS)
    # 0 is on its way, four may wait: of 1 to 7 the oldest three go.
    arrived = [(at // MS, e.frame[0]) for at, e in rig.peer(0).log if isinstance(e, Received)]
    assert arrived == [(10, 0), (20, 4), (30, 5), (40, 6), (50, 7)]
    assert rig.world.tally.shed == 3


def test_a_dead_neighbour_costs_its_sender_nothing_else():
    def script(peer, event, now_us):
        if not isinstance(event, Start) or peer.me.peer != name(1):
            return []
        return [to(2, b"x"), to(2, b"y"), to(0, b"z")]

    crash = Change(0, 2, Deed.CRASH)
    rig = Rig(3, script, changes=(Change(0, 1, Deed.JOIN), crash))
    rig.world.run(1_000 * MS)
    # The frame for the living one is not behind those for the dead one.
    assert rig.peer(0).times(Received) == [10]
    assert rig.peer(1).log[1:] == [(100 * MS, PeerLost(name(2), "unreachable"))]


def test_unknown_and_own_names_are_lost():
    rig = Rig(1, sends_at_start(0, to(9), to(0)))
    rig.world.run(1_000 * MS)
    lost = [event.peer for event in rig.peer(0).events(PeerLost)]
    assert lost == [PeerId("peer-9"), PeerId("peer-0")]


def test_a_dropped_frame_is_never_reported():
    rig = Rig(2, sends_at_start(1, to(0), to(0)), rules=(drop_all(),))
    rig.world.run(10_000 * MS)
    assert rig.peer(0).times(Received) == []
    assert rig.peer(1).times(PeerLost) == []
    assert rig.world.tally.dropped == 2
    assert rig.world.hosts[1].bytes_sent == 10
    assert rig.world.hosts[1].outboxes == {}


def test_a_partition_is_like_a_failed_dial_and_heals():
    def script(peer, event, now_us):
        """Peer 1 tries again as soon as it is told of a failure."""
        tries = peer.me.peer == name(1) and isinstance(event, Start | PeerLost)
        return [to(0)] if tries else []

    rig = Rig(2, script, rules=(Partition((0, 1), 0, 250 * MS),))
    rig.world.run(2_000 * MS)
    assert rig.peer(1).times(PeerLost) == [100, 200, 300]
    assert rig.peer(0).times(Received) == [310]


def test_a_crash_silences_at_once_and_what_it_was_sending_is_gone():
    rig = Rig(2, sends_at_start(1, to(0)), changes=(Change(5 * MS, 1, Deed.CRASH),))
    rig.world.run(1_000 * MS)
    assert rig.peer(0).times(Received) == []
    assert rig.peer(1).events(Stop) == []


def test_a_receiver_that_crashes_meanwhile_is_lost_to_the_sender():
    rig = Rig(2, sends_at_start(1, to(0)), changes=(Change(5 * MS, 0, Deed.CRASH),))
    rig.world.run(1_000 * MS)
    assert rig.peer(1).times(PeerLost) == [100]


def test_a_frame_for_an_earlier_life_does_not_reach_the_next():
    back = (Change(5 * MS, 0, Deed.CRASH), Change(6 * MS, 0, Deed.RETURN_KEPT))
    rig = Rig(2, sends_at_start(1, to(0)), changes=back)
    rig.world.run(1_000 * MS)
    assert len(rig.lives[0]) == 2
    assert rig.peer(0).times(Received) == []
    assert rig.peer(1).times(PeerLost) == [100]


def test_leaving_says_good_bye_and_ends_timers():
    def script(peer, event, now_us):
        if isinstance(event, Start):
            return [SetTimer(Timer.CYCLE, 50 * MS)]
        return [to(0, b"bye")] if isinstance(event, Stop) else []

    rig = Rig(2, script, changes=(Change(20 * MS, 1, Deed.LEAVE),))
    rig.world.run(1_000 * MS)
    assert rig.peer(1).times(Stop) == [20]
    assert rig.peer(1).times(TimerFired) == []
    assert rig.peer(0).events(Received) == [Received(name(1), b"bye")]
    assert rig.peer(0).times(TimerFired) == [50]


def test_returning_keeps_or_loses_state():
    def script(peer, event, now_us):
        if isinstance(event, Start) and peer.life == 1:
            peer.vector = peer.vector + 3
            peer.cycle = 7
            peer.remembered = (Contact(name(2)),)
        return []

    changes = (
        Change(5 * MS, 0, Deed.CRASH),
        Change(5 * MS, 1, Deed.LEAVE),
        Change(9 * MS, 0, Deed.RETURN_KEPT),
        Change(9 * MS, 1, Deed.RETURN_FRESH),
    )
    rig = Rig(3, script, changes=changes)
    rig.world.run(20 * MS)
    kept, fresh = rig.peer(0), rig.peer(1)
    assert (kept.life, kept.cycle, kept.vector.tolist()) == (2, 7, [3, 3])
    assert kept.events(Start) == [Start(remembered=(Contact(name(2)),))]
    assert (fresh.life, fresh.given) == (2, None)
    assert fresh.events(Start) == [Start(bootstrap=(Contact(name(0)),))]


def test_deeds_that_do_not_fit_do_nothing():
    changes = (
        Change(1 * MS, 0, Deed.JOIN),
        Change(2 * MS, 0, Deed.RETURN_KEPT),
        Change(3 * MS, 1, Deed.RETURN_FRESH),
        Change(4 * MS, 1, Deed.CRASH),
        Change(5 * MS, 1, Deed.JOIN),
        Change(6 * MS, 1, Deed.LEAVE),
        Change(7 * MS, 1, Deed.CRASH),
    )
    rig = Rig(3, lambda *_: [], changes=changes)
    rig.world.run(20 * MS)
    assert rig.peer(0).times(Start) == [1]
    assert rig.peer(1).times(Start) == [5]
    assert rig.peer(1).times(Stop) == [6]


def test_a_timer_set_again_fires_once_at_the_later_order():
    def script(peer, event, now_us):
        if isinstance(event, Start):
            return [SetTimer(Timer.CYCLE, 50 * MS), SetTimer(Timer.CYCLE, 30 * MS),
                    SetTimer(Timer.JOIN, 40 * MS)]  # fmt: skip
        return []

    rig = Rig(1, script)
    rig.world.run(1_000 * MS)
    fired = [(at // MS, e.timer) for at, e in rig.peer(0).log if isinstance(e, TimerFired)]
    assert fired == [(30, Timer.CYCLE), (40, Timer.JOIN)]
    assert rig.world.tally.cycles == 1


def test_timers_of_an_earlier_life_do_not_fire():
    def script(peer, event, now_us):
        first = isinstance(event, Start) and peer.life == 1
        return [SetTimer(Timer.CYCLE, 50 * MS)] if first else []

    back = (Change(5 * MS, 0, Deed.CRASH), Change(6 * MS, 0, Deed.RETURN_KEPT))
    rig = Rig(1, script, changes=back)
    rig.world.run(1_000 * MS)
    assert rig.peer(0).times(TimerFired) == []


def test_disconnect_drops_what_waits():
    sends = [to(0, b"1"), to(0, b"2"), Disconnect(name(0), "why")]
    rig = Rig(2, sends_at_start(1, *sends))
    rig.world.run(1_000 * MS)
    assert [event.frame for event in rig.peer(0).events(Received)] == [b"1"]


def test_frames_to_too_many_neighbours_at_once_are_shed():
    rig = Rig(4, sends_at_start(3, to(0), to(1), to(2), to(0)), outboxes=2)
    rig.world.run(1_000 * MS)
    assert [len(rig.peer(index).events(Received)) for index in range(3)] == [2, 1, 0]
    assert rig.world.tally.shed == 1


def test_leaving_drops_what_waits_but_says_good_bye():
    def script(peer, event, now_us):
        if isinstance(event, Stop):
            return [to(0, b"bye")]
        return [to(0, b"1"), to(0, b"2")] if peer.me.peer == name(1) and peer.life == 1 else []

    rig = Rig(2, script, changes=(Change(5 * MS, 1, Deed.LEAVE),))
    rig.world.run(1_000 * MS)
    assert [event.frame for event in rig.peer(0).events(Received)] == [b"1", b"bye"]


def test_a_return_brings_back_the_local_part_and_momentum():
    changes = (Change(5 * MS, 0, Deed.CRASH), Change(9 * MS, 0, Deed.RETURN_KEPT),
               Change(15 * MS, 0, Deed.CRASH), Change(19 * MS, 0, Deed.RETURN_FRESH))  # fmt: skip
    rig = Rig(1, lambda *_: [], changes=changes)
    host = rig.world.hosts[0]
    rig.world.run(1 * MS)
    host.local, host.momentum = np.array([5.0], np.float32), np.ones(3, np.float32)
    rig.world.run(10 * MS)
    assert rig.world.whole_vector(0).tolist() == [0, 0, 5]
    assert host.momentum.tolist() == [1, 1, 1]
    rig.world.run(20 * MS)
    assert rig.world.whole_vector(0).tolist() == [0, 0, 0]
    assert host.momentum is None
