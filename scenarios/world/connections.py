"""Which connections are open: a node is told when one of them falls silent.

A real node asks for a sign of life on every connection, so it learns within seconds that a
neighbour has crashed or lies beyond a partition, whether it has anything to send there or not.
Held against real nodes, a World without this lost up to a tenth of its models to dead neighbours
that they had long forgotten (docs/lab.md).
"""

from collections.abc import Iterator

CONNECTIONS_MAX = 32
"""Kept by a node; the least recently used goes first (`node.p2p.limits.Limits`)."""


class Connections:
    """Open connections between lives of nodes.

    Args:
        nodes: how many there are.
    """

    def __init__(self, nodes: int) -> None:
        # By node: the node at the other end, its life, and when they last heard of each other; the
        # least recently used first.
        self.by_node: list[dict[int, tuple[int, int]]] = [{} for _ in range(nodes)]

    def used(self, now_us: int, one: int, one_life: int, other: int, other_life: int) -> None:
        """A frame went over the connection of these two, which is opened if need be."""
        for here, there, life in ((one, other, other_life), (other, one, one_life)):
            ends = self.by_node[here]
            ends.pop(there, None)
            ends[there] = life, now_us
            if len(ends) > CONNECTIONS_MAX:
                least = next(iter(ends))
                del ends[least]
                self.by_node[least].pop(here, None)

    def of(self, node: int) -> Iterator[tuple[int, int]]:
        """The nodes at the other ends, and when a frame last went either way."""
        yield from [(other, used_us) for other, (_, used_us) in self.by_node[node].items()]

    def holds(self, node: int, other: int, life: int) -> bool:
        """Whether a node still has the connection that it had with that life of another."""
        return self.by_node[node].get(other, (-1, 0))[0] == life

    def forget(self, node: int, other: int) -> None:
        """One end gave its connection up."""
        self.by_node[node].pop(other, None)

    def end(self, node: int, *, politely: bool) -> None:
        """A node stops. A polite one closes its connections; of a crash nobody is told."""
        for other in self.by_node[node] if politely else ():
            self.by_node[other].pop(node, None)
        self.by_node[node].clear()
