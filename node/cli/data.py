"""`hedgerow data`: published data sets, and who holds what in a scenario."""

import json
from pathlib import Path

import click

from node.config.flags import FOLDER


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
