"""The peer as a whole: timers, refusals, isolation, failures, and the driver's contract."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from gossip.actions import Disconnect, Report, Send, SetTimer, Topic, Train
from gossip.codec import decode, encode, pack
from gossip.config import Encoding, Exchange, PeerConfig
from gossip.contacts import PeerId
from gossip.events import Contribute, PeerLost, Received, Start, Stop, Timer, TimerFired, Trained
from gossip.fingerprint import Fingerprint
from gossip.messages import Leave, Model, Refuse, Shuffle
from gossip.neighbours import DOWN_CYCLES
from gossip.strangers import REFUSED_CYCLES, STRANGERS_MAX
from tests.unit.meshes import FINGERPRINT, Mesh, contact, make_peer, peer_id

DIGEST = FINGERPRINT.digest
OTHER = Fingerprint("schema 2", "9 values")
CYCLE_US = 10_000_000
EXACT = PeerConfig(jitter=0.0)


def reports(actions, topic: Topic) -> list[Report]:
    return [a for a in actions if isinstance(a, Report) and a.topic is topic]


def timers(actions) -> dict[Timer, int]:
    return {a.timer: a.at_us for a in actions if isinstance(a, SetTimer)}


def sends(actions) -> list[Send]:
    return [a for a in actions if isinstance(a, Send)]


def a_model(digest: bytes = DIGEST, *, size: int = 2) -> bytes:
    parts = [pack(np.ones(size, np.float32), i, 0, Encoding.FLOAT32, None) for i in range(4)]
    return encode(Model(tuple(parts)), digest)


def test_periods_do_not_stretch_when_the_driver_is_late():
    peer = make_peer(0, EXACT)
    assert timers(peer.handle(Start(), 5)) == {
        Timer.CYCLE: CYCLE_US + 5,
        Timer.SHUFFLE: CYCLE_US + 5,
    }
    late = peer.handle(TimerFired(Timer.CYCLE), CYCLE_US + 400_000)
    assert timers(late) == {Timer.CYCLE: 2 * CYCLE_US + 5}
    # After a sleep of ten periods one cycle follows at once, not ten.
    woken = timers(peer.handle(TimerFired(Timer.CYCLE), 12 * CYCLE_US))
    assert woken == {Timer.CYCLE: 12 * CYCLE_US + 1}


def test_a_mismatch_is_refused_once_with_a_reason_on_both_sides_and_never_merged():
    ours, theirs = make_peer(0, EXACT), make_peer(1, EXACT, fingerprint=OTHER)
    ours.handle(Start(), 0)
    theirs.handle(Start(), 0)
    before = ours.vector.copy()
    actions = ours.handle(Received(peer_id(1), a_model(OTHER.digest)), 1)
    [report] = reports(actions, Topic.REFUSED)
    assert FINGERPRINT.text in report.detail
    assert OTHER.digest.hex() in report.detail
    [refusal] = sends(actions)
    assert np.array_equal(ours.vector, before)
    for _ in range(5):
        assert ours.handle(Received(peer_id(1), a_model(OTHER.digest)), 1) == []

    actions = theirs.handle(Received(peer_id(0), refusal.frame), 1)
    [report] = reports(actions, Topic.REFUSED_BY)
    assert report.detail == f"it has {FINGERPRINT.text}"
    [back] = sends(actions)
    actions = ours.handle(Received(peer_id(1), back.frame), 1)
    assert [r.detail for r in reports(actions, Topic.REFUSED_BY)] == [f"it has {OTHER.text}"]
    assert sends(actions) == []  # no endless exchange of refusals


def test_the_refused_are_avoided_for_a_while_and_forgiven_when_they_match():
    peer = make_peer(0, PeerConfig(exchange=Exchange.EPIDEMIC, jitter=0.0))
    peer.handle(Start(neighbours=(contact(1),)), 0)
    peer.handle(Received(peer_id(1), a_model(OTHER.digest)), 1)

    def pushed(cycle: int) -> int:
        peer.handle(TimerFired(Timer.CYCLE), cycle * CYCLE_US)
        done = Trained(cycle, None, 0, float("nan"))
        return len(sends(peer.handle(done, cycle * CYCLE_US + 1)))

    assert [pushed(c) for c in range(1, REFUSED_CYCLES)] == [0] * (REFUSED_CYCLES - 1)
    assert pushed(REFUSED_CYCLES) == 1
    peer.handle(Received(peer_id(1), a_model(OTHER.digest)), peer.cycle * CYCLE_US + 2)
    peer.handle(Received(peer_id(1), a_model()), peer.cycle * CYCLE_US + 3)
    assert pushed(REFUSED_CYCLES + 1) == 1


def test_refusals_in_mind_are_bounded():
    peer = make_peer(0)
    peer.handle(Start(), 0)
    for i in range(3 * STRANGERS_MAX):
        peer.handle(Received(PeerId(f"x{i}"), a_model(OTHER.digest)), 1)
    assert len(peer._strangers.refused) == STRANGERS_MAX


@pytest.mark.parametrize(
    "frame", [b"", b"\xc1", a_model()[:-1], a_model(size=3), bytes(10_000_000)]
)
def test_a_bad_frame_is_reported_and_the_sender_disconnected_and_nothing_else(frame):
    peer = make_peer(0)
    peer.handle(Start(), 0)
    before = (peer.vector.tobytes(), peer.ages.tobytes(), peer.view)
    report, disconnect = peer.handle(Received(peer_id(1), frame), 1)
    assert report.topic is Topic.REMOTE_FAULT
    assert disconnect == Disconnect(peer_id(1), report.detail)
    assert (peer.vector.tobytes(), peer.ages.tobytes(), peer.view) == before


def test_a_peer_alone_trains_and_asks_for_ever_at_growing_bounded_intervals():
    peer = make_peer(1)
    pending = timers(peer.handle(Start(bootstrap=(contact(0),)), 0))
    asked: list[int] = [0]
    trained = 0
    while peer.cycle < 100:
        timer = min(pending, key=lambda t: pending[t])
        now = pending.pop(timer)
        actions = peer.handle(TimerFired(timer), now)
        assert not set(timers(actions)) & set(pending)
        pending |= timers(actions)
        if reports(actions, Topic.ISOLATED):
            asked.append(now)
            assert [s.to for s in sends(actions)] == [contact(0)]
        for action in actions:
            if isinstance(action, Train):
                trained += 1
                peer.handle(Trained(action.cycle, np.zeros(8, np.float32), 1, 0.5), now)
        peer.handle(PeerLost(peer_id(0), "connection refused"), now)
    assert trained == 100
    gaps = np.diff(asked) / 1e6
    for i, gap in enumerate(gaps):
        nominal = min(60, 2**i)
        assert nominal / 2 <= gap <= nominal
    assert len(gaps) > 15
    assert len({round(g, 3) for g in gaps[7:]}) > 5  # jitter


def test_a_peer_alone_finds_the_mesh_when_its_bootstrap_comes_back():
    mesh = Mesh(PeerConfig())
    mesh.start(1, bootstrap=(0,))
    mesh.run_cycles(20)
    mesh.start(0)
    mesh.run_cycles(8)
    assert mesh.views() == {peer_id(0): [peer_id(1)], peer_id(1): [peer_id(0)]}
    topics = Counter(r.topic for _, p, r in mesh.reports if p == peer_id(1))
    assert topics[Topic.JOINED] == 1


def test_a_restarted_peer_returns_through_remembered_addresses_alone():
    mesh = Mesh(PeerConfig())
    mesh.start(0)
    for i in range(1, 6):
        mesh.start(i, bootstrap=(0,))
    mesh.run_cycles(10)
    remembered = mesh.peers[peer_id(5)].remembered
    assert {c.peer for c in remembered} == {peer_id(i) for i in range(5)}
    mesh.crash(5)
    mesh.run_cycles(5)
    mesh.start(5, remembered=remembered)
    mesh.run_cycles(10)
    assert len(mesh.views()[peer_id(5)]) == 5
    assert all(peer_id(5) in view for p, view in mesh.views().items() if p != peer_id(5))


@pytest.mark.parametrize("exchange", Exchange)
def test_a_newcomer_and_who_it_joins_by_exchange_models_before_a_cycle_is_over(exchange):
    def heard(*, greets: bool) -> dict[PeerId, set[PeerId | None]]:
        mesh = Mesh(PeerConfig(exchange=exchange, jitter=0.0, greets=greets, sums_length=3))
        mesh.start(0)
        mesh.start(1, bootstrap=(0,))
        mesh.start(2, bootstrap=(0,))
        mesh.run_cycles(1)  # what is sent when the first cycle begins arrives after that
        merged = [(by, r.peer) for _, by, r in mesh.reports if r.topic is Topic.MERGED]
        return {peer_id(i): {other for by, other in merged if by == peer_id(i)} for i in range(3)}

    first, second, newcomer = (peer_id(i) for i in range(3))
    assert heard(greets=False) == {first: set(), second: set(), newcomer: set()}
    found = heard(greets=True)
    assert second in found[first]
    assert first in found[second]
    (asked,) = found[newcomer]
    assert newcomer in found[PeerId(str(asked))]


def test_who_leaves_and_comes_again_is_greeted_once_in_a_cycle():
    peer = make_peer(0, PeerConfig(jitter=0.0, greets=True))
    peer.handle(Start(), 0)
    given = []
    for moment in range(1, 5):
        actions = peer.handle(Received(peer_id(1), encode(Shuffle((), ()), DIGEST)), moment)
        given += [decode(send.frame, DIGEST, 10_000) for send in sends(actions)]
        assert peer.view, "it is known again"
        peer.handle(Received(peer_id(1), encode(Leave(), DIGEST)), moment)
        assert not peer.view
    assert sum(isinstance(each, Model) for each in given) == 1


def test_who_greets_often_is_answered_with_models_but_gets_no_more_of_the_mean():
    peer = make_peer(0, PeerConfig(jitter=0.0, greets=True, sums_length=3))
    peer.handle(Start(), 0)
    peer.handle(Contribute(np.ones(3)), 1)
    greeting = replace(decode(a_model(), DIGEST, 10_000), answer=True)
    for moment in range(2, 5):
        actions = peer.handle(Received(peer_id(1), encode(greeting, DIGEST)), moment)
        answers = [decode(send.frame, DIGEST, 10_000) for send in sends(actions)]
        (model,) = [each for each in answers if isinstance(each, Model)]
        assert model.fragments
        assert not model.answer
        assert model.sums is None


@pytest.mark.parametrize("mode", Exchange)
def test_dead_and_silent_neighbours_delay_nobody(mode):
    mesh = Mesh(PeerConfig(exchange=mode, jitter=0.0))
    mesh.tells_failures = False
    everybody = tuple(contact(i) for i in range(6))
    for i in range(3):  # of six neighbours three never answer
        mesh.start(i, neighbours=everybody)
    mesh.run_cycles(50)
    assert [p.cycle for p in mesh.peers.values()] == [50] * 3
    trained = Counter(p for _, p, r in mesh.reports if r.topic is Topic.MERGED)
    assert set(trained) == set(mesh.peers)


def test_slow_training_skips_cycles_and_is_asked_for_once():
    peer = make_peer(0, EXACT)
    peer.handle(Start(), 0)
    first = peer.handle(TimerFired(Timer.CYCLE), CYCLE_US)
    second = peer.handle(TimerFired(Timer.CYCLE), 2 * CYCLE_US)
    assert [sum(isinstance(a, Train) for a in actions) for actions in (first, second)] == [1, 0]
    peer.handle(Trained(1, np.ones(8, np.float32), 4, 0.2), 2 * CYCLE_US + 1)
    assert peer.ages.tolist() == [4] * 4
    third = peer.handle(TimerFired(Timer.CYCLE), 3 * CYCLE_US)
    [train] = [a for a in third if isinstance(a, Train)]
    assert train.cycle == 3
    train.vector[:] = 7  # the driver's copy
    assert not (peer.vector == 7).any()


def test_a_fixed_topology_spares_the_lost_for_a_while_and_ignores_shuffles():
    peer = make_peer(0, EXACT)
    twice = (contact(1), contact(2), contact(1), contact(0))
    peer.handle(Start(neighbours=twice), 0)
    assert peer.view == (contact(1), contact(2))
    shuffle = encode(Shuffle((), ()), DIGEST)
    assert reports(peer.handle(Received(peer_id(3), shuffle), 1), Topic.SHED)
    lost = peer.handle(PeerLost(peer_id(1), "reset"), 2)
    assert reports(lost, Topic.PEER_LOST)
    assert peer.handle(PeerLost(peer_id(1), "reset"), 2) == []
    assert peer.view == (contact(2),)
    for cycle in range(1, DOWN_CYCLES + 1):
        peer.handle(TimerFired(Timer.CYCLE), cycle * CYCLE_US)
    assert peer.view == (contact(1), contact(2))


def test_in_a_topology_that_changes_pushes_follow_the_cycle():
    peer = make_peer(0, PeerConfig(jitter=0.0, exchange=Exchange.EPIDEMIC, fanout=3))
    turns = ((peer_id(1),), (peer_id(2), peer_id(3)))
    peer.handle(Start(neighbours=(contact(1), contact(2), contact(3)), turns=turns), 0)
    assert peer.view == (contact(1), contact(2), contact(3))
    for cycle in range(1, 5):
        peer.handle(TimerFired(Timer.CYCLE), cycle * CYCLE_US)
        pushes = sends(peer.handle(Trained(cycle, None, 0, float("nan")), cycle * CYCLE_US))
        assert tuple(sorted(push.to.peer for push in pushes)) == turns[cycle % 2]


def test_good_bye_goes_to_the_view_and_nothing_follows():
    peer = make_peer(0)
    peer.handle(Start(neighbours=(contact(1), contact(2))), 0)
    farewells = sends(peer.handle(Stop(), 1))
    assert [(s.to, decode(s.frame, DIGEST)) for s in farewells] == [
        (contact(1), Leave()),
        (contact(2), Leave()),
    ]
    for event in (TimerFired(Timer.CYCLE), Received(peer_id(1), a_model()), Stop(), Start()):
        assert peer.handle(event, 2) == []


def test_a_refusal_without_end_costs_one_report_each_and_no_answer():
    peer = make_peer(0)
    peer.handle(Start(), 0)
    frame = encode(Refuse("because"), DIGEST)
    first = peer.handle(Received(peer_id(1), frame), 1)
    assert len(sends(first)) == 1
    assert all(not sends(peer.handle(Received(peer_id(1), frame), 1)) for _ in range(5))


def test_a_driver_that_breaks_the_contract_is_told():
    peer = make_peer(0)
    with pytest.raises(ValueError, match="Start"):
        peer.handle(TimerFired(Timer.CYCLE), 0)
    peer.handle(Start(), 0)
    with pytest.raises(ValueError, match="Start"):
        peer.handle(Start(), 0)
    with pytest.raises(ValueError, match="not armed"):
        peer.handle(TimerFired(Timer.JOIN), 0)
    with pytest.raises(ValueError, match="asked for"):
        peer.handle(Trained(1, None, 0, 0.0), 0)
    peer.handle(TimerFired(Timer.CYCLE), CYCLE_US)
    with pytest.raises(ValueError, match="never decreases"):
        peer.handle(Trained(1, np.zeros(8, np.float32), -1, 0.0), CYCLE_US)
    with pytest.raises(ValueError, match="does not fit"):
        peer.handle(Trained(1, np.zeros(7, np.float32), 1, 0.0), CYCLE_US)
