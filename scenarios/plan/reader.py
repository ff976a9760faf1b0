"""What every part of planning needs: the scenario, who is meant, and how to say what is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from gossip.errors import ConfigError
from scenarios.conditions.links import Latency
from scenarios.conditions.selectors import select
from scenarios.spec.links import parse_latency
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
    """

    scenario: Scenario
    seed: int
    where: str
    groups: Mapping[str, str] = field(default_factory=dict)

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
        peers, groups = self.scenario.mesh.peers, self.groups
        return self.at(key, lambda: select(text, peers, groups, seed_bytes(self.seed), key))

    def mask(self, text: str, key: str) -> bytes:
        """Per peer, 1 where the selector names it."""
        mask = bytearray(self.scenario.mesh.peers)
        for peer in self.select(text, key):
            mask[peer] = 1
        return bytes(mask)

    def latency(self, text: str, key: str) -> Latency:
        """A distribution of delay."""
        return self.at(key, lambda: parse_latency(text))

    def in_order(self, start_us: int, end_us: int, key: str) -> None:
        """Refuse a span that ends before it begins."""
        if end_us <= start_us:
            raise self.wrong(f"{key}.end", "is not after its start; give a later time")
