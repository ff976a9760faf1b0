"""Peers that come and go by themselves: sessions and absences in turn, a renewal process."""

from gossip.draws import Purpose, generator
from scenarios.conditions.churn import Deed
from scenarios.conditions.distributions import Distribution
from scenarios.conditions.presence import Away


def goes(coin: float, crash_share: float) -> Deed:
    """Whether a peer that goes by itself crashes or says good-bye."""
    return Deed.CRASH if coin < crash_share else Deed.LEAVE


def absences(
    peer: int,
    up: Distribution,
    away: Distribution,
    crash_share: float,
    begin_us: int,
    end_us: int,
    seed: bytes,
    *,
    settled: bool,
) -> list[Away]:
    """The absences of one restless peer.

    Args:
        peer: its number; keys the draws.
        up: lengths of its sessions.
        away: lengths of its absences.
        crash_share: probability that a session ends by a crash, not by a good-bye.
        begin_us: when its coming and going begins.
        end_us: nothing begins after it.
        seed: of the scenario.
        settled: it has come and gone for ever, so that at `begin_us` it is up with probability
            mean session / (mean session + mean absence), in the middle of a session or an
            absence. Otherwise its first session begins at `begin_us`.
    """
    rng = generator(seed, f"session/{peer}", 0, Purpose.WORLD)
    now_us = begin_us
    found: list[Away] = []
    rest_us = 0  # of a session that is under way
    if settled:
        if rng.random() < up.mean_us / (up.mean_us + away.mean_us):
            rest_us = up.remaining_us(rng)
        else:
            now_us += away.remaining_us(rng)
            found.append(Away(begin_us, now_us, goes(rng.random(), crash_share)))
    while True:
        now_us += rest_us or max(1, up.quantile_us(rng.random()))
        rest_us = 0
        if now_us > end_us:
            return found
        back_us = now_us + max(1, away.quantile_us(rng.random()))
        found.append(Away(now_us, back_us, goes(rng.random(), crash_share)))
        now_us = back_us
