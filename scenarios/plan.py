"""From a scenario and a seed to everything the World is told: checked before any work starts."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TypeVar

from gossip.config import PeerConfig
from gossip.errors import ConfigError
from gossip.learning.scaling import ROWS_MIN
from scenarios.churn import Change, Deed, ordered, sessions, staggered
from scenarios.hosts import Physics
from scenarios.links import Condition, Latency, Links, Partition, Rule
from scenarios.recordings import SITES
from scenarios.selectors import select
from scenarios.spec import (
    SAMPLING,
    Arithmetic,
    Data,
    LinkRule,
    Model,
    Scenario,
    Source,
    Split,
    check_seed,
    parse_latency,
)
from topologies.errors import TopologyError
from topologies.graphs import build, neighbours, schedule

T = TypeVar("T")

NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
"""Unlike every other form of a selector."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a scenario and a seed.

    Args:
        where: the scenario's file, for messages.
        scenario: as read.
        seed: the number given.
        config: of every peer.
        physics: see there.
        changes: in time order.
        labelled: per peer, whether its rows carry labels.
        rules: of the links, in order; partitions first.
        otherwise: delay where no rule decides.
    """

    where: str
    scenario: Scenario
    seed: int
    config: PeerConfig
    physics: Physics
    changes: tuple[Change, ...]
    labelled: tuple[bool, ...]
    rules: tuple[Rule, ...]
    otherwise: Latency

    @property
    def seed_bytes(self) -> bytes:
        """The key of every draw in this run."""
        return seed_bytes(self.seed)

    def links(self) -> Links:
        """The link conditions. They fill as frames cross, so a plan drives one World only."""
        return Links(self.rules, self.otherwise, self.seed_bytes)


def seed_bytes(seed: int) -> bytes:
    """The key of every draw in a run with this seed."""
    return f"hedgerow-world-{seed}".encode()


def make_plan(scenario: Scenario, seed: int | None = None, where: str = "scenario") -> Plan:
    """Check a scenario as a whole and work out what it means.

    Args:
        scenario: as read.
        seed: instead of the scenario's own; from 0 to SEED_MAX.
        where: the file's name, for messages.

    Raises:
        ConfigError: keys contradict each other, a selector or latency is malformed, a graph is
            impossible, or an event lies outside the run or before the one above it. The message
            names the file and the key. Or `seed` is out of range.
    """
    seed = scenario.mesh.seed if seed is None else check_seed(seed)
    return _Planner(scenario, seed, where).plan()


@dataclass(slots=True)
class _Planner:
    scenario: Scenario
    seed: int
    where: str
    groups: dict[str, str] = field(default_factory=dict)

    def plan(self) -> Plan:
        scenario, mesh, links = self.scenario, self.scenario.mesh, self.scenario.links
        self._model()
        self.groups = self._sites() | mesh.groups
        fixed = self._topology()
        for name in mesh.groups:
            if not NAME.fullmatch(name) or name == "all":
                raise self._wrong(
                    f"mesh.groups.{name}", "is no name for a group; use letters, digits and -"
                )
            self._select(name, f"mesh.groups.{name}")
        physics = Physics(
            train_us=self._train_us(),
            lost_after_us=mesh.lost_after_us,
            queue_frames=mesh.queue_frames,
            outboxes=mesh.outboxes,
            bootstrap=() if fixed else self._select(mesh.bootstrap, "mesh.bootstrap"),
            neighbours=fixed,
        )
        labelled = self._mask(scenario.data.labelled, "data.labelled")
        return Plan(
            where=self.where,
            scenario=scenario,
            seed=self.seed,
            config=self._at("mesh / learning", self._config),
            physics=physics,
            changes=tuple(self._changes()),
            labelled=tuple(map(bool, labelled)),
            rules=(
                *self._each(links.partition, "links.partition", self._partition),
                *self._each(links.rule, "links.rule", self._condition),
            ),
            otherwise=self._latency(links.latency, "links.latency"),
        )

    def _wrong(self, key: str, text: str) -> ConfigError:
        return ConfigError(f"{self.where}: {key}: {text}")

    def _at(self, key: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except (ConfigError, TopologyError) as error:
            raise self._wrong(key, str(error)) from error

    def _select(self, text: str, key: str) -> tuple[int, ...]:
        peers, groups = self.scenario.mesh.peers, self.groups
        return self._at(key, lambda: select(text, peers, groups, seed_bytes(self.seed), key))

    def _mask(self, text: str, key: str) -> bytes:
        mask = bytearray(self.scenario.mesh.peers)
        for peer in self._select(text, key):
            mask[peer] = 1
        return bytes(mask)

    def _config(self) -> PeerConfig:
        mesh, learning = self.scenario.mesh, self.scenario.learning
        names = [part.name for part in fields(PeerConfig)]
        owners = {name: mesh if hasattr(mesh, name) else learning for name in names}
        return PeerConfig(**{name: getattr(owner, name) for name, owner in owners.items()})

    def _sites(self) -> dict[str, str]:
        """Groups that the data brings along; refuses keys that mean nothing to it."""
        data, peers = self.scenario.data, self.scenario.mesh.peers
        if data.source is not Source.RECORDINGS:
            return {}
        for key in ("features", "classes", "separation"):
            if getattr(data, key) != getattr(Data(), key):
                raise self._wrong(f"data.{key}", "belongs to gaussian data; leave it out")
        if data.rows < ROWS_MIN:
            raise self._wrong("data.rows", f"{data.rows} are too few; recordings need {ROWS_MIN}")
        step = len(SITES)
        return {
            site: ",".join(map(str, range(number, peers, step)))
            for number, site in enumerate(SITES)
            if number < peers
        }

    def _model(self) -> None:
        learning = self.scenario.learning
        if learning.model is Model.DETECTOR:
            if learning.hidden:
                raise self._wrong("learning.hidden", "a detector has its own layers; leave it out")
            if learning.arithmetic is Arithmetic.NUMPY:
                raise self._wrong("learning.arithmetic", 'a detector trains in torch; use "torch"')

    def _topology(self) -> tuple[tuple[int, ...], ...] | None:
        mesh = self.scenario.mesh
        if mesh.topology == SAMPLING:
            return None
        graph = self._at(
            "mesh.topology", lambda: build(mesh.topology, self.seed, require_connected=True)
        )
        if len(graph) != mesh.peers:
            raise self._wrong(
                "mesh.topology",
                f"{mesh.topology!r} has {len(graph)} nodes and mesh.peers is {mesh.peers}; "
                f"make them equal",
            )
        if len(schedule(graph)) > 1:
            raise self._wrong(
                "mesh.topology",
                f"{mesh.topology!r} changes with time and a peer's neighbours are fixed; "
                f"use exponential:{mesh.peers}",
            )
        sites: dict[str, list[str]] = {}
        for node, site in sorted(graph.nodes(data="site")):
            if site is not None:
                sites.setdefault(f"site-{site}", []).append(str(node))
        for name, members in sites.items():
            self.groups.setdefault(name, ",".join(members))
        return neighbours(graph)

    def _train_us(self) -> tuple[int, ...]:
        learning = self.scenario.learning
        times = [learning.train_us] * self.scenario.mesh.peers
        for place, slow in enumerate(learning.slow, 1):
            for peer in self._select(slow.peers, f"learning.slow[{place}].peers"):
                times[peer] = round(learning.train_us * slow.factor)
        return tuple(times)

    # Links

    def _each(self, told: Sequence[T], key: str, make: Callable[[T, str], Rule]) -> Iterator[Rule]:
        return (make(each, f"{key}[{place}]") for place, each in enumerate(told, 1))

    def _partition(self, split: Split, key: str) -> Rule:
        self._in_order(split.start_us, split.end_us, key)
        side = [0] * self.scenario.mesh.peers  # those that no side names form one of their own
        for number, text in enumerate(split.sides, 1):
            for peer in self._select(text, f"{key}.sides[{number}]"):
                if side[peer]:
                    raise self._wrong(
                        f"{key}.sides[{number}]",
                        f"peer {peer} already stands on side {side[peer]}; name it once",
                    )
                side[peer] = number
        if len(frozenset(side)) == 1:
            raise self._wrong(f"{key}.sides", "everybody is on one side; leave somebody out")
        return Partition(tuple(side), split.start_us, split.end_us)

    def _condition(self, rule: LinkRule, key: str) -> Rule:
        self._in_order(rule.start_us, rule.end_us, key)
        if rule.kbit_per_s and not rule.latency:
            raise self._wrong(
                f"{key}.latency", 'missing; a bandwidth needs one, such as latency = "40 ms"'
            )
        if not rule.drop and not rule.latency:
            raise self._wrong(key, "does nothing; give it a drop, or a latency, or remove it")
        return Condition(
            self._mask(rule.senders, f"{key}.senders"),
            self._mask(rule.receivers, f"{key}.receivers"),
            rule.start_us,
            rule.end_us,
            rule.drop,
            self._latency(rule.latency, f"{key}.latency") if rule.latency else None,
            round(rule.kbit_per_s * 1_000),
            rule.queue_bytes,
            rule.shared,
        )

    def _latency(self, text: str, key: str) -> Latency:
        return self._at(key, lambda: parse_latency(text))

    def _in_order(self, start_us: int, end_us: int, key: str) -> None:
        if end_us <= start_us:
            raise self._wrong(f"{key}.end", "is not after its start; give a later time")

    # Churn

    def _changes(self) -> Sequence[Change]:
        mesh, churn = self.scenario.mesh, self.scenario.churn
        told: list[Change] = []
        late = bytearray(mesh.peers)
        before_us = 0
        for place, event in enumerate(self.scenario.event, 1):
            key = f"event[{place}]"
            if event.at_us < before_us:
                raise self._wrong(
                    f"{key}.at", "lies before the event above it; write events in time order"
                )
            if event.at_us > mesh.duration_us:
                raise self._wrong(f"{key}.at", "lies after the end; see mesh.duration")
            before_us = event.at_us
            chosen = self._select(event.peers, f"{key}.peers")
            told.extend(Change(event.at_us, peer, event.do) for peer in chosen)
            if event.do is Deed.JOIN:
                for peer in chosen:
                    late[peer] = 1
        seed = seed_bytes(self.seed)
        at_start = [peer for peer in range(mesh.peers) if not late[peer]]
        if not at_start and not told:
            raise self._wrong("event", "nobody is ever there; let some peers join")
        changes = staggered(at_start, 0, churn.join_over_us, seed)
        if churn.restless:
            restless = self._select(churn.restless, "churn.restless")
            end_us = mesh.duration_us
            means = churn.up_us_mean, churn.away_us_mean
            changes += sessions(restless, *means, churn.crash, end_us, seed)
        return ordered([*changes, *told])
