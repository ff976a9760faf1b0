"""Who holds what, as a picture: peers from left to right, uses and families from top to bottom.

Only matplotlib's object interface is used: no window, no global figure, the same bytes every time.
"""

import io
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gossip.errors import ConfigError, StateError
from scenarios.data.holdings import Counts, Holdings, condensed, lines

FORMATS = {".png": "png", ".svg": "svg"}

NUMBERED_MAX = 16  # columns that are wide enough for a number in each cell
NAMED_MAX = 40  # columns whose names stand apart from each other

_INK, _MUTED = "#1f2933", "#5f6c7b"
_BENIGN, _ATTACKS, _UNKNOWN = "#2f6f9f", "#d55e00", "#9aa5b1"
_ROWS = LinearSegmentedColormap.from_list("rows", ["#dcebf5", "#5a9fcf", "#2a62a8", "#3f1d6b"])
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "hedgerow",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _MUTED,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def picture_format(path: Path) -> str:
    """The format that a picture's name asks for. Call it before any work starts.

    Raises:
        ConfigError: the suffix is neither .png nor .svg.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(f"{path}: unknown suffix {path.suffix!r}; a picture ends in .png or .svg")
    return kind


def draw(held: Holdings, to: Path | BinaryIO, kind: str = "svg") -> None:
    """Draw who holds what.

    Args:
        held: see there; more than `COLUMNS_MAX` peers are drawn as means of neighbours.
        to: a file ending in .png or .svg, which appears whole or not at all; or an open stream.
        kind: "png" or "svg", for a stream.

    Raises:
        ConfigError: the file's suffix is unknown.
        StateError: the file cannot be written.
    """
    if not isinstance(to, Path):
        to.write(_rendered(held, kind))
        return
    content = _rendered(held, picture_format(to))
    part = to.with_name(f".{to.name}.part")
    try:
        part.write_bytes(content)
        part.replace(to)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StateError(
            f"{to}: cannot be written ({error.strerror}); choose another place"
        ) from error


def _rendered(held: Holdings, kind: str) -> bytes:
    small = condensed(held)
    told = lines(small)
    labels, cells = [label for label, _ in told], np.array([counts for _, counts in told])
    output = io.BytesIO()
    with mpl.rc_context(_STYLE):
        height = 2.6 + 0.27 * len(labels)
        figure = Figure(figsize=(9.6, height), dpi=150, layout="constrained", facecolor="white")
        top, below = figure.subplots(
            2, 1, sharex=True, height_ratios=[1.3, 0.27 * len(labels) + 0.2]
        )
        _amounts(top, small)
        _heat(figure, below, labels, cells)
        _peers(below, small)
        title = f"Who holds what: {held.peers:,} peers"
        if held.removed:
            title += f"; {held.removed:,} duplicates removed"
        top.set_title(title, loc="left", weight="bold", parse_math=False)
        figure.savefig(output, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return output.getvalue()


def _amounts(axes: Axes, held: Holdings) -> None:
    """Rows to train on, benign and attacks one above the other."""
    edges = np.arange(len(held.train) + 1) - 0.5
    base = np.zeros(len(held.train))
    kinds = (
        ("benign", held.train[:, 0], _BENIGN),
        ("attacks", held.train[:, 1:-1].sum(axis=1), _ATTACKS),
        ("unlabelled", held.train[:, -1], _UNKNOWN),
    )
    for name, counts, colour in kinds:
        if counts.any():  # one shape, however many peers
            axes.stairs(base + counts, edges, baseline=base, fill=True, color=colour, label=name)
            base = base + counts
    if len(base) <= NAMED_MAX:
        axes.vlines(edges[1:-1], 0, base.max(), color="white", linewidth=1.0)
    axes.set_ylabel("rows to train on")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, borderaxespad=0.1
    )
    axes.margins(x=0)
    axes.tick_params(labelbottom=False, bottom=False)


def _heat(figure: Figure, axes: Axes, labels: list[str], cells: Counts) -> None:
    """A cell for each line and column: the darker, the more rows; white where there are none."""
    shown = np.ma.masked_equal(cells, 0.0)
    most = max(10.0, float(cells.max()))
    norm = LogNorm(min(1.0, float(shown.min())), most)
    image = axes.imshow(shown, cmap=_ROWS, norm=norm, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.tick_params(left=False)
    for line in range(1, len(labels)):
        apart = labels[line].split()[0] != labels[line - 1].split()[0]
        axes.axhline(line - 0.5, color=_INK if apart else "white", linewidth=1.0 if apart else 0.8)
    if cells.shape[1] <= NUMBERED_MAX:
        for (line, column), count in np.ndenumerate(cells):
            dark = count and norm(count) > 0.4
            axes.text(
                column, line, f"{count:,.0f}" if count else "-", ha="center", va="center",
                size=8, color="white" if dark else _INK,
            )  # fmt: skip
    else:
        bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=30)
        bar.set_label("rows (logarithmic)")


def _peers(axes: Axes, held: Holdings) -> None:
    columns = len(held.train)
    if held.names and columns <= NAMED_MAX:
        turned = columns > NUMBERED_MAX or max(map(len, held.names)) > 90 // columns
        axes.set_xticks(range(columns), held.names, rotation=90 if turned else 0, parse_math=False)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(min(columns, 12), integer=True))
        axes.xaxis.set_major_formatter(lambda place, _: f"{place * held.per_column:,.0f}")
    each = f"; each column is the mean of {held.per_column} peers" if held.per_column > 1 else ""
    axes.set_xlabel(f"peer{each}")
