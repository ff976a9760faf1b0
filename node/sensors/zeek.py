"""Zeek's `conn.log`, tab-separated (read by the names in its header) or JSON.

A header may come again at any time, with other columns, as it does after a rotation. Logs that were
cut by other tools may have the bare names of their columns for a header; these are taken, too.
"""

from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from gossip.errors import StateError
from gossip.flows import ConnState, Flow
from node.sensors.community import community_id, packed
from node.sensors.lines import CountingParser

if TYPE_CHECKING:
    from collections.abc import Callable

SENSOR = "zeek"
COLUMNS_MAX = 512

STATES = {
    "S0": ConnState.NO_REPLY,
    "S1": ConnState.OPEN,
    "S2": ConnState.OPEN,  # one side has closed, the other has not answered that
    "S3": ConnState.OPEN,
    "SF": ConnState.CLOSED,
    "REJ": ConnState.REJECTED,
    "RSTO": ConnState.RESET,
    "RSTR": ConnState.RESET,
    "RSTOS0": ConnState.NO_REPLY,  # SYN, then RST, and never an answer
    "RSTRH": ConnState.RESET,
    "SH": ConnState.NO_REPLY,
    "SHR": ConnState.OPEN,
    "OTH": ConnState.OPEN,
}
"""Zeek's `conn_state` for TCP; for other protocols the packets of each side decide, because Zeek
calls every ICMP exchange "OTH"."""

REQUIRED = (
    "ts",
    "id.orig_h",
    "id.orig_p",
    "id.resp_h",
    "id.resp_p",
    "proto",
    "conn_state",
    "duration",
    "orig_pkts",
    "resp_pkts",
    "orig_ip_bytes",
    "resp_ip_bytes",
)
OPTIONAL = ("uid", "history", "community_id")

_Cells = tuple[str, ...]


class _Conn(
    msgspec.Struct, rename={f"id_{x}": f"id.{x}" for x in ("orig_h", "orig_p", "resp_h", "resp_p")}
):
    """One record; Zeek leaves unset fields out of a JSON log."""

    ts: float | str
    id_orig_h: str
    id_orig_p: int
    id_resp_h: str
    id_resp_p: int
    proto: str
    conn_state: str = ""
    duration: float = 0.0
    orig_pkts: int = 0
    resp_pkts: int = 0
    orig_ip_bytes: int = 0
    resp_ip_bytes: int = 0
    uid: str = ""
    history: str = ""
    community_id: str = ""


class _Head(msgspec.Struct):
    path: str = msgspec.field(default="conn", name="_path")


class _Header(msgspec.Struct):
    """How a tab-separated log is to be read, as its own first lines say."""

    separator: str = "\t"
    unset: str = "-"
    fields: list[str] = []


_conn = msgspec.json.Decoder(_Conn)
_head = msgspec.json.Decoder(_Head)
_snapshot = msgspec.msgpack.Decoder(_Header)


class ZeekParser(CountingParser):
    """Lines of `conn.log`, in either form, to flows."""

    def __init__(self) -> None:
        super().__init__()
        self._header = _Header()
        self._pick: Callable[[list[str]], _Cells] | None = None
        self._lack = "no #fields line came before it"

    def snapshot(self) -> bytes:
        """The header in force."""
        return msgspec.msgpack.encode(self._header)

    def restore(self, snapshot: bytes) -> None:
        """Take up the header of an earlier life.

        Raises:
            StateError: the snapshot is damaged.
        """
        try:
            header = _snapshot.decode(snapshot)
        except (ValueError, msgspec.MsgspecError) as error:
            raise StateError(f"the saved header of conn.log is damaged: {error}") from None
        if not header.separator or len(header.fields) > COLUMNS_MAX:
            raise StateError("the saved header of conn.log is damaged: no separator")
        self._header = header
        if header.fields:
            self._choose_columns()

    def _read(self, line: bytes) -> Flow | None:
        flow = None
        if line.startswith(b"{"):
            flow = self._json(line)
        elif line.startswith(b"#"):
            self._read_header(line.decode())
        elif line.startswith(b"ts\t"):
            self._header.fields = line.decode().split("\t")
            self._choose_columns()
        else:
            flow = self._tsv(line.decode(errors="replace"))
        self._stats.ignored += flow is None
        return flow

    def _read_header(self, line: str) -> None:
        """Take in one line that begins with "#"."""
        header = self._header
        if line.startswith("#separator "):
            written = line.removeprefix("#separator ")
            header.separator = written.encode("ascii").decode("unicode_escape")
            if not 1 <= len(header.separator) <= 8:
                header.separator = "\t"
                raise ValueError(f"separator {written[:20]!r} is not 1 to 8 characters")
            return
        name, _, rest = line.partition(header.separator)
        if name == "#unset_field":
            header.unset = rest
        elif name == "#fields":
            header.fields = rest.split(header.separator)
            self._choose_columns()

    def _choose_columns(self) -> None:
        """Find our columns under the header's names; the scope separator "." may be another."""
        self._pick = None
        if len(self._header.fields) > COLUMNS_MAX:
            self._lack = f"the #fields line names more than {COLUMNS_MAX} columns"
            return
        places = {
            "id." + name[3:] if name.startswith("id") else name: place
            for place, name in enumerate(self._header.fields)
        }
        missing = [name for name in REQUIRED if name not in places]
        if missing:
            self._lack = f"the #fields line lacks {', '.join(missing)}"
            return
        last = len(self._header.fields)  # one cell is added to each row: the unset one
        self._pick = itemgetter(*(places.get(name, last) for name in REQUIRED + OPTIONAL))

    def _tsv(self, line: str) -> Flow:
        header = self._header
        if self._pick is None:
            raise ValueError(self._lack)
        cells = line.split(header.separator)
        if len(cells) != len(header.fields):
            raise ValueError(f"{len(cells)} columns where the header has {len(header.fields)}")
        unset = header.unset
        cells.append(unset)
        (
            ts, orig_h, orig_p, resp_h, resp_p, proto, state, duration,
            orig_pkts, resp_pkts, orig_bytes, resp_bytes, uid, history, name,
        ) = self._pick(cells)  # fmt: skip
        return _flow(
            _Conn(
                ts=_number(ts, "ts"),
                uid="" if uid == unset else uid,
                id_orig_h=orig_h,
                id_orig_p=_count(orig_p, "id.orig_p"),
                id_resp_h=resp_h,
                id_resp_p=_count(resp_p, "id.resp_p"),
                proto=proto,
                conn_state="" if state == unset else state,
                duration=0.0 if duration == unset else _number(duration, "duration"),
                orig_pkts=0 if orig_pkts == unset else _count(orig_pkts, "orig_pkts"),
                resp_pkts=0 if resp_pkts == unset else _count(resp_pkts, "resp_pkts"),
                orig_ip_bytes=0 if orig_bytes == unset else _count(orig_bytes, "orig_ip_bytes"),
                resp_ip_bytes=0 if resp_bytes == unset else _count(resp_bytes, "resp_ip_bytes"),
                history="" if history == unset else history,
                community_id="" if name == unset else name,
            )
        )

    def _json(self, line: bytes) -> Flow | None:
        path = _head.decode(line).path
        return _flow(_conn.decode(line)) if path == "conn" else None


def _flow(conn: _Conn) -> Flow:
    orig_h, orig_p, resp_h, resp_p = conn.id_orig_h, conn.id_orig_p, conn.id_resp_h, conn.id_resp_p
    if not (0 <= orig_p <= 65_535 and 0 <= resp_p <= 65_535):
        raise ValueError(f"ports {orig_p} and {resp_p} are not both between 0 and 65535")
    if conn.proto == "tcp":
        state = STATES.get(conn.conn_state or "OTH")
        if state is None:
            raise ValueError(f"conn_state {conn.conn_state[:20]!r} is none of {', '.join(STATES)}")
        confidence = 1.0 if "S" in conn.history and "^" not in conn.history else 0.5
    else:
        state = ConnState.CLOSED if conn.resp_pkts else ConnState.NO_REPLY
        confidence = 0.8
    packed(orig_h)
    packed(resp_h)
    return Flow(
        ts=_time_s(conn.ts),
        uid=conn.uid,
        orig_h=orig_h,
        orig_p=orig_p,
        resp_h=resp_h,
        resp_p=resp_p,
        proto=conn.proto,
        state=state,
        duration=conn.duration,
        orig_pkts=conn.orig_pkts,
        resp_pkts=conn.resp_pkts,
        orig_ip_bytes=conn.orig_ip_bytes,
        resp_ip_bytes=conn.resp_ip_bytes,
        community_id=conn.community_id or community_id(conn.proto, orig_h, orig_p, resp_h, resp_p),
        sensor=SENSOR,
        orientation_confidence=confidence,
    )


def _time_s(ts: float | str) -> float:
    """Text comes of LogAscii::json_timestamps = JSON::TS_ISO8601, always in UTC."""
    if isinstance(ts, str):
        return datetime.fromisoformat(ts.removesuffix("Z") + "+00:00").timestamp()
    return ts


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} {text[:40]!r} is not a number") from None


def _count(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} {text[:40]!r} is not a whole number") from None
