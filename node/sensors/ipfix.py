"""IPFIX biflows as JSON, one decoded record a line, as netflume gives softflowd's records.

A record holds both directions (RFC 5103): the forward one under the elements' own names, the
reverse one under the enterprise number 29305, as `e29305.1` (octets), `.2` (packets), `.6` (TCP
flags), `.32` (ICMP type and code). Octets are those of IP packets, so nothing is taken off.

"Forward" says nothing about who began: softflowd orders a record by address (in the recordings the
server came first in 11,743 of 17,602 TCP flows). What does say it, the surest first:

1. only one side sent anything;
2. only one side sent a SYN and never an ACK: half-open, or refused;
3. only one side sent a SYN;
4. ICMP: one side's type is a request;
5. one endpoint was more often the server than the other (`servers.Servers`);
6. the lower port is the server's.

Held against Suricata's flows of the same packets this was right in every flow of the factory's
recordings (`tests/sensors/test_ipfix_recorded.py`); the lower port in place of 5 gave 392 wrong.

The connection's state is judged from the flags as in `eve`, with two differences. softflowd keeps
flags of packets that belong to no connection, which Suricata leaves out: without a SYN on either
side only the middle was seen, and the state is "open" (5,000 flows of an ACK flood); and "rejected"
takes a SYN that was refused.
"""

from hashlib import blake2b
from typing import Annotated

import msgspec

from gossip.flows import COUNT_MAX, PORT_MAX, TS_MAX, ConnState, Flow
from node.sensors.community import PROTOCOLS, community_id, packed
from node.sensors.lines import CountingParser
from node.sensors.servers import Servers, endpoint

SENSOR = "ipfix"
REVERSE = "e29305"  # RFC 5103, section 6.1: the private enterprise number of reverse elements

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_ICMP, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58
_NAMES = {number: name for name, number in PROTOCOLS.items()} | {_ICMP: "icmp", _ICMP6: "icmp"}
_REQUESTS = {_ICMP: frozenset({8, 10, 13, 15, 17}), _ICMP6: frozenset({128, 133, 135})}
"""ICMP types that ask and are answered by another type: echo, router, time, information, mask."""

Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX >> 1)]  # as far as msgspec compares
Time = Annotated[int, msgspec.Meta(ge=0, le=int(TS_MAX) * 1_000)]
Port = Annotated[int, msgspec.Meta(ge=0, le=PORT_MAX)]
Flags = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]  # 16 bits since RFC 7125


class Record(msgspec.Struct, rename={"rev_octets": f"{REVERSE}.1", "rev_packets": f"{REVERSE}.2",
                                     "rev_flags": f"{REVERSE}.6", "rev_icmp": f"{REVERSE}.32",
                                     "rev_icmp6": f"{REVERSE}.139"}):  # fmt: skip
    """One decoded biflow under netflume's names; other fields are passed over.

    The reverse counters are required: without them a record is one direction of a flow, and every
    answered connection would look like one without a reply.
    """

    src_addr: str
    dst_addr: str
    proto: Annotated[int, msgspec.Meta(ge=0, le=255)]
    flow_start_ms: Time
    flow_end_ms: Time
    packets: Count
    octets: Count
    rev_packets: Count
    rev_octets: Count
    src_port: Port = 0
    dst_port: Port = 0
    tcp_flags: Flags = 0
    rev_flags: Flags = 0
    icmp_type_code: Port = 0
    icmp_type_code_v6: Port = 0
    rev_icmp: Port = 0
    rev_icmp6: Port = 0


FIELDS: tuple[str, ...] = Record.__struct_encode_fields__
"""Names of what is read, as a line has them."""


class _Side(msgspec.Struct, array_like=True, frozen=True):
    """One direction: who sent it, and what."""

    host: str
    port: int
    packets: int
    octets: int
    flags: int
    icmp: int
    key: bytes


_record = msgspec.json.Decoder(Record)


class IpfixParser(CountingParser):
    """Lines of decoded IPFIX biflows to flows, oriented by what earlier ones taught."""

    def __init__(self) -> None:
        super().__init__()
        self._servers = Servers()

    def snapshot(self) -> bytes:
        """The servers known."""
        return self._servers.snapshot()

    def restore(self, snapshot: bytes) -> None:
        """Take up the servers of an earlier life.

        Raises:
            StateError: the snapshot is damaged.
        """
        self._servers.restore(snapshot)

    def _read(self, line: bytes) -> Flow:
        return flow_of(_record.decode(line), self._servers)

    def _complaint(self, reason: str) -> str:
        """What to do about an exporter that does not say all that is needed."""
        if f"`{REVERSE}." in reason:
            return f"{reason}; export both directions in one record (softflowd -b -v 10)"
        if "_ms`" in reason:
            return f"{reason}; export times in milliseconds (softflowd -A milli)"
        return reason


def flow_of(record: Record, servers: Servers) -> Flow:
    """One record's flow.

    For a record that did not come as a line: `msgspec.convert(fields, Record)` checks a mapping as
    a line is checked.

    Args:
        record: as decoded.
        servers: asked who began, and taught.

    Raises:
        ValueError: an address is none, the two are of different versions, a side sent bytes without
            a packet, or neither sent anything.
    """
    here, there = _sides(record)
    orig, resp, confidence = _oriented(record.proto, here, there, servers)
    proto = _NAMES.get(record.proto) or str(record.proto)
    orig_p, resp_p = orig.port, resp.port
    if proto == "icmp":
        orig_p, resp_p = orig.icmp >> 8, orig.icmp & 0xFF
    name = community_id(proto, orig.host, orig_p, resp.host, resp_p)  # refuses mixed IP versions
    flow = Flow(
        ts=record.flow_start_ms / 1_000,
        uid=_uid(record, here, there),
        orig_h=orig.host,
        orig_p=orig_p,
        resp_h=resp.host,
        resp_p=resp_p,
        proto=proto,
        state=_state(record.proto, orig, resp),
        duration=max(0, record.flow_end_ms - record.flow_start_ms) / 1_000,
        orig_pkts=orig.packets,
        resp_pkts=resp.packets,
        orig_ip_bytes=orig.octets,
        resp_ip_bytes=resp.octets,
        community_id=name,
        sensor=SENSOR,
        orientation_confidence=confidence,
    )
    _teach(record.proto, flow, orig, resp, confidence, servers)
    return flow


ONLY_SENDER = 0.8  # as Suricata's and Zeek's connectionless flows
BEGAN = 1.0
ONLY_SYN = 0.9
KNOWN_SERVER = 0.9
LOWER_PORT = 0.6
NOTHING = 0.5
"""Our choices, in line with `eve`: 1.0 where a SYN without an ACK was seen, 0.5 where nothing
speaks for either side."""


def _sides(record: Record) -> tuple[_Side, _Side]:
    """The forward and the reverse direction."""
    if not record.packets and not record.rev_packets:
        raise ValueError("neither side sent a packet")
    if record.packets == 0 < record.octets or record.rev_packets == 0 < record.rev_octets:
        raise ValueError("a side sent bytes without a packet")
    proto = record.proto
    here, there = packed(record.src_addr), packed(record.dst_addr)
    return (
        _Side(
            record.src_addr,
            record.src_port,
            record.packets,
            record.octets,
            record.tcp_flags,
            record.icmp_type_code or record.icmp_type_code_v6,
            endpoint(proto, here, record.src_port),
        ),
        _Side(
            record.dst_addr,
            record.dst_port,
            record.rev_packets,
            record.rev_octets,
            record.rev_flags,
            record.rev_icmp or record.rev_icmp6,
            endpoint(proto, there, record.dst_port),
        ),
    )


def _oriented(
    proto: int, here: _Side, there: _Side, servers: Servers
) -> tuple[_Side, _Side, float]:
    """Originator, responder, and how sure it is; the evidence in the order of the text above."""
    if not (here.packets and there.packets):
        first, confidence = bool(here.packets), ONLY_SENDER
        if proto == _TCP:
            confidence = BEGAN if _began(here if first else there) else NOTHING
    elif proto in _REQUESTS:
        asks, asked = (side.icmp >> 8 in _REQUESTS[proto] for side in (here, there))
        first, confidence = asks or not asked, ONLY_SENDER if asks != asked else NOTHING
    elif proto == _TCP and _began(here) != _began(there):
        first, confidence = _began(here), BEGAN
    elif proto == _TCP and (here.flags ^ there.flags) & _SYN:
        first, confidence = bool(here.flags & _SYN), ONLY_SYN
    else:
        first, confidence = _by_server(here, there, servers)
    return (here, there, confidence) if first else (there, here, confidence)


def _by_server(here: _Side, there: _Side, servers: Servers) -> tuple[bool, float]:
    """Whether `here` began, by what is known of both endpoints, else by their ports."""
    known, other = servers.count(here.key), servers.count(there.key)
    if known != other:
        return known < other, KNOWN_SERVER
    return here.port >= there.port, LOWER_PORT if here.port != there.port else NOTHING


def _began(side: _Side) -> bool:
    """Whether it sent a SYN and never an ACK; whoever answers a SYN sends both."""
    return side.flags & (_SYN | _ACK) == _SYN


def _teach(
    proto: int, flow: Flow, orig: _Side, resp: _Side, confidence: float, servers: Servers
) -> None:
    """Note the responder of an exchange in which both sides spoke and nothing was refused.

    Where only the ports decided, in TCP both endpoints are noted: a client's port does not come
    again soon, the server's does, and the next connection shows which it was. A UDP client may
    speak to many servers from one socket, so that coming again says little there; only where both
    have the same port (NTP) are both noted, for nothing else tells the one that many speak to.
    """
    if proto not in (_TCP, _UDP) or flow.state in {ConnState.NO_REPLY, ConnState.REJECTED}:
        return
    if proto == _TCP and not orig.flags & resp.flags & _SYN and confidence < KNOWN_SERVER:
        return  # its middle, between two endpoints that are not known
    servers.note(resp.key)
    if confidence <= (LOWER_PORT if proto == _TCP else NOTHING):
        servers.note(orig.key)


def _state(proto: int, orig: _Side, resp: _Side) -> ConnState:
    """How the connection went, in the classes of `eve._judge`."""
    if not resp.packets:
        return ConnState.NO_REPLY
    if proto != _TCP:
        return ConnState.CLOSED
    if resp.flags & _RST and not resp.flags & _SYN and orig.flags & _SYN:
        return ConnState.REJECTED
    if orig.flags & resp.flags & _FIN:
        return ConnState.CLOSED
    if (orig.flags | resp.flags) & _SYN and (orig.flags | resp.flags) & _RST:
        return ConnState.RESET
    return ConnState.OPEN


def _uid(record: Record, here: _Side, there: _Side) -> str:
    """A name of the record's own, 16 characters: the same whenever it is read."""
    text = here.key + there.key + record.flow_start_ms.to_bytes(8, "big")
    return blake2b(text, digest_size=8).hexdigest()
