"""Community ID version 1, the name of a flow that Suricata, Zeek and Wazuh share.

TCP, UDP, SCTP and port-less protocols are computed here in 3 µs (the `communityid` package takes
32 µs, more than all the rest of a reader); a test holds them against that package. ICMP, with its
table of message types that belong together, is left to it.
"""

from base64 import b64encode
from functools import lru_cache
from hashlib import sha1
from socket import AF_INET, AF_INET6, inet_pton
from struct import Struct

import communityid

PROTOCOLS = {
    "tcp": 6,
    "udp": 17,
    "sctp": 132,
    "igmp": 2,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ospf": 89,
}
_PORTED = frozenset({6, 17, 132})
_PORT = Struct("!H")
_ICMP, _ICMP6 = 1, 58
_calculator = communityid.CommunityID()


def packed(host: str) -> bytes:
    """An address as 4 or 16 bytes.

    Raises:
        ValueError: it is no IP address.
    """
    try:
        return inet_pton(AF_INET6 if ":" in host else AF_INET, host)
    except (OSError, ValueError):  # ValueError: a null character or a lone surrogate
        raise ValueError(f"{host[:45]!r} is not an IP address") from None


def community_id(proto: str, orig_h: str, orig_p: int, resp_h: str, resp_p: int) -> str:
    """The flow's Community ID with seed 0; empty for a protocol without a known number.

    Args:
        proto: as in `Flow`.
        orig_h: the originator's address.
        orig_p: its port, or the ICMP type.
        resp_h: the responder's address.
        resp_p: its port, or the ICMP code (Zeek: the answer's type).

    Raises:
        ValueError: an address is none, or the two are of different versions.
    """
    here, there = packed(orig_h), packed(resp_h)
    if len(here) != len(there):
        raise ValueError(f"orig_h {orig_h} and resp_h {resp_h} are of different IP versions")
    if proto == "icmp":
        return _icmp(_ICMP if len(here) == 4 else _ICMP6, orig_h, orig_p, resp_h, resp_p)
    number = PROTOCOLS.get(proto)
    if number is None:
        return ""
    middle = bytes((number, 0))
    if number in _PORTED:
        one, two = (here, _PORT.pack(orig_p)), (there, _PORT.pack(resp_p))
        (first, first_port), (second, second_port) = (one, two) if one <= two else (two, one)
        data = first + second + middle + first_port + second_port
    else:
        data = min(here, there) + max(here, there) + middle
    digest = sha1(b"\0\0" + data, usedforsecurity=False).digest()
    return "1:" + b64encode(digest).decode()


@lru_cache(maxsize=4_096)
def _icmp(number: int, orig_h: str, kind: int, resp_h: str, code: int) -> str:
    flow = communityid.FlowTuple(number, orig_h, resp_h, kind, code)
    return str(_calculator.calc(flow))
