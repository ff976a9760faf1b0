"""What the detector sees of a flow: 26 numbers, none of which names anybody.

Never a feature: addresses, absolute time, raw ports, time to live, a guess of the service. They
would let a detector learn one site's address plan instead of what an attack looks like.

The context. Time is cut into slices of 10 s, counted from the first flow's start. A flow that
starts in slice s is set against all flows *seen so far* (itself included) that started in the
slices s-2, s-1 and s: the past 20 to 30 s. Sensors log a flow when it has ended, often minutes
later and out of order; because the window hangs on the flow's own start, a flow that is logged
late still meets its contemporaries, and a late flow never changes the window of another time. A
vector that was given out is not revised.

The rate of packets and the slices take times in whole milliseconds, the finest that every sensor
has: softflowd cuts microseconds off, and a rate would be another one for it (measured: 20 % of a
quiet network's flows differed by more than 1 % in that one number, and hardly one does now). The
duration itself stays as it was told: among flows that are all short, microseconds find floods
(measured on the quiet mesh, five seeds: detection 1.00, and 0.83 to 0.92 without them).

Memory is bounded: the tables hold the most recently used keys and forget the rest, so a flood from
fresh sources costs old context (counts start again at one) but neither memory nor time.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from math import log1p
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from gossip.flows import ConnState, Flow

CONTEXT_S = 30
SLICES = 3
SLICE_MS = CONTEXT_S * 1_000 // SLICES

FLOW_TIMEOUTS_S: Mapping[str, int] = MappingProxyType(
    {"tcp_new": 60, "tcp_established": 600, "udp_new": 30, "udp_established": 300}
)
"""Idle seconds after which the reference sensor ends a flow: Suricata 7's defaults, with which the
bundled recordings were made. They decide where one flow ends and the next begins, so they are part
of what peers compare."""

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "duration": "log1p s",
        "orig_pkts": "log1p packets",
        "resp_pkts": "log1p packets",
        "orig_ip_bytes": "log1p bytes",
        "resp_ip_bytes": "log1p bytes",
        "orig_bytes_per_pkt": "log1p bytes",
        "resp_bytes_per_pkt": "log1p bytes",
        "pkts_per_s": "log1p 1/s, duration in whole ms, at least 1",
        "byte_asymmetry": "(orig - resp) / (orig + resp)",
        "proto_tcp": "0 or 1",  # another protocol than these three is all zeros
        "proto_udp": "0 or 1",
        "proto_icmp": "0 or 1",
        "state_closed": "0 or 1",
        "state_no_reply": "0 or 1",
        "state_rejected": "0 or 1",
        "state_reset": "0 or 1",
        "state_open": "0 or 1",
        "port_system": "responder port 0-1023, tcp and udp only",
        "port_registered": "responder port 1024-49151 (RFC 6335), tcp and udp only",
        "port_ephemeral": "responder port 49152-65535, tcp and udp only",
        "src_flows": "log1p flows of the originator",
        "src_ports": "log1p distinct responder ports of the originator, at most 1024",
        "src_hosts": "log1p distinct responders of the originator, at most 1024",
        "src_failures": "share of the originator's flows without reply or rejected",
        "dst_flows": "log1p flows to the responder",
        "pair_flows": "log1p flows from the originator to the responder",
    }
)
"""Every feature's name and unit, in the order of the vector."""

SCHEMA: tuple[str, ...] = tuple(UNITS)

DISTINCT_MAX = 1_024  # a scan is plain long before
SOURCES_MAX = 8_192  # three for each source and 10 s; all tables full were measured at 21 MB
COUNTS_MAX = 16_384
MEMBERS_MAX = 65_536  # ports and hosts remembered in all

_STATES: dict[ConnState, tuple[float, ...]] = {
    ConnState.CLOSED: (1.0, 0.0, 0.0, 0.0, 0.0),
    ConnState.NO_REPLY: (0.0, 1.0, 0.0, 0.0, 0.0),
    ConnState.REJECTED: (0.0, 0.0, 1.0, 0.0, 0.0),
    ConnState.RESET: (0.0, 0.0, 0.0, 1.0, 0.0),
    ConnState.OPEN: (0.0, 0.0, 0.0, 0.0, 1.0),
}
_PROTOS = {"tcp": (1.0, 0.0, 0.0), "udp": (0.0, 1.0, 0.0), "icmp": (0.0, 0.0, 1.0)}
_NONE = (0.0, 0.0, 0.0)


def schema_fingerprint(timeouts_s: Mapping[str, int] = FLOW_TIMEOUTS_S) -> str:
    """Name and hash of names, units, context and flow time-outs, as in "flow26-0123456789abcdef".

    Args:
        timeouts_s: the sensor's flow time-outs, s; peers merge only if theirs are the same.
    """
    parts = [f"{name} [{unit}]" for name, unit in UNITS.items()]
    parts += [f"{name} {seconds} s" for name, seconds in sorted(timeouts_s.items())]
    parts.append(f"context {CONTEXT_S} s in {SLICES} slices")
    digest = blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
    return f"flow{len(SCHEMA)}-{digest}"


class _Source:
    """What one originator did in one window."""

    __slots__ = ("failures", "flows", "hosts", "ports")

    def __init__(self) -> None:
        self.flows = 0
        self.failures = 0
        self.ports: set[int] = set()
        self.hosts: set[str] = set()


class _Counts:
    """Flows per (key, window), the most recently used `COUNTS_MAX` of them."""

    __slots__ = ("_table",)

    def __init__(self) -> None:
        self._table: OrderedDict[tuple[str, int], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def add(self, key: str, slice_: int) -> int:
        """Count a flow in every window that its slice is part of; the count in its own window."""
        table = self._table
        own = 0
        for window in range(slice_, slice_ + SLICES):
            at = (key, window)
            count = table.get(at, 0) + 1
            table[at] = count
            table.move_to_end(at)
            if window == slice_:
                own = count
        while len(table) > COUNTS_MAX:
            table.popitem(last=False)
        return own


class FeatureExtractor:
    """Turns a stream of flows into vectors; about 80,000 flows/s on one core."""

    def __init__(self) -> None:
        self._origin_ms: int | None = None
        self._sources: OrderedDict[tuple[str, int], _Source] = OrderedDict()
        self._members = 0
        self._destinations = _Counts()
        self._pairs = _Counts()

    @property
    def entries(self) -> int:
        """Keys, ports and hosts remembered at present; bounded by the constants above."""
        return len(self._sources) + self._members + len(self._destinations) + len(self._pairs)

    def add(self, flow: Flow) -> NDArray[np.float32]:
        """The flow's vector, float32 `(26,)` in the order of `SCHEMA`; always finite."""
        return np.array(self._row(flow), dtype=np.float32)

    def _row(self, flow: Flow) -> tuple[float, ...]:
        start_us = round(flow.ts * 1e6)
        start_ms = start_us // 1_000
        whole_s = ((start_us + round(flow.duration * 1e6)) // 1_000 - start_ms) / 1_000
        if self._origin_ms is None:
            self._origin_ms = start_ms
        slice_ = (start_ms - self._origin_ms) // SLICE_MS
        orig_pkts, resp_pkts = flow.orig_pkts, flow.resp_pkts
        orig_bytes, resp_bytes = flow.orig_ip_bytes, flow.resp_ip_bytes
        total = orig_bytes + resp_bytes
        proto = _PROTOS.get(flow.proto, _NONE)
        source = self._source(flow, slice_)
        return (
            log1p(flow.duration),
            log1p(orig_pkts),
            log1p(resp_pkts),
            log1p(orig_bytes),
            log1p(resp_bytes),
            log1p(orig_bytes / orig_pkts) if orig_pkts else 0.0,
            log1p(resp_bytes / resp_pkts) if resp_pkts else 0.0,
            log1p((orig_pkts + resp_pkts) / max(whole_s, 1e-3)),
            (orig_bytes - resp_bytes) / total if total else 0.0,
            *proto,
            *_STATES[flow.state],
            *(_NONE if flow.proto not in {"tcp", "udp"} else _port_class(flow.resp_p)),
            log1p(source.flows),
            log1p(len(source.ports)),
            log1p(len(source.hosts)),
            source.failures / source.flows,
            log1p(self._destinations.add(flow.resp_h, slice_)),
            log1p(self._pairs.add(f"{flow.orig_h} {flow.resp_h}", slice_)),
        )

    def _source(self, flow: Flow, slice_: int) -> _Source:
        """Count the flow in its originator's windows and return that of its own slice."""
        table = self._sources
        failed = flow.state is ConnState.NO_REPLY or flow.state is ConnState.REJECTED
        windows = [self._window((flow.orig_h, slice_ + later)) for later in range(SLICES)]
        for window in windows:
            window.flows += 1
            window.failures += failed
            if flow.resp_p not in window.ports and len(window.ports) < DISTINCT_MAX:
                window.ports.add(flow.resp_p)
                self._members += 1
            if flow.resp_h not in window.hosts and len(window.hosts) < DISTINCT_MAX:
                window.hosts.add(flow.resp_h)
                self._members += 1
        while len(table) > SOURCES_MAX or self._members > MEMBERS_MAX:
            _, gone = table.popitem(last=False)
            self._members -= len(gone.ports) + len(gone.hosts)
        return windows[0]

    def _window(self, key: tuple[str, int]) -> _Source:
        """An originator's window, made at need, now the most recently used one."""
        window = self._sources.get(key)
        if window is None:
            window = self._sources[key] = _Source()
        else:
            self._sources.move_to_end(key)
        return window


def _port_class(port: int) -> tuple[float, float, float]:
    """One-hot: system, registered or ephemeral (RFC 6335, section 6)."""
    if port < 1_024:
        return (1.0, 0.0, 0.0)
    return (0.0, 1.0, 0.0) if port < 49_152 else (0.0, 0.0, 1.0)


def extract(flows: Iterable[Flow]) -> NDArray[np.float32]:
    """Vectors of flows in the order given, float32 `(n, 26)`; those that a fresh stream gives."""
    stream = FeatureExtractor()
    rows = [stream.add(flow) for flow in flows]
    return np.stack(rows) if rows else np.zeros((0, len(SCHEMA)), np.float32)
