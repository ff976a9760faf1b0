"""`[data]`."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from node.config.annotations import Range
from scenarios.spec.words import Peers


class Source(Enum):
    """Where rows come from."""

    GAUSSIAN = "gaussian"  # synthetic: one normal cloud per class, the same at every peer
    RECORDINGS = "recordings"  # the bundled gateways' flows, by site and device


@dataclass(frozen=True, slots=True)
class Data:
    """`[data]`: what each peer has to learn from."""

    source: Source = Source.GAUSSIAN
    rows: Annotated[int, Range(1, 1_000_000)] = 200
    calibrate_rows: Annotated[int, Range(0, 1_000_000)] = 400
    test_rows: Annotated[int, Range(1, 1_000_000)] = 400
    features: Annotated[int, Range(1, 4_096)] = 57
    classes: Annotated[int, Range(2, 256)] = 2
    separation: Annotated[float, Range(0.0, 100.0)] = 0.35
    labelled: Peers = "all"
