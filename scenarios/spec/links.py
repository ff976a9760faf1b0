"""`[links]`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from node.config.annotations import Duration, Example, Range, Share, Size
from scenarios.conditions.links import Shared
from scenarios.spec.words import DAY_US, FOREVER_US, TABLES_MAX, Peers, Text

WORLD = "world"
MATRIX = "matrix"
"""What stands for a table where a latency is written."""


@dataclass(frozen=True, slots=True)
class LinkRule:
    """`[[links.rule]]`: what happens to the frames it matches. The first verdict wins."""

    senders: Peers = "all"
    receivers: Peers = "all"
    both: bool = False
    start_us: Annotated[Duration, Range(0, FOREVER_US)] = 0
    end_us: Annotated[Duration, Range(0, FOREVER_US)] = FOREVER_US
    drop: Annotated[Share, Range(0.0, 1.0)] = 0.0
    latency: Text = ""
    kbit_per_s: Annotated[float, Range(0.0, 1e9)] = 0.0
    queue_bytes: Annotated[Size, Range(0, 2**40)] = 65_536
    shared: Shared = Shared.PAIR


@dataclass(frozen=True, slots=True)
class Split:
    """`[[links.partition]]`: sides that cannot reach each other for a while."""

    start_us: Annotated[Duration, Range(0, FOREVER_US), Example('"60 s"')]
    end_us: Annotated[Duration, Range(0, FOREVER_US), Example('"120 s"')]
    sides: Annotated[tuple[Peers, ...], Range(1, 1_000), Example('["0:50"]')]


@dataclass(frozen=True, slots=True)
class Region:
    """`[[links.region]]`: which peers are where, for a table of delays."""

    name: Annotated[Text, Example('"frankfurt"')]
    peers: Annotated[str, Range(0, 2_000)] = ""
    weight: Annotated[float, Range(0.001, 1_000.0)] = 1.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """`[links]`: delay, drops and bandwidth between peers."""

    latency: Text = "40 ms"
    matrix: Path | None = None
    jitter: Annotated[float, Range(0.0, 5.0)] = 0.2
    access_us: Annotated[Duration, Range(0, DAY_US)] = 10_000
    region: tuple[Region, ...] = ()
    rule: Annotated[tuple[LinkRule, ...], Range(0, TABLES_MAX)] = ()
    partition: Annotated[tuple[Split, ...], Range(0, TABLES_MAX)] = ()
