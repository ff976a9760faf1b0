"""Graphs from GraphML and edge-list files of unknown origin.

Both readers are bounded before they allocate, name the file and line of every fault, and drop link
directions: a libp2p connection carries frames both ways. Parallel links become one. Nodes are
numbered in the file's order, or by value where every name is a whole number, so that a file of the
nodes 0 … n-1 keeps their numbers; the file's own name stays as the node attribute `label`.
"""

import io
from pathlib import Path

import networkx as nx

from topologies.collector import Collector
from topologies.errors import TopologyError
from topologies.graphml import read_graphml

FILE_BYTES_MAX = 64 * 1024 * 1024  # half a million GraphML links of a hundred-odd bytes
GRAPHML_SUFFIXES = (".graphml", ".xml")
EDGE_LIST_SUFFIXES = (".txt", ".edges", ".edgelist", ".csv", ".tsv")


def read_graph(path: Path) -> nx.Graph:
    """Read a graph; the suffix says which format it is in.

    Raises:
        TopologyError: the file is missing, too large, of an unknown suffix, malformed, holds a link
            from a node to itself, or has fewer than two nodes.
    """
    suffix = path.suffix.lower()
    if suffix in GRAPHML_SUFFIXES:
        return read_graphml(path, _bytes(path))
    if suffix in EDGE_LIST_SUFFIXES:
        return _edge_list(path, _bytes(path))
    known = ", ".join(GRAPHML_SUFFIXES + EDGE_LIST_SUFFIXES)
    raise TopologyError(f"{path}: unknown suffix {suffix!r}; a graph file ends in one of {known}")


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe or device could block or never end
            raise TopologyError(f"{str(path)!r}: no such file; check the path after file:")
        with path.open("rb") as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise TopologyError(
            f"{path}: cannot be read: {error.strerror}; check the path and its permissions"
        ) from error
    if len(content) > FILE_BYTES_MAX:
        raise TopologyError(f"{path}: larger than {FILE_BYTES_MAX >> 20} MiB; take a smaller graph")
    return content


def _edge_list(path: Path, content: bytes) -> nx.Graph:
    """Two names a line, parted by blanks or a comma; further columns (weights) are not used."""
    found = Collector(path)
    stream = io.BytesIO(content.removeprefix(b"\xef\xbb\xbf"))
    for line, raw in enumerate(stream, start=1):
        try:
            text = raw.decode().strip()
        except UnicodeDecodeError:
            raise found.fault(line, "not UTF-8; an edge list is a text file") from None
        if not text or text.startswith(("#", "%")):
            continue
        names = (text.split(",", 2) if "," in text else text.split(None, 2))[:2]
        if len(names) < 2:
            raise found.fault(line, f"expected two node names, got {text[:40]!r}")
        a, b = (name.strip() for name in names)
        found.node(a, line)
        found.node(b, line)
        found.link(a, b, line)
    return found.graph()
