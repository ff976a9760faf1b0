"""What every part of planning needs: the scenario, who is meant, and how to say what is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from gossip.errors import ConfigError
from scenarios.conditions.distributions import Distribution, parse_distribution, parse_span_us
from scenarios.conditions.latency import Anywhere, Delay, Tabulated
from scenarios.conditions.selectors import select
from scenarios.spec.scenario import Scenario
from topologies.errors import TopologyError

T = TypeVar("T")


def seed_bytes(seed: int) -> bytes:
    """The key of every draw in a run with this seed."""
    return f"hedgerow-world-{seed}".encode()


@dataclass(frozen=True, slots=True)
class Reader:
    """A scenario on its way to a plan. Errors name the file and the key.

    Args:
        scenario: as read.
        seed: the number given.
        where: the file's name, for messages.
        groups: name to selector.
        tables: of delays, by the word that stands for each.
        chosen: the peers of each group worked out so far.
    """

    scenario: Scenario
    seed: int
    where: str
    groups: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Tabulated] = field(default_factory=dict)
    chosen: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def wrong(self, key: str, text: str) -> ConfigError:
        """The error to raise."""
        return ConfigError(f"{self.where}: {key}: {text}")

    def at(self, key: str, work: Callable[[], T]) -> T:
        """What `work` gives; its error gets the file and the key."""
        try:
            return work()
        except (ConfigError, TopologyError) as error:
            raise self.wrong(key, str(error)) from error

    def select(self, text: str, key: str) -> tuple[int, ...]:
        """The peers that a selector names, ascending."""
        peers, groups, seed = self.scenario.mesh.peers, self.groups, seed_bytes(self.seed)
        return self.at(key, lambda: select(text, peers, groups, seed, key, self.chosen))

    def mask(self, text: str, key: str) -> bytes:
        """Per peer, 1 where the selector names it."""
        mask = bytearray(self.scenario.mesh.peers)
        for peer in self.select(text, key):
            mask[peer] = 1
        return bytes(mask)

    def span_us(self, text: str, key: str) -> int:
        """A span of time, which may be in cycles."""
        return self.at(key, lambda: parse_span_us(text, self.scenario.mesh.cycle_us))

    def distribution(self, text: str, key: str) -> Distribution:
        """A distribution of spans of time."""
        return self.at(key, lambda: parse_distribution(text, self.scenario.mesh.cycle_us))

    def latency(self, text: str, key: str) -> Delay:
        """A distribution of delay, or a table of them."""
        table = self.tables.get(text.strip())
        if table is not None:
            return table
        try:
            return Anywhere(self.distribution(text, key))
        except ConfigError as error:
            raise ConfigError(f'{error}; or a table: "world" or "matrix"') from error

    def in_order(self, start_us: int, end_us: int, key: str) -> None:
        """Refuse a span that ends before it begins."""
        if end_us <= start_us:
            raise self.wrong(f"{key}.end", "is not after its start; give a later time")
