"""The settings of what is kept to look back at: generations of the model, and the ledger."""

from dataclasses import dataclass
from math import ceil
from typing import Annotated

from node.config.annotations import Duration, Range, Size
from node.state.spacing import Keep

_MINUTE_US = 60_000_000
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class StateSettings:
    """`[state]`: generations of the model to go back to, see `hedgerow rollback`."""

    generations: Annotated[int, Range(0, 64)] = 8
    """Generations kept beside the two newest, the older the further apart. One has 0.2 MB on a
    fresh gateway and 1.1 MB with full reservoirs, 1.9 MB with many labelled attacks (measured), so
    8 take 9 to 15 MB. 0 keeps none. Our
    choice: with a spacing of an hour they reach back five days or more."""

    spacing_us: Annotated[Duration, Range(100_000, 30 * _DAY_US)] = 60 * _MINUTE_US
    """Least time between two of them, counted in cycles, so that a clock that is set wrong changes
    nothing. Once a node has run for 2^(generations - 1) spacings, the oldest is at least that old.
    Our choice."""

    def keep(self, cycle_us: int) -> Keep:
        """In cycles of this length."""
        return Keep(self.generations, max(1, ceil(self.spacing_us / cycle_us)))


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """`[ledger]`: what became part of the model, see `hedgerow ledger`."""

    use: bool = True
    """Whether merges, antigens taken into use, verdicts, rollbacks and exclusions are written down,
    each entry bound to the one before. Our choice, because it is cheap: 0.05 ms on the loop and
    0.04 ms beside it for a merge, and 365 bytes; 3 MB a day with one merge in each cycle of 10 s
    (measured)."""

    size_max_bytes: Annotated[Size, Range(2**20, 2**30)] = 32 * 2**20
    """Of all its files; the oldest quarter goes when they are full. At 3 MB a day 32 MiB
    reach back 8 to 10 days, which is as far as generations do. Our choice."""
