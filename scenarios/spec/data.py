"""`[data]`."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

from node.config.annotations import Duration, Example, Range
from scenarios.spec.words import FOREVER_US, Peers, Text


class Source(Enum):
    """Where rows come from."""

    GAUSSIAN = "gaussian"  # synthetic: one normal cloud per class, the same at every peer
    RECORDINGS = "recordings"  # the bundled gateways' flows, by site and device
    SURICATA = "suricata"  # the user's own eve.json logs, one a site
    ZEEK = "zeek"  # the user's own conn.log logs, one a site


class Split(Enum):
    """Who decides which rows no model trains on."""

    AUTHORS = "authors"  # those who made the data set, where they set rows aside; else drawn
    DRAWN = "drawn"  # the seed, over all rows


class Duplicates(Enum):
    """What becomes of a row that stands in the data again with the same family."""

    REMOVE = "remove"
    KEEP = "keep"


class Scaling(Enum):
    """Whose rows decide how a peer scales its own."""

    OWN = "own"  # the peer's, as in a node
    SHARED = "shared"  # all peers' together, as if they had agreed on statistics beforehand
    NONE = "none"  # rows are used as they come


@dataclass(frozen=True, slots=True)
class Appear:
    """`[[data.appear]]`: an attack that nobody trains on before `at`, and only `peers` after."""

    family: Annotated[Text, Example('"scan"')]
    peers: Annotated[Peers, Example('"30 %"')]
    at_us: Annotated[Duration, Range(1, FOREVER_US), Example('"3 min"')]


@dataclass(frozen=True, slots=True)
class Data:
    """`[data]`: what each peer has to learn from."""

    source: Source = Source.GAUSSIAN
    folder: Path | None = None
    rows: Annotated[int, Range(1, 1_000_000)] = 200
    calibrate_rows: Annotated[int, Range(0, 1_000_000)] = 400
    test_rows: Annotated[int, Range(1, 1_000_000)] = 400
    features: Annotated[int, Range(1, 4_096)] = 57
    classes: Annotated[int, Range(2, 256)] = 2
    separation: Annotated[float, Range(0.0, 100.0)] = 0.35
    labelled: Peers = "all"
    shards: Text = "natural"
    split: Split = Split.AUTHORS
    duplicates: Duplicates = Duplicates.REMOVE
    scaling: Scaling = Scaling.OWN
    appear: tuple[Appear, ...] = ()
