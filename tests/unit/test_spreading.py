"""Antigens from peer to peer: how they spread, what they cost, and what a bad one does."""

import random
from collections import Counter

import numpy as np
import pytest

from gossip.actions import Disconnect, Report, Send, Topic, Train
from gossip.codec import decode, encode, pack
from gossip.config import Encoding, PeerConfig
from gossip.contacts import PeerId
from gossip.events import Present, Received, Start, Timer, TimerFired
from gossip.messages import Give, Have, Model, Want
from gossip.peer import Peer
from tests.unit.meshes import FINGERPRINT, Mesh, contact, make_peer, peer_id
from tests.unit.sealing import KeyedHash, an_antigen, forged

DIGEST = FINGERPRINT.digest
CYCLE_US = 10_000_000
GIVER = peer_id(1)


class Wire:
    """What a mesh sends that is about antigens."""

    def __init__(self, mesh: Mesh) -> None:
        self.given: Counter[tuple[PeerId, bytes]] = Counter()
        self.kinds: Counter[type] = Counter()
        mesh.on_send = self._note

    def _note(self, _: PeerId, to: PeerId, frame: bytes) -> None:
        message = decode(frame, DIGEST)
        self.kinds[type(message)] += 1
        if isinstance(message, Give):
            self.given.update((to, antigen.id) for antigen in message.antigens)


def a_mesh(peers: int, *, fixed: bool = False) -> Mesh:
    """Peers that have met, or each with four fixed neighbours of a circulant graph."""
    mesh = Mesh(PeerConfig(), seal=KeyedHash("all"))
    for i in range(peers):
        if fixed:
            others = [contact((i + step) % peers) for step in (-7, -1, 1, 7)]
            mesh.start(i, neighbours=tuple(others))
        else:
            mesh.start(i, bootstrap=(0,))
    mesh.run_cycles(1 if fixed else 15)
    return mesh


def holders(mesh: Mesh, *serials: int) -> int:
    return sum(tuple(a.serial for a in p.antigens) == serials for p in mesh.peers.values())


@pytest.mark.parametrize("fixed", [False, True])
def test_an_antigen_is_everywhere_within_three_cycles_and_travels_to_each_peer_once(fixed):
    mesh = a_mesh(32, fixed=fixed)
    wire = Wire(mesh)
    antigen = an_antigen(peer_id(7))
    mesh.tell(7, Present(antigen))
    mesh.run_cycles(1)
    assert holders(mesh, 1) >= 28
    mesh.run_cycles(2)
    assert holders(mesh, 1) == 32
    assert set(wire.given.values()) == {1}
    assert len(wire.given) == 31
    assert wire.kinds[Want] == 31
    assert wire.kinds[Have] <= 32 * 4
    mesh.run_cycles(5)
    assert wire.kinds[Give] == 31  # known, and never sent again

    mesh.tell(7, Present(an_antigen(peer_id(7), serial=2, revokes=True)))
    mesh.run_cycles(3)
    assert holders(mesh) == 32
    mesh.run_cycles(5)
    assert wire.kinds[Give] == 62


def test_many_at_once_through_lost_frames_reach_everybody():
    mesh = a_mesh(20)
    rng = random.Random(2)
    mesh.tells_failures = False
    mesh.reachable = lambda a, b: rng.random() < 0.8
    families = [f"attack {i}" for i in range(6)]
    for i, family in enumerate(families):
        mesh.tell(i, Present(an_antigen(peer_id(i), family)))
    mesh.run_cycles(12)
    assert [[a.family for a in p.antigens] for p in mesh.peers.values()] == [families] * 20


def test_who_comes_later_is_told_by_models():
    mesh = a_mesh(8)
    for i in range(3):
        mesh.tell(i, Present(an_antigen(peer_id(i), f"attack {i}")))
    mesh.run_cycles(3)
    late = mesh.start(8, bootstrap=(0,))
    mesh.run_cycles(6)
    assert len(late.antigens) == 3


def started(config: PeerConfig | None = None, *, sealed: bool = True) -> Peer:
    peer = make_peer(0, config, seal=KeyedHash(peer_id(0)) if sealed else None)
    peer.handle(Start(neighbours=tuple(contact(i) for i in range(1, 9))), 0)
    return peer


def say(peer: Peer, message: Model | Have | Want | Give, now_us: int = 1) -> list[object]:
    return list(peer.handle(Received(GIVER, encode(message, DIGEST)), now_us))


def answers(actions: list[object]) -> list[tuple[PeerId, object]]:
    return [(a.to.peer, decode(a.frame, DIGEST)) for a in actions if isinstance(a, Send)]


def test_news_go_to_three_neighbours_but_not_to_the_giver():
    peer, antigen = started(), an_antigen()
    assert answers(say(peer, Have(antigen.id))) == [(GIVER, Want(antigen.id))]
    actions = say(peer, Give((antigen,)))
    [report] = [a for a in actions if isinstance(a, Report)]
    assert report == Report(Topic.ANTIGEN, GIVER, "smurf by p0001", 12.0)
    told = answers(actions)
    assert [message for _, message in told] == [Have(antigen.id)] * 3
    assert len({to for to, _ in told} - {GIVER, peer_id(0)}) == 3


def test_a_bad_signature_is_reported_and_its_giver_disconnected():
    peer, antigen = started(), an_antigen()
    say(peer, Have(antigen.id))
    report, disconnect = say(peer, Give((forged(antigen),)))
    assert isinstance(report, Report)
    assert isinstance(disconnect, Disconnect)
    assert (report.topic, disconnect.peer) == (Topic.REMOTE_FAULT, GIVER)
    assert "smurf by p0001 is not its origin's" in report.detail
    assert peer.antigens == ()


def test_training_gets_the_live_ones_of_others_in_order_and_models_carry_all_ids():
    peer = started(PeerConfig(jitter=0.0, token_cost=1, token_capacity=1))
    taken = [
        an_antigen("b", "scan"),
        an_antigen("a", "scan"),
        an_antigen("c", "dos"),
        an_antigen("a", "brief", expires_s=15),
        an_antigen("d", "dos", 2, revokes=True),
    ]
    own = an_antigen(peer_id(0), "dos")
    peer.handle(Present(own), 1)
    for antigen in taken:
        say(peer, Have(antigen.id))
        say(peer, Give((antigen,)))
    c_dos, a_scan, b_scan = taken[2], taken[1], taken[0]
    assert peer.antigens == (taken[3], c_dos, own, a_scan, b_scan)
    first = peer.handle(TimerFired(Timer.CYCLE), CYCLE_US)
    assert [a.antigens for a in first if isinstance(a, Train)] == [
        (taken[3], c_dos, a_scan, b_scan)
    ]
    models = [m for _, m in answers(list(first)) if isinstance(m, Model)]
    assert models[0].holds == b"".join(sorted(a.id for a in (*taken, own)))
    second = peer.handle(TimerFired(Timer.CYCLE), 2 * CYCLE_US)
    models = [m for _, m in answers(list(second)) if isinstance(m, Model)]
    assert len(models[0].holds) == 8 * 5
    assert peer.antigens == (c_dos, own, a_scan, b_scan)


def test_the_drivers_epoch_counts():
    peer = Peer(
        PeerConfig(), contact(0), b"", FINGERPRINT, np.zeros(8, np.float32),
        seal=KeyedHash("x"), epoch_s=1e9,
    )  # fmt: skip
    peer.handle(Start(), 0)
    old, new = an_antigen("a"), an_antigen("a", created_s=10**9, expires_s=10**9 + 60)
    say(peer, Have(old.id + new.id))
    say(peer, Give((old, new)), 59_000_000)
    assert peer.antigens == (new,)


@pytest.mark.parametrize(
    ("config", "sealed"), [(PeerConfig(), False), (PeerConfig(antigens_max=0), True)]
)
def test_who_takes_no_part_is_silent_about_it(config, sealed):
    peer, antigen = started(config, sealed=sealed), an_antigen()
    part = pack(np.ones(2, np.float32), 0, 0, Encoding.FLOAT32, None)
    for message in (Have(antigen.id), Want(antigen.id), Give((antigen,))):
        assert say(peer, message) == []
    actions = say(peer, Model((part,), holds=antigen.id))
    assert Topic.MERGED in [a.topic for a in actions if isinstance(a, Report)]
    assert not any(isinstance(m, Want) for _, m in answers(actions))
    [report] = peer.handle(Present(an_antigen(peer_id(0))), 2)
    assert isinstance(report, Report)
    assert report.topic is Topic.SHED
    assert (peer.antigens, peer._immunity) == ((), None)


def test_presenting_twice_says_why_it_adds_nothing():
    peer = started()
    first = peer.handle(Present(an_antigen(peer_id(0))), 1)
    assert first[0] == Report(Topic.PRESENTED, None, "smurf by p0000", 12.0)
    assert len(answers(list(first))) == 3
    [again] = peer.handle(Present(an_antigen(peer_id(0))), 2)
    assert again == Report(
        Topic.SHED, None, "an antigen no newer than what is held: our own of smurf"
    )
    with pytest.raises(ValueError, match="presents an antigen by"):
        peer.handle(Present(an_antigen("another")), 3)


def test_a_model_without_antigens_is_two_bytes_longer_than_it_was():
    part = pack(np.ones(2, np.float32), 0, 0, Encoding.FLOAT32, None)
    assert len(encode(Model((part,)), DIGEST)) == len(encode(Have(bytes(8)), DIGEST)) - 10 + 27


def test_who_sends_a_model_is_told_of_what_it_lacks_and_once_of_what_we_lack():
    peer = started()
    ours, both, theirs = (an_antigen(family=name) for name in ("ours", "both", "theirs"))
    for antigen in (ours, both):
        say(peer, Have(antigen.id))
        say(peer, Give((antigen,)))
    part = pack(np.ones(2, np.float32), 0, 0, Encoding.FLOAT32, None)
    told = answers(say(peer, Model((part,), holds=both.id + theirs.id)))
    assert [m for to, m in told if to == GIVER][:2] == [Want(theirs.id), Have(ours.id)]
    again = answers(say(peer, Model((part,), holds=both.id + theirs.id)))
    assert Want(theirs.id) not in [m for _, m in again]
    alike = answers(say(peer, Model((part,), holds=peer._immunity.holds)))
    assert not any(isinstance(m, Want | Have) for _, m in alike)
