"""`hedgerow simulate`."""

from pathlib import Path

import click

from gossip.errors import ConfigError
from node.cli.report import reported
from node.config.flags import FILE, FOLDER


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Instead of the file's, such as learning.fanout=2. May be repeated.",
)
@click.option("--seed", type=int, help="Instead of the scenario's own.")
@click.option("--seeds", metavar="0:5", help="One run for each, such as 0:5 or 1,7,9.")
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Of --seeds, at once."
)
@click.option(
    "--engine",
    type=click.Choice(["world", "lab"]),
    default="world",
    show_default=True,
    help="Simulated time, or a process for each peer in real time.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 1),
    help="Processes that train beside the simulation. Default: as it pays; results are the same.",
)
@click.option("--out", type=FOLDER, help="Write results here; with --seeds to seed-N below it.")
@click.option("--trace", is_flag=True, help="Write every event there too, as JSON lines.")
@click.option(
    "--checkpoint",
    default="10 min",
    show_default=True,
    metavar="DURATION",
    help='With --out, how often to keep a run as it stands; "0 s" is when interrupted only.',
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@click.option("--report", is_flag=True, help="Write report.html there, too.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def simulate(
    file: Path,
    sets: tuple[str, ...],
    seed: int | None,
    seeds: str | None,
    jobs: int,
    engine: str,
    workers: int | None,
    out: Path | None,
    trace: bool,
    checkpoint: str,
    resume: bool,
    report: bool,
    as_json: bool,
) -> None:
    """Run a scenario in simulated time, or with real processes.

    FILE is a scenario file, or a name of `hedgerow scenarios`. See docs/simulation.md.
    """
    from node.config.quantities import parse_duration_us
    from scenarios.runs.show import simulate_file
    from scenarios.runs.stopping import terminable
    from scenarios.spec import choices, library

    if trace and out is None:
        raise ConfigError("--trace needs a folder to write to; give --out FOLDER")
    if report and out is None:
        raise ConfigError("--report needs a folder to write to; give --out FOLDER")
    if resume and out is None:
        raise ConfigError("--resume goes on from a checkpoint in a folder; give --out FOLDER")
    try:
        every_s = parse_duration_us(checkpoint) / 1e6
    except ValueError as error:
        raise ConfigError(f"--checkpoint: {error}") from error
    if seed is not None and seeds is not None:
        raise ConfigError("--seed and --seeds exclude each other; give one of them")
    if jobs > 1 and seeds is None:
        raise ConfigError("--jobs shares several runs out; give --seeds as well")
    values, path = choices.given(sets), library.find(file)
    if seeds is None:
        with terminable(), reported(out if report else None):
            simulate_file(
                path,
                values=values,
                seed=seed,
                engine=engine,
                workers=workers,
                out=out,
                trace=trace,
                every_s=every_s,
                resume=resume,
                as_json=as_json,
            )
        return
    from scenarios.sweep.seeds import How, simulate_seeds

    how = How(jobs, engine, workers, out, trace, as_json, every_s, resume)
    with terminable(), reported(out if report else None):
        simulate_seeds(path, values, choices.seeds(seeds), how)
