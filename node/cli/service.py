"""Commands around a node that runs as a service: init, check."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gossip.errors import ConfigError
from node.config.flags import FILE, FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.service.checking.finding import Finding
    from node.service.setting_up import Answers

_NAME = "gateway.toml"
_SYSTEM = Path("/etc/hedgerow") / _NAME
_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command()
@click.argument("file", type=FILE, default=Path(_NAME))
@click.option("--yes", is_flag=True, help="Ask nothing: take the flags, and what is found.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--name", help="What this gateway is called in logs and alerts.")
@click.option("--state-dir", type=FOLDER, help="Folder for identity, model and state.")
@click.option("--listen", multiple=True, metavar="MULTIADDR", help="Accept peers here.")
@click.option(
    "--sensor",
    "sensors",
    multiple=True,
    metavar="[KIND:]PATH",
    help="A log to follow, as for `up`. Left out: those that are found where sensors usually log.",
)
@click.option(
    "--bootstrap", multiple=True, metavar="MULTIADDR", help="A peer to join by. May be repeated."
)
@click.option("--psk-file", type=FILE, help="Key of a private mesh.")
@click.option("--share-antigens/--no-share-antigens", "share", default=None, help="See `up`.")
@click.option("--budget", help="False alarms as a share of benign flows, such as 0.5%.")
@click.option("--alerts", type=FILE, help="File for alerts, where a log shipper can read it.")
@click.option("--dashboard", metavar="HOST:PORT", help="Serve a dashboard for browsers here.")
def init(file: Path, *, yes: bool, force: bool, **flags: Any) -> None:
    """Write a settings FILE for this gateway, gateway.toml unless named.

    Asks for what no flag says. What is written can be read, changed and checked: `hedgerow check`.
    """
    from node.service import setting_up

    answers = setting_up.Answers(
        **{key: value for key, value in flags.items() if value not in {None, ()}}
    )
    asked = not yes
    if asked and not _somebody_is_there():
        raise ConfigError(
            "init asks questions, and nobody is there to answer them; give --yes, and flags for "
            "what is to differ from the defaults"
        )
    if file.exists() and not force:
        raise ConfigError(f"{file} exists already; name another file, or give --force")
    if not answers.sensors:
        answers = replace(answers, sensors=setting_up.usual_sensors())
    if asked:
        answers = _asked(answers, flags)
    text = setting_up.text_of(answers, file)
    setting_up.write(file, text, force=force)
    sensors = ", ".join(answers.sensors) or "none; add a [[sensor]] to the file"
    click.echo(
        f"{file}: written; sensors: {sensors}\n"
        f"  hedgerow check --config {file}\n  hedgerow up --config {file}"
    )


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def _asked(answers: "Answers", flags: dict[str, Any]) -> "Answers":
    """The answers, and what a person says to the questions that no flag answered."""
    if flags["name"] is None:
        answers = replace(
            answers, name=click.prompt("Name of this gateway", "", show_default=False)
        )
    if not flags["sensors"]:
        found = " ".join(answers.sensors)
        click.echo(
            f"Found: {found}" if found else "No log of Suricata or Zeek is where they usually are."
        )
        said = click.prompt("Sensors, [KIND:]PATH with blanks between", found or "none")
        answers = replace(answers, sensors=() if said == "none" else tuple(said.split()))
    if not flags["bootstrap"]:
        said = click.prompt("Peers to join by, /ip4/…/tcp/4001/p2p/… with blanks between", "none")
        answers = replace(answers, bootstrap=() if said == "none" else tuple(said.split()))
    if flags["share"] is None:
        click.echo("Antigens are average pictures of labelled attacks; no flow is in them.")
        answers = replace(answers, share=click.confirm("Share them with peers?", default=False))
    if flags["budget"] is None:
        said = click.prompt("False alarms allowed, as a share of benign flows", "0.5 %")
        answers = replace(answers, budget="" if said == "0.5 %" else said)
    if flags["dashboard"] is None and click.confirm("A dashboard for browsers on this machine?"):
        answers = replace(answers, dashboard=click.prompt("Where", "127.0.0.1:8440"))
    return answers


@click.command()
@click.option("--config", type=FILE, help="Settings; else gateway.toml here or in /etc/hedgerow.")
@click.option("--offline", is_flag=True, help="Do not dial the bootstrap addresses.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(config: Path | None, *, offline: bool, as_json: bool) -> None:
    """Look whether a node could run with these settings, on this machine, as this user.

    Changes nothing. Exit code 1 where something is wrong. Run it as the user that runs the node.
    """
    from node.service.checking.all import check as look

    file = config or next((each for each in (Path(_NAME), _SYSTEM) if each.exists()), None)
    if file is None:
        raise ConfigError(
            f"there is no {_NAME} here, and no {_SYSTEM}; name one with --config, or write one "
            "with `hedgerow init`"
        )
    found = list(look(file, offline=offline))
    errors = sum(each.level == "error" for each in found)
    if as_json:
        _print_json(found)
    else:
        _print(found)
    sys.exit(1 if errors else 0)


def _print_json(found: "Iterable[Finding]") -> None:
    import msgspec

    click.echo(json.dumps(msgspec.to_builtins(list(found)), indent=2, ensure_ascii=False))


def _print(found: "list[Finding]") -> None:
    from node.logs import printable

    for each in found:
        level = click.style(f"{each.level:8}", fg=_COLOURS[each.level])
        click.echo(f"{level} {printable(each.what)}: {printable(each.found)}")
        if each.cure:
            click.echo(f"{'':9}{printable(each.cure)}")
    counts = {level: sum(each.level == level for each in found) for level in _COLOURS}
    errors, warnings = counts["error"], counts["warning"]
    click.echo(f"{len(found)} checks: {errors} errors, {warnings} warnings")
