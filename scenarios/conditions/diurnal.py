"""Presence that follows the time of day.

At time t the share of the peers that are there is

    low + (1 - low) (1 + cos(2 pi (t - peak) / period)) / 2,

everybody at the peak and `low` half a period later. Each peer draws one number for each trough and
is away around it for as long as the share lies below that number, so nobody goes twice a night.
"""

import math

from gossip.draws import Purpose, fraction
from scenarios.conditions.presence import Away
from scenarios.conditions.sessions import goes


def nights(
    peer: int,
    period_us: int,
    peak_us: int,
    low: float,
    crash_share: float,
    end_us: int,
    seed: bytes,
) -> list[Away]:
    """The spans around each trough for which one peer is away.

    Args:
        peer: its number; keys the draws.
        period_us: a day.
        peak_us: when everybody is there, in simulated time; any other peak does as well.
        low: share of peers that stay at the trough.
        crash_share: probability that it goes by a crash, not by a good-bye.
        end_us: no span begins after it.
        seed: of the scenario.
    """
    key = f"diurnal/{peer}"
    found = []
    trough_us = peak_us % period_us - period_us // 2
    night = 0
    while trough_us - period_us // 2 <= end_us:
        coin = fraction(seed, key, night, Purpose.WORLD)
        if coin > low:
            depth = (coin - low) / (1.0 - low)
            half_us = round(math.acos(1.0 - 2.0 * depth) / math.tau * period_us)
            start_us, stop_us = trough_us - half_us, trough_us + half_us
            crash = fraction(seed, key, night, Purpose.WORLD, 1)
            if stop_us > 0 and start_us <= end_us:
                found.append(Away(max(0, start_us), stop_us, goes(crash, crash_share)))
        trough_us += period_us
        night += 1
    return found
