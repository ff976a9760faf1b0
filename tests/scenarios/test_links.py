"""Link rules: order, delay, drops, bandwidth, partitions."""

import pytest

from scenarios.conditions.distributions import constant
from scenarios.conditions.latency import Anywhere
from scenarios.conditions.links import (
    Condition,
    Crossing,
    Delivered,
    Fate,
    Links,
    Partition,
    Shared,
)

ALL = b"\1" * 8
FOREVER = 10**12
LAST = Anywhere(constant(7_000))


def condition(**changes) -> Condition:
    given_ = {
        "senders": ALL,
        "receivers": ALL,
        "start_us": 0,
        "end_us": FOREVER,
        "drop": 0.0,
        "latency": Anywhere(constant(1_000)),
        "bits_per_s": 0,
        "queue_bytes": 0,
        "shared": Shared.PAIR,
    }
    return Condition(**(given_ | changes))


def decide(links: Links, *, now=0, sender=0, receiver=1, size=1_000, number=0):
    return links.decide(Crossing(now, sender, receiver, size, number))


def test_first_verdict_wins_and_the_default_comes_last():
    only_zero = bytes([1, *[0] * 7])
    fast = condition(senders=only_zero)
    slow = condition(latency=Anywhere(constant(9_000)), end_us=50)
    links = Links([fast, slow], LAST, b"s")
    assert decide(links, sender=0) == Delivered(1_000)
    assert decide(links, sender=2) == Delivered(9_000)
    assert decide(links, sender=2, now=50) == Delivered(7_000)
    assert decide(Links([slow, fast], LAST, b"s"), sender=0) == Delivered(9_000)


def test_directions_are_separate():
    links = Links([condition(senders=bytes([1, 0]), receivers=bytes([0, 1]))], LAST, b"s")
    assert decide(links, sender=0, receiver=1) == Delivered(1_000)
    assert decide(links, sender=1, receiver=0) == Delivered(7_000)


def test_a_rule_for_both_directions_matches_the_way_back_but_no_third_peer():
    one, other = bytes([1, 0, 0]), bytes([0, 1, 0])
    links = Links([condition(senders=one, receivers=other, both=True)], LAST, b"s")
    assert decide(links, sender=0, receiver=1) == Delivered(1_000)
    assert decide(links, sender=1, receiver=0) == Delivered(1_000)
    assert decide(links, sender=1, receiver=2) == Delivered(7_000)
    assert decide(links, sender=2, receiver=0) == Delivered(7_000)


def test_drop_has_its_probability_and_lets_the_rest_pass_on():
    links = Links([condition(drop=0.3, latency=None)], LAST, b"s")
    verdicts = [decide(links, number=n) for n in range(4_000)]
    assert 0.27 < verdicts.count(Fate.DROPPED) / 4_000 < 0.33
    assert frozenset(verdicts) == {Fate.DROPPED, Delivered(7_000)}


def test_draws_repeat_and_differ_between_rules():
    one, two = condition(drop=0.5, latency=None), condition(drop=0.5, latency=None)
    links = Links([one, two], LAST, b"s")
    verdicts = [decide(links, number=n) for n in range(2_000)]
    assert verdicts == [decide(links, number=n) for n in range(2_000)]
    # Rules that shared a draw would let half through, not a quarter.
    assert 0.2 < verdicts.count(Delivered(7_000)) / 2_000 < 0.3


def test_bandwidth_serialises_and_its_queue_is_bounded():
    links = Links([condition(bits_per_s=8_000, queue_bytes=1_500)], LAST, b"s")
    assert decide(links, size=1_000) == Delivered(1_001_000)
    assert decide(links, size=1_000) == Delivered(2_001_000)
    assert decide(links, size=1_000) is Fate.DROPPED  # 2,000 bytes wait already
    assert decide(links, size=1_000, now=1_000_000) == Delivered(2_001_000)
    assert decide(links, size=1_000, now=10_000_000) == Delivered(1_001_000)


@pytest.mark.parametrize(
    ("shared", "other_receiver_us", "other_sender_us"),
    [(Shared.PAIR, 1_001_000, 1_001_000), (Shared.SENDER, 2_001_000, 1_001_000),
     (Shared.ALL, 2_001_000, 3_001_000)],
)  # fmt: skip
def test_who_shares_a_bandwidth(shared, other_receiver_us, other_sender_us):
    links = Links([condition(bits_per_s=8_000, queue_bytes=9_000, shared=shared)], LAST, b"s")
    assert decide(links, sender=0, receiver=1) == Delivered(1_001_000)
    assert decide(links, sender=0, receiver=2) == Delivered(other_receiver_us)
    assert decide(links, sender=3, receiver=2) == Delivered(other_sender_us)


def test_partition_holds_for_its_time_only():
    links = Links([Partition((0, 0, 1), 100, 200)], LAST, b"s")
    assert decide(links, sender=0, receiver=2, now=99) == Delivered(7_000)
    assert decide(links, sender=0, receiver=2, now=100) is Fate.UNREACHABLE
    assert decide(links, sender=2, receiver=0, now=199) is Fate.UNREACHABLE
    assert decide(links, sender=0, receiver=1, now=150) == Delivered(7_000)
    assert decide(links, sender=0, receiver=2, now=200) == Delivered(7_000)
