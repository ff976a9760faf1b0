"""The report of several runs: one scenario with several seeds, or a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gossip.errors import ConfigError, StateError
from node.config.quantities import format_duration
from node.config.tables import from_table
from scenarios.measures import named
from scenarios.measures.named import Metric
from scenarios.measures.samples import Sample
from scenarios.measures.seeds import Over, over
from scenarios.report import words
from scenarios.report.curves import MEASURES, Measure, scale, thinned
from scenarios.report.nodes import unit_of
from scenarios.report.parts import boxed, folded, listed, paragraph, table, verdict
from scenarios.report.run import SCENARIO, scenario_of
from scenarios.report.single import FOLDED_FROM, Piece, Report, Section, described, repeated
from scenarios.report.story import Story, story
from scenarios.report.style import (
    DASHES,
    FAINT,
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
from scenarios.report.toml import written
from scenarios.runs.expectations import verdicts
from scenarios.runs.results import RESULT, Result
from scenarios.spec.scenario import Scenario
from scenarios.spec.scenario import table as as_table
from scenarios.sweep.columns import Column, columns_of
from scenarios.sweep.folder import MANIFEST, read_manifest

CURVES_MAX = len(SERIES)
"""Combinations of a sweep whose curves are drawn."""
DOTS_MAX = 40
"""Combinations with a line of dots each: a screen of them."""

SENT = Metric("bytes_per_peer", statistic="mean")
HEADS: tuple[tuple[str, Metric], ...] = (
    ("detection: mean", named.parse("detection.mean")),
    ("worst peer", named.parse("detection.worst")),
    ("false alarms: mean", named.parse("false_alarms.mean")),
    ("AUC: mean", named.parse("auc.mean")),
    ("macro-F1: mean", named.parse("macro_f1.mean")),
    ("accuracy: mean", named.parse("accuracy.mean")),
    ("parts", named.parse("parts")),
    ("sent by a peer", SENT),
)
_DOTS = (0, 1, 3, 7)
"""Which of them are drawn as dots."""


@dataclass(frozen=True, slots=True)
class Many:
    """Runs read for a report.

    Args:
        columns: one for each combination of a sweep; a single one of several seeds.
        scenario: of the first run; of a sweep with its lists.
        story: what was to happen in every run.
        sweep: whether it is one.
        seeds: that were asked for.
    """

    columns: tuple[Column, ...]
    scenario: Scenario
    story: Story
    sweep: bool
    seeds: tuple[int, ...]


def read_many(folder: Path) -> Many | None:
    """Read a folder of several seeds or of a sweep; None where it is neither.

    Raises:
        ConfigError: the sweep has no finished run.
        StateError: a result is damaged.
    """
    sweep = (folder / MANIFEST).is_file()
    if not sweep and not any(folder.glob(f"seed-*/{RESULT}")):
        return None
    found = tuple(columns_of(str(folder)))
    first = found[0].runs[0]
    scenario = scenario_of(first, folder)
    seeds = found[0].seeds
    if sweep:
        manifest = read_manifest(folder)
        scenario = _swept(manifest, folder)
        seeds = tuple(manifest["seeds"])
    return Many(found, scenario, story(first, scenario, None), sweep, seeds)


def _swept(manifest: Mapping[str, Any], folder: Path) -> Scenario:
    spec = {**manifest["scenario"], "sweep": manifest["lists"]}
    try:
        return from_table(Scenario, spec, str(folder / MANIFEST))
    except ConfigError as error:
        raise StateError(f"{error}; run the sweep again") from error


def many(found: Many) -> Report:
    """The report of several runs."""
    missing: list[str] = []
    sections = [
        Section("end", "At the end", _end(found)),
        Section("expectations", "Expectations", _expected(found, missing)),
        Section("models", "Over time", _models(found, missing)),
        Section("runs", "Every run", _runs(found)),
        Section("scenario", "Scenario", _scenario(found)),
        Section("repeat", "How to repeat it", _repeat(found)),
    ]
    if missing:
        sections.append(Section("missing", "Not shown", (listed(missing),)))
    return Report(
        found.scenario.title or "Scenario without a title",
        paragraph(_summary(found)) + _headline(found),
        tuple(section for section in sections if section.pieces),
        written(as_table(found.scenario)),
    )


def _name(column: Column, found: Many) -> str:
    """Of a sweep's combination without the tables' names, where keys stay apart."""
    if not found.sweep or not found.scenario.sweep:
        return "all seeds"
    return ", ".join(part.rpartition(".")[2] if "=" not in part else
                     f"{part.partition('=')[0].rpartition('.')[2]}={part.partition('=')[2]}"
                     for part in column.name.split(", "))  # fmt: skip


def _values(column: Column, metric: Metric) -> list[float]:
    return [named.value(run, metric) for run in column.runs]


def _summary(found: Many) -> str:
    runs = [run for column in found.columns for run in column.runs]
    peers, lasting = found.scenario.mesh.peers, format_duration(found.scenario.mesh.duration_us)
    said = [f"{len(runs)} runs of {peers:,} peers and {lasting}"]
    if found.sweep:
        keys = ", ".join(found.scenario.sweep) or "nothing"
        wanted = len(found.columns)
        said[0] += f": a sweep over {keys}, {words.counted(wanted, 'combination')}"
    said[0] += f" with {words.counted(len(found.seeds), 'seed')} each." if found.sweep else (
        f", one for each of {words.counted(len(found.seeds), 'seed')}.")  # fmt: skip
    broken = sum(not run.complete for run in runs)
    if broken:
        said.append(f"{words.counted(broken, 'run')} were interrupted and count as they stand.")
    if found.sweep:
        metric = named.parse("detection.mean")
        best = [(over(_values(column, metric)).mean, column) for column in found.columns]
        best = [each for each in best if not isnan(each[0])]
        if best:
            share, column = max(best, key=lambda each: each[0])
            said.append(
                f"The mean peer detects most attack rows, {words.percent(share)}, "
                f"with {_name(column, found)}."
            )
    said.append("A spread is the standard deviation over seeds, unless said otherwise.")
    return " ".join(said)


def _headline(found: Many) -> str:
    if len(found.columns) > 1:
        return ""
    cells = "".join(
        f"<div><dt>{escape(head)}</dt><dd>{escape(value)}</dd></div>"
        for head, value in zip(
            (head for head, _ in HEADS), _cells(found.columns[0]), strict=True
        )
    )  # fmt: skip
    return f'<dl class="headline">{cells}</dl>'


def _cells(column: Column) -> list[str]:
    return [_shown(metric, over(_values(column, metric))) for _, metric in HEADS]


def _shown(metric: Metric, value: Over) -> str:
    """Mean and deviation with their unit."""
    if not value.n:
        return words.NOTHING
    form = _form(metric)
    spread = "" if isnan(value.deviation) else f" ± {form(value.deviation)}"
    return f"{form(value.mean)}{spread}".replace(" % ±", " ±")


def _form(metric: Metric) -> Any:
    if metric.name in {"detection", "accuracy"}:
        return words.percent
    if metric.name == "false_alarms":
        return partial(words.percent, digits=2)
    if metric.name == "bytes_per_peer":
        return words.amount
    return "{:.3g}".format if metric.name == "parts" else words.plain


def _end(found: Many) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    if found.sweep:
        rows = [
            [escape(_name(column, found)), str(len(column.runs)), *_cells(column)]
            for column in found.columns
        ]
        pieces.append(boxed(table(["combination", "runs", *(head for head, _ in HEADS)], rows, 1)))
    drawn = found.columns[:DOTS_MAX]
    picked = [HEADS[place] for place in _DOTS]
    picked = [
        (head, metric) for head, metric in picked
        if any(not isnan(value) for column in drawn for value in _values(column, metric))
    ]  # fmt: skip
    caption = "At the end of every run: a dot is a seed, a bar the mean over seeds."
    if len(drawn) < len(found.columns):
        caption += f" Drawn: the first {DOTS_MAX} of {len(found.columns)} combinations."
    alt = f"{', '.join(head for head, _ in picked)} of every run at its end"
    pieces.append(Plot("at-the-end", "", alt, caption, partial(_dots, drawn, found, picked)))
    return tuple(pieces)


def _dots(
    drawn: Sequence[Column], found: Many, picked: Sequence[tuple[str, Metric]], look: Look
) -> Figure:
    names = [label(_name(column, found), most=44) for column in drawn]
    widest = max(map(len, names)) if len(drawn) > 1 else 0
    beside = 0 if look.narrow else widest  # names stand above their dots where there is no room
    left = 0.15 + 0.0078 * look.size * beside
    line = (0.36 if look.narrow and widest else 0.2) * look.size / 9.0
    columns = 1 if look.narrow else 2
    rows = -(-len(picked) // columns)
    high, below, above = max(0.4, line * len(drawn)), 0.065 * look.size, 0.04
    whole = rows * (high + below + above)
    figure = Figure(figsize=(look.width, whole))
    width = (look.width - left - 0.2 - 0.3 * (columns - 1)) / columns
    for number, (head, metric) in enumerate(picked):
        row, column = divmod(number, columns)
        x = left + column * (width + 0.3)
        y = whole - (row + 1) * (high + below + above) + below
        axes = figure.add_axes((x / look.width, y / whole, width / look.width, high / whole))
        values = [_values(each, metric) for each in drawn]
        unit, size = _axis(metric, values)
        for place, own in enumerate(values):
            colour = SERIES[place % len(SERIES)] if len(drawn) <= CURVES_MAX else SERIES[0]
            axes.plot(
                np.array(own) * size, [place] * len(own), linestyle="none", marker="o",
                markersize=4.5, markeredgewidth=0, color=colour, alpha=0.6,
            )  # fmt: skip
            mean = over(own).mean * size
            axes.plot([mean, mean], [place - 0.22, place + 0.22], color=INK, linewidth=1.6)
            if look.narrow and widest:
                axes.text(
                    0.0, place - 0.32, names[place], size=look.size - 1, va="bottom", color=FAINT,
                    transform=axes.get_yaxis_transform(),
                )  # fmt: skip
        axes.set_ylim(len(drawn) - 0.4, -0.9 if look.narrow and widest else -0.6)
        axes.set_yticks(range(len(drawn)) if beside else [], names if beside else [])
        axes.tick_params(labelleft=bool(beside) and not column, left=False)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", color=FAINT, alpha=0.2, linewidth=0.6)
        axes.set_xlabel(f"{head.replace(': ', ', ')}{unit}")
        axes.margins(x=0.08)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.ticklabel_format(axis="x", useOffset=False, style="plain")
    return figure


def _axis(metric: Metric, values: Sequence[Sequence[float]]) -> tuple[str, float]:
    if metric.name in {"detection", "false_alarms", "accuracy"}:
        rows = "benign" if metric.name == "false_alarms" else "attack"
        return f" (% of {rows} rows)", 100.0
    if metric.name == "bytes_per_peer":
        name, size = unit_of(max(value for own in values for value in own))
        return f" ({name})", 1.0 / size
    return "", 1.0


def _expected(found: Many, missing: list[str]) -> tuple[Piece, ...]:
    if not found.scenario.expect:
        missing.append("Expectations: the scenario has no [expect].")
        return ()
    rows = []
    for column in found.columns:
        told = [
            verdicts(run, replace(found.scenario, expect=found.scenario.expect))
            for run in column.runs
        ]
        for place, first in enumerate(told[0]):
            own = [each[place] for each in told]
            held = sum(each.holds for each in own)
            failed = [
                str(run.seed) for run, each in zip(column.runs, own, strict=True) if not each.holds
            ]
            value = over([each.found for each in own])
            name = [escape(_name(column, found))] if found.sweep else []
            rows.append([
                *name, escape(first.metric), escape(first.expected),
                f"{value.low:.6g} .. {value.high:.6g}" if value.n else escape(own[0].shown),
                verdict(not failed, (f"holds in all {held}", f"FAILS, seed {', '.join(failed)}")),
            ])  # fmt: skip
    heads = ["metric", "expected", "found, lowest .. highest", ""]
    shown = boxed(table(["combination", *heads] if found.sweep else heads, rows, 5))
    return (folded(f"{len(rows)} lines", shown) if len(rows) >= 3 * FOLDED_FROM else shown,)


def _models(found: Many, missing: list[str]) -> tuple[Piece, ...]:
    drawn = found.columns[:CURVES_MAX]
    pieces: list[Piece] = []
    if len(drawn) < len(found.columns):
        said = f"Curves show the first {CURVES_MAX} of {len(found.columns)} combinations."
        pieces.append(paragraph(said, "faint"))
    caption = "Line: mean over seeds of the mean peer; band: from the lowest to the highest seed."
    if len(drawn) == 1:
        caption += " Thin lines: the worst peer of each seed."
    budget = found.scenario.learning.alarm_budget
    for measure in MEASURES:
        metric = Metric(measure.key, statistic="mean")
        series = [_over_time(column, metric) for column in drawn]
        if all(np.isnan(each.mean).all() for each in series):
            missing.append(f"{measure.title}: no judged peer has test rows enough for it.")
            continue
        alt = f"{measure.title} over simulated time, with the spread over seeds"
        build = partial(_curves, drawn, found, measure, budget)
        said = f"{measure.means[0].upper()}{measure.means[1:]}. {caption}"
        pieces.append(Plot(measure.key.replace("_", "-"), measure.title, alt, said, build))
    for measure in _WHOLE:
        metric = Metric(measure.key, statistic="mean" if measure.key == SENT.name else "")
        series = [_over_time(column, metric) for column in drawn]
        if all(np.isnan(each.mean).all() for each in series):
            missing.append(f"{measure.title}: never measured.")
            continue
        alt = f"{measure.title} over simulated time, with the spread over seeds"
        said = f"{measure.means[0].upper()}{measure.means[1:]}. {caption.partition(' Thin')[0]}"
        said = said.replace(" of the mean peer", "") if metric.name != SENT.name else said
        build = partial(_curves, drawn, found, measure, budget)
        pieces.append(Plot(measure.key.replace("_", "-"), measure.title, alt, said, build))
    return tuple(pieces)


_WHOLE = (
    Measure(
        "consensus", "Consensus distance",
        "root of the mean squared distance of models from their mean", "distance",
        unit=1.0, whole=False,
    ),
    Measure(
        "bytes_per_peer", "Bytes", "sent by a peer since the start", "sent", unit=1.0, whole=False
    ),
    Measure("up", "Peers up", "at the samples", "peers up", unit=1.0, whole=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Series:
    """A metric over time; float64 `(times,)` each."""

    at_us: list[int]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _over_time(column: Column, metric: Metric) -> _Series:
    """Over the seeds that have a sample at each time; curves of an interrupted one end earlier."""
    by_time: dict[int, list[float]] = {}
    for run in column.runs:
        for sample in thinned(run.samples):
            by_time.setdefault(sample.at_us, []).append(named.read(sample, metric).value)
    spreads = [over(by_time[at]) for at in sorted(by_time)]
    return _Series(
        sorted(by_time),
        np.array([each.mean for each in spreads]),
        np.array([each.low for each in spreads]),
        np.array([each.high for each in spreads]),
    )


def _curves(
    drawn: Sequence[Column], found: Many, measure: Measure, budget: float, look: Look
) -> Figure:
    labels = [label(_name(column, found), most=44) for column in drawn]
    several = len(drawn) > 1
    figure, (axes,) = panels(
        look, [1.9], top=(legend_height(labels, look) if several else 0.08) + 0.04
    )
    whole = measure.key in {"consensus", "up"}
    metric = Metric(measure.key, statistic="" if whole else "mean")
    series = [_over_time(column, metric) for column in drawn]
    unit, size = "", measure.unit
    if measure.key == SENT.name:
        name, divisor = unit_of(max(float(np.nanmax(each.high)) for each in series))
        unit, size = f" ({name})", 1.0 / divisor
    handles = []
    for number, (column, each) in enumerate(zip(drawn, series, strict=True)):
        colour = SERIES[number]
        times = [found.story.clock.of(at) for at in each.at_us]
        axes.fill_between(
            times,
            each.low * size,
            each.high * size,
            color=colour,
            linewidth=0,
            alpha=0.1 if several else 0.2,
        )
        if not several and not whole and measure.key != SENT.name:
            for run in column.runs:
                worst = [_worst(sample, measure.key) * size for sample in thinned(run.samples)]
                at = [found.story.clock.of(sample.at_us) for sample in thinned(run.samples)]
                axes.plot(at, worst, color=colour, linewidth=0.5, alpha=0.8)
        dots: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(times) <= 25 else {}
        handles += axes.plot(
            times, each.mean * size, color=colour, linewidth=1.6, linestyle=DASHES[number], **dots
        )
    if measure.key == "false_alarms":
        axes.axhline(100.0 * budget, color=FAINT, linewidth=0.9, linestyle="--")
    scale(axes, measure)
    axes.set_ylabel(f"{measure.axis}{unit}")
    time_axis(axes, found.story, last=True)
    if several:
        legend_above(axes, handles, labels, look)
    return figure


def _worst(sample: Sample, key: str) -> float:
    return sample.metrics[key].worst if key in sample.metrics else nan


def _runs(found: Many) -> tuple[Piece, ...]:
    rows = [
        [
            *([escape(_name(column, found))] if found.sweep else []),
            str(run.seed),
            "yes" if run.complete else f"no, to {escape(format_duration(run.reached_us))}",
            *(_shown(metric, over([named.value(run, metric)])) for _, metric in HEADS),
            f"<code>{escape(run.trace_hash[:16])}</code>" if run.trace_hash else words.NOTHING,
        ]
        for column in found.columns
        for run in column.runs
    ]
    heads = ["seed", "complete", *(head for head, _ in HEADS), "trace hash begins"]
    shown = boxed(table(["combination", *heads] if found.sweep else heads, rows, 2))
    return (folded(f"{len(rows)} runs", shown) if len(rows) >= FOLDED_FROM else shown,)


def _scenario(found: Many) -> tuple[Piece, ...]:
    first = found.columns[0].runs[0]
    said = listed(first.faults) if first.faults else paragraph("The scenario asks for no fault.")
    note = "Faults of the first run; what is drawn at random differs from seed to seed."
    return (paragraph(note), said, *described(found.scenario))


def _repeat(found: Many) -> tuple[Piece, ...]:
    seeds = ",".join(map(str, found.seeds))
    first: Result = found.columns[0].runs[0]
    engine = " --engine lab" if first.engine == "lab" else ""
    what = "sweep" if found.sweep else "simulate"
    command = f"hedgerow {what} {SCENARIO} --seeds {seeds}{engine} --out again"
    return repeated(found.scenario, [command], first.versions)
