"""`hedgerow simulate`."""

from pathlib import Path

import click

from gossip.errors import ConfigError
from node.config.flags import FILE, FOLDER


@click.command()
@click.argument("file", type=FILE)
@click.option("--seed", type=int, help="Instead of the scenario's own.")
@click.option("--out", type=FOLDER, help="Write the results and the scenario to this folder.")
@click.option("--trace", is_flag=True, help="Write every event there too, as JSON lines.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def simulate(file: Path, seed: int | None, out: Path | None, trace: bool, as_json: bool) -> None:
    """Run a scenario in simulated time. See docs/simulation.md."""
    from scenarios.runs.show import simulate_file

    if trace and out is None:
        raise ConfigError("--trace needs a folder to write to; give --out FOLDER")
    simulate_file(file, seed=seed, out=out, trace=trace, as_json=as_json)
