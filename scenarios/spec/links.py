"""`[links]`."""

from dataclasses import dataclass
from typing import Annotated

from gossip.errors import ConfigError
from node.config.annotations import Duration, Example, Range, Share, Size
from node.config.quantities import parse_duration_us
from scenarios.conditions.links import Latency, Shared
from scenarios.spec.words import FOREVER_US, Peers, Text


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
