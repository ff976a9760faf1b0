import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import SensorError, StateError
from gossip.flows import ConnState, Flow
from node.sensors.ipfix import IpfixParser, Record, flow_of
from node.sensors.reading import AutoParser, Kind, read
from node.sensors.servers import COUNT_MAX, SERVERS_MAX, Servers, endpoint
from tests.sensors.test_eve import json_values

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
DONE = FIN | SYN | PSH | ACK
CLIENT, SERVER = "198.18.2.13", "198.19.0.10"


def record(**changes):
    """A closed MQTT connection, as softflowd and netflume tell it; names of reverse elements
    are written with "_" for what the line has "e29305." for.
    """
    whole = {
        "src_addr": CLIENT,
        "dst_addr": SERVER,
        "flow_start_ms": 1795407565428,
        "flow_end_ms": 1795407565529,
        "octets": 427,
        "packets": 7,
        "flow_end_reason": 3,
        "src_port": 37952,
        "dst_port": 1883,
        "proto": 6,
        "tcp_flags": DONE,
        "ip_version": 4,
        "e29305.1": 272,
        "e29305.2": 5,
        "e29305.5": 0,
        "e29305.6": DONE,
    }
    named = {key.replace("_rev", "e29305."): value for key, value in changes.items()}
    return {key: value for key, value in (whole | named).items() if value is not None}


def line(**changes):
    return json.dumps(record(**changes)).encode()


def only(*lines, parser=None):
    """The flow of the last line; all must be sound."""
    parser = parser or IpfixParser()
    flows = [parser.parse(each) for each in lines]
    assert parser.stats.bad == 0, parser.stats.samples
    return flows[-1]


def ends(flow):
    return (flow.orig_h, flow.orig_p), (flow.resp_h, flow.resp_p)


def turned(whole):
    """The same biflow with the other side as the forward one."""
    pairs = (
        ("src_addr", "dst_addr"),
        ("src_port", "dst_port"),
        ("octets", "e29305.1"),
        ("packets", "e29305.2"),
        ("tcp_flags", "e29305.6"),
        ("icmp_type_code", "e29305.32"),
    )
    there = dict(whole)
    for one, other in pairs:
        if one in whole:
            there[one], there[other] = whole[other], whole[one]
    return there


def both_ways(**changes):
    """The flow, which must be the same whichever side is the forward one; but for its name."""
    sound = record(**changes)
    one, two = (only(json.dumps(each).encode()) for each in (sound, turned(sound)))
    assert ends(one) == ends(two)
    assert (one.state, one.orig_pkts, one.resp_pkts) == (two.state, two.orig_pkts, two.resp_pkts)
    assert one.community_id == two.community_id
    return one


def test_a_record():
    flow = only(line())
    assert flow == Flow(
        ts=1795407565.428,
        uid=flow.uid,
        orig_h=CLIENT,
        orig_p=37952,
        resp_h=SERVER,
        resp_p=1883,
        proto="tcp",
        state=ConnState.CLOSED,
        duration=0.101,
        orig_pkts=7,
        resp_pkts=5,
        orig_ip_bytes=427,
        resp_ip_bytes=272,
        community_id=flow.community_id,
        sensor="ipfix",
        orientation_confidence=0.6,
    )
    assert flow.community_id.startswith("1:")
    assert len(flow.uid) == 16
    assert only(line()).uid == flow.uid != only(line(flow_start_ms=1795407565427)).uid


def test_a_record_that_did_not_come_as_a_line():
    import msgspec  # noqa: PLC0415 - as a collector would, beside the parser

    assert flow_of(msgspec.convert(record(), Record), Servers()) == only(line())


@pytest.mark.parametrize(
    ("orig", "resp", "packets", "state", "confidence"),
    [
        (DONE, DONE, 5, ConnState.CLOSED, 0.6),
        (SYN, 0, 0, ConnState.NO_REPLY, 1.0),
        (ACK, 0, 0, ConnState.NO_REPLY, 0.5),
        (SYN, RST | ACK, 1, ConnState.REJECTED, 1.0),
        (SYN | RST, SYN | ACK, 1, ConnState.RESET, 1.0),  # a half-open scan of an open port
        (SYN, SYN | ACK, 1, ConnState.OPEN, 1.0),
        (DONE | RST, SYN | ACK, 9, ConnState.RESET, 0.6),
        (SYN | ACK, SYN | ACK, 9, ConnState.OPEN, 0.6),
        (SYN | PSH | ACK, PSH | ACK, 9, ConnState.OPEN, 0.9),  # the answer's SYN was missed
        (ACK, RST, 1, ConnState.OPEN, 0.6),  # an ACK flood: no connection was refused
        (FIN | ACK, FIN | ACK, 9, ConnState.CLOSED, 0.6),  # the end of what was cut before
    ],
)
def test_tcp_states(orig, resp, packets, state, confidence):
    flow = both_ways(tcp_flags=orig, _rev6=resp, _rev2=packets, _rev1=40 * packets)
    assert flow.orig_h == CLIENT
    assert (flow.state, flow.orientation_confidence) == (state, confidence)


@pytest.mark.parametrize(
    ("packets", "state", "confidence"), [(0, ConnState.NO_REPLY, 0.8), (2, ConnState.CLOSED, 0.6)]
)
def test_udp_states(packets, state, confidence):
    flow = both_ways(proto=17, dst_port=53, tcp_flags=0, _rev6=0, _rev2=packets, _rev1=99 * packets)
    assert (flow.proto, flow.orig_h, flow.state) == ("udp", CLIENT, state)
    assert flow.orientation_confidence == confidence


def test_icmp_has_a_type_and_a_code_for_ports_and_a_request_begins():
    icmp = {"proto": 1, "src_port": None, "dst_port": None, "tcp_flags": 0, "_rev6": 0}
    flow = both_ways(**icmp, icmp_type_code=8 << 8, _rev32=0)
    assert (flow.proto, flow.orig_h, flow.orig_p, flow.resp_p) == ("icmp", CLIENT, 8, 0)
    flow = both_ways(**icmp, icmp_type_code=771, _rev32=0, _rev2=0, _rev1=0)
    assert (flow.orig_h, flow.orig_p, flow.resp_p) == (CLIENT, 3, 3)
    addresses = {"src_addr": "fe80::1", "dst_addr": "fe80::2"}
    v6 = icmp | addresses | {"proto": 58, "icmp_type_code_v6": 129 << 8, "_rev139": 128 << 8}
    flow = only(line(**v6))
    assert (flow.proto, flow.orig_h, flow.orig_p) == ("icmp", "fe80::2", 128)


def test_other_protocols():
    for number, name in ((47, "gre"), (132, "sctp"), (253, "253")):
        assert only(line(proto=number)).proto == name


def test_a_clock_that_steps_back_gives_no_negative_duration():
    assert only(line(flow_end_ms=0)).duration == 0.0


def test_the_endpoint_that_others_connected_to_is_the_server():
    parser = IpfixParser()
    high = {"dst_port": 60_000}
    assert only(line(**high), parser=parser).orig_h == SERVER  # the lower port is all there is
    for number in range(40_000, 40_100):
        flow = only(line(**high, src_port=number), parser=parser)
        assert (flow.resp_h, flow.orientation_confidence) == (SERVER, 0.9)
    flow = only(line(**high, src_port=37_000, tcp_flags=ACK, _rev6=ACK), parser=parser)
    assert (flow.resp_h, flow.state) == (SERVER, ConnState.OPEN)  # the middle of a connection


def test_a_udp_client_may_speak_to_many_servers_from_one_socket():
    parser = IpfixParser()
    for last in range(1, 100):
        flow = only(line(proto=17, dst_port=5683, dst_addr=f"10.0.0.{last}"), parser=parser)
        assert flow.orig_h == CLIENT


def test_of_two_with_the_same_port_the_one_that_many_speak_to_is_the_server():
    parser = IpfixParser()
    ntp = {"proto": 17, "src_port": 123, "dst_port": 123, "src_addr": "10.0.0.1"}
    assert only(line(**ntp, dst_addr="10.0.1.0"), parser=parser).orientation_confidence == 0.5
    only(line(**ntp, dst_addr="10.0.1.1"), parser=parser)
    for last in (0, 1, 0, 1, 2):
        flow = only(line(**ntp, dst_addr=f"10.0.1.{last}"), parser=parser)
        assert (flow.resp_h, flow.orientation_confidence) == ("10.0.0.1", 0.9)


def known(parser, times=COUNT_MAX, **changes):
    """Let a parser see a server on a port above its clients'."""
    for number in range(times):
        only(line(dst_port=60_000, src_port=2_000 + number, **changes), parser=parser)


def forged(number):
    """Records of packets that an attacker sent under false addresses: as if CLIENT:3000 were a
    server that others connect to; and as if SERVER connected to it.
    """
    stranger = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    to_client = {"dst_addr": CLIENT, "dst_port": 3_000}
    yield line(**to_client, src_addr=stranger)
    yield line(**to_client, src_addr=stranger, tcp_flags=SYN | RST, _rev6=SYN | ACK)
    yield line(**to_client, src_addr=SERVER, src_port=60_000, _rev2=0, _rev1=0)
    yield line(**to_client, src_addr=SERVER, src_port=60_000, tcp_flags=SYN, _rev6=RST | ACK)
    yield line(src_addr=stranger, dst_port=number % 60_000, tcp_flags=SYN, _rev2=0, _rev1=0)


def test_a_flood_of_forged_records_does_not_turn_a_known_server_round():
    parser = IpfixParser()
    known(parser)
    for number in range(1_000):
        for each in forged(number):
            only(each, parser=parser)
    for port in (2_000, 61_000):
        flow = only(line(dst_port=60_000, src_port=port), parser=parser)
        assert (flow.resp_h, flow.orientation_confidence) == (SERVER, 0.9)
    # The one endpoint that was forged draws level: the ports decide, and the flow says so.
    flow = only(line(dst_port=60_000, src_port=3_000), parser=parser)
    assert flow.orientation_confidence == 0.6


def test_a_flood_of_forged_servers_does_not_push_out_a_known_one():
    parser = IpfixParser()
    known(parser)
    for number in range(3 * SERVERS_MAX):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        only(line(dst_addr=address, tcp_flags=SYN | RST, _rev6=SYN | ACK), parser=parser)
    flow = only(line(dst_port=60_000, src_port=100), parser=parser)
    assert (flow.resp_h, flow.orientation_confidence) == (SERVER, 0.9)


def test_what_nobody_answered_or_somebody_refused_teaches_nothing():
    parser = IpfixParser()
    empty = parser.snapshot()
    for number in range(100):
        only(line(src_port=number, tcp_flags=SYN, _rev2=0, _rev1=0), parser=parser)
        only(line(dst_port=number, tcp_flags=SYN, _rev6=RST | ACK), parser=parser)
        only(line(dst_port=number, tcp_flags=ACK, _rev6=RST), parser=parser)
        only(line(proto=17, dst_port=number, _rev2=0, _rev1=0), parser=parser)
        only(line(proto=1, icmp_type_code=number), parser=parser)
    assert parser.snapshot() == empty


def test_what_is_remembered_is_bounded_and_the_known_outlive_the_new():
    servers = Servers(10)
    often = endpoint(6, b"\x0a\0\0\1", 1883)
    for _ in range(2 * COUNT_MAX):
        servers.note(often)
    assert servers.count(often) == COUNT_MAX
    rounds = 0
    while servers.count(often):
        rounds += 1
        for number in range(10):
            servers.note(endpoint(6, b"\x0a\0\0\2", 10 * rounds + number))
        assert len(servers) <= 10
    assert rounds >= COUNT_MAX.bit_length()


def test_the_servers_survive_a_restart():
    before = IpfixParser()
    known(before)
    saved = before.snapshot()
    after = IpfixParser()
    after.restore(saved)
    assert after.snapshot() == saved
    assert only(line(dst_port=60_000, src_port=100), parser=after).resp_h == SERVER
    assert only(line(dst_port=60_000, src_port=100)).resp_h == CLIENT


def test_a_full_table_is_small_when_saved():
    servers = Servers()
    for number in range(2 * SERVERS_MAX):
        servers.note(endpoint(6, number.to_bytes(16, "big"), 443))
    assert len(servers) == SERVERS_MAX
    assert len(servers.snapshot()) < 100_000


@pytest.mark.parametrize(
    "snapshot",
    [
        b"",
        b"\xc1",
        b"\x81\xc4\x01x\x01",  # a key that is no endpoint
        b"\x81\xc4\x07xxxxxxx\x00",
        b"\x81\xc4\x07xxxxxxx\x7f",
        b"\xde\x10\x01" + b"".join(b"\xc4\x07" + n.to_bytes(7, "big") + b"\1" for n in range(4097)),
    ],
)
def test_a_damaged_snapshot_is_refused(snapshot):
    parser = IpfixParser()
    known(parser, 3)
    before = parser.snapshot()
    with pytest.raises(StateError, match="saved servers of an IPFIX log are damaged"):
        parser.restore(snapshot)
    assert parser.snapshot() == before


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "truncated"),
        (b"[1]", "object"),
        (b"{}", "src_addr"),
        (b"\xff\xfe", "malformed"),
        (line(src_addr="printer"), "'printer' is not an IP address"),
        (line(src_addr="fe80::1"), "different IP versions"),
        (line(dst_addr=None), "dst_addr"),
        (line(src_port=70_000), "$.src_port"),
        (line(src_port="http"), "$.src_port"),
        (line(proto=256), "$.proto"),
        (line(packets=-3), "$.packets"),
        (line(packets=1.5), "$.packets"),
        (line(octets=2**64), "$.octets"),
        (line(octets=10**400), "octets"),
        (line(tcp_flags=1 << 16), "$.tcp_flags"),
        (line(flow_start_ms=10**18), "$.flow_start_ms"),
        (line(flow_start_ms=0), "duration ="),
        (line(packets=0, octets=0, _rev1=0, _rev2=0), "neither side sent a packet"),
        (line(packets=0), "bytes without a packet"),
        (line(_rev2=0), "bytes without a packet"),
        (line(_rev2=None), "export both directions in one record (softflowd -b -v 10)"),
        (line(flow_start_ms=None), "export times in milliseconds (softflowd -A milli)"),
    ],
)
def test_bad_lines_are_counted_with_a_reason(bad, reason):
    parser = IpfixParser()
    assert parser.parse(line()) is not None
    taught = parser.snapshot()
    assert parser.parse(bad) is None
    (sample,) = parser.stats.samples
    assert (parser.stats.bad, sample.number) == (1, 2)
    assert reason in sample.reason
    assert parser.snapshot() == taught


def test_a_log_without_a_record_is_an_error(tmp_path):
    log = tmp_path / "flows.jsonl"
    log.write_bytes(line(_rev1=None) + b"\n\n")
    with pytest.raises(SensorError, match=r"holds no flow: 2 lines, 1 of them bad.* netflume"):
        list(read(log, Kind.IPFIX))


def test_the_first_line_tells_whose_log_it_is(tmp_path):
    log = tmp_path / "some.log"
    log.write_bytes(b"\n".join(line(src_port=port) for port in range(1, 6)))
    assert {flow.sensor for flow in read(log)} == {"ipfix"}
    before = AutoParser()
    for number in range(3):
        before.parse(line(dst_port=60_000, src_port=number))
    after = AutoParser()
    after.restore(before.snapshot())
    assert only(line(dst_port=60_000), parser=after).resp_h == SERVER


@given(st.data())
def test_spoilt_records_never_raise(data):
    parser = IpfixParser()
    whole = record()
    for key in data.draw(st.lists(st.sampled_from(sorted(whole)), max_size=3, unique=True)):
        whole[key] = data.draw(json_values | st.integers(-1, 2**65))
    flow = parser.parse(json.dumps(whole).encode())
    assert flow is None or isinstance(flow, Flow)
    assert parser.stats.lines == 1 == parser.stats.flows + parser.stats.bad


@given(st.binary())
def test_any_bytes_never_raise(data):
    parser = IpfixParser()
    for given_line in (data, line()[: len(data)] + data):
        flow = parser.parse(given_line)
        assert flow is None or isinstance(flow, Flow)


numbers = st.integers(0, 3)


@given(
    st.lists(
        st.builds(
            record,
            src_addr=st.sampled_from(["10.0.0.1", "10.0.0.2"]),
            dst_addr=st.sampled_from(["10.0.0.3", "10.0.0.4"]),
            src_port=numbers,
            dst_port=numbers,
            proto=st.sampled_from([1, 6, 17, 47]),
            tcp_flags=st.integers(0, 31),
            _rev6=st.integers(0, 31),
        ),
        max_size=20,
    )
)
def test_the_order_of_the_sides_says_nothing_but_where_nothing_else_does(records):
    one, two = IpfixParser(), IpfixParser()
    for each in records:
        flow = only(json.dumps(each).encode(), parser=one)
        mirror = only(json.dumps(turned(each)).encode(), parser=two)
        if flow.orientation_confidence == 0.5:
            return
        assert ends(flow) == ends(mirror)
        assert flow.state is mirror.state


def test_a_deeply_nested_line_never_raises():
    parser = IpfixParser()
    assert parser.parse(b'{"src_addr":' + b"[" * 500_000) is None
    assert parser.stats.bad == 1
