"""The multiaddrs that Hedgerow uses: a host, a TCP port, and in some places a peer identity.

py-multiaddr accepts every protocol there is; only these can work here, and a person who mistyped
one deserves to hear which part is wrong. Nothing here imports libp2p, so that `hedgerow status`
reads its settings at once; the transport checks that an identity is an Ed25519 key.
"""

import re
from ipaddress import IPv4Address, IPv6Address

from gossip.contacts import ADDRESS_CHARS_MAX, PEER_ID_CHARS_MAX

EXAMPLE = "/ip4/192.0.2.7/tcp/4001"
EXAMPLE_PEER = f"{EXAMPLE}/p2p/12D3KooW…"

_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,}")


def check_listen(text: str) -> str:
    """The address, if a node can listen on it or announce it.

    Raises:
        ValueError: it is no host and TCP port, or names a peer.
    """
    host_and_port, peer = _split(text, EXAMPLE, ("ip4", "ip6"), 0)
    if peer is not None:
        raise ValueError(f"{text!r} names a peer; leave /p2p/… out: {host_and_port}")
    return text


def check_bootstrap(text: str) -> str:
    """The address, if a peer can be dialled there and proved to be the one that is meant.

    Raises:
        ValueError: it is no host and TCP port, or names no peer.
    """
    _, peer = _split(text, EXAMPLE_PEER, ("ip4", "ip6", "dns4"), 1)
    if peer is None:
        raise ValueError(
            f"{text!r} names no peer; append /p2p/ and its identity, which `hedgerow up` prints "
            "there when it starts"
        )
    return text


def _split(
    text: str, example: str, kinds: tuple[str, ...], port_min: int
) -> tuple[str, str | None]:
    shown = text[:ADDRESS_CHARS_MAX]
    parts = text.split("/")
    if len(text) > ADDRESS_CHARS_MAX + PEER_ID_CHARS_MAX or len(parts) not in {5, 7} or parts[0]:
        raise ValueError(
            f"{shown!r} is not a multiaddr with a host and a TCP port such as {example}"
        )
    if parts[1] not in kinds:
        raise ValueError(
            f"/{parts[1][:20]}/ is not supported here; use /{'/ or /'.join(kinds)}/: {example}"
        )
    _host(parts[1], parts[2], example)
    if parts[3] != "tcp":
        raise ValueError(f"{shown!r}: /{parts[3][:20]}/ is not supported, only /tcp/: {example}")
    if not re.fullmatch("[0-9]{1,5}", parts[4]) or not port_min <= int(parts[4]) <= 65_535:
        raise ValueError(f"{parts[4][:20]!r} is not a TCP port; give {port_min} to 65535")
    if len(parts) == 5:
        return text, None
    if parts[5] != "p2p":
        raise ValueError(
            f"{shown!r}: /{parts[5][:20]}/ is not supported after the port, only /p2p/"
        )
    if not _BASE58.fullmatch(parts[6]) or len(parts[6]) > PEER_ID_CHARS_MAX:
        raise ValueError(
            f"{parts[6][:PEER_ID_CHARS_MAX]!r} is not a peer identity such as 12D3KooW…"
        )
    return "/".join(parts[:5]), parts[6]


def _host(kind: str, host: str, example: str) -> None:
    parse = {"ip4": IPv4Address, "ip6": IPv6Address}
    if kind in parse:
        try:
            parse[kind](host)
        except ValueError as error:
            raise ValueError(f"{host[:80]!r} is not an /{kind}/ address: {example}") from error
    elif not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError(f"{host[:80]!r} is not a host name: {example}")
