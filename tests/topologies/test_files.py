from pathlib import Path

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from topologies import collector, files
from topologies.errors import TopologyError
from topologies.graphs import build, neighbours
from topologies.measure import measure

GRAPHML = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
  <key id="d0" for="node" attr.name="label" attr.type="string"/>
  <key id="d1" for="edge" attr.name="weight" attr.type="double"/>
  <graph edgedefault="directed">
    <node id="n0"><data key="d0">Graz  &amp; <y:b>umgebung</y:b></data></node>
    <node id="n1"><data key="d1">ignored</data></node>
    <node id="n2"><data key="d0"> </data><y:node id="drawing only"/></node>
    <edge source="n0" target="n1"><data key="d1">2.5</data></edge>
    <edge source="n1" target="n0"/>
    <edge source="n2" target="n1"/>
  </graph>
</graphml>
"""


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return f"file:{path}"


def test_graphml_links_go_both_ways_and_labels_stay(tmp_path):
    graph = build(write(tmp_path, "a.graphml", GRAPHML))
    assert neighbours(graph) == ((1,), (0, 2), (1,))
    assert [graph.nodes[i]["label"] for i in range(3)] == ["Graz & umgebung", "n1", "n2"]
    assert graph.graph["kind"] == "file"


@pytest.mark.parametrize("spec", ["erdos-renyi:40,p=0.1", "ring:12", "scale-free:40,m=2"])
def test_graphs_written_by_networkx_come_back_with_their_numbers(tmp_path, spec):
    graph = build(spec, 4, require_connected=True)
    plain = nx.Graph(graph.edges)  # in the order of the links, not of the nodes
    nx.write_graphml(plain, tmp_path / "a.graphml")
    nx.write_edgelist(plain, tmp_path / "a.txt")
    nx.write_edgelist(plain, tmp_path / "a.csv", delimiter=",", data=False)
    for name in ("a.graphml", "a.txt", "a.csv"):
        again = build(f"file:{tmp_path / name}")
        assert neighbours(again) == neighbours(graph)
        assert measure(again) == measure(graph)


def test_edge_list_skips_comments_and_numbers_names_in_order(tmp_path):
    text = "\ufeff# towns\n% more\n\nwien graz 3.5\r\ngraz linz\ngraz\twien\n"
    graph = build(write(tmp_path, "a.txt", text))
    assert [graph.nodes[i]["label"] for i in range(3)] == ["wien", "graz", "linz"]
    assert list(graph.edges) == [(0, 1), (1, 2)]


def test_names_that_are_numbers_keep_their_order(tmp_path):
    graph = build(write(tmp_path, "a.txt", "10 9\n9 1\n"))
    assert [graph.nodes[i]["label"] for i in range(3)] == ["1", "9", "10"]


def test_a_disconnected_file_is_measured_but_not_accepted_where_connection_is_required(tmp_path):
    spec = write(tmp_path, "a.txt", "a b\nc d\n")
    assert measure(build(spec)).components == 2
    with pytest.raises(TopologyError, match="not connected; add the links that join its parts"):
        build(spec, require_connected=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least 2 nodes, this file has 0"),
        ("# nothing\n", "at least 2 nodes, this file has 0"),
        ("a b\nc\n", "line 2: expected two node names, got 'c'"),
        ("a b\na a\n", "line 2: 'a' is linked to itself"),
        ("a,b\n,c\n", "line 2: a node's name has 0 characters"),
        ("a " + "b" * 201, "line 1: a node's name has 201 characters"),
        (b"a b\n\xff\xfe c\n", "line 2: not UTF-8"),
    ],
)
def test_a_bad_edge_list_names_the_line(tmp_path, text, said):
    with pytest.raises(TopologyError) as caught:
        build(write(tmp_path, "a.txt", text))
    assert said in str(caught.value)
    assert str(tmp_path / "a.txt") in str(caught.value)


def graphml(body: str) -> str:
    return f"<graphml><graph>\n{body}\n</graph></graphml>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: not well-formed XML: no element found"),
        ("<svg/>", "line 1: expected <graphml>, got <svg>"),
        ("<graphml>\n</graphml>", "line 2: the file ends without a <graph>"),
        (graphml(""), "at least 2 nodes, this file has 0"),
        (graphml("<node/>"), "line 2: <node> without the attribute 'id'"),
        (graphml("<node id='a'/>\n<node id='a'/>"), "line 3: the node 'a' is declared twice"),
        (graphml("<node id='a'/>\n<edge source='a'/>"), "<edge> without the attribute 'target'"),
        (graphml("<node id='a'/>\n<edge source='a' target='b'/>"), "line 3: a link to 'b'"),
        (graphml("<edge source='a' target='a'/>"), "'a' is linked to itself"),
        (graphml("<node id='a'><graph/></node>"), "a second or nested <graph>"),
        (graphml("<hyperedge/>"), "<hyperedge> is not supported"),
        (graphml("<node id=''/>"), "a node's name has 0 characters"),
        ("<graphml><graph>\n<node id='a'>", "line 2: not well-formed XML"),
        (graphml("&bomb;"), "line 2: not well-formed XML: undefined entity"),
        (
            '<!DOCTYPE g [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + graphml("&b;"),
            "line 1: a DOCTYPE",
        ),
        ('<!DOCTYPE g SYSTEM "file:///etc/passwd">' + graphml(""), "line 1: a DOCTYPE"),
        ('<?xml version="1.0" encoding="no-such"?><graphml/>', "encoding"),
        ('<?xml version="1.0" encoding="rot13"?><graphml/>', "encoding"),
    ],
)
def test_bad_graphml_names_the_line(tmp_path, text, said):
    with pytest.raises(TopologyError) as caught:
        build(write(tmp_path, "a.graphml", text))
    assert said in str(caught.value)
    assert str(tmp_path / "a.graphml") in str(caught.value)


def test_a_missing_file_a_folder_and_an_unknown_suffix_are_named(tmp_path):
    with pytest.raises(TopologyError, match="no such file; check the path"):
        build(f"file:{tmp_path}/none.txt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(TopologyError, match="no such file"):
        build(f"file:{tmp_path}/folder.txt")
    with pytest.raises(TopologyError, match="no such file"):
        build("file:nul\0.txt")
    with pytest.raises(TopologyError, match="cannot be read: File name too long; check the path"):
        build(f"file:{tmp_path}/{'long' * 100}.txt")
    with pytest.raises(TopologyError, match=r"unknown suffix '\.gml'; a graph file ends in one of"):
        build(write(tmp_path, "a.gml", "graph []"))


def test_size_bounds_hold(tmp_path, monkeypatch):
    spec = write(tmp_path, "a.txt", "a b\nb c\nc d\n")
    monkeypatch.setattr(collector, "NODES_MAX", 3)
    with pytest.raises(TopologyError, match="line 3: more than 3 nodes"):
        build(spec)
    monkeypatch.setattr(collector, "NODES_MAX", 4)
    monkeypatch.setattr(collector, "LINKS_MAX", 2)
    with pytest.raises(TopologyError, match="line 3: more than 2 links"):
        build(spec)
    monkeypatch.setattr(files, "FILE_BYTES_MAX", 5)
    with pytest.raises(TopologyError, match="take a smaller graph"):
        build(spec)


PIECES = st.lists(
    st.sampled_from([*GRAPHML.split("\n"), "<graph>", "</node>", "<port/>", "&#0;", "<!DOCTYPE x>"])
).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | PIECES.map(str.encode) | st.text(max_size=60).map(str.encode))
def test_any_bytes_give_a_graph_or_one_error(tmp_path, content):
    for name in ("a.graphml", "a.txt"):
        try:
            graph = build(write(tmp_path, name, content))
        except TopologyError as error:
            assert name in str(error)  # noqa: PT017 - both outcomes are right
        else:
            assert len(graph) >= 2
