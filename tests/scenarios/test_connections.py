"""Nodes are told of connections that fell silent: of their own, once, and only if it is so."""

from gossip.actions import Send
from gossip.contacts import Contact
from gossip.events import PeerLost, Start, Stop
from scenarios.conditions.churn import Change, Deed
from scenarios.conditions.links import Partition
from scenarios.world.connections import CONNECTIONS_MAX, Connections
from tests.scenarios.fakes import MS, FakePeer, Rig, name

SILENCE_MS = 150
# The last frame came at 10 ms: signs of life are asked for at 160, 310 ms, … and awaited as long.


def everybody_sends_to_0(peer: FakePeer, event, now_us):
    if isinstance(event, Stop):
        return [Send(Contact(name(0)), b"bye")]
    return [Send(Contact(name(0)), b"frame")] if isinstance(event, Start) else []


def rig(*, changes: tuple[Change, ...] = (), rules: tuple = ()) -> Rig:
    return Rig(3, everybody_sends_to_0, changes=changes, rules=rules, silence_ms=SILENCE_MS)


def lost(peer: FakePeer) -> list[tuple[int, str]]:
    return [(at // MS, e.peer) for at, e in peer.log if isinstance(e, PeerLost)]


def test_a_crash_is_noticed_by_those_with_a_connection_who_have_nothing_to_send():
    made = rig(changes=(Change(50 * MS, 1, Deed.CRASH),))
    made.world.run(1_000 * MS)
    assert (310, name(1)) in lost(made.peer(0))
    assert name(1) not in [who for _, who in lost(made.peer(2))]


def test_a_good_bye_closes_a_connection_and_leaves_nothing_to_notice():
    crash = Change(900 * MS, 2, Deed.CRASH)  # so that connections are looked after at all
    made = rig(changes=(Change(50 * MS, 1, Deed.LEAVE), crash))
    made.world.run(800 * MS)
    assert name(1) not in [who for _, who in lost(made.peer(0))]


def test_who_came_back_and_was_heard_of_is_not_lost():
    changes = Change(50 * MS, 1, Deed.CRASH), Change(100 * MS, 1, Deed.RETURN_KEPT)
    made = rig(changes=changes)
    made.world.run(1_000 * MS)
    assert name(1) not in [who for _, who in lost(made.peer(0))]


def test_a_partition_is_noticed_on_both_sides_and_a_short_one_by_nobody():
    for end_ms, noticed in ((900, True), (200, False)):
        made = rig(rules=(Partition((0, 1, 0), 50 * MS, end_ms * MS),))
        made.world.run(1_000 * MS)
        assert ((310, name(1)) in lost(made.peer(0))) is noticed
        assert ((310, name(0)) in lost(made.peer(1))) is noticed
        assert name(2) not in [who for _, who in lost(made.peer(0))]


def test_the_least_recently_used_connection_goes_first():
    connections = Connections(CONNECTIONS_MAX + 2)
    for other in range(1, CONNECTIONS_MAX + 1):
        connections.used(0, 0, 1, other, 1)
    connections.used(0, 1, 1, 0, 1)
    connections.used(0, 0, 1, CONNECTIONS_MAX + 1, 1)
    assert not connections.holds(0, 2, 1)
    assert not connections.holds(2, 0, 1)
    assert connections.holds(0, 1, 1)
    assert len(list(connections.of(0))) == CONNECTIONS_MAX
