"""Commands about antigens: what this node would send, and which of others' it may use."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gossip.errors import ConfigError
from node.config.flags import FILE, FOLDER, overridden

if TYPE_CHECKING:  # for the types only: --help must not wait for them
    from node.antigens.folder import Folder

_CONFIG = click.option("--config", type=FILE, help="The node's settings, to find its state folder.")
_STATE_DIR = click.option("--state-dir", type=FOLDER, help="The node's state folder.")
_JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")


def _folder(config: Path | None, state_dir: Path | None) -> "Folder":
    from node.antigens.folder import Folder
    from node.config.settings import Settings

    if config is None:
        return Folder.look(overridden(Settings.defaults(), state_dir=state_dir)).as_it_ran()
    return Folder.look(overridden(Settings.load(config), state_dir=state_dir))


@click.command("show-what-leaves")
@_CONFIG
@_STATE_DIR
@_JSON
def show_what_leaves(config: Path | None, state_dir: Path | None, as_json: bool) -> None:
    """Print exactly what a node sends to its peers, whether it runs or not.

    Every number of its antigens and of its part in the mesh's mean is shown, also of what only
    would leave if it shared. Without --config, sharing is as the node ran last, and all else as by
    default.
    """
    import msgspec

    from node.antigens import leaving_view

    found = _folder(config, state_dir).what_leaves(time.time())
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        click.echo("\n".join(leaving_view.lines(found)))


@click.group()
def antigens() -> None:
    """Antigens that a node holds: list them, approve one, take an approval back."""


@antigens.command("list")
@_CONFIG
@_STATE_DIR
@_JSON
def list_(config: Path | None, state_dir: Path | None, as_json: bool) -> None:
    """List the antigens that a node held when it last saved its state."""
    import msgspec

    found = _folder(config, state_dir).antigens()
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
        return
    from rich.console import Console

    from node.status.view import antigens as render

    Console().print(render(found, time.time()), soft_wrap=True)


@antigens.command()
@click.argument("id_", metavar="ID")
@_CONFIG
@_STATE_DIR
def approve(id_: str, config: Path | None, state_dir: Path | None) -> None:
    """Let a node learn from an antigen although it is quarantined.

    ID is its id or the beginning of it. The node needs not run; one that does takes it up with its
    next training. What the origin presents later in its place is not approved with it.
    """
    from node.antigens import approvals

    folder = _folder(config, state_dir)
    found = folder.the_one(id_)
    if found.state == "own":
        raise ConfigError(f"{found.id} is this gateway's own; there is nothing to approve")
    held = [bytes.fromhex(each.id) for each in folder.antigens().held]
    new = approvals.approve(folder.path, bytes.fromhex(found.id), held)
    said = "approved; used from the next training on" if new else "was approved before"
    click.echo(f"{_said(found)}: {said}")


@antigens.command()
@click.argument("id_", metavar="ID")
@_CONFIG
@_STATE_DIR
def forget(id_: str, config: Path | None, state_dir: Path | None) -> None:
    """Take an approval back; the node decides by itself again."""
    from node.antigens import approvals

    folder = _folder(config, state_dir)
    approved = {each.hex() for each in approvals.load(folder.path)}
    matching = sorted(each for each in approved if each.startswith(id_.lower()))
    if len(matching) != 1 or not id_:
        raise ConfigError(
            f"{id_[:40]!r} is the id of {len(matching) or 'no'} approved antigens; approved are "
            f"{', '.join(sorted(approved)) or 'none'}"
        )
    approvals.forget(folder.path, bytes.fromhex(matching[0]))
    click.echo(f"{matching[0]}: no longer approved, from the next training on")


def _said(found: Any) -> str:
    return f"{found.id} ({found.family} by {found.origin})"
