"""Commands about incidents: list and explain them, say what they were, try suppress rules."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gossip.errors import ConfigError
from node.config.flags import FILE, FOLDER, overridden

if TYPE_CHECKING:  # for the types only: --help must not wait for them
    from node.config.settings import Settings

_CONFIG = click.option("--config", type=FILE, help="The node's settings, to find its socket.")
_STATE_DIR = click.option("--state-dir", type=FOLDER, help="The node's state folder, likewise.")
_SOCKET = click.option("--socket", type=FILE, help="The socket itself.")
_JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")


def _settings(config: Path | None, state_dir: Path | None) -> "Settings":
    from node.config.settings import Settings

    loaded = Settings.defaults() if config is None else Settings.load(config)
    found: Settings = overridden(loaded, state_dir=state_dir)
    return found


@click.command()
@click.argument("key", required=False)
@_CONFIG
@_STATE_DIR
@_SOCKET
@_JSON
def incidents(
    key: str | None,
    config: Path | None,
    state_dir: Path | None,
    socket: Path | None,
    as_json: bool,
) -> None:
    """List a running node's incidents, or explain one.

    KEY is an incident's key, as alerts and the list show it, or the beginning of it.
    """
    import msgspec
    from rich.console import Console

    from node.control import requests, view

    found = requests.incidents(socket or _settings(config, state_dir).status_socket)
    if key is not None:
        found = tuple(each for each in found if each.key.startswith(key))
        if len(found) != 1:
            count = len(found) or "no"
            raise ConfigError(
                f"{key[:40]!r} begins {count} incidents' keys; `hedgerow incidents` lists them"
            )
    if as_json:
        told: Any = msgspec.to_builtins(found)
        click.echo(json.dumps(told if key is None else told[0], indent=2))
        return
    shown = view.incidents(found) if key is None else view.incident(found[0])
    Console().print(shown, soft_wrap=True)


@click.command()
@click.argument("incident")
@click.argument("word", metavar="benign|none|FAMILY")
@click.option("--note", default="", help="Why; kept with the verdict, never sent.")
@_CONFIG
@_STATE_DIR
@_SOCKET
def verdict(
    incident: str,
    word: str,
    note: str,
    config: Path | None,
    state_dir: Path | None,
    socket: Path | None,
) -> None:
    """Tell a running node what an incident was.

    It learns from that with its next training, and flows like those called benign raise no alarm
    from now on. "none" takes a verdict back; another word replaces it. INCIDENT is its key, or the
    beginning of it.
    """
    from node.control import requests
    from node.logs import printable

    path = socket or _settings(config, state_dir).status_socket
    click.echo(printable(requests.verdict(path, incident, word, note).said))


@click.group()
def suppress() -> None:
    """Rules that hold alerts back: try them."""


@suppress.command("test")
@click.argument("what", nargs=-1, metavar="[ALERTS|INCIDENT]...")
@click.option("--rules", type=FILE, help="The rules; left out: those of the settings.")
@_CONFIG
@_STATE_DIR
@_SOCKET
@_JSON
def test_(
    what: tuple[str, ...],
    rules: Path | None,
    config: Path | None,
    state_dir: Path | None,
    socket: Path | None,
    as_json: bool,
) -> None:
    """Show which rules match which incidents, and what would be held back.

    ALERTS is a file of alerts as EVE or ECS lines, INCIDENT the key of an incident of the running
    node, or the beginning of it. Without either, all incidents that the node remembers are tried.
    """
    import msgspec
    from rich.console import Console

    from node.alerts.suppress import load
    from node.control import requests, trying, view

    settings = _settings(config, state_dir)
    path = rules or settings.alerts.suppress
    if path is None:
        raise ConfigError("there are no rules: give --rules FILE, or --config with alerts.suppress")
    found = load(path)
    subjects = [subject for one in what if Path(one).exists() for subject in trying.read(Path(one))]
    keys = tuple(one for one in what if not Path(one).exists())
    if keys or not what:
        known = requests.incidents(socket or settings.status_socket)
        for one in keys:
            if not any(each.key.startswith(one) for each in known):
                raise ConfigError(f"{one[:80]!r} is no file, and no incident that the node knows")
        subjects += [
            trying.Subject.of(each) for each in known if not keys or each.key.startswith(keys)
        ]
    now_s = time.time()
    trials = trying.tried(found, subjects, now_s)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(trials), indent=2))
        return
    Console().print(view.trials(found, trials, now_s), soft_wrap=True)
