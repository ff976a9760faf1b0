"""How long a frame takes from one peer to another, before any queue."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

from scenarios.conditions.distributions import Distribution

_NORMAL = NormalDist()
_SMALLEST = 2.0**-54  # half a step of `fraction`: a draw of 0 has a finite quantile


class Delay(Protocol):
    """One-way delay between two peers."""

    @property
    def constant(self) -> bool:
        """The delay does not depend on `share`: no draw is needed."""

    def after_us(self, sender: int, receiver: int, share: float) -> int:
        """The delay below which `share` (in [0, 1)) of this pair's delays lie, microseconds."""


@dataclass(frozen=True, slots=True)
class Anywhere:
    """The same distribution between any two peers."""

    spread: Distribution

    @property
    def constant(self) -> bool:
        """See `Delay`."""
        return self.spread.constant

    def after_us(self, _sender: int, _receiver: int, share: float) -> int:
        """See `Delay`."""
        return self.spread.quantile_us(share)


@dataclass(frozen=True, slots=True)
class Tabulated:
    """A median for each ordered pair of places, with log-normal jitter; two look-ups a frame.

    Args:
        name: of the table, for people.
        place: per peer, the number of its place.
        one_way_us: median delay from place to place, microseconds; rows are senders.
        extra_us: added to each, such as the access lines of both ends.
        sigma: standard deviation of the delay's natural logarithm; 0 is no jitter.
    """

    name: str
    place: tuple[int, ...]
    one_way_us: Sequence[Sequence[int]]
    extra_us: int
    sigma: float

    @property
    def constant(self) -> bool:
        """See `Delay`."""
        return self.sigma == 0.0

    def after_us(self, sender: int, receiver: int, share: float) -> int:
        """See `Delay`."""
        place = self.place
        median_us = int(self.one_way_us[place[sender]][place[receiver]]) + self.extra_us
        if not self.sigma:
            return median_us
        return round(median_us * math.exp(self.sigma * _NORMAL.inv_cdf(max(share, _SMALLEST))))
