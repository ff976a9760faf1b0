"""Recorded packets: pcap and pcapng, plain or packed with gzip or xz, read in a stream.

The formats: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html and
draft-ietf-opsawg-pcapng-03. Read here and not by dpkt, whose readers take a packet's size as the
file states it, up to 4 GB, know one interface a file, and give times as floats; a test holds this
reader against dpkt's.
"""

import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple

from gossip.errors import SensorError
from gossip.flows import TS_MAX, Flow
from node.sensors.meter.decode import LINKS
from node.sensors.meter.meter import Meter
from node.sensors.reading import open_log

PACKET_BYTES_MAX = 262_144
"""libpcap's own bound of a captured packet (MAXIMUM_SNAPLEN)."""

BLOCK_BYTES_MAX = 1 << 20  # of pcapng, that is no packet: our choice
INTERFACES_MAX = 1_024  # in a section of pcapng: our choice

BARREN_PACKETS_MAX = 10_000_000
"""Packets without a flow after which a file is given up, as `reading.BARREN_LINES_MAX`."""

_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000),
}
"""Magic number: byte order, and how many of its fractions are a microsecond."""

_SECTION = b"\x0a\x0d\x0d\x0a"
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
_TSRESOL, _TSOFFSET = 9, 14


class Captured(NamedTuple):
    """A captured packet.

    Args:
        ts_us: when, µs since 1970.
        frame: its bytes, perhaps only the first ones.
        link: type of the link, see `decode.LINKS`.
        wire: bytes that it had.
    """

    ts_us: int
    frame: bytes
    link: int
    wire: int


class _DamagedError(Exception):
    """The file does not go on as it should."""


def read_pcap(path: Path, meter: Meter | None = None) -> Iterator[Flow]:
    """The flows of a file, in the order in which they end.

    Args:
        path: of pcap or pcapng, plain, gzip or xz.
        meter: one of the caller's own; its `counts` tell what became of the packets.

    Raises:
        SensorError: while reading: the file cannot be read, is damaged (the flows before the damage
            were given), holds no flow, or goes on for `BARREN_PACKETS_MAX` packets without one.
    """
    meter = Meter() if meter is None else meter
    counts = meter.counts
    trouble: SensorError | None = None
    recorded = packets(path)
    try:
        for ts_us, frame, link, wire in recorded:
            yield from meter.packet(ts_us, frame, link, wire)
            if counts.packets > BARREN_PACKETS_MAX and not counts.metered:
                break  # and a file that unpacks to more of that would take minutes
    except SensorError as error:
        trouble = error
    yield from meter.finish()
    if trouble is not None:
        raise trouble
    if not counts.flows:
        raise SensorError(
            f"{path} holds no flow: {counts.packets} packets, of which {counts.other} are not IP, "
            f"{counts.malformed} malformed, {counts.orphans} fragments without their first, "
            f"{counts.unknown_link} from a link that is not known; record IP traffic on one of: "
            f"{', '.join(sorted(set(LINKS.values())))}"
        )


def packets(path: Path) -> Iterator[Captured]:
    """The packets of a file, in its order.

    Raises:
        SensorError: while reading: the file cannot be read, is no recording, or is damaged.
    """
    count = 0
    try:
        with open_log(path) as stream:
            for packet in _packets(stream):
                count += 1
                yield packet
    except _DamagedError as error:
        raise SensorError(
            f"{path}: after packet {count}: {error}" if count else f"{path}: {error}"
        ) from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise SensorError(
            f"{path}: the compressed data are damaged after packet {count} ({error}); unpack the "
            "file by hand to see what can be saved"
        ) from None
    except OSError as error:
        raise SensorError(
            f"cannot read {path}: {error.strerror or error}; check the path and its permissions"
        ) from None


def _packets(stream: BinaryIO) -> Iterator[Captured]:
    magic = stream.read(4)
    if magic in _PCAP:
        return _pcap(stream, *_PCAP[magic])
    if magic == _SECTION:
        return _pcapng(stream)
    raise _DamagedError("neither pcap nor pcapng; write it with tcpdump -w")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """So many bytes."""
    data = stream.read(size)
    if len(data) < size:
        raise _DamagedError("the file ends in the middle of a packet; the flows so far are whole")
    return data


def _pcap(stream: BinaryIO, order: str, fraction: int) -> Iterator[Captured]:
    network = Struct(f"{order}I").unpack(_exactly(stream, 20)[16:])[0]
    link = network & 0xFFFF  # above it, the length of a frame check sequence
    head = Struct(f"{order}IIII")
    read, size, unpack = stream.read, head.size, head.unpack
    while data := read(size):
        if len(data) < size:
            raise _DamagedError(
                "the file ends in the middle of a packet; the flows so far are whole"
            )
        seconds, parts, captured, wire = unpack(data)
        if captured > PACKET_BYTES_MAX:
            raise _DamagedError(_too_long(captured))
        yield Captured(
            seconds * 1_000_000 + parts // fraction, _exactly(stream, captured), link, wire
        )


def _too_long(captured: int) -> str:
    return (
        f"a packet of {captured} bytes is longer than {PACKET_BYTES_MAX}, so the file is damaged; "
        "cut it there (editcap, tcpdump -c)"
    )


class _Interface(NamedTuple):
    """What pcapng says of an interface: its link, µs a tick as a fraction, and an offset in µs."""

    link: int
    up: int
    down: int
    offset_us: int


def _pcapng(stream: BinaryIO) -> Iterator[Captured]:
    """Blocks, of which those with packets and interfaces are of use; the first is a section."""
    order, interfaces, barren = _section(stream), list[_Interface](), 0
    while data := stream.read(8):
        barren += 1
        if barren > BARREN_PACKETS_MAX:  # 5 kB of xz may unpack to 2 million blocks of 12 bytes
            raise _DamagedError(f"more than {BARREN_PACKETS_MAX:,} blocks without a packet")
        if len(data) < 8:
            raise _DamagedError(
                "the file ends in the middle of a block; the flows so far are whole"
            )
        if data[:4] == _SECTION:
            order, interfaces = _section(stream, data[4:]), []
            continue
        kind, size = Struct(f"{order}II").unpack(data)
        most = PACKET_BYTES_MAX + BLOCK_BYTES_MAX
        if size < 12 or size % 4 or size > most:
            raise _DamagedError(
                f"a block of {size} bytes is not between 12 and {most} in steps of 4"
            )
        body = _exactly(stream, size - 8)[:-4]
        if kind == _INTERFACE:
            if len(interfaces) == INTERFACES_MAX:
                raise _DamagedError(f"more than {INTERFACES_MAX} interfaces in one section")
            interfaces.append(_interface(body, order))
        elif kind in (_PACKET, _OLD_PACKET):
            barren = 0
            yield _packet(body, order, kind, interfaces)
        elif kind == _SIMPLE_PACKET:
            raise _DamagedError("packets without a time; record with times (dumpcap's default)")


def _section(stream: BinaryIO, size: bytes = b"") -> str:
    """The byte order of a section, whose first four bytes were read, and perhaps its size."""
    raw = size or _exactly(stream, 4)
    magic = _exactly(stream, 4)
    order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(magic)
    if order is None:
        raise _DamagedError("a section of pcapng without its byte order")
    length = Struct(f"{order}I").unpack(raw)[0]
    if not 28 <= length <= BLOCK_BYTES_MAX or length % 4:
        raise _DamagedError(f"a section's header of {length} bytes is not one")
    _exactly(stream, length - 12)
    return order


def _interface(body: bytes, order: str) -> _Interface:
    if len(body) < 8:
        raise _DamagedError("an interface's block is too short")
    link = Struct(f"{order}H").unpack(body[:2])[0]
    up, down, offset_us = 1, 1, 0
    option, at = Struct(f"{order}HH"), 8
    while at + 4 <= len(body):
        code, size = option.unpack_from(body, at)
        value = body[at + 4 : at + 4 + size]
        if code == 0:
            break
        if code == _TSRESOL and len(value) == 1:
            up, down = _resolution(value[0])
        elif code == _TSOFFSET and len(value) == 8:
            offset_us = Struct(f"{order}q").unpack(value)[0] * 1_000_000
        at += 4 + size + -size % 4
    return _Interface(link, up, down, offset_us)


def _resolution(value: int) -> tuple[int, int]:
    """Ticks to microseconds: times the first, divided by the second."""
    base, power = (2, value & 0x7F) if value & 0x80 else (10, value)
    return 1_000_000, int(base) ** power


def _packet(body: bytes, order: str, kind: int, interfaces: list[_Interface]) -> Captured:
    head = Struct(f"{order}IIIII" if kind == _PACKET else f"{order}HxxIIII")
    if len(body) < head.size:
        raise _DamagedError("a packet's block is too short")
    number, high, low, captured, wire = head.unpack_from(body)
    if number >= len(interfaces):
        raise _DamagedError(f"a packet of interface {number}, which was not described")
    frame = body[head.size : head.size + captured]
    if len(frame) < captured:
        raise _DamagedError(f"a packet of {captured} bytes in a block of {len(body)}")
    link, up, down, offset_us = interfaces[number]
    ts_us = (high << 32 | low) * up // down + offset_us
    if not 0 <= ts_us < TS_MAX * 1_000_000:
        raise _DamagedError("a packet's time is before 1970 or after 9999")
    return Captured(ts_us, frame, link, wire)
