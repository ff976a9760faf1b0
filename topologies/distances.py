"""How far apart the nodes of a connected graph are, in hops."""

from dataclasses import dataclass

import numpy as np

from topologies.links import Links

EXACT_NODES_MAX = 2_000
"""Up to here every pair is measured; a ring, the slowest, then takes some 2 s on one core."""

SWEEPS = 4

_BLOCK_WORDS = 8  # 512 sources at a time: 64 bytes a link, 64 MB for the largest graph
_POPCOUNT = np.array([value.bit_count() for value in range(256)], np.uint8)


@dataclass(frozen=True, slots=True)
class Distances:
    """Hops between nodes.

    Args:
        diameter: the longest of all shortest paths, or a lower bound of it.
        exact: whether it is the diameter itself.
        mean: the mean shortest path over all ordered pairs; None where it was not measured.
    """

    diameter: int
    exact: bool
    mean: float | None


def distances(links: Links, rng: np.random.Generator) -> Distances:
    """Measure a (strongly) connected graph of at least two nodes."""
    if links.nodes <= EXACT_NODES_MAX:
        return _all_pairs(links)
    return Distances(_double_sweep(links, rng), exact=False, mean=None)


def _all_pairs(links: Links) -> Distances:
    """Breadth-first search from 512 sources at once, one bit for each.

    `near[i]` has the bits of the sources within the present number of hops of node i. One more hop
    ORs in the words of i's targets; pairs not yet near are at least that many hops apart, so their
    count summed over the hops is the sum of all distances.
    """
    nodes, diameter, total = links.nodes, 0, 0
    for first in range(0, nodes, 64 * _BLOCK_WORDS):
        sources = np.arange(first, min(nodes, first + 64 * _BLOCK_WORDS))
        near = np.zeros((nodes, _BLOCK_WORDS), np.uint64)
        bit = (sources - first).astype(np.uint64)
        near[sources, (sources - first) // 64] = np.uint64(1) << (bit % np.uint64(64))
        hops, missing = 0, len(sources) * (nodes - 1)
        while missing:
            total += missing
            hops += 1
            near |= np.bitwise_or.reduceat(near[links.to], links.start[:-1], axis=0)
            missing = len(sources) * nodes - int(_POPCOUNT[near.view(np.uint8)].sum(dtype=np.int64))
        diameter = max(diameter, hops)
    return Distances(diameter, exact=True, mean=total / (nodes * (nodes - 1)))


def _double_sweep(links: Links, rng: np.random.Generator) -> int:
    """A lower bound of the diameter: search from a node, then from one farthest from it.

    Source: Magnien, Latapy and Habib, Fast Computation of Empirically Tight Bounds for the
    Diameter of Massive Graphs, ACM JEA 13 (2009), who found it most often equal to the diameter.
    """
    longest = 0
    for start in rng.choice(links.nodes, SWEEPS, replace=False):
        hops, last = _farthest(links, int(start))
        again, _ = _farthest(links, last)
        longest = max(longest, hops, again)
    return longest


def _farthest(links: Links, source: int) -> tuple[int, int]:
    """The most hops from `source` to any node, and the lowest node that far away."""
    seen = np.zeros(links.nodes, np.bool_)
    seen[source] = True
    edge, hops = [source], 0
    while True:
        ahead = []
        for node in edge:
            for target in links.to[links.start[node] : links.start[node + 1]].tolist():
                if not seen[target]:
                    seen[target] = True
                    ahead.append(target)
        if not ahead:
            return hops, min(edge)
        edge, hops = ahead, hops + 1
