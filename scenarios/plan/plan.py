"""From a scenario and a seed to everything the World is told: checked before any work starts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gossip.config import PeerConfig
from scenarios.conditions.churn import Change
from scenarios.conditions.links import Latency, Links, Rule
from scenarios.data.appearing import Appearance
from scenarios.plan import mesh as planned
from scenarios.plan.churn import changes
from scenarios.plan.data import appearances
from scenarios.plan.expect import expectations
from scenarios.plan.links import rules
from scenarios.plan.reader import Reader, seed_bytes
from scenarios.spec.scenario import Scenario, check_seed
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
    otherwise: Latency

    @property
    def seed_bytes(self) -> bytes:
        """The key of every draw in this run."""
        return seed_bytes(self.seed)

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
    expectations(scenario, where, sorted(reader.groups))
    physics = Physics(
        train_us=planned.train_us(reader),
        lost_after_us=mesh.lost_after_us,
        queue_frames=mesh.queue_frames,
        outboxes=mesh.outboxes,
        bootstrap=() if graph is not None else reader.select(mesh.bootstrap, "mesh.bootstrap"),
        neighbours=None if graph is None else neighbours(graph),
        turns=planned.turns(graph),
    )
    return Plan(
        where=where,
        scenario=scenario,
        seed=seed,
        config=reader.at("mesh / learning", lambda: planned.config(reader)),
        physics=physics,
        groups={name: reader.select(name, "mesh.groups") for name in sorted(reader.groups)},
        changes=tuple(changes(reader)),
        labelled=tuple(map(bool, reader.mask(scenario.data.labelled, "data.labelled"))),
        appear=appearances(reader),
        rules=rules(reader),
        otherwise=reader.latency(scenario.links.latency, "links.latency"),
    )
