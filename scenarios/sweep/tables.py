"""Tables over several seeds, for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from scenarios.measures import named
from scenarios.measures.named import Metric
from scenarios.measures.samples import Sample
from scenarios.measures.seeds import number, over
from scenarios.runs.results import Result
from scenarios.spec.choices import plain

MAIN = tuple(
    named.parse(text)
    for text in (
        "accuracy.mean",
        "macro_f1.mean",
        "auc.mean",
        "detection.mean",
        "detection.worst",
        "detection_1.mean",
        "detection_1.tenth",
        "detection_1.worst",
        "detection_01.mean",
        "false_alarms.mean",
        "false_alarms.worst",
        "consensus",
        "bytes_per_peer.mean",
        "up",
        "parts",
    )
)
"""What a table over seeds shows, a line each."""

COLUMNS = {
    "detection": (named.parse("detection.mean"), 1.0),
    "worst": (named.parse("detection.worst"), 1.0),
    "at 1 %": (named.parse("detection_1.mean"), 1.0),
    "auc": (named.parse("auc.mean"), 1.0),
    "alarms": (named.parse("false_alarms.mean"), 1.0),
    "kB/peer": (named.parse("bytes_per_peer.mean"), 1e-3),
}
"""What the table of a sweep shows, a column each: the metric and its unit there."""

_CAPTION = """\
at the end of the runs: mean ± standard deviation over seeds; detection: mean over peers, worst \
peer, and at 1 % false alarms; alarms: false ones"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a table needs of a run: its last sample. A whole result may take megabytes."""

    samples: tuple[Sample, ...]


def ended(result: Result) -> Ended:
    """The end of a run."""
    return Ended(result.samples[-1:])


def seeds_table(runs: Sequence[Ended], title: str) -> Table:
    """Mean, spread, lowest and highest over seeds of the last sample's main metrics."""
    table = plain_table(title, "at the end of the runs; ±: standard deviation over seeds")
    table.add_column("metric", no_wrap=True)
    for head in "mean", "±", "min", "max":
        table.add_column(head, justify="right", no_wrap=True)
    for metric in MAIN:
        found = over([named.value(run, metric) for run in runs])
        if found.n:
            values = found.mean, found.deviation, found.low, found.high
            table.add_row(str(metric), *(number(value) for value in values))
    return table


def sweep_table(groups: Sequence[tuple[Mapping[str, Any], Sequence[Ended]]], title: str) -> Table:
    """One line for each combination: what it is, and mean ± spread over its seeds."""
    keys = list(groups[0][0])
    short = {key: key.rpartition(".")[2] for key in keys}
    if len(set(short.values())) < len(keys):
        short = {key: key for key in keys}
    table = plain_table(title, _CAPTION)
    for key in keys:
        table.add_column(short[key], overflow="fold")
    shown = [
        (head, metric, unit)
        for head, (metric, unit) in COLUMNS.items()
        if any(over(_values(runs, metric)).n for _, runs in groups)
    ]
    for head in ("runs", *(head for head, _, _ in shown)):
        table.add_column(head, justify="right", no_wrap=True)
    for values, runs in groups:
        cells = [
            over([value * unit for value in _values(runs, metric)]).short()
            for _, metric, unit in shown
        ]
        table.add_row(*(escape(plain(values[key])) for key in keys), str(len(runs)), *cells)
    return table


def plain_table(title: str, caption: str) -> Table:
    """An empty table in the manner of all of them."""
    return Table(
        title=escape(title), caption=caption, box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False
    )


def _values(runs: Sequence[Ended], metric: Metric) -> list[float]:
    return [named.value(run, metric) for run in runs]
