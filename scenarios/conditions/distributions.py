"""Distributions of time spans, written as short text: `40 ms`, `weibull(10 min, 0.5)`.

A value is drawn as the quantile of a keyed uniform number, so nothing here holds state. Spans may
be given in cycles of the mesh, as the gossip learning papers do: `uniform(1 cycle, 10 cycles)`.
"""

import math
import re
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist

import numpy as np

from gossip.errors import ConfigError
from node.config.quantities import parse_duration_us

LONGEST_US = 100 * 365 * 86_400_000_000
"""Where a heavy tail is cut: a century."""

_NORMAL = NormalDist()
_SMALLEST = 2.0**-54  # half a step of `fraction`, so that a draw of 0 has a finite quantile
_CYCLES = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?cycles?")


class Kind(Enum):
    """Families of distributions; the value is the word in a scenario file."""

    CONSTANT = "constant"
    UNIFORM = "uniform"  # lower and upper end
    LOGNORMAL = "lognormal"  # median, and standard deviation of the natural logarithm
    EXPONENTIAL = "exponential"  # mean
    WEIBULL = "weibull"  # scale, and shape: below 1 the tail is heavier than exponential
    PARETO = "pareto"  # least value, and shape: the power of the tail


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution of time spans, microseconds.

    Args:
        kind: the family.
        first_us: the constant, lower end, median, mean, scale or least value.
        second: upper end in microseconds, sigma or shape; 0 where there is none.
    """

    kind: Kind
    first_us: int
    second: float = 0.0

    @property
    def constant(self) -> bool:
        """No draw is needed."""
        return self.kind is Kind.CONSTANT

    @property
    def mean_us(self) -> float:
        """The expected value, by its closed form."""
        first, second = float(self.first_us), self.second
        match self.kind:
            case Kind.CONSTANT | Kind.EXPONENTIAL:
                return first
            case Kind.UNIFORM:
                return (first + second) / 2.0
            case Kind.LOGNORMAL:
                return first * math.exp(second**2 / 2.0)
            case Kind.WEIBULL:
                return first * math.gamma(1.0 + 1.0 / second)
            case Kind.PARETO:
                return first * second / (second - 1.0)

    def quantile_us(self, share: float) -> int:
        """The value below which `share` (in [0, 1)) of all values lie."""
        return self._cut(self._quantile(share))

    def times(self, factor: float) -> "Distribution":
        """The same distribution, stretched."""
        second = self.second * factor if self.kind is Kind.UNIFORM else self.second
        return Distribution(self.kind, max(1, round(self.first_us * factor)), second)

    def remaining_us(self, rng: np.random.Generator) -> int:
        """What is left of a span that is found under way at a random moment.

        Long spans are met more often, in proportion to their length, and at a place uniform in
        them (renewal theory; Feller, An Introduction to Probability Theory, volume 2, XI.4).
        """
        return max(1, round(rng.random() * self._cut(self._met(rng))))

    def _quantile(self, share: float) -> float:
        first, second = float(self.first_us), self.second
        match self.kind:
            case Kind.CONSTANT:
                return first
            case Kind.UNIFORM:
                return first + math.floor(share * (second - first + 1.0))
            case Kind.LOGNORMAL:
                return first * math.exp(second * _NORMAL.inv_cdf(max(share, _SMALLEST)))
            case Kind.EXPONENTIAL:
                return first * -math.log1p(-share)
            case Kind.WEIBULL:
                return first * math.pow(-math.log1p(-share), 1.0 / second)
            case Kind.PARETO:
                return first * math.pow(1.0 - share, -1.0 / second)

    def _met(self, rng: np.random.Generator) -> float:
        """Length of the span that is under way: drawn in proportion to length."""
        first, second = float(self.first_us), self.second
        match self.kind:
            case Kind.CONSTANT:
                return first
            case Kind.UNIFORM:
                return math.sqrt(first**2 + rng.random() * (second**2 - first**2))
            case Kind.LOGNORMAL:  # another log-normal, with the median moved up
                return math.exp(second**2) * self._quantile(rng.random())
            case Kind.EXPONENTIAL:  # the sum of two
                return self._quantile(rng.random()) + self._quantile(rng.random())
            case Kind.WEIBULL:
                return first * math.pow(rng.gamma(1.0 + 1.0 / second), 1.0 / second)
            case Kind.PARETO:  # another Pareto, with a heavier tail
                tail = math.pow(1.0 - rng.random(), 1.0 / (second - 1.0))
                return first / max(tail, first / LONGEST_US)

    @staticmethod
    def _cut(value: float) -> int:
        return min(round(value), LONGEST_US)


def constant(span_us: int) -> Distribution:
    """Always the same span."""
    return Distribution(Kind.CONSTANT, span_us)


_SECOND: dict[str, tuple[str, float, float]] = {
    "lognormal": ("sigma", 0.001, 5.0),
    "weibull": ("shape", 0.1, 20.0),
    "pareto": ("shape", 1.01, 20.0),
}
"""Name and bounds of the second number. A Pareto distribution up to shape 1 has no mean."""

HELP = (
    '"40 ms", "uniform(10 ms, 50 ms)" with the lower first, "lognormal(40 ms, 0.5)" with median '
    'and sigma, "exponential(40 ms)" with the mean, "weibull(40 ms, 0.6)" with scale and shape, '
    'or "pareto(10 ms, 2)" with least value and shape; spans may be in cycles, as "2 cycles"'
)


def parse_span_us(text: str, cycle_us: int) -> int:
    """Microseconds in `250 ms` or `1.5 cycles`.

    Raises:
        ConfigError: neither a duration nor a number of cycles.
    """
    match = _CYCLES.fullmatch(text.strip())
    if match is not None:
        return round(float(match[1]) * cycle_us)
    try:
        return parse_duration_us(text.strip())
    except ValueError as error:
        raise ConfigError(f"{error}; or in cycles of the mesh, as 2 cycles") from error


def parse_distribution(text: str, cycle_us: int) -> Distribution:
    """Read a distribution; see `HELP`.

    Args:
        text: what stands in the file.
        cycle_us: `mesh.cycle`, microseconds.

    Raises:
        ConfigError: it is none, or a number is out of bounds.
    """
    name, bracket, rest = text.partition("(")
    name = name.strip()
    if not bracket:
        return constant(_span(text, text, cycle_us))
    numbers = [piece.strip() for piece in rest.rstrip().removesuffix(")").split(",")]
    if not rest.rstrip().endswith(")") or len(numbers) != (1 if name == "exponential" else 2):
        raise _no(text)
    if name == "exponential":
        return Distribution(Kind.EXPONENTIAL, _span(numbers[0], text, cycle_us))
    if name == "uniform":
        low_us, high_us = (_span(number, text, cycle_us) for number in numbers)
        if low_us > high_us:
            raise _no(text)
        return Distribution(Kind.UNIFORM, low_us, float(high_us))
    if name not in _SECOND:
        raise _no(text)
    word, low, high = _SECOND[name]
    try:
        second = float(numbers[1])
    except ValueError as error:
        raise _no(text) from error
    if not low <= second <= high:
        raise ConfigError(f"{text!r}: the {word} must be from {low:g} to {high:g}")
    return Distribution(Kind(name), _span(numbers[0], text, cycle_us), second)


def _span(number: str, text: str, cycle_us: int) -> int:
    try:
        return parse_span_us(number, cycle_us)
    except ConfigError as error:
        raise _no(text) from error


def _no(text: str) -> ConfigError:
    return ConfigError(f"{text[:80]!r} is no distribution of time; write {HELP}")
