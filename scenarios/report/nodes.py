"""What nodes sent and whom they know, and what single peers are worth at the end."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from node.config.quantities import format_duration
from scenarios.measures.samples import JudgedPeer, Sample
from scenarios.report.curves import ALL, thinned
from scenarios.report.story import Story
from scenarios.report.style import (
    DASHES,
    INK,
    SERIES,
    Look,
    Plot,
    label,
    legend_above,
    legend_height,
    panels,
)
from scenarios.report.timeline import time_axis
from scenarios.runs.results import Result


def unit_of(most: float) -> tuple[str, float]:
    """The unit of bytes in which the largest number has one to three digits, and its size."""
    for name, size in ("GB", 1e9), ("MB", 1e6), ("kB", 1e3):
        if most >= size:
            return name, size
    return "B", 1.0


def traffic(result: Result, story: Story) -> tuple[list[Plot], list[str]]:
    """Bytes over time, and how they are spread over nodes."""
    sent, received = np.array(result.bytes_sent), np.array(result.bytes_received)
    most = float(max(sent.max(initial=0), received.max(initial=0)))
    if not most:
        return [], ["Bytes: nobody sent any."]
    plots = []
    name, size = unit_of(most)
    samples = thinned(result.samples)
    if samples:
        alt = f"Bytes that a node has sent since the start, over simulated time, in {name}"
        caption = (
            "Bytes that a node has sent since the start; thick: mean over all nodes, up or not; "
            "band: from the mean to the tenth that sent most; thin: the one that sent most."
        )
        build = partial(_sent, samples, story, name, size)
        plots.append(Plot("bytes", "Sent over time", alt, caption, build))
    alt = (
        f"How many nodes sent and received how many bytes in all; the mean is "
        f"{sent.mean() / size:.3g} {name} sent and {received.mean() / size:.3g} {name} received"
    )
    caption = "Bytes of the whole run by node: how many nodes sent and received how much."
    kinds = {"sent": sent, "received": received}
    if result.wire_sent:
        kinds["sent on sockets"] = np.array(result.wire_sent)
        caption += " On sockets: with handshakes and multiplexer."
    plots.append(
        Plot("bytes-by-node", "By node", alt, caption, partial(_by_node, kinds, name, size))
    )
    return plots, []


def _sent(samples: Sequence[Sample], story: Story, name: str, size: float, look: Look) -> Figure:
    figure, (axes,) = panels(look, [1.6])
    spreads = [sample.metrics["bytes_per_peer"] for sample in samples]
    times = [0.0, *(story.clock.of(sample.at_us) for sample in samples)]
    mean = np.array([0.0, *(each.mean for each in spreads)]) / size
    tenth = np.array([0.0, *(each.tenth for each in spreads)]) / size
    worst = np.array([0.0, *(each.worst for each in spreads)]) / size
    axes.fill_between(times, mean, tenth, color=SERIES[0], alpha=0.25, linewidth=0)
    axes.plot(times, worst, color=SERIES[0], linewidth=0.6)
    axes.plot(times, mean, color=SERIES[0], linewidth=1.6)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel(f"sent ({name})")
    time_axis(axes, story, last=True)
    return figure


def _by_node(kinds: Mapping[str, np.ndarray], name: str, size: float, look: Look) -> Figure:
    labels = list(kinds)
    figure, (axes,) = panels(look, [1.6], top=legend_height(labels, look) + 0.04)
    every = np.concatenate(list(kinds.values())) / size
    low, high = float(every.min()), float(every.max())
    if high - low < 0.05 * high:  # all alike: one bar, not a heap of noise
        low, high = low - 0.05 * high, high + 0.05 * high
    bins = np.linspace(low, high, min(31, max(6, len(every) // 4)))
    handles = []
    for number, values in enumerate(kinds.values()):
        counts, _ = np.histogram(values / size, bins)
        colour = SERIES[number]
        axes.stairs(counts, bins, fill=True, color=colour, alpha=0.18)
        handles.append(
            axes.stairs(counts, bins, color=colour, linewidth=1.3, linestyle=DASHES[number])
        )
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("nodes")
    if low < high / 3.0:
        axes.set_xlim(left=0.0)
    axes.set_xlabel(f"bytes of the whole run ({name})")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    legend_above(axes, handles, labels, look)
    return figure


def degrees(samples: Sequence[Sample]) -> tuple[Plot | None, list[str]]:
    """Sizes of views and in-degrees at the first, middle and last sample."""
    known = [sample for sample in samples if sample.view_sizes or sample.in_degrees]
    if not known:
        return None, ["Views and in-degrees: this engine has no views, or nobody was up."]
    picked = sorted({0, len(known) // 2, len(known) - 1})
    shown = [known[place] for place in picked]
    at = ", ".join(format_duration(sample.at_us) for sample in shown)
    caption = (
        "How many peers a peer knows (its view, dead ones included), and to how many that are up "
        "it is known (its in-degree), as shares of the peers that are up."
    )
    alt = f"Distribution of view sizes and of in-degrees at {at}"
    return Plot("degrees", "", alt, caption, partial(_degrees, shown)), []


def _degrees(samples: Sequence[Sample], look: Look) -> Figure:
    labels = [f"at {format_duration(sample.at_us)}" for sample in samples]
    figure, found = panels(
        look, [1.3, 1.3], top=legend_height(labels, look) + 0.04, gap=0.05 + 0.06 * look.size
    )
    for axes, field, title in zip(
        found, ("view_sizes", "in_degrees"), ("peers in the view", "in-degree (peers)"), strict=True
    ):
        counts: list[dict[int, int]] = [getattr(sample, field) for sample in samples]
        handles = _distribution(axes, counts)
        axes.set_xlabel(title)
        axes.set_ylabel("peers (%)")
        axes.set_ylim(bottom=0.0)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_locator(MaxNLocator(6 if look.narrow else 12, integer=True))
        if field == "view_sizes":
            legend_above(axes, handles, labels, look)
    return figure


def _distribution(axes: Axes, counts: Sequence[Mapping[int, int]]) -> list[object]:
    values = [value for each in counts for value in each]
    low, high = min(values, default=0), max(values, default=1)
    step = max(1, -(-(high - low + 1) // 60))  # a hub's in-degree may be in the thousands
    edges = np.arange(low, high + step + 1, step) - 0.5
    handles: list[object] = []
    for number, each in enumerate(counts):
        found, _ = np.histogram(list(each), edges, weights=list(each.values()))
        shares = 100.0 * found / max(1, sum(each.values()))
        colour = SERIES[number]
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.12)
        handles.append(
            axes.stairs(shares, edges, color=colour, linewidth=1.4, linestyle=DASHES[number])
        )
    middle, reach = (low + high) / 2.0, max(6.0, (high - low) / 2.0 + 1.0)
    axes.set_xlim(max(-0.5, middle - reach), middle + reach)  # a single bar is no wall
    return handles


def peers(
    judged: Sequence[JudgedPeer], groups: Mapping[str, Sequence[int]]
) -> tuple[Plot | None, list[str]]:
    """Each judged peer of the last sample: detection against false alarms."""
    last_us = max((row.at_us for row in judged), default=0)
    rows = [
        row
        for row in judged
        if row.at_us == last_us and row.judgement.calibrated
        and not np.isnan(row.judgement.detection) and not np.isnan(row.judgement.false_alarms)
    ]  # fmt: skip
    if not rows:
        return None, ["Single peers at the end: no judged peer has a threshold of its own."]
    caption = (
        f"Judged peers at {format_duration(last_us)}: the share of them at or below each value of "
        "what they detect by their own threshold (the further right, the better), and of what that "
        "costs (the further left, the better)."
    )
    if not any(row.judgement.false_alarms for row in rows):
        caption = (
            f"Judged peers at {format_duration(last_us)}: the share of them at or below each value "
            "of what they detect by their own threshold; the further right, the better. None of "
            "them has a false alarm."
        )
    alt = f"Cumulative distribution of detection over {len(rows)} peers at the end"
    build = partial(_peers, rows, groups)
    return Plot("peers", "Single peers at the end", alt, caption, build), []


def _peers(rows: Sequence[JudgedPeer], groups: Mapping[str, Sequence[int]], look: Look) -> Figure:
    owner = owners(groups)
    names = sorted({owner.get(row.peer, ALL) for row in rows}, key=lambda name: (name == ALL, name))
    labels = ["other peers" if name == ALL else label(name) for name in names]
    single = names == [ALL]
    top = 0.12 if single else legend_height(labels, look) + 0.04
    alarming = any(row.judgement.false_alarms for row in rows)
    fields = ("detection", "false_alarms") if alarming else ("detection",)
    figure, both = panels(look, [1.3] * len(fields), top=top, gap=0.05 + 0.06 * look.size)
    for axes, field in zip(both, fields, strict=True):
        handles = []
        for number, name in enumerate(names):
            own = sorted(
                100.0 * getattr(row.judgement, field)
                for row in rows if owner.get(row.peer, ALL) == name
            )  # fmt: skip
            shares = np.linspace(0.0, 100.0, len(own) + 1)
            handles += axes.plot(
                [own[0], *own], shares, drawstyle="steps-post", linewidth=1.4,
                color=INK if name == ALL else SERIES[number % len(SERIES)],
                linestyle="-" if name == ALL else DASHES[number % len(DASHES)],
            )  # fmt: skip
        axes.set_ylim(0, 104)
        axes.set_ylabel("peers (%)")
        if field == "detection":
            axes.set_xlim(0, 101)  # peers that find everything are no part of the frame
            axes.set_xlabel("detection (% of attack rows)")
            if not single:
                legend_above(axes, handles, labels, look)
        else:
            highest = max(row.judgement.false_alarms for row in rows)
            axes.set_xlim(0.0, max(0.1, 105.0 * highest))
            axes.set_xlabel("false alarms (% of benign rows)")
    return figure


def owners(groups: Mapping[str, Sequence[int]], most: int = len(SERIES)) -> dict[int, str]:
    """For each peer the first group that it is in, of at most so many groups."""
    found: dict[int, str] = {}
    for name in sorted(groups)[:most]:
        for peer in groups[name]:
            found.setdefault(peer, name)
    return found
