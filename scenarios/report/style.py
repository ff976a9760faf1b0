"""How reports look: colours, letters, and figures as SVG inside a page or as files of their own.

Inside a page every colour is one of the page's, so that figures read on light and on dark; as a
file a figure has the light colours on white. Text stays text. The same figure gives the same bytes.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, FAINT, PAPER = "#1d2722", "#5d6b63", "#ffffff"
BAD = "#b3261e"
SERIES = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6a3d9a", "#8c564b",
)  # fmt: skip
"""Okabe and Ito's palette, which colour-blind readers can tell apart, without yellow and black; and
two more. Lines differ in their dashes, too."""

DASHES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 3)), ":")

_VARIABLES = {INK: "ink", FAINT: "faint", PAPER: "paper", BAD: "bad"} | {
    colour: f"s{number}" for number, colour in enumerate(SERIES)
}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hedgerow",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""What all figures in pages share, the demo's, too."""

PNG_DPI = 200


@dataclass(frozen=True, slots=True)
class Look:
    """For what a figure is drawn.

    Args:
        width: inches.
        size: of letters, in points.
    """

    width: float
    size: float

    @property
    def narrow(self) -> bool:
        """Whether panels stand one below the other."""
        return self.width < 5.0


PAGE = Look(8.6, 9.0)
PHONE = Look(4.3, 9.0)
"""What is left of a telephone's 390 pixels, with letters as high as the page's small ones."""
COLUMN = Look(3.5, 7.0)
"""A column of a paper: 3.5 inches in IEEE's format, with the least size of letters that it asks
for rounded up."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure of a report.

    Args:
        name: of its file, without a suffix.
        title: a heading above it; empty where the section's own says enough.
        alt: what it shows, for who cannot see it.
        caption: how to read it, as plain text.
        build: draws it for one look.
    """

    name: str
    title: str
    alt: str
    caption: str
    build: Callable[[Look], Figure]


def css(name: str) -> str:
    """A style sheet beside this file."""
    return resources.files("scenarios.report").joinpath(name).read_text("utf-8")


def svg(figure: Figure, colours: Mapping[str, str]) -> str:
    """A figure as SVG text for a page, transparent; colours are replaced by those of the page."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    for colour, other in colours.items():
        text = text.replace(colour, other)
    return text


def inline(plot: Plot) -> str:
    """The figure for a page, with its caption: for wide windows and for narrow ones."""
    wide, narrow = _drawn(plot, PAGE, plot.name), _drawn(plot, PHONE, f"{plot.name}-narrow")
    heading = f"<h3>{escape(plot.title)}</h3>" if plot.title else ""
    return (
        f'{heading}<figure id="figure-{plot.name}"><div class="plot wide" tabindex="0">{wide}</div>'
        f'<div class="plot narrow">{narrow}</div>'
        f"<figcaption>{escape(plot.caption)}</figcaption></figure>"
    )


def _drawn(plot: Plot, look: Look, prefix: str) -> str:
    with drawing(look):
        text = svg(plot.build(look), {c: f"var(--{name})" for c, name in _VARIABLES.items()})
    label = escape(plot.alt, quote=True)
    text = own_ids(shorter(text), prefix)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def as_file(plot: Plot, kind: str) -> bytes:
    """The figure as a file for a paper, on white.

    Args:
        plot: the figure.
        kind: "svg" or "png".
    """
    out = io.BytesIO()
    with drawing(COLUMN):
        metadata = {"Date": None} if kind == "svg" else None
        figure = plot.build(COLUMN)
        figure.savefig(out, format=kind, dpi=PNG_DPI, facecolor="white", metadata=metadata)
    return out.getvalue()


@contextmanager
def drawing(look: Look) -> Iterator[None]:
    """Draw within this: letters, colours, and no complaint of letters that a font lacks."""
    style = STYLE | {
        "font.size": look.size,
        "axes.titlesize": look.size,
        "axes.labelsize": look.size,
        "legend.fontsize": look.size,
        "xtick.labelsize": look.size - 0.5,
        "ytick.labelsize": look.size - 0.5,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "xtick.color": INK,
        "ytick.color": INK,
        "text.parse_math": False,  # names of groups may hold a dollar
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "legend.frameon": False,
        "legend.borderaxespad": 0.0,
        "legend.handlelength": 2.2,
    }
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def label(text: str, most: int = 28) -> str:
    """A user's text for a figure: printable, of bounded length, never taken for hidden."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    clean = clean if len(clean) <= most else f"{clean[: most - 1]}…"
    return f" {clean}" if clean.startswith("_") else clean  # a legend leaves out what begins so


def panels(
    look: Look, heights: list[float], *, top: float = 0.12, bottom: float = 0.45, gap: float = 0.18
) -> tuple[Figure, list[Axes]]:
    """A figure of panels one below the other, with the same left and right edge in every figure.

    Args:
        look: see there.
        heights: of each panel, inches.
        top: room above the first panel, inches; for a legend.
        bottom: likewise below the last.
        gap: likewise between two.
    """
    left, right = 0.075 * look.size, 0.15
    whole = sum(heights) + gap * (len(heights) - 1) + top + bottom
    figure = Figure(figsize=(look.width, whole))
    found = []
    y = whole - top
    for height in heights:
        y -= height
        box = (
            left / look.width, y / whole, (look.width - left - right) / look.width, height / whole,
        )  # fmt: skip
        found.append(figure.add_axes(box))
        y -= gap
    return figure, found


@dataclass(frozen=True, slots=True)
class Grid:
    """Panels side by side; `left` is the first one's left edge as a share of the width."""

    figure: Figure
    axes: list[Axes]
    left: float


def grid(look: Look, count: int, columns: int, top: float, height: float = 1.25) -> Grid:
    """A figure of panels in columns, each with room for a title.

    Args:
        look: see there.
        count: of panels.
        columns: side by side.
        top: room above the first row, inches; for a legend.
        height: of each panel, inches.
    """
    rows = -(-count // columns)
    left, right, gap, above = 0.075 * look.size, 0.15, 0.25, 0.035 * look.size
    width = (look.width - left - right - gap * (columns - 1)) / columns
    whole = top + rows * (height + above) + 0.45
    figure = Figure(figsize=(look.width, whole))
    axes = []
    for number in range(count):
        row, column = divmod(number, columns)
        x = left + column * (width + gap)
        y = whole - top - (row + 1) * (height + above)
        axes.append(
            figure.add_axes((x / look.width, y / whole, width / look.width, height / whole))
        )
    return Grid(figure, axes, left / look.width)


def legend_above(axes: Axes, handles: list[Any], labels: list[str], look: Look) -> None:
    """A legend above a panel; `legend_height` says how much room it takes."""
    axes.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.02), columnspacing=1.2,
        ncols=legend_columns(labels, look),
    )  # fmt: skip


def legend_height(labels: list[str], look: Look) -> float:
    """Inches that `legend_above` needs."""
    return -(-len(labels) // legend_columns(labels, look)) * look.size * 0.0215 + 0.06


def legend_columns(labels: list[str], look: Look) -> int:
    """Entries that stand side by side."""
    widest = 0.0085 * look.size * max(map(len, labels), default=1) + 0.055 * look.size
    return max(1, min(len(labels), int((look.width - 0.9) / widest)))


_SHEET = re.compile(r'<style type="text/css">.*?</style>', re.DOTALL)  # report.css says the same
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_COORDINATES = re.compile(r' (?:d|x|y|transform)="[^"]*"')
_DECIMALS = re.compile(r"(\.\d\d)\d+")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def shorter(text: str) -> str:
    """Without what no reader sees: comments, who made it, thousandths of a point."""
    for pattern in _METADATA, _SHEET, _COMMENT:
        text = pattern.sub("", text)
    text = _COORDINATES.sub(lambda found: _DECIMALS.sub(r"\1", found[0]), text)
    return re.sub(r"\n\s*", "\n", text)


def own_ids(text: str, name: str) -> str:
    """Ids that nothing refers to are left out; the others begin with the figure's name."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))

    def renamed(found: re.Match[str]) -> str:
        return f' id="{name}-{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]*)"', renamed, text)
    return re.sub(r'((?:href="#|url\(#))', rf"\1{name}-", text)
