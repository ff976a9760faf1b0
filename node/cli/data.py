"""`hedgerow data`: published data sets, and who holds what in a scenario."""

import json
from pathlib import Path

import click

from node.config.flags import FILE, FOLDER


@click.group()
def data() -> None:
    """Published data sets: what there is, how to get it, who holds what. See docs/data.md."""


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, for programs.")
def list_(as_json: bool) -> None:
    """List the data sets that a scenario can name as its data.source."""
    from scenarios.data import catalogue

    if as_json:
        click.echo(json.dumps(catalogue.as_dicts(), indent=2))
        return
    from rich.console import Console

    Console().print(catalogue.as_table())


@data.command()
@click.argument("name")
@click.argument("folder", type=FOLDER)
def fetch(name: str, folder: Path) -> None:
    """Bring the data set NAME into FOLDER, each file checked against its SHA-256.

    Where its publisher asks for a form or a login, say how to get it instead.
    """
    from scenarios.data import catalogue

    catalogue.bring(name, folder)


@data.command()
@click.argument("file", type=FILE)
@click.option("--seed", type=int, help="Instead of the scenario's own.")
@click.option("--draw", type=FILE, help="Draw it to this .png or .svg file.")
@click.option("--json", "as_json", is_flag=True, help="Rows by peer and family, as JSON.")
def show(file: Path, seed: int | None, draw: Path | None, as_json: bool) -> None:
    """Show which peer of a scenario would hold which rows, without running it.

    FILE is a scenario file, or a name of `hedgerow scenarios`.
    """
    from scenarios.data.show import show as tell

    told = tell(file, seed, draw, as_json=as_json)
    if as_json:
        click.echo(json.dumps(told, indent=1))
