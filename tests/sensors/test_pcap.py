"""Recorded packets: both containers, all packings, hostile files."""

import gzip
import io
import lzma
import struct

import dpkt
import pytest

from gossip.errors import SensorError
from node.sensors.meter import Meter, packets, read_pcap
from node.sensors.meter import pcap as reading
from node.sensors.meter.pcap import PACKET_BYTES_MAX
from tests.sensors.frames import SYN, TCP, UDP, back, tcp, there, udp

FRAMES = [
    (1_795_406_786_000_123, there(UDP, udp())),
    (1_795_406_786_999_999, back(UDP, udp(53, 40_000))),
    (1_795_406_787_000_000, there(TCP, tcp(SYN))),
]


def pcap(frames=FRAMES, order="<", magic=0xA1B2C3D4, fraction=1, link=1):
    made = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65_535, link)
    for ts_us, frame in frames:
        seconds, micros = divmod(ts_us, 1_000_000)
        made += struct.pack(f"{order}IIII", seconds, micros * fraction, len(frame), len(frame))
        made += frame
    return made


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order="<", link=1, options=b""):
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order)


def enhanced(ticks, frame, number=0, order="<"):
    head = (number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, struct.pack(f"{order}IIIII", *head) + frame, order)


def pcapng(order="<"):
    made = section(order) + block(0x0BAD, b"of no use", order) + interface(order)
    return made + b"".join(enhanced(ts_us, frame, order=order) for ts_us, frame in FRAMES)


def read(tmp_path, data):
    path = tmp_path / "recording"
    path.write_bytes(data)
    return list(packets(path))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packed", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize("made", [pcap, pcapng])
def test_containers(tmp_path, made, packed, order):
    found = read(tmp_path, packed(made(order=order)))
    assert [(packet.ts_us, packet.frame) for packet in found] == FRAMES
    assert {packet.link for packet in found} == {1}
    assert [packet.wire for packet in found] == [len(frame) for _, frame in FRAMES]


def test_nanoseconds(tmp_path):
    found = read(tmp_path, pcap(magic=0xA1B23C4D, fraction=1_000))
    assert [packet.ts_us for packet in found] == [ts_us for ts_us, _ in FRAMES]


def test_what_dpkt_reads_is_read_the_same(tmp_path):
    stream = io.BytesIO()
    for made, data in ((dpkt.pcap.Reader, pcap()), (dpkt.pcapng.Reader, pcapng())):
        stream = made(io.BytesIO(data))
        said = [(round(ts * 1e6), bytes(frame)) for ts, frame in stream]
        assert said == [(packet.ts_us, packet.frame) for packet in read(tmp_path, data)]


def test_each_interface_of_pcapng_has_its_link_and_its_clock(tmp_path):
    nanoseconds = struct.pack("<HHB3x", 9, 1, 9) + struct.pack("<HHq", 14, 8, 100) + bytes(4)
    halves = struct.pack("<HHB3x", 9, 1, 0x81)
    data = section() + interface(link=101, options=nanoseconds) + interface(options=halves)
    data += enhanced(5_000_000_000, b"a") + enhanced(7, b"b", number=1)
    data += section() + interface(link=113) + enhanced(1, b"c")
    said = [(packet.ts_us, packet.link, packet.frame) for packet in read(tmp_path, data)]
    assert said == [(105_000_000, 101, b"a"), (3_500_000, 1, b"b"), (1, 113, b"c")]


def test_a_damaged_tail_costs_only_itself(tmp_path):
    path = tmp_path / "cut.pcap"
    for data, reason in (
        (pcap()[:-1], "in the middle of a packet"),
        (pcap() + bytes(5), "in the middle of a packet"),
        (pcapng()[:-1], "in the middle"),
        (gzip.compress(pcap(FRAMES * 2_000))[:-20], "compressed data are damaged"),
    ):
        path.write_bytes(data)
        flows = []
        with pytest.raises(SensorError, match=reason):
            flows.extend(read_pcap(path))
        assert flows  # extend takes what comes before an error


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "neither pcap nor pcapng"),
        (b"{}\n", "neither pcap nor pcapng"),
        (pcap()[:20], "the file ends"),
        (pcap([]), "holds no flow: 0 packets"),
        (pcap([(1, b"\0" * 60)]), "holds no flow: 1 packets, of which 1 are not IP"),
        (pcap(link=147), "3 from a link that is not known"),
        (pcap([])[:24] + struct.pack("<IIII", 1, 1, 2**31, 2**31), "longer than 262144"),
        (section()[:12] + bytes(16), "not one|ends|holds no flow"),
        (section() + struct.pack("<II", 6, 2**31), "is not between"),
        (section() + struct.pack("<II", 6, 8), "is not between"),
        (section() + enhanced(1, b"x"), "not described"),
        (section() + interface() + block(6, bytes(8)), "too short"),
        (section() + interface() + block(3, bytes(8)), "without a time"),
        (section() + interface() + enhanced(2**63, b"x"), "before 1970 or after 9999"),
        (section() + interface() * 1_025, "more than 1024 interfaces"),
        (section() + block(1, b""), "too short"),
        (
            section() + interface() + block(6, struct.pack("<IIIII", 0, 0, 0, 99, 99) + b"x"),
            "99 bytes in a block",
        ),
    ],
)
def test_hostile_files_are_refused_with_a_reason(tmp_path, data, reason):
    path = tmp_path / "hostile.pcap"
    path.write_bytes(data)
    with pytest.raises(SensorError, match=reason):
        list(read_pcap(path))


def test_a_packet_never_takes_more_memory_than_a_packet_may(tmp_path):
    largest = there(UDP, udp()) + bytes(PACKET_BYTES_MAX - 60)
    assert len(read(tmp_path, pcap([(1, largest)]))) == 1
    with pytest.raises(SensorError, match="is longer than"):
        read(tmp_path, pcap([(1, largest + bytes(99))]))


def test_a_file_of_blocks_without_a_packet_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BARREN_PACKETS_MAX", 100)
    between = interface() + block(0x99, b"") * 90
    assert len(read(tmp_path, section() + between + enhanced(1, FRAMES[0][1]) + between)) == 1
    with pytest.raises(SensorError, match="more than 100 blocks without a packet"):
        read(tmp_path, section() + block(0x99, b"") * 101)


def test_a_file_that_is_not_there_is_told_as_such(tmp_path):
    with pytest.raises(SensorError, match=r"cannot read .*No such file"):
        list(read_pcap(tmp_path / "none"))


def test_counts_are_the_callers_to_see(tmp_path):
    path = tmp_path / "recording"
    path.write_bytes(pcap())
    meter = Meter()
    assert len(list(read_pcap(path, meter))) == 2
    assert (meter.counts.packets, meter.counts.flows) == (3, 2)
