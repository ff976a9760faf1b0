"""One number over several seeds: mean and spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan, sqrt


@dataclass(frozen=True, slots=True)
class Over:
    """A measure over runs that differ in their seed; NaN where no run gave a value.

    Args:
        mean: over the runs that gave a value.
        deviation: their standard deviation, of a sample (n - 1); NaN for fewer than two.
        low: the lowest.
        high: the highest.
        n: runs that gave a value.
    """

    mean: float
    deviation: float
    low: float
    high: float
    n: int

    def text(self, digits: int = 3) -> str:
        """`0.812 ± 0.010`; without a spread where there is one run; `-` without any."""
        if not self.n:
            return "-"
        mean = number(self.mean, digits)
        return mean if isnan(self.deviation) else f"{mean} ± {number(self.deviation, digits)}"

    def short(self) -> str:
        """`.812±.010`, for a table of many columns."""
        if not self.n:
            return "-"
        mean = _bare(self.mean)
        return mean if isnan(self.deviation) else f"{mean}±{_bare(self.deviation)}"


def _bare(value: float) -> str:
    digits = 3 if abs(value) < 1.0 else 2
    return number(value, digits).removeprefix("0")


def over(values: Sequence[float]) -> Over:
    """Mean and spread of those of the values that are numbers."""
    known = [float(value) for value in values if not isnan(value)]
    if not known:
        return Over(nan, nan, nan, nan, 0)
    mean = sum(known) / len(known)
    squares = sum((value - mean) ** 2 for value in known)
    deviation = sqrt(squares / (len(known) - 1)) if len(known) > 1 else nan
    return Over(mean, deviation, min(known), max(known), len(known))


def number(value: float, digits: int = 3) -> str:
    """A number for a table: shares with so many digits, larger ones as short as they stay clear."""
    if isnan(value):
        return "-"
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.2f} M"
    if size >= 1e4:
        return f"{value / 1e3:.1f} k"
    if size >= 100 or (size >= 1 and value == int(value)):
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.{digits}f}"
