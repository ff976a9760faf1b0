"""Graphs that constrain who may talk to whom, built from a short text and a seed.

Every graph has the nodes 0 … n-1 and sorted links, so the same spec and seed give the same graph on
every run. Two-way kinds are `networkx.Graph`; the two exponential kinds are `networkx.DiGraph`,
where a link from i to j means that i sends to j.

Besides what networkx offers, a graph carries `graph.graph["kind"]`, `["spec"]` and `["seed"]`;
nodes of clustered graphs carry `site`, those from files `label`, exponential links `step`.
"""

from collections.abc import Callable
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from random import Random

import networkx as nx

from topologies.errors import TopologyError
from topologies.files import read_graph
from topologies.spec import FILE, KINDS, LINKS_MAX, NODES_MAX, Spec, parse

ATTEMPTS_MAX = 20
"""Fresh draws before giving up on a connected graph: where one draw in two is connected, all of
them fail once in a million builds."""

Table = tuple[tuple[int, ...], ...]


def build(spec: str, seed: int = 0, *, require_connected: bool = False) -> nx.Graph:
    """Build the graph that a spec describes.

    Args:
        spec: `KIND:VALUE[,KEY=VALUE…]`; see `topologies.spec.SPEC_HELP` for all of them.
        seed: at least 0; decides every draw of the random kinds, and nothing in the others.
        require_connected: draw again, up to `ATTEMPTS_MAX` times and with seeds derived from
            `seed`, until every node can reach every other. The first draw is the one that is
            returned without this option.

    Raises:
        TopologyError: the spec is wrong, the graph is too large, its file cannot be read, or it is
            not connected where that is required.
    """
    if seed < 0:
        raise TopologyError(f"seed is {seed}; it must be 0 or more")
    parsed = parse(spec)
    is_random = parsed.kind != FILE and KINDS[parsed.kind].random
    attempts = ATTEMPTS_MAX if require_connected and is_random else 1
    for attempt in range(attempts):
        graph = _sample(parsed, seed, attempt)
        if not require_connected or _connected(graph):
            return graph
    cure = _cure(parsed) if is_random else "add the links that join its parts"
    tries = f" in {attempts} draws from seed {seed}" if is_random else ""
    raise TopologyError(f"topology {spec!r}: not connected{tries}; {cure}")


def neighbours(graph: nx.Graph) -> Table:
    """For each node, the nodes it may send to, ascending."""
    return tuple(tuple(sorted(graph.adj[node])) for node in range(len(graph)))


def schedule(graph: nx.Graph) -> tuple[Table, ...]:
    """Neighbours by cycle: in cycle t the table `schedule[t % len(schedule)]` holds.

    One table for a graph that does not change; one for each step of a one-peer exponential graph,
    where every node has one neighbour at a time.
    """
    if graph.graph["kind"] != "one-peer-exponential":
        return (neighbours(graph),)
    nodes = len(graph)
    return tuple(
        tuple(((node + hop) % nodes,) for node in range(nodes)) for hop in exponential_hops(nodes)
    )


def exponential_hops(nodes: int) -> tuple[int, ...]:
    """The powers of two below `nodes`: how far each link of an exponential graph reaches.

    Source: Ying et al., Exponential Graph is Provably Efficient for Decentralized Deep Training,
    NeurIPS 2021; the one-peer sequence was first used by Assran et al., Stochastic Gradient Push
    for Distributed Deep Learning, ICML 2019.
    """
    return tuple(1 << step for step in range((nodes - 1).bit_length()))


def _sample(spec: Spec, seed: int, attempt: int) -> nx.Graph:
    if spec.kind == FILE:
        graph = read_graph(Path(spec.path))
    else:
        key = f"{spec}\0{seed}\0{attempt}".encode()
        derived = int.from_bytes(blake2b(key, digest_size=8).digest(), "big")
        graph = _tidy(_BUILDERS[spec.kind](spec, derived))
    graph.graph.update(kind=spec.kind, spec=str(spec), seed=seed)
    return graph


def _tidy(drawn: nx.Graph) -> nx.Graph:
    """The same graph with its nodes and links added in ascending order."""
    graph = nx.DiGraph() if drawn.is_directed() else nx.Graph()
    graph.add_nodes_from((node, drawn.nodes[node]) for node in range(len(drawn)))
    links = drawn.edges(data=True)
    if not drawn.is_directed():
        links = ((min(a, b), max(a, b), data) for a, b, data in links)
    graph.add_edges_from(sorted(links, key=lambda link: link[:2]))
    return graph


def _connected(graph: nx.Graph) -> bool:
    return bool(nx.is_strongly_connected(graph) if graph.is_directed() else nx.is_connected(graph))


def _cure(spec: Spec) -> str:
    key = {"regular": "degree", "erdos-renyi": "p", "small-world": "k"}.get(spec.kind, "links")
    return f"raise {key}"


def _bounded(spec: Spec, nodes: int, links: float) -> int:
    """`nodes`, once it is known that the graph will fit."""
    if nodes > NODES_MAX:
        raise TopologyError(f"topology '{spec}': {nodes:,} nodes; {NODES_MAX:,} at most")
    if links > LINKS_MAX:
        raise TopologyError(
            f"topology '{spec}': about {links:,.0f} links; {LINKS_MAX:,} at most, "
            "so take fewer nodes or a sparser graph"
        )
    return nodes


def _ring(spec: Spec, _seed: int) -> nx.Graph:
    return nx.cycle_graph(spec.whole("nodes"))


def _torus(spec: Spec, _seed: int) -> nx.Graph:
    rows, columns = spec.size("size")
    nodes = _bounded(spec, rows * columns, 2.0 * rows * columns)
    graph = nx.empty_graph(nodes)
    for node in range(nodes):
        row, column = divmod(node, columns)
        graph.add_edge(node, row * columns + (column + 1) % columns)
        graph.add_edge(node, (row + 1) % rows * columns + column)
    return graph


def _complete(spec: Spec, _seed: int) -> nx.Graph:
    nodes = spec.whole("nodes")
    return nx.complete_graph(_bounded(spec, nodes, nodes * (nodes - 1) / 2))


def _star(spec: Spec, _seed: int) -> nx.Graph:
    return nx.star_graph(spec.whole("nodes") - 1)


def _regular(spec: Spec, seed: int) -> nx.Graph:
    nodes, degree = spec.whole("nodes"), spec.whole("degree")
    if degree >= nodes:
        raise TopologyError(f"topology '{spec}': degree must be below nodes, at most {nodes - 1}")
    if nodes * degree % 2:
        raise TopologyError(
            f"topology '{spec}': degree is odd and so is nodes; make either of them even"
        )
    _bounded(spec, nodes, nodes * degree / 2)
    if degree > nodes // 2:
        # The pairing of Steger and Wormald seldom succeeds near a complete graph; leaving out the
        # links of a sparse regular graph gives the same distribution.
        return nx.complement(nx.random_regular_graph(nodes - 1 - degree, nodes, seed=seed))
    return nx.random_regular_graph(degree, nodes, seed=seed)


def _erdos_renyi(spec: Spec, seed: int) -> nx.Graph:
    nodes, p = spec.whole("nodes"), spec.number("p")
    _bounded(spec, nodes, p * nodes * (nodes - 1) / 2)
    return nx.fast_gnp_random_graph(nodes, p, seed=seed)


def _small_world(spec: Spec, seed: int) -> nx.Graph:
    nodes, k = spec.whole("nodes"), spec.whole("k")
    if k % 2:
        raise TopologyError(f"topology '{spec}': k is odd; a ring needs an even k, half each way")
    if k >= nodes:
        raise TopologyError(f"topology '{spec}': k must be below nodes, at most {nodes - 1}")
    _bounded(spec, nodes, nodes * k / 2)
    return nx.watts_strogatz_graph(nodes, k, spec.number("rewire"), seed=seed)


def _scale_free(spec: Spec, seed: int) -> nx.Graph:
    nodes, m = spec.whole("nodes"), spec.whole("m")
    if m >= nodes:
        raise TopologyError(f"topology '{spec}': m must be below nodes, at most {nodes - 1}")
    _bounded(spec, nodes, float(m * (nodes - m)))
    return nx.barabasi_albert_graph(nodes, m, seed=seed)


def _exponential(spec: Spec, _seed: int) -> nx.Graph:
    nodes = spec.whole("nodes")
    hops = exponential_hops(nodes)
    _bounded(spec, nodes, float(nodes * len(hops)))
    graph = nx.empty_graph(nodes, create_using=nx.DiGraph)
    for step, hop in enumerate(hops):
        graph.add_edges_from(((i, (i + hop) % nodes) for i in range(nodes)), step=step)
    return graph


def _clustered(spec: Spec, seed: int) -> nx.Graph:
    sites, peers, links = spec.whole("sites"), spec.whole("peers"), spec.whole("links")
    pairs = _site_pairs(sites, str(spec.values["between"]))
    nodes = sites * peers
    if nodes < 2:
        raise TopologyError(f"topology '{spec}': one node only; raise sites or peers")
    _bounded(spec, nodes, sites * peers * (peers - 1) / 2 + len(pairs) * links)
    if links > peers * peers:
        raise TopologyError(
            f"topology '{spec}': links is {links}, but two sites of {peers} have only "
            f"{peers * peers} pairs of peers"
        )
    graph = nx.Graph()
    for site in range(sites):
        first = site * peers
        graph.add_nodes_from(range(first, first + peers), site=site)
        graph.add_edges_from(combinations(range(first, first + peers), 2))
    rng = Random(seed)
    for a, b in pairs:
        for chosen in rng.sample(range(peers * peers), links):
            graph.add_edge(a * peers + chosen // peers, b * peers + chosen % peers)
    return graph


def _site_pairs(sites: int, between: str) -> list[tuple[int, int]]:
    """The pairs of sites that are linked; bounded before any list is made."""
    if between == "complete":
        if sites * (sites - 1) // 2 > LINKS_MAX:
            raise TopologyError(
                f"topology clustered: sites is {sites}, too many to link each to each; "
                "lower it or say between=ring"
            )
        return list(combinations(range(sites), 2))
    if between == "star":
        return [(0, site) for site in range(1, sites)]
    around = [(site - 1, site) for site in range(1, sites)]
    return [*around, (0, sites - 1)] if sites > 2 else around


_BUILDERS: dict[str, Callable[[Spec, int], nx.Graph]] = {
    "ring": _ring,
    "torus": _torus,
    "complete": _complete,
    "star": _star,
    "regular": _regular,
    "erdos-renyi": _erdos_renyi,
    "small-world": _small_world,
    "scale-free": _scale_free,
    "exponential": _exponential,
    "one-peer-exponential": _exponential,
    "clustered": _clustered,
}
