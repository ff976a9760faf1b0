import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import StateError
from gossip.flows import FAMILIES, ConnState, Flow
from node.sensors import eve
from node.sensors.eve import EveParser
from node.sensors.labels import CATEGORIES, SPECIFICITY, WORDS, family_of

START = "2026-11-23T04:06:29.269214+0000"
SCAN = {"signature_id": 1, "signature": "x", "category": "Detection of a Network Scan"}
FLOOD = {"signature_id": 2, "signature": "x", "category": "Attempted Denial of Service"}


def event(tcp=None, flow=None, **changes):
    counts = {
        "pkts_toserver": 7,
        "pkts_toclient": 5,
        "bytes_toserver": 527,
        "bytes_toclient": 342,
        "start": START,
        "end": "2026-11-23T04:06:29.409288+0000",
        "age": 1,
        "state": "closed",
        "alerted": False,
    }
    whole = {
        "timestamp": "2026-11-23T04:07:30.239616+0000",
        "flow_id": 1437743506534657,
        "event_type": "flow",
        "src_ip": "198.18.3.14",
        "src_port": 56494,
        "dest_ip": "198.19.0.10",
        "dest_port": 443,
        "proto": "TCP",
        "flow": counts | (flow or {}),
        "tcp": tcp or {"tcp_flags_ts": "1b", "tcp_flags_tc": "1b"},
    }
    merged = {key: value for key, value in (whole | changes).items() if value is not None}
    return json.dumps(merged).encode()


def alert(signature, timestamp="2026-11-23T04:06:29.3+0000", flow_id=1437743506534657):
    return json.dumps(
        {
            "timestamp": timestamp,
            "flow_id": flow_id,
            "event_type": "alert",
            "src_ip": "198.18.3.14",
            "alert": {"severity": 2} | signature,
        }
    ).encode()


def only(*lines, parser=None):
    parser = parser or EveParser()
    flows = [flow for line in lines if (flow := parser.parse(line)) is not None]
    assert parser.stats.bad == 0, parser.stats.samples
    (flow,) = flows
    return flow


def test_a_flow_event():
    flow = only(event())
    assert flow == Flow(
        ts=1795406789.269214,
        uid="1437743506534657",
        orig_h="198.18.3.14",
        orig_p=56494,
        resp_h="198.19.0.10",
        resp_p=443,
        proto="tcp",
        state=ConnState.CLOSED,
        duration=0.140074,
        orig_pkts=7,
        resp_pkts=5,
        orig_ip_bytes=527 - 7 * 14,
        resp_ip_bytes=342 - 5 * 14,
        community_id=flow.community_id,
        sensor="suricata",
        orientation_confidence=1.0,
    )
    assert flow.community_id.startswith("1:")
    assert only(event(community_id="1:given")).community_id == "1:given"


@pytest.mark.parametrize(("vlan", "header"), [([7], 18), ([7, 8], 22), (7, 18), ([], 14)])
def test_each_vlan_tag_is_four_bytes(vlan, header):
    assert only(event(vlan=vlan)).orig_ip_bytes == 527 - 7 * header


def test_a_link_without_ethernet():
    parser = EveParser()
    assert parser.parse(event(flow={"bytes_toserver": 90})) is None
    assert "is this not Ethernet?" in parser.stats.samples[0].reason


@pytest.mark.parametrize(
    ("orig", "resp", "packets", "state", "confidence"),
    [
        ("1b", "1b", 5, ConnState.CLOSED, 1.0),
        ("02", "00", 0, ConnState.NO_REPLY, 1.0),
        ("02", "14", 1, ConnState.REJECTED, 1.0),
        ("06", "12", 1, ConnState.RESET, 1.0),  # a half-open scan of an open port
        ("1f", "1a", 9, ConnState.RESET, 1.0),
        ("1a", "1f", 9, ConnState.RESET, 1.0),
        ("1a", "1a", 9, ConnState.OPEN, 1.0),
        ("18", "1a", 9, ConnState.OPEN, 0.9),  # the SYN was missed, the answer to it was not
        ("18", "18", 9, ConnState.OPEN, 0.5),
        ("00", "00", 1, ConnState.CLOSED, 0.5),  # Suricata saw no flags: its own word counts
    ],
)
def test_tcp_states(orig, resp, packets, state, confidence):
    flags = {"tcp_flags_ts": orig, "tcp_flags_tc": resp}
    flow = only(event(tcp=flags, flow={"pkts_toclient": packets}))
    assert (flow.state, flow.orientation_confidence) == (state, confidence)


@pytest.mark.parametrize(
    ("state", "packets", "expected"),
    [
        ("new", 0, ConnState.NO_REPLY),
        ("new", 1, ConnState.REJECTED),
        ("established", 5, ConnState.CLOSED),
    ],
)
def test_udp_states(state, packets, expected):
    flow = only(event(proto="UDP", tcp=None, flow={"state": state, "pkts_toclient": packets}))
    assert (flow.proto, flow.state) == ("udp", expected)


def test_icmp_of_both_versions_has_a_type_and_a_code_for_ports():
    for proto, src, dest, kind in (
        ("ICMP", "10.0.0.1", "10.0.0.2", 8),
        ("IPv6-ICMP", "fe80::1", "ff02::1", 135),
    ):
        line = event(
            proto=proto,
            src_ip=src,
            dest_ip=dest,
            src_port=None,
            dest_port=None,
            icmp_type=kind,
            icmp_code=0,
            flow={"state": "established"},
        )
        flow = only(line)
        assert (flow.proto, flow.orig_p, flow.resp_p) == ("icmp", kind, 0)
        assert flow.community_id.startswith("1:")


def test_a_clock_that_steps_back_gives_no_negative_duration():
    assert only(event(flow={"end": "2026-11-23T04:06:20.0+0000"})).duration == 0.0
    assert only(event(flow={"end": ""})).duration == 0.0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "truncated"),
        (b"[1]", "object"),
        (b"\xff\xfe", "malformed"),
        (event(src_ip=None), "src_ip"),
        (event(src_ip="printer"), "'printer' is not an IP address"),
        (event(src_port=70_000), "ports 70000"),
        (event(src_port="http"), "src_port"),
        (event(flow={"start": "yesterday"}), "flow.start 'yesterday' is not a time"),
        (event(flow={"start": "2026-11-23T04:06:29"}), "has no time zone"),
        (event(flow={"end": "0001-01-01T00:00:00"}), "flow.end"),
        (event(flow={"pkts_toserver": -3}), "orig_pkts = -3"),
        (event(flow={"pkts_toserver": 1.5}), "pkts_toserver"),
        (event(tcp={"tcp_flags_ts": "zz"}), "not hexadecimal"),
        (alert(SCAN, timestamp=""), "timestamp"),
        (b'{"event_type": "alert", "timestamp": "x"}', "alert"),
    ],
)
def test_bad_lines_are_counted_with_a_reason(line, reason):
    parser = EveParser()
    assert parser.parse(event()) is not None
    assert parser.parse(line) is None
    (sample,) = parser.stats.samples
    assert (parser.stats.bad, sample.number) == (1, 2)
    assert reason in sample.reason


def test_other_events_are_ignored_and_blank_lines_are_nothing():
    parser = EveParser()
    for line in (b'{"event_type": "dns", "flow": 3}', b'{"event_type": "stats"}', b"{}", b"", b" "):
        assert parser.parse(line) is None
    assert (parser.stats.lines, parser.stats.ignored, parser.stats.bad) == (5, 3, 0)


def test_an_alert_labels_the_flow_that_is_logged_later():
    parser = EveParser()
    assert only(alert(FLOOD), alert(SCAN), event(), parser=parser).family == "dos"
    assert only(event(flow_id=9), parser=parser).family is None
    assert (parser.stats.alerts, parser.stats.late_alerts) == (2, 0)


def test_the_most_specific_family_wins_in_any_order():
    for lines in ((alert(FLOOD), alert(SCAN)), (alert(SCAN), alert(FLOOD))):
        assert only(*lines, event()).family == "dos"


def test_an_alert_after_its_flow_is_counted_and_labels_nothing():
    parser = EveParser()
    assert only(event(), alert(SCAN), parser=parser).family is None
    assert (parser.stats.alerts, parser.stats.late_alerts) == (1, 1)
    assert only(event(), parser=parser).family is None


def test_an_alert_of_another_time_does_not_label_a_flow_with_the_same_number():
    for timestamp in ("2026-11-22T00:00:00+0000", "2026-11-23T04:06:31+0000"):
        assert only(alert(SCAN, timestamp=timestamp), event()).family is None


def test_waiting_alerts_are_bounded(monkeypatch):
    monkeypatch.setattr(eve, "PENDING_MAX", 10)
    parser = EveParser()
    for number in range(1, 13):
        parser.parse(alert(SCAN, flow_id=number))
    families = [only(event(flow_id=number), parser=parser).family for number in range(1, 13)]
    assert families == [None, None] + ["scan"] * 10


def test_waiting_alerts_survive_a_restart():
    before = EveParser()
    before.parse(alert(FLOOD))
    after = EveParser()
    after.restore(before.snapshot())
    assert only(event(), parser=after).family == "dos"


@pytest.mark.parametrize("snapshot", [b"", b"\xc1", b"\x80\x80", b"\x81\x01\x92\x01\xa3bad"])
def test_a_damaged_snapshot_is_refused(snapshot):
    with pytest.raises(StateError, match=r"saved labels of eve\.json"):
        EveParser().restore(snapshot)


@pytest.mark.parametrize(
    ("signature", "category", "severity", "family"),
    [
        ("ET SCAN Suspicious inbound", "Attempted Information Leak", 2, "scan"),
        ("LAB HTTP 401 burst", "Attempted Information Leak", 2, "brute-force"),
        ("ET MALWARE MIRAI variant", "Attempted Information Leak", 2, "malware"),
        ("anything", "Web Application Attack", 1, "exploit"),
        ("anything", "A category of our own", 2, "other"),
        ("SURICATA STREAM bad window", "Generic Protocol Command Decode", 3, None),
        ("anything", "A category of our own", 0, None),
    ],
)
def test_families_of_alerts(signature, category, severity, family):
    assert family_of(signature, category, severity) == family


def test_every_rule_leads_to_a_family():
    assert sorted(SPECIFICITY) == sorted(FAMILIES[1:])
    assert {family for _, family in WORDS} | set(CATEGORIES.values()) <= set(SPECIFICITY)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


def spoilt(data, whole):
    """A sound event of which some parts were replaced by anything."""
    for key in data.draw(st.lists(st.sampled_from(sorted(whole)), max_size=3, unique=True)):
        if isinstance(whole[key], dict) and data.draw(st.booleans()):
            spoilt(data, whole[key])
        else:
            whole[key] = data.draw(json_values)


@given(st.data())
def test_spoilt_events_never_raise(data):
    parser = EveParser()
    for sound in (event(), alert(SCAN), event()):
        whole = json.loads(sound)
        spoilt(data, whole)
        flow = parser.parse(json.dumps(whole).encode())
        assert flow is None or isinstance(flow, Flow)
    stats = parser.stats
    assert stats.lines == 3 == stats.flows + stats.alerts + stats.ignored + stats.bad


@given(st.binary())
def test_any_bytes_never_raise(line):
    parser = EveParser()
    for given_line in (line, event()[: len(line)] + line):
        flow = parser.parse(given_line)
        assert flow is None or isinstance(flow, Flow)


def test_a_deeply_nested_line_never_raises():
    parser = EveParser()
    assert parser.parse(b'{"event_type":' + b"[" * 500_000) is None
    assert parser.stats.bad == 1
