"""What antigens may cost together."""

from hypothesis import given
from hypothesis import strategies as st

from gossip.learning.tolerance import VOUCHED_MAX, Cost
from gossip.learning.total import Total

BUDGET, ROWS = 0.005, 500
ALARMS = st.frozensets(st.integers(0, 40), max_size=6).map(lambda rows: sum(1 << r for r in rows))


@given(st.lists(st.tuples(st.booleans(), ALARMS), max_size=30))
def test_the_sum_stays_within_its_bounds_and_what_adds_nothing_fits(asked) -> None:
    total, within, union = Total(BUDGET, ROWS), 0, 0
    for vouched, alarms in asked:
        cost = total.with_(alarms)
        took = total.takes_vouched(alarms) if vouched else total.takes(alarms)
        if vouched:
            assert took == (not alarms & ~union or (union | alarms).bit_count() < 25)
        else:
            assert took == (not alarms & ~within or not cost.exceeds(BUDGET))
            within |= alarms if took else 0
        union |= alarms if took else 0
        assert not Cost(within.bit_count(), ROWS).exceeds(BUDGET)


def test_what_others_vouch_for_has_a_bound_of_its_own_and_leaves_room_within_the_budget() -> None:
    total, many = Total(BUDGET, ROWS), (1 << 20) - 1
    assert not total.takes(many)
    assert total.takes_vouched(many)
    assert total.takes(1 << 30)
    assert [total.takes_vouched(0b111 << at) for at in (32, 36)] == [True, False]
    assert 24 < VOUCHED_MAX * ROWS <= 25
