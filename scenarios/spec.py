"""The scenario file: tables, keys, bounds and defaults. docs/simulation.md explains each key."""

from dataclasses import dataclass, field, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from gossip.config import Encoding, Exchange, PeerConfig
from gossip.errors import ConfigError
from node.config.annotations import Duration, Example, Quantity, Range, Share, Size, keys_of, marks
from node.config.quantities import format_duration, format_size, parse_duration_us
from node.config.tables import load
from scenarios.churn import Deed
from scenarios.links import Latency, Shared

_PEER = PeerConfig()

SAMPLING = "sampling"
DAY_US = 86_400_000_000
FOREVER_US = 365 * DAY_US
SEED_MAX = 2**63 - 1
"""The largest whole number of TOML."""

Text = Annotated[str, Range(0, 200)]
Peers = Annotated[str, Range(1, 2_000)]
"""A selector; see scenarios/selectors.py."""


class Source(Enum):
    """Where rows come from."""

    GAUSSIAN = "gaussian"  # synthetic: one normal cloud per class, the same at every peer
    RECORDINGS = "recordings"  # the bundled gateways' flows, by site and device


class Model(Enum):
    """What is learnt."""

    CLASSIFIER = "classifier"
    DETECTOR = "detector"


class Arithmetic(Enum):
    """What computes a classifier's training."""

    TORCH = "torch"  # fast; results differ in the last digits with the size of a batch
    NUMPY = "numpy"  # slow; the same to the last bit whatever is batched


@dataclass(frozen=True, slots=True)
class Mesh:
    """`[mesh]`: the nodes, their protocol and how long they are watched."""

    peers: Annotated[int, Range(2, 100_000), Example("100")]
    duration_us: Annotated[Duration, Range(1_000, FOREVER_US), Example('"10 min"')]
    seed: Annotated[int, Range(0, SEED_MAX)] = 1
    cycle_us: Duration = _PEER.cycle_us
    jitter: float = _PEER.jitter
    topology: Text = SAMPLING
    bootstrap: Peers = "0"
    groups: dict[str, str] = field(default_factory=dict)
    view_size: int = _PEER.view_size
    shuffle_size: int = _PEER.shuffle_size
    samplers: int = _PEER.samplers
    probe_cycles: int = _PEER.probe_cycles
    join_retry_us_min: Duration = _PEER.join_retry_us_min
    join_retry_us_max: Duration = _PEER.join_retry_us_max
    lost_after_us: Annotated[Duration, Range(0, DAY_US)] = 5_000_000
    queue_frames: Annotated[int, Range(1, 1_000)] = 4
    outboxes: Annotated[int, Range(1, 100_000)] = 64


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


@dataclass(frozen=True, slots=True)
class Slow:
    """`[[learning.slow]]`: peers whose training takes `factor` times as long."""

    peers: Annotated[Peers, Example('"10 %"')]
    factor: Annotated[float, Range(0.01, 10_000.0), Example("10.0")]


@dataclass(frozen=True, slots=True)
class Learning:
    """`[learning]`: the model, its training, and how models are exchanged."""

    model: Model = Model.CLASSIFIER
    arithmetic: Arithmetic = Arithmetic.TORCH
    hidden: tuple[Annotated[int, Range(1, 4_096)], ...] = ()
    steps: Annotated[int, Range(1, 10_000)] = 7
    batch: Annotated[int, Range(1, 10_000)] = 32
    rate: Annotated[float, Range(1e-9, 99.0)] = 0.05
    momentum: Annotated[float, Range(0.0, 0.999)] = 0.0
    clip: Annotated[float, Range(1e-6, 1e6)] = 1.0
    train_us: Annotated[Duration, Range(0, DAY_US)] = 500_000
    slow: tuple[Slow, ...] = ()
    evaluate_us: Annotated[Duration, Range(0, FOREVER_US)] = 60_000_000
    evaluate_peers: Annotated[int, Range(0, 100_000)] = 200
    alarm_budget: Annotated[Share, Range(1e-6, 0.5)] = 0.005
    exchange: Exchange = _PEER.exchange
    fanout: int = _PEER.fanout
    token_cost: int = _PEER.token_cost
    token_capacity: int = _PEER.token_capacity
    fragments: int = _PEER.fragments
    fragments_per_push: int = _PEER.fragments_per_push
    encoding: Encoding = _PEER.encoding
    age_max: int = _PEER.age_max
    age_lead_max: int = _PEER.age_lead_max
    pushes_per_sender_max: int = _PEER.pushes_per_sender_max


@dataclass(frozen=True, slots=True)
class LinkRule:
    """`[[links.rule]]`: what happens to the frames it matches. The first verdict wins."""

    senders: Peers = "all"
    receivers: Peers = "all"
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
class Conditions:
    """`[links]`: delay, drops and bandwidth between peers."""

    latency: Text = "40 ms"
    rule: tuple[LinkRule, ...] = ()
    partition: tuple[Split, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario file."""

    mesh: Mesh
    data: Data = field(default_factory=Data)
    learning: Learning = field(default_factory=Learning)
    links: Conditions = field(default_factory=Conditions)
    churn: Churn = field(default_factory=Churn)
    event: tuple[Happening, ...] = ()
    title: Text = ""


def check_seed(seed: int) -> int:
    """The seed, as a file could hold it.

    Raises:
        ConfigError: it is out of range.
    """
    if not 0 <= seed <= SEED_MAX:
        raise ConfigError(f"seed is {seed}; it must be 0 or more, and {SEED_MAX} at most")
    return seed


def read(path: Path) -> Scenario:
    """Read a scenario file.

    Keys that need each other, and what depends on the seed, are checked by
    `scenarios.plan.make_plan` before any work starts.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing or out of bounds.
    """
    return load(Scenario, path)


def table(instance: Any) -> dict[str, Any]:
    """The dataclass as its file would say it, defaults included; `from_table` reads it back."""
    return {
        key: _written(getattr(instance, part.name), hint)
        for key, (part, hint) in keys_of(type(instance)).items()
    }


def _written(value: Any, hint: Any) -> Any:
    if isinstance(value, tuple):
        return [_written(item, None) for item in value]
    if is_dataclass(value):
        return table(value)
    if isinstance(value, Enum):
        return value.value
    if hint is not None and Quantity.DURATION in marks(hint):
        return format_duration(value)
    if hint is not None and Quantity.SIZE in marks(hint):
        return format_size(value)
    return value


def parse_latency(text: str) -> Latency:
    """Read `40 ms`, `uniform(10 ms, 50 ms)` or `lognormal(40 ms, 0.5)`.

    The log-normal's first number is its median, the second the standard deviation of the natural
    logarithm.

    Raises:
        ConfigError: the text is none of these.
    """
    name, bracket, rest = text.partition("(")
    numbers = [piece.strip() for piece in rest.removesuffix(")").split(",")]
    try:
        if not bracket:
            delay_us = parse_duration_us(text.strip())
            return Latency(delay_us, delay_us)
        if rest.endswith(")") and len(numbers) == 2:
            first_us = parse_duration_us(numbers[0])
            if name.strip() == "uniform":
                high_us = parse_duration_us(numbers[1])
                if first_us <= high_us:
                    return Latency(first_us, high_us)
            if name.strip() == "lognormal" and 0.0 < float(numbers[1]) <= 5.0:
                return Latency(first_us, first_us, float(numbers[1]))
    except ValueError as error:
        raise ConfigError(f"{text!r} is no latency: {error}") from error
    raise ConfigError(
        f'{text!r} is no latency; write "40 ms", "uniform(10 ms, 50 ms)" with the lower first, '
        f'or "lognormal(40 ms, 0.5)" with a sigma up to 5'
    )
