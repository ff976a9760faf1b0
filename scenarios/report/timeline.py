"""Who was up, in how many parts the mesh was, and what was done to it; and time axes for all."""

from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scenarios.measures.samples import Sample
from scenarios.report.story import ROWS_MAX, Row, Story
from scenarios.report.style import (
    BAD,
    FAINT,
    INK,
    SERIES,
    Look,
    Plot,
    label,
    panels,
)
from scenarios.runs.results import Result

COLOURS = {
    "partition": FAINT,
    "outage": BAD,
    "rule": SERIES[4],
    "event": SERIES[0],
    "attack": SERIES[1],
}
MARKS_MAX = 30
"""More moments than this behind a curve would be a hatching."""


def time_axis(axes: Axes, story: Story, *, last: bool) -> None:
    """Simulated time from 0 to the end, what happened shaded behind; named at the last panel."""
    unit = story.clock
    for kind, start_us, end_us in story.shades():
        axes.axvspan(
            unit.of(start_us), unit.of(end_us), color=COLOURS[kind], alpha=0.16, linewidth=0
        )
    moments = story.marks()
    if len(moments) <= MARKS_MAX:
        for at_us in moments:
            axes.axvline(unit.of(at_us), color=FAINT, linewidth=0.7, linestyle=(0, (1, 2)))
    axes.set_xlim(0.0, unit.of(story.end_us))
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 5, 6, 10]))
    axes.tick_params(labelbottom=last)
    if last:
        axes.set_xlabel(f"simulated time ({unit.unit})")


def timeline(result: Result, story: Story) -> Plot:
    """The figure of faults: peers up, parts, and a line for each fault."""
    rows = story.rows
    exact = "at every coming and going" if story.exact else "at the samples"
    caption = f"Peers up {exact}; pieces that the mesh was in, at the samples."
    if rows:
        caption += (
            " Below: what the scenario does to the mesh. The shades of partitions (grey) and of "
            "groups that are all down (red), and dotted lines for events, stand behind the curves "
            "below, too."
        )
    if len(rows) > ROWS_MAX:
        caption += f" {len(rows) - ROWS_MAX} further faults are in the list only."
    alt = (
        f"Peers up and parts of the mesh over {story.clock.of(story.end_us):g} "
        f"{story.clock.unit}, with {len(rows)} faults on the same time axis"
    )
    return Plot("timeline", "", alt, caption, partial(_timeline, result.samples, story))


def _timeline(samples: tuple[Sample, ...], story: Story, look: Look) -> Figure:
    rows = story.rows[:ROWS_MAX]
    each = 0.033 * look.size
    heights = [1.3, 0.7, *([each * len(rows)] if rows else [])]
    figure, axes = panels(look, heights, gap=0.2)
    top, below = axes[:2]
    unit = story.clock
    times, counts = [unit.of(at) for at, _ in story.up], [count for _, count in story.up]
    if story.exact:
        top.plot(times, counts, color=INK, linewidth=1.3, drawstyle="steps-post")
    else:
        top.plot(times, counts, color=INK, linewidth=1.3, marker="o", markersize=2.5)
    top.set_ylim(0, max([1, *counts]) * 1.08)
    top.set_ylabel("peers up")
    at = [unit.of(sample.at_us) for sample in samples]
    parts = [sample.parts for sample in samples]
    below.plot(at, parts, color=INK, linewidth=1.0, marker="o", markersize=2.5)
    below.set_ylim(0, max([2, *parts]) * 1.15)
    below.set_ylabel("parts")
    for one in (top, below):
        one.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        time_axis(one, story, last=one is axes[-1])
    figure.align_ylabels([top, below])
    if rows:
        time_axis(axes[2], story, last=True)
        _faults(axes[2], rows, story, look)
    return figure


def _faults(axes: Axes, rows: tuple[Row, ...], story: Story, look: Look) -> None:
    unit = story.clock
    whole = unit.of(story.end_us)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    letters = int((look.width - 0.9) / (0.0085 * look.size))
    for number, row in enumerate(rows):
        colour = COLOURS[row.kind]
        for start_us, end_us in row.spans:
            start, end = unit.of(start_us), unit.of(end_us)
            if start_us == end_us:
                axes.plot([start], [number + 0.75], marker="v", markersize=4, color=colour)
            else:
                axes.barh(number + 0.78, end - start, 0.26, left=start, color=colour)
        first = unit.of(row.spans[0][0]) if row.spans else 0.0
        text = label(row.name if row.spans else f"{row.name} (never)", most=letters)
        # Words that would leave the picture at the right end where their span begins.
        room = (1.0 - first / whole) * (look.width - 0.9)
        right = len(text) * 0.0085 * look.size > room and first > whole / 3
        axes.text(
            first + (-0.003 if right else 0.003) * whole, number + 0.56, text,
            ha="right" if right else "left", va="bottom",
            size=look.size - 1.0,
        )  # fmt: skip
