"""Multiaddrs as an operator writes them, and as peers claim them."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from libp2p.peer.id import ID

from gossip.contacts import ADDRESS_CHARS_MAX, ADDRESSES_MAX, Contact, PeerId
from gossip.errors import ConfigError

EXAMPLE_PEER = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
EXAMPLE_ADDRESS = "/ip4/192.0.2.7/tcp/4001"
EXAMPLE = f"{EXAMPLE_ADDRESS}/p2p/{EXAMPLE_PEER}"

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_ED25519_MULTIHASH = b"\x00\x24\x08\x01\x12\x20"  # identity hash of a protobuf Ed25519 key
_ED25519_BYTES = len(_ED25519_MULTIHASH) + 32


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port.

    Args:
        kind: `ip4`, `ip6` or `dns4`.
        host: in its shortest form.
        port: 0 only where it is to be bound.
    """

    kind: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"/{self.kind}/{self.host}/tcp/{self.port}"


def parse_address(text: str, *, listen: bool = False) -> Address:
    """An address without a peer; with `listen`, one that can be bound (port 0 allowed, no name).

    Raises:
        ConfigError: what is wrong with it, and how one looks.
    """
    address, peer = _parse(text, listen=listen)
    if peer is not None:
        raise _wrong(text, f"names a peer (/p2p/{peer}), which does not belong here", full=False)
    return address


def parse_contact(text: str) -> Contact:
    """A bootstrap address: where a peer listens and who has to answer there.

    Raises:
        ConfigError: what is wrong with it, and how one looks.
    """
    address, peer = _parse(text, listen=False)
    if peer is None:
        raise _wrong(text, "does not say which peer must answer; append /p2p/ and its peer id")
    return Contact(peer, (str(address),))


def merge_contacts(contacts: list[Contact]) -> tuple[Contact, ...]:
    """One contact a peer, in the order given, with the first four addresses of each."""
    merged: dict[PeerId, tuple[str, ...]] = {}
    for contact in contacts:
        known = merged.get(contact.peer, ())
        fresh = tuple(address for address in contact.addresses if address not in known)
        merged[contact.peer] = (known + fresh)[:ADDRESSES_MAX]
    return tuple(Contact(peer, addresses) for peer, addresses in merged.items())


def parse_peer(text: str) -> PeerId:
    """A peer id: the base58 form of an Ed25519 public key.

    Raises:
        ValueError: it is not one.
    """
    try:
        raw = ID.from_base58(text).to_bytes()
    except ValueError as error:
        raise ValueError(f"{text[:64]!r} is not base58") from error
    if len(raw) != _ED25519_BYTES or not raw.startswith(_ED25519_MULTIHASH):
        raise ValueError(f"{text[:64]!r} is not the id of an Ed25519 key (those start 12D3KooW)")
    return PeerId(text)


def _parse(text: str, *, listen: bool) -> tuple[Address, PeerId | None]:
    if len(text) > ADDRESS_CHARS_MAX + len("/p2p/") + len(EXAMPLE_PEER):
        raise _wrong(text[:40] + "…", f"has {len(text)} characters", full=not listen)
    parts = text.split("/")
    if parts[0] or len(parts) not in {5, 7} or parts[3] != "tcp":
        raise _wrong(text, "is not of the form /ip4/ADDRESS/tcp/PORT", full=not listen)
    try:
        host = _host(parts[1], parts[2], listen=listen)
        port = _port(parts[4], lowest=0 if listen else 1)
        peer = _peer(parts[5:])
    except ValueError as error:
        raise _wrong(text, f"is wrong: {error}", full=not listen) from error
    return Address(parts[1], host, port), peer


def _host(kind: str, host: str, *, listen: bool) -> str:
    try:
        if kind == "ip4":
            return str(IPv4Address(host))
        if kind == "ip6":
            return str(IPv6Address(host))
    except AddressValueError as error:
        raise ValueError(f"{host!r} is not an {kind} address ({error})") from error
    if kind != "dns4" or listen:
        allowed = "ip4 and ip6" if listen else "ip4, ip6 and dns4"
        raise ValueError(f"{kind!r} is not supported; only {allowed} are")
    if len(host) > ADDRESS_CHARS_MAX // 2 or not all(
        _LABEL.fullmatch(label) for label in host.rstrip(".").split(".")
    ):
        raise ValueError(f"{host!r} is not a host name")
    return host.lower()


def _port(text: str, *, lowest: int) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not lowest <= int(text) <= 65_535:
        raise ValueError(f"{text!r} is not a port from {lowest} to 65535")
    return int(text)


def _peer(parts: list[str]) -> PeerId | None:
    if not parts:
        return None
    if parts[0] != "p2p":
        raise ValueError(f"/{parts[0]} is not supported; only /p2p may follow the port")
    return parse_peer(parts[1])


def _wrong(text: str, problem: str, *, full: bool = True) -> ConfigError:
    example = EXAMPLE if full else EXAMPLE_ADDRESS
    return ConfigError(f"the address {text!r} {problem}. A right one: {example}")
