"""`[dashboard]` and `[metrics]`: what a node serves over HTTP, and to whom."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from gossip.errors import ConfigError
from node.config.annotations import Check, Example, Range

HOST_CHARS_MAX = 253  # RFC 1035, section 2.3.4, less the dots at its ends


def parse_web_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, where HOST is an IP address or localhost.

    IPv6 addresses stand in brackets, as in a URL: `[::1]:8440`. Port 0 takes any free one.

    Raises:
        ValueError: it is none.
    """
    host, port = text, None
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
        usual = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    except ValueError:
        usual = ""
    if port is None or usual != text.lower() or not (host == "localhost" or _ip(host)):
        raise ValueError(
            f"{text[:80]!r} is no address to serve at; write an IP address and a port, such as "
            "127.0.0.1:8440 or [::1]:8440"
        )
    return ("127.0.0.1" if host == "localhost" else host), port


def check_web_address(text: str) -> str:
    """For settings: the text, if it is an address to serve at.

    Raises:
        ValueError: as `parse_web_address`.
    """
    parse_web_address(text)
    return text


def check_host(text: str) -> str:
    """For settings: the text, if a browser could send it as the name of a host.

    Raises:
        ValueError: it is empty, too long, or has other characters than a name's.
    """
    sound = text.replace("-", "").replace(".", "").isalnum() and text.isascii()
    if not sound or len(text) > HOST_CHARS_MAX or text != text.lower():
        raise ValueError(
            f"{text[:80]!r} is no host name; write one in lower case without a port, such as "
            "gateway.example"
        )
    return text


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    found = _ip(host)
    return host == "localhost" or (found is not None and found.is_loopback)


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


HostName = Annotated[str, Check(check_host)]


@dataclass(frozen=True, slots=True)
class DashboardSettings:
    """`[dashboard]`: a page for people, in a browser; see docs/dashboard.md.

    Raises:
        ConfigError: others could reach it, and nothing says that they may.
    """

    listen: Annotated[str | None, Check(check_web_address), Example('"127.0.0.1:8440"')] = None
    """Where to serve the dashboard. Left out, there is none. Reach it from elsewhere with
    `ssh -L 8440:127.0.0.1:8440 GATEWAY`."""

    allow_remote: bool = False
    """Whether `listen` may be an address that other machines reach. What is served there is not
    encrypted, the token neither: have a reverse proxy with TLS before it."""

    token_file: Annotated[Path | None, Example('"dashboard-token"')] = None
    """File with the token that lets a browser in, made with mode 0600 if it is not there. Left
    out: dashboard-token in the state folder. A new token ends all sessions."""

    hosts: Annotated[tuple[HostName, ...], Range(0, 16), Example('["gateway.example"]')] = ()
    """Names under which a reverse proxy serves it. Requests for any other name than these,
    localhost and IP addresses are refused: else a foreign page could rebind its own name to this
    node."""

    def __post_init__(self) -> None:
        """Refuse to be reachable by accident."""
        _check_remote("dashboard", self.listen, allowed=self.allow_remote)


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """`[metrics]`: counters for Prometheus, without a token; see docs/dashboard.md.

    Raises:
        ConfigError: others could reach it, and nothing says that they may.
    """

    listen: Annotated[str | None, Check(check_web_address), Example('"127.0.0.1:9440"')] = None
    """Where to serve `/metrics`. Left out, only the dashboard serves them, to who has its token.
    Nothing in them names an address, a peer or an incident."""

    allow_remote: bool = False
    """Whether `listen` may be an address that other machines reach, such as the Prometheus server.
    Everyone who can connect can read it, unencrypted."""

    def __post_init__(self) -> None:
        """Refuse to be reachable by accident."""
        _check_remote("metrics", self.listen, allowed=self.allow_remote)


def _check_remote(table: str, listen: str | None, *, allowed: bool) -> None:
    if listen is None or allowed or is_loopback(parse_web_address(listen)[0]):
        return
    raise ConfigError(
        f"{table}.listen = {listen!r} can be reached from other machines, without encryption; set "
        f"{table}.allow_remote = true if that is meant, or use 127.0.0.1 and `ssh -L`"
    )
