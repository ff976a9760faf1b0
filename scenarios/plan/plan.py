"""From a scenario and a seed to everything the World is told: checked before any work starts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gossip.config import PeerConfig
from gossip.errors import ConfigError
from scenarios.conditions.churn import Change
from scenarios.conditions.devices import rows_that_fit
from scenarios.conditions.latency import Delay
from scenarios.conditions.links import Links, Rule
from scenarios.data.appearing import Appearance
from scenarios.plan import mesh as planned
from scenarios.plan.antigens import Hostility, check_antigens, hostilities
from scenarios.plan.churn import changes
from scenarios.plan.data import appearances
from scenarios.plan.expect import expectations
from scenarios.plan.links import region_groups, rules, tables
from scenarios.plan.method import check_method
from scenarios.plan.reader import Reader, seed_bytes
from scenarios.spec.scenario import Scenario, check_seed, table
from scenarios.world.hosts import Physics
from topologies.graphs import neighbours


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a scenario and a seed.

    Args:
        where: the scenario's file, for messages.
        scenario: as read.
        seed: the number given.
        config: of every peer.
        physics: see there.
        groups: the peers of each named group, ascending.
        changes: in time order.
        labelled: per peer, whether its rows carry labels.
        appear: attacks that nobody trains on before their time.
        rules: of the links, in order; partitions first.
        otherwise: delay where no rule decides.
        memory_bytes: per peer, what its device has for training rows; 0 is without a bound.
        hostile: peers that mislead the others, ascending.
    """

    where: str
    scenario: Scenario
    seed: int
    config: PeerConfig
    physics: Physics
    groups: Mapping[str, tuple[int, ...]]
    changes: tuple[Change, ...]
    labelled: tuple[bool, ...]
    appear: tuple[Appearance, ...]
    rules: tuple[Rule, ...]
    otherwise: Delay
    memory_bytes: tuple[int, ...]
    hostile: Mapping[int, Hostility]

    @property
    def spec(self) -> dict[str, Any]:
        """The scenario with every default and the seed, as a file would say it."""
        return table(replace(self.scenario, mesh=replace(self.scenario.mesh, seed=self.seed)))

    @property
    def seed_bytes(self) -> bytes:
        """The key of every draw in this run."""
        return seed_bytes(self.seed)

    def rows_max(self, features: int) -> tuple[int, ...]:
        """Per peer, how many training rows of so many features its device can keep.

        Raises:
            ConfigError: a device cannot keep one.
        """
        most = tuple(rows_that_fit(memory, features) for memory in self.memory_bytes)
        if 0 in most:
            raise ConfigError(
                f"{self.where}: mesh.device: the memory of peer {most.index(0)} does not hold one "
                f"row of {features} features; give it more"
            )
        return most

    def links(self) -> Links:
        """The link conditions. They fill as frames cross, so a plan drives one World only."""
        return Links(self.rules, self.otherwise, self.seed_bytes)


def make_plan(scenario: Scenario, seed: int | None = None, where: str = "scenario") -> Plan:
    """Check a scenario as a whole and work out what it means.

    Args:
        scenario: as read.
        seed: instead of the scenario's own; from 0 to SEED_MAX.
        where: the file's name, for messages.

    Raises:
        ConfigError: keys contradict each other, a selector or latency is malformed, a graph is
            impossible, an expectation names what the run cannot have, or an event lies outside the
            run or before the one above it. The message names the file and the key. Or `seed` is
            out of range.
    """
    seed = scenario.mesh.seed if seed is None else check_seed(seed)
    reader = Reader(scenario, seed, where)
    mesh = scenario.mesh
    planned.check_model(reader)
    graph = planned.topology(reader)
    reader = replace(reader, groups=planned.named(reader, graph))
    planned.check_groups(reader)
    reader = replace(reader, tables=tables(reader))
    reader = replace(reader, groups={**reader.groups, **region_groups(reader)})
    expectations(scenario, where, sorted(reader.groups))
    # A node asks after as long a silence as it gives a dial, and waits as long for the answer
    # (`node.p2p.limits.Limits`: 10 s each).
    physics = Physics(
        train_us=planned.train_us(reader),
        lost_after_us=mesh.lost_after_us,
        silence_us=max(1, mesh.lost_after_us),
        queue_frames=mesh.queue_frames,
        outboxes=mesh.outboxes,
        bootstrap=() if graph is not None else reader.select(mesh.bootstrap, "mesh.bootstrap"),
        neighbours=None if graph is None else neighbours(graph),
        turns=planned.turns(graph),
        serve=scenario.learning.serve,
    )
    check_method(reader, physics.neighbours, physics.turns)
    check_antigens(reader)
    return Plan(
        where=where,
        scenario=scenario,
        seed=seed,
        config=reader.at("mesh / learning", lambda: planned.config(reader)),
        physics=physics,
        groups={name: reader.select(name, "mesh.groups") for name in sorted(reader.groups)},
        changes=changes(reader),
        labelled=tuple(map(bool, reader.mask(scenario.data.labelled, "data.labelled"))),
        appear=appearances(reader),
        rules=rules(reader),
        otherwise=reader.latency(scenario.links.latency, "links.latency"),
        memory_bytes=planned.memory_bytes(reader),
        hostile=hostilities(reader),
    )
