"""Flows in our own words: one JSON object a line, with the names of Zeek's `conn.log`.

For whatever no other reader is for: a script that turns some other sensor's output into these lines
may write them to a file or a pipe. `docs/sensors.md` has each field; it is `gossip.flows.Flow`, but
for two shorthands: `ts` may be text as ISO 8601 has it, and `conn_state` may be Zeek's code.
"""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated

import msgspec

from gossip.flows import COUNT_MAX, PORT_MAX, ConnState, Flow
from node.sensors.community import community_id, packed
from node.sensors.lines import CountingParser
from node.sensors.zeek import STATES

SENSOR = "json"

Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX >> 1)]  # as far as msgspec compares
Port = Annotated[int, msgspec.Meta(ge=0, le=PORT_MAX)]

_STATES = {state.value: state for state in ConnState} | STATES


class _Line(
    msgspec.Struct, rename={f"id_{x}": f"id.{x}" for x in ("orig_h", "orig_p", "resp_h", "resp_p")}
):
    """One line; what has no default must be there, and other fields are passed over."""

    ts: float | str
    id_orig_h: str
    id_resp_h: str
    proto: str
    orig_pkts: Count
    resp_pkts: Count
    orig_ip_bytes: Count
    resp_ip_bytes: Count
    id_orig_p: Port = 0
    id_resp_p: Port = 0
    duration: float = 0.0
    conn_state: str = ""
    uid: str = ""
    community_id: str = ""
    sensor: str = SENSOR
    orientation_confidence: float = 1.0
    family: str | None = None


FIELDS: tuple[str, ...] = _Line.__struct_encode_fields__
"""Names of what is read, as a line has them."""

_line = msgspec.json.Decoder(_Line)


class RecordParser(CountingParser):
    """Lines in our own words to flows. Keeps nothing from line to line."""

    def snapshot(self) -> bytes:
        """Empty."""
        return b""

    def restore(self, snapshot: bytes) -> None:
        """Nothing is to be taken up."""

    def _read(self, line: bytes) -> Flow:
        return _flow(_line.decode(line))


def _flow(line: _Line) -> Flow:
    orig_h, orig_p, resp_h, resp_p = line.id_orig_h, line.id_orig_p, line.id_resp_h, line.id_resp_p
    here, there = packed(orig_h), packed(resp_h)
    proto = line.proto.lower()
    name = community_id(proto, orig_h, orig_p, resp_h, resp_p)
    ts = _time_s(line.ts)
    about = f"{ts!r} {name}".encode() + here + there
    return Flow(
        ts=ts,
        uid=line.uid or blake2b(about, digest_size=8).hexdigest(),
        orig_h=orig_h,
        orig_p=orig_p,
        resp_h=resp_h,
        resp_p=resp_p,
        proto=proto,
        state=_state(line),
        duration=line.duration,
        orig_pkts=line.orig_pkts,
        resp_pkts=line.resp_pkts,
        orig_ip_bytes=line.orig_ip_bytes,
        resp_ip_bytes=line.resp_ip_bytes,
        community_id=line.community_id or name,
        sensor=line.sensor,
        orientation_confidence=line.orientation_confidence,
        family=line.family,
    )


def _state(line: _Line) -> ConnState:
    """As told; for other protocols than TCP the packets of each side decide where it is not."""
    if not line.conn_state and line.proto.lower() != "tcp":
        return ConnState.CLOSED if line.resp_pkts else ConnState.NO_REPLY
    state = _STATES.get(line.conn_state)
    if state is None:
        words = ", ".join(f'"{each.value}"' for each in ConnState)
        raise ValueError(f"conn_state {line.conn_state[:20]!r}: write {words}, or Zeek's code")
    return state


def _time_s(ts: float | str) -> float:
    """Text without a zone is in UTC."""
    if not isinstance(ts, str):
        return ts
    when = datetime.fromisoformat(ts)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
