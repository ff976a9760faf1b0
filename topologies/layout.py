"""Where to draw each node: by the graph's own shape where it has one, by forces otherwise."""

import math

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from topologies.links import Links, links_of
from topologies.spec import parse

CIRCULAR = ("ring", "complete", "small-world", "exponential", "one-peer-exponential")

FORCE_STEPS = 150
"""Enough for a map of some hundred nodes to stand still; chosen by eye."""

Places = NDArray[np.float64]


def places(graph: nx.Graph, seed: int = 0) -> Places:
    """Coordinates in the plane, float64 `(nodes, 2)`, of any scale.

    Args:
        graph: made by `topologies.graphs.build`.
        seed: decides where the forces start from.
    """
    kind, nodes = graph.graph["kind"], len(graph)
    if kind in CIRCULAR:
        return _circle(nodes)
    if kind == "star":
        return np.concatenate([np.zeros((1, 2)), _circle(nodes - 1)])
    if kind == "torus":
        _, columns = parse(graph.graph["spec"]).size("size")
        row, column = np.divmod(np.arange(nodes), columns)
        return np.stack([column, -row], axis=1).astype(np.float64)
    if kind == "clustered":
        return _sites(graph)
    return _forces(links_of(graph), nx.is_connected(graph), seed)


def _circle(nodes: int) -> Places:
    """Clockwise from the top, radius 1."""
    angle = 2.0 * np.pi * np.arange(nodes) / nodes
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)


def _sites(graph: nx.Graph) -> Places:
    """Sites on a circle, the peers of each on a smaller one that leaves its neighbours room."""
    site = np.array([graph.nodes[node]["site"] for node in range(len(graph))])
    sites = int(site.max()) + 1
    peers = len(graph) // sites
    if sites == 1:
        return _circle(peers)
    radius = 0.62 * math.sin(math.pi / max(sites, 3))
    return np.asarray(_circle(sites)[site] + radius * np.tile(_circle(peers), (sites, 1)))


def _forces(links: Links, connected: bool, seed: int) -> Places:
    """Fruchterman and Reingold, Graph Drawing by Force-directed Placement, SPE 21 (1991).

    Neighbours attract by d^2 / k, all pairs repel by k^2 / d, and no step is longer than a
    temperature that falls to zero. Beyond the paper: a pull to the middle keeps the parts of a
    disconnected graph on the page, and a connected one starts from the two slowest eigenvectors of
    its Laplacian (Hall 1970), which unfolds long chains that a random start leaves in knots.
    """
    nodes = links.nodes
    rng = np.random.Generator(np.random.PCG64(seed))
    where = rng.uniform(-1.0, 1.0, (nodes, 2))
    if connected and nodes > 3:
        where = 0.1 * where + _slow_eigenvectors(links)
    ideal = 2.0 / math.sqrt(nodes)
    # The parts of a disconnected graph come to rest some two units from the middle.
    inward = ideal * (0.5 if connected else math.sqrt(nodes) / 3.0)
    for step in range(FORCE_STEPS):
        norms = (where**2).sum(axis=1)
        squared = np.maximum(norms[:, None] + norms[None, :] - 2.0 * where @ where.T, 1e-6)
        push = ideal**2 / squared
        pull = np.sqrt(squared[links.origin, links.to]) / ideal
        push[links.origin, links.to] -= pull
        # The sum over j of push[i, j] * (where[i] - where[j]), without the (nodes, nodes, 2) array.
        force = push.sum(axis=1)[:, None] * where - push @ where - inward * where
        length = np.maximum(np.hypot(force[:, 0], force[:, 1]), 1e-9)
        warmth = 0.2 * (1.0 - step / FORCE_STEPS)
        where = where + force * (np.minimum(length, warmth) / length)[:, None]
    return np.asarray(where - where.mean(axis=0))


def _slow_eigenvectors(links: Links) -> Places:
    degrees = links.degrees
    laplacian = np.diag(degrees.astype(np.float64))
    laplacian[links.origin, links.to] = -1.0
    _, vectors = np.linalg.eigh(laplacian)
    slow = vectors[:, 1:3]
    return np.asarray(slow / np.abs(slow).max(axis=0))
