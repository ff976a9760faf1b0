"""`hedgerow demo`."""

from pathlib import Path

import click

from node.config.flags import FOLDER


@click.command()
@click.option(
    "--out", type=FOLDER, default=Path("demo"), show_default=True, help="Folder for the report."
)
@click.option("--seed", default=0, show_default=True, help="For which rows are held out.")
def demo(out: Path, seed: int) -> None:
    """Six gateways on this machine learn together from bundled recordings, in three minutes."""
    from scenarios.demo.show import run
    from scenarios.spec.scenario import check_seed

    run(out, seed=check_seed(seed))
