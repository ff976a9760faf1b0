"""The wave of immunity as figures: on the map of the mesh, and as curves.

The shade of a gateway says how much of a family it names; the shades are of cividis (Nuñez,
Anderton and Renslow 2018), which colour-blind readers see as others do, and which grow lighter.
"""

import math
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scenarios.demo.fleet import CYCLE_S
from scenarios.demo.marks import share_named
from scenarios.demo.plots import connections, gateway_line
from scenarios.demo.record import Course
from scenarios.demo.wave import OTHERS, OWN, Wave, has
from scenarios.report.style import (
    BAD,
    FAINT,
    INK,
    PAPER,
    SERIES,
    Look,
    Plot,
    grid,
    legend_columns,
    legend_height,
)

SHADES = (
    (0.10, "#213b6e", "under 10 %"),
    (0.50, "#666970", "10 to 50 %"),
    (0.90, "#b6a971", "50 to 90 %"),
    (math.inf, "#fee838", "over 90 %"),
)
"""Upper bounds of shares, their colours, and words."""

RING = SERIES[1]

AFTER_CYCLES = (1, 3, 6)
BEFORE_CYCLES, UNTIL_CYCLES = 4, 16

_SITE = {"hospital": (0.0, 0.58), "factory": (0.85, -0.4), "building": (-0.85, -0.4)}
_APART = 0.36
_LETTERS = 7.0  # points, inside the small maps


@dataclass(frozen=True, slots=True)
class _Column:
    """One moment of every wave: its heading, and the cycles since the wave began."""

    words: str
    cycles: float


_COLUMNS = (
    _Column("just before", -0.01),
    *(_Column(f"{n} cycle{'s' if n > 1 else ''} later", float(n)) for n in AFTER_CYCLES),
    _Column("at the end", math.inf),
)


def wave_map(course: Course, waves: list[Wave]) -> Plot:
    """Small maps of the mesh: a family each way, moments the other."""
    told = "; ".join(
        f"{wave.family} begins at {wave.origin} after {wave.at_s:.0f} s" + _reached(wave)
        for wave in waves
    )
    caption = (
        "Each gateway at its site, 1 or 2. Its shade: how much of the family it names of the flows "
        "kept back; without a shade: none were kept back there, so it cannot be judged. Square: it "
        "has ten labelled flows of its own or more. Ring: it learns from others' antigens. "
        "Cross: it is down. Last map: seconds from the first antigen until the gateway learnt from "
        "one, or had labelled flows enough. Lines are open connections."
    )
    alt = f"The mesh while each family becomes known: {told}"
    return Plot("wave-map", "", alt, caption, partial(_maps, course, waves))


def _reached(wave: Wave) -> str:
    after_s = wave.learnt_after_s
    return "" if after_s is None else f" and is learnt by all {after_s:.1f} s later"


def wave_curves(course: Course, waves: list[Wave]) -> Plot:
    """For each family, the share rightly named at each gateway, from its first antigen on."""
    alt = "Share of kept-back flows rightly named at each gateway, a panel for each family; at 0 "
    alt += "the family's first antigen is presented"
    caption = (
        "At 0 the first antigen of the family was presented. A triangle below: from here on the "
        "gateway learnt from an antigen, or had labelled rows enough of its own. A gateway without "
        "kept-back flows of the family has no line. A gap: the gateway was down."
    )
    return Plot("wave-curves", "", alt, caption, partial(_curves, course, waves))


def _curves(course: Course, waves: list[Wave], look: Look) -> Figure:
    names = [feed.plan.name for feed in course.feeds]
    handles = [Line2D([], [], linewidth=1.6, **gateway_line(course, name)) for name in names]
    columns = 1 if look.narrow else max(1, len(waves))
    drawn = grid(look, len(waves), columns, legend_height(names, look) + 0.04, height=1.7)
    for place, (axes, wave) in enumerate(zip(drawn.axes, waves, strict=True)):
        _curve(axes, course, wave)
        axes.set_title(
            f"{wave.family}: {wave.origin}, {wave.at_s:.0f} s", loc="left", size=look.size, pad=4
        )
        axes.tick_params(labelleft=place % columns == 0)
        if place % columns == 0:
            axes.set_ylabel("flows rightly named (%)")
        axes.tick_params(labelbottom=place + columns >= len(waves))
        if place + columns >= len(waves):
            axes.set_xlabel(f"cycles of {CYCLE_S} s since its first antigen")
    drawn.figure.legend(
        handles, names, loc="upper left", bbox_to_anchor=(drawn.left, 1.0),
        ncols=legend_columns(names, look), columnspacing=1.2,
    )  # fmt: skip
    return drawn.figure


def _curve(axes: Axes, course: Course, wave: Wave) -> None:
    axes.axvline(0.0, color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)))
    for number, feed in enumerate(course.feeds):
        name = feed.plan.name
        line = gateway_line(course, name)
        seen = [m for m in course.moments if m.marks]
        times = [(m.at_s - wave.at_s) / CYCLE_S for m in seen]
        shares = [share_named(m.marks.get(name), wave.family) for m in seen]
        values = [math.nan if share is None else 100.0 * share for share in shares]
        axes.plot(times, values, linewidth=1.6, **line)
        if (learnt_s := wave.arrivals[name].learnt_s) is not None:
            axes.plot(
                (learnt_s - wave.at_s) / CYCLE_S, -6.0 - 4.5 * (number % 2), marker="^",
                markersize=4.5, color=line["color"], clip_on=False,
                markerfacecolor=PAPER if number % 2 else line["color"],
            )  # fmt: skip
    axes.set_xlim(-BEFORE_CYCLES, UNTIL_CYCLES)
    axes.set_xticks(range(-BEFORE_CYCLES, UNTIL_CYCLES + 1, 4))
    axes.set_ylim(-15, 104)
    axes.set_yticks(range(0, 101, 25))


def _maps(course: Course, waves: list[Wave], look: Look) -> Figure:
    """Wide: a row for each family; narrow: a column."""
    shades = ["named:", *(words for _, _, words in SHADES), "not judged"]
    states = ["own labelled flows", "learns from antigens", "down"]
    steps, kinds = len(_COLUMNS) + 1, len(waves)
    columns, rows = (kinds, steps) if look.narrow else (steps, kinds)
    side = 0.085 * look.size
    width = (look.width - side) / max(1, columns)
    height, title = 0.92 * width, 0.03 * look.size
    legends = [legend_height(each, look) for each in (shades, states)]
    top = sum(legends) + 0.02 + (2.0 if look.narrow else 1.0) * title
    whole = top + rows * height
    figure = Figure(figsize=(look.width, whole))
    for row in range(rows):
        for column in range(columns):
            kind, step = (column, row) if look.narrow else (row, column)
            wave = waves[kind]
            box = (
                (side + column * width) / look.width, (whole - top - (row + 1) * height) / whole,
                width / look.width, height / whole,
            )  # fmt: skip
            axes = figure.add_axes(box)
            words = _COLUMNS[step].words if step < len(_COLUMNS) else "learnt after (s)"
            if step < len(_COLUMNS):
                _shaded(axes, course, wave, _COLUMNS[step].cycles)
            else:
                _timed(axes, course, wave)
            family = f"{wave.family}\n{wave.origin}, {wave.at_s:.0f} s"
            heading, beside = (family, words) if look.narrow else (words, family)
            if row == 0:
                axes.set_title(heading, size=look.size - 0.5, pad=2)
            if column == 0:
                axes.text(
                    -0.04, 0.5, beside, transform=axes.transAxes, rotation=90, ha="right",
                    va="center", size=look.size - 0.5, multialignment="center",
                )  # fmt: skip
    marks = [_mark("none", "none"), *(_mark("o", colour) for _, colour, _ in SHADES)]
    marks.append(_mark("o", PAPER, edge=FAINT))
    kinds_of = [
        _mark("s", PAPER),
        _mark("o", "none", edge=RING, width=1.8),
        _mark("x", BAD, edge=BAD, width=1.6),
    ]
    above = 1.0
    for handles, labels, high in zip((marks, kinds_of), (shades, states), legends, strict=True):
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.0, above), columnspacing=1.2,
            handlelength=1.2, ncols=legend_columns(labels, look),
        )  # fmt: skip
        above -= high / whole
    return figure


def _mark(shape: str, colour: str, *, edge: str = INK, width: float = 0.7) -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker=shape, markersize=7, markerfacecolor=colour,
        markeredgecolor=edge, markeredgewidth=width,
    )  # fmt: skip


def _places(course: Course) -> dict[str, tuple[float, float]]:
    """A site's two gateways side by side, sites at the corners of a triangle."""
    return {
        feed.plan.name: (
            _SITE[feed.plan.site][0] + (_APART if number % 2 else -_APART),
            _SITE[feed.plan.site][1] - (0.1 if number % 2 else -0.1),  # no line hides another
        )
        for number, feed in enumerate(course.feeds)
    }


def _empty(axes: Axes, course: Course) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=FAINT, alpha=0.35)
    axes.set_xlim(-1.6, 1.6)
    axes.set_ylim(-1.3, 1.3)
    for site in {feed.plan.site: None for feed in course.feeds}:
        x, y = _SITE[site]
        axes.text(x, y + (0.5 if y > 0 else -0.5), site, ha="center", va="center", size=_LETTERS)


def _shaded(axes: Axes, course: Course, wave: Wave, cycles: float) -> None:
    """The mesh at one moment of a wave."""
    _empty(axes, course)
    at_s = wave.at_s + cycles * CYCLE_S
    before = [m for m in course.moments if m.at_s <= at_s] or course.moments[:1]
    moment, places = before[-1], _places(course)
    connections(axes, course, moment, places, 0.5)
    for number, feed in enumerate(course.feeds):
        name = feed.plan.name
        x, y = places[name]
        status = moment.statuses.get(name)
        marks = next((m.marks[name] for m in reversed(before) if name in m.marks), None)
        if math.isinf(cycles):
            marks = course.final.get(name, marks)
        share = share_named(marks, wave.family)
        if status is None:
            axes.plot(x, y, marker="x", markersize=8, markeredgewidth=1.6, color=BAD, zorder=4)
            continue
        shade = PAPER if share is None else next(c for most, c, _ in SHADES if share < most)
        axes.plot(
            x, y, marker="s" if has(status, wave.family, OWN) else "o", markersize=10, zorder=3,
            markerfacecolor=shade, markeredgecolor=FAINT if share is None else INK,
            markeredgewidth=0.7,
        )  # fmt: skip
        if has(status, wave.family, OTHERS):
            axes.plot(
                x, y, marker="o", markersize=15, markerfacecolor="none", markeredgecolor=RING,
                markeredgewidth=1.8, zorder=2,
            )  # fmt: skip
        axes.text(
            x, y - 0.01, str(number % 2 + 1), ha="center", va="center_baseline", size=_LETTERS,
            color=INK if share is None else "#101418" if share >= 0.5 else "#f4f4f0", zorder=4,
        )  # fmt: skip


def _timed(axes: Axes, course: Course, wave: Wave) -> None:
    """The map of when: seconds at each gateway."""
    _empty(axes, course)
    for name, (x, y) in _places(course).items():
        after_s = wave.arrivals[name].learnt_after_s
        first = name == wave.origin
        text = "first" if first else "never" if after_s is None else f"{after_s:.1f}"
        axes.text(
            x, y, text, ha="center", va="center", size=_LETTERS, color=INK,
            weight="bold" if first else "normal",
        )  # fmt: skip
