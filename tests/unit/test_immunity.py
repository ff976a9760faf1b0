"""What a peer holds of antigens, which it asks for, and what floods and liars can do to it."""

import random

import pytest

from gossip.antigens import EVIDENCE_MIN, LIFE_S_MAX, NORM, Antigen
from gossip.contacts import PeerId
from gossip.errors import RemoteError
from gossip.immunity import (
    ASKED_MAX,
    ASKED_OF_ONE_MAX,
    FAMILIES_MAX,
    GIVEN_MAX,
    GIVEN_TO_ONE_MAX,
    NORMS_MAX,
    ORIGINS_MAX,
    PASSED_MAX,
    VERIFIED_MAX,
    Heard,
    Immunity,
)
from gossip.messages import Give, Have, Want
from node.antigens.kept import KEPT_MAX, from_arrays, to_arrays
from tests.unit.meshes import FINGERPRINT
from tests.unit.sealing import DAY_S, KeyedHash, an_antigen, forged

ME = PeerId("me")
GIVER = PeerId("giver")


class Holder:
    """An Immunity with its seal, a clock and cycles."""

    def __init__(self, limit: int = 64, seed: bytes = b"secret") -> None:
        self.seal = KeyedHash(ME)
        self.immunity = Immunity(ME, seed, limit, FINGERPRINT.schema, 0, self.seal, 100.0)
        self.cycle = 0
        self.now_us = 0

    def hear(self, message: Have | Want | Give, sender: str = GIVER) -> Heard:
        return self.immunity.hear(PeerId(sender), message, self.now_us)

    def offered(self, *antigens: Antigen, sender: str = GIVER) -> Heard:
        self.hear(Have(ids(*antigens)), sender)
        return self.hear(Give(antigens), sender)

    def present(self, antigen: Antigen) -> str:
        return self.immunity.present(antigen, self.now_us)

    def next_cycle(self, after_s: float = 10.0) -> None:
        self.cycle += 1
        self.now_us += int(after_s * 1e6)
        self.immunity.begin_cycle(self.cycle, self.now_us)

    def held(self) -> set[tuple[str, str, int]]:
        return {(a.origin, a.family, a.serial) for a in self.immunity.antigens}


def ids(*antigens: Antigen) -> bytes:
    return b"".join(antigen.id for antigen in antigens)


def asked(heard: Heard) -> bytes:
    [want] = heard.answers or (Want(b""),)
    assert isinstance(want, Want)
    return want.ids


def test_what_was_asked_for_is_held_and_offered_in_turn():
    holder, antigen = Holder(), an_antigen()
    assert holder.hear(Have(antigen.id)) == Heard((Want(antigen.id),))
    assert holder.hear(Give((antigen,))) == Heard((), (antigen,))
    assert holder.immunity.holds == antigen.id
    assert holder.immunity.antigens == holder.immunity.others == (antigen,)
    assert holder.hear(Want(antigen.id + bytes(8)), "x") == Heard((Give((antigen,)),))
    assert holder.hear(Have(antigen.id), "x") == Heard()
    assert holder.hear(Want(bytes(8)), "x") == Heard()


def test_an_id_is_wanted_once_in_a_cycle_whoever_has_it_and_again_in_the_next():
    holder, antigen = Holder(), an_antigen()
    assert asked(holder.hear(Have(antigen.id), "a")) == antigen.id
    for sender in ("a", "b"):
        assert asked(holder.hear(Have(antigen.id), sender)) == b""
    holder.next_cycle()
    assert asked(holder.hear(Have(antigen.id), "b")) == antigen.id
    # Both answers were asked for; the later one comes in vain.
    assert holder.hear(Give((antigen,)), "a").new == (antigen,)
    assert holder.hear(Give((antigen,)), "b").new == ()
    assert holder.seal.checked == 1


def test_what_nobody_asked_for_is_not_even_looked_at():
    holder, antigen = Holder(), an_antigen()
    holder.hear(Have(antigen.id), "a")
    for sender in ("b", GIVER):
        assert "nobody asked" in holder.hear(Give((antigen,)), sender).shed
    assert holder.hear(Give((antigen,)), "a").new == (antigen,)
    assert "nobody asked" in holder.hear(Give((antigen,)), "a").shed
    holder.next_cycle()
    other = an_antigen(family="late")
    holder.hear(Have(other.id))
    holder.next_cycle()
    holder.next_cycle()
    assert "nobody asked" in holder.hear(Give((other,))).shed
    assert holder.seal.checked == 1


def test_a_forged_signature_is_the_givers_fault_and_nothing_of_its_message_is_held():
    holder = Holder()
    good, bad = an_antigen(family="good"), an_antigen(family="bad")
    foreign = an_antigen(family="foreign", schema=b"8 others")
    for wrong in (forged(bad), foreign):
        holder.hear(Have(ids(good, wrong)))
        with pytest.raises(RemoteError, match="is not its origin's"):
            holder.hear(Give((good, wrong)))
        assert holder.held() == set()
        holder.next_cycle()
    assert holder.offered(good, bad).new == (good, bad)  # the ids are not spoilt by the forgery


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_the_newest_serial_stays_in_whatever_order_they_come(order):
    holder = Holder()
    for serial in order:
        holder.offered(an_antigen(serial=serial))
        holder.next_cycle()
    assert holder.held() == {("p0001", "smurf", 3)}
    for serial in order:
        assert asked(holder.hear(Have(an_antigen(serial=serial).id))) == b""


def test_peers_agree_on_one_of_two_with_the_same_serial():
    one, other = an_antigen(description=b"one"), an_antigen(description=b"other")
    found = []
    for pair in ((one, other), (other, one)):
        holder = Holder()
        for antigen in pair:
            holder.offered(antigen)
            holder.next_cycle()
        found.append(holder.immunity.antigens)
        assert asked(holder.hear(Have(ids(one, other)))) == b""
    assert found[0] == found[1]


def test_a_renewal_waits_for_the_next_cycle_and_a_revocation_does_not():
    holder = Holder()
    holder.offered(an_antigen(serial=1))
    assert "renewed twice" in holder.offered(an_antigen(serial=2)).shed
    holder.next_cycle()
    assert holder.offered(an_antigen(serial=2)).new
    assert holder.offered(an_antigen(serial=3, revokes=True)).new
    assert "renewed twice" in holder.offered(an_antigen(serial=4, revokes=True)).shed


def test_the_revoked_never_comes_back_while_it_could_be_sent():
    holder = Holder()
    revoked = an_antigen(serial=5, expires_s=LIFE_S_MAX)
    tombstone = an_antigen(serial=6, revokes=True, created_s=60, expires_s=DAY_S)
    holder.offered(revoked)
    holder.offered(tombstone)
    assert holder.immunity.antigens == ()
    assert holder.immunity.holds == tombstone.id  # others must hear of it too
    for _ in range(31):
        assert asked(holder.hear(Have(revoked.id))) == b""
        holder.next_cycle(DAY_S)
        holder.offered(revoked)
        assert holder.immunity.antigens == ()
    assert holder.immunity.holds == b""  # gone, and what it revoked has expired
    # Who has never seen it before is told all the same.
    fresh = Holder()
    fresh.offered(tombstone)
    assert fresh.offered(revoked).shed
    fresh.next_cycle()
    assert fresh.offered(an_antigen(serial=7)).new  # its origin may change its mind


@pytest.mark.parametrize("restarts", [False, True])
def test_the_revoked_stays_away_even_when_a_crowd_has_driven_out_its_tombstone(restarts):
    holder = Holder()
    earlier = an_antigen("honest", serial=0, revokes=True)
    old = an_antigen("honest", serial=1)
    tombstone = an_antigen("honest", serial=2, revokes=True)
    holder.offered(old)
    holder.offered(tombstone)
    for i in range(40):
        holder.offered(an_antigen(f"sybil {i}", expires_s=500), sender=f"s{i}")
    assert tombstone.id not in holder.immunity.holds
    if restarts:
        crowd, holder = holder, Holder()
        kept = from_arrays(to_arrays(crowd.immunity.kept))
        assert kept[-1] == tombstone
        holder.immunity.restore(kept, 0)
        assert holder.immunity.holds == crowd.immunity.holds
        assert holder.immunity.kept == kept
    holder.next_cycle(1_000)
    assert holder.immunity.holds == b""
    for replayed in (old, earlier):
        assert holder.offered(replayed).shed == "an antigen that its origin has revoked"
    assert holder.offered(tombstone).new == (tombstone,)  # for the others
    assert holder.immunity.kept == (tombstone,)


def test_every_revocation_that_was_ever_held_is_kept_for_the_next_life_and_no_forged_one():
    holder, seen = Holder(limit=8), set()
    for i in range(300):
        one = an_antigen(f"sybil {i}", f"family {i}", revokes=True)
        seen |= set(holder.offered(one, sender=f"s{i}").new)
        if i % 100 == 99:
            holder.next_cycle(0.0)
    assert 8 < len(seen) <= PASSED_MAX
    again = Holder(limit=8)
    again.immunity.restore([*holder.immunity.kept, forged(an_antigen("x", revokes=True))], 0)
    assert set(again.immunity.kept) == set(holder.immunity.kept) == seen
    assert again.immunity.holds == holder.immunity.holds
    assert 64 + NORMS_MAX + PASSED_MAX <= KEPT_MAX
    later = Holder()
    later.now_us = LIFE_S_MAX * 1_000_000
    later.immunity.restore(holder.immunity.kept, later.now_us)
    assert later.immunity.kept == ()


def test_of_too_many_revocations_those_stay_whom_a_secret_chooses_whenever_they_came():
    early, late = (
        [an_antigen(f"{when} {i}", f"family {i}", revokes=True) for i in range(100)]
        for when in ("early", "late")
    )
    flood = [an_antigen(f"sybil {i}", f"junk {i}", revokes=True) for i in range(2 * PASSED_MAX)]
    holder = Holder(limit=8)
    holder.immunity.restore([*early, *flood, *late], 0)
    kept = set(holder.immunity.kept)
    assert PASSED_MAX <= len(kept) <= PASSED_MAX + 8
    for some in (early, late):  # 520 places for 1,224
        assert 25 < len(kept & set(some)) < 60


def test_tombstones_about_to_end_do_not_flush_out_the_others():
    """Made nearly a life ago, a cycle later they are gone, and there is room for as many more."""
    holder, now_s = Holder(), 4_000_000
    holder.now_us = (now_s - 100) * 1_000_000
    old = an_antigen("honest", created_s=now_s, expires_s=now_s + LIFE_S_MAX)
    tombstone = an_antigen("honest", serial=2, revokes=True, created_s=now_s, expires_s=now_s + 60)
    holder.offered(old)
    holder.offered(tombstone)
    number = 0
    while number < 7 * PASSED_MAX:
        made_s = now_s + 10 * holder.cycle + 5 - LIFE_S_MAX
        for _ in range(8):
            junk = [
                an_antigen(f"sybil {number + i}", f"family {number + i}", revokes=True,
                           created_s=made_s, expires_s=made_s + DAY_S)
                for i in range(12)
            ]  # fmt: skip
            number += len(junk)
            holder.offered(*junk, sender=f"s{number}")
        holder.next_cycle()
        assert tombstone in holder.immunity.kept
        assert len(holder.immunity.kept) <= 64 + PASSED_MAX
    assert holder.offered(old).new == ()


def test_the_expired_is_forgotten_and_only_shed_when_it_comes_again():
    holder, antigen = Holder(), an_antigen(expires_s=200)
    holder.offered(antigen)
    holder.next_cycle(100)
    assert holder.immunity.holds == b""
    assert asked(holder.hear(Have(antigen.id))) == b""
    early = an_antigen(family="early", created_s=10_000)
    assert "not live" in holder.offered(early).shed
    assert holder.seal.checked == 1


def test_each_bound_holds_under_a_flood_and_our_own_stay():
    holder = Holder()
    rng = random.Random(3)
    own = [an_antigen(ME, f"own {i}") for i in range(FAMILIES_MAX)]
    for antigen in own:
        assert holder.present(antigen) == ""
    assert "no room" in holder.present(an_antigen(ME, "one more"))
    for _ in range(400):
        flood = [
            an_antigen(f"s{rng.randrange(200)}", f"junk {rng.randrange(60)}")
            for _ in range(ASKED_OF_ONE_MAX)
        ]
        holder.offered(*flood, sender=f"s{rng.randrange(200)}")
        if rng.random() < 0.3:
            holder.next_cycle(1)
        held = holder.immunity.antigens
        assert len(held) <= 64
        assert len(holder.immunity._passed) <= PASSED_MAX
        for names, most in (
            ([a.origin for a in held], FAMILIES_MAX),
            ([a.family for a in held], ORIGINS_MAX),
        ):
            assert max(names.count(name) for name in set(names)) <= most
        assert set(own) <= set(held)
    assert len(held) == 64


def test_four_origins_stay_of_a_family_whoever_comes_first():
    crowd = [an_antigen(f"origin {i}") for i in range(12)]
    found = set()
    for shuffle in range(6):
        holder = Holder()
        random.Random(shuffle).shuffle(crowd)
        holder.offered(*crowd)
        found.add(frozenset(a.origin for a in holder.immunity.antigens))
        assert asked(holder.hear(Have(ids(*crowd)), "another")) == b""  # known, if not held
    [four] = found
    assert len(four) == ORIGINS_MAX
    chosen = {
        frozenset(a.origin for a in holder.immunity.antigens)
        for holder in (Holder(seed=b"%d" % i) for i in range(6))
        if holder.offered(*crowd)
    }
    assert len(chosen) > 3  # nobody can foresee which


def test_norms_and_antigens_have_room_apart_however_many_there_are_of_either():
    holder = Holder()
    own = an_antigen(ME, NORM)
    assert holder.present(own) == ""
    for i in range(80):
        for family in (NORM, f"family {i}"):
            holder.offered(an_antigen(f"origin {i}", family), sender=f"{family} {i}")
        holder.next_cycle()
    norms, families = holder.immunity.norms, holder.immunity.antigens
    assert {a.family for a in norms} == {NORM}
    assert own in norms
    assert len(norms) == NORMS_MAX
    assert NORM not in {a.family for a in families}
    assert len(families) == len(holder.immunity.others) == 64
    assert set(holder.immunity.kept) == {*norms, *families}
    assert len(holder.immunity.holds) == 8 * (NORMS_MAX + 64)
    again = Holder()
    again.immunity.restore(holder.immunity.kept, 0)
    assert again.immunity.kept == holder.immunity.kept
    assert holder.immunity.norms is norms  # the same as long as nothing changes
    assert holder.present(an_antigen(ME, NORM, 2, revokes=True)) == ""
    assert len(holder.immunity.norms) == NORMS_MAX - 1


def test_our_own_displaces_another_of_its_family():
    holder = Holder()
    holder.offered(*(an_antigen(f"origin {i}") for i in range(ORIGINS_MAX)))
    assert holder.present(an_antigen(ME)) == ""
    assert len(holder.held()) == ORIGINS_MAX
    assert (ME, "smurf", 1) in holder.held()
    assert len(holder.immunity.others) == ORIGINS_MAX - 1


def test_eight_families_do_not_give_eight_times_the_share():
    kept = 0
    for seed in range(20):
        holder = Holder(limit=16, seed=b"%d" % seed)
        loud = [an_antigen(f"loud {i // 8}", f"junk {i}") for i in range(64)]
        quiet = [an_antigen(f"quiet {i}", f"real {i}") for i in range(4)]
        for antigen in [*loud, *quiet]:
            holder.offered(antigen)
            holder.next_cycle()
        kept += sum(a.origin.startswith("quiet") for a in holder.immunity.antigens)
    assert kept == 20 * 4  # of 12 origins each has its first among 16


def test_identities_get_no_more_than_their_share():
    kept = 0
    for seed in range(20):
        holder = Holder(seed=b"%d" % seed)
        flood = [an_antigen(f"sybil {i}", f"junk {i}") for i in range(192)]
        real = [an_antigen(f"real {i}", f"attack {i}") for i in range(8)]
        for i, antigen in enumerate([*real, *flood]):
            holder.offered(antigen, sender=f"s{i}")
            if i % 32 == 0:
                holder.next_cycle()
        kept += sum(a.origin.startswith("real") for a in holder.immunity.antigens)
    assert 0.2 < kept / (20 * 8) < 0.45  # 64 places for 200


def test_asking_is_bounded_for_a_sender_and_for_all():
    holder = Holder()
    rng = random.Random(1)
    asks = [len(asked(holder.hear(Have(rng.randbytes(512)), f"s{i}"))) // 8 for i in range(20)]
    assert set(asks[: ASKED_MAX // ASKED_OF_ONE_MAX]) == {ASKED_OF_ONE_MAX}
    assert sum(asks) == ASKED_MAX
    assert asked(holder.hear(Have(rng.randbytes(512)), "s0")) == b""
    holder.next_cycle()
    assert asked(holder.hear(Have(rng.randbytes(512)), "s0"))


def test_answering_is_bounded_for_an_asker_and_for_all():
    holder = Holder()
    antigens = [an_antigen(f"o{i}", f"f{i}") for i in range(64)]
    for i in range(0, 64, 16):
        holder.offered(*antigens[i : i + 16], sender=f"s{i}")
    given = []
    for i in range(40):
        answers = holder.hear(Want(holder.immunity.holds), f"asker {i}").answers
        assert all(isinstance(each, Give) and len(each.antigens) <= 8 for each in answers)
        given.append(sum(len(each.antigens) for each in answers if isinstance(each, Give)))
        assert holder.hear(Want(holder.immunity.holds), "asker 0").answers == ()
    assert set(given) == {GIVEN_TO_ONE_MAX, 0}
    assert sum(given) == GIVEN_MAX


def test_signatures_looked_at_are_bounded():
    holder = Holder()
    for i in range(8):
        junk = [an_antigen(f"o{i}", f"{i} {j}") for j in range(ASKED_OF_ONE_MAX)]
        last = holder.offered(*junk, sender=f"o{i}")
    assert holder.seal.checked <= VERIFIED_MAX
    many = Holder(limit=64)
    crowd = [an_antigen(f"{i}", f"{i}" if i < 64 else NORM) for i in range(112)]
    for i in range(0, 112, 16):
        last = many.offered(*crowd[i : i + 16], sender=f"s{i}")
    assert "more antigens in one cycle" in last.shed
    assert many.seal.checked == VERIFIED_MAX
    many.next_cycle()
    assert asked(many.hear(Have(ids(*crowd[96:])))) == ids(*crowd[96:])


def test_what_nobody_would_take_is_not_presented():
    holder = Holder()
    for wrong, message in (
        (an_antigen("another"), "presents an antigen by another"),
        (forged(an_antigen(ME)), "no signature of ours"),
        (an_antigen(ME, schema=b"8 others"), "no signature of ours"),
    ):
        with pytest.raises(ValueError, match=message):
            holder.present(wrong)
    few = an_antigen(ME)
    few.evidence = EVIDENCE_MIN - 1
    with pytest.raises(ValueError, match="fewer than 10"):
        holder.present(few)
    assert holder.present(an_antigen(ME, serial=2)) == ""
    assert "no newer" in holder.present(an_antigen(ME, serial=2))
    assert "no newer" in holder.present(an_antigen(ME, serial=1))
    assert "not live" in holder.present(an_antigen(ME, "old", expires_s=50))
    assert holder.present(an_antigen(ME, serial=3)) == ""
    assert holder.held() == {(ME, "smurf", 3)}


def test_our_own_of_an_earlier_life_comes_back():
    holder = Holder()
    holder.offered(an_antigen(ME, serial=4))
    assert holder.held() == {(ME, "smurf", 4)}
    assert holder.immunity.others == ()
    assert holder.present(an_antigen(ME, serial=5, revokes=True)) == ""
    assert holder.held() == set()


def test_what_a_shunned_peer_made_is_neither_held_nor_taken_whoever_brings_it():
    holder = Holder()
    bad, good = an_antigen("bad"), an_antigen("good")
    holder.offered(bad, good)
    holder.immunity.shun([PeerId("bad")])
    assert holder.held() == {("good", "smurf", 1)}
    assert holder.immunity.holds == good.id
    shed = []
    for sender in (GIVER, "bad", "another"):
        holder.next_cycle()
        heard = holder.offered(bad, an_antigen("bad", serial=2, revokes=True), sender=sender)
        assert heard.new == ()
        shed.append(heard.shed)
    assert shed[0] == "an antigen of a peer that is kept out"
    assert holder.held() == {("good", "smurf", 1)}
    kept = holder.immunity.kept
    holder.immunity.restore([bad, *kept], holder.now_us)
    assert holder.held() == {("good", "smurf", 1)}
    holder.immunity.shun([])
    holder.next_cycle()
    holder.offered(bad)
    assert holder.held() == {("good", "smurf", 1), ("bad", "smurf", 1)}
