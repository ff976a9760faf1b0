"""From a captured frame to what a flow needs of it.

Sizes are those of the IP header, never of the capture: recordings are often cut to the first bytes
of each packet, and short Ethernet frames are padded.

Read are: Ethernet with up to four VLAN tags (802.1Q, 802.1ad) and PPPoE, raw IP, Linux "cooked"
captures of both versions, BSD loopback; IPv4, and IPv6 with its extension headers. Header fields
follow RFC 791, 8200, 9293 and 4443; link types are those of https://www.tcpdump.org/linktypes.html.
"""

import struct
from struct import Struct
from typing import NamedTuple

ETHERNET, RAW, NULL, LOOP, SLL, SLL2, IPV4, IPV6 = 1, 101, 0, 108, 113, 276, 228, 229
LINKS = {
    ETHERNET: "Ethernet",
    RAW: "raw IP",
    12: "raw IP",  # as BSD and OpenBSD number it
    14: "raw IP",
    IPV4: "raw IPv4",
    IPV6: "raw IPv6",
    NULL: "BSD loopback",
    LOOP: "OpenBSD loopback",
    SLL: "Linux cooked",
    SLL2: "Linux cooked 2",
}
"""Link types that are read."""

ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

TAGS_MAX = 4
EXTENSIONS_MAX = 8
"""Our choices, against frames made to keep us busy; RFC 8200, section 4.1, knows 7 orders."""

_TAGGED = frozenset({0x8100, 0x88A8, 0x9100})
_ETHERTYPES = frozenset({0x0800, 0x86DD})
_PPPOE = 0x8864
_PPP_IP = frozenset({b"\x00\x21", b"\x00\x57"})
_PORTED = frozenset({TCP, UDP, SCTP})
_SKIPPED = frozenset({0, 43, 60, 135, 139, 140})  # extension headers with a length in 8 bytes
_FRAGMENT, _AUTHENTICATION, _NOTHING_NEXT = 44, 51, 59
_UNREACHABLE = {ICMP: 3, ICMP6: 1}

_H = Struct("!H").unpack_from
_PORTS = Struct("!HH").unpack_from
_TCP_REST = Struct("!I4xxB").unpack_from  # from byte 4 on: sequence number, flags
_IP4 = Struct("!BxHHHxBxx4s4s").unpack_from
_IP6 = Struct("!4xHBx16s16s").unpack_from


class OtherError(Exception):
    """Not IP: no flow's business."""


class MalformedError(Exception):
    """A header is cut short or contradicts itself."""


class UnknownLinkError(Exception):
    """A link type that is not in `LINKS`."""


class Quoted(NamedTuple):
    """The packet that an ICMP message calls unreachable."""

    proto: int
    src: bytes
    dst: bytes
    sport: int
    dport: int


class Packet(NamedTuple):
    """What a flow needs of a packet.

    Args:
        proto: number of the transport protocol.
        src: address, 4 or 16 bytes; dst likewise.
        sport: port, or the ICMP type; 0 where the protocol has none.
        dport: port, or the ICMP code.
        length: bytes from the IP header on.
        flags: of TCP.
        seq: TCP's sequence number.
        vlan: tags, 2 bytes each.
        fragment: what all fragments of a datagram share; empty for a whole one.
        first: whether the ports are in it.
        quoted: of an ICMP message that something is unreachable.
    """

    proto: int
    src: bytes
    dst: bytes
    sport: int
    dport: int
    length: int
    flags: int = 0
    seq: int = 0
    vlan: bytes = b""
    fragment: bytes = b""
    first: bool = True
    quoted: Quoted | None = None


def decode(frame: bytes, link: int, wire: int = 0) -> Packet:
    """The packet in a frame.

    Args:
        frame: from the link's header on; may be cut short after the transport's header.
        link: its type, see `LINKS`.
        wire: bytes that the frame had before it was cut; 0 if not known. Needed only for packets
            larger than their length field can say (segmentation offload).

    Raises:
        OtherError: it is not IP.
        MalformedError: its headers are not whole.
        UnknownLinkError: the link type is not known.
    """
    try:
        if link == ETHERNET:
            if _H(frame, 12)[0] not in _ETHERTYPES:
                return _odd_ethernet(frame, wire)
            return _ip(frame, 14, wire - 14)
        at = _link(frame, link)
        return _ip(frame, at, wire - at)
    except (IndexError, struct.error):
        raise MalformedError from None


def _odd_ethernet(frame: bytes, wire: int) -> Packet:
    """With VLAN tags, or PPPoE."""
    at, vlan = 12, b""
    kind = _H(frame, at)[0]
    while kind in _TAGGED:
        if len(vlan) == 2 * TAGS_MAX:
            raise MalformedError
        vlan += bytes((frame[at + 2] & 0x0F, frame[at + 3]))
        at += 4
        kind = _H(frame, at)[0]
    at += 2
    if kind == _PPPOE:
        if frame[at + 6 : at + 8] not in _PPP_IP:
            raise OtherError
        at += 8
    elif kind not in _ETHERTYPES:
        raise OtherError
    packet = _ip(frame, at, wire - at)
    return packet._replace(vlan=vlan) if vlan else packet


def _link(frame: bytes, link: int) -> int:
    """Where the IP header begins, for links other than Ethernet."""
    if link not in LINKS:
        raise UnknownLinkError
    if link in (SLL, SLL2):
        kind, at = (_H(frame, 14)[0], 16) if link == SLL else (_H(frame, 0)[0], 20)
        if kind not in _ETHERTYPES:
            raise OtherError
        return at
    at = 4 if link in (NULL, LOOP) else 0
    if frame[at] >> 4 not in (4, 6):
        raise OtherError
    return at


def _ip(frame: bytes, at: int, left: int) -> Packet:
    """The packet whose IP header begins at `at`; `left` bytes from there on, none if not known."""
    version = frame[at] >> 4
    if version == 4:
        return _ip4(frame, at, left)
    if version == 6:
        return _ip6(frame, at, left)
    raise MalformedError


def _ip4(frame: bytes, at: int, left: int) -> Packet:
    head, length, name, place, proto, src, dst = _IP4(frame, at)
    size = (head & 0x0F) * 4
    length = length or left
    if size < 20 or length < size or length > left > 0:
        raise MalformedError
    fragment = b""
    if place & 0x3FFF:  # more to come, or an offset
        fragment = src + dst + bytes((proto,)) + name.to_bytes(2, "big")
        if place & 0x1FFF:
            return Packet(proto, src, dst, 0, 0, length, fragment=fragment, first=False)
    return _transport(frame, at + size, proto, src, dst, length, fragment)


def _ip6(frame: bytes, at: int, left: int) -> Packet:
    payload, proto, src, dst = _IP6(frame, at)
    length = payload + 40 if payload else max(left, 40)
    if length > left > 0:
        raise MalformedError
    at += 40
    fragment = b""
    for _ in range(EXTENSIONS_MAX):
        if proto in _SKIPPED:
            proto, at = frame[at], at + 8 + 8 * frame[at + 1]
        elif proto == _AUTHENTICATION:
            proto, at = frame[at], at + 8 + 4 * frame[at + 1]
        elif proto == _FRAGMENT:
            place = _H(frame, at + 2)[0]
            if place & 0xFFF9:
                fragment = src + dst + frame[at + 4 : at + 8]
            proto, at = frame[at], at + 8
            if place & 0xFFF8:
                return Packet(proto, src, dst, 0, 0, length, fragment=fragment, first=False)
        else:
            return _transport(frame, at, proto, src, dst, length, fragment)
    raise MalformedError


def _transport(
    frame: bytes, at: int, proto: int, src: bytes, dst: bytes, length: int, fragment: bytes
) -> Packet:
    """Ports and flags, from the transport's header at `at`."""
    if proto == TCP:
        sport, dport = _PORTS(frame, at)
        seq, flags = _TCP_REST(frame, at + 4)
        return Packet(proto, src, dst, sport, dport, length, flags, seq, b"", fragment)
    if proto in _PORTED:
        sport, dport = _PORTS(frame, at)
        return Packet(proto, src, dst, sport, dport, length, 0, 0, b"", fragment)
    if proto in _UNREACHABLE:
        kind, code = frame[at], frame[at + 1]
        quoted = _quoted(frame, at + 8) if kind == _UNREACHABLE[proto] else None
        return Packet(proto, src, dst, kind, code, length, fragment=fragment, quoted=quoted)
    return Packet(proto, src, dst, 0, 0, length, 0, 0, b"", fragment)


def _quoted(frame: bytes, at: int) -> Quoted | None:
    """Ports and addresses of the packet that an ICMP message quotes; None where not enough is."""
    try:
        if frame[at] >> 4 == 4:
            _, _, _, place, proto, src, dst = _IP4(frame, at)
            if place & 0x1FFF or proto not in _PORTED:
                return None
            return Quoted(proto, src, dst, *_PORTS(frame, at + 4 * (frame[at] & 0x0F)))
        _, proto, src, dst = _IP6(frame, at)
        return Quoted(proto, src, dst, *_PORTS(frame, at + 40)) if proto in _PORTED else None
    except (IndexError, struct.error):
        return None
