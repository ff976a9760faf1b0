"""`hedgerow scenarios`."""

import click


@click.command()
def scenarios() -> None:
    """List the scenarios that come with Hedgerow."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from scenarios.spec.library import entries

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("what it shows", overflow="fold")
    for entry in entries():
        table.add_row(entry.name, entry.shows or entry.title)
    Console().print(table)
