"""What is measured of a World while it runs: each peer by itself, never an averaged model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gossip.draws import Purpose, choose
from scenarios.data.shards import Shards
from scenarios.measures.judges import Judge
from scenarios.world.hosts import Machine
from scenarios.world.world import World

TENTH = 0.1


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure over peers: mean, the value that the worst tenth does not reach, and the worst.

    All NaN where no peer gave a value.
    """

    mean: float
    tenth: float
    worst: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The mesh at one moment.

    Args:
        at_us: simulated microseconds.
        up: nodes that are up.
        judged: how many of them were judged.
        calibrated: how many of these had enough rows for the false-alarm budget; the others
            raise no alarm.
        accuracy: share of test rows whose likeliest family is the true one.
        detection: share of attack rows above each peer's own threshold.
        false_alarms: share of benign rows above it; here tenth and worst are the highest.
        consensus: root of the mean squared distance of the peers' vectors from their mean (the
            consensus distance of Kong et al. 2021, equation 4).
        parts: pieces the mesh falls into: who is up may send to those of its view that are up and
            not beyond a partition.
        bytes_sent: by all nodes since the start.
        cycles: begun by all nodes since the start.
    """

    at_us: int
    up: int
    judged: int
    calibrated: int
    accuracy: Spread
    detection: Spread
    false_alarms: Spread
    consensus: float
    parts: int
    bytes_sent: int
    cycles: int


def measure(world: World, shards: Shards, judge: Judge, seed: bytes, peers_max: int) -> Sample:
    """Measure the mesh as it is now; changes nothing.

    Args:
        world: the World, stopped at some moment.
        shards: every peer's data.
        judge: fits the learner.
        seed: of the scenario; decides who is judged.
        peers_max: judge at most so many peers, drawn once for the whole run; 0 is all.
    """
    alive = world.alive()
    everybody = range(len(world.hosts))
    chosen = frozenset(choose(everybody, peers_max, seed, "judged", 0, Purpose.WORLD))
    judged = [
        judge.judge(world.whole_vector(index), shards.shards[index])
        for index, _ in alive
        if not peers_max or index in chosen
    ]
    return Sample(
        at_us=world.now_us,
        up=len(alive),
        judged=len(judged),
        calibrated=sum(each.calibrated for each in judged),
        accuracy=spread([each.accuracy for each in judged]),
        detection=spread([each.detection for each in judged]),
        false_alarms=spread([each.false_alarms for each in judged], bad_is_high=True),
        consensus=consensus_distance([machine for _, machine in alive]),
        parts=parts(world),
        bytes_sent=sum(host.bytes_sent for host in world.hosts),
        cycles=world.tally.cycles,
    )


def spread(values: Sequence[float], *, bad_is_high: bool = False) -> Spread:
    """Mean, tenth and worst of the values that are numbers."""
    numbers = np.array([value for value in values if not np.isnan(value)])
    if not len(numbers):
        return Spread(*[float("nan")] * 3)
    edge = 1.0 - TENTH if bad_is_high else TENTH
    worst = numbers.max() if bad_is_high else numbers.min()
    return Spread(float(numbers.mean()), float(np.quantile(numbers, edge)), float(worst))


def consensus_distance(machines: Sequence[Machine]) -> float:
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


def parts(world: World) -> int:
    """See `Sample.parts`; links are taken in both directions; union-find."""
    parent = list(range(len(world.hosts)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    alive = [index for index, _ in world.alive()]
    for index in alive:
        for other in world.reachable(index):
            parent[root(index)] = root(other)
    return sum(root(index) == index for index in alive)
