"""Who joins, leaves, crashes and returns, and when."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from gossip.draws import Purpose, fraction


class Deed(Enum):
    """What happens to a node. The value is the word used in a scenario file."""

    JOIN = "join"  # starts for the first time
    LEAVE = "leave"  # says good-bye and stops
    CRASH = "crash"  # falls silent
    RETURN_KEPT = "return"  # starts again with what its state directory kept
    RETURN_FRESH = "return-fresh"  # starts again as the same peer that has lost its state


@dataclass(frozen=True, slots=True)
class Change:
    """One deed for one node. A deed that does not fit the node's state then does nothing."""

    at_us: int
    peer: int
    deed: Deed


def staggered(peers: Iterable[int], start_us: int, over_us: int, seed: bytes) -> list[Change]:
    """Joins at times drawn uniformly from `[start_us, start_us + over_us]`."""
    return [
        Change(start_us + int(fraction(seed, f"join/{peer}", 0, Purpose.WORLD) * over_us),
               peer, Deed.JOIN)
        for peer in peers
    ]  # fmt: skip


def sessions(
    peers: Iterable[int],
    up_us_mean: int,
    away_us_mean: int,
    crash_share: float,
    end_us: int,
    seed: bytes,
) -> list[Change]:
    """Exponential sessions and absences for each of these peers until `end_us`.

    Args:
        peers: who comes and goes; each is taken to be up from time 0.
        up_us_mean: mean length of a session.
        away_us_mean: mean length of an absence.
        crash_share: probability that a session ends by a crash, not by a good-bye.
        end_us: nothing happens after it.
        seed: of the scenario.
    """
    changes = []
    for peer in peers:
        key, now_us, turn = f"session/{peer}", 0, 0
        while True:
            now_us += _exponential_us(up_us_mean, seed, key, turn, 0)
            if now_us > end_us:
                break
            crash = fraction(seed, key, turn, Purpose.WORLD, 2) < crash_share
            changes.append(Change(now_us, peer, Deed.CRASH if crash else Deed.LEAVE))
            now_us += _exponential_us(away_us_mean, seed, key, turn, 1)
            if now_us > end_us:
                break
            changes.append(Change(now_us, peer, Deed.RETURN_KEPT))
            turn += 1
    return changes


def ordered(changes: Iterable[Change]) -> Sequence[Change]:
    """All changes in time order; those of one moment stay as they were given."""
    return sorted(changes, key=lambda change: change.at_us)


def _exponential_us(mean_us: int, seed: bytes, key: str, turn: int, index: int) -> int:
    share = fraction(seed, key, turn, Purpose.WORLD, index)
    return max(1, round(-mean_us * math.log1p(-share)))
