"""What a gateway tells of its own evidence: when, under which number, and what takes it back."""

from dataclasses import replace

import numpy as np
import pytest

from gossip.antigens import NORM, Antigen, check, is_live, signed, verified
from gossip.learning.mixture import ROWS_MIN, Mixture
from gossip.learning.norms import NORM_ROWS_MIN, Norm
from gossip.learning.presenting import ORIGINS_ENOUGH
from gossip.learning.scaling import Scaler
from node.antigens.presenting import Evidence, Presenter, described
from node.config.settings import AntigenSettings
from node.p2p.identity import Identity, new_identity
from node.p2p.seal import Ed25519Seal

ME = Identity(bytes(range(32)))
SCHEMA = b"schema"
NOW_S = 1_800_000_000.0
DAY_S = 86_400
SHARES = AntigenSettings(share=True)
SCALER = Scaler(np.zeros(26, np.float32), np.ones(26, np.float32))


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(3.0, 1.0, (count, 26)).astype(np.float32)


def presenter(settings=SHARES):
    return Presenter(settings, ME.peer, SCHEMA, Ed25519Seal(ME), b"secret")


def by_another(family="scan", count=40, created_s=int(NOW_S), shift=0.0):
    identity = new_identity()
    told = rows(count) + np.float32(shift)
    packed = Mixture.fit(told, np.random.default_rng(1)).pack()
    made = Antigen(identity.peer, family, 1, count, created_s, created_s + DAY_S, packed)
    return signed(made, SCHEMA, Ed25519Seal(identity))


def test_nothing_is_presented_unless_the_operator_shares() -> None:
    evidence = [Evidence("scan", rows(200))]
    assert presenter(AntigenSettings()).due(evidence, (), NOW_S, SCALER) == ()
    (due,) = presenter().due(evidence, (), NOW_S, SCALER)
    assert due.evidence.family == "scan"


def test_an_antigen_is_signed_and_within_every_bound() -> None:
    one = presenter()
    (due,) = one.due([Evidence("smurf", rows(57))], (), NOW_S, SCALER)
    made = one.make(due)
    check(made)
    assert verified(made, SCHEMA, Ed25519Seal(new_identity()))
    assert (made.origin, made.family, made.evidence) == (ME.peer, "smurf", 57)
    assert made.expires_s - made.created_s == 7 * DAY_S
    assert is_live(made, NOW_S)
    assert not is_live(made, NOW_S + 7 * DAY_S)
    assert Mixture.unpack(made.description, 26).pack() == made.description
    again = one.make(due)
    assert again == made, "what is shown beforehand is what is sent"


@pytest.mark.parametrize("least", [10, 25])
def test_fewer_rows_than_the_least_are_kept_to_oneself(least: int) -> None:
    one = presenter(replace(SHARES, evidence_min=least))
    assert one.due([Evidence("scan", rows(least - 1))], (), NOW_S, SCALER) == ()
    assert one.due([Evidence("scan", rows(least))], (), NOW_S, SCALER)
    assert one.due([Evidence("benign", rows(500))], (), NOW_S, SCALER) == ()


def test_no_number_in_it_is_a_single_rows() -> None:
    own = rows(10, seed=3)
    sent = described(Evidence("scan", own), b"secret")
    assert (sent.shares * 10 >= ROWS_MIN - 0.01).all()
    for row in own:
        assert not np.isclose(sent.means, row, atol=1e-3).all(axis=1).any()


def test_again_when_there_is_twice_the_evidence_or_half_the_life_is_over() -> None:
    one = presenter()
    first = one.make(one.due([Evidence("scan", rows(40))], (), NOW_S, SCALER)[0])
    held = (first,)
    assert one.due([Evidence("scan", rows(79))], held, NOW_S + DAY_S, SCALER) == ()
    (more,) = one.due([Evidence("scan", rows(80))], held, NOW_S + DAY_S, SCALER)
    assert more.serial > first.serial
    (late,) = one.due([Evidence("scan", rows(30))], held, NOW_S + 4.6 * DAY_S, SCALER)
    assert late.serial > more.serial
    assert one.due([Evidence("scan", rows(9))], held, NOW_S + 4.6 * DAY_S, SCALER) == ()


def test_what_enough_others_describe_needs_no_fifth() -> None:
    one = presenter()
    evidence = [Evidence("scan", rows(40))]
    others = tuple(by_another() for _ in range(ORIGINS_ENOUGH))
    assert one.due(evidence, others, NOW_S, SCALER) == ()
    assert presenter().due(evidence, others[1:], NOW_S, SCALER)
    assert one.due(evidence, others, NOW_S + DAY_S, SCALER), "they have expired"
    assert one.due([Evidence("dos", rows(40))], others, NOW_S, SCALER)


def test_liars_do_not_keep_a_witness_silent() -> None:
    """Who says something else of the family does not count, and neither does rubbish."""
    evidence = [Evidence("scan", rows(40))]
    liars = tuple(by_another(shift=9.0) for _ in range(3 * ORIGINS_ENOUGH))
    assert presenter().due(evidence, liars, NOW_S, SCALER)
    rubbish = tuple(replace(each, description=b"\x01\x02") for each in liars)
    assert presenter().due(evidence, rubbish, NOW_S, SCALER)
    honest = tuple(by_another() for _ in range(ORIGINS_ENOUGH))
    assert presenter().due(evidence, (*liars, *honest), NOW_S, SCALER) == ()


def test_what_the_peer_has_no_room_for_is_not_made_again_and_again() -> None:
    one = presenter()
    assert one.due([Evidence("scan", rows(40))], (), NOW_S, SCALER)
    assert one.due([Evidence("scan", rows(41))], (), NOW_S + 10, SCALER) == ()
    assert one.due([Evidence("scan", rows(80))], (), NOW_S + 20, SCALER)
    assert one.due([Evidence("scan", rows(80))], (), NOW_S + 4 * DAY_S, SCALER)


def test_numbers_grow_though_the_clock_goes_back_and_the_state_is_lost() -> None:
    one = presenter()
    evidence = [Evidence("scan", rows(40))]
    first = one.due(evidence, (), NOW_S, SCALER)[0].serial
    assert one.due(evidence, (), NOW_S - 1e6, SCALER)[0].serial == first + 1, "and its life is over"
    assert presenter().due(evidence, (), NOW_S + 60, SCALER)[0].serial > first
    held = one.make(one.due(evidence, (), NOW_S + 500, SCALER)[0])
    (later,) = presenter().due([Evidence("scan", rows(80))], (held,), NOW_S, SCALER)
    assert later.serial > held.serial


def test_withdrawing_takes_back_what_is_held_of_ones_own_and_nothing_else() -> None:
    one = presenter()
    evidence = [Evidence("scan", rows(40)), Evidence("dos", rows(20))]
    held = tuple(one.make(due) for due in one.due(evidence, (), NOW_S, SCALER))
    assert one.withdrawals(held, NOW_S) == (), "it still shares"
    off = presenter(AntigenSettings())
    taken_back = off.withdrawals((*held, by_another()), NOW_S + 5)
    assert [(each.family, each.revokes) for each in taken_back] == [("dos", True), ("scan", True)]
    newest = {each.family: each.serial for each in held}
    for each in taken_back:
        check(each)
        assert verified(each, SCHEMA, Ed25519Seal(ME))
        assert each.serial > newest[each.family]
        assert is_live(each, held[0].expires_s), "it outlives what it takes back"
    assert off.withdrawals(taken_back, NOW_S + 6) == ()
    again = presenter().due(evidence, taken_back, NOW_S + 6, SCALER)
    assert [due.serial > taken_back[0].serial for due in again] == [True, True]


def test_a_norm_is_presented_where_the_mesh_scales_alike_and_anew_as_rows_and_time_go() -> None:
    assert presenter().due_norm(rows(500), (), NOW_S) == ()
    one = Presenter(AntigenSettings(), ME.peer, SCHEMA, Ed25519Seal(ME), b"secret", norms=True)
    assert one.due_norm(rows(NORM_ROWS_MIN - 1), (), NOW_S) == ()
    (due,) = one.due_norm(rows(NORM_ROWS_MIN), (), NOW_S)
    made = one.make(due)
    check(made)
    assert verified(made, SCHEMA, Ed25519Seal(new_identity()))
    assert (made.family, made.evidence) == (NORM, NORM_ROWS_MIN)
    assert made.description == Norm.of(rows(NORM_ROWS_MIN)).pack()
    assert one.due_norm(rows(2 * NORM_ROWS_MIN - 1), (), NOW_S) == (), "though nobody holds it"
    assert one.due_norm(rows(2 * NORM_ROWS_MIN), (made,), NOW_S)
    assert not one.due_norm(rows(2 * NORM_ROWS_MIN), (made,), NOW_S + 3 * DAY_S)
    assert one.due_norm(rows(2 * NORM_ROWS_MIN), (made,), NOW_S + 4 * DAY_S)
    assert one.withdrawals((made,), NOW_S) == ()
    (back,) = presenter().withdrawals((made,), NOW_S)
    assert back.revokes
    assert back.family == NORM
    assert back.serial > made.serial
