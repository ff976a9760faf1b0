"""`[alerts]`: what becomes of alerts."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from gossip.errors import ConfigError
from node.config.annotations import Check, Example, Key, Range

SCHEMES = ("udp", "tcp", "unix")
SOCKET_PATH_BYTES_MAX = 107  # sun_path of Linux, less its closing NUL
OUTPUTS_MAX = 8

Format = Literal["eve", "ecs", "syslog"]
EventName = Literal["opened", "updated", "closed"]


def check_target(text: str) -> str:
    """For settings: the text, if it names a place that syslog messages can be sent to.

    Raises:
        ValueError: it does not.
    """
    target(text)
    return text


def target(text: str) -> tuple[str, str, int]:
    """Scheme, host or path, and port (0 for a path) of `udp://127.0.0.1:514` or `unix:///dev/log`.

    Raises:
        ValueError: it is no such thing.
    """
    try:
        parts = urlsplit(text)
        port = parts.port or 0
    except ValueError:
        parts, port = urlsplit(""), 0
    extra = parts.query or parts.fragment or parts.username
    if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc and not extra:
        if len(parts.path.encode(errors="replace")) <= SOCKET_PATH_BYTES_MAX:
            return "unix", parts.path, 0
    elif parts.scheme in SCHEMES and port and parts.path in ("", "/") and not extra:
        host = parts.hostname or ""
        try:
            return parts.scheme, str(ip_address(host)), port
        except ValueError:
            pass  # a name would have to be looked up, and the node would wait for that
    raise ValueError(
        f"{text[:80]!r} is no target; write an IP address and a port, such as udp://127.0.0.1:514 "
        "or tcp://[::1]:601, or a socket, such as unix:///dev/log"
    )


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """`[[alerts.output]]`: one more place that alerts go to. May be repeated.

    Raises:
        ConfigError: neither or both of path and to, a format that does not travel so, or a host
            beyond this machine without `remote`.
    """

    path: Annotated[Path | None, Example('"/var/log/hedgerow/alerts.ecs.jsonl"')] = None
    """File that alerts are appended to, like `alerts.path`. This or `to`."""

    to: Annotated[str, Check(lambda text: text and check_target(text))] = ""
    """Where syslog messages are sent: `udp://` or `tcp://` with an IP address and a port, or
    `unix://` with the path of a datagram socket. This or `path`."""

    format: Format = "eve"
    """How alerts are written: Suricata's EVE JSON, Elastic Common Schema, or syslog as RFC 5424
    has it. What is sent with `to` is "syslog"."""

    events: Annotated[tuple[EventName, ...], Range(1, 3)] = ("opened", "updated", "closed")
    """Which records are written: when an incident opens, when it has ten times the flows of the
    record before, and when it ends. The summary of what the rate held back is always written."""

    remote: bool = False
    """Whether `to` may be another machine. Alerts name hosts of this network, and syslog over UDP
    or TCP is neither encrypted nor authenticated; a local rsyslog can forward them with TLS."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if (self.path is None) == (not self.to):
            raise ConfigError(
                'give an output either a file (path = "alerts.ecs.jsonl") or a target '
                '(to = "udp://127.0.0.1:514")'
            )
        if not self.to:
            return
        if self.format != "syslog":
            raise ConfigError(f'to = "{self.to}" takes syslog messages; write format = "syslog"')
        scheme, host, _ = target(self.to)
        if scheme != "unix" and not ip_address(host).is_loopback and not self.remote:
            raise ConfigError(
                f"{host} is another machine, and alerts would travel there in the clear; send them "
                "to a local syslog daemon, which can encrypt, or write remote = true"
            )


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """`[alerts]`: where alerts go.

    Raises:
        ConfigError: two outputs write to one file.
    """

    path: Annotated[Path | None, Example('"/var/log/hedgerow/alerts.jsonl"')] = None
    """File that alerts are appended to; made with mode 0640. Left out: alerts.jsonl in the state
    folder, where only the node's own user can read it (mode 0700). For a log shipper that runs as
    another user, set a path outside, in a folder that its group can enter."""

    format: Format = "eve"
    """How that file is written: "eve" is Suricata's EVE JSON, which stock rules of Wazuh and
    Filebeat know, "ecs" Elastic Common Schema, "syslog" lines as RFC 5424 has them. See
    docs/alerts.md."""

    events: Annotated[tuple[EventName, ...], Range(1, 3)] = ("opened", "updated", "closed")
    """Which records are written to that file, see `alerts.output`."""

    per_minute_max: Annotated[int, Range(1, 10_000)] = 10
    """Alerts written in a minute; what is above is counted and summed up in one line. Our choice:
    as many as a person can look at."""

    suppress: Annotated[Path | None, Example('"suppress.toml"')] = None
    """File of rules that hold alerts back, see docs/alerts.md; read again when it changes and on
    SIGHUP. Left out: none are."""

    outputs: Annotated[tuple[OutputSettings, ...], Key("output"), Range(0, OUTPUTS_MAX)] = field(
        default=()
    )
    """More places that alerts go to."""

    def __post_init__(self) -> None:
        """Refuse two writers of one file."""
        paths = [each.path for each in self.outputs if each.path is not None]
        if self.path is not None:
            paths.append(self.path)
        twice = next((path for path in paths if paths.count(path) > 1), None)
        if twice is not None:
            raise ConfigError(f"{twice} is named twice; give each output a file of its own")
