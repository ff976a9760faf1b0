"""`[churn]` and `[[event]]`."""

from dataclasses import dataclass
from typing import Annotated

from node.config.annotations import Duration, Example, Range, Share
from scenarios.conditions.churn import Deed
from scenarios.spec.words import FOREVER_US, Peers


@dataclass(frozen=True, slots=True)
class Churn:
    """`[churn]`: how peers come and go by themselves."""

    join_over_us: Annotated[Duration, Range(0, FOREVER_US)] = 10_000_000
    restless: Annotated[str, Range(0, 2_000)] = ""
    up_us_mean: Annotated[Duration, Range(1, FOREVER_US)] = 600_000_000
    away_us_mean: Annotated[Duration, Range(1, FOREVER_US)] = 60_000_000
    crash: Annotated[Share, Range(0.0, 1.0)] = 0.5


@dataclass(frozen=True, slots=True)
class Happening:
    """`[[event]]`: something done to some peers at one moment."""

    at_us: Annotated[Duration, Range(0, FOREVER_US), Example('"60 s"')]
    do: Annotated[Deed, Example('"crash"')]
    peers: Annotated[Peers, Example('"30 %"')]
