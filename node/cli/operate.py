"""Commands for who runs a node: up, join, status, psk, config, replay."""

import gc
import json
import sys
from pathlib import Path
from typing import Any

import click

from gossip.errors import LocalError
from node.cli.output import hush
from node.config.flags import FILE, FOLDER, node_options, overridden

_CONFIG = click.option("--config", type=FILE, help="Settings; see docs/configuration.md.")


@click.command()
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


@click.command()
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

    def again() -> Any:
        return overridden(_loaded(config), **flags)

    settings = again()
    logs.configure(settings.log.level, settings.log.format)
    if not settings.sensors:
        logs.get_logger("node").warning(
            "no sensor is given: this node passes models on but sees no traffic; see --sensor"
        )
    try:
        trio.run(gateway.run, settings, _say_how_to_join, None if config is None else again)
    finally:
        gc.freeze()  # what is left needs no collecting: a third of a second at the end (measured)


def _loaded(config: Path | None) -> Any:
    from node.config.settings import Settings

    return Settings.defaults() if config is None else Settings.load(config)


def _say_how_to_join(started: Any) -> None:
    lines = [f"{started.name}: others can join by"]
    lines += [f"  hedgerow join {address}/p2p/{started.peer}" for address in started.addresses]
    lines += started.served.said(privately=sys.stdout.isatty())
    try:
        click.echo("\n".join(lines))
    except BrokenPipeError:  # a node does not stop because nobody reads on
        hush()


@click.command()
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


@click.command()
@click.argument("file", type=FILE)
def psk(file: Path) -> None:
    """Make the key of a private mesh. Copy FILE to every node, over a safe way."""
    from node.p2p.psk import create_psk

    create_psk(file)
    click.echo(f"{file}: a new key, readable by you alone; start each node with --psk-file {file}")


@click.command()
def config() -> None:
    """Print an example gateway.toml with every setting at its default."""
    from node.config.settings import example

    click.echo(example(), nl=False)


@click.command()
@click.argument("file", type=FILE)
def replay(file: Path) -> None:
    """Replay a node's journal through a fresh peer and compare what it does."""
    from node.p2p.identity import new_identity
    from node.p2p.seal import Ed25519Seal
    from node.state import journal

    found = journal.replay(file, Ed25519Seal(new_identity()))  # any node's checks all signatures
    if not found.identical:
        raise LocalError(
            f"{file}: event {found.differing} ({found.event}) of {found.records} led to other "
            "actions; the journal was changed, or was written by another version"
        )
    click.echo(f"{file}: {found.records} events, identical actions")
