import json
import math

import networkx as nx
import numpy as np
import pytest

from topologies import distances as distances_module
from topologies import measure as measure_module
from topologies import spectrum
from topologies.errors import TopologyError
from topologies.graphs import build, neighbours, schedule
from topologies.links import links_of
from topologies.measure import measure, predicted_cycles
from topologies.spec import KINDS

EXAMPLES = [kind.example for kind in KINDS.values()] + ["regular:700,degree=3", "ring:100"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_distances_and_clustering_agree_with_networkx(example):
    graph = build(example, 2, require_connected=True)
    found = measure(graph)
    assert found.diameter_exact
    assert found.diameter == nx.diameter(graph)
    assert found.mean_path == pytest.approx(nx.average_shortest_path_length(graph))
    assert found.clustering == pytest.approx(nx.average_clustering(nx.Graph(graph)))
    assert (found.nodes, found.edges) == (len(graph), graph.number_of_edges())
    degrees = [len(row) for row in neighbours(graph)]
    assert (found.degree_min, found.degree_max) == (min(degrees), max(degrees))
    assert found.degree_mean == pytest.approx(sum(degrees) / len(degrees))


@pytest.mark.parametrize(
    ("spec", "gap"),
    [
        # Circulant with weights 1/3: eigenvalues (1 + 2 cos(2 pi k / n)) / 3.
        ("ring:10", (2 - 2 * math.cos(2 * math.pi / 10)) / 3),
        # Product of two rings with weights 1/5.
        ("torus:7x5", (2 - 2 * math.cos(2 * math.pi / 7)) / 5),
        ("complete:12", 1.0),
        # All links weigh 1/n; the leaves' own weight is 1 - 1/n.
        ("star:16", 1 / 16),
        # Ying et al. 2021: 2 / (1 + log2 n), n even, the logarithm rounded up.
        ("exponential:32", 2 / 6),
        ("exponential:20", 2 / 6),
        # Likewise: a period of a power of two averages exactly.
        ("one-peer-exponential:32", 1.0),
    ],
)
def test_spectral_gap_agrees_with_closed_forms(spec, gap):
    found = measure(build(spec))
    assert found.spectral_gap_exact
    assert found.spectral_gap == pytest.approx(gap, rel=1e-9)


def matrix_of(table):
    """Metropolis-Hastings weights, written out one by one."""
    nodes = len(table)
    matrix = np.zeros((nodes, nodes))
    for i, row in enumerate(table):
        for j in row:
            matrix[i, j] = 1 / (1 + max(len(row), len(table[j])))
        matrix[i, i] = 1 - matrix[i].sum()
    return matrix


@pytest.mark.parametrize("example", [*EXAMPLES[:-2], "one-peer-exponential:11"])
def test_a_period_of_mixing_shrinks_the_spread_as_measured(example):
    graph = build(example, 2, require_connected=True)
    nodes = len(graph)
    product = np.eye(nodes)
    for table in schedule(graph):
        product = matrix_of(table) @ product
    assert product.sum(axis=0) == pytest.approx(np.ones(nodes))  # the mean stays
    rate = 1 - measure(graph).spectral_gap
    worst = np.linalg.norm(product - 1 / nodes, 2)
    assert worst == pytest.approx(rate ** len(schedule(graph)), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    "spec",
    ["regular:300,degree=4", "scale-free:300,m=2", "star:50", "torus:20x15", "small-world:400"],
)
def test_beyond_the_exact_limits_bounds_hold_and_are_flagged(spec, monkeypatch):
    graph = build(spec, 3, require_connected=True)
    exact = measure(graph)
    monkeypatch.setattr(distances_module, "EXACT_NODES_MAX", 10)
    monkeypatch.setattr(measure_module, "EXACT_NODES_MAX", 10)
    monkeypatch.setattr(spectrum, "DENSE_NODES_MAX", 10)
    bound = measure(graph)
    assert not bound.diameter_exact
    assert exact.diameter - 1 <= bound.diameter <= exact.diameter
    assert not bound.spectral_gap_exact
    assert bound.spectral_gap == pytest.approx(exact.spectral_gap, rel=0.02)
    assert bound.spectral_gap >= exact.spectral_gap - 1e-9
    assert bound.mean_path is None
    assert bound.clustering is None
    assert measure(graph) == bound
    said = dict(bound.rows())
    assert said["diameter"].startswith("at least ")
    assert said["spectral gap"].startswith("at most ")


def test_a_large_ring_stays_exact_in_its_gap():
    found = measure(build("ring:3000"))
    assert found.spectral_gap_exact
    assert found.spectral_gap == pytest.approx(2 * (1 - math.cos(2 * math.pi / 3000)) / 3, rel=1e-6)
    assert found.diameter == 1500


def test_a_disconnected_graph_has_no_diameter_and_never_agrees():
    graph = build("erdos-renyi:40,p=0.02", 1)
    found = measure(graph)
    assert not found.connected
    assert found.components == nx.number_connected_components(graph) > 1
    assert found.diameter is found.mean_path is found.consensus_cycles is None
    assert found.spectral_gap == 0.0
    assert dict(found.rows())["cycles to consensus"] == "never"


@pytest.mark.parametrize("example", EXAMPLES)
def test_measures_go_to_json_and_back(example):
    found = measure(build(example, 1))
    assert type(found)(**json.loads(json.dumps(found.as_dict()))) == found


@pytest.mark.parametrize(
    "spec", ["ring:16", "complete:9", "scale-free:60,m=2", "clustered:sites=3,peers=6"]
)
def test_prediction_holds_when_the_graph_mixes(spec):
    graph = build(spec, 1)
    matrix = matrix_of(neighbours(graph))
    values = np.random.default_rng(0).standard_normal(len(graph))
    cycles = measure(graph).consensus_cycles
    first = values.std()
    for _ in range(cycles):
        values = matrix @ values
    assert values.std() <= 0.01 * first


def test_predicted_cycles_at_the_ends():
    assert predicted_cycles(1.0) is None
    assert predicted_cycles(0.0) == 1
    assert predicted_cycles(0.0, period=5) == 5
    assert predicted_cycles(0.1) == 2
    assert predicted_cycles(0.5) == 7


def test_links_hold_every_direction():
    links = links_of(build("star:4"))
    assert links.start.tolist() == [0, 3, 4, 5, 6]
    assert links.to.tolist() == [1, 2, 3, 0, 0, 0]
    assert links.origin.tolist() == [0, 0, 0, 1, 2, 3]
    assert links.degrees.tolist() == [3, 1, 1, 1]


def test_one_node_cannot_be_measured():
    graph = nx.empty_graph(1)
    with pytest.raises(TopologyError, match="at least 2"):
        measure(graph)
