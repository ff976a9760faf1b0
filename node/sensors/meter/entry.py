"""A flow in the meter's table, and what is reported of it."""

from collections import OrderedDict
from hashlib import blake2b
from socket import AF_INET, AF_INET6, inet_ntop

from gossip.flows import ConnState, Flow
from node.sensors.community import PROTOCOLS, community_id
from node.sensors.meter.decode import ACK, FIN, ICMP, ICMP6, RST, SCTP, SYN, TCP, UDP, Packet

SENSOR = "meter"

_NAMES = {number: name for name, number in PROTOCOLS.items()} | {ICMP: "icmp", ICMP6: "icmp"}
_ANSWERS = {
    ICMP: {0: 8, 14: 13, 16: 15, 18: 17, 9: 10},
    ICMP6: {129: 128, 134: 133, 136: 135},
}
"""ICMP answers, and the type of what they answer: echo, time, information, mask, router,
neighbour."""

_S = 1_000_000


class Entry:
    """A flow in the table: side 0 is the originator, side 1 the responder."""

    __slots__ = (
        "bytes0",
        "bytes1",
        "first",
        "flags0",
        "flags1",
        "isn",
        "key",
        "last",
        "orig",
        "orig_p",
        "pkts0",
        "pkts1",
        "proto",
        "queue",
        "refused",
        "resp",
        "resp_p",
        "syn",
    )  # fmt: skip

    def __init__(self, key: bytes, packet: Packet, ts_us: int, queue: "Queue") -> None:
        self.key = key
        self.queue = queue
        self.proto = packet.proto
        self.orig, self.orig_p = packet.src, packet.sport
        self.resp, self.resp_p = packet.dst, packet.dport
        self.first = self.last = ts_us
        self.isn = packet.seq
        self.syn = False  # whether a SYN has said who began
        self.begin(ts_us)

    def begin(self, ts_us: int) -> None:
        """Count anew from here on."""
        self.first = self.last = ts_us
        self.pkts0 = self.pkts1 = self.bytes0 = self.bytes1 = 0
        self.flags0 = self.flags1 = 0
        self.refused = 0  # ICMP messages among the responder's packets

    def turn(self) -> None:
        """The other side began."""
        self.orig, self.resp = self.resp, self.orig
        self.orig_p, self.resp_p = self.resp_p, self.orig_p
        self.pkts0, self.pkts1 = self.pkts1, self.pkts0
        self.bytes0, self.bytes1 = self.bytes1, self.bytes0
        self.flags0, self.flags1 = self.flags1, self.flags0


class Queue(OrderedDict[bytes, Entry]):
    """Flows with one time-out, the one that was silent longest first."""

    def __init__(self, timeout_s: int) -> None:
        super().__init__()
        self.timeout_us = timeout_s * _S


PORTED = frozenset({TCP, UDP, SCTP})


def key_of(packet: Packet) -> bytes:
    """The same for both directions."""
    proto, src, dst, sport, dport = packet[:5]
    if proto in _ANSWERS:
        # Asking and answering messages of one kind between two hosts are one flow, whatever code.
        sport = dport = _ANSWERS[proto].get(sport, sport)
    here, there = src + sport.to_bytes(2, "big"), dst + dport.to_bytes(2, "big")
    ends = here + there if here <= there else there + here
    return bytes((proto,)) + ends + packet.vlan


def is_next(entry: Entry, packet: Packet) -> bool:
    """Whether a SYN begins the next connection between endpoints whose last one is closed."""
    return (
        packet.flags & (SYN | ACK) == SYN
        and packet.seq != entry.isn
        and bool((entry.flags0 | entry.flags1) & RST or entry.flags0 & entry.flags1 & FIN)
    )


def flow_of(entry: Entry) -> Flow:
    """What is reported of an entry."""
    family = AF_INET if len(entry.orig) == 4 else AF_INET6
    orig_h, resp_h = inet_ntop(family, entry.orig), inet_ntop(family, entry.resp)
    proto = _NAMES.get(entry.proto) or str(entry.proto)
    orig_p, resp_p = entry.orig_p, entry.resp_p
    name = blake2b(entry.key + entry.first.to_bytes(8, "big"), digest_size=8).hexdigest()
    return Flow(
        ts=entry.first / _S,
        uid=name,
        orig_h=orig_h,
        orig_p=orig_p,
        resp_h=resp_h,
        resp_p=resp_p,
        proto=proto,
        state=_state(entry),
        duration=(entry.last - entry.first) / _S,
        orig_pkts=entry.pkts0,
        resp_pkts=entry.pkts1,
        orig_ip_bytes=entry.bytes0,
        resp_ip_bytes=entry.bytes1,
        community_id=community_id(proto, orig_h, orig_p, resp_h, resp_p),
        sensor=SENSOR,
        orientation_confidence=_confidence(entry),
    )


def _confidence(entry: Entry) -> float:
    """As `eve` and `ipfix` put it."""
    if entry.proto != TCP:
        return 0.8
    return 1.0 if entry.flags0 & SYN else 0.9 if entry.syn else 0.5


def _state(entry: Entry) -> ConnState:
    """How the connection went, in the classes of `ipfix._state`."""
    flags0, flags1 = entry.flags0, entry.flags1
    either = flags0 | flags1
    if not entry.pkts1:
        return ConnState.NO_REPLY
    if entry.pkts1 == entry.refused or (flags1 & RST and flags0 & SYN and not flags1 & SYN):
        return ConnState.REJECTED
    if entry.proto != TCP or flags0 & flags1 & FIN:
        return ConnState.CLOSED
    return ConnState.RESET if either & SYN and either & RST else ConnState.OPEN
