"""`[[sensor]]`: where flows come from."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from gossip.errors import ConfigError
from node.config.annotations import Check, Example, Range, printable

STANDARD_INPUT = Path("-")
PORT_MAX = 65_535
INTERFACE_CHARS_MAX = 15  # IFNAMSIZ of Linux, less its closing NUL

PLACES = {"netflow": "listen", "interface": "interface"}
"""Kinds that read no path, and the key that says where they read instead."""


def _listen(text: str) -> str:
    """For a `Check`: an address and a port.

    Raises:
        ValueError: it is none.
    """
    host, _, port = text.rpartition(":")
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
        sound = port.isascii() and port.isdigit() and int(port) <= PORT_MAX
    except ValueError:
        sound = False
    if not sound or (":" in host) != host.startswith("["):
        raise ValueError(
            f"{text!r} is not an IP address and a port; write 127.0.0.1:2055, or [::1]:2055"
        )
    return text


def _network(text: str) -> str:
    """For a `Check`: an address, or a network in CIDR notation.

    Raises:
        ValueError: it is neither.
    """
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ValueError(
            f"{error}; write an address, or a network such as 198.51.100.0/24"
        ) from None


@dataclass(frozen=True, slots=True)
class SensorSettings:
    """`[[sensor]]`: one source of flows. May be repeated.

    Raises:
        ConfigError: it lacks what its kind needs, or has what that kind does not read.
    """

    path: Annotated[Path | None, Example('"/var/log/suricata/eve.json"')] = None
    """The file: Suricata's eve.json, Zeek's conn.log as TSV or JSON, IPFIX biflows or our own
    records as JSON lines, or packets (pcap, pcapng). "-" reads lines from standard input."""

    kind: Literal["auto", "suricata", "zeek", "ipfix", "json", "netflow", "pcap", "interface"] = (
        "auto"
    )
    """Who writes it. auto looks at the first lines of a log. netflow listens for NetFlow v9 and
    IPFIX over UDP; pcap and interface read packets, which a meter of our own makes flows of."""

    listen: Annotated[str | None, Check(_listen), Example('"127.0.0.1:2055"')] = None
    """For netflow: UDP address and port to receive on. 2055 is the customary port of exporters."""

    exporters: Annotated[
        tuple[Annotated[str, Check(_network)], ...], Range(0, 64), Example('["198.51.100.0/24"]')
    ] = ()
    """For netflow: addresses whose datagrams are taken; others are counted and dropped. May be
    left empty only where it listens on loopback, and then means this machine. A sender's address
    can be forged: this is no authentication."""

    interface: Annotated[
        str | None, Range(1, INTERFACE_CHARS_MAX), Check(printable), Example('"eth0"')
    ] = None
    """For interface: the network interface whose packets are read."""

    follow: bool = True
    """Wait for new lines for ever, through rotation. false reads the file once."""

    labels: bool = True
    """Whether Suricata's alerts serve as weak labels. Measured: precision 0.9997 on our recordings,
    though most flows of an attack carry none."""

    def __post_init__(self) -> None:
        """Check that the kind finds what it needs, and nothing that it would not read."""
        needed = PLACES.get(self.kind, "path")
        for key in ("path", "listen", "interface"):
            given = getattr(self, key) is not None
            if given and key != needed:
                raise ConfigError(f'{key}: kind = "{self.kind}" does not read it; leave it away')
            if key == needed and not given:
                raise ConfigError(f'{key}: kind = "{self.kind}" needs it')
        if self.exporters and self.kind != "netflow":
            raise ConfigError(f'exporters: kind = "{self.kind}" has none; leave it away')
        if self.listen is not None and not self.exporters and not self.listens_on_loopback:
            raise ConfigError(
                f"exporters: {self.listen} can be reached from other machines, and who reaches it "
                'can invent flows; name the exporters, such as exporters = ["198.51.100.7"]'
            )
        if self.standard_input and self.kind == "pcap":
            raise ConfigError(f'path: kind = "{self.kind}" does not read standard input')

    @property
    def standard_input(self) -> bool:
        """Whether lines come from standard input."""
        return self.path == STANDARD_INPUT

    @property
    def log(self) -> Path:
        """The path, for a kind that has one.

        Raises:
            ConfigError: it has none.
        """
        if self.path is None:
            raise ConfigError(f'path: kind = "{self.kind}" has none')
        return self.path

    @property
    def address(self) -> tuple[str, int]:
        """What `listen` says: an IP address and a UDP port; port 0 is any free one.

        Raises:
            ConfigError: there is none.
        """
        if self.listen is None:
            raise ConfigError(f'listen: kind = "{self.kind}" has none')
        host, _, port = self.listen.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine can send to `listen`."""
        return ip_address(self.address[0]).is_loopback

    @property
    def place(self) -> str:
        """Where it reads, in one word; no two sensors of a node have the same."""
        return str(self.path or self.listen or self.interface)
