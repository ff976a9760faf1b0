"""What can be said of a graph before anything runs on it."""

import math
from dataclasses import asdict, dataclass

import networkx as nx
import numpy as np

from topologies.distances import EXACT_NODES_MAX, Distances, distances
from topologies.errors import TopologyError
from topologies.graphs import schedule
from topologies.links import Links, links_of
from topologies.spectrum import Contraction, contraction, periodic_contraction

CONSENSUS_SPREAD = 0.01
"""`Measures.consensus_cycles` counts until one part in a hundred of the first spread is left."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of one graph. Directed graphs are measured along their links.

    Args:
        nodes: peers.
        edges: links; two-way ones count once.
        directed: whether links run one way.
        period: cycles after which the links repeat; 1 for a graph that does not change. Degrees,
            distances and clustering of a changing graph are those of all its links together.
        degree_min: fewest neighbours (those a node sends to).
        degree_mean: neighbours on average.
        degree_max: most neighbours.
        connected: whether every node can reach every other.
        components: (strongly) connected components.
        diameter: hops between the two nodes farthest apart; None if not connected.
        diameter_exact: False where it is a lower bound, above `EXACT_NODES_MAX` nodes.
        mean_path: hops between two nodes on average; None if not connected or not measured, above
            `EXACT_NODES_MAX` nodes.
        clustering: mean over nodes of the part of their pairs of neighbours that are linked
            (Watts and Strogatz 1998), directions ignored; None above `EXACT_NODES_MAX` nodes.
        spectral_gap: 1 - second largest absolute eigenvalue of the Metropolis-Hastings mixing
            matrix; 0 if not connected, 1 if one period averages exactly.
        spectral_gap_exact: False where it is an upper bound found by iteration.
        consensus_cycles: a rough prediction, see `predicted_cycles`; None if not connected.
    """

    nodes: int
    edges: int
    directed: bool
    period: int
    degree_min: int
    degree_mean: float
    degree_max: int
    connected: bool
    components: int
    diameter: int | None
    diameter_exact: bool
    mean_path: float | None
    clustering: float | None
    spectral_gap: float
    spectral_gap_exact: bool
    consensus_cycles: int | None

    def as_dict(self) -> dict[str, int | float | bool | None]:
        """Every measure by name, ready for JSON."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """Label and text of each measure that was taken, for a table."""
        bound = "" if self.diameter_exact else "at least "
        gap = "" if self.spectral_gap_exact else "at most "
        parts = "yes" if self.connected else f"no, {self.components:,} components"
        rows = [
            ("nodes", f"{self.nodes:,}"),
            ("links", f"{self.edges:,}{', one way' if self.directed else ''}"),
            ("degree", self._degree()),
            ("connected", parts),
            ("diameter", "" if self.diameter is None else f"{bound}{self.diameter:,} hops"),
            ("mean path", "" if self.mean_path is None else f"{self.mean_path:.2f} hops"),
            ("clustering", "" if self.clustering is None else f"{self.clustering:.3f}"),
            ("spectral gap", f"{gap}{self.spectral_gap:.3g}"),
            ("period", f"{self.period} cycles" if self.period > 1 else ""),
            ("cycles to consensus", self._consensus()),
        ]
        return [(label, text) for label, text in rows if text]

    def _degree(self) -> str:
        if self.degree_min == self.degree_max:
            return str(self.degree_min)
        return f"{self.degree_min} to {self.degree_max}, mean {self.degree_mean:.2f}"

    def _consensus(self) -> str:
        if self.consensus_cycles is None:
            return "never"
        return f"about {self.consensus_cycles:,} (spread down to {CONSENSUS_SPREAD:.0%})"


def measure(graph: nx.Graph, seed: int = 0) -> Measures:
    """Measure a graph made by `topologies.graphs.build`.

    Args:
        graph: nodes 0 … n-1, at least two.
        seed: decides where iterations start, so that bounds are the same on every run.

    Raises:
        TopologyError: fewer than two nodes.
    """
    if len(graph) < 2:
        raise TopologyError(f"topology: {len(graph)} nodes cannot be measured; take at least 2")
    links = links_of(graph)
    rng = np.random.Generator(np.random.PCG64(seed))
    find = nx.strongly_connected_components if graph.is_directed() else nx.connected_components
    components = sum(1 for _ in find(graph))
    tables = schedule(graph)
    apart = distances(links, rng) if components == 1 else Distances(0, exact=True, mean=None)
    if components > 1:
        mixing = Contraction(1.0, exact=True)
    elif len(tables) > 1:
        mixing = periodic_contraction(tables)
    else:
        mixing = contraction(links, rng)
    return Measures(
        nodes=links.nodes,
        edges=graph.number_of_edges(),
        directed=graph.is_directed(),
        period=len(tables),
        degree_min=int(links.degrees.min()),
        degree_mean=float(links.degrees.mean()),
        degree_max=int(links.degrees.max()),
        connected=components == 1,
        components=components,
        diameter=apart.diameter if components == 1 else None,
        diameter_exact=apart.exact,
        mean_path=apart.mean,
        clustering=_clustering(links),
        spectral_gap=1.0 - mixing.rate,
        spectral_gap_exact=mixing.exact,
        consensus_cycles=predicted_cycles(mixing.rate, len(tables)),
    )


def predicted_cycles(rate: float, period: int = 1) -> int | None:
    """Cycles until the spread of the nodes' values is down to `CONSENSUS_SPREAD` of the first.

    From Xiao and Boyd 2004, section 2: ||x(t) - mean|| <= rate^t ||x(0) - mean||. It supposes that
    in each cycle every node averages with all its neighbours (of that cycle) by the mixing matrix
    and that nobody trains. Peers that push to one random neighbour a cycle take longer: use it to
    compare graphs, not to promise a time.

    Args:
        rate: the factor a cycle, in [0, 1].
        period: cycles in one round of a changing graph; exact averaging takes one whole period.
    """
    if rate >= 1.0:
        return None
    if rate <= 0.0:
        return period
    return max(period, math.ceil(math.log(CONSENSUS_SPREAD) / math.log(rate)))


def _clustering(links: Links) -> float | None:
    """Triangles from the square of the adjacency matrix, float32 (exact to 2**24 a node)."""
    if links.nodes > EXACT_NODES_MAX:
        return None
    matrix = np.zeros((links.nodes, links.nodes), np.float32)
    matrix[links.origin, links.to] = 1.0
    matrix[links.to, links.origin] = 1.0
    closed = ((matrix @ matrix) * matrix).sum(axis=1, dtype=np.float64)
    degrees = matrix.sum(axis=1, dtype=np.float64)
    pairs = degrees * (degrees - 1.0)
    return float(np.divide(closed, pairs, out=np.zeros_like(pairs), where=pairs > 0).mean())
