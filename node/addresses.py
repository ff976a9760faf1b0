"""Multiaddrs as an operator writes them, and as peers claim them: a host, a TCP port, a peer.

py-multiaddr accepts every protocol there is; only these can work here, and a person who mistyped
one deserves to hear which part is wrong. Nothing here imports libp2p, so that `hedgerow status`
reads its settings at once.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from gossip.contacts import (
    ADDRESS_CHARS_MAX,
    ADDRESSES_MAX,
    PEER_ID_CHARS_MAX,
    Contact,
    PeerId,
)

EXAMPLE_PEER = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
EXAMPLE_ADDRESS = "/ip4/192.0.2.7/tcp/4001"
EXAMPLE = f"{EXAMPLE_ADDRESS}/p2p/{EXAMPLE_PEER}"

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")  # RFC 1123, and the underscore of containers
_HOST_CHARS_MAX = ADDRESS_CHARS_MAX // 2
_SHOWN_CHARS = 40
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
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
        ValueError: what is wrong with it, and how one looks.
    """
    address, peer = _parse(text, EXAMPLE_ADDRESS, listen=listen)
    if peer is not None:
        raise _wrong(text, "names a peer; leave /p2p/… out", str(address))
    return address


def parse_contact(text: str) -> Contact:
    """A bootstrap address: where a peer listens and who has to answer there.

    Raises:
        ValueError: what is wrong with it, and how one looks.
    """
    address, peer = _parse(text, EXAMPLE, listen=False)
    if peer is None:
        problem = "names no peer; append /p2p/ and its id, which `hedgerow up` prints at its start"
        raise _wrong(text, problem, EXAMPLE)
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
    raw = _from_base58(text)
    if raw is None:
        raise ValueError(f"{_shown(text)} is not a peer id such as {EXAMPLE_PEER}: no base58")
    if len(raw) != _ED25519_BYTES or not raw.startswith(_ED25519_MULTIHASH):
        raise ValueError(
            f"{_shown(text)} is not the id of an Ed25519 key; those are 52 characters long and "
            "start 12D3KooW"
        )
    return PeerId(text)


def check_listen(text: str) -> str:
    """For settings: the text, if it is an address to listen on.

    Raises:
        ValueError: as `parse_address`.
    """
    parse_address(text, listen=True)
    return text


def check_announce(text: str) -> str:
    """For settings: the text, if it is an address that others can dial.

    Raises:
        ValueError: as `parse_address`.
    """
    parse_address(text)
    return text


def check_bootstrap(text: str) -> str:
    """For settings: the text, if it is an address to join by.

    Raises:
        ValueError: as `parse_contact`.
    """
    parse_contact(text)
    return text


def _parse(text: str, example: str, *, listen: bool) -> tuple[Address, PeerId | None]:
    if len(text) > ADDRESS_CHARS_MAX + len("/p2p/") + PEER_ID_CHARS_MAX:
        raise _wrong(text, f"is not a multiaddr: it has {len(text)} characters", example)
    parts = text.split("/")
    if parts[0] or len(parts) not in {5, 7}:
        raise _wrong(text, "is not a multiaddr with a host and a TCP port", example)
    try:
        host = _host(parts[1], parts[2], listen=listen)
        _only("tcp", parts[3], "")
        port = _port(parts[4], lowest=0 if listen else 1)
        peer = None
        if len(parts) == 7:
            _only("p2p", parts[5], " after the port")
            peer = parse_peer(parts[6])
    except ValueError as error:
        raise _wrong(text, f"is wrong: {error}", example) from error
    return Address(parts[1], host, port), peer


def _only(supported: str, found: str, where: str) -> None:
    if found != supported:
        raise ValueError(f"/{found}/ is not supported{where}, only /{supported}/")


def _host(kind: str, host: str, *, listen: bool) -> str:
    kinds = ("ip4", "ip6") if listen else ("ip4", "ip6", "dns4")
    if kind not in kinds:
        raise ValueError(f"/{kind}/ is not supported here; use /{'/ or /'.join(kinds)}/")
    try:
        if kind == "ip4":
            return str(IPv4Address(host))
        if kind == "ip6":
            return str(IPv6Address(host))
    except AddressValueError as error:
        raise ValueError(f"{_shown(host)} is not an /{kind}/ address") from error
    labels = host.rstrip(".").split(".")
    if len(host) > _HOST_CHARS_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{_shown(host)} is not a host name")
    return host.lower()


def _port(text: str, *, lowest: int) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not lowest <= int(text) <= 65_535:
        raise ValueError(f"{_shown(text)} is not a TCP port; give {lowest} to 65535")
    return int(text)


def _from_base58(text: str) -> bytes | None:
    """The bytes; None where a character is none of base58's, or there are too many."""
    if len(text) > PEER_ID_CHARS_MAX:
        return None
    number = 0
    for character in text:
        digit = _BASE58.find(character)
        if digit < 0:
            return None
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip(_BASE58[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _shown(text: str) -> str:
    return repr(text if len(text) <= PEER_ID_CHARS_MAX else f"{text[:_SHOWN_CHARS]}…")


def _wrong(text: str, problem: str, example: str) -> ValueError:
    whole = ADDRESS_CHARS_MAX + PEER_ID_CHARS_MAX
    shown = text if len(text) <= whole else f"{text[:_SHOWN_CHARS]}…"
    return ValueError(f"the address {shown!r} {problem}. A right one: {example}")
