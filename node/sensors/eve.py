"""Suricata's `eve.json`: flow events are records, alert events are weak labels.

What is put right on the way: bytes lose the link header (Suricata counts the Ethernet header, 14
bytes a packet and 4 more for every VLAN tag); the duration comes from `start` and `end`, because
`age` is whole seconds; the connection's state comes from the TCP flags of each side.
"""

from collections import OrderedDict
from datetime import datetime

import msgspec

from gossip.errors import StateError
from gossip.flows import FAMILIES, ConnState, Flow
from node.sensors.community import community_id, packed
from node.sensors.labels import family_of, more_specific
from node.sensors.lines import CountingParser

SENSOR = "suricata"
ETHERNET_BYTES = 14
VLAN_TAG_BYTES = 4

PENDING_MAX = 65_536
"""Alerts that wait for their flow: a minute of flood (the default time-out) at 1,000 alerts/s. The
oldest are forgotten first."""

LOGGED_MAX = 4_096  # flows lately given out, to tell a late alert from an early one
ALERT_SLACK_S = 1.0  # an alert belongs to a flow if its time lies in the flow's, give or take this

_FIN, _SYN, _RST = 0x01, 0x02, 0x04
_PROTOS = {"TCP": "tcp", "UDP": "udp", "ICMP": "icmp", "IPv6-ICMP": "icmp", "SCTP": "sctp"}


class _Head(msgspec.Struct):
    event_type: str = ""


class _Counts(msgspec.Struct):
    pkts_toserver: int
    pkts_toclient: int
    bytes_toserver: int
    bytes_toclient: int
    start: str
    end: str = ""
    state: str = ""


class _Tcp(msgspec.Struct):
    tcp_flags_ts: str = "00"
    tcp_flags_tc: str = "00"


class _FlowEvent(msgspec.Struct):
    src_ip: str
    dest_ip: str
    proto: str
    flow: _Counts
    flow_id: int = 0
    src_port: int = 0
    dest_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0
    vlan: list[int] | int | None = None
    tcp: _Tcp | None = None
    community_id: str = ""


class _Signature(msgspec.Struct):
    signature: str = ""
    category: str = ""
    severity: int = 3


class _AlertEvent(msgspec.Struct):
    timestamp: str
    alert: _Signature
    flow_id: int = 0


class _Pending(msgspec.Struct, array_like=True):
    """An alert that waits for its flow: when it was raised (s since 1970), and what it says."""

    ts: float
    family: str


_head = msgspec.json.Decoder(_Head)
_flow_event = msgspec.json.Decoder(_FlowEvent)
_alert_event = msgspec.json.Decoder(_AlertEvent)
_snapshot = msgspec.msgpack.Decoder(dict[int, _Pending])


class EveParser(CountingParser):
    """Lines of `eve.json` to flows, labelled by the alerts that came before them."""

    def __init__(self) -> None:
        super().__init__()
        self._pending: OrderedDict[int, _Pending] = OrderedDict()
        self._logged: OrderedDict[int, None] = OrderedDict()

    def snapshot(self) -> bytes:
        """The labels that wait for their flow."""
        return msgspec.msgpack.encode(dict(self._pending))

    def restore(self, snapshot: bytes) -> None:
        """Take up the labels of an earlier life.

        Raises:
            StateError: the snapshot is damaged.
        """
        try:
            pending = _snapshot.decode(snapshot)
        except (ValueError, msgspec.MsgspecError) as error:
            raise StateError(f"the saved labels of eve.json are damaged: {error}") from None
        if not all(entry.family in FAMILIES for entry in pending.values()):
            raise StateError("the saved labels of eve.json name a family that does not exist")
        self._pending = OrderedDict(pending)

    def _read(self, line: bytes) -> Flow | None:
        kind = _head.decode(line).event_type
        if kind == "flow":
            return self._flow(_flow_event.decode(line))
        if kind == "alert":
            self._alert(_alert_event.decode(line))
            self._stats.alerts += 1
        else:
            self._stats.ignored += 1
        return None

    def _flow(self, event: _FlowEvent) -> Flow:
        counts = event.flow
        start = _time(counts.start, "flow.start")
        end = _time(counts.end, "flow.end") if counts.end else start
        proto = _PROTOS.get(event.proto) or event.proto.lower()
        orig_p, resp_p = event.src_port, event.dest_port
        if proto == "icmp":
            orig_p, resp_p = event.icmp_type, event.icmp_code
        header = ETHERNET_BYTES + VLAN_TAG_BYTES * _tags(event.vlan)
        state, confidence = _judge(proto, counts, event.tcp)
        ts = start.timestamp()
        duration = max(0.0, (end - start).total_seconds())
        packed(event.src_ip)
        packed(event.dest_ip)
        if not (0 <= orig_p <= 65_535 and 0 <= resp_p <= 65_535):
            raise ValueError(f"ports {orig_p} and {resp_p} are not both between 0 and 65535")
        flow = Flow(
            ts=ts,
            uid=str(event.flow_id),
            orig_h=event.src_ip,
            orig_p=orig_p,
            resp_h=event.dest_ip,
            resp_p=resp_p,
            proto=proto,
            state=state,
            duration=duration,
            orig_pkts=counts.pkts_toserver,
            resp_pkts=counts.pkts_toclient,
            orig_ip_bytes=_ip_bytes(counts.bytes_toserver, counts.pkts_toserver, header),
            resp_ip_bytes=_ip_bytes(counts.bytes_toclient, counts.pkts_toclient, header),
            community_id=event.community_id
            or community_id(proto, event.src_ip, orig_p, event.dest_ip, resp_p),
            sensor=SENSOR,
            orientation_confidence=confidence,
            family=self._label(event.flow_id, ts, duration),
        )
        self._logged[event.flow_id] = None
        if len(self._logged) > LOGGED_MAX:
            self._logged.popitem(last=False)
        return flow

    def _label(self, flow_id: int, ts: float, duration: float) -> str | None:
        """What the alerts said of a flow. Flow numbers come again, so the times must fit, too."""
        pending = self._pending.pop(flow_id, None)
        if pending is None:
            return None
        if not ts - ALERT_SLACK_S <= pending.ts <= ts + duration + ALERT_SLACK_S:
            return None
        return pending.family

    def _alert(self, event: _AlertEvent) -> None:
        ts = _time(event.timestamp, "timestamp").timestamp()
        alert = event.alert
        family = family_of(alert.signature, alert.category, alert.severity)
        if family is None or not event.flow_id:
            return
        if event.flow_id in self._logged:
            self._stats.late_alerts += 1
            return
        before = self._pending.get(event.flow_id)
        if before is None or more_specific(family, before.family) == family:
            self._pending[event.flow_id] = _Pending(ts, family)
        if len(self._pending) > PENDING_MAX:
            self._pending.popitem(last=False)


def _time(text: str, name: str) -> datetime:
    """A time with its zone.

    Raises:
        ValueError: it is none, or has no zone (this machine's own zone would be a guess).
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} {text[:40]!r} is not a time in ISO 8601") from None
    if time.tzinfo is None:
        raise ValueError(f"{name} {text[:40]!r} has no time zone")
    return time


def _tags(vlan: list[int] | int | None) -> int:
    if vlan is None:
        return 0
    return 1 if isinstance(vlan, int) else len(vlan)


def _ip_bytes(link: int, packets: int, header: int) -> int:
    """Bytes from the IP header on.

    Raises:
        ValueError: there are fewer bytes than link headers.
    """
    octets = link - packets * header
    if octets < 0:
        raise ValueError(
            f"{link} bytes in {packets} packets leave no room for link headers of {header} bytes;"
            " is this not Ethernet?"
        )
    return octets


def _judge(proto: str, counts: _Counts, tcp: _Tcp | None) -> tuple[ConnState, float]:
    """How the connection went, and how sure it is who began it.

    The classes agree with those that Zeek's `conn_state` maps to (see `zeek.STATES`).
    """
    answered = counts.pkts_toclient > 0
    if proto != "tcp":
        if not answered:
            return ConnState.NO_REPLY, 0.8
        # An answer that leaves a connectionless flow "new" was an ICMP error message.
        return (ConnState.REJECTED if counts.state == "new" else ConnState.CLOSED), 0.8
    orig = _flags(tcp.tcp_flags_ts) if tcp else 0
    resp = _flags(tcp.tcp_flags_tc) if tcp else 0
    confidence = 1.0 if orig & _SYN else 0.9 if resp & _SYN else 0.5
    if not answered:
        state = ConnState.NO_REPLY
    elif resp & _RST and not resp & _SYN:
        state = ConnState.REJECTED
    elif orig & resp & _FIN:
        state = ConnState.CLOSED
    elif (orig | resp) & _RST:
        state = ConnState.RESET
    elif not orig | resp and counts.state == "closed":
        state = ConnState.CLOSED
    else:
        state = ConnState.OPEN
    return state, confidence


def _flags(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise ValueError(f"TCP flags {text[:10]!r} are not hexadecimal") from None
