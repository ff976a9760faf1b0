"""Peers that come and go by themselves: sessions and absences in turn, a renewal process."""

from gossip.draws import Purpose, fraction
from scenarios.conditions.churn import Deed
from scenarios.conditions.distributions import Distribution
from scenarios.conditions.presence import Away


def goes(seed: bytes, key: str, turn: int, crash_share: float) -> Deed:
    """Whether a peer that goes by itself crashes or says good-bye."""
    coin = fraction(seed, key, turn, Purpose.WORLD, 2)
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
    key, now_us, turn = f"session/{peer}", begin_us, 0
    found: list[Away] = []
    rest_us: int | None = None
    if settled:
        share_up = up.mean_us / (up.mean_us + away.mean_us)
        if fraction(seed, f"settled/{peer}", 0, Purpose.WORLD, 0) < share_up:
            rest_us = up.remaining_us(seed, f"settled/{peer}")
        else:
            back_us = now_us + away.remaining_us(seed, f"settled/{peer}")
            found.append(Away(now_us, back_us, goes(seed, key, turn, crash_share)))
            now_us, turn = back_us, 1
    while now_us <= end_us:
        drawn = fraction(seed, key, turn, Purpose.WORLD, 0) if rest_us is None else 0.0
        now_us += max(1, up.quantile_us(drawn) if rest_us is None else rest_us)
        rest_us = None
        if now_us > end_us:
            break
        length_us = max(1, away.quantile_us(fraction(seed, key, turn, Purpose.WORLD, 1)))
        found.append(Away(now_us, now_us + length_us, goes(seed, key, turn, crash_share)))
        now_us += length_us
        turn += 1
    return found
