"""What models are worth over time: the mesh and each of its groups, with the spread over peers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scenarios.measures.samples import Sample, Spread
from scenarios.report.story import Story
from scenarios.report.style import (
    DASHES,
    FAINT,
    INK,
    SERIES,
    Look,
    Plot,
    grid,
    label,
    legend_above,
    legend_columns,
    legend_height,
    panels,
)
from scenarios.report.timeline import time_axis

POINTS_MAX = 250
"""Moments along a curve. A figure is some 700 points wide, and more would only make it larger."""
GROUPS_MAX = len(SERIES)
BANDS_MAX = 2
"""Groups whose spread is drawn: more bands lie upon each other."""
FAMILIES_MAX = 12

ALL = "all peers"

BY_THRESHOLD = ("detection", "false_alarms")
"""Measures that say nothing of a model without a threshold."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How one measure is drawn.

    Args:
        key: in `Sample.metrics`.
        title: in words.
        means: what it is, for a caption.
        axis: name of the axis, with its unit.
        unit: a value of 1 on that axis.
        whole: whether the axis always goes from 0 to all.
    """

    key: str
    title: str
    means: str
    axis: str
    unit: float = 100.0
    whole: bool = True


MEASURES = (
    Measure(
        "detection", "Detection",
        "attack rows above the threshold that a peer calibrated for itself",
        "attack rows (%)",
    ),
    Measure(
        "false_alarms", "False alarms",
        "benign test rows above that threshold; the dashed line is the budget",
        "benign rows (%)", whole=False,
    ),
    Measure(
        "detection_1", "Detection at 1 % false alarms",
        "attack rows above the threshold that lets 1 % of the peer's own benign test rows alarm",
        "attack rows (%)",
    ),
    Measure(
        "detection_01", "Detection at 0.1 % false alarms",
        "attack rows above the threshold that lets 0.1 % of the peer's own benign test rows alarm",
        "attack rows (%)",
    ),
    Measure(
        "auc", "AUC",
        "probability that an attack row scores above a benign one; 0.5 is chance",
        "AUC", unit=1.0,
    ),
    Measure(
        "macro_f1", "Macro-F1", "mean of F1 over the families in a peer's test rows",
        "macro-F1", unit=1.0,
    ),
    Measure(
        "accuracy", "Accuracy",
        "test rows whose likeliest family is the true one, whatever the threshold",
        "test rows (%)",
    ),
)  # fmt: skip


def thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    """At most `POINTS_MAX` samples, evenly spread, the first and the last among them."""
    if len(samples) <= POINTS_MAX:
        return samples
    picked = np.unique(np.linspace(0, len(samples) - 1, POINTS_MAX).round().astype(int))
    return [samples[place] for place in picked]


def groups_of(samples: Sequence[Sample]) -> list[str]:
    """Names of all groups that were ever judged."""
    return sorted({name for sample in samples for name in sample.groups})


def curves(samples: Sequence[Sample], story: Story, budget: float) -> tuple[list[Plot], list[str]]:
    """A figure for each measure; and why some have none."""
    samples = thinned(samples)
    plots, missing = [], []
    for measure in MEASURES:
        if measure.key in BY_THRESHOLD and not any(sample.calibrated for sample in samples):
            missing.append(f"{measure.title}: no judged peer ever had a threshold.")
            continue
        if not _known(samples, measure.key):
            missing.append(f"{measure.title}: no judged peer has test rows enough for it.")
            continue
        caption = f"{measure.means[0].upper()}{measure.means[1:]}. {_reading(samples)}"
        last = samples[-1].metrics[measure.key]
        alt = (
            f"{measure.title} over simulated time; at the end the mean over {last.n} peers is "
            f"{last.mean * measure.unit:.3g} and the worst {last.worst * measure.unit:.3g} "
            f"({measure.axis})"
        )
        build = partial(_curves, samples, story, measure, budget)
        plots.append(Plot(measure.key.replace("_", "-"), measure.title, alt, caption, build))
    return plots, missing


def families(samples: Sequence[Sample], story: Story) -> tuple[Plot | None, list[str]]:
    """Detection of each family, in panels of their own."""
    if not any(sample.calibrated for sample in thinned(samples)):
        return None, ["Detection by family: no judged peer ever had a threshold."]
    return _by_family(samples, story, "families", "detection", "Detection")


def naming(samples: Sequence[Sample], story: Story) -> tuple[Plot | None, list[str]]:
    """Rows of each family that are given its name, in panels of their own."""
    return _by_family(samples, story, "named", "named", "Naming")


def _by_family(
    samples: Sequence[Sample], story: Story, plot: str, measure: str, title: str
) -> tuple[Plot | None, list[str]]:
    samples = thinned(samples)
    keys = dict.fromkeys(
        key for sample in samples for key in sample.metrics if key.startswith(f"{measure}:")
    )
    names = [key for key in keys if _known(samples, key)]
    if len(names) < 2:
        why = "of one family only" if names else "of no family"
        return None, [f"{title} by family: judged peers have test rows {why}."]
    left_out = names[FAMILIES_MAX:]
    caption = f"{title} of each family of attacks. {_reading(samples)}"
    if left_out:
        caption += f" Left out: {', '.join(key.partition(':')[2] for key in left_out)}."
    alt = f"{title} over simulated time for {len(names)} families of attacks, a panel each"
    build = partial(_families, samples, story, names[:FAMILIES_MAX])
    return Plot(plot, f"{title} by family", alt, caption, build), []


def consensus(samples: Sequence[Sample], story: Story) -> tuple[Plot | None, list[str]]:
    """How far the peers' models are from each other."""
    samples = thinned(samples)
    if not any(sample.consensus > 0.0 for sample in samples):
        return None, ["Consensus distance: it was never measured above zero."]
    alt = "Consensus distance over simulated time, on a logarithmic axis"
    caption = (
        "Consensus distance: root of the mean squared distance of the models of all that are up "
        "from their mean. The axis is logarithmic."
    )
    return Plot("consensus", "", alt, caption, partial(_consensus, samples, story)), []


def _reading(samples: Sequence[Sample]) -> str:
    groups = groups_of(samples)
    text = "Thick line: mean over judged peers; band: from the mean to the worst tenth; thin line: "
    text += "worst peer."
    if len(groups) > BANDS_MAX:
        text += " Groups: means only."
    if len(groups) > GROUPS_MAX:
        text += f" {len(groups) - GROUPS_MAX} more groups are in the table only."
    return text


def _known(samples: Sequence[Sample], key: str) -> bool:
    return any(key in sample.metrics and sample.metrics[key].n for sample in samples)


def _spreads(samples: Sequence[Sample], key: str, group: str) -> list[Spread]:
    nothing = Spread(float("nan"), float("nan"), float("nan"), 0)
    owners: list[Mapping[str, Spread]] = [
        sample.metrics if group == ALL else sample.groups.get(group, {}) for sample in samples
    ]
    return [owner.get(key, nothing) for owner in owners]


def _consensus(samples: Sequence[Sample], story: Story, look: Look) -> Figure:
    figure, (axes,) = panels(look, [1.6])
    times = [story.clock.of(sample.at_us) for sample in samples]
    apart = [sample.consensus if sample.consensus > 0 else float("nan") for sample in samples]
    axes.plot(times, apart, color=INK, linewidth=1.4, **_dots(samples))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # 10, not 10 to the 1
    _few_decades(axes, [each for each in apart if not isnan(each)])
    axes.set_ylabel("distance")
    time_axis(axes, story, last=True)
    return figure


def _few_decades(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis over less than a decade has one number or none: give it more room."""
    low, high = min(values), max(values)
    if high / low < 30.0:
        middle = (high * low) ** 0.5
        axes.set_ylim(min(low / 1.3, middle / 8.0), max(high * 1.3, middle * 8.0))


def _curves(
    samples: Sequence[Sample], story: Story, measure: Measure, budget: float, look: Look
) -> Figure:
    names = [ALL, *groups_of(samples)[:GROUPS_MAX]]
    labels = [label(name) for name in names]
    room = legend_height(labels, look) if len(names) > 1 else 0.08
    figure, (axes,) = panels(look, [1.9], top=room + 0.04)
    handles = [
        line
        for name in names
        for line in _draw(axes, samples, story, measure.key, name, measure.unit, names)
    ]
    if measure.key == "false_alarms":
        axes.axhline(100.0 * budget, color=FAINT, linewidth=0.9, linestyle="--")
    scale(axes, measure)
    time_axis(axes, story, last=True)
    if len(names) > 1:
        legend_above(axes, handles, labels, look)
    return figure


def _draw(
    axes: Axes, samples: Sequence[Sample], story: Story, key: str, name: str, unit: float,
    names: Sequence[str],
) -> list[Any]:  # fmt: skip
    """One group's mean, and its band and worst where there is room; gives the mean's line."""
    number = names.index(name)
    colour = INK if name == ALL else SERIES[(number - 1) % len(SERIES)]
    dash = "-" if name == ALL else DASHES[(number - 1) % len(DASHES)]
    times = [story.clock.of(sample.at_us) for sample in samples]
    spreads = _spreads(samples, key, name)
    mean = np.array([each.mean for each in spreads]) * unit
    alone = len(names) == 1
    if (
        alone
        or (name != ALL and len(names) <= BANDS_MAX + 1)
        or (name == ALL and len(names) > BANDS_MAX + 1)
    ):
        tenth = np.array([each.tenth for each in spreads]) * unit
        worst = np.array([each.worst for each in spreads]) * unit
        axes.fill_between(times, mean, tenth, color=colour, alpha=0.2, linewidth=0)
        axes.plot(times, worst, color=colour, linewidth=0.6)
    return list(
        axes.plot(times, mean, color=colour, linewidth=1.6, linestyle=dash, **_dots(samples))
    )


def _dots(samples: Sequence[Sample]) -> dict[str, Any]:
    """Few samples are shown as such, and a single one would else be no line at all."""
    return {"marker": "o", "markersize": 2.5} if len(samples) <= 25 else {}


def scale(axes: Axes, measure: Measure) -> None:
    """Name the vertical axis and give it honest bounds."""
    axes.set_ylabel(measure.axis)
    if not measure.whole:
        axes.set_ylim(bottom=0.0)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        return
    low = 0.0
    if measure.key == "auc" and axes.dataLim.ymin >= 0.5:
        low = 0.5
    axes.set_ylim(low * measure.unit, measure.unit)
    axes.margins(y=0)
    for line in axes.lines:
        line.set_clip_on(False)  # a line along the edge is not cut in half


def _families(samples: Sequence[Sample], story: Story, keys: Sequence[str], look: Look) -> Figure:
    names = [ALL, *groups_of(samples)[:GROUPS_MAX]]
    columns = 1 if look.narrow and len(keys) <= 3 else 2 if look.narrow or len(keys) <= 2 else 3
    labels = [label(name) for name in names]
    room = legend_height(labels, look) + 0.02 if len(names) > 1 else 0.05
    drawn = grid(look, len(keys), columns, room)
    handles: list[Any] = []
    for number, (axes, key) in enumerate(zip(drawn.axes, keys, strict=True)):
        handles = [
            line for name in names for line in _draw(axes, samples, story, key, name, 100.0, names)
        ]
        axes.set_title(label(key.partition(":")[2]), loc="left", size=look.size, pad=4)
        axes.set_ylim(0, 100)
        for line in axes.lines:
            line.set_clip_on(False)
        time_axis(axes, story, last=number + columns >= len(keys))
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 3, 5, 6, 10]))
        axes.tick_params(labelleft=number % columns == 0)
        if number % columns == 0:
            axes.set_ylabel("attack rows (%)")
    if len(names) > 1:
        drawn.figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(drawn.left, 1.0),
            ncols=legend_columns(labels, look),
            columnspacing=1.2,
        )  # fmt: skip
    return drawn.figure
