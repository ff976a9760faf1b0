"""The mesh's mean on model frames: halves that go to one peer only, bounds, and the contract."""

import random

import numpy as np
import pytest

from gossip.actions import Action, Disconnect, Report, Send, Topic
from gossip.codec import decode, encode, pack
from gossip.config import Encoding, Exchange, PeerConfig
from gossip.events import Contribute, PeerLost, Received, Start, Timer, TimerFired, Trained
from gossip.messages import Model
from gossip.peer import Peer
from gossip.pushsum import HELD_MAX, Sums
from scenarios.world.freezing import Freezer, Known, Thawer
from scenarios.world.frozen import KINDS
from tests.unit.meshes import FINGERPRINT, Mesh, contact, make_peer, peer_id

DIGEST = FINGERPRINT.digest
CYCLE_US = 10_000_000
OWN = np.array([0.5, 0.25])


def config(exchange: Exchange = Exchange.EPIDEMIC, **given: int) -> PeerConfig:
    return PeerConfig(exchange=exchange, jitter=0.0, **{"sums_length": 2, **given})


def started(given: PeerConfig, index: int = 0) -> Peer:
    peer = make_peer(index, given)
    peer.handle(Start(neighbours=tuple(contact(i) for i in range(9))), 0)
    return peer


def models(actions: list[Action]) -> list[Model]:
    return [decode(a.frame, DIGEST) for a in actions if isinstance(a, Send)]


def one_cycle(peer: Peer) -> list[Model]:
    """What a peer in epidemic or pairwise mode pushes in its next cycle."""
    now_us = (peer.cycle + 1) * CYCLE_US
    peer.handle(TimerFired(Timer.CYCLE), now_us)
    return models(peer.handle(Trained(peer.cycle, None, 0, float("nan")), now_us))


def sums(*numbers: float, weight: float = 0.25) -> Sums:
    return Sums(weight, np.array(numbers, "<f2").tobytes())


def say(peer: Peer, sender: int, given: Sums | None, *, answer: bool = False) -> list[Action]:
    part = pack(np.ones(2, np.float32), 0, 0, Encoding.FLOAT32, None)
    frame = encode(Model((part,), answer, sums=given), DIGEST)
    return peer.handle(Received(peer_id(sender), frame), peer.cycle * CYCLE_US + 2)


def held(peer: Peer) -> float:
    return peer._averaging._sums._weight


def test_of_a_fan_out_one_peer_gets_the_half_that_leaves():
    peer = started(config(fanout=4))
    peer.handle(Contribute(OWN), 1)
    before = 1.0  # of the first cycle's own word
    for _ in range(5):
        sent = one_cycle(peer)
        assert len(sent) == 4
        [given] = [model.sums for model in sent if model.sums is not None]
        assert held(peer) == before / 2
        assert given.weight == np.float32(before / 2)
        assert np.frombuffer(given.means, "<f2").tolist() == OWN.tolist()
        assert len({model.fragments for model in sent}) == 1
        before = 0.9 * held(peer) + 0.1


def test_both_sides_of_a_pairwise_exchange_give_a_half_and_take_one():
    asks, answers = (started(config(Exchange.PAIRWISE), index) for index in range(2))
    asks.handle(Contribute(OWN), 1)
    answers.handle(Contribute(np.array([1.0, 0.0], np.float32)), 1)
    one_cycle(answers)
    [question] = one_cycle(asks)
    assert (question.answer, question.sums) == (True, sums(0.5, 0.25, weight=0.5))
    told = answers.handle(Received(peer_id(0), encode(question, DIGEST)), 2 * CYCLE_US)
    [answer] = models(told)
    # Half of what it had left, and nothing of what it was just told.
    assert answer.sums == sums(1.0, 0.0, weight=0.25)
    assert held(answers) == pytest.approx(0.25 + 0.3)


@pytest.mark.parametrize("dropped", [0.0, 0.3])
@pytest.mark.parametrize("exchange", Exchange)
def test_every_peer_comes_near_the_mean_though_frames_are_dropped(exchange, dropped):
    mesh, rng = Mesh(PeerConfig(exchange=exchange, fanout=2, sums_length=3)), random.Random(5)
    mesh.tells_failures = False
    own = np.random.default_rng(1).gamma(4.0, 0.01, size=(32, 3))
    for i in range(32):
        mesh.start(i, neighbours=tuple(contact((i + step) % 32) for step in (-9, -4, 1, 2, 7)))
        mesh.tell(i, Contribute(own[i]))
    mesh.reachable = lambda a, b: rng.random() >= dropped
    mesh.run_cycles(25)
    said = [peer.mesh for peer in mesh.peers.values()]
    assert all(each is not None and each[1] >= 3 for each in said)
    found = np.array([each[0] for each in said if each is not None])
    mean = own.mean(axis=0)
    # What was dropped took value and weight alike: no drift, and no peer far off.
    assert np.abs(found.mean(axis=0) / mean - 1).max() < 0.06
    errors = np.linalg.norm(found - mean, axis=1) / np.linalg.norm(mean)
    assert np.median(errors) < 0.2


def test_who_says_nothing_more_passes_on_what_it_holds_until_that_has_faded():
    peer = started(config())
    peer.handle(Contribute(OWN), 1)
    one_cycle(peer)
    peer.handle(Contribute(None), CYCLE_US + 2)
    weights = [model.sums.weight for _ in range(12) for model in one_cycle(peer)]
    assert weights == [0.25 * 0.5**n for n in range(12)]
    for turn in range(40):  # one who cannot make up its mind has no more than others may have
        peer.handle(Contribute(OWN if turn % 2 else None), (peer.cycle * CYCLE_US) + 3)
        peer.handle(TimerFired(Timer.CYCLE), (peer.cycle + 1) * CYCLE_US)
        assert held(peer) <= HELD_MAX


def test_a_contribution_is_the_peers_own_copy_and_counts_from_the_next_cycle_on():
    peer, own = started(config()), OWN.copy()
    peer.handle(Contribute(own), 1)
    own[:] = 1.0
    assert one_cycle(peer)[0].sums == sums(0.5, 0.25, weight=0.5)
    peer.handle(Contribute(own.astype(np.float32)), CYCLE_US + 2)
    [model] = one_cycle(peer)
    expected = (0.9 * 0.5 * OWN + 0.1) / (0.9 * 0.5 + 0.1)
    assert np.frombuffer(model.sums.means, "<f2") == pytest.approx(expected, abs=1e-3)


def test_the_estimate_is_told_with_the_peers_it_rests_on_less_those_that_went():
    peer = started(config())
    assert peer.mesh is None
    for sender in range(1, 6):
        say(peer, sender, sums(0.25 * (sender % 3), 0.5))
    estimate, peers = peer.mesh
    assert (estimate.tolist(), estimate.dtype, peers) == ([0.25, 0.5], np.float64, 5)
    say(peer, 5, sums(1.0, 1.0))  # once in a cycle
    assert peer.mesh[0].tolist() == [0.25, 0.5]
    peer.handle(PeerLost(peer_id(2), "reset"), 3)
    assert peer.mesh[1] == 4


def test_what_comes_with_a_model_that_is_shed_is_shed():
    peer = started(config())
    for sender in (1, 2, 3, 1):
        say(peer, sender, sums(0.5, 0.5))
    full = started(config(Exchange.PAIRWISE, pushes_per_sender_max=1))
    for number in range(9):
        say(full, 1 + number // 2, sums(0.5, 0.5), answer=number % 2 == 1)
    assert peer.mesh[1] == 3
    assert full.mesh is None  # answers that nobody waited for, and questions over the bound


@pytest.mark.parametrize(
    "hostile",
    [
        sums(0.5),
        sums(0.5, 0.5, 0.5),
        sums(0.5, 1.5),
        sums(-0.5, 0.5),
        sums(0.5, np.nan),
        sums(0.5, 0.5, weight=2 * HELD_MAX),
        sums(0.5, 0.5, weight=1e-40 * 1e-6),  # nothing, once it is a float32
        sums(0.5, 0.5, weight=np.inf),
        sums(0.5, 0.5, weight=np.nan),
    ],
)
def test_hostile_sums_are_a_fault_and_change_nothing(hostile):
    peer = started(config())
    peer.handle(Contribute(OWN), 1)
    one_cycle(peer)
    before = (peer.vector.tobytes(), held(peer), peer.mesh)
    report, disconnect = say(peer, 1, hostile)
    assert isinstance(report, Report)
    assert report.topic is Topic.REMOTE_FAULT
    assert disconnect == Disconnect(peer_id(1), report.detail)
    assert "sums" in report.detail
    assert (peer.vector.tobytes(), held(peer), peer.mesh) == before


def test_who_takes_no_part_sends_none_and_looks_at_none():
    peer = started(config(sums_length=0))
    [report] = peer.handle(Contribute(OWN), 1)
    assert isinstance(report, Report)
    assert report.topic is Topic.SHED
    assert peer.handle(Contribute(None), 1) == []
    assert [model.sums for model in one_cycle(peer)] == [None]
    for sender, given in enumerate((sums(0.5), sums(0.5, np.nan), sums(0.5, 0.5), None), start=1):
        [report] = say(peer, sender, given)
        assert report.topic is Topic.MERGED
    assert peer.mesh is None
    assert peer._averaging._sums is None


def test_sums_take_two_bytes_a_number_and_six_and_none_where_there_are_none():
    part = pack(np.ones(2, np.float32), 0, 0, Encoding.FLOAT32, None)
    bare = len(encode(Model((part,)), DIGEST))
    assert bare == len(encode(Model((part,), sums=sums(*[0.1] * 34)), DIGEST)) - 74
    decoded = decode(encode(Model((part,), sums=sums(0.5, weight=0.3)), DIGEST), DIGEST)
    assert decoded.sums.weight == np.float32(0.3)


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        (np.ones(3), "2 numbers from 0 to 1"),
        (np.ones((2, 1)), "2 numbers from 0 to 1"),
        (np.array([0.5, 1.5]), "2 numbers from 0 to 1"),
        (np.array([0.5, -0.5]), "2 numbers from 0 to 1"),
        (np.array([0.5, np.nan]), "2 numbers from 0 to 1"),
        (np.array([0, 1]), "float32 or float64, not int64"),
        (OWN.astype(np.float16), "float32 or float64, not float16"),
        (OWN.astype(">f8"), "float32 or float64, not >f8"),
    ],
)
def test_a_driver_that_contributes_nonsense_is_told_and_what_it_said_before_holds(numbers, why):
    peer = started(config())
    peer.handle(Contribute(OWN), 1)
    with pytest.raises(ValueError, match=why):
        peer.handle(Contribute(numbers), 2)
    assert one_cycle(peer)[0].sums == sums(0.5, 0.25, weight=0.5)


def test_a_peer_taken_up_from_a_checkpoint_goes_on_as_the_other_does():
    peer = started(config(fanout=2))
    peer.handle(Contribute(OWN), 1)
    one_cycle(peer)
    for sender in range(1, 9):
        say(peer, sender, sums(0.1 * sender, 0.5))
    again = Thawer(KINDS, Known()).thaw(Freezer(KINDS, Known()).freeze(peer))
    for turn in range(20):
        assert one_cycle(again) == one_cycle(peer)
        for each in (peer, again):
            say(each, 1 + turn % 8, sums(0.05 * turn, 0.25))
        assert again.mesh[0].tolist() == peer.mesh[0].tolist()
        assert again.mesh[1] == peer.mesh[1]
