"""The flags of `hedgerow up` and `hedgerow join`, and the settings that they stand for."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gossip.errors import ConfigError

if TYPE_CHECKING:  # for the types only: --help must not wait for it
    from node.config.settings import Settings

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

_KINDS = {
    "suricata": "path",
    "zeek": "path",
    "ipfix": "path",
    "json": "path",
    "netflow": "listen",
    "pcap": "path",
    "interface": "interface",
    "auto": "path",
}
"""What may stand before the colon of --sensor, and the key that what follows it is the value of."""

_MISSING = {"path": "no log; write {}PATH", "listen": "no port; write {}127.0.0.1:2055"}
_KEYS = {
    "state_dir": "node.state_dir",
    "name": "node.name",
    "listen": "node.listen",
    "announce": "node.announce",
    "bootstrap": "node.bootstrap",
    "psk_file": "node.psk_file",
    "budget": "detector.budget",
    "share_antigens": "antigens.share",
    "cycle": "mesh.cycle",
    "journal": "journal.path",
    "dashboard": "dashboard.listen",
    "metrics": "metrics.listen",
    "log_level": "log.level",
}

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--state-dir", type=FOLDER, help="Folder for identity, model and state."),
    click.option("--name", help="What this gateway is called in logs and alerts."),
    click.option("--listen", multiple=True, metavar="MULTIADDR", help="Accept peers here."),
    click.option("--announce", multiple=True, metavar="MULTIADDR", help="Tell peers this instead."),
    click.option(
        "--sensor",
        "sensors",
        multiple=True,
        metavar="[KIND:]PLACE",
        help="A log to follow (KIND suricata, zeek, ipfix, json or auto), a recording (pcap), an "
        "interface, or an address to receive exports on (netflow). May be repeated.",
    ),
    click.option("--no-labels", is_flag=True, help="Do not learn from the sensors' own alerts."),
    click.option("--read-once", is_flag=True, help="Read the logs to their end; do not follow."),
    click.option("--psk-file", type=FILE, help="Key of a private mesh; `hedgerow psk` makes one."),
    click.option("--budget", help="False alarms as a share of benign flows, such as 0.5%."),
    click.option(
        "--share-antigens",
        is_flag=True,
        default=None,
        help="Tell peers what attacks with labels here look like; see show-what-leaves.",
    ),
    click.option("--cycle", help="Period of training and exchange, such as 10s."),
    click.option("--journal", type=FILE, help="Record everything the peer is told, for replay."),
    click.option("--dashboard", metavar="HOST:PORT", help="Serve a dashboard for browsers here."),
    click.option("--metrics", metavar="HOST:PORT", help="Serve metrics for Prometheus here."),
    click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"])),
)


def node_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option that `overridden` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def overridden(
    settings: "Settings",
    sensors: tuple[str, ...] = (),
    *,
    no_labels: bool = False,
    read_once: bool = False,
    **flags: Any,
) -> "Settings":
    """The settings as the flags change them; a flag that is None or empty changes nothing.

    Raises:
        ConfigError: as `Settings.with_overrides`; or a sensor has a kind that there is not.
    """
    values = {_KEYS[flag]: value for flag, value in flags.items() if value not in {None, ()}}
    values = {key: str(v) if isinstance(v, Path) else v for key, v in values.items()}
    if sensors:
        values["sensor"] = [sensor_table(text) for text in sensors]
    settings = settings.with_overrides(values)
    kept = [
        replace(s, follow=s.follow and not read_once, labels=s.labels and not no_labels)
        for s in settings.sensors
    ]
    return replace(settings, sensors=tuple(kept))


def sensor_table(text: str) -> dict[str, Any]:
    """A `[[sensor]]` table of what `--sensor` was given.

    Raises:
        ConfigError: the kind is none, or nothing follows it.
    """
    kind, colon, path = text.partition(":")
    if colon and kind in _KINDS:
        key = _KINDS[kind]
        if not path:
            lacking = _MISSING.get(key, "no interface; write {}eth0").format(text)
            raise ConfigError(f"--sensor {text!r} names {lacking}")
        return {"kind": kind, key: path}
    if colon and re.fullmatch(r"\w+", kind) and not os.path.lexists(text):
        near = get_close_matches(kind.lower(), _KINDS, n=1)
        guess = f", did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"--sensor {text!r}: {kind!r} is not a kind{guess}; use one of {', '.join(_KINDS)}. "
            f"If this is a log that comes later, write auto:{text}"
        )
    return {"path": text}
