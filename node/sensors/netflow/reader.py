"""NetFlow v9 and IPFIX datagrams to flows. No socket and no clock: see `node.intake.collector`.

netflume decodes; here its records become `ipfix.Record`s, whatever names and times an exporter
chose, records of one direction find their other half (`halves`), and `ipfix.flow_of` makes the
flow, as for decoded records in a log.

Nothing that a datagram holds raises: it is counted, and the first few are kept with their reason.
"""

import logging
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import msgspec
from netflume import Decoder, Message, SamplingWatch

from gossip.errors import StateError
from gossip.flows import Flow
from node.sensors.ipfix import REVERSE, Record, flow_of
from node.sensors.lines import ReadStats
from node.sensors.netflow.halves import Halves
from node.sensors.netflow.sequence import STREAMS_MAX, Sequence
from node.sensors.netflow.templates import BoundedTemplates, Saved
from node.sensors.netflow.times import Clocks, Stream
from node.sensors.servers import Servers

VERSIONS = (9, 10)  # 10 is IPFIX

LONELY_MIN = 1_000
LONELY_SHARE = 0.98
"""When to say that an exporter seems to send one direction only: of this many records without
reverse counters, more than this share found no other half. Our choice: a scan may do that for a
while, so it is said and nothing else."""

_PORTS = frozenset({6, 17, 132})
_ICMP, _ICMP6 = 1, 58

# Whatever a stranger sends would be a line in the log; it is counted here instead.
logging.getLogger("netflume").setLevel(logging.CRITICAL)


class _Snapshot(msgspec.Struct, array_like=True):
    """What outlives a restart."""

    servers: bytes
    templates: list[Saved]
    clocks: list[tuple[str, int, int]]


_snapshot = msgspec.msgpack.Decoder(_Snapshot)


class NetflowReader:
    """Reads datagrams of many exporters.

    Args:
        warn: called with what an operator should mend, once each.

    Attributes:
        stats: what became of datagrams and records.
        servers: who was connected to, for `ipfix.flow_of`.
        halves: records of one direction that wait for the other.
    """

    def __init__(self, warn: Callable[[str], None] = lambda _: None) -> None:
        self.stats = ReadStats()
        self.servers = Servers()
        self.halves = Halves()
        self._warn = warn
        self._said: set[str] = set()
        self._decoder = Decoder(track_sequence=False)
        self._templates = self._decoder.templates = BoundedTemplates()
        self._decoder.sampling = SamplingWatch(max_streams=STREAMS_MAX)
        self._clocks = Clocks()
        self._sequence = Sequence()
        self._before_template = 0

    def snapshot(self) -> bytes:
        """Servers, templates and exporters' clocks. Records that wait are not among them."""
        saved = _Snapshot(self.servers.snapshot(), self._templates.saved(), self._clocks.saved())
        return msgspec.msgpack.encode(saved)

    def restore(self, snapshot: bytes) -> None:
        """Take up an earlier life.

        Raises:
            StateError: the snapshot is damaged.
        """
        try:
            saved = _snapshot.decode(snapshot)
        except (ValueError, msgspec.MsgspecError) as error:
            raise StateError(f"the saved state of a collector is damaged: {error}") from None
        self.servers.restore(saved.servers)
        self._templates.restore(saved.templates)
        self._clocks.restore(saved.clocks)

    def datagram(self, data: bytes, exporter: str, now_s: float) -> list[Flow]:
        """The flows that a datagram completes.

        Args:
            data: as received.
            exporter: the sender's address.
            now_s: when, on a clock that never goes back.
        """
        stats = self.stats
        stats.received += 1
        if int.from_bytes(data[:2], "big") not in VERSIONS:
            stats.refuse_packet(
                f"a datagram of {exporter} is neither NetFlow v9 nor IPFIX; set the exporter to "
                "one of them"
            )
            return []
        message = self._decoder.decode(data, exporter)
        self._decoder.take_events()  # all that they tell is in counters, or said below
        if message is None:
            stats.refuse_packet(f"a datagram of {exporter} is damaged")
            return []
        stream = (exporter, int(message.header.get("domain") or 0))
        self._look_at(message, stream)
        self._clocks.header(stream, message.header)
        for option in message.options:
            stats.lines += 1
            stats.ignored += 1
            self._clocks.option(stream, option)
        flows: list[Flow] = []
        for fields in message.flows:
            stats.lines += 1
            try:
                record = self._record(fields, stream, message.header)
            except (ValueError, TypeError, msgspec.ValidationError, OverflowError) as error:
                stats.refuse(str(error))
                continue
            if record.rev_packets or f"{REVERSE}.2" in fields:
                flows += self._flows([record])
            else:
                paired = self.halves.paired
                flows += self._flows(self.halves.take(exporter, record, now_s))
                stats.ignored += self.halves.paired - paired  # two records, one flow
        return flows

    def expire(self, now_s: float, most: float = inf) -> list[Flow]:
        """The flows of records that have waited long enough for their other half; so many at most.

        Args:
            now_s: on the clock of `datagram`.
            most: flows.
        """
        flows = self._flows(self.halves.expire(now_s, most))
        halves = self.halves
        if halves.alone >= LONELY_MIN and halves.alone > LONELY_SHARE * (
            halves.alone + 2 * halves.paired
        ):
            self._say(
                "hardly a record finds the one of its other direction, so connections look "
                "unanswered; have the exporter watch incoming traffic on every interface, or "
                "export both directions in one record (softflowd -v 10 -b)"
            )
        return flows

    def _look_at(self, message: Message, stream: Stream) -> None:
        """What the datagram says beside its records."""
        exporter, _ = stream
        if message.sampling_rate > 1:
            self._say(
                f"{exporter} reports one packet in {message.sampling_rate}: counts and flags are "
                "not whole, and most short flows are missing; switch its sampling off"
            )
        unknown = self._decoder.stats["deferred"] - self._before_template
        self._before_template += unknown
        for _ in range(unknown):
            self.stats.lines += 1
            self.stats.refuse(
                "records came before their template; it comes at intervals, which the exporter "
                "can be set to shorten (60 s)"
            )
        if unknown:
            self._sequence.forget(stream)
        else:
            self.stats.lost += self._sequence.missing(
                stream, message.header["sequence"], len(message.flows), len(message.options)
            )

    def _record(self, fields: dict[str, Any], stream: Stream, header: Mapping[str, Any]) -> Record:
        """One record under our names.

        Raises:
            ValueError: it lacks something, or holds what cannot be.
        """
        start_ms, end_ms = self._clocks.span_ms(stream, header, fields)
        proto = fields.get("proto")
        wanted = {
            "src_addr": fields.get("src_addr"),
            "dst_addr": fields.get("dst_addr"),
            "proto": proto,
            "packets": _first(fields, "packets", "packets_total", "out_packets"),
            "octets": _first(fields, "octets", "octets_total", "out_octets"),
        }
        if proto in _PORTS:
            wanted |= {name: fields.get(name) for name in ("src_port", "dst_port")}
        lacking = [name for name, value in wanted.items() if value is None]
        if lacking:
            raise ValueError(
                f"the record lacks {', '.join(lacking)}; add them to the exporter's record"
            )
        others = {
            "flow_start_ms": start_ms,
            "flow_end_ms": end_ms,
            "tcp_flags": fields.get("tcp_flags", 0),
            f"{REVERSE}.1": _first(fields, f"{REVERSE}.1", f"{REVERSE}.85") or 0,
            f"{REVERSE}.2": _first(fields, f"{REVERSE}.2", f"{REVERSE}.86") or 0,
            f"{REVERSE}.6": fields.get(f"{REVERSE}.6", 0),
        }
        if proto in {_ICMP, _ICMP6}:
            six = "_v6" if proto == _ICMP6 else ""
            others[f"icmp_type_code{six}"] = _icmp(fields, six)
            for number in (32, 139):
                others[f"{REVERSE}.{number}"] = fields.get(f"{REVERSE}.{number}", 0)
        return msgspec.convert(wanted | others, Record)

    def _flows(self, records: list[Record]) -> list[Flow]:
        flows = []
        for record in records:
            try:
                flows.append(flow_of(record, self.servers))
            except ValueError as error:
                self.stats.refuse(str(error))
        self.stats.flows += len(flows)
        return flows

    def _say(self, text: str) -> None:
        if text not in self._said and len(self._said) < STREAMS_MAX:
            self._said.add(text)
            self._warn(text)


def _first(fields: Mapping[str, Any], *names: str) -> Any:
    """The first of these that the record has."""
    return next((fields[name] for name in names if name in fields), None)


def _icmp(fields: Mapping[str, Any], six: str) -> int:
    """Type and code; older exporters put them where the destination port would be."""
    whole = fields.get(f"icmp_type_code{six}")
    if whole is not None:
        return int(whole)
    if "icmp_type" in fields:
        return int(fields["icmp_type"]) << 8 | int(fields.get("icmp_code", 0))
    return int(fields.get("dst_port") or 0)
