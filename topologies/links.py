"""A graph as two numpy arrays (compressed sparse rows), which is what the measures work on."""

from dataclasses import dataclass
from itertools import chain

import networkx as nx
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Links:
    """Who sends to whom. A two-way link counts once in each direction.

    Args:
        start: int64 `(nodes + 1,)`; node i's targets are `to[start[i]:start[i + 1]]`.
        to: int64 `(links,)`, ascending within each node.
    """

    start: NDArray[np.int64]
    to: NDArray[np.int64]

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.start) - 1

    @property
    def degrees(self) -> NDArray[np.int64]:
        """Targets of each node, int64 `(nodes,)`."""
        return np.diff(self.start)

    @property
    def origin(self) -> NDArray[np.int64]:
        """The sending node of each link, int64 `(links,)`."""
        return np.repeat(np.arange(self.nodes, dtype=np.int64), self.degrees)


def links_of(graph: nx.Graph) -> Links:
    """The links of a graph with the nodes 0 … n-1."""
    rows = [sorted(graph.adj[node]) for node in range(len(graph))]
    start = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=start[1:])
    to = np.fromiter(chain.from_iterable(rows), np.int64, count=int(start[-1]))
    return Links(start, to)
