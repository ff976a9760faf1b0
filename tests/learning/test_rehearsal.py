"""What a peer makes of others' antigens: which it uses, which it refuses, what it draws."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gossip.antigens import SIGNATURE_BYTES, Antigen
from gossip.contacts import PeerId
from gossip.learning.mixture import Floats, Mixture
from gossip.learning.rehearsal import ANTIGENS_MAX, EVIDENCE_COUNTED, Rehearsal
from gossip.learning.tolerance import Benign, Cost, State, material_change

FEATURES = 6
BUDGET = 0.005


def benign(n: int = 600, seed: int = 1) -> Floats:
    """Two kinds of ordinary flows."""
    rng = np.random.default_rng(seed)
    rows = 0.5 * rng.normal(size=(n, FEATURES))
    rows[:, 0] += 4 * rng.integers(2, size=n)
    return rows.astype(np.float32)


def attack(n: int = 60, column: int = 2, seed: int = 2) -> Floats:
    """Like the first kind, but for one column."""
    rows = 0.3 * np.random.default_rng(seed).normal(size=(n, FEATURES))
    rows[:, column] += 6
    return rows.astype(np.float32)


def described(rows: Floats, seed: int = 1) -> Mixture:
    return Mixture.fit(rows, np.random.default_rng(seed))


def antigen(
    rows: Floats | Mixture, family: str = "back", origin: str = "a", evidence: int = 60
) -> Antigen:
    mixture = rows if isinstance(rows, Mixture) else described(rows)
    description = mixture.pack() if evidence else b""
    signature = bytes(SIGNATURE_BYTES)
    return Antigen(PeerId(origin), family, 1, evidence, 0, 10, description, signature)


def reviewed(
    antigens: Sequence[Antigen],
    own: Sequence[str] = (),
    approved: Sequence[bytes] = (),
    held: int = 500,
) -> Rehearsal:
    made = Rehearsal(FEATURES, b"seed", "me", BUDGET)
    made.review(antigens, benign(), benign(held, 3), own, approved)
    return made


def state_of(rehearsal: Rehearsal, of: Antigen) -> State:
    return rehearsal.verdicts[of.id].state


def test_an_attack_is_used_and_a_mimic_is_not() -> None:
    true, mimic = antigen(attack()), antigen(benign(80, 7), "mimic", "b")
    made = reviewed([true, mimic])
    assert state_of(made, true) is State.USED
    assert made.verdicts[true.id].false_alarms == 0.0
    assert state_of(made, mimic) is State.QUARANTINED
    assert made.verdicts[mimic.id].false_alarms == pytest.approx(0.7, abs=0.15)  # COST_RECALL
    assert "benign rows (7" in made.verdicts[mimic.id].reason
    assert "the budget is 0.5 %" in made.verdicts[mimic.id].reason
    assert made.names == ("back",)


@pytest.mark.parametrize("wider", [1.0, 3.0])
def test_a_mimic_that_is_widened_or_hides_among_true_components_is_found(wider: float) -> None:
    """What is true beside it is used all the same, as it would be without it."""
    one, other = described(benign(80, 7)), described(attack())
    wide = replace(one, spreads=one.spreads * np.float32(wider))
    shares = np.concatenate([0.1 * one.shares[:2], other.shares[:2]])
    among = Mixture(
        (shares / shares.sum()).astype(np.float32),
        np.concatenate([wide.means[:2], other.means[:2]]),
        np.concatenate([wide.spreads[:2], other.spreads[:2]]),
    )
    hidden, plain = antigen(among, "x"), antigen(wide, "y")
    made = reviewed([hidden, plain])
    assert state_of(made, hidden) is State.PART
    assert "2 of its 4 parts would not" in made.verdicts[hidden.id].reason
    assert state_of(made, plain) is State.QUARANTINED
    drawn = made.draw(1, 10, 40)
    assert drawn is not None
    assert (drawn[0][:, :, 2] > 3).all()  # the attack's


def test_an_antigen_of_which_less_than_half_is_tolerable_is_not_used() -> None:
    one, other = described(benign(80, 7)), described(attack())
    shares = np.concatenate([2.0 * one.shares[:2], other.shares[:2]])
    mostly = Mixture(
        (shares / shares.sum()).astype(np.float32),
        np.concatenate([one.means[:2], other.means[:2]]),
        np.concatenate([one.spreads[:2], other.spreads[:2]]),
    )
    told = antigen(mostly)
    assert state_of(reviewed([told]), told) is State.QUARANTINED


@pytest.mark.parametrize("share", [0.015, 0.025])
def test_small_components_are_measured_or_not_drawn_from(share: float) -> None:
    """Seven benign ones beside one of an attack: what is not looked at is not learnt either."""
    true, lies = described(attack()), described(benign())
    places = np.arange(7) % len(lies.shares)
    hidden = Mixture(
        np.array([1.0 - 7 * share, *[share] * 7], np.float32),
        np.concatenate([true.means[:1], lies.means[places]]),
        np.concatenate([true.spreads[:1], lies.spreads[places]]),
    )
    told = antigen(hidden)
    found = reviewed([told])
    drawn = found.draw(1, 10, 40)
    assert state_of(found, told) is (State.PART if share >= 0.02 else State.USED)
    assert drawn is not None
    assert (drawn[0][:, :, 2] > 3).all()


def test_a_mimic_without_spread_is_found() -> None:
    """Draws that are all alike must not make a threshold which only their like exceeds."""
    usual = np.zeros((1, FEATURES), np.float32)  # in the middle of one kind
    told = antigen(Mixture(np.ones(1, np.float32), usual, usual))
    assert state_of(reviewed([told]), told) is State.QUARANTINED


def test_eight_junk_families_of_one_origin_weigh_as_one() -> None:
    told = [antigen(attack(), "back", "a")]
    told += [antigen(attack(column=3), f"junk {i}", "b") for i in range(8)]
    found = reviewed(told).draw(1, 20, 100)
    assert found is not None
    assert 0.45 < (found[2] == 0).mean() < 0.55


def test_an_operator_releases_what_would_cost_too_much_known_or_not() -> None:
    mimic = antigen(benign(80, 7))
    assert state_of(reviewed([mimic], approved=[mimic.id]), mimic) is State.APPROVED
    assert reviewed([mimic], approved=[mimic.id]).names == ("back",)
    assert state_of(reviewed([mimic], own=["back"]), mimic) is State.QUARANTINED


def test_families_with_own_rows_have_a_quarter_of_the_draws_or_all() -> None:
    told = [antigen(attack(), "back"), antigen(attack(column=4), "smurf", "b")]
    made = reviewed(told, own=["smurf"])
    assert [state_of(made, each) for each in told] == [State.USED, State.KNOWN]
    found = made.draw(7, 20, 40)
    assert found is not None
    assert 130 < (found[2] == 1).sum() < 270
    alone = reviewed(told[1:], own=["smurf"]).draw(7, 5, 40)
    assert alone is not None
    assert alone[1] == ("smurf",)


def close_to_benign(seed: int) -> Mixture:
    """Costs more than the budget, and less than 5 %."""
    rows = attack(200, column=1, seed=seed)
    rows[:, 1] -= 6 - 1.3
    rows *= np.float32(0.5)
    rows[:, 1] *= 2
    return described(rows)


def test_independent_origins_vouch_for_each_other_but_not_for_a_blatant_mimic() -> None:
    one, other = antigen(close_to_benign(1)), antigen(close_to_benign(2), origin="b")
    alone = reviewed([one])
    cost = alone.verdicts[one.id].false_alarms
    assert cost is not None
    assert BUDGET < cost < 0.05
    assert state_of(alone, one) is State.PART
    together = reviewed([one, other])
    assert state_of(together, one) is state_of(together, other) is State.VOUCHED
    for no_help in (
        antigen(close_to_benign(2), origin="a", evidence=61),
        antigen(close_to_benign(2), family="smurf", origin="b"),
        antigen(attack(column=4), origin="b"),
    ):
        assert state_of(reviewed([one, no_help]), one) is State.PART
    mimics = [antigen(benign(80, 7 + i), origin=f"m{i}") for i in range(3)]
    found = reviewed(mimics)
    assert all(state_of(found, each) is State.QUARANTINED for each in mimics)


def cheap(number: int, column: int = 0) -> Antigen:
    """A point in the tail of the benign rows: few lie there, and others for each number."""
    where = np.zeros((1, FEATURES), np.float32)
    where[0, 1 + column] = 1.3 * (-1) ** number
    where[0, 2 + number % 4] = 1.1 * (-1) ** (number // 4)
    where[0, 0] = 4 * (number // 2 % 2)
    point = Mixture(np.ones(1, np.float32), where, np.full((1, FEATURES), 0.3, np.float32))
    return antigen(point, f"junk {number}", f"origin {number}")


def test_many_antigens_that_cost_little_each_cost_no_more_than_the_budget_together() -> None:
    crowd, true = [cheap(number) for number in range(20)], antigen(attack())
    alone = [reviewed([each]).verdicts[each.id].state for each in crowd]
    passing = [each for each, state in zip(crowd, alone, strict=True) if state is State.USED]
    assert len(passing) >= 10
    made = reviewed([true, *crowd])
    used = [each for each in crowd if state_of(made, each) is State.USED]
    assert 0 < len(used) < len(passing)
    refused = made.verdicts[next(e for e in passing if e not in used).id]
    assert "with those in use it would make" in refused.reason
    assert "the budget is 0.5 %" in refused.reason
    assert state_of(made, true) is State.USED
    looks = Benign(benign(), benign(500, 3), np.random.default_rng(1))
    rng = np.random.default_rng(2)
    alarms = [looks.alarms(Mixture.unpack(e.description, FEATURES), rng) for e in used]
    together = Cost(int(np.any(alarms, axis=0).sum()), looks.rows)
    assert together.hits <= 8, "5 of 500 are not above the budget with confidence, 8 may differ"
    least = max(made.verdicts[each.id].false_alarms or 0 for each in used)
    assert least <= min(made.verdicts[e.id].false_alarms or 0 for e in passing if e not in used)
    again = reviewed([*crowd[::-1], true])
    assert dict(again.verdicts) == dict(made.verdicts), "in whatever order they come"


def test_without_benign_rows_nothing_is_used_but_what_an_operator_releases() -> None:
    true, other = antigen(attack()), antigen(attack(), origin="b")
    made = reviewed([true, other], held=19, approved=[other.id])
    assert state_of(made, true) is State.QUARANTINED
    assert "too few benign rows" in made.verdicts[true.id].reason
    assert made.verdicts[true.id].false_alarms is None
    assert state_of(made, other) is State.APPROVED


def test_a_damaged_description_a_revoking_antigen_and_too_many_are_not_used() -> None:
    damaged = replace(antigen(attack()), description=b"\1\1ab")
    many = [antigen(attack(), f"f{i}") for i in range(3)]
    revoking = antigen(attack(), "gone", evidence=0)
    made = Rehearsal(FEATURES, b"seed", "me", BUDGET)
    extra = [damaged] * (ANTIGENS_MAX - 3) + many + [revoking]
    made.review([revoking, *extra], benign(), benign(500, 3), ())
    assert state_of(made, damaged) is State.QUARANTINED
    assert "damaged" in made.verdicts[damaged.id].reason
    assert [state_of(made, each) for each in many] == [State.USED, State.USED, State.WAITING]
    assert made.names == ("f0", "f1")


def test_draws_are_of_the_families_in_use_and_repeat() -> None:
    told = [antigen(attack(), "back"), antigen(attack(column=4), "smurf", "b")]
    made = reviewed([*told, antigen(benign(80, 7), "mimic")], own=())
    found = made.draw(7, 5, 40)
    assert found is not None
    x, names, index = found
    assert (x.shape, x.dtype, index.shape) == ((5, 40, FEATURES), np.float32, (5, 40))
    assert names == ("back", "smurf")
    assert 60 < (index == 0).sum() < 140
    assert (x[..., 2][index == 0] > 4).all()
    assert (x[..., 4][index == 1] > 4).all()
    again = reviewed(told[::-1]).draw(7, 5, 40)
    assert again is not None
    assert np.array_equal(x, again[0])
    other = made.draw(8, 5, 40)
    assert other is not None
    assert not np.array_equal(x, other[0])
    assert reviewed([]).draw(7, 5, 40) is None


def test_no_origin_has_more_than_its_share() -> None:
    told = [antigen(attack(), evidence=2**60)]
    told += [antigen(attack(column=4), origin=f"o{i}", evidence=40) for i in range(2)]
    found = reviewed(told).draw(1, 20, 100)
    assert found is not None
    loud = (found[0][..., 2] > 3).mean()
    assert loud == pytest.approx(0.5, abs=0.05)
    few = [replace(told[0], evidence=EVIDENCE_COUNTED // 8), told[1]]
    quiet = reviewed(few).draw(1, 20, 100)
    assert quiet is not None
    assert (quiet[0][..., 2] > 3).mean() == pytest.approx(0.5, abs=0.05)


def test_what_was_measured_is_kept_until_benign_rows_change() -> None:
    own = antigen(attack())
    made = reviewed([own])
    before = made.verdicts[own.id]
    made.review([own], benign(620, 5), benign(490, 6), ())
    assert made.verdicts[own.id] == before
    moved = np.concatenate([benign(), attack(100)])
    made.review([own], moved, np.concatenate([benign(400, 3), attack(100, seed=5)]), ())
    assert state_of(made, own) is State.QUARANTINED


def test_what_is_a_material_change() -> None:
    rows = benign()
    assert not material_change(rows, rows)
    assert not material_change(rows, benign(500, 9))
    assert material_change(rows, benign(400, 9))
    assert material_change(rows, rows + np.float32(0.4))
    assert material_change(rows[:0], rows)


@pytest.mark.parametrize(
    ("hits", "rows", "too_much"),
    [(0, 20, False), (1, 20, False), (2, 20, True), (2, 1000, False), (12, 1000, True)],
)
def test_a_cost_exceeds_the_budget_only_beyond_chance(hits: int, rows: int, too_much: bool) -> None:
    assert Cost(hits, rows).exceeds(BUDGET) == too_much


def test_costs_need_benign_rows() -> None:
    with pytest.raises(ValueError, match="20 are needed"):
        Benign(benign(), benign(19), np.random.default_rng(1))
