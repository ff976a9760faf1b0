"""The three exchanges, and how they hold against floods and lies."""

from collections import Counter

import numpy as np
import pytest

from gossip.actions import Report, Send, Topic
from gossip.codec import decode, encode, pack
from gossip.config import Encoding, Exchange, PeerConfig
from gossip.contacts import PeerId
from gossip.events import Received, Start, Timer, TimerFired, Trained
from gossip.exchange import ARRIVED_MAX
from gossip.messages import Message, Model
from gossip.model import LocalModel
from gossip.peer import Peer
from gossip.strangers import STRANGERS_MAX
from tests.unit.meshes import FINGERPRINT, Mesh, contact, make_peer, peer_id

DIGEST = FINGERPRINT.digest
CYCLE_US = 10_000_000


def started(mode: Exchange, *, ages: int = 0, neighbours: int = 3, **settings: object) -> Peer:
    config = PeerConfig(exchange=mode, jitter=0.0, **settings)
    peer = make_peer(0, config, ages=ages)
    peer.handle(Start(neighbours=tuple(contact(i) for i in range(1, neighbours + 1))), 0)
    return peer


def model_frame(
    value: float, *, age: int = 0, answer: bool = False, fragments: tuple[int, ...] = (0, 1, 2, 3)
) -> bytes:
    values = np.full(2, value, np.float32)
    parts = tuple(pack(values, i, age, Encoding.FLOAT32, None) for i in fragments)
    return encode(Model(parts, answer), DIGEST)


def sends(actions) -> list[tuple[PeerId, Message]]:
    return [(a.to.peer, decode(a.frame, DIGEST)) for a in actions if isinstance(a, Send)]


def topics(actions) -> Counter[Topic]:
    return Counter(a.topic for a in actions if isinstance(a, Report))


# Age-weighted


def test_age_mode_merges_each_fragment_by_its_age():
    peer = started(Exchange.AGE, ages=30)
    before = peer.vector.copy()
    actions = peer.handle(Received(peer_id(1), model_frame(9.0, age=10, fragments=(1,))), 1)
    assert topics(actions)[Topic.MERGED] == 1
    expected = before.copy()
    expected[2:4] += 0.25 * (9 - before[2:4])  # 10 / (30 + 10)
    assert np.allclose(peer.vector, expected)
    assert peer.ages.tolist() == [30] * 4


def test_a_claimed_age_of_2_to_the_60_counts_for_own_plus_lead():
    peer = started(Exchange.AGE, ages=30)
    before = peer.vector.copy()
    peer.handle(Received(peer_id(1), model_frame(9.0, age=2**60)), 1)
    assert np.allclose(peer.vector, before + 1030 / 1060 * (9 - before), atol=1e-5)
    assert peer.ages.tolist() == [1030] * 4
    trained = started(Exchange.AGE, ages=100_000)
    trained.handle(Received(peer_id(1), model_frame(9.0, age=2**60)), 1)
    assert trained.ages.tolist() == [100_000] * 4


def test_news_spends_tokens_and_old_models_do_not():
    peer = started(Exchange.AGE, ages=30)
    stale = peer.handle(Received(peer_id(1), model_frame(0.0, age=29)), 1)
    assert sends(stale) == []
    fresh = peer.handle(Received(peer_id(2), model_frame(0.0, age=30)), 1)
    assert len(sends(fresh)) == 1  # 10 tokens / A = 10
    spent = [len(sends(peer.handle(Received(peer_id(3), model_frame(0.0, age=99)), 1)))]
    assert sum(spent) <= 1


def test_reactions_never_exceed_the_account_however_many_call():
    peer = started(Exchange.AGE)
    pushed = 0
    for i in range(200):
        frame = model_frame(0.0, age=10_000)
        pushed += len(sends(peer.handle(Received(PeerId(f"x{i}"), frame), 1)))
    assert 1 <= pushed <= 10


def test_two_honest_peers_hardly_ever_reach_the_limit_of_pushes_from_one_sender():
    mesh = Mesh(PeerConfig())
    arrived: Counter[tuple[PeerId, PeerId, int]] = Counter()

    def count(sender: PeerId, to: PeerId, frame: bytes) -> None:
        if isinstance(decode(frame, DIGEST), Model):
            arrived[sender, to, mesh.peers[to].cycle] += 1

    mesh.on_send = count
    mesh.start(0)
    mesh.start(1, bootstrap=(0,))
    mesh.run_cycles(1_000)
    shed = sum(r.topic is Topic.SHED for _, _, r in mesh.reports)
    assert shed / sum(arrived.values()) < 0.02
    assert 0.9 <= sum(arrived.values()) / 2_000 <= 1.1  # one push a cycle


# Epidemic


def test_epidemic_pushes_to_s_peers_after_training_and_takes_the_mean_at_the_cycle():
    peer = started(Exchange.EPIDEMIC, neighbours=5, fanout=3)
    assert sends(peer.handle(TimerFired(Timer.CYCLE), CYCLE_US)) == []
    pushed = sends(peer.handle(Trained(1, np.ones(8, np.float32), 5, 0.1), CYCLE_US + 1))
    assert len({to for to, _ in pushed}) == 3
    assert not any(m.answer for _, m in pushed)
    before = peer.vector.copy()
    peer.handle(Received(peer_id(1), model_frame(3.0, age=7)), CYCLE_US + 2)
    peer.handle(Received(peer_id(2), model_frame(6.0, age=2)), CYCLE_US + 2)
    assert np.array_equal(peer.vector, before)
    peer.handle(TimerFired(Timer.CYCLE), 2 * CYCLE_US)
    assert np.allclose(peer.vector, (before + 9) / 3, atol=1e-6)
    assert peer.ages.tolist() == [7] * 4
    after = peer.vector.copy()
    peer.handle(Trained(2, None, 0, float("nan")), 2 * CYCLE_US + 1)
    peer.handle(TimerFired(Timer.CYCLE), 3 * CYCLE_US)
    assert np.array_equal(peer.vector, after)


def test_epidemic_counts_each_sender_once_and_a_bounded_number_of_them():
    peer = started(Exchange.EPIDEMIC)
    frame = model_frame(1.0)
    assert topics(peer.handle(Received(peer_id(1), frame), 1))[Topic.MERGED] == 1
    assert topics(peer.handle(Received(peer_id(1), frame), 1))[Topic.SHED] == 1
    outcome = Counter()
    for i in range(2 * ARRIVED_MAX):
        outcome += topics(peer.handle(Received(PeerId(f"x{i}"), frame), 1))
    assert outcome[Topic.MERGED] == ARRIVED_MAX - 1
    assert outcome[Topic.SHED] == ARRIVED_MAX + 1


# Pairwise


def exchange(asker: Peer, other: Peer) -> None:
    """One push-pull between two peers, started by the asker's training."""
    asker.handle(TimerFired(Timer.CYCLE), CYCLE_US)
    asked = asker.handle(Trained(1, None, 0, float("nan")), CYCLE_US + 1)
    [(to, frame)] = [(a.to.peer, a.frame) for a in asked if isinstance(a, Send)]
    assert to == other.me.peer
    answers = other.handle(Received(asker.me.peer, frame), CYCLE_US + 2)
    [frame] = [a.frame for a in answers if isinstance(a, Send)]
    assert sends(asker.handle(Received(other.me.peer, frame), CYCLE_US + 3)) == []


@pytest.mark.parametrize("pushed", [4, 2])
def test_pairwise_conserves_the_mean_of_two_peers(pushed):
    config = PeerConfig(exchange=Exchange.PAIRWISE, jitter=0.0, fragments_per_push=pushed)
    left, right = make_peer(0, config), make_peer(1, config)
    left.handle(Start(neighbours=(contact(1),)), 0)
    right.handle(Start(neighbours=(contact(0),)), 0)
    before = np.stack([left.vector, right.vector])
    exchange(left, right)
    after = np.stack([left.vector, right.vector])
    assert np.allclose(after.mean(axis=0), before.mean(axis=0), atol=1e-6)
    # The fragments asked about, and only these, are equal now.
    assert (np.abs(after[0] - after[1]) < 1e-6).sum() == 2 * pushed


def test_pairwise_answers_what_was_asked_and_no_more():
    peer = started(Exchange.PAIRWISE)
    frame = model_frame(1.0, answer=True, fragments=(2,))
    [(to, answer)] = sends(peer.handle(Received(peer_id(1), frame), 1))
    assert to == peer_id(1)
    assert [f.index for f in answer.fragments] == [2]
    assert not answer.answer


def test_pairwise_sheds_answers_that_nobody_waits_for():
    peer = started(Exchange.PAIRWISE, neighbours=1)
    before = peer.vector.copy()
    assert topics(peer.handle(Received(peer_id(1), model_frame(9.0)), 1))[Topic.SHED] == 1
    assert np.array_equal(peer.vector, before)
    peer.handle(TimerFired(Timer.CYCLE), CYCLE_US)
    peer.handle(Trained(1, None, 0, float("nan")), CYCLE_US + 1)
    first = peer.handle(Received(peer_id(1), model_frame(9.0)), CYCLE_US + 2)
    again = peer.handle(Received(peer_id(1), model_frame(9.0)), CYCLE_US + 3)
    assert (topics(first)[Topic.MERGED], topics(again)[Topic.SHED]) == (1, 1)


# All of them


@pytest.mark.parametrize("mode", Exchange)
def test_a_flood_of_models_is_shed_unread_until_the_next_cycle(mode):
    peer = started(mode)
    frame = model_frame(1.0, answer=True)
    seen = Counter()
    for _ in range(20):
        seen += topics(peer.handle(Received(peer_id(1), frame), 1))
    assert seen[Topic.MERGED] + seen[Topic.SHED] == 20
    assert seen[Topic.MERGED] == (1 if mode is Exchange.EPIDEMIC else 8)
    for i in range(2 * STRANGERS_MAX):
        peer.handle(Received(PeerId(f"x{i}"), frame), 1)
    assert len(peer._strangers._pushes) == STRANGERS_MAX
    peer.handle(TimerFired(Timer.CYCLE), CYCLE_US)
    assert topics(peer.handle(Received(peer_id(1), frame), CYCLE_US))[Topic.MERGED] == 1


@pytest.mark.parametrize("mode", Exchange)
@pytest.mark.parametrize("encoding", Encoding)
def test_a_mesh_converges_to_a_common_model(mode, encoding):
    mesh = Mesh(PeerConfig(exchange=mode, encoding=encoding, fanout=2))
    mesh.start(0)
    for i in range(1, 8):
        mesh.start(i, bootstrap=(0,))
    first = np.stack([p.vector for p in mesh.peers.values()])
    mesh.run_cycles(25)
    last = np.stack([p.vector for p in mesh.peers.values()])
    assert np.ptp(last, axis=0).max() < 0.1 * np.ptp(first, axis=0).max()
    assert (last >= first.min(axis=0) - 0.05).all()
    assert (last <= first.max(axis=0) + 0.05).all()


def test_training_that_diverged_is_discarded():
    model = LocalModel(PeerConfig(), np.ones(8, np.float32), None)
    for delta in (np.nan, np.inf, 3e38, 2e6):
        assert not model.add(np.full(8, delta, np.float32), 5)
    assert (model.vector == 1).all()
    assert model.ages.tolist() == [0] * 4
    assert model.add(np.full(8, 0.5), 5)  # float64 from a careless driver stays float32 here
    assert model.vector.dtype == np.float32
    assert model.ages.tolist() == [5] * 4


def test_ages_stop_growing_at_their_maximum():
    model = LocalModel(PeerConfig(age_max=10), np.ones(8, np.float32), np.array([0, 8, 10, 99]))
    model.add(np.zeros(8, np.float32), 5)
    assert model.ages.tolist() == [5, 10, 10, 99]  # one above it, from a file, is kept


@pytest.mark.parametrize(
    ("vector", "ages"),
    [
        (np.full(8, np.nan), None),
        (np.full(8, 2e6), None),
        (np.ones((2, 4)), None),
        (np.ones(0), None),
        (np.ones(8), np.array([0, 0, 0, -1])),
        (np.ones(8), np.zeros(3)),
    ],
)
def test_an_unsound_initial_model_is_refused(vector, ages):
    with pytest.raises(ValueError, match=r"flat|value|age"):
        LocalModel(PeerConfig(), vector, ages)
