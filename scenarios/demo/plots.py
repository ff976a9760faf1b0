"""The plots of the demo's report, as SVG text to be put into a page.

Text and axes are drawn in the page's own colour, so that they read on light and on dark.
"""

import math

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.demo.course import END_S, KILL_S, QUIET_S, RETURN_S, Course, Moment
from scenarios.demo.fleet import BUDGET, CYCLE_S
from scenarios.demo.marks import Marks
from scenarios.report.style import STYLE, svg

INK = "#010203"  # stands for the page's text colour until the SVG is written
MESH = "#2f8f5b"
ALONE = "#c2702a"
LOST = "#c0392b"
SITES = {"hospital": "#3b7dd8", "factory": "#b0892c", "building": "#8e5bb5"}

_STYLE = STYLE | {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def _svg(figure: Figure) -> str:
    return svg(figure, {INK: "currentColor"})


def _shade(axes: Axes, victim: bool) -> None:
    """When attacks begin, and while one gateway is down."""
    axes.axvline(QUIET_S, color=INK, linewidth=0.6, linestyle=":")
    axes.axvspan(KILL_S, RETURN_S, color=LOST, alpha=0.25 if victim else 0.08, linewidth=0)


def learning(course: Course, controls: dict[str, list[Marks]]) -> str:
    """Per gateway: attack flows named rightly over time, in the mesh and alone; and found."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 5.2), layout="constrained")
        grid = figure.subplots(2, 3, sharex=True, sharey=True)
        order = [0, 2, 4, 1, 3, 5]  # a site's two gateways one below the other
        for axes, index in zip(grid.flat, order, strict=True):
            feed = course.feeds[index]
            name = feed.plan.name
            _shade(axes, victim=name == course.victim)
            times, marks = _times(course, name)
            own = controls[name]
            own_times = [CYCLE_S * (i + 1) for i in range(len(own))]
            axes.plot(times, _found(marks), color=MESH, linewidth=1, linestyle=":")
            axes.plot(own_times, _named(own), color=ALONE, linewidth=1.4, linestyle="--")
            axes.plot(times, _named(marks), color=MESH, linewidth=2)
            said = "attack labels" if feed.plan.labels else "no labels"
            axes.set_title(f"{name}  ({feed.plan.sensor}, {said})", fontsize=9, loc="left")
            axes.set_ylim(-4, 104)
            axes.set_xlim(0, END_S)
        for axes in grid[1]:
            axes.set_xlabel("seconds since the sensors began")
        for axes in grid[:, 0]:
            axes.set_ylabel("% of attack flows")
        lines = [
            figure.axes[0].plot([], [], color=MESH, linewidth=2)[0],
            figure.axes[0].plot([], [], color=ALONE, linewidth=1.4, linestyle="--")[0],
            figure.axes[0].plot([], [], color=MESH, linewidth=1, linestyle=":")[0],
        ]
        words = [
            "named rightly, in the mesh",
            "named rightly, alone",
            "found anomalous, in the mesh",
        ]
        figure.legend(lines, words, loc="outside lower center", ncols=3, frameon=False)
        return _svg(figure)


def false_alarms(course: Course) -> str:
    """False alarms of every gateway over time, against the budget."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 2.6), layout="constrained")
        axes = figure.subplots()
        _shade(axes, victim=False)
        axes.axhline(100 * BUDGET, color=INK, linewidth=1, linestyle="--")
        axes.text(1, 100 * BUDGET, " budget", va="bottom")
        for number, feed in enumerate(course.feeds):
            times, marks = _times(course, feed.plan.name)
            shares = [math.nan if m.false_alarms is None else 100 * m.false_alarms for m in marks]
            style = "-" if number % 2 == 0 else "-."
            axes.plot(times, shares, style, color=SITES[feed.plan.site], label=feed.plan.name)
        axes.set_xlim(0, END_S)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("% of benign flows")
        axes.set_xlabel("seconds since the sensors began")
        figure.legend(loc="outside right upper", frameon=False)
        return _svg(figure)


def maps(course: Course) -> str:
    """Who is connected to whom: before one is killed, while it is down, and at the end."""
    moments = [
        ("before", _at(course, KILL_S - 2)),
        (f"{course.victim} is down", _at(course, RETURN_S - 1)),
        ("at the end", course.moments[-1]),
    ]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 3.4), layout="constrained")
        for axes, (title, moment) in zip(figure.subplots(1, 3), moments, strict=True):
            _map(axes, course, moment)
            axes.set_title(f"{title}  ({moment.at_s:.0f} s)", fontsize=9)
        return _svg(figure)


def _map(axes: Axes, course: Course, moment: Moment) -> None:
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-1.75, 1.75)
    axes.set_ylim(-1.35, 1.35)
    names = [feed.plan.name for feed in course.feeds]
    turn = 2 * math.pi / len(names)
    places = {n: (math.sin(i * turn), math.cos(i * turn)) for i, n in enumerate(names)}
    # A peer's own name for itself may come from any look: it never changes.
    who = {s.peer: n for m in course.moments for n, s in m.statuses.items()}
    for name, status in moment.statuses.items():
        for peer in status.mesh.peers:
            other = who.get(peer.peer)
            if peer.connected and other is not None and other in moment.statuses:
                (x, y), (u, v) = places[name], places[other]
                axes.plot([x, u], [y, v], color=INK, alpha=0.35, linewidth=0.9, zorder=1)
    for feed in course.feeds:
        name = feed.plan.name
        x, y = places[name]
        up = name in moment.statuses
        axes.scatter(
            [x], [y], s=170, zorder=2, linewidths=1.6,
            color=SITES[feed.plan.site] if up else "none",
            edgecolors=SITES[feed.plan.site] if up else LOST,
        )  # fmt: skip
        if not up:
            axes.scatter([x], [y], s=60, marker="x", color=LOST, zorder=3)
        axes.annotate(
            name, (x, y), (1.22 * x, 1.22 * y), ha="center" if abs(x) < 0.1 else
            ("left" if x > 0 else "right"), va="center", fontsize=8,
        )  # fmt: skip


def traffic(course: Course) -> str:
    """Bytes that each gateway sent, all of libp2p included, over time."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 2.6), layout="constrained")
        axes = figure.subplots()
        _shade(axes, victim=False)
        for number, feed in enumerate(course.feeds):
            name = feed.plan.name
            seen = [(m.at_s, m.statuses.get(name)) for m in course.moments]
            times = [at for at, _ in seen]
            sent = [math.nan if s is None else s.mesh.bytes_out / 1e3 for _, s in seen]
            style = "-" if number % 2 == 0 else "-."
            axes.plot(times, sent, style, color=SITES[feed.plan.site], label=name)
        axes.set_xlim(0, END_S)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("kB sent")
        axes.set_xlabel("seconds since the sensors began (a restart counts from 0)")
        figure.legend(loc="outside right upper", frameon=False)
        return _svg(figure)


def _times(course: Course, name: str) -> tuple[list[float], list[Marks]]:
    seen = [(m.at_s, m.marks[name]) for m in course.moments if name in m.marks]
    return [at for at, _ in seen], [marks for _, marks in seen]


def _named(marks: list[Marks]) -> list[float]:
    return [math.nan if m.mean is None else 100 * m.mean.named for m in marks]


def _found(marks: list[Marks]) -> list[float]:
    return [math.nan if m.mean is None else 100 * m.mean.found for m in marks]


def _at(course: Course, at_s: float) -> Moment:
    return min(course.moments, key=lambda moment: abs(moment.at_s - at_s))
