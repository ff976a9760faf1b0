"""What a graph file holds so far, with every bound checked before anything is kept."""

import re
from pathlib import Path

import networkx as nx

from topologies.errors import TopologyError
from topologies.spec import LINKS_MAX, NODES_MAX

NAME_CHARS_MAX = 200


class Collector:
    """Nodes and links as a reader finds them, and the graph they make."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._labels: dict[str, str] = {}  # by name, in the order of the file
        self._links: dict[tuple[str, str], int] = {}  # by names in order: the line it stood on

    def fault(self, line: int, what: str) -> TopologyError:
        """The error to raise for a line of the file."""
        return TopologyError(f"{self.path}, line {line}: {what}")

    def node(self, name: str, line: int, *, once: bool = False) -> None:
        """Note a node; `once` where a second mention of its name is a fault."""
        self._check_name(name, line)
        if name in self._labels:
            if once:
                raise self.fault(line, f"the node {name!r} is declared twice; remove one")
            return
        if len(self._labels) == NODES_MAX:
            raise self.fault(line, f"more than {NODES_MAX:,} nodes; take a smaller graph")
        self._labels[name] = name

    def label(self, name: str, label: str) -> None:
        """Show `label` for a node that was noted before; blank labels are not used."""
        self._labels[name] = " ".join(label.split())[:NAME_CHARS_MAX] or name

    def link(self, a: str, b: str, line: int) -> None:
        """Note a link; a second one between the same two nodes changes nothing."""
        self._check_name(a, line)
        self._check_name(b, line)
        if a == b:
            raise self.fault(line, f"{a!r} is linked to itself; remove the link")
        pair = (a, b) if a < b else (b, a)
        if pair in self._links:
            return
        if len(self._links) == LINKS_MAX:
            raise self.fault(line, f"more than {LINKS_MAX:,} links; take a sparser graph")
        self._links[pair] = line

    def graph(self) -> nx.Graph:
        """The graph, its nodes numbered.

        Raises:
            TopologyError: fewer than two nodes, or a link to a node that was never noted.
        """
        for (a, b), line in self._links.items():
            for name in (a, b):
                if name not in self._labels:
                    raise self.fault(line, f"a link to {name!r}, but no such node is in the file")
        if len(self._labels) < 2:
            raise TopologyError(
                f"{self.path}: a topology needs at least 2 nodes, this file has {len(self._labels)}"
            )
        order = list(self._labels)
        if all(re.fullmatch(r"[0-9]+", name) for name in order):
            order.sort(key=lambda name: (int(name), name))
        number = {name: index for index, name in enumerate(order)}
        graph = nx.Graph()
        graph.add_nodes_from((number[name], {"label": self._labels[name]}) for name in order)
        pairs = ((number[a], number[b]) for a, b in self._links)
        graph.add_edges_from(sorted((min(pair), max(pair)) for pair in pairs))
        return graph

    def _check_name(self, name: str, line: int) -> None:
        if not 0 < len(name) <= NAME_CHARS_MAX:
            raise self.fault(
                line,
                f"a node's name has {len(name)} characters; it must have 1 to {NAME_CHARS_MAX}",
            )
