import subprocess
import sys
from itertools import combinations

import networkx as nx
import pytest

from topologies.errors import TopologyError
from topologies.graphs import build, exponential_hops, neighbours, schedule
from topologies.spec import KINDS

EXAMPLES = [kind.example for kind in KINDS.values()]

PRINT_DIGEST = """
import hashlib
from topologies.graphs import build
from topologies.measure import measure
from topologies.spec import KINDS
for kind in KINDS.values():
    graph = build(kind.example, 7)
    text = repr((list(graph.nodes(data=True)), list(graph.edges(data=True)), measure(graph)))
    print(kind.example, hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.parametrize("example", EXAMPLES)
def test_nodes_count_up_and_links_are_sorted(example):
    graph = build(example, 1)
    assert list(graph.nodes) == list(range(len(graph)))
    links = list(graph.edges)
    assert links == sorted(links)
    assert all(a != b for a, b in links)
    assert graph.is_directed() or all(a < b for a, b in links)


@pytest.mark.parametrize("example", EXAMPLES)
def test_neighbours_are_those_of_the_graph(example):
    graph = build(example, 1)
    table = neighbours(graph)
    assert [list(row) for row in table] == [sorted(graph.neighbors(i)) for i in range(len(graph))]
    assert graph.is_directed() or all(i in table[j] for i, row in enumerate(table) for j in row)


def test_same_seed_same_graph_whatever_the_hash_seed():
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST],
            env={"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert len(outputs[0].splitlines()) == len(KINDS)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.random])
def test_another_seed_gives_another_graph(name):
    example = KINDS[name].example
    assert set(build(example, 1).edges) != set(build(example, 2).edges)


def test_ring_torus_complete_star():
    assert neighbours(build("ring:5")) == ((1, 4), (0, 2), (1, 3), (2, 4), (0, 3))
    assert neighbours(build("torus:3x4"))[0] == (1, 3, 4, 8)
    assert {len(row) for row in neighbours(build("torus:5x3"))} == {4}
    assert neighbours(build("complete:3")) == ((1, 2), (0, 2), (0, 1))
    assert neighbours(build("star:4")) == ((1, 2, 3), (0,), (0,), (0,))


@pytest.mark.parametrize("degree", [1, 2, 7, 11, 18, 19])
def test_regular_has_one_degree_however_dense(degree):
    assert {len(row) for row in neighbours(build(f"regular:20,degree={degree}", 3))} == {degree}


def test_erdos_renyi_has_about_its_share_of_links():
    drawn = [build("erdos-renyi:100,p=0.1", seed).number_of_edges() for seed in range(20)]
    # 4950 pairs: mean 495, standard deviation of the mean of 20 draws 4.7; five of them here.
    assert abs(sum(drawn) / 20 - 495) < 24
    assert build("erdos-renyi:30,p=0").number_of_edges() == 0
    assert build("erdos-renyi:30,p=1").number_of_edges() == 435


def test_small_world_runs_from_lattice_to_rewired():
    lattice = {(i, (i + hop) % 20) for i in range(20) for hop in (1, 2)}
    ordered = {tuple(sorted(link)) for link in lattice}
    assert set(build("small-world:20,k=4,rewire=0").edges) == ordered
    rewired = build("small-world:20,k=4,rewire=1", 5)
    assert rewired.number_of_edges() == 40
    assert set(rewired.edges) != ordered


def test_scale_free_has_hubs_and_its_number_of_links():
    graph = build("scale-free:500,m=3", 1)
    degrees = sorted(len(row) for row in neighbours(graph))
    assert graph.number_of_edges() == 3 * (500 - 3)
    assert degrees[-1] > 5 * degrees[250]


def test_exponential_links_reach_powers_of_two():
    assert exponential_hops(2) == (1,)
    assert exponential_hops(8) == (1, 2, 4)
    assert exponential_hops(9) == (1, 2, 4, 8)
    graph = build("exponential:6")
    assert neighbours(graph)[4] == (0, 2, 5)
    assert graph.edges[4, 2]["step"] == 2


def test_one_peer_exponential_has_one_neighbour_a_cycle_and_all_in_a_period():
    graph = build("one-peer-exponential:6")
    tables = schedule(graph)
    assert [table[4] for table in tables] == [(5,), (0,), (2,)]
    for table in tables:
        assert sorted(row[0] for row in table) == list(range(6))  # everybody hears from one peer
    together = [tuple(sorted(sum(rows, ()))) for rows in zip(*tables, strict=True)]
    assert tuple(together) == neighbours(graph) == neighbours(build("exponential:6"))


@pytest.mark.parametrize("example", [e for e in EXAMPLES if not e.startswith("one-peer")])
def test_other_schedules_are_one_table(example):
    graph = build(example, 1)
    assert schedule(graph) == (neighbours(graph),)


@pytest.mark.parametrize(
    ("between", "pairs"),
    [
        ("complete", set(combinations(range(4), 2))),
        ("ring", {(0, 1), (1, 2), (2, 3), (0, 3)}),
        ("star", {(0, 1), (0, 2), (0, 3)}),
    ],
)
def test_clustered_sites_are_complete_and_linked_as_asked(between, pairs):
    graph = build(f"clustered:sites=4,peers=5,links=3,between={between}", 1)
    assert [graph.nodes[node]["site"] for node in range(20)] == [i // 5 for i in range(20)]
    count = {}
    for a, b in graph.edges:
        count.setdefault((a // 5, b // 5), 0)
        count[a // 5, b // 5] += 1
    assert {pair for pair in count if pair[0] != pair[1]} == pairs
    assert all(count[pair] == 3 for pair in pairs)
    assert all(count[site, site] == 10 for site in range(4))


def test_clustered_of_two_sites_in_a_ring_is_linked_once():
    graph = build("clustered:sites=2,peers=3,links=1,between=ring")
    assert graph.number_of_edges() == 3 + 3 + 1
    assert build("clustered:sites=1,peers=3").number_of_edges() == 3


def test_require_connected_draws_again_and_keeps_a_first_draw_that_will_do():
    spec = "erdos-renyi:30,p=0.11"
    firsts = [build(spec, seed) for seed in range(20)]
    again = [build(spec, seed, require_connected=True) for seed in range(20)]
    assert all(nx.is_connected(graph) for graph in again)
    kept = [set(a.edges) == set(b.edges) for a, b in zip(firsts, again, strict=True)]
    assert kept == [nx.is_connected(graph) for graph in firsts]
    assert set(kept) == {True, False}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("erdos-renyi:50,p=0.001", "not connected in 20 draws from seed 0; raise p"),
        ("regular:50,degree=1", "raise degree"),
    ],
)
def test_a_graph_that_cannot_be_connected_says_so(spec, said):
    with pytest.raises(TopologyError, match=said):
        build(spec, 0, require_connected=True)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("regular:15,degree=3", "make either of them even"),
        ("regular:10,degree=10", "degree must be below nodes, at most 9"),
        ("small-world:20,k=3", "k is odd"),
        ("small-world:20,k=20", "k must be below nodes, at most 19"),
        ("scale-free:5,m=5", "m must be below nodes, at most 4"),
        ("complete:2000", "links; 1,000,000 at most"),
        ("torus:1000x1000", "1,000,000 nodes; 100,000 at most"),
        ("erdos-renyi:100000,p=0.5", "1,000,000 at most"),
        ("regular:100000,degree=50", "1,000,000 at most"),
        ("small-world:100000,k=50", "1,000,000 at most"),
        ("scale-free:100000,m=50", "1,000,000 at most"),
        ("exponential:100000", "1,000,000 at most"),
        ("clustered:sites=2000,peers=1", "sites is 2000"),
        ("clustered:sites=1000,peers=1000,between=ring", "nodes; 100,000 at most"),
        ("clustered:sites=2,peers=2,links=5", "have only 4 pairs of peers"),
        ("clustered:sites=1,peers=1", "one node only"),
    ],
)
def test_an_impossible_graph_is_refused_before_it_is_built(spec, said):
    with pytest.raises(TopologyError, match=said):
        build(spec, 0)


def test_negative_seed_is_refused():
    with pytest.raises(TopologyError, match="seed is -1"):
        build("ring:5", -1)
