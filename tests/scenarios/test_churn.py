"""Joins, sessions and their order."""

from scenarios.conditions.churn import Change, Deed, ordered, sessions, staggered


def test_staggered_joins_fill_their_span():
    joins = staggered(range(400), 1_000, 10_000, b"s")
    times = [change.at_us for change in joins]
    assert [change.peer for change in joins] == list(range(400))
    assert min(times) >= 1_000
    assert max(times) <= 11_000
    assert 5_500 < sum(times) / len(times) < 6_500


def test_sessions_alternate_and_keep_their_means():
    end_us = 100_000_000
    changes = sessions(range(40), 900_000, 300_000, 0.25, end_us, b"s")
    ups, aways, crashes, ends = [], [], 0, 0
    for peer in range(40):
        own = [change for change in changes if change.peer == peer]
        before_us = 0
        for place, change in enumerate(own):
            length_us, before_us = change.at_us - before_us, change.at_us
            assert length_us > 0
            if place % 2:
                assert change.deed is Deed.RETURN_KEPT
                aways.append(length_us)
            else:
                assert change.deed in {Deed.CRASH, Deed.LEAVE}
                ups.append(length_us)
                crashes += change.deed is Deed.CRASH
                ends += 1
        assert before_us <= end_us
    assert 855_000 < sum(ups) / len(ups) < 945_000
    assert 285_000 < sum(aways) / len(aways) < 315_000
    assert 0.22 < crashes / ends < 0.28


def test_order_is_by_time_and_otherwise_as_given():
    late, first, second = (
        Change(9, 0, Deed.CRASH),
        Change(5, 1, Deed.JOIN),
        Change(5, 0, Deed.JOIN),
    )
    assert ordered([late, first, second]) == [first, second, late]
