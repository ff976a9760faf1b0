"""`hedgerow topology`."""

import json
from pathlib import Path

import click

from gossip.errors import ConfigError
from node.config.flags import FILE


class _WithKinds(click.Command):
    """A command whose help ends with every kind of topology."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Import the list when help is asked for, and keep its columns."""
        del ctx
        from topologies.spec import SPEC_HELP

        formatter.write(f"\n{SPEC_HELP}\n")


@click.command(cls=_WithKinds)
@click.argument("spec", metavar="SPEC")
@click.option("--seed", default=0, show_default=True, help="For random graphs.")
@click.option("--draw", type=FILE, help="Draw it to this .png or .svg file.")
@click.option("--json", "as_json", is_flag=True, help="Measures as JSON.")
def topology(spec: str, seed: int, draw: Path | None, as_json: bool) -> None:
    """Measure a graph: connectivity, spectral gap, diameter; and draw it.

    SPEC is such as ring:32, regular:100,degree=4 or file:mesh.graphml; all kinds are listed below.
    """
    from topologies import drawing, graphs
    from topologies.errors import TopologyError
    from topologies.measure import measure

    try:
        if draw is not None:
            drawing.drawing_format(draw)
        graph = graphs.build(spec, seed)
        measures = measure(graph, seed)
        if draw is not None:
            drawing.draw(graph, draw, measures, seed=seed)
    except TopologyError as error:
        raise ConfigError(str(error)) from None
    if as_json:
        click.echo(json.dumps(measures.as_dict(), indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{graph.graph['spec']}, seed {seed}", show_header=False)
    for label, text in measures.rows():
        table.add_row(label, text)
    Console().print(table)
    if draw is not None:
        click.echo(f"drawn to {draw}")
