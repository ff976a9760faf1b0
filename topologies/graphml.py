"""GraphML, read with expat.

`networkx.read_graphml` gives no line numbers and would build whatever document type definition a
file brings along; here a DOCTYPE is refused at its first byte, so no entity is ever declared.
Source of the format: Brandes et al., GraphML Primer, http://graphml.graphdrawing.org.
"""

from pathlib import Path
from xml.parsers import expat

import networkx as nx

from topologies.collector import Collector
from topologies.errors import TopologyError

# Many files leave the namespace out; elements of others (yEd's drawings) are passed over.
_NAMESPACES = ("", "http://graphml.graphdrawing.org/xmlns")


def read_graphml(path: Path, content: bytes) -> nx.Graph:
    """The graph in `content`; `path` is for error messages only.

    Raises:
        TopologyError: malformed, or it holds what would change the graph's meaning if it were
            passed over: nested graphs, hyperedges, ports.
    """
    return _Reader(path).read(content)


class _Reader:
    """Expat's callbacks and the little they need to remember."""

    def __init__(self, path: Path) -> None:
        self._found = Collector(path)
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._open: list[str] = []  # the elements we are in, "" for those of other namespaces
        self._graphs = 0
        self._node = ""
        self._label_key: str | None = None
        self._label: list[str] | None = None
        self._starts = {
            "graph": self._start_graph,
            "key": self._start_key,
            "node": self._start_node,
            "edge": self._start_edge,
            "data": self._start_data,
            "hyperedge": self._refuse,
            "port": self._refuse,
        }

    def read(self, content: bytes) -> nx.Graph:
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise self._found.fault(error.lineno, f"not well-formed XML: {reason}") from None
        except TopologyError:
            raise
        except (LookupError, ValueError) as error:  # what Python's codecs raise
            raise self._fault(f"an unusable text encoding: {error}") from None
        if not self._graphs:
            raise self._fault("the file ends without a <graph>")
        return self._found.graph()

    def _line(self) -> int:
        return self._parser.CurrentLineNumber

    def _fault(self, what: str) -> TopologyError:
        return self._found.fault(self._line(), what)

    def _doctype(self, *_: object) -> None:
        raise self._fault("a DOCTYPE, which GraphML does not need and attacks do; remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, local = tag.rpartition(" ")
        name = local if space in _NAMESPACES else ""
        if not self._open and name != "graphml":
            raise self._fault(f"expected <graphml>, got <{local[:40]}>")
        self._open.append(name)
        if name in self._starts:
            self._starts[name](attributes)

    def _start_graph(self, _attributes: dict[str, str]) -> None:
        self._graphs += 1
        if self._graphs > 1:
            raise self._fault("a second or nested <graph>; keep one")

    def _start_key(self, attributes: dict[str, str]) -> None:
        if attributes.get("attr.name") == "label" and attributes.get("for") in {"node", "all"}:
            self._label_key = attributes.get("id")

    def _start_node(self, attributes: dict[str, str]) -> None:
        self._node = self._attribute(attributes, "id")
        self._found.node(self._node, self._line(), once=True)

    def _start_edge(self, attributes: dict[str, str]) -> None:
        source = self._attribute(attributes, "source")
        self._found.link(source, self._attribute(attributes, "target"), self._line())

    def _start_data(self, attributes: dict[str, str]) -> None:
        if self._open[-2] == "node" and attributes.get("key") == self._label_key is not None:
            self._label = []

    def _refuse(self, _attributes: dict[str, str]) -> None:
        raise self._fault(f"<{self._open[-1]}> is not supported; use plain nodes and edges")

    def _attribute(self, attributes: dict[str, str], name: str) -> str:
        if name not in attributes:
            raise self._fault(f"<{self._open[-1]}> without the attribute {name!r}; add it")
        return attributes[name]

    def _end(self, _tag: str) -> None:
        if self._open.pop() == "data" and self._label is not None:
            self._found.label(self._node, "".join(self._label))
            self._label = None

    def _text(self, text: str) -> None:
        if self._label is not None:
            self._label.append(text)
