"""`hedgerow`: the command line. Each command imports what it needs when it runs.

Exit codes: 0 done, 1 a fault that the message explains, 2 wrong usage, 130 interrupted.
"""

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from gossip.errors import ConfigError, HedgerowError, LocalError
from node.config.flags import FILE, FOLDER, node_options, overridden

_CONFIG = click.option("--config", type=FILE, help="Settings; see docs/configuration.md.")


def main() -> None:
    """Entry point: every expected fault becomes one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal's encoding knows our "…"
    try:
        with _said_in_one_line():
            cli.main(standalone_mode=False, prog_name="hedgerow")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("hedgerow: interrupted", err=True)
        sys.exit(130)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)


@contextmanager
def _said_in_one_line() -> Iterator[None]:
    try:
        yield
    except HedgerowError as error:
        _fail(error)
    except BaseExceptionGroup as group:  # from trio's nurseries
        expected, rest = group.split(HedgerowError)
        if rest is not None and rest.split(KeyboardInterrupt)[1] is None:
            raise KeyboardInterrupt from None
        if rest is not None or expected is None:
            raise
        _fail(_first(expected))
    except BrokenPipeError:  # `hedgerow … | head`
        _hush()
        sys.exit(1)


def _hush() -> None:
    """Standard output is gone; without this, Python would complain of it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _fail(error: BaseException) -> None:
    click.echo(f"hedgerow: {error}", err=True)
    sys.exit(1)


def _version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from node.status.condition import software

    click.echo(software())
    context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    callback=_version,
    expose_value=False,
    is_eager=True,
    help="Show the version and exit.",
)
def cli() -> None:
    """A serverless neighbourhood watch for IoT gateways."""


@cli.command()
@click.option(
    "--bootstrap", multiple=True, metavar="MULTIADDR", help="A peer to join by. May be repeated."
)
@_CONFIG
@node_options
def up(config: Path | None, **flags: Any) -> None:
    """Run a node: watch sensors, learn, exchange with peers, raise alerts.

    Flags override the settings file. Without --bootstrap this node starts a mesh, or finds the
    peers that it knew before.
    """
    _run(config, **flags)


@cli.command()
@click.argument("addresses", nargs=-1, required=True, metavar="MULTIADDR...")
@_CONFIG
@node_options
def join(config: Path | None, addresses: tuple[str, ...], **flags: Any) -> None:
    """Run a node and join a mesh by the addresses of any of its peers.

    An address looks like /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…; `hedgerow up` prints its own.
    """
    _run(config, bootstrap=addresses, **flags)


def _run(config: Path | None, **flags: Any) -> None:
    import trio

    from node import gateway, logs

    settings = overridden(_loaded(config), **flags)
    logs.configure(settings.log.level, settings.log.format)
    if not settings.sensors:
        logs.get_logger("node").warning(
            "no sensor is given: this node passes models on but sees no traffic; see --sensor"
        )
    try:
        trio.run(gateway.run, settings, _say_how_to_join)
    finally:
        gc.freeze()  # what is left needs no collecting: a third of a second at the end (measured)


def _loaded(config: Path | None) -> Any:
    from node.config.settings import Settings

    return Settings.defaults() if config is None else Settings.load(config)


def _say_how_to_join(started: Any) -> None:
    lines = [f"{started.name}: others can join by"]
    lines += [f"  hedgerow join {address}/p2p/{started.peer}" for address in started.addresses]
    try:
        click.echo("\n".join(lines))
    except BrokenPipeError:  # a node does not stop because nobody reads on
        _hush()


@cli.command()
@click.option("--config", type=FILE, help="The node's settings, to find its socket.")
@click.option("--state-dir", type=FOLDER, help="The node's state folder, to find its socket.")
@click.option("--socket", type=FILE, help="The socket itself.")
@click.option("--json", "as_json", is_flag=True, help="The whole document, for programs.")
def status(config: Path | None, state_dir: Path | None, socket: Path | None, as_json: bool) -> None:
    """Show how a running node is."""
    from node.status import document as documents
    from node.status import service

    if socket is None:
        socket = overridden(_loaded(config), state_dir=state_dir).status_socket
    document = service.fetch(socket)
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    from rich.console import Console

    from node.status.view import render

    Console().print(render(documents.parse(document)), soft_wrap=True)


@cli.command()
@click.argument("file", type=FILE)
def psk(file: Path) -> None:
    """Make the key of a private mesh. Copy FILE to every node, over a safe way."""
    from node.p2p.psk import create_psk

    create_psk(file)
    click.echo(f"{file}: a new key, readable by you alone; start each node with --psk-file {file}")


@cli.command()
def config() -> None:
    """Print an example gateway.toml with every setting at its default."""
    from node.config.settings import example

    click.echo(example(), nl=False)


@cli.command()
@click.argument("file", type=FILE)
def replay(file: Path) -> None:
    """Replay a node's journal through a fresh peer and compare what it does."""
    from node.state import journal

    found = journal.replay(file)
    if not found.identical:
        raise LocalError(
            f"{file}: event {found.differing} ({found.event}) of {found.records} led to other "
            "actions; the journal was changed, or was written by another version"
        )
    click.echo(f"{file}: {found.records} events, identical actions")


class _WithKinds(click.Command):
    """A command whose help ends with every kind of topology."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Import the list when help is asked for, and keep its columns."""
        del ctx
        from topologies.spec import SPEC_HELP

        formatter.write(f"\n{SPEC_HELP}\n")


@cli.command(cls=_WithKinds)
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


@cli.command()
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


@cli.command()
@click.option(
    "--out", type=FOLDER, default=Path("demo"), show_default=True, help="Folder for the report."
)
@click.option("--seed", default=0, show_default=True, help="For which rows are held out.")
def demo(out: Path, seed: int) -> None:
    """Six gateways on this machine learn together from bundled recordings, in three minutes."""
    from scenarios.demo.show import run
    from scenarios.spec.scenario import check_seed

    run(out, seed=check_seed(seed))
