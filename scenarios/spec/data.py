"""`[data]`."""

import re
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Annotated

from gossip.errors import ConfigError
from node.config.annotations import Duration, Example, Range
from scenarios.spec.words import FOREVER_US, TABLES_MAX, Peers, Text


class Source(Enum):
    """Where rows come from."""

    GAUSSIAN = "gaussian"  # synthetic: one normal cloud per class, the same at every peer
    RECORDINGS = "recordings"  # the bundled gateways' flows, by site and device
    SURICATA = "suricata"  # the user's own eve.json logs, one a site
    ZEEK = "zeek"  # the user's own conn.log logs, one a site
    # Published data sets in a folder of the user's; see docs/data.md.
    NBAIOT = "nbaiot"
    NSL_KDD = "nsl-kdd"
    UNSW_NB15 = "unsw-nb15"
    TON_IOT = "ton-iot"
    IOT_23 = "iot-23"
    EDGE_IIOTSET = "edge-iiotset"
    CICIOT2023 = "ciciot2023"


class Sensor(Enum):
    """Which sensor's log of a site's packets is read."""

    SURICATA = "suricata"
    IPFIX = "ipfix"  # softflowd's biflows


class Labelling(Enum):
    """Who says what an attack's flow is, where one carries a label at all."""

    TRUE = "true"  # what was really run
    ALERTS = "alerts"  # the sensor, as at a live gateway: names half of them, and some wrongly


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
    MESH = "mesh"  # the peers', as they tell each other by norms; see docs/unequal.md
    SHARED = "shared"  # all peers' together, as if they had agreed on statistics beforehand
    NONE = "none"  # rows are used as they come

    @property
    def needs_own(self) -> bool:
        """Whether each peer needs a scaler of its own, if only to begin with."""
        return self in {Scaling.OWN, Scaling.MESH}


class Kind(Enum):
    """By what rows are dealt to peers."""

    NATURAL = "natural"  # the device or site that they were seen at
    FAMILIES = "families"  # so many attack families a peer
    DIRICHLET = "dirichlet"  # each family in unequal shares
    QUANTITY = "quantity"  # unequal amounts of the same mixture
    TIME = "time"  # one span of time after the other


@dataclass(frozen=True, slots=True)
class Sharding:
    """What `data.shards` says.

    Args:
        kind: see there.
        number: families a peer holds, or the parameter of the Dirichlet distribution.
    """

    kind: Kind
    number: float = 0.0


_SHARDING = re.compile(r"([a-z]+)\s*(?:\(\s*([0-9.]{1,12})\s*\))?")
_SHARDINGS = "natural, families(2), dirichlet(0.3), quantity(0.5) or time"
_ALPHA = (0.001, 1e6)
_FAMILIES_MAX = 255


def parse_sharding(text: str) -> Sharding:
    """Read `data.shards`.

    Raises:
        ConfigError: it is malformed or its number is out of bounds.
    """
    match = _SHARDING.fullmatch(text.strip())
    kinds = {kind.value: kind for kind in Kind}
    if match is None or match[1] not in kinds:
        raise ConfigError(f"{text!r} is no way to deal rows; write {_SHARDINGS}")
    kind = kinds[match[1]]
    if (match[2] is not None) != (kind in {Kind.FAMILIES, Kind.DIRICHLET, Kind.QUANTITY}):
        raise ConfigError(f"{text!r} has a number too few or too many; write {_SHARDINGS}")
    try:
        number = float(match[2] or 0)
    except ValueError:
        number = float("nan")
    if kind is Kind.FAMILIES and not (number.is_integer() and 1 <= number <= _FAMILIES_MAX):
        raise ConfigError(f"{text!r}: write a whole number of families, 1 to {_FAMILIES_MAX}")
    alpha = kind in {Kind.DIRICHLET, Kind.QUANTITY}
    if alpha and not (isfinite(number) and _ALPHA[0] <= number <= _ALPHA[1]):
        raise ConfigError(f"{text!r}: the parameter must be {_ALPHA[0]} to {_ALPHA[1]:,.0f}")
    return Sharding(kind, number)


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
    factory_sensor: Sensor = Sensor.SURICATA
    rows_max: Annotated[int, Range(1_000, 50_000_000)] = 200_000
    rows: Annotated[int, Range(1, 1_000_000)] = 200
    calibrate_rows: Annotated[int, Range(0, 1_000_000)] = 400
    test_rows: Annotated[int, Range(1, 1_000_000)] = 400
    features: Annotated[int, Range(1, 4_096)] = 57
    classes: Annotated[int, Range(2, 256)] = 2
    separation: Annotated[float, Range(0.0, 100.0)] = 0.35
    labelled: Peers = "all"
    labels: Labelling = Labelling.TRUE
    test_left_out: bool = False
    shards: Text = "natural"
    split: Split = Split.AUTHORS
    duplicates: Duplicates = Duplicates.REMOVE
    scaling: Scaling = Scaling.OWN
    appear: Annotated[tuple[Appear, ...], Range(0, TABLES_MAX)] = ()
