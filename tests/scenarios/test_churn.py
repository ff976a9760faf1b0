"""Who is there when: spans of absence, sessions, days, outages, events, and their sum."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.conditions.churn import COMING, GOING, Change, Deed, ordered, staggered_us
from scenarios.conditions.devices import absence_for
from scenarios.conditions.distributions import constant, parse_distribution
from scenarios.conditions.diurnal import nights
from scenarios.conditions.happenings import Happens, absences_told
from scenarios.conditions.outages import outages
from scenarios.conditions.presence import BEFORE_US, Away, changes_of
from scenarios.conditions.sessions import absences

END_US = 100_000_000
TEXTS = ["exponential(900 ms)", "weibull(500 ms, 0.5)", "lognormal(300 ms, 1.2)",
         "uniform(200 ms, 2 s)", "pareto(400 ms, 2.5)", "1 s"]  # fmt: skip


def is_up(changes: list[Change], at_us: int) -> bool:
    last = [change.deed for change in changes if change.at_us <= at_us]
    return bool(last) and last[-1] not in GOING


def test_joins_fill_their_span():
    times = [staggered_us(peer, 10_000, b"s") for peer in range(400)]
    assert min(times) >= 0
    assert max(times) <= 10_000
    assert 4_500 < sum(times) / len(times) < 5_500


spans = st.lists(
    st.builds(
        lambda start, length, going, coming: Away(start, start + length, going, coming),
        st.integers(0, 50), st.integers(0, 30), st.sampled_from(GOING), st.sampled_from(COMING),
    ),
    max_size=12,
)  # fmt: skip


@given(spans, st.integers(0, 20), st.integers(0, 60))
def test_a_peer_is_up_when_no_cause_keeps_it_away_and_its_changes_alternate(aways, join, until):
    causes = [Away(BEFORE_US, join), *aways]
    changes = changes_of(3, causes, until)
    assert changes == sorted(changes, key=lambda change: change.at_us)
    assert all(change.at_us <= until for change in changes)
    assert [change.deed for change in changes[:1]] in ([], [Deed.JOIN])
    for place, change in enumerate(changes[1:]):
        assert change.deed in (COMING if place % 2 else GOING)
    for at_us in range(until + 1):
        kept = any(cause.start_us <= at_us < cause.end_us for cause in causes)
        assert is_up(changes, at_us) == (not kept)


def test_overlapping_causes_lose_the_state_if_one_of_them_does():
    fresh = Away(20, 40, Deed.CRASH, Deed.RETURN_FRESH)
    changes = changes_of(0, [Away(10, 30, Deed.LEAVE), fresh], 100)
    assert changes == [
        Change(0, 0, Deed.JOIN), Change(10, 0, Deed.LEAVE), Change(40, 0, Deed.RETURN_FRESH)
    ]  # fmt: skip


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("text", TEXTS)
def test_sessions_alternate_in_order(text, settled):
    lengths = parse_distribution(text, 1), parse_distribution("exponential(300 ms)", 1)
    for peer in range(30):
        found = absences(peer, *lengths, 0.25, 5_000, END_US, b"s", settled=settled)
        before_us = 5_000
        for place, span in enumerate(found):
            assert span.start_us > before_us or (settled and place == 0 and span.start_us == 5_000)
            assert span.start_us < span.end_us
            assert span.start_us <= END_US
            before_us = span.end_us


def test_sessions_keep_their_means_and_their_share_of_crashes():
    lengths = parse_distribution("weibull(900 ms, 0.6)", 1), parse_distribution("300 ms", 1)
    ups, crashes, ends = [], 0, 0
    for peer in range(60):
        before_us = 0
        for span in absences(peer, *lengths, 0.25, 0, END_US, b"s", settled=False):
            ups.append(span.start_us - before_us)
            assert span.end_us - span.start_us == 300_000
            before_us = span.end_us
            crashes += span.going is Deed.CRASH
            ends += 1
    assert sum(ups) / len(ups) == pytest.approx(900_000 * math.gamma(1 + 1 / 0.6), rel=0.05)
    assert 0.22 < crashes / ends < 0.28


@pytest.mark.parametrize("text", TEXTS)
def test_from_the_first_moment_the_settled_are_up_as_often_as_ever_after(text):
    """Asked for: 90 %, the setting of the gossip learning papers."""
    up = parse_distribution(text, 1)
    away = absence_for(up, parse_distribution("lognormal(1 s, 1)", 1), 0.9)
    moments = (0, 100_000, 700_000, 5_000_000)
    counts = [0] * len(moments)
    for peer in range(1_500):
        found = absences(peer, up, away, 0.5, 0, 6_000_000, b"s", settled=True)
        for place, at_us in enumerate(moments):
            counts[place] += not any(span.start_us <= at_us < span.end_us for span in found)
    for count in counts:
        assert count / 1_500 == pytest.approx(0.9, abs=0.03)


def test_presence_follows_the_time_of_day():
    day_us, low = 24_000, 0.3
    found = [nights(peer, day_us, 6_000, low, 0.5, 72_000, b"s") for peer in range(2_000)]
    for at_us in (0, 6_000, 11_000, 18_000, 25_000, 42_000, 54_000):
        expected = low + (1 - low) * (1 + math.cos(math.tau * (at_us - 6_000) / day_us)) / 2
        there = sum(not any(s.start_us <= at_us < s.end_us for s in each) for each in found)
        assert there / 2_000 == pytest.approx(expected, abs=0.03)
    assert all(len(each) <= 4 for each in found)


def test_outages_come_at_their_rate_and_last_their_time():
    found = list(outages("here", 1_000_000, constant(250_000), 2_000_000_000, b"s"))
    assert [span.end_us - span.start_us for span in found] == [250_000] * len(found)
    assert len(found) == pytest.approx(2_000 / 1.25, rel=0.05)
    assert all(a.end_us < b.start_us for a, b in pairwise(found))
    other = list(outages("there", 1_000_000, constant(250_000), 2_000_000_000, b"s"))
    assert other[0] != found[0]


def test_deeds_that_do_not_fit_do_nothing():
    told = [
        Happens(5, Deed.CRASH), Happens(10, Deed.JOIN), Happens(15, Deed.RETURN_KEPT),
        Happens(20, Deed.LEAVE), Happens(25, Deed.CRASH), Happens(30, Deed.RETURN_FRESH),
        Happens(35, Deed.JOIN), Happens(40, Deed.CRASH, 44), Happens(42, Deed.RETURN_KEPT),
        Happens(50, Deed.CRASH),
    ]  # fmt: skip
    changes = changes_of(0, absences_told(told, 10), 1_000)
    assert [(change.at_us, change.deed) for change in changes] == [
        (10, Deed.JOIN), (20, Deed.LEAVE), (30, Deed.RETURN_FRESH), (40, Deed.CRASH),
        (44, Deed.RETURN_KEPT), (50, Deed.CRASH),
    ]  # fmt: skip


def test_order_is_by_time_and_otherwise_as_given():
    late, first, second = (
        Change(9, 0, Deed.CRASH),
        Change(5, 1, Deed.JOIN),
        Change(5, 0, Deed.JOIN),
    )
    assert ordered([late, first, second]) == [first, second, late]
