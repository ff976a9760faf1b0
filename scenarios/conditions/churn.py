"""What happens to nodes, and when."""

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


GOING = (Deed.LEAVE, Deed.CRASH)
COMING = (Deed.RETURN_KEPT, Deed.RETURN_FRESH)


@dataclass(frozen=True, slots=True)
class Change:
    """One deed for one node. A deed that does not fit the node's state then does nothing."""

    at_us: int
    peer: int
    deed: Deed


def staggered_us(peer: int, over_us: int, seed: bytes) -> int:
    """When a peer joins that no event tells to: uniform in `[0, over_us]`."""
    return int(fraction(seed, f"join/{peer}", 0, Purpose.WORLD) * over_us)


def ordered(changes: Iterable[Change]) -> Sequence[Change]:
    """All changes in time order; those of one moment stay as they were given."""
    return sorted(changes, key=lambda change: change.at_us)
