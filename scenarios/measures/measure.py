"""What is measured of a World while it runs: each peer by itself, never an averaged model."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.draws import Purpose, choose
from gossip.learning.learner import BENIGN
from scenarios.conditions.links import Partition, Rule
from scenarios.data.shards import Shards
from scenarios.measures.judgement import BAD_IS_HIGH, SHARES, Judgement
from scenarios.measures.judges import Judge, tail_of
from scenarios.measures.samples import (
    EDGES_PEERS_MAX,
    JudgedPeer,
    Measured,
    Sample,
    Snapshot,
    Spread,
    selector,
    spread,
)
from scenarios.measures.watched import Counts, Seen, Watched

GROUP_PEERS = 10
"""Peers judged of each group where the budget allows: our choice, the fewest of which a worst
tenth is more than the worst."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Who is judged, the same peers for a whole run.

    Args:
        drawn: those that stand for the whole mesh, ascending.
        groups: those that stand for each named group, ascending.
        everybody: all of these, ascending.
        members: all peers of each named group.
    """

    drawn: tuple[int, ...]
    groups: Mapping[str, tuple[int, ...]]
    everybody: tuple[int, ...]
    members: Mapping[str, Sequence[int]]


def draw_panel(
    peers: int, groups: Mapping[str, Sequence[int]], peers_max: int, seed: bytes
) -> Panel:
    """Draw who is judged.

    One keyed order of all peers decides: the mesh is judged by its first `peers_max`. A group is
    judged by those of its own among them, or, where these are fewer than `GROUP_PEERS` (with many
    groups: than `peers_max` divided by their number, at least 1), by its own first so many. What
    a group needs beyond the first `peers_max` counts for that group alone, so that the figures of
    the mesh stay those of a uniform draw, and so do each group's.

    Args:
        peers: of the mesh.
        groups: the peers of each named group.
        peers_max: 0 is all.
        seed: of the scenario.
    """
    if not peers_max or peers_max >= peers:
        whole = tuple(range(peers))
        named = {name: tuple(sorted(members)) for name, members in groups.items()}
        return Panel(whole, named, whole, groups)
    wanted = peers if groups else peers_max
    order = choose(range(peers), wanted, seed, "judged", 0, Purpose.WORLD)
    quota = min(GROUP_PEERS, max(1, peers_max // max(1, len(groups))))
    place = {peer: rank for rank, peer in enumerate(order)}
    chosen: dict[str, tuple[int, ...]] = {}
    for name, members in groups.items():
        own = sorted(members, key=place.__getitem__)
        among = sum(place[peer] < peers_max for peer in own)
        chosen[name] = tuple(sorted(own[: max(among, quota)]))
    drawn = tuple(sorted(order[:peers_max]))
    extra = {peer for members in chosen.values() for peer in members}
    return Panel(drawn, chosen, tuple(sorted(extra.union(drawn))), groups)


def measure(
    world: Watched, shards: Shards, judge: Judge, panel: Panel, rules: Sequence[Rule] = ()
) -> Measured:
    """Measure the mesh as it is now; changes nothing.

    Args:
        world: a mesh, stopped at some moment.
        shards: every peer's data.
        judge: fits the learner.
        panel: who is judged, of those that are up.
        rules: of the links; partitions among them tell the sides.
    """
    alive = dict(world.alive())
    found = {
        peer: judge.judge(
            world.whole_vector(peer),
            shards.at(peer, world.now_us, alive[peer].norms),
            tail_of(alive[peer].mesh),
        )
        for peer in panel.everybody
        if peer in alive
    }
    edges = {peer: world.reachable(peer) for peer in alive}
    sent = np.array([host.bytes_sent for host in world.hosts], np.float64)
    groups = {}
    for name, members in panel.groups.items():
        judged = [found[peer] for peer in members if peer in found]
        if judged:
            own = sent[list(panel.members[name])]
            told = a_day(shards, found, members)
            groups[name] = spreads(judged, shards.families) | told | _bytes(own)
    whole = [found[peer] for peer in panel.drawn if peer in found]
    tally = world.tally
    sample = Sample(
        at_us=world.now_us,
        peers=len(world.hosts),
        up=len(alive),
        judged=len(whole),
        calibrated=sum(each.calibrated for each in whole),
        metrics=spreads(whole, shards.families) | a_day(shards, found, panel.drawn) | _bytes(sent),
        groups=groups,
        consensus=consensus_distance(list(alive.values())),
        parts=parts(edges),
        bytes_sent=int(sent.sum()),
        cycles=tally.cycles,
        trainings=tally.trainings,
        frames=frames(tally),
        view_sizes=histogram(len(machine.view) for machine in alive.values()),
        in_degrees=in_degrees(world, alive),
    )
    rows = tuple(JudgedPeer(world.now_us, peer, judged) for peer, judged in found.items())
    return Measured(sample, rows, snapshot(world, edges, rules))


def spreads(judged: Sequence[Judgement], families: Sequence[str]) -> dict[str, Spread]:
    """Every measure of single peers over some of them; of families only those they could judge."""
    found = {
        name: spread(
            np.array([getattr(each, name) for each in judged]), bad_is_high=name in BAD_IS_HIGH
        )
        for name in SHARES
    }
    for name, shares in (
        ("detection", [each.families for each in judged]),
        ("named", [each.named for each in judged]),
    ):
        by_family = np.array(shares).reshape(len(judged), len(families))
        for number, family in enumerate(families):
            own = spread(by_family[:, number])
            if own.n and number != BENIGN:
                found[f"{name}:{family}"] = own
    return found


def a_day(
    shards: Shards, found: Mapping[int, Judgement], peers: Sequence[int]
) -> dict[str, Spread]:
    """Each peer's false alarms a day at the rate of its own flows, where the data have one."""
    if shards.flows_a_day is None:
        return {}
    numbers = [found[p].false_alarms * shards.flows_a_day[p] for p in peers if p in found]
    return {"alarms_a_day": spread(np.array(numbers, np.float64), bad_is_high=True)}


def frames(tally: Counts) -> dict[str, int]:
    """What became of all frames so far."""
    return {
        "delivered": tally.delivered,
        "dropped": tally.dropped,
        "unreachable": tally.unreachable,
        "shed": tally.shed,
    }


def _bytes(sent: NDArray[np.float64]) -> dict[str, Spread]:
    return {"bytes_per_peer": spread(sent, bad_is_high=True)}


def consensus_distance(machines: Sequence[Seen]) -> float:
    """See `Sample.consensus`; two passes, so that the vectors are never stacked."""
    if not machines:
        return float("nan")
    mean = np.zeros(len(machines[0].vector))
    for machine in machines:
        mean += machine.vector
    mean /= len(machines)
    total = 0.0
    for machine in machines:
        off = machine.vector - mean
        total += float(off @ off)
    return float(np.sqrt(total / len(machines)))


def parts(edges: Mapping[int, Sequence[int]]) -> int:
    """See `Sample.parts`; links are taken in both directions; union-find.

    Args:
        edges: the nodes that each node that is up may send to.
    """
    parent = {index: index for index in edges}

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for index, others in edges.items():
        for other in others:
            parent[root(index)] = root(other)
    return sum(root(index) == index for index in edges)


def histogram(values: Iterable[int]) -> dict[int, int]:
    """How often each value occurs, by value."""
    return dict(sorted(Counter(values).items()))


def in_degrees(world: Watched, alive: Mapping[int, Seen]) -> dict[int, int]:
    """See `Sample.in_degrees`. A partition changes nothing about who is known."""
    known = {host.contact.peer: 0 for host in world.hosts if host.index in alive}
    for machine in alive.values():
        for contact in machine.view:
            if contact.peer in known:
                known[contact.peer] += 1
    return histogram(known.values())


def snapshot(world: Watched, edges: Mapping[int, Sequence[int]], rules: Sequence[Rule]) -> Snapshot:
    """See `Snapshot`."""
    peers = len(world.hosts)
    split = [
        rule.side
        for rule in rules
        if isinstance(rule, Partition) and rule.start_us <= world.now_us < rule.end_us
    ]
    sides: dict[tuple[int, ...], list[int]] = {}
    if split:
        for peer in range(peers):
            sides.setdefault(tuple(side[peer] for side in split), []).append(peer)
    drawn = None
    if peers <= EDGES_PEERS_MAX:
        drawn = tuple(tuple(edges.get(peer, ())) for peer in range(peers))
    return Snapshot(
        world.now_us,
        selector(list(edges)),
        tuple(selector(members) for _, members in sorted(sides.items())),
        drawn,
    )
