"""Antigens under random interleavings: bounded, signed, never older, our own always, asked once."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from gossip.actions import Action, Send
from gossip.antigens import NORM, Antigen, is_live, verified
from gossip.codec import decode, encode, pack
from gossip.config import Encoding, PeerConfig
from gossip.contacts import PeerId
from gossip.events import Event, Present, Received, Start, Timer, TimerFired
from gossip.fingerprint import Fingerprint
from gossip.immunity import (
    ASKED_MAX,
    FAMILIES_MAX,
    GIVEN_MAX,
    NORMS_MAX,
    ORIGINS_MAX,
    PASSED_MAX,
    VERIFIED_MAX,
)
from gossip.messages import Give, Have, Model, Want
from tests.properties.test_peers import INDICES, OURS, THEIRS, Life, Mesh, contact
from tests.unit.sealing import KeyedHash, an_antigen, forged

FAMILIES = ("dos", "scan", "brute force", NORM)
SERIALS = st.integers(1, 5)
LIVES_S = st.sampled_from([5, 60, 86_400])
Key = tuple[str, str]
Age = tuple[int, bool, bytes]


def age(antigen: Antigen) -> Age:
    return antigen.serial, antigen.revokes, antigen.id


class Sealed(Life):
    """A life whose antigens are watched."""

    def __init__(self, index: int, config: PeerConfig, fingerprint: Fingerprint, cycle: int):
        super().__init__(index, config, fingerprint, cycle)
        self.me = contact(index).peer
        self.before: dict[Key, Antigen] = {}
        self.own: dict[str, Antigen] = {}
        self.buried: dict[Key, Age] = {}
        self.wanted: set[bytes] = set()
        self.lately: set[bytes] = set()

    def handle(self, event: Event, now_us: int) -> list[Action]:
        stopped = self.stopped
        if isinstance(event, TimerFired) and event.timer is Timer.CYCLE:
            self.lately, self.wanted = self.wanted, set()
        actions = super().handle(event, now_us)
        if stopped:
            return actions
        for action in actions:
            if isinstance(action, Send):
                self._check_message(decode(action.frame, self.fingerprint.digest))
        self._check_store(event, now_us / 1e6)
        return actions

    def _check_message(self, message: object) -> None:
        match message:
            case Want(ids):
                for place in range(0, len(ids), 8):
                    each = ids[place : place + 8]
                    assert each not in self.wanted  # once in a cycle
                    assert each not in {a.id for a in self.before.values()}
                    self.wanted.add(each)
            case Give(antigens):
                assert set(antigens) <= set(self.before.values())
            case Have(ids):
                assert ids

    def _check_store(self, event: Event, now_s: float) -> None:
        held = {(a.family, a.origin): a for a in self.peer.kept}
        assert len(held) == len(self.peer.kept)
        families = [key for key in held if key[0] != NORM]
        assert len(families) <= self.config.antigens_max
        assert len(held) - len(families) <= NORMS_MAX
        assert {NORM} >= {a.family for a in self.peer.norms}
        assert NORM not in {a.family for a in self.peer.antigens}
        for names, most in (
            ([f for f, _ in families], ORIGINS_MAX),
            ([o for _, o in families], FAMILIES_MAX),
        ):
            assert all(names.count(name) <= most for name in names)
        for key, antigen in held.items():
            assert verified(antigen, self.fingerprint.schema, KeyedHash(""))
            old = self.before.get(key)
            if old is not None:
                assert age(antigen) >= age(old)  # neither renewed nor revoked ones come again
            elif not isinstance(event, Present | Start):
                assert antigen.id in self.wanted | self.lately  # nobody could force it on us
            if antigen.id not in {a.id for a in self.before.values()}:
                assert is_live(antigen, now_s)
            assert self.buried.get(key, age(antigen)) <= age(antigen)
        for family, antigen in self.own.items():
            assert (family, self.me) in held or not is_live(antigen, now_s)
        for key, antigen in self.before.items():
            if key in held and held[key].revokes:
                self.buried[key] = age(held[key])
            elif key not in held:
                assert key[1] != self.me or not is_live(antigen, now_s)
        self.before = held
        self.own = {f: a for (f, origin), a in held.items() if origin == self.me}
        immunity = self.peer._immunity
        if immunity is not None:
            assert immunity.holds == b"".join(sorted(a.id for a in held.values()))
            assert len(immunity._passed) <= PASSED_MAX
            assert len(immunity._graves) <= PASSED_MAX
            assert len(immunity._asked) <= ASKED_MAX
            assert len(immunity._before) <= ASKED_MAX
            assert len(immunity._asked_of) <= ASKED_MAX
            assert sum(immunity._given.values()) <= GIVEN_MAX
            assert immunity._verified <= VERIFIED_MAX


class Immune(Mesh):
    """The mesh of `test_peers`, in which peers present, and liars say whatever they like."""

    life = Sealed

    def __init__(self):
        super().__init__()
        self.said: list[Antigen] = []

    def made(
        self, origin: str, family: str, serial: int, life_s: int, *, revokes: bool, early: int = 0
    ) -> Antigen:
        now_s = self.now_us // 1_000_000
        antigen = an_antigen(
            origin, family, serial, revokes=revokes, created_s=max(0, now_s - early),
            expires_s=now_s + life_s, description=b"of serial %d" % serial, schema=OURS.schema,
        )  # fmt: skip
        self.said.append(antigen)
        return antigen

    @rule(
        index=st.integers(0, 3), family=st.sampled_from(FAMILIES), serial=SERIALS, life_s=LIVES_S,
        revokes=st.booleans(),
    )  # fmt: skip
    def presents(self, index, family, serial, life_s, revokes):
        self.happen(
            index,
            Present(self.made(contact(index).peer, family, serial, life_s, revokes=revokes)),
        )

    def offer(self, to: int, sender: str, *antigens: Antigen, in_model: bool = False) -> None:
        ids = b"".join(antigen.id for antigen in antigens)
        part = pack(np.zeros(2, np.float32), 0, 0, Encoding.FLOAT32, None)
        first = Model((part,), holds=ids) if in_model else Have(ids)
        for message in (first, Give(antigens)):
            self.happen(to, Received(PeerId(sender), encode(message, OURS.digest)))

    @rule(
        to=INDICES, sender=st.sampled_from(["p0", "p4", "x1", "x2"]),
        origin=st.sampled_from(["p0", "p1", "x1", "x2", "x3", "x4", "x5"]),
        family=st.sampled_from(FAMILIES), serial=SERIALS, life_s=LIVES_S, revokes=st.booleans(),
        false=st.booleans(), in_model=st.booleans(),
    )  # fmt: skip
    def a_liar_offers(self, to, sender, origin, family, serial, life_s, revokes, false, in_model):
        if origin.startswith("p") or false:
            antigen = forged(self.made(origin, family, serial, life_s, revokes=revokes))
            self.said.pop()
        else:
            antigen = self.made(origin, family, serial, life_s, revokes=revokes)
        self.offer(to, sender, antigen, in_model=in_model)

    @precondition(lambda self: self.said)
    @rule(to=INDICES, sender=st.sampled_from(["p1", "x1"]), place=st.integers(0, 200))
    def an_old_one_is_offered_again(self, to, sender, place):
        self.offer(to, sender, self.said[place % len(self.said)])

    @precondition(lambda self: self.said)
    @rule(to=INDICES, sender=st.sampled_from(["p1", "x1"]), place=st.integers(0, 200))
    def one_comes_unasked_and_one_is_wanted(self, to, sender, place):
        antigen = self.said[place % len(self.said)]
        for message in (Give((antigen,)), Want(antigen.id)):
            self.happen(to, Received(PeerId(sender), encode(message, OURS.digest)))

    @rule(to=INDICES, origin=st.integers(0, 9), first=st.integers(0, 20))
    def a_flood_of_junk_comes(self, to, origin, first):
        junk = [
            self.made(f"x{origin}", f"junk {first + i}", 1, 60, revokes=False) for i in range(8)
        ]
        self.offer(to, f"x{origin}", *junk)

    @rule(to=INDICES, sender=st.sampled_from(["p1", "x1"]), ids=st.binary(min_size=1, max_size=9))
    def ids_of_nothing_are_told(self, to, sender, ids):
        for message in (Have(ids * 8), Want(ids * 8)):
            self.happen(to, Received(PeerId(sender), encode(message, OURS.digest)))

    @rule(to=INDICES)
    def half_a_minute_passes(self, to):
        self.now_us += 30_000_000
        self.happen(to, Received(PeerId("x1"), b""))


class Roomy(Immune):
    """With room for everything that is said."""

    antigens_max = 64


def test_invariants_hold_where_there_is_little_room():
    run_state_machine_as_test(Immune, settings=settings(max_examples=60, stateful_step_count=50))


def test_invariants_hold_where_there_is_room():
    run_state_machine_as_test(Roomy, settings=settings(max_examples=60, stateful_step_count=50))


def test_the_two_fingerprints_do_not_share_a_schema():
    assert OURS.schema != THEIRS.schema
