import subprocess
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from topologies.drawing import draw, drawing_format
from topologies.errors import TopologyError
from topologies.graphs import build
from topologies.layout import places
from topologies.measure import measure
from topologies.spec import KINDS

EXAMPLES = [kind.example for kind in KINDS.values() if kind.example != "regular:1000,degree=20"]

NO_PYPLOT = """
import sys
from pathlib import Path
from topologies.drawing import draw
from topologies.graphs import build
from topologies.measure import measure
graph = build("ring:5")
draw(graph, Path(sys.argv[1]), measure(graph))
assert "matplotlib.pyplot" not in sys.modules
"""


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "example", [*EXAMPLES, "regular:90,degree=4", "clustered:sites=1,peers=9", "regular:3,degree=2"]
)
def test_every_node_has_a_place_of_its_own(example):
    graph = build(example, 1)
    where = places(graph)
    assert where.shape == (len(graph), 2)
    assert np.isfinite(where).all()
    apart = np.hypot(*(where[:, None] - where[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    extent = np.ptp(where, axis=0).max()
    assert apart.min() > extent / 1000
    assert (places(graph) == where).all()


@pytest.mark.parametrize("spec", [*EXAMPLES, "erdos-renyi:30,p=0.01", "erdos-renyi:5,p=0"])
def test_svg_shows_every_kind_and_is_the_same_every_time(tmp_path, spec):
    graph = build(spec, 1)
    measures = measure(graph)
    draw(graph, tmp_path / "a.svg", measures)
    draw(graph, tmp_path / "b.svg", measures)
    content = (tmp_path / "a.svg").read_bytes()
    assert ET.fromstring(content).tag.endswith("}svg")
    assert str(graph.graph["spec"]) in content.decode()  # matplotlib notes each text in a comment
    assert content == (tmp_path / "b.svg").read_bytes()


def test_png_has_its_size_and_leaves_nothing_else_behind(tmp_path):
    graph = build("clustered:sites=3,peers=4", 1)
    draw(graph, tmp_path / "a.PNG", measure(graph))
    content = (tmp_path / "a.PNG").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(content[16:20], "big") == 1200
    assert names_in(tmp_path) == ["a.PNG"]


def test_labels_from_a_file_may_hold_anything(tmp_path):
    (tmp_path / "a.txt").write_text("$a^{$ <b>&amp;\n東京 --> \n\x01\x02 $a^{$\n")
    graph = build(f"file:{tmp_path / 'a.txt'}")
    draw(graph, tmp_path / "a.svg", measure(graph))
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("}svg")


def test_pyplot_is_never_imported(tmp_path):
    command = [sys.executable, "-c", NO_PYPLOT, str(tmp_path / "a.svg")]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "a.svg").stat().st_size > 1000


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.svg.gz"])
def test_an_unknown_suffix_is_refused(tmp_path, name):
    with pytest.raises(TopologyError, match=r"ends in \.png or \.svg"):
        drawing_format(tmp_path / name)
    assert names_in(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(TopologyError, match="make it first"):
        drawing_format(tmp_path / "none" / "a.svg")


def test_too_many_nodes_are_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text("old")
    graph = build("ring:1001")
    with pytest.raises(TopologyError, match="1,001 nodes are too many to draw"):
        draw(graph, path, measure(graph))
    assert path.read_text() == "old"


def test_a_target_that_cannot_be_replaced_is_an_error_and_leaves_no_part(tmp_path):
    path = tmp_path / "a.svg"
    path.mkdir()
    graph = build("ring:5")
    with pytest.raises(TopologyError, match=r"cannot be written: .*; check the folder"):
        draw(graph, path, measure(graph))
    assert names_in(tmp_path) == ["a.svg"]
