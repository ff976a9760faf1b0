"""`[expect]`: bounds on named metrics, which turn a scenario into a test."""

import re
from dataclasses import dataclass
from math import inf, isfinite
from typing import Annotated, Any

from gossip.errors import ConfigError
from node.config.annotations import Check, Range
from node.config.quantities import parse_share, parse_size_bytes
from scenarios.measures.named import Metric, parse

_BOUND = re.compile(r"(?P<sign><=|>=|<|>)? *(?P<number>.+)")


EXPECTATIONS_MAX = 1_000


def _lines(table: dict[str, Any]) -> dict[str, str]:
    """Metric to bound; `parts = 1` is as good as `"parts" = "1"`, and TOML nests dotted keys."""
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": below for inner, below in _lines(value).items()}
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            found[key] = str(value)
        else:
            raise ValueError(  # noqa: TRY004 - as a Check says what is wrong
                f'{key} holds no bound; write one in quotes, such as "{key}" = ">= 0.9"'
            )
    return found


Expect = Annotated[dict[str, Any], Range(0, EXPECTATIONS_MAX), Check(_lines)]
"""`[expect]`, metric to bound, both as text."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Numbers from `low` to `high`, the ends included unless open.

    Args:
        text: as the scenario says it.
        low: least number; minus infinity for none.
        high: greatest number; infinity for none.
        open_low: `low` itself is too little.
        open_high: `high` itself is too much.
    """

    text: str
    low: float = -inf
    high: float = inf
    open_low: bool = False
    open_high: bool = False

    def holds(self, number: float) -> bool:
        """Whether a number lies within; NaN never does."""
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below


@dataclass(frozen=True, slots=True)
class Expectation:
    """A line of `[expect]`."""

    metric: Metric
    bound: Bound


def parse_bound(text: str) -> Bound:
    """Read `< 50 %`, `>= 0.9`, `1` (equal) or `0.1 .. 2`.

    Raises:
        ConfigError: it is no bound.
    """
    text = text.strip()
    ends = text.split("..")
    if len(ends) == 2:
        low, high = (_number(end, text) for end in ends)
        if low > high:
            raise ConfigError(f"{text!r} holds for no number; write the lower end first")
        return Bound(text, low, high)
    match = _BOUND.fullmatch(text)
    if match is None:
        raise _malformed(text)
    number = _number(match["number"], text)
    match match["sign"]:
        case "<":
            return Bound(text, high=number, open_high=True)
        case "<=":
            return Bound(text, high=number)
        case ">":
            return Bound(text, low=number, open_low=True)
        case ">=":
            return Bound(text, low=number)
    return Bound(text, number, number)


def expectation(name: str, bound: str) -> Expectation:
    """Read a line of `[expect]`.

    Raises:
        ConfigError: the name is no metric's, or the bound is none.
    """
    return Expectation(parse(name), parse_bound(bound))


def _number(text: str, whole: str) -> float:
    text = text.strip()
    for read in (float, parse_share, parse_size_bytes):
        try:
            number = float(read(text))
        except ValueError:
            continue
        if isfinite(number):
            return number
    raise _malformed(whole)


def _malformed(text: str) -> ConfigError:
    return ConfigError(
        f'{text[:60]!r} is no bound; write "< 50 %", "<= 2 MB", "> 0.5", ">= 0.9", "1" for equal, '
        f'or a range "0.1 .. 2"'
    )
