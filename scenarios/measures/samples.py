"""What is known of a mesh at one moment. Every engine fills these in; none averages a model."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from scenarios.measures.judgement import Judgement

Count = Annotated[int, msgspec.Meta(ge=0)]
"""A whole number, 0 or more; checked when a result is read back."""

TENTH = 0.1


@dataclass(frozen=True, slots=True)
class Spread:
    """One measure over several peers; NaN where no peer gave a value.

    Args:
        mean: over the peers that gave a value.
        tenth: the value that the worst tenth of them does not reach, linearly interpolated.
        worst: of all; the lowest, or the highest where much is bad (false alarms, bytes).
        n: peers that gave a value.
    """

    mean: float
    tenth: float
    worst: float
    n: Count


@dataclass(frozen=True, slots=True)
class Sample:
    """The mesh at one moment.

    Args:
        at_us: simulated microseconds.
        peers: nodes of the mesh, up or not.
        up: nodes that are up.
        judged: how many of the peers drawn for judging are up.
        calibrated: how many of these had enough rows for the false-alarm budget; the others
            raise no alarm.
        metrics: name of each measure of single peers to its spread: the fields of `Judgement`
            over the judged, `detection:FAMILY` and `named:FAMILY` for every family that a judged
            peer has test rows of, `alarms_a_day` where the data say how often flows come, and
            `bytes_per_peer` (sent since the start) over all nodes.
        groups: the same for each named group that has judged peers.
        consensus: root of the mean squared distance of the peers' vectors from their mean (the
            consensus distance of Kong et al. 2021, equation 4), over all that are up.
        parts: pieces the mesh falls into: who is up may send to those of its view that are up and
            not beyond a partition.
        bytes_sent: by all nodes since the start.
        cycles: begun by all nodes since the start.
        trainings: completed by all nodes since the start.
        frames: since the start, by what became of them: delivered, dropped, unreachable, shed.
        view_sizes: how many nodes that are up know so many peers, dead ones included.
        in_degrees: how many nodes that are up are known to so many others that are up.
    """

    at_us: Count
    peers: Count
    up: Count
    judged: Count
    calibrated: Count
    metrics: dict[str, Spread]
    groups: dict[str, dict[str, Spread]]
    consensus: float
    parts: Count
    bytes_sent: Count
    cycles: Count
    trainings: Count
    frames: dict[str, Count]
    view_sizes: dict[Count, Count]
    in_degrees: dict[Count, Count]


@dataclass(frozen=True, slots=True)
class JudgedPeer:
    """One peer by its own model: a line of peers.jsonl.

    Args:
        at_us: simulated microseconds.
        peer: its number.
        judgement: what it was found to be.
    """

    at_us: Count
    peer: Count
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Who was there and who knew whom: a line of mesh.jsonl.

    Args:
        at_us: simulated microseconds.
        up: the nodes that are up, as a selector: `0:50,52,60:100`; empty for nobody.
        sides: the same for each side of the partitions in force; none where nothing is split.
        edges: for each node the nodes it may send to: up, in its view, and not beyond a partition;
            None in a mesh of more than `EDGES_PEERS_MAX` nodes.
    """

    at_us: Count
    up: str
    sides: tuple[str, ...]
    edges: tuple[tuple[Count, ...], ...] | None


EDGES_PEERS_MAX = 500
"""A picture of more is a black disc, and 500 nodes with 20 edges already take 50 kB a snapshot."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one look at the mesh gives."""

    sample: Sample
    judged: tuple[JudgedPeer, ...]
    snapshot: Snapshot


def spread(values: NDArray[np.float64], *, bad_is_high: bool = False) -> Spread:
    """Mean, tenth and worst of those of the values `(n,)` that are numbers."""
    numbers = values[~np.isnan(values)]
    if not len(numbers):
        return Spread(float("nan"), float("nan"), float("nan"), 0)
    edge = 1.0 - TENTH if bad_is_high else TENTH
    worst = numbers.max() if bad_is_high else numbers.min()
    tenth = float(np.quantile(numbers, edge))
    return Spread(float(numbers.mean()), tenth, float(worst), len(numbers))


def selector(peers: list[int]) -> str:
    """Ascending peers as a selector of a scenario file would name them: `0:50,52,60:100`."""
    spans: list[list[int]] = []
    for peer in peers:
        if spans and spans[-1][1] == peer:
            spans[-1][1] += 1
        else:
            spans.append([peer, peer + 1])
    return ",".join(str(low) if high == low + 1 else f"{low}:{high}" for low, high in spans)
