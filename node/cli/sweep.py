"""`hedgerow sweep`."""

from pathlib import Path

import click

from node.cli.report import reported
from node.config.flags import FILE, FOLDER


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE,…",
    help="Values of a key, such as learning.fanout=1,2,4. May be repeated: all combinations run.",
)
@click.option("--seeds", metavar="0:5", help="Run each with these seeds, such as 0:5 or 1,7,9.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs at once.")
@click.option(
    "--out", type=FOLDER, required=True, help="The sweep's folder; resumes what is there."
)
@click.option("--ray", metavar="ADDRESS", help="Run on a Ray cluster; `local` makes one here.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "parquet"]),
    default="jsonl",
    show_default=True,
    help="Of the rows, one for each run.",
)
@click.option("--report", is_flag=True, help="Write report.html there, too.")
def sweep(
    file: Path,
    sets: tuple[str, ...],
    seeds: str | None,
    jobs: int,
    out: Path,
    ray: str | None,
    form: str,
    report: bool,
) -> None:
    """Run every combination of values, each with several seeds.

    FILE is a scenario file, or a name of `hedgerow scenarios`; lists in its [sweep] table count,
    too. Finished runs are kept: the same command goes on where an interruption left it. See
    docs/simulation.md.
    """
    from scenarios.runs.stopping import terminable
    from scenarios.spec import choices, library
    from scenarios.sweep.sweep import Means, sweep_file

    with terminable(), reported(out if report else None):
        sweep_file(
            library.find(file),
            choices.given_lists(sets),
            None if seeds is None else choices.seeds(seeds),
            out,
            Means(jobs, ray, form),
        )
