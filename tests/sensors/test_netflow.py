"""NetFlow v9 and IPFIX from the wire, as exporters send them and as strangers may."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.flows import ConnState
from node.sensors.netflow import halves as pairing
from node.sensors.netflow.reader import LONELY_MIN, NetflowReader
from node.sensors.netflow.sequence import Sequence
from node.sensors.netflow.templates import (
    EXPORTER_TEMPLATES_MAX,
    FIELDS_MAX,
    SAVED_MAX,
    TEMPLATES_MAX,
)
from node.sensors.netflow.times import CLOCKS_MAX
from tests.sensors.exporter import (
    BACK,
    BOTH,
    CLIENT,
    COUNTS,
    ENDS,
    MILLI,
    NUMBERS,
    SERVER,
    SYN,
    THERE,
    UPTIME,
    data,
    ipfix,
    options_template,
    template,
    v9,
)

HERE = "192.0.2.1"


def read(*datagrams, reader=None, now_s=0.0, exporter=HERE):
    reader = reader or NetflowReader()
    return [flow for each in datagrams for flow in reader.datagram(each, exporter, now_s)]


def only(*datagrams, reader=None):
    """The one flow, in what concerns its direction and its time."""
    (flow,) = read(*datagrams, reader=reader)
    return (
        (flow.orig_h, flow.orig_p, flow.resp_h, flow.resp_p),
        (flow.orig_pkts, flow.resp_pkts, flow.orig_ip_bytes, flow.resp_ip_bytes),
        flow.state,
        round(flow.ts, 3),
        round(flow.duration, 3),
    )


WHOLE = (
    (CLIENT, 40_000, SERVER, 1883),
    (7, 5, 427, 272),
    ConnState.CLOSED,
    1_795_407_565.428,
    2.5,
)


def test_a_biflow_is_a_flow():
    record = THERE | {"rev_octets": 272, "rev_packets": 5, "rev_flags": THERE["tcp_flags"]}
    assert only(ipfix(template(BOTH, version=10), data(BOTH, [record]))) == WHOLE


def test_a_biflow_without_an_answer_waits_for_nothing():
    record = THERE | {"rev_octets": 0, "rev_packets": 0, "rev_flags": 0, "tcp_flags": SYN}
    assert only(ipfix(template(BOTH, version=10), data(BOTH, [record])))[2] is ConnState.NO_REPLY


@pytest.mark.parametrize("pair", [(THERE, BACK), (BACK, THERE)], ids=["in order", "reversed"])
def test_two_records_of_one_direction_are_one_flow(pair):
    reader = NetflowReader()
    sets = template(MILLI, version=10), data(MILLI, pair)
    assert only(ipfix(*sets), reader=reader) == WHOLE
    assert (reader.stats.lines, reader.stats.flows, reader.stats.ignored) == (2, 1, 1)


def test_an_answer_in_a_later_datagram_is_found():
    reader = NetflowReader()
    assert not read(ipfix(template(MILLI, version=10), data(MILLI, [THERE])), reader=reader)
    assert not reader.expire(pairing.WAIT_S - 0.1)
    assert only(ipfix(data(MILLI, [BACK]), sequence=1), reader=reader) == WHOLE
    assert not reader.expire(1e9)


def test_no_answer_comes_out_in_time_as_one():
    reader = NetflowReader()
    syn = THERE | {"tcp_flags": SYN, "packets": 3, "octets": 180}
    read(ipfix(template(MILLI, version=10), data(MILLI, [syn])), reader=reader)
    (flow,) = reader.expire(pairing.WAIT_S)
    assert (flow.orig_h, flow.state) == (CLIENT, ConnState.NO_REPLY)
    assert len(reader.halves) == 0


@pytest.mark.parametrize(
    "other",
    [{"start_ms": 1_795_407_600_000, "end_ms": 1_795_407_600_001}, {"dst_port": 40_001}],
    ids=["another time", "other ports"],
)
def test_what_is_no_answer_is_not_taken_for_one(other):
    reader = NetflowReader()
    sets = template(MILLI, version=10), data(MILLI, [THERE, BACK | other])
    assert not read(ipfix(*sets), reader=reader)
    assert not read(ipfix(template(MILLI, version=10)), reader=reader, exporter="192.0.2.2")
    assert not read(ipfix(data(MILLI, [BACK])), reader=reader, exporter="192.0.2.2")
    assert len(reader.expire(1e9)) == 3


def test_a_ping_and_its_reply_are_one_flow():
    fields = ("src_addr", "dst_addr", "proto", "octets", "packets", "start_ms", "end_ms", "icmp")
    ask = {**THERE, "proto": 1, "icmp": 8 << 8}
    reply = {**BACK, "proto": 1, "icmp": 0}
    ends, counts, state, *_ = only(ipfix(template(fields, version=10), data(fields, [reply, ask])))
    assert ends == (CLIENT, 8, SERVER, 0)
    assert (counts[0], state) == (7, ConnState.CLOSED)


def test_the_table_of_halves_is_bounded_and_loses_none():
    table = pairing.Halves(most=50)
    reader = NetflowReader()
    reader.halves = table
    syns = [THERE | {"src_port": port, "tcp_flags": SYN} for port in range(200)]
    got = read(ipfix(template(MILLI, version=10), data(MILLI, syns)), reader=reader)
    assert len(table) == 50
    assert [flow.orig_p for flow in got + reader.expire(1e9)] == list(range(200))


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 3)), max_size=60),
    st.integers(1, 8),
)
def test_every_half_comes_out_once(steps, most):
    table, now_s, given_in, out = pairing.Halves(most, 5.0), 0.0, 0, []
    reader = NetflowReader()
    for forward, port, wait in steps:
        now_s += wait
        record = THERE | {"src_port": port} if forward else BACK | {"dst_port": port}
        reader.halves = pairing.Halves(most=1)
        read(ipfix(template(MILLI, version=10), data(MILLI, [record])), reader=reader)
        (half,) = reader.halves.finish()
        given_in += half.packets
        out += table.take(HERE, half, now_s) + table.expire(now_s)
        assert len(table) <= most
    out += table.finish()
    assert sum(each.packets + each.rev_packets for each in out) == given_in
    assert len(table) == 0
    assert table.paired * 2 + table.alone == len(steps)


def test_times_by_the_exporters_own_clock():
    got = read(v9(template(UPTIME), data(UPTIME, [THERE, BACK])))
    assert [(round(flow.ts, 3), flow.duration) for flow in got] == [(1_795_407_565.0, 2.5)]


def test_whole_seconds_in_the_header_do_not_shake_the_times():
    """A clock that began at 0.9 s of a second: the header is up to 0.9 s behind."""
    reader = NetflowReader()
    zero_ms = 1_795_407_000_900
    starts = []
    for uptime_ms in (500_000, 500_400, 500_950, 501_300):
        fields = THERE | {"first": 499_000, "last": 499_000, "src_port": uptime_ms % 60_000}
        reply = BACK | {"first": 499_000, "last": 499_000, "dst_port": uptime_ms % 60_000}
        sent = v9(
            template(UPTIME),
            data(UPTIME, [fields, reply]),
            uptime_ms=uptime_ms,
            unix_s=(zero_ms + uptime_ms) // 1_000,
        )
        starts += [flow.ts for flow in read(sent, reader=reader)]
    true_s = (zero_ms + 499_000) / 1_000
    assert all(true_s - 1 < ts <= true_s for ts in starts)
    assert starts == sorted(starts), "it only comes nearer"


@pytest.mark.parametrize(("uptime_ms", "first"), [(100, (1 << 32) - 400), (400, 900)])
def test_the_exporters_clock_may_wrap_and_be_a_little_behind(uptime_ms, first):
    record = THERE | {"first": first, "last": first}
    reply = BACK | {"first": first, "last": first}
    (flow,) = read(v9(template(UPTIME), data(UPTIME, [record, reply]), uptime_ms=uptime_ms))
    assert abs(flow.ts - 1_795_407_575) == pytest.approx(0.5)


def test_a_start_told_in_options_places_the_flows_of_ipfix():
    """As softflowd does by default. It may tell flows that began before it did."""
    booted = {"sampling": 0, "booted_ms": 1_795_407_570_000}
    fields = ("sampling", "booted_ms")
    head = ipfix(options_template(fields), data(fields, [booted], 257), template(UPTIME, 256, 10))
    reader = NetflowReader()
    assert not read(head, reader=reader)
    early = {"first": (1 << 32) - 5_000, "last": 500}
    got = read(
        ipfix(data(UPTIME, [THERE | early, BACK | early]), sequence=1, unix_s=1_795_407_580),
        reader=reader,
    )
    assert [(flow.ts, flow.duration) for flow in got] == [(1_795_407_565.0, 5.5)]


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (("start_s", "end_s"), (1_795_407_565, 1_795_407_567)),
        (("start_us", "end_us"), ((1_795_407_565 + 2_208_988_800) << 32,) * 2),
    ],
)
def test_other_absolute_times(names, values):
    fields = (*ENDS, "octets", "packets", "tcp_flags", *names)
    both = [record | dict(zip(names, values, strict=True)) for record in (THERE, BACK)]
    (flow,) = read(ipfix(template(fields, version=10), data(fields, both)))
    assert (flow.ts, flow.duration) == (1_795_407_565.0, (values[1] - values[0]) % 3)


@pytest.mark.parametrize(
    ("lacking", "cure"),
    [
        (("start_ms", "end_ms"), "softflowd -A milli"),
        (("src_port",), "lacks src_port; add"),
        (("octets", "packets"), "lacks packets, octets; add"),
    ],
)
def test_a_record_that_lacks_something_is_counted_with_a_cure(lacking, cure):
    fields = tuple(name for name in MILLI if name not in lacking)
    reader = NetflowReader()
    assert not read(ipfix(template(fields, version=10), data(fields, [THERE])), reader=reader)
    assert (reader.stats.lines, reader.stats.bad) == (1, 1)
    assert cure in reader.stats.samples[0].reason


@pytest.mark.parametrize("name", ["start_us", "end_us", "proto", "src_addr", "packets"])
@pytest.mark.parametrize("length", [3, 9, 20])
def test_a_field_of_a_length_that_its_kind_does_not_have_ends_nothing(monkeypatch, name, length):
    element, _ = NUMBERS[name]
    monkeypatch.setitem(NUMBERS, name, (element, length))
    fields = (*ENDS, *COUNTS, "start_us", "end_us")
    record = THERE | {"start_us": 1, "end_us": 1, "src_addr": 1} | {name: 1 << 8 * length - 1}
    reader = NetflowReader()
    assert not read(ipfix(template(fields, version=10), data(fields, [record])), reader=reader)
    assert (reader.stats.lines, reader.stats.bad) == (1, 1)


def test_a_half_without_a_packet_is_counted_as_one_of_two_records():
    silent = BACK | {"octets": 0, "packets": 0}
    reader = NetflowReader()
    (flow,) = read(v9(template(UPTIME), data(UPTIME, [THERE, silent])), reader=reader)
    assert flow.state is ConnState.NO_REPLY
    assert (reader.stats.lines, reader.stats.flows, reader.stats.ignored) == (2, 1, 1)


def test_what_came_before_its_template_is_counted():
    reader = NetflowReader()
    read(ipfix(data(MILLI, [THERE])), reader=reader)
    assert "before their template" in reader.stats.samples[0].reason
    assert reader.stats.bad == 1


def test_an_exporter_that_samples_is_told_of_once():
    said = []
    reader = NetflowReader(said.append)
    fields = ("proto", "sampling")
    sent = ipfix(options_template(fields), data(fields, [{"proto": 0, "sampling": 100}], 257))
    read(sent, sent, reader=reader)
    assert len(said) == 1
    assert "one packet in 100" in said[0]


def test_an_exporter_of_one_direction_is_told_of():
    said = []
    reader = NetflowReader(said.append)
    for first in range(0, LONELY_MIN, 500):
        syns = [THERE | {"src_port": first + port} for port in range(500)]
        read(ipfix(template(MILLI, version=10), data(MILLI, syns)), reader=reader)
    reader.expire(1e9)
    assert len(said) == 1
    assert "incoming traffic on every interface" in said[0]


@pytest.mark.parametrize(
    ("counted", "reading"),
    [("datagrams", 1), ("records before", 2), ("records with its own", 3)],
)
def test_what_never_arrived_is_counted(counted, reading):
    sequence, number, sent, missing = Sequence(), (1 << 32) - 40, [], 0
    for place in range(40):
        flows, options = 20 + place % 3, int(place % 8 == 0)
        if reading == 3:  # as softflowd counts
            number += flows
        sent.append((number % (1 << 32), flows, options))
        number += {1: 1, 2: flows + options, 3: 0}[reading]
    for place in (9, 20, 21):
        missing += 1 if reading == 1 else sent[place][1] + (sent[place][2] if reading == 2 else 0)
    kept = [each for place, each in enumerate(sent) if place not in (9, 20, 21)]
    assert sum(sequence.missing((HERE, 0), *each) for each in sent[:9]) == 0
    assert sum(sequence.missing((HERE, 0), *each) for each in kept[9:]) == missing, counted


def test_a_datagram_that_was_overtaken_and_a_new_beginning_are_no_loss():
    sequence = Sequence()
    numbers = [1, 2, 3, 4, 5, 7, 6, 8, 9, 3_000_000_000, 3_000_000_001, 1, 2, 3]
    found = [sequence.missing((HERE, 0), number, 20, 0) for number in numbers]
    assert sum(found) == 1, "the one that 7 found missing; that 6 came later is not known to it"


def test_one_exporter_pushes_out_no_others_templates():
    reader = NetflowReader()
    read(ipfix(template(MILLI, version=10)), reader=reader)
    many = [template(MILLI, number, 10) for number in range(256, 256 + 2 * TEMPLATES_MAX)]
    for first in range(0, len(many), 64):
        read(ipfix(*many[first : first + 64]), reader=reader, exporter="192.0.2.66")
    assert len(reader._decoder.templates) == 1 + EXPORTER_TEMPLATES_MAX
    assert only(ipfix(data(MILLI, [THERE, BACK])), reader=reader) == WHOLE


def test_what_is_saved_is_bounded_and_whole_enough():
    """softflowd's IPFIX needs its template and the start of its clock."""
    booted = {"sampling": 0, "booted_ms": 1_795_407_570_000}
    fields = ("sampling", "booted_ms")
    head = ipfix(options_template(fields), data(fields, [booted], 257), template(UPTIME, 256, 10))
    reader, later = NetflowReader(), NetflowReader()
    for number in range(300, 400):
        read(ipfix(template(MILLI, number, 10)), reader=reader, exporter=f"192.0.2.{number % 9}")
    read(head, reader=reader)
    later.restore(reader.snapshot())
    assert len(later._decoder.templates) == SAVED_MAX
    assert later.snapshot() == reader.snapshot()
    assert len(read(ipfix(data(UPTIME, [THERE, BACK])), reader=later)) == 1


@pytest.mark.parametrize("spec", [struct.pack("!HH", 1, 0), struct.pack("!HH", 1, 4)])
def test_a_template_that_asks_for_too_much_is_refused(spec):
    count = FIELDS_MAX + 1
    body = struct.pack("!HH", 300, count) + spec * count
    whole = struct.pack("!HH", 2, 4 + len(body)) + body
    reader = NetflowReader()
    read(ipfix(whole), ipfix(struct.pack("!HH", 300, 1_004) + bytes(1_000)), reader=reader)
    assert reader._decoder.templates.refused == 1
    assert reader.stats.bad == 1, "its records came without a template"


VALID = [
    v9(template(UPTIME), data(UPTIME, [THERE, BACK])),
    ipfix(template(MILLI, version=10), data(MILLI, [THERE, BACK])),
    ipfix(options_template(("proto", "sampling")), data(("proto",), [THERE], 257)),
]


@st.composite
def mangled(draw):
    whole = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 6))):
        whole[draw(st.integers(0, len(whole) - 1))] = draw(st.integers(0, 255))
    return bytes(whole[: draw(st.integers(0, len(whole)))])


@given(st.lists(st.one_of(mangled(), st.binary(max_size=200), st.sampled_from(VALID)), max_size=8))
def test_whatever_a_stranger_sends_is_counted_and_nothing_else(sent):
    reader = NetflowReader()
    flows = [
        flow
        for number, each in enumerate(sent)
        for flow in reader.datagram(each, f"192.0.2.{number % 3}", float(number))
    ]
    flows += reader.expire(1e9)
    stats = reader.stats
    assert stats.received == len(sent)
    assert stats.flows == len(flows)
    assert stats.flows + stats.ignored + stats.bad == stats.lines
    assert len(reader.halves) == 0


def test_what_is_remembered_of_forged_exporters_is_bounded():
    reader = NetflowReader()
    for number in range(600):
        sent = v9(template(UPTIME), data(UPTIME, [THERE]), domain=number)
        reader.datagram(sent, f"192.0.{number % 256}.{number // 256}", 0.0)
    assert len(reader._clocks) == CLOCKS_MAX
    assert len(reader._sequence) <= CLOCKS_MAX
    assert len(reader._decoder.templates) <= TEMPLATES_MAX
