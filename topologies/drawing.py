"""Pictures of graphs, PNG or SVG, with their measures in the title.

Only matplotlib's object interface is used: no window, no global figure, the same bytes every time.
"""

import io
import os
import warnings
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from topologies.errors import TopologyError
from topologies.graphs import exponential_hops
from topologies.layout import Places, places
from topologies.links import links_of
from topologies.measure import Measures

FORMATS = {".png": "png", ".svg": "svg"}

NODES_MAX = 1_000
"""Above, nodes are specks; the layout's matrices take 8 MB each at this size."""

NUMBERED_NODES_MAX = 40  # numbers still fit inside their nodes
LABELLED_NODES_MAX = 60  # a file's names still stand apart from each other

_INK, _MUTED, _ACCENT = "#1f2933", "#5f6c7b", "#2f6f9f"
# Okabe and Ito's palette, which colour-blind readers can tell apart, without yellow and black;
# then four more, so that the ten steps of a thousand exponential nodes all differ.
_PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
    "#56b4e9", "#6a3d9a", "#8c564b", "#4d4d4d", "#9a9a1a",
)  # fmt: skip
_DEGREES = LinearSegmentedColormap.from_list("degrees", ["#5a9fcf", "#2a62a8", "#3f1d6b"])


class _Strokes(NamedTuple):
    """Line segments `(n, 2, 2)` and their colour."""

    segments: NDArray[np.float64]
    colour: str


def drawing_format(path: Path) -> str:
    """The format a drawing's name asks for. Call it before any work starts.

    Raises:
        TopologyError: the suffix is neither .png nor .svg, or the folder does not exist.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise TopologyError(f"{path}: unknown suffix {suffix!r}; a drawing ends in .png or .svg")
    if not path.parent.is_dir():
        raise TopologyError(f"{path}: no folder {str(path.parent)!r}; make it first")
    return FORMATS[suffix]


def draw(graph: nx.Graph, path: Path, measures: Measures, *, seed: int = 0) -> None:
    """Draw a graph made by `topologies.graphs.build`.

    The file appears whole or not at all; one that was there before is replaced.

    Args:
        graph: at most `NODES_MAX` nodes.
        path: ends in .png or .svg.
        measures: what to say of it in the title.
        seed: decides the layout of graphs that have no shape of their own.

    Raises:
        TopologyError: the suffix is unknown, the graph too large, or the file cannot be written.
    """
    kind = drawing_format(path)
    if len(graph) > NODES_MAX:
        raise TopologyError(
            f"{path}: {len(graph):,} nodes are too many to draw; {NODES_MAX:,} at most, "
            "or ask for the measures alone"
        )
    _write(path, _render(graph, measures, kind, seed))


def _render(graph: nx.Graph, measures: Measures, kind: str, seed: int) -> bytes:
    figure = Figure(figsize=(8.0, 8.8), dpi=150, facecolor="white")
    figure.text(
        0.5, 0.975, _title(graph), size=14, weight="bold", color=_INK, ha="center", va="top",
        parse_math=False,
    )  # fmt: skip
    figure.text(
        0.5, 0.945, _subtitle(measures), size=9, color=_MUTED, ha="center", va="top",
        linespacing=1.5, parse_math=False,
    )  # fmt: skip
    axes = figure.add_axes((0.04, 0.07, 0.92, 0.81))
    axes.set_axis_off()
    axes.set_aspect("equal")
    where = places(graph, seed)
    _draw_links(axes, graph, where)
    dots = _draw_nodes(axes, graph, where)
    _draw_names(axes, graph, where)
    _draw_key(figure, graph, dots)
    axes.margins(0.06)
    output = io.BytesIO()
    # Neither a date nor random element ids, so that equal graphs give equal files.
    with mpl.rc_context({"svg.hashsalt": "hedgerow"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # drawn as a box
        figure.savefig(output, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return output.getvalue()


def _title(graph: nx.Graph) -> str:
    spec = _printable(str(graph.graph["spec"]))
    return spec if len(spec) <= 60 else f"…{spec[-59:]}"


def _subtitle(measures: Measures) -> str:
    lines = [""]
    for label, text in measures.rows():
        said = f"{label} {text}"
        if lines[-1] and len(lines[-1]) + len(said) > 98:
            lines.append("")
        lines[-1] += f"  ·  {said}" if lines[-1] else said
    return "\n".join(lines)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _draw_links(axes: Axes, graph: nx.Graph, where: Places) -> None:
    density = max(graph.number_of_edges() / len(graph), 1e-3)
    crowd = min(1.0, (150.0 / len(graph)) ** 0.35)
    width = crowd * float(np.clip(3.2 / density**0.6, 0.25, 1.4))
    alpha = crowd * float(np.clip(2.4 / density**0.5, 0.15, 0.75))
    for stroke in _strokes(graph, where):
        axes.add_collection(
            LineCollection(
                list(stroke.segments), colors=stroke.colour, linewidths=width, alpha=alpha, zorder=1
            )
        )


def _strokes(graph: nx.Graph, where: Places) -> list[_Strokes]:
    ends = np.array(list(graph.edges()), np.int64).reshape(-1, 2)
    kind = graph.graph["kind"]
    if kind == "torus":
        return _torus_strokes(ends, where)
    if graph.is_directed():
        steps = np.array([step for _, _, step in graph.edges(data="step")])
        return [
            _Strokes(where[ends[steps == step]], _PALETTE[step % len(_PALETTE)])
            for step in range(int(steps.max()) + 1)
        ]
    if kind == "clustered":
        site = np.array([graph.nodes[node]["site"] for node in range(len(graph))])
        inside = site[ends[:, 0]] == site[ends[:, 1]]
        return [_Strokes(where[ends[inside]], "#9aa8b5"), _Strokes(where[ends[~inside]], _INK)]
    return [_Strokes(where[ends], "#7b8a99")]


def _torus_strokes(ends: NDArray[np.int64], where: Places) -> list[_Strokes]:
    """Links that wrap around show as a stub at either side, not as a line across the grid."""
    across = where[ends[:, 1]] - where[ends[:, 0]]
    wraps = np.abs(across).max(axis=1) > 1.5
    out = -np.sign(across[wraps]) * 0.45
    low, high = where[ends[wraps, 0]], where[ends[wraps, 1]]
    stubs = np.concatenate([np.stack([low, low + out], 1), np.stack([high, high - out], 1)])
    return [_Strokes(where[ends[~wraps]], "#7b8a99"), _Strokes(stubs, _PALETTE[4])]


def _area(nodes: int) -> float:
    """A node's size for matplotlib, its diameter in points squared."""
    return float(np.clip(12_000.0 / nodes, 9.0, 300.0))


def _draw_nodes(axes: Axes, graph: nx.Graph, where: Places) -> PathCollection:
    nodes = len(graph)
    degrees = links_of(graph).degrees.astype(np.float64)
    area = _area(nodes)
    sizes = np.full(nodes, area)
    if degrees.min() < degrees.max() and nodes > NUMBERED_NODES_MAX:
        sizes = area * np.clip(0.5 + 0.5 * degrees / degrees.mean(), 0.5, 5.0)
    line = 0.8 if nodes <= 300 else 0.3
    x, y = where[:, 0], where[:, 1]
    if graph.graph["kind"] == "clustered":
        colours = [_PALETTE[graph.nodes[node]["site"] % len(_PALETTE)] for node in range(nodes)]
        return axes.scatter(x, y, sizes, colours, edgecolors="white", linewidths=line, zorder=2)
    if degrees.min() == degrees.max():
        return axes.scatter(x, y, sizes, _ACCENT, edgecolors="white", linewidths=line, zorder=2)
    return axes.scatter(
        x, y, sizes, degrees, cmap=_DEGREES, vmin=float(degrees.min()),
        vmax=float(degrees.max()), edgecolors="white", linewidths=line, zorder=2,
    )  # fmt: skip


def _draw_names(axes: Axes, graph: nx.Graph, where: Places) -> None:
    labels = [_printable(str(graph.nodes[node].get("label", node))) for node in range(len(graph))]
    named = any(label != str(node) for node, label in enumerate(labels))
    if named and len(graph) <= LABELLED_NODES_MAX:
        above = _area(len(graph)) ** 0.5 / 2 + 4
        for (x, y), label in zip(where, labels, strict=True):
            axes.annotate(
                label[:30], (x, y), (0, above), textcoords="offset points", size=7, color=_INK,
                ha="center", zorder=3, parse_math=False,
            )  # fmt: skip
    elif len(graph) <= NUMBERED_NODES_MAX:
        for (x, y), label in zip(where, labels, strict=True):
            axes.text(
                x, y, label, size=7, weight="bold", color="white", ha="center",
                va="center_baseline", zorder=3,
            )  # fmt: skip


def _draw_key(figure: Figure, graph: nx.Graph, dots: PathCollection) -> None:
    """Say what colours stand for."""
    if graph.is_directed():
        changing = graph.graph["kind"] == "one-peer-exponential"
        lines = [
            Line2D(
                [], [], color=_PALETTE[step % len(_PALETTE)],
                label=f"cycle {step}: i → i+{hop}" if changing else f"i → i+{hop}",
            )
            for step, hop in enumerate(exponential_hops(len(graph)))
        ]  # fmt: skip
        columns = len(lines) if len(lines) <= 5 else (len(lines) + 1) // 2
        figure.legend(
            handles=lines, loc="lower center", ncols=columns, frameon=False, fontsize=8,
            labelcolor=_MUTED,
        )  # fmt: skip
    elif dots.get_array() is not None:
        bar = figure.colorbar(
            dots, cax=figure.add_axes((0.35, 0.05, 0.3, 0.011)), orientation="horizontal"
        )
        bar.set_label("degree", size=8, color=_MUTED)
        bar.ax.tick_params(labelsize=7, colors=_MUTED, length=2)
        bar.ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        bar.outline.set_visible(False)


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise TopologyError(
            f"{path}: cannot be written: {error.strerror}; check the folder and its permissions, "
            "or name another file"
        ) from error
