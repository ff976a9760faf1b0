"""`hedgerow init`: the few settings that differ from gateway to gateway, and a file of them."""

import json
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossip.errors import ConfigError
from node.config import tables
from node.config.flags import sensor_table
from node.config.settings import Settings
from node.durable import sync_folder

USUAL = (
    ("suricata", "var/log/suricata/eve.json"),
    ("zeek", "opt/zeek/logs/current/conn.log"),
    ("zeek", "usr/local/zeek/logs/current/conn.log"),
    ("zeek", "var/log/zeek/current/conn.log"),
    ("zeek", "nsm/zeek/logs/current/conn.log"),
)
"""Where sensors log: Debian's and Fedora's Suricata; Zeek's own packages, its sources, Debian's
older packages, Security Onion."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What an operator says.

    Args:
        name: the gateway's; may be empty.
        state_dir: as it is to stand in the file; None for the default beside the file.
        sensors: as `--sensor` takes them.
        bootstrap: multiaddrs.
        psk_file: of a private mesh; None for an open one.
        share: whether to share antigens.
        budget: as text, such as "0.5 %".
        dashboard: HOST:PORT; empty for none.
        listen: multiaddrs; empty for the default.
        alerts: file for alerts; None for the default in the state folder.
    """

    name: str = ""
    state_dir: Path | None = None
    sensors: tuple[str, ...] = ()
    bootstrap: tuple[str, ...] = ()
    psk_file: Path | None = None
    share: bool = False
    budget: str = ""
    dashboard: str = ""
    listen: tuple[str, ...] = ()
    alerts: Path | None = None


def usual_sensors(root: Path = Path("/")) -> tuple[str, ...]:
    """Logs of sensors that are on this machine, as `--sensor` takes them."""
    return tuple(f"{kind}:{root / path}" for kind, path in USUAL if (root / path).is_file())


def text_of(answers: Answers, path: Path) -> str:
    """The file: what differs from the defaults, said why, and hints at what may be wanted next.

    Args:
        answers: what is to be in it.
        path: where it will be; relative paths in it start at its folder.

    Raises:
        ConfigError: an answer is wrong.
    """
    mapping = _mapping(answers)
    text = "\n".join(_lines(mapping)) + "\n"
    tables.from_table(Settings, mapping, str(path), folder=path.absolute().parent)
    try:
        same = tomllib.loads(text.encode().decode()) == mapping
    except (tomllib.TOMLDecodeError, UnicodeEncodeError):
        same = False
    if not same:  # JSON may hold what TOML does not, such as half a character
        raise ConfigError(f"{path}: an answer cannot be written as TOML; use plain characters")
    return text


def write(path: Path, text: str, *, force: bool) -> None:
    """The file, whole or not at all; an existing one is kept unless `force`.

    Raises:
        ConfigError: it exists, or cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("x", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            if force:
                temporary.replace(path)
            else:
                os.link(temporary, path)  # a rename would take the place of what is there
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except FileExistsError as error:
        raise ConfigError(
            f"{path} exists already and was kept; name another file, or give --force"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its permissions"
        ) from error


def _mapping(answers: Answers) -> dict[str, Any]:
    """What differs from the defaults, as the file has it."""
    every: dict[str, dict[str, Any]] = {
        "node": {
            "name": answers.name,
            "state_dir": _path(answers.state_dir),
            "listen": list(answers.listen),
            "bootstrap": list(answers.bootstrap),
            "psk_file": _path(answers.psk_file),
        },
        "detector": {"budget": answers.budget},
        "antigens": {"share": answers.share},
        "alerts": {"path": _path(answers.alerts)},
        "dashboard": {"listen": answers.dashboard},
    }
    given = {
        table: {key: value for key, value in keys.items() if value} for table, keys in every.items()
    }
    found: dict[str, Any] = {table: keys for table, keys in given.items() if keys}
    if answers.sensors:
        found["sensor"] = [_sensor(text) for text in answers.sensors]
    return found


def _path(path: Path | None) -> str:
    """Flags are taken from the working directory, and files from their own folder."""
    return "" if path is None else str(path.absolute())


def _sensor(text: str) -> dict[str, Any]:
    table = sensor_table(text)
    if "path" in table and table["path"] != "-":
        table["path"] = _path(Path(table["path"]))
    return table


_HINTS: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "node": (
        "Who this gateway is, and how it meets others.",
        (
            ("name", '"ward-3"', "What this gateway is called in logs and alerts."),
            (
                "state_dir",
                '"/var/lib/hedgerow"',
                "Identity, model and memory; for the node alone.",
            ),
            ("listen", '["/ip4/0.0.0.0/tcp/4001"]', "Where others may reach it."),
            (
                "bootstrap",
                '["/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…"]',
                "Peers to join by; `hedgerow status` on any of them shows its address.",
            ),
            (
                "psk_file",
                '"mesh.psk"',
                "Key of a private mesh; `hedgerow psk FILE` makes one, copy it to every node.",
            ),
        ),
    ),
    "sensor": (
        "Where flows come from, one [[sensor]] each; docs/sensors.md has the sensors' settings.",
        (
            ("path", '"/var/log/suricata/eve.json"', ""),
            ("kind", '"suricata"', ""),
        ),
    ),
    "detector": (
        "What counts as anomalous.",
        (
            (
                "budget",
                '"0.5 %"',
                "False alarms allowed, as a share of benign flows. More finds more.",
            ),
        ),
    ),
    "antigens": (
        "What is told of attacks seen here. `hedgerow show-what-leaves` prints it all.",
        (("share", "true", "Share average pictures of labelled attacks, never a flow."),),
    ),
    "alerts": (
        "Where alerts go.",
        (
            (
                "path",
                '"/var/log/hedgerow/alerts.jsonl"',
                "Outside the state folder, so that a log shipper can read it.",
            ),
        ),
    ),
    "dashboard": (
        "A page for people. Only this machine can open it; from elsewhere use ssh -L.",
        (("listen", '"127.0.0.1:8440"', ""),),
    ),
}


def _lines(mapping: dict[str, Any]) -> Iterator[str]:
    yield "# Settings of a Hedgerow node. `hedgerow check` looks whether they hold on this machine;"
    yield "# `hedgerow config` prints every setting with its default. Relative paths start here."
    for table, (about, hints) in _HINTS.items():
        given = mapping.get(table)
        yield ""
        yield f"# {about}"
        if table == "sensor":
            for sensor in given or ():
                yield "[[sensor]]"
                yield from (f"{key} = {_toml(value)}" for key, value in sensor.items())
            if not given:
                yield "# [[sensor]]"
                yield from (f"# {key} = {sample}" for key, sample, _ in hints)
            continue
        yield f"[{table}]" if given else f"# [{table}]"
        for key, sample, meaning in hints:
            if meaning:
                yield f"# {meaning}"
            if given and key in given:
                yield f"{key} = {_toml(given[key])}"
            else:
                yield f"# {key} = {sample}"


def _toml(value: Any) -> str:
    """JSON writes text, booleans and arrays of text as TOML does."""
    return json.dumps(value, ensure_ascii=False)
