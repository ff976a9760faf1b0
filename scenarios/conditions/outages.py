"""Correlated failures: everybody of a group goes at once, such as a site without power."""

from collections.abc import Iterator

from gossip.draws import Purpose, fraction
from scenarios.conditions.churn import Deed
from scenarios.conditions.distributions import Distribution, Kind
from scenarios.conditions.presence import Away


def outages(
    key: str, every_us: int, lasts: Distribution, end_us: int, seed: bytes
) -> Iterator[Away]:
    """The outages of one group, in time order: a crash of all its peers, and their return.

    Args:
        key: tells this group's draws from all others.
        every_us: mean time from the end of one to the start of the next (exponential).
        lasts: how long one lasts.
        end_us: none starts after it.
        seed: of the scenario.
    """
    between = Distribution(Kind.EXPONENTIAL, every_us)
    now_us, turn = 0, 0
    while True:
        now_us += max(1, between.quantile_us(fraction(seed, key, turn, Purpose.WORLD, 0)))
        if now_us > end_us:
            return
        length_us = max(1, lasts.quantile_us(fraction(seed, key, turn, Purpose.WORLD, 1)))
        yield Away(now_us, now_us + length_us, Deed.CRASH)
        now_us += length_us
        turn += 1
