"""Peers under random interleavings: whatever arrives in whatever order, the invariants hold."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gossip.actions import Action, Disconnect, Report, Send, SetTimer, Topic, Train
from gossip.antigens import Antigen
from gossip.codec import encode, pack
from gossip.config import Encoding, Exchange, PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.events import (
    Contribute,
    Event,
    PeerLost,
    Received,
    Start,
    Stop,
    Timer,
    TimerFired,
    Trained,
)
from gossip.exchange import ARRIVED_MAX
from gossip.fingerprint import Fingerprint
from gossip.membership import ASKERS_MAX, LOST_MAX, PENDING_MAX
from gossip.messages import Entry, Leave, Model, Refuse, Shuffle, ShuffleReply
from gossip.peer import Peer
from gossip.pushsum import HELD_MAX, RECENT, SENDERS_MAX, Sums
from gossip.strangers import STRANGERS_MAX
from tests.unit.sealing import KeyedHash

PEERS = 5
DIM = 6
FLIGHT_MAX = 64
OURS = Fingerprint("schema 1", "6 values")
THEIRS = Fingerprint("schema 2", "6 values")
INDICES = st.integers(0, PEERS - 1)
SUMS = st.builds(
    Sums,
    st.sampled_from([1e-9, 0.25, 4.0, 4.1, 3e38]),
    st.lists(st.sampled_from([0.0, 0.01, 0.5, 1.0, 1.1, -0.1, float("nan")]), min_size=1).map(
        lambda numbers: np.array((numbers * 3)[: 3 + len(numbers) // 9], "<f2").tobytes()
    ),
)
DELTAS = st.sampled_from([0.0, 0.1, -3.0, 1e5, 3e38, float("inf"), float("nan")])


def contact(index: int) -> Contact:
    return Contact(PeerId(f"p{index}"), (f"/ip4/10.0.0.1/tcp/{index + 1}",))


def plain(action: Action) -> tuple[object, ...]:
    """What can be compared: arrays as bytes, NaN as text."""
    if isinstance(action, Train):
        return ("train", action.cycle, action.vector.tobytes(), action.antigens)
    return (repr(action),)


class Life:
    """One life of a peer, from start to stop or crash: its events, actions and armed timers."""

    def __init__(self, index: int, config: PeerConfig, fingerprint: Fingerprint, cycle: int):
        self.index = index
        self.fingerprint = fingerprint
        self._build = lambda: Peer(
            config,
            contact(index),
            b"seed",
            fingerprint,
            np.linspace(-1, index, DIM, dtype=np.float32),
            np.full(config.fragments, 3, np.int64),
            cycle,
            KeyedHash(contact(index).peer),
        )
        self.config = config
        self.peer = self._build()
        self.ages = self.peer.ages
        self.armed: dict[Timer, int] = {}
        self.training: int | None = None
        self.stopped = False
        self.journal: list[tuple[Event, int, list[tuple[object, ...]]]] = []

    def handle(self, event: Event, now_us: int) -> list[Action]:
        if isinstance(event, TimerFired):
            del self.armed[event.timer]
        if isinstance(event, Trained):
            self.training = None
        actions = self.peer.handle(event, now_us)
        self.journal.append((event, now_us, [plain(a) for a in actions]))
        if self.stopped:
            assert actions == []
        if isinstance(event, Stop):
            self.stopped = True
        for action in actions:
            self._check_action(action, event, now_us)
        self._check_state()
        return actions

    def _check_action(self, action: Action, event: Event, now_us: int) -> None:
        match action:
            case SetTimer(timer, at_us):
                assert timer not in self.armed
                assert at_us > now_us
                self.armed[timer] = at_us
            case Train(cycle, vector):
                assert self.training is None
                self.training = cycle
                assert vector.dtype == np.float32
                assert np.isfinite(vector).all()
            case Send(to, frame):
                assert to.peer != contact(self.index).peer or isinstance(event, Received)
                assert 0 < len(frame) < 10_000
            case Disconnect(peer, reason):
                assert isinstance(event, Received)
                assert (peer, bool(reason)) == (event.sender, True)
            case Report(topic, _, detail, _):
                assert isinstance(topic, Topic)
                assert detail.isascii()
                assert detail.isprintable()

    def _check_state(self) -> None:
        peer, config = self.peer, self.config
        assert peer.vector.dtype == np.float32
        assert np.isfinite(peer.vector).all()
        assert (peer.ages >= self.ages).all()
        self.ages = peer.ages
        view = [c.peer for c in peer.view]
        assert contact(self.index).peer not in view
        assert len(view) == len(set(view)) <= max(config.view_size, PEERS)
        assert len(peer.remembered) <= config.view_size + config.samplers
        assert len(peer._strangers.refused) <= STRANGERS_MAX
        assert len(peer._strangers._pushes) <= STRANGERS_MAX
        assert all(n <= config.pushes_per_sender_max for n in peer._strangers._pushes.values())
        member = peer._membership
        assert len(member.view) <= config.view_size
        assert len(member._pending) <= PENDING_MAX
        assert len(member._askers) <= ASKERS_MAX
        assert len(member._lost) <= LOST_MAX
        self._check_mean()
        if config.exchange is Exchange.EPIDEMIC:
            assert len(peer._strategy._senders) <= ARRIVED_MAX
        if config.exchange is Exchange.AGE:
            assert 0 <= peer._strategy._tokens <= config.token_capacity

    def _check_mean(self) -> None:
        found, held = self.peer.mesh, self.peer._averaging._sums
        if held is None:
            assert found is None
            return
        assert self.config.sums_length
        assert 0 <= held._weight <= HELD_MAX
        assert ((held._sum >= 0) & (held._sum <= held._weight * (1 + 1e-9))).all()
        assert len(held._recent) <= RECENT
        assert len(held._heard) <= SENDERS_MAX
        assert held.peers <= SENDERS_MAX
        if found is not None:
            assert found[0].shape == (self.config.sums_length,)
            assert ((found[0] >= 0) & (found[0] <= 1)).all()

    def replay(self) -> None:
        """The same events at the same times give the same actions."""
        again = self._build()
        for event, now_us, actions in self.journal:
            assert [plain(a) for a in again.handle(event, now_us)] == actions


class Mesh(RuleBasedStateMachine):
    """Five peers, one of another fingerprint, and a network that does everything wrong."""

    life: type[Life] = Life
    antigens_max = 5

    @initialize(
        mode=st.sampled_from(Exchange),
        fixed=st.booleans(),
        samplers=st.sampled_from([0, 4]),
        pushed=st.integers(1, 3),
        encoding=st.sampled_from(Encoding),
        length=st.sampled_from([0, 3]),
        greets=st.booleans(),
    )
    def begin(self, mode, fixed, samplers, pushed, encoding, length, greets):
        self.now_us = 0
        self.fixed = fixed
        self.config = PeerConfig(
            exchange=mode,
            fanout=2,
            fragments=3,
            fragments_per_push=pushed,
            encoding=encoding,
            token_cost=2,
            token_capacity=4,
            pushes_per_sender_max=3,
            age_max=1_000,
            age_lead_max=50,
            view_size=3,
            shuffle_size=2,
            samplers=samplers,
            greets=greets,
            probe_cycles=1,
            antigens_max=self.antigens_max,
            sums_length=length,
        )
        self.flight: list[tuple[PeerId, int, bytes]] = []
        self.lives: list[Life] = []
        self.past: list[Life] = []
        for index in range(PEERS):
            self.lives.append(self.born(index))

    def born(
        self,
        index: int,
        remembered: tuple[Contact, ...] = (),
        cycle: int = 0,
        kept: tuple[Antigen, ...] = (),
    ) -> Life:
        life = self.life(index, self.config, THEIRS if index == PEERS - 1 else OURS, cycle)
        everybody = tuple(contact(i) for i in range(PEERS))
        start = Start(
            bootstrap=(contact(0), contact(1)),
            remembered=remembered,
            neighbours=everybody if self.fixed else None,
            antigens=kept,
        )
        self.carry_out(life, life.handle(start, self.now_us))
        return life

    def carry_out(self, life: Life, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send) and len(self.flight) < FLIGHT_MAX:
                to = int(action.to.peer[1:]) if action.to.peer[0] == "p" else PEERS
                if to < PEERS:
                    self.flight.append((contact(life.index).peer, to, action.frame))

    def happen(self, index: int, event: Event) -> None:
        life = self.lives[index]
        self.carry_out(life, life.handle(event, self.now_us))

    def taken(self, place: int, *, keep: bool = False) -> tuple[PeerId, int, bytes]:
        place %= len(self.flight)
        return self.flight[place] if keep else self.flight.pop(place)

    @precondition(lambda self: self.flight)
    @rule(place=st.integers(0, FLIGHT_MAX), keep=st.booleans())
    def arrives_in_any_order_and_maybe_again(self, place, keep):
        sender, to, frame = self.taken(place, keep=keep)
        self.happen(to, Received(sender, frame))

    @precondition(lambda self: self.flight)
    @rule(count=st.integers(1, 20))
    def most_arrive(self, count):
        for _ in range(min(count, len(self.flight))):
            sender, to, frame = self.taken(0)
            self.happen(to, Received(sender, frame))

    @precondition(lambda self: self.flight)
    @rule(place=st.integers(0, FLIGHT_MAX), told=st.booleans())
    def is_dropped(self, place, told):
        sender, to, _ = self.taken(place)
        if told:
            self.happen(int(sender[1:]), PeerLost(contact(to).peer, "reset"))

    @precondition(lambda self: self.flight)
    @rule(
        place=st.integers(0, FLIGHT_MAX), at=st.integers(0, 400), byte=st.integers(0, 255),
        cut=st.booleans(),
    )  # fmt: skip
    def arrives_mutated(self, place, at, byte, cut):
        sender, to, frame = self.taken(place, keep=True)
        at %= len(frame)
        mutant = frame[:at] if cut else frame[:at] + bytes([byte]) + frame[at + 1 :]
        self.happen(to, Received(sender, mutant))

    @rule(to=INDICES, sender=INDICES, frame=st.binary(max_size=64))
    def garbage_arrives(self, to, sender, frame):
        self.happen(to, Received(contact(sender).peer, frame))

    @rule(
        to=INDICES,
        sender=st.sampled_from(["p0", "p1", "p4", "x1", "x2"]),
        age=st.integers(0, 2**62),
        names=st.lists(st.sampled_from(["p0", "p1", "p2", "p3", "x1", "x9"]), max_size=6),
        kind=st.integers(0, 5),
        value=st.sampled_from([0.0, 1e6, -1e6, 1e-40]),
        sums=st.none() | SUMS,
    )
    def a_liar_speaks(self, to, sender, age, names, kind, value, sums):
        entries = tuple(Entry(Contact(PeerId(n), ("/evil",)), age) for n in names)
        part = pack(np.full(2, value, np.float32), age % 3, age, Encoding.FLOAT32, None)
        message = [
            Shuffle(("/evil",), entries),
            ShuffleReply((), entries),
            Leave(),
            Refuse("no"),
            Model((part,), answer=True, sums=sums),
            Model((part,), answer=False, sums=sums),
        ][kind]
        self.happen(to, Received(PeerId(sender), encode(message, OURS.digest)))

    @rule(index=INDICES, late_us=st.sampled_from([0, 0, 1, 30_000_000]))
    def the_next_timer_fires(self, index, late_us):
        life = self.lives[index]
        if life.armed:
            timer = min(life.armed, key=lambda t: (life.armed[t], t.value))
            self.now_us = max(self.now_us, life.armed[timer] + late_us)
            self.happen(index, TimerFired(timer))

    @rule(index=INDICES, delta=DELTAS, nothing=st.booleans())
    def training_ends_sooner_or_later(self, index, delta, nothing):
        life = self.lives[index]
        if life.training is not None:
            learnt = None if nothing else np.full(DIM, delta, np.float32)
            self.happen(index, Trained(life.training, learnt, 0 if nothing else 5, 0.5))

    @rule(index=INDICES, said=st.none() | st.lists(st.floats(0, 1), min_size=3, max_size=3))
    def has_something_to_say(self, index, said):
        self.happen(index, Contribute(None if said is None else np.array(said)))

    @rule(index=INDICES, lost=st.sampled_from(["p0", "p1", "p2", "p3", "p4", "x1"]))
    def a_peer_is_lost(self, index, lost):
        self.happen(index, PeerLost(PeerId(lost), "timed out"))

    @rule(index=INDICES, polite=st.booleans(), late=st.booleans())
    def restarts(self, index, polite, late):
        life = self.lives[index]
        if polite:
            self.happen(index, Stop())
            if late and life.training is not None:
                self.happen(index, Trained(life.training, None, 0, float("nan")))
            self.happen(index, Received(PeerId("p1"), b"late"))
        self.past.append(life)
        self.lives[index] = self.born(
            index, life.peer.remembered, life.peer.cycle, life.peer.kept if polite else ()
        )

    def teardown(self):
        for life in (*getattr(self, "past", []), *getattr(self, "lives", [])):
            life.replay()


def test_invariants_hold_under_random_interleavings():
    run_state_machine_as_test(Mesh, settings=settings(max_examples=120, stateful_step_count=60))


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=200), max_size=10), st.sampled_from(Exchange))
def test_any_bytes_are_a_report_and_a_disconnection(frames, mode):
    life = Life(0, PeerConfig(exchange=mode, fragments=3, fragments_per_push=3), OURS, 0)
    life.handle(Start(), 0)
    for frame in frames:
        actions = life.handle(Received(PeerId("x"), frame), 1)
        assert [type(a) for a in actions] == [Report, Disconnect]
        assert actions[0].topic is Topic.REMOTE_FAULT
