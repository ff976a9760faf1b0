"""Every method on the same data: gossip beside its baselines, over several seeds.

    python benchmarks/baselines.py --jobs 2

Two sweeps over one scenario, of `learning.method` and, for gossip, of `learning.exchange`; then
tables in Markdown: after equally many steps of training a peer, at equal bytes, and the way to
targets. `--repeats` is the number of seeds. Finished runs are kept in `--out`, if it is given; the
same command goes on where an interruption left it.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from _common import conditions, parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from scenarios.measures.samples import Sample
    from scenarios.runs.results import Result
    from scenarios.sweep.columns import Column

METHODS = ("local", "statistics", "pooled", "fedavg", "dpsgd")
EXCHANGES = ("epidemic", "age", "pairwise")
NAMES = {
    "local": "local only",
    "statistics": "shared statistics only",
    "pooled": "pooled rows (ceiling)",
    "fedavg": "FedAvg, server",
    "dpsgd": "D-PSGD, Metropolis",
    "epidemic": "gossip: epidemic",
    "age": "gossip: age, tokens",
    "pairwise": "gossip: pairwise",
}
Row = dict[str, str]

SILENT = ("local", "statistics", "pooled")
"""Methods that send no models: at equal bytes they have nothing to say."""

SPREADS = ("detection_1", "detection_01", "macro_f1", "auc", "detection")
TARGETS = ("detection_1.mean >= 0.98", "detection_1.worst >= 0.98", "macro_f1.mean >= 0.4")


def main() -> None:
    options = _parser().parse_args()
    if options.out is not None:
        _run(options, options.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        _run(options, Path(folder))


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.set_defaults(repeats=5)
    made.add_argument("--scenario", type=Path, default=Path("baselines"), help="file or name")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    made.add_argument("--target", action="append", default=[], help=f"default: {TARGETS}")
    made.add_argument("--jobs", type=int, default=1, help="runs at once (default 1)")
    made.add_argument("--out", type=Path, help="folder for the runs; default: thrown away")
    return made


def _run(options: argparse.Namespace, out: Path) -> None:
    from rich.console import Console  # noqa: PLC0415 - see _common.parser

    from gossip.errors import ExpectationError  # noqa: PLC0415
    from scenarios.spec import choices, library  # noqa: PLC0415
    from scenarios.sweep.columns import columns  # noqa: PLC0415
    from scenarios.sweep.sweep import Means, sweep_file  # noqa: PLC0415

    given = choices.given_lists(options.sets)
    file = library.find(options.scenario)
    folders = out / "methods", out / "exchanges"
    swept = {"learning.method": [*METHODS]}, {"learning.exchange": [*EXCHANGES]}
    for folder, lists in zip(folders, swept, strict=True):
        quiet = Console(file=StringIO())
        seeds = range(options.repeats)
        with suppress(ExpectationError):  # other values may break what the file expects
            sweep_file(file, {**given, **lists}, seeds, folder, Means(options.jobs), console=quiet)
    _tables(options, columns([str(folder) for folder in folders]))


def _tables(options: argparse.Namespace, found: Sequence[Column]) -> None:
    talking = [column for column in found if _method(column) not in SILENT]
    least = min(_sent(run.samples[-1]) for column in talking for run in column.runs)
    run = found[0].runs[0]
    steps = run.trainings / len(run.bytes_sent)

    def near(run: Result) -> Sample:
        return min(run.samples, key=lambda sample: abs(_sent(sample) - least))

    parts = [
        (f"At equal steps: {steps:.0f} trainings a peer", found, _end(found)),
        (f"At equal bytes: {least / 1e3:.0f} kB a peer", talking, _at(talking, near)),
    ]
    tables = [
        (f"{title}; {kind}", rows)
        for title, columns, samples in parts
        for kind, rows in (
            ("measures", _measures(columns, samples)),
            ("costs", _costs(columns, samples)),
        )
    ]
    tables += [(f"The way to {text}", _way(found, text)) for text in options.target or TARGETS]
    if options.json:
        document = {"conditions": conditions(), "tables": dict(tables)}
        print(json.dumps(document))
        return
    print(f"{options.scenario}: " + ", ".join(f"{k} {v}" for k, v in conditions().items()))
    print(f"Seeds 0 to {options.repeats - 1}: mean ± standard deviation over them.")
    for title, rows in tables:
        print(f"\n{title}\n\n| " + " | ".join(rows[0]) + " |")
        print("|---" * len(rows[0]) + "|")
        for row in rows:
            print("| " + " | ".join(row.values()) + " |")


def _method(column: Column) -> str:
    run = column.runs[0]
    return run.method if run.method != "gossip" else str(run.spec["learning"]["exchange"])


def _sent(sample: Sample) -> float:
    return sample.bytes_sent / sample.peers


def _end(found: Sequence[Column]) -> list[list[Sample]]:
    return _at(found, lambda run: run.samples[-1])


def _at(found: Sequence[Column], look: Callable[[Result], Sample]) -> list[list[Sample]]:
    """For each column the sample of each seed."""
    return [[look(run) for run in column.runs] for column in found]


def _measures(found: Sequence[Column], samples: Sequence[Sequence[Sample]]) -> list[Row]:
    """Mean over peers, worst tenth and worst peer of each measure that somebody has."""
    shown = [name for name in SPREADS if any(s.metrics[name].n for each in samples for s in each)]
    rows = []
    for column, each in zip(found, samples, strict=True):
        row = {"method": NAMES[_method(column)]}
        for name in shown:
            for part in "mean", "tenth", "worst":
                values = [getattr(sample.metrics[name], part) for sample in each]
                row[f"{name} {part}"] = _over(values)
        rows.append(row)
    return rows


def _costs(found: Sequence[Column], samples: Sequence[Sequence[Sample]]) -> list[Row]:
    rows = []
    for column, each in zip(found, samples, strict=True):
        most = [sample.metrics["bytes_per_peer"].worst / 1e3 for sample in each]
        rows.append(
            {
                "method": NAMES[_method(column)],
                "consensus": _over([sample.consensus for sample in each]),
                "kB sent per peer": _over([_sent(sample) / 1e3 for sample in each]),
                "by the busiest": _over(most),
                "trainings per peer": _over([s.trainings / s.peers for s in each]),
            }
        )
    return rows


def _way(found: Sequence[Column], text: str) -> list[Row]:
    """Seeds that came to a target, and what that took these."""
    from scenarios.measures import named  # noqa: PLC0415
    from scenarios.sweep.compare import parse_target  # noqa: PLC0415

    target = parse_target(text)
    rows = []
    for column in found:
        first = []
        for run in column.runs:
            hits = (
                s for s in run.samples if target.bound.holds(named.read(s, target.metric).value)
            )
            first += [*itertools.islice(hits, 1)]
        rows.append(
            {
                "method": NAMES[_method(column)],
                "seeds": f"{len(first)} of {len(column.runs)}",
                "simulated seconds": _over([sample.at_us / 1e6 for sample in first]),
                "cycles per peer": _over([sample.cycles / sample.peers for sample in first]),
                "kB sent per peer": _over([_sent(sample) / 1e3 for sample in first]),
            }
        )
    return rows


def _over(values: Sequence[float]) -> str:
    from scenarios.measures.seeds import over  # noqa: PLC0415

    return over(values).text()


if __name__ == "__main__":
    main()
