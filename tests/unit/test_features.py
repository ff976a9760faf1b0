from dataclasses import replace
from math import log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip import features
from gossip.features import SCHEMA, FeatureExtractor, extract, schema_fingerprint
from gossip.flows import ConnState, Flow
from tests.unit.test_flows import FLOW

hosts = st.integers(0, 5).map(lambda number: f"10.0.0.{number}")
counts = st.integers(0, 2**64 - 1)
flows = st.builds(
    Flow,
    # Whole milliseconds: shifted by whole seconds, their microseconds stay what they are.
    ts=st.integers(10**6, 2 * 10**6).map(lambda ms: ms / 1_000),
    uid=st.just(""),
    orig_h=hosts,
    orig_p=st.integers(0, 65_535),
    resp_h=hosts,
    resp_p=st.integers(0, 65_535),
    proto=st.sampled_from(["tcp", "udp", "icmp", "sctp"]),
    state=st.sampled_from(ConnState),
    duration=st.floats(0, 1e9),
    orig_pkts=counts,
    resp_pkts=counts,
    orig_ip_bytes=counts,
    resp_ip_bytes=counts,
)
streams = st.lists(flows, max_size=60)


def named(vector):
    return dict(zip(SCHEMA, vector.tolist(), strict=True))


def last(*stream):
    return named(extract(stream)[-1])


@given(streams)
def test_batch_and_stream_agree_and_are_finite(stream):
    batch = extract(stream)
    assert batch.shape == (len(stream), 26)
    assert batch.dtype == np.float32
    assert np.isfinite(batch).all()
    extractor = FeatureExtractor()
    for flow, row in zip(stream, batch, strict=True):
        assert extractor.add(flow).tobytes() == row.tobytes()


@given(streams, st.permutations(range(6)), st.integers(0, 10**9))
def test_neither_names_nor_the_time_of_day_matter(stream, order, shift):
    def renamed(host):
        return f"fd00::{order[int(host[-1])]}"

    other = [
        replace(
            flow,
            ts=flow.ts + shift,
            uid="x",
            orig_h=renamed(flow.orig_h),
            orig_p=1,
            resp_h=renamed(flow.resp_h),
            community_id="y",
            sensor="z",
            family="scan",
            orientation_confidence=0.1,
        )
        for flow in stream
    ]
    assert extract(stream).tobytes() == extract(other).tobytes()


def test_one_flow_alone():
    vector = last(FLOW)
    expected = {
        "duration": log1p(0.5),
        "orig_pkts": log1p(10),
        "resp_pkts": log1p(8),
        "orig_ip_bytes": log1p(1_000),
        "resp_ip_bytes": log1p(9_000),
        "orig_bytes_per_pkt": log1p(100),
        "resp_bytes_per_pkt": log1p(1_125),
        "pkts_per_s": log1p(36),
        "byte_asymmetry": -0.8,
        "proto_tcp": 1.0,
        "state_closed": 1.0,
        "port_system": 1.0,
        "src_flows": log1p(1),
        "src_ports": log1p(1),
        "src_hosts": log1p(1),
        "src_failures": 0.0,
        "dst_flows": log1p(1),
        "pair_flows": log1p(1),
    }
    assert vector == pytest.approx(dict.fromkeys(SCHEMA, 0.0) | expected)


@pytest.mark.parametrize(
    ("port", "proto", "name"),
    [
        (1_023, "tcp", "port_system"),
        (1_024, "udp", "port_registered"),
        (49_151, "tcp", "port_registered"),
        (49_152, "udp", "port_ephemeral"),
        (3, "icmp", None),  # an ICMP code is no port
    ],
)
def test_port_classes(port, proto, name):
    vector = last(replace(FLOW, resp_p=port, proto=proto))
    classes = {key for key, value in vector.items() if key.startswith("port_") and value}
    assert classes == ({name} if name else set())


def test_a_source_is_known_by_what_it_did_lately():
    start = FLOW.ts
    vector = last(
        replace(FLOW, ts=start, resp_p=1, state=ConnState.NO_REPLY),
        replace(FLOW, ts=start + 5, resp_p=2, state=ConnState.REJECTED),
        replace(FLOW, ts=start + 15, resp_p=2, state=ConnState.RESET),
        replace(FLOW, ts=start + 15, orig_h="10.0.0.2", resp_p=9),
        replace(FLOW, ts=start + 25, resp_h="10.0.0.9", resp_p=3),
    )
    assert vector["src_flows"] == pytest.approx(log1p(4))
    assert vector["src_ports"] == pytest.approx(log1p(3))
    assert vector["src_hosts"] == pytest.approx(log1p(2))
    assert vector["src_failures"] == 0.5
    assert vector["dst_flows"] == pytest.approx(log1p(1))
    assert vector["pair_flows"] == pytest.approx(log1p(1))


def test_what_is_older_than_the_context_is_forgotten():
    vector = last(FLOW, FLOW, replace(FLOW, ts=FLOW.ts + 30))
    assert vector["src_flows"] == pytest.approx(log1p(1))


def test_a_flow_logged_minutes_late_meets_its_contemporaries_and_disturbs_nobody():
    scan = [replace(FLOW, ts=FLOW.ts + i / 10, resp_p=i) for i in range(50)]
    later = [replace(FLOW, ts=FLOW.ts + 300 + i) for i in range(5)]
    late = replace(FLOW, ts=FLOW.ts + 5, resp_p=60)
    vectors = extract([*scan, *later, late, replace(FLOW, ts=FLOW.ts + 305)])
    assert named(vectors[-2])["src_ports"] == pytest.approx(log1p(51))
    assert named(vectors[-1])["src_flows"] == pytest.approx(log1p(6))
    # The same without the late flow:
    assert extract([*scan, *later, replace(FLOW, ts=FLOW.ts + 305)])[-1].tolist() == (
        vectors[-1].tolist()
    )


def test_one_absurd_time_costs_no_context():
    before = [replace(FLOW, ts=FLOW.ts + i) for i in range(5)]
    absurd = replace(FLOW, ts=253_402_300_799.0)
    assert last(*before, absurd, FLOW)["src_flows"] == pytest.approx(log1p(6))


def test_a_flood_from_fresh_sources_stays_within_bounds(monkeypatch):
    monkeypatch.setattr(features, "SOURCES_MAX", 300)
    monkeypatch.setattr(features, "COUNTS_MAX", 400)
    monkeypatch.setattr(features, "MEMBERS_MAX", 500)
    monkeypatch.setattr(features, "DISTINCT_MAX", 64)
    extractor = FeatureExtractor()
    for i in range(5_000):  # every source and port is new; one victim
        flood = extractor.add(
            replace(FLOW, ts=FLOW.ts + i / 5_000, orig_h=f"10.1.{i >> 8}.{i & 255}", resp_p=i)
        )
        assert extractor.entries <= 300 + 500 + 2 * 400
    assert named(flood)["dst_flows"] == pytest.approx(log1p(5_000))  # the victim is remembered
    for i in range(5_000):  # one source scans every port: one row, and it is cut off
        scan = extractor.add(replace(FLOW, ts=FLOW.ts + i / 5_000, resp_p=i))
        assert extractor.entries <= 300 + 500 + 2 * 400
    assert named(scan)["src_ports"] == pytest.approx(log1p(64))
    assert named(scan)["src_flows"] == pytest.approx(log1p(5_000))


def test_no_flows_give_no_rows():
    assert extract([]).shape == (0, 26)


def test_the_fingerprint_names_the_schema_and_depends_on_the_time_outs(monkeypatch):
    usual = schema_fingerprint()
    assert usual.startswith("flow26-")
    assert usual == schema_fingerprint(dict(features.FLOW_TIMEOUTS_S))
    assert usual != schema_fingerprint({**features.FLOW_TIMEOUTS_S, "udp_new": 15})
    monkeypatch.setattr(features, "CONTEXT_S", 60)
    assert usual != schema_fingerprint()
