"""`hedgerow compare`: results side by side, at the end, at equal steps, and at equal bytes."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

from rich.console import Console
from rich.table import Table

from gossip.errors import ConfigError
from node.logs import printable
from scenarios.measures import named
from scenarios.measures.named import Metric
from scenarios.measures.samples import Sample
from scenarios.measures.seeds import Over, number, over
from scenarios.runs.fitting import show
from scenarios.runs.results import Result
from scenarios.runs.text import plain as without_nan
from scenarios.spec.choices import plain
from scenarios.spec.expect import Bound, parse_bound
from scenarios.sweep.columns import Column, columns, differences, warnings
from scenarios.sweep.tables import MAIN, plain_table

STEPS = named.parse("trainings_per_peer")
BYTES = named.parse("bytes_per_peer.mean")
SHOWN = (*MAIN, STEPS)


@dataclass(frozen=True, slots=True)
class Target:
    """A bound to be reached: `detection.mean >= 0.8`."""

    text: str
    metric: Metric
    bound: Bound


@dataclass(frozen=True, slots=True)
class Part:
    """One view of the columns.

    Args:
        title: of the table.
        lines: each metric, over the seeds of each column.
    """

    title: str
    lines: tuple[tuple[str, tuple[Over, ...]], ...]


def parse_target(text: str) -> Target:
    """Read `METRIC >= NUMBER` or `METRIC <= NUMBER`.

    Raises:
        ConfigError: it is none, or names a time.
    """
    match = re.fullmatch(r"\s*(.+?)\s*((?:>=|<=|>|<).+)", text)
    if match is None:
        raise ConfigError(
            f'--target {text!r}: write a metric and a bound, such as "detection.mean >= 0.8"'
        )
    metric = named.parse(match[1])
    if metric.at_us is not None:
        raise ConfigError(f"--target {text!r}: the time is what is looked for; leave 'at …' out")
    return Target(text, metric, parse_bound(match[2]))


def _check_target(target: Target, found: Sequence[Column]) -> None:
    """Refuse a group or family that no run has: a slip, which would look like a target missed."""
    runs = [run for column in found for run in column.runs]
    for what, name, known in (
        ("group", target.metric.group, {name for run in runs for name in run.samples[-1].groups}),
        ("family", target.metric.family, {name for run in runs for name in run.families[1:]}),
    ):
        if name and name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ConfigError(f"--target {target.text!r}: {name!r} is no {what}; here are {there}")


def compare(found: Sequence[Column], targets: Sequence[Target] = ()) -> list[Part]:
    """Every view: at the end, at equal steps, at equal bytes, and the way to each target.

    At equal steps means: each run's sample that is nearest to as many gradient steps a peer as that
    run has at its end which has the fewest of all; a training takes `learning.steps` of them. At
    equal bytes likewise, with the bytes that a peer sent. Both are means over peers. How near the
    samples come shows in the lines of these two; a shorter `learning.evaluate` brings them nearer.
    """
    runs = [run for column in found for run in column.runs]
    each = sorted({_steps_each(run) for run in runs})
    steps = min(named.read(run.samples[-1], STEPS).value * _steps_each(run) for run in runs)
    sent = min(named.read(run.samples[-1], BYTES).value for run in runs)
    said = f"{number(steps)} gradient steps" if len(each) > 1 else number(steps / each[0])
    return [
        _part("at the end", found, lambda run: run.samples[-1]),
        _part(
            f"at equal steps: {said} a peer",
            found,
            lambda run: _nearest(run, STEPS, steps / _steps_each(run)),
        ),
        _part(
            f"at equal bytes: {number(sent)} a peer", found, lambda run: _nearest(run, BYTES, sent)
        ),
        *(_way(found, target) for target in targets),
    ]


def compare_folders(
    names: Sequence[str],
    targets: Sequence[str] = (),
    *,
    as_json: bool = False,
    console: Console | None = None,
    notes: Console | None = None,
) -> None:
    """Print folders of results side by side.

    Args:
        names: as `scenarios.sweep.columns.columns` takes them.
        targets: as `parse_target` takes them.
        as_json: print one JSON object, not tables.
        console: takes the result; standard output by default.
        notes: takes warnings; standard error by default.

    Raises:
        ConfigError: a folder holds no results, or a target is malformed.
        StateError: a result is damaged.
    """
    console = Console() if console is None else console
    notes = Console(stderr=True) if notes is None else notes
    read = [parse_target(text) for text in targets]
    found = columns(names)
    for target in read:
        _check_target(target, found)
    for line in warnings(found):
        notes.print(printable(f"warning: {line}"), markup=False, highlight=False, soft_wrap=True)
    parts = compare(found, read)
    if as_json:
        console.file.write(json.dumps(_document(found, parts), indent=1) + "\n")
        return
    for letter, column in zip(_letters(found), found, strict=True):
        seeds = ", ".join(map(str, column.seeds))
        told = [f"{letter}: {column.name} (seeds {seeds})"]
        if column is not found[0]:
            told += [
                f"   {key}: {plain(one)} in A, {plain(two)} here"
                for key, (one, two) in differences(found[0], column).items()
            ]
        console.print(
            "\n".join(map(printable, told)), markup=False, highlight=False, soft_wrap=True
        )
    for part in parts:
        show(console, _table(part, found))


def _part(title: str, found: Sequence[Column], look: Callable[[Result], Sample]) -> Part:
    samples = [[look(run) for run in column.runs] for column in found]
    lines = []
    for metric in SHOWN:
        values = tuple(
            over([named.read(each, metric).value for each in column]) for column in samples
        )
        if any(each.n for each in values):
            lines.append((str(metric), values))
    return Part(title, tuple(lines))


def _steps_each(run: Result) -> int:
    """Gradient steps of one training."""
    learning = run.spec.get("learning")
    steps = learning.get("steps") if isinstance(learning, dict) else None
    return steps if isinstance(steps, int) and steps > 0 else 1


def _nearest(run: Result, metric: Metric, limit: float) -> Sample:
    return min(run.samples, key=lambda sample: abs(named.read(sample, metric).value - limit))


def _way(found: Sequence[Column], target: Target) -> Part:
    """Seeds that came to a target, and what it took those."""
    firsts = [[_first(run, target) for run in column.runs] for column in found]
    rows: tuple[tuple[str, Callable[[Sample], float]], ...] = (
        ("simulated seconds", lambda sample: sample.at_us / 1e6),
        ("cycles_per_peer", lambda sample: sample.cycles / max(1, sample.peers)),
        (str(STEPS), lambda sample: named.read(sample, STEPS).value),
        (str(BYTES), lambda sample: named.read(sample, BYTES).value),
    )
    reached = tuple(over([float(each is not None) for each in column]) for column in firsts)
    lines = [("share of seeds", reached)]
    for name, value in rows:
        taken = tuple(
            over([value(each) for each in column if each is not None]) for column in firsts
        )
        lines.append((name, taken))
    return Part(f"to {target.text}, of those seeds that reach it", tuple(lines))


def _first(run: Result, target: Target) -> Sample | None:
    for sample in run.samples:
        if target.bound.holds(named.read(sample, target.metric).value):
            return sample
    return None


def _letters(found: Sequence[Column]) -> str:
    return "ABCDEFGHIJKLMNOPQRST"[: len(found)]


def _table(part: Part, found: Sequence[Column]) -> Table:
    table = plain_table(part.title, "mean ± standard deviation over seeds")
    table.add_column("metric", no_wrap=True)
    letters = _letters(found)
    for letter in letters:
        table.add_column(letter, justify="right", no_wrap=True)
    for letter in letters[1:]:
        table.add_column(f"{letter} - A", justify="right", no_wrap=True)
    for name, values in part.lines:
        apart = [each.mean - values[0].mean for each in values[1:]]
        shown = [each.text() for each in values]
        table.add_row(name, *shown, *(_signed(value) for value in apart))
    return table


def _signed(value: float) -> str:
    return "-" if isnan(value) else f"{'+' if value >= 0 else '-'}{number(abs(value))}"


def _document(found: Sequence[Column], parts: Sequence[Part]) -> dict[str, Any]:
    document = {
        "columns": [
            {
                "name": column.name,
                "seeds": column.seeds,
                "differs": {
                    key: {"first": one, "here": two}
                    for key, (one, two) in differences(found[0], column).items()
                },
            }
            for column in found
        ],
        "warnings": warnings(found),
        "parts": [
            {
                "title": part.title,
                "metrics": {
                    name: {
                        "columns": [asdict(each) for each in values],
                        "differences": [each.mean - values[0].mean for each in values],
                    }
                    for name, values in part.lines
                },
            }
            for part in parts
        ],
    }
    return dict(without_nan(document))
