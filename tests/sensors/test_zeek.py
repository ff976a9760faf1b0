import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import StateError
from gossip.flows import ConnState, Flow
from node.sensors.zeek import OPTIONAL, REQUIRED, STATES, ZeekParser

HEADER = (
    b"#separator \\x09",
    b"#set_separator\t,",
    b"#empty_field\t(empty)",
    b"#unset_field\t-",
    b"#path\tconn",
    b"#open\t2026-11-23-04-00-00",
    (
        b"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration"
        b"\torig_bytes\tresp_bytes\tconn_state\thistory\torig_pkts\torig_ip_bytes\tresp_pkts"
        b"\tresp_ip_bytes"
    ),
    (
        b"#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval"
        b"\tcount\tcount\tstring\tstring\tcount\tcount\tcount\tcount"
    ),
)
LINE = (
    b"1795406789.269214\tCHhAvVGS1DHFjwGM9\t192.168.2.16\t1576\t75.126.130.163\t80\ttcp\thttp"
    b"\t0.5\t0\t0\tSF\tShADadFf\t10\t1000\t8\t9000"
)
RECORD = {
    "ts": 1795406789.269214,
    "uid": "CHhAvVGS1DHFjwGM9",
    "id.orig_h": "192.168.2.16",
    "id.orig_p": 1576,
    "id.resp_h": "75.126.130.163",
    "id.resp_p": 80,
    "proto": "tcp",
    "service": "http",
    "duration": 0.5,
    "conn_state": "SF",
    "history": "ShADadFf",
    "orig_pkts": 10,
    "orig_ip_bytes": 1000,
    "resp_pkts": 8,
    "resp_ip_bytes": 9000,
}


def parse(*lines, parser=None):
    parser = parser or ZeekParser()
    return [flow for line in lines if (flow := parser.parse(line)) is not None], parser.stats


def one(**changes):
    record = {key: value for key, value in (RECORD | changes).items() if value is not None}
    (flow,), stats = parse(json.dumps(record).encode())
    assert stats.bad == 0
    return flow


def test_a_tab_separated_log():
    (flow,), stats = parse(*HEADER, LINE, b"#close\t2026-11-23-05-00-00")
    assert flow == Flow(
        ts=1795406789.269214,
        uid="CHhAvVGS1DHFjwGM9",
        orig_h="192.168.2.16",
        orig_p=1576,
        resp_h="75.126.130.163",
        resp_p=80,
        proto="tcp",
        state=ConnState.CLOSED,
        duration=0.5,
        orig_pkts=10,
        resp_pkts=8,
        orig_ip_bytes=1000,
        resp_ip_bytes=9000,
        community_id=flow.community_id,
        sensor="zeek",
    )
    assert flow.community_id.startswith("1:")
    assert (stats.lines, stats.flows, stats.ignored, stats.bad) == (10, 1, 9, 0)


def test_both_forms_say_the_same():
    assert parse(*HEADER, LINE)[0] == [one()]


def test_json_times_may_be_text_and_unset_fields_are_left_out():
    assert one(ts="2026-11-23T04:06:29.269214Z") == one()
    flow = one(duration=None, conn_state=None, history=None, uid=None, community_id="1:given")
    assert (flow.duration, flow.state, flow.uid) == (0.0, ConnState.OPEN, "")
    assert (flow.community_id, flow.orientation_confidence) == ("1:given", 0.5)


def test_unset_cells():
    cells = LINE.split(b"\t")
    for place in (1, 8, 11, 12, 13, 14, 15, 16):
        cells[place] = b"-"
    (flow,), _ = parse(*HEADER, b"\t".join(cells))
    assert (flow.uid, flow.duration, flow.state) == ("", 0.0, ConnState.OPEN)
    assert (flow.orig_pkts, flow.resp_pkts, flow.orig_ip_bytes, flow.resp_ip_bytes) == (0,) * 4


def test_columns_may_change_in_mid_file_and_the_header_may_come_again():
    swapped = (*REQUIRED, *OPTIONAL)[::-1]
    row = b"\t".join(str(RECORD.get(name, "-")).encode() for name in swapped)
    flows, stats = parse(
        *HEADER, LINE, b"#fields\t" + "\t".join(swapped).encode(), row, *HEADER, LINE
    )
    assert flows == [one()] * 3
    assert stats.bad == 0


def test_other_separators():
    fields = HEADER[6].replace(b"\t", b";").replace(b"id.", b"id_")
    lines = (b"#separator \\x3b", b"#unset_field;NONE", fields)
    (flow,), _ = parse(*lines, LINE.replace(b"\t", b";").replace(b"CHhAvVGS1DHFjwGM9", b"NONE"))
    assert (flow.uid, flow.resp_p) == ("", 80)


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_tcp_state_is_mapped(state):
    assert one(conn_state=state).state is STATES[state]


@pytest.mark.parametrize(
    ("proto", "packets", "state"),
    [
        ("udp", 0, ConnState.NO_REPLY),
        ("udp", 1, ConnState.CLOSED),
        ("icmp", 0, ConnState.NO_REPLY),
        ("unknown_transport", 1, ConnState.CLOSED),
    ],
)
def test_connectionless_states_come_from_the_packets(proto, packets, state):
    flow = one(proto=proto, conn_state="OTH", resp_pkts=packets)
    assert (flow.state, flow.orientation_confidence) == (state, 0.8)


@pytest.mark.parametrize(
    ("history", "confidence"), [("ShADadFf", 1.0), ("^hADr", 0.5), ("Dd", 0.5), ("", 0.5)]
)
def test_orientation(history, confidence):
    assert one(history=history).orientation_confidence == confidence


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((LINE,), "no #fields line came before it"),
        ((*HEADER, LINE + b"\t1"), "18 columns where the header has 17"),
        ((*HEADER, LINE.replace(b"1795406789.269214", b"XX.X")), "ts 'XX.X' is not a number"),
        ((*HEADER, LINE.replace(b"1795406789.269214", b"nan")), "ts = nan"),
        ((*HEADER, LINE.replace(b"\t10\t", b"\tten\t")), "orig_pkts 'ten' is not a whole number"),
        ((*HEADER, LINE.replace(b"\tSF\t", b"\tS9\t")), "conn_state 'S9' is none of"),
        ((*HEADER, LINE.replace(b"192.168.2.16", b"-")), "'-' is not an IP address"),
        ((b"#fields\tts\tuid\tquery", b"1\tx\ty"), "lacks id.orig_h, id.orig_p, id.resp_h"),
        ((b"#fields\t" + b"\t".join([b"x"] * 600), b"1"), "more than 512 columns"),
        ((b"#separator \\x",), "x"),
        ((b"#separator 123456789",), "is not 1 to 8 characters"),
        ((b"#\xff",), "utf-8"),
        ((b'{"ts": 1}',), "id.orig_h"),
        ((json.dumps(RECORD | {"id.orig_p": 65_536}).encode(),), "ports 65536"),
        ((json.dumps(RECORD | {"ts": "noon"}).encode(),), "isoformat"),
    ],
)
def test_bad_lines_are_counted_with_a_reason(lines, reason):
    flows, stats = parse(*lines)
    assert flows == []
    assert (stats.bad, stats.samples[0].number) == (1, len(lines))
    assert reason in stats.samples[0].reason


def test_another_log_in_the_same_stream_is_ignored():
    flows, stats = parse(b'{"_path": "dns", "query": "x"}', json.dumps(RECORD).encode(), b"")
    assert (len(flows), stats.ignored, stats.bad) == (1, 1, 0)


def test_the_header_survives_a_restart():
    _, _ = parse(*HEADER, parser=(before := ZeekParser()))
    after = ZeekParser()
    after.restore(before.snapshot())
    assert parse(LINE, parser=after)[0] == [one()]


@pytest.mark.parametrize("snapshot", [b"", b"\xc1", b"\x81\xa9separator\xa0"])
def test_a_damaged_snapshot_is_refused(snapshot):
    with pytest.raises(StateError, match=r"saved header of conn\.log"):
        ZeekParser().restore(snapshot)


cells = st.sampled_from(LINE.split(b"\t")) | st.binary(max_size=12)


@given(st.lists(cells, min_size=17, max_size=17), st.binary(max_size=30))
def test_any_line_gives_a_flow_or_is_counted(row, noise):
    parser = ZeekParser()
    lines = (
        *HEADER,
        b"\t".join(row),
        noise,
        b"#" + noise,
        b"#fields\t" + noise,
        noise,
        b"{" + noise,
    )
    for line in lines:
        flow = parser.parse(line)
        assert flow is None or isinstance(flow, Flow)
    stats = parser.stats
    assert stats.lines == len(lines)
    assert stats.flows + stats.ignored + stats.bad <= stats.lines


@given(st.dictionaries(st.sampled_from(sorted(RECORD)), st.none() | st.integers() | st.text()))
def test_spoilt_json_never_raises(changes):
    parser = ZeekParser()
    flow = parser.parse(json.dumps(RECORD | changes).encode())
    assert (flow is None) == (parser.stats.bad == 1)


def test_the_bare_names_of_the_columns_are_a_header_too():
    names = b"ts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\tconn_state"
    parser = ZeekParser()
    row = b"1.5\t198.18.2.13\t5\t198.19.0.10\t53\tudp\t-\tSF\t1\t66\t1\t117"
    assert parser.parse(names + b"\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes") is None
    flow = parser.parse(row)
    assert flow is not None
    assert (flow.orig_p, flow.resp_p, flow.resp_ip_bytes) == (5, 53, 117)
