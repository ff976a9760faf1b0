"""The flow meter, on packets made by hand."""

from dataclasses import asdict, replace

import communityid
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.flows import ConnState
from node.sensors.meter import Meter, MeterConfig
from tests.sensors.frames import (
    A6,
    ACK,
    B6,
    FIN,
    ICMP,
    ICMP6,
    MACS,
    RST,
    SYN,
    TCP,
    UDP,
    A,
    B,
    back,
    ethernet,
    icmp,
    ip4,
    ip6,
    tcp,
    there,
    udp,
)

S = 1_000_000
T0 = 1_795_406_786 * S


def metered(*packets, config=None, link=1):
    """All flows of packets given as (seconds after T0, frame), and the meter's counts."""
    meter = Meter(config)
    found = [f for at, frame in packets for f in meter.packet(T0 + round(at * S), frame, link)]
    return found + meter.finish(), meter.counts


def only(*packets, **more):
    (flow,), _ = metered(*packets, **more)
    return flow


def ends(flow):
    return flow.orig_h, flow.orig_p, flow.resp_h, flow.resp_p


def sizes(flow):
    return flow.orig_pkts, flow.resp_pkts, flow.orig_ip_bytes, flow.resp_ip_bytes


def answer(flags, payload=b""):
    return back(TCP, tcp(flags, 80, 40_000, payload))


HANDSHAKE = (
    (0.0, there(TCP, tcp(SYN, seq=7))),
    (0.1, answer(SYN | ACK)),
    (0.2, there(TCP, tcp(ACK, seq=8))),
)


def test_a_whole_connection():
    flow = only(
        *HANDSHAKE,
        (0.3, there(TCP, tcp(ACK, payload=b"x" * 100))),
        (0.4, answer(FIN | ACK)),
        (0.5, there(TCP, tcp(FIN | ACK))),
    )
    assert ends(flow) == (A, 40_000, B, 80)
    assert sizes(flow) == (4, 2, 4 * 40 + 100, 80)
    assert (flow.state, flow.proto, flow.sensor) == (ConnState.CLOSED, "tcp", "meter")
    assert (flow.ts, flow.duration) == (pytest.approx(T0 / S), pytest.approx(0.5))
    assert flow.orientation_confidence == 1.0
    tuple_ = communityid.FlowTuple.make_tcp(A, B, 40_000, 80)
    assert flow.community_id == communityid.CommunityID().calc(tuple_)


@pytest.mark.parametrize(
    ("packets", "state"),
    [
        ([(0, there(TCP, tcp(SYN)))], ConnState.NO_REPLY),
        ([(0, there(TCP, tcp(SYN))), (0.1, answer(RST | ACK))], ConnState.REJECTED),
        ([*HANDSHAKE, (1, there(TCP, tcp(RST)))], ConnState.RESET),
        ([*HANDSHAKE, (1, answer(RST))], ConnState.RESET),
        ([*HANDSHAKE, (1, answer(ACK))], ConnState.OPEN),
        ([(0, there(TCP, tcp(ACK))), (0.1, answer(RST))], ConnState.OPEN),  # its middle
        ([(0, there(UDP, udp()))], ConnState.NO_REPLY),
        ([(0, there(UDP, udp())), (1, back(UDP, udp(53, 40_000)))], ConnState.CLOSED),
        ([(0, there(ICMP, icmp(8))), (1, back(ICMP, icmp(0)))], ConnState.CLOSED),
    ],
)
def test_states(packets, state):
    flow = only(*packets)
    assert flow.state is state
    assert ends(flow)[::2] == (A, B)


def test_who_sent_the_syn_began_whatever_came_first():
    late = only(*reversed([(0.3 - at, frame) for at, frame in HANDSHAKE]))
    assert ends(late) == (A, 40_000, B, 80)
    assert sizes(late) == (2, 1, 80, 40)
    answered = only((0, answer(SYN | ACK)), (1, there(TCP, tcp(ACK))))
    assert (ends(answered)[0], answered.orientation_confidence) == (A, 0.9)
    middle = only((0, answer(ACK)), (1, there(TCP, tcp(ACK))))
    assert (ends(middle)[0], middle.orientation_confidence) == (B, 0.5)


def test_a_refusal_by_icmp_is_the_answer_to_what_it_quotes():
    asked = ip4(UDP, udp(40_000, 161))
    flow = only(
        (0, ethernet(asked)), (0.1, ethernet(ip4(ICMP, icmp(3, 3, asked), "198.18.1.1", A)))
    )
    assert (flow.proto, flow.state, sizes(flow)) == ("udp", ConnState.REJECTED, (1, 1, 28, 56))
    alone = only((0, back(ICMP, icmp(3, 3, asked))))
    assert (alone.proto, alone.orig_p, alone.resp_p) == ("icmp", 3, 3)


def test_closed_connections_end_soon_and_others_by_their_time_outs():
    closed = (*HANDSHAKE, (1, answer(RST)))
    other = there(UDP, udp(1, 2))
    for packets, silence in (
        (closed, 5),
        (HANDSHAKE, 600),
        (HANDSHAKE[:1], 60),
        ([(0, there(UDP, udp()))], 30),
        ([(0, there(UDP, udp())), (0, back(UDP, udp(53, 40_000)))], 300),
    ):
        last = packets[-1][0]
        meter = Meter()
        for at, frame in packets:
            assert not meter.packet(T0 + round(at * S), frame)
        assert not meter.advance(T0 + round((last + silence) * S))
        assert len(meter.packet(T0 + round((last + silence) * S) + 2 * S, other)) == 1
        assert (meter.counts.timed_out, len(meter)) == (1, 1)


def test_a_syn_on_a_closed_connection_begins_the_next_and_a_repeated_one_does_not():
    first = [*HANDSHAKE, (1, answer(RST))]
    flows, counts = metered(*first, (2, there(TCP, tcp(SYN, seq=99))))
    assert [flow.orig_pkts for flow in flows] == [2, 1]
    assert len({flow.uid for flow in flows}) == 2
    assert (counts.timed_out, counts.finished) == (1, 1)
    assert sizes(only(*first, (2, there(TCP, tcp(SYN, seq=7)))))[:2] == (3, 2)


def test_a_long_session_is_reported_in_parts_with_its_originator():
    talk = [(at, answer(ACK, b"x")) for at in range(10, 1_400, 100)]
    flows, counts = metered(*HANDSHAKE, *talk)
    assert [flow.state for flow in flows] == [ConnState.OPEN] * 3
    assert {ends(flow) for flow in flows} == {(A, 40_000, B, 80)}
    assert sum(flow.resp_pkts for flow in flows) == 1 + len(talk)
    assert all(flow.duration <= 600 for flow in flows)
    assert (counts.cut, counts.finished) == (2, 1)


def test_a_full_table_gives_up_the_half_open_before_the_established():
    flood = [(1 + n / 100, there(TCP, tcp(SYN, 1_000 + n))) for n in range(50)]
    meter = Meter(MeterConfig(flows_max=8))
    found = []
    for at, frame in (*HANDSHAKE, *flood):
        found += meter.packet(T0 + round(at * S), frame)
        assert len(meter) <= 8
    assert [flow.orig_p for flow in found] == list(range(1_000, 1_043))
    assert meter.counts.evicted == 43
    assert 40_000 in {flow.orig_p for flow in meter.finish()}


def test_late_packets_belong_to_their_flow():
    packets = [(2, there(UDP, udp())), (0, there(UDP, udp())), (1, back(UDP, udp(53, 40_000)))]
    flow = only(*packets)
    assert (flow.ts, flow.duration) == (pytest.approx(T0 / S), pytest.approx(2))
    assert sizes(flow)[:2] == (2, 1)


def test_a_clock_that_jumps_loses_nothing():
    ask = there(UDP, udp())
    flows, counts = metered((0, ask), (1e6, ask), (1, ask), (2, ask), (40, there(UDP, udp(1, 2))))
    assert sorted(flow.orig_pkts for flow in flows) == [1, 1, 1, 2]
    assert counts.metered == 5


def test_fragments_follow_their_first():
    whole = udp(payload=b"x" * 1_000)
    first = there(UDP, whole[:504], name=9, place=0x2000)
    rest = there(UDP, whole[504:], name=9, place=63)
    flow = only((0, first), (0.1, rest))
    assert sizes(flow) == (2, 0, len(whole) + 40, 0)
    assert ends(flow) == (A, 40_000, B, 53)
    _, counts = metered((0, rest), (1, first))
    assert (counts.orphans, counts.metered) == (1, 1)


def test_ipv6_with_extension_headers():
    hop = bytes((0x2C, 0)) + bytes(6)  # hop-by-hop options, a fragment header next
    whole = bytes((TCP, 0, 0, 0)) + bytes(4)  # of a packet that is not in pieces
    flow = only(
        (0, ethernet(ip6(0, hop + whole + tcp(SYN)))),
        (1, ethernet(ip6(TCP, tcp(SYN | ACK, 80, 40_000), B6, A6))),
    )
    assert ends(flow) == (A6, 40_000, B6, 80)
    assert sizes(flow) == (1, 1, 40 + 16 + 20, 60)
    ping = only((0, ethernet(ip6(ICMP6, icmp(128)))), (1, ethernet(ip6(ICMP6, icmp(129), B6, A6))))
    assert (ping.proto, ping.orig_p, ping.state) == ("icmp", 128, ConnState.CLOSED)


def test_links_and_tags():
    packet = ip4(TCP, tcp(SYN))
    cooked = bytes(14) + b"\x08\x00" + packet
    pppoe = MACS + b"\x88\x64" + bytes(6) + b"\x00\x21" + packet
    usual = only((0, ethernet(packet)))
    for link, frame in (
        (1, ethernet(packet, 5)),
        (1, ethernet(packet, 5, 6)),
        (1, pppoe),
        (1, ethernet(packet) + bytes(6)),  # padded to the shortest frame
        (1, ethernet(packet)[:50]),  # and cut short
        (101, packet),
        (228, packet),
        (0, bytes(4) + packet),
        (113, cooked),
        (276, b"\x08\x00" + bytes(18) + packet),
    ):
        assert replace(only((0, frame), link=link), uid="") == replace(usual, uid="")
    flows, _ = metered((0, ethernet(packet, 5)), (0, ethernet(packet, 6)))
    assert len(flows) == 2  # of two networks


def test_what_is_no_flow_is_counted_by_its_kind():
    frames = [
        MACS + b"\x08\x06" + bytes(28),
        ethernet(ip4(TCP, tcp(SYN)))[:40],
        there(TCP, tcp(SYN), length=10),
        MACS + b"\x81\x00\x00\x01" * 5 + b"\x08\x00" + bytes(40),
        b"",
    ]
    flows, counts = metered(*[(0, frame) for frame in frames])
    assert (flows, counts.other, counts.malformed) == ([], 1, 4)
    _, counts = metered((0, ip4(TCP, tcp(SYN))), link=127)
    assert counts.unknown_link == 1


@given(st.lists(st.tuples(st.integers(0, 10**9), st.binary(max_size=90)), max_size=20))
def test_no_bytes_break_it_and_all_are_counted(packets):
    frames = [(at / S, MACS + b"\x08\x00\x45" + frame) for at, frame in packets]
    frames += [(at / S, frame) for at, frame in packets]
    flows, counts = metered(*frames)
    assert counts.packets == len(frames)
    assert counts.flows == len(flows)


@given(
    st.lists(
        st.tuples(st.integers(0, 2_000), st.integers(0, 5), st.booleans(), st.integers(0, 31)),
        max_size=60,
    )
)
def test_every_packet_is_in_one_flow(sent):
    packets = [
        (at, (there if forth else back)(TCP, tcp(flags, port, port)))
        for at, port, forth, flags in sent
    ]
    flows, counts = metered(*packets, config=MeterConfig(flows_max=3))
    assert sum(flow.orig_pkts + flow.resp_pkts for flow in flows) == counts.metered == len(sent)
    again, other = metered(*packets, config=MeterConfig(flows_max=3))
    assert (flows, asdict(counts)) == (again, asdict(other))


def test_a_meter_without_room_is_refused():
    with pytest.raises(ValueError, match="must be 1 or more"):
        MeterConfig(flows_max=0)
