"""The figures of the demo's report: models, false alarms, connections and traffic over time."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scenarios.demo.fleet import BUDGET, CYCLE_S
from scenarios.demo.marks import Marks
from scenarios.demo.record import END_S, KILL_S, QUIET_S, RETURN_S, Course, Moment
from scenarios.report.style import (
    BAD,
    FAINT,
    INK,
    PAPER,
    SERIES,
    Look,
    Plot,
    grid,
    legend_above,
    legend_columns,
    legend_height,
    panels,
)

MESH, ALONE = SERIES[2], SERIES[1]
SITES = {"hospital": SERIES[0], "factory": SERIES[1], "building": SERIES[2]}
DASHED = (0, (4, 1.5))

SECONDS = "seconds since the sensors began"
_SHADES = "Dotted: recordings with attacks begin. Red: {victim} is down."


def learning(course: Course, controls: dict[str, list[Marks]]) -> Plot:
    """Per gateway: attack flows named rightly over time, in the mesh and alone; and found."""
    alt = (
        "Share of kept-back attack flows over time, a panel for each gateway: named in the mesh, "
        "named alone, found in the mesh"
    )
    caption = f"Mean over families of the flows kept back. {_SHADES.format(victim=course.victim)}"
    return Plot("learning", "", alt, caption, partial(_learning, course, controls))


def false_alarms(course: Course) -> Plot:
    """False alarms of every gateway over time, against the budget."""
    alt = "Share of kept-back benign flows that alarm at each gateway over time"
    caption = f"Dashed line across: the budget. {_SHADES.format(victim=course.victim)}"

    def value(moment: Moment, name: str) -> float:
        found = moment.marks[name].false_alarms if name in moment.marks else None
        return math.nan if found is None else 100 * found

    build = partial(_over_time, course, value, "benign flows (%)", 100 * BUDGET, marked=True)
    return Plot("false-alarms", "", alt, caption, build)


def traffic(course: Course) -> Plot:
    """Bytes that each gateway sent, all of libp2p included, over time."""
    alt = "Bytes that each gateway sent over time"
    caption = f"All of libp2p's bytes; a restart counts from 0. Red: {course.victim} is down."

    def value(moment: Moment, name: str) -> float:
        found = moment.statuses.get(name)
        return math.nan if found is None else found.mesh.bytes_out / 1e3

    build = partial(_over_time, course, value, "sent (kB)", None, marked=False)
    return Plot("traffic", "", alt, caption, build)


def maps(course: Course) -> Plot:
    """Who is connected to whom: before one is killed, while it is down, and at the end."""
    moments = [
        ("before", at(course, KILL_S - 2)),
        (f"{course.victim} is down", at(course, RETURN_S - 1)),
        ("at the end", course.moments[-1]),
    ]
    alt = f"Open connections among the six gateways before {course.victim} was killed, while it "
    alt += "was down, and at the end"
    caption = "Lines are open connections, as the nodes report them. Hollow with a cross: down."
    return Plot("mesh", "", alt, caption, partial(_maps, course, moments))


def at(course: Course, at_s: float) -> Moment:
    """The look nearest to a time."""
    return min(course.moments, key=lambda moment: abs(moment.at_s - at_s))


def gateway_line(course: Course, name: str) -> dict[str, Any]:
    """How a gateway's line looks: its site's colour; a site's second gateway is dashed."""
    site = next(feed.plan.site for feed in course.feeds if feed.plan.name == name)
    second = [f.plan.name for f in course.feeds if f.plan.site == site].index(name) % 2
    return {"color": SITES[site], "linestyle": DASHED if second else "-"}


def _shade(axes: Axes, *, victim: bool) -> None:
    """When attacks begin, and while one gateway is down."""
    axes.axvline(QUIET_S, color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.axvspan(KILL_S, RETURN_S, color=BAD, alpha=0.22 if victim else 0.08, linewidth=0)


def _learning(course: Course, controls: dict[str, list[Marks]], look: Look) -> Figure:
    words = ["named, in the mesh", "named, alone", "found, in the mesh"]
    handles = [
        Line2D([], [], color=MESH, linewidth=2.0),
        Line2D([], [], color=ALONE, linewidth=1.4, linestyle=DASHED),
        Line2D([], [], color=MESH, linewidth=1.0, linestyle=":"),
    ]
    columns = 2 if look.narrow else 3
    # A site's two gateways: side by side where there are two columns, else one below the other.
    order = range(6) if look.narrow else (0, 2, 4, 1, 3, 5)
    drawn = grid(look, 6, columns, legend_height(words, look) + 0.04)
    for place, (axes, index) in enumerate(zip(drawn.axes, order, strict=True)):
        feed = course.feeds[index]
        name = feed.plan.name
        _shade(axes, victim=name == course.victim)
        times = [m.at_s for m in course.moments if m.marks]
        marks = [m.marks.get(name) for m in course.moments if m.marks]
        own = controls[name]
        own_times = [CYCLE_S * (i + 1) for i in range(len(own))]
        axes.plot(times, [_found(m) for m in marks], color=MESH, linewidth=1.0, linestyle=":")
        axes.plot(own_times, [_named(m) for m in own], color=ALONE, linewidth=1.4, linestyle=DASHED)
        axes.plot(times, [_named(m) for m in marks], color=MESH, linewidth=2.0)
        said = "labels" if feed.plan.labels else "no labels"
        title = f"{name}, {said}" if look.narrow else f"{name} ({feed.plan.sensor}, {said})"
        axes.set_title(title, loc="left", size=look.size, pad=4)
        axes.set_ylim(-4, 104)
        axes.set_xlim(0, END_S)
        axes.set_xticks(range(0, 100, 30))
        axes.tick_params(labelleft=place % columns == 0, labelbottom=place >= 6 - columns)
        if place % columns == 0:
            axes.set_ylabel("attack flows (%)")
        if place >= 6 - columns:
            axes.set_xlabel("seconds" if look.narrow else SECONDS)
    drawn.figure.legend(
        handles, words, loc="upper left", bbox_to_anchor=(drawn.left, 1.0),
        ncols=legend_columns(words, look), columnspacing=1.2,
    )  # fmt: skip
    return drawn.figure


def _over_time(
    course: Course, value: Callable[[Moment, str], float], axis: str, budget: float | None,
    look: Look, *, marked: bool,
) -> Figure:  # fmt: skip
    names = [feed.plan.name for feed in course.feeds]
    figure, (axes,) = panels(look, [1.8], top=legend_height(names, look) + 0.06)
    _shade(axes, victim=False)
    if budget is not None:
        axes.axhline(budget, color=INK, linewidth=0.9, linestyle=(0, (6, 3)))
    moments = [m for m in course.moments if m.marks or not marked]
    times = [moment.at_s for moment in moments]
    handles = [
        axes.plot(
            times, [value(moment, name) for moment in moments], linewidth=1.4,
            **gateway_line(course, name),
        )[0]
        for name in names
    ]  # fmt: skip
    axes.set_xlim(0, END_S)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(axis)
    axes.set_xlabel(SECONDS)
    legend_above(axes, handles, names, look)
    return figure


def _maps(course: Course, moments: list[tuple[str, Moment]], look: Look) -> Figure:
    columns = 1 if look.narrow else 3
    rows = len(moments) // columns
    width, title = look.width / columns, 0.03 * look.size
    height = min(0.72 * width, 1.9)
    whole = rows * (height + title)
    figure = Figure(figsize=(look.width, whole))
    for number, (words, moment) in enumerate(moments):
        row, column = divmod(number, columns)
        y = whole - (row + 1) * (height + title)
        box = (column / columns, y / whole, 1 / columns, height / whole)
        axes = figure.add_axes(box)
        _map(axes, course, moment)
        axes.set_title(f"{words} ({moment.at_s:.0f} s)", size=look.size, pad=2)
    return figure


def _map(axes: Axes, course: Course, moment: Moment) -> None:
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-2.1, 2.1)
    axes.set_ylim(-1.4, 1.4)
    places = hexagon(course)
    connections(axes, course, moment, places, 0.8)
    for feed in course.feeds:
        name = feed.plan.name
        x, y = places[name]
        up = name in moment.statuses
        colour = SITES[feed.plan.site]
        axes.plot(
            x, y, marker="o", markersize=10, markeredgewidth=1.5, zorder=2,
            markerfacecolor=colour if up else PAPER, markeredgecolor=colour if up else BAD,
        )  # fmt: skip
        if not up:
            axes.plot(x, y, marker="x", markersize=6, color=BAD, zorder=3)
        side = "center" if abs(x) < 0.1 else "left" if x > 0 else "right"
        axes.text(1.22 * x, 1.22 * y, name, ha=side, va="center")


def hexagon(course: Course) -> dict[str, tuple[float, float]]:
    """Places of gateways on a circle of radius 1, the first at the top."""
    turn = 2 * math.pi / len(course.feeds)
    return {
        f.plan.name: (math.sin(i * turn), math.cos(i * turn)) for i, f in enumerate(course.feeds)
    }


def connections(
    axes: Axes, course: Course, moment: Moment, places: dict[str, tuple[float, float]], width: float
) -> None:
    """A line for each open connection between gateways that are up."""
    # A peer's own name for itself may come from any look: it never changes.
    who = {s.peer: n for m in course.moments for n, s in m.statuses.items()}
    pairs = {
        (min(name, other), max(name, other)): None
        for name, status in moment.statuses.items()
        for peer in status.mesh.peers
        if peer.connected and (other := who.get(peer.peer)) in moment.statuses and other is not None
    }
    for one, other in pairs:
        (x, y), (u, v) = places[one], places[other]
        axes.plot([x, u], [y, v], color=FAINT, alpha=0.5, linewidth=width, zorder=1)


def _named(marks: Marks | None) -> float:
    return math.nan if marks is None or marks.mean is None else 100 * marks.mean.named


def _found(marks: Marks | None) -> float:
    return math.nan if marks is None or marks.mean is None else 100 * marks.mean.found
