"""`[churn]` and `[[event]]`."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

from node.config.annotations import Duration, Example, Key, Range, Share
from scenarios.conditions.churn import Deed
from scenarios.spec.words import FOREVER_US, TABLES_MAX, Peers, Text

SECOND_US = 1_000_000


class Begin(Enum):
    """In what state restless peers are when they join."""

    SETTLED = "settled"  # as if they had come and gone for ever
    FRESH = "fresh"  # all at the start of a session


@dataclass(frozen=True, slots=True)
class Diurnal:
    """`[[churn.diurnal]]`: peers whose presence follows the time of day."""

    peers: Annotated[Peers, Example('"0:50"')]
    low: Annotated[Share, Range(0.0, 0.999)] = 0.5
    period_us: Annotated[Duration, Range(SECOND_US, FOREVER_US)] = 86_400 * SECOND_US
    peak_us: Annotated[Duration, Range(0, FOREVER_US)] = 0


@dataclass(frozen=True, slots=True)
class Outage:
    """`[[churn.outage]]`: groups that fail as a whole, each at its own random times."""

    groups: Annotated[tuple[Peers, ...], Range(1, 1_000), Example('["site-0", "site-1"]')]
    every: Annotated[Text, Example('"1 h"')]
    lasts: Annotated[Text, Example('"exponential(10 min)"')]


@dataclass(frozen=True, slots=True)
class Churn:
    """`[churn]`: how peers come and go by themselves."""

    join_over_us: Annotated[Duration, Range(0, FOREVER_US)] = 10 * SECOND_US
    restless: Annotated[str, Range(0, 2_000)] = ""
    up: Text = "exponential(10 min)"
    away: Text = "exponential(1 min)"
    online: Annotated[Share, Range(0.0, 0.999)] = 0.0
    begin: Begin = Begin.SETTLED
    crash: Annotated[Share, Range(0.0, 1.0)] = 0.5
    trace: Path | None = None
    diurnal: Annotated[tuple[Diurnal, ...], Range(0, TABLES_MAX)] = ()
    outage: Annotated[tuple[Outage, ...], Range(0, TABLES_MAX)] = ()


@dataclass(frozen=True, slots=True)
class Happening:
    """`[[event]]`: something done to some peers."""

    at_us: Annotated[Duration, Range(0, FOREVER_US), Example('"60 s"')]
    do: Annotated[Deed, Example('"crash"')]
    peers: Annotated[Peers, Example('"30 %"')]
    over: Text = ""
    back: Annotated[Text, Key("for")] = ""
