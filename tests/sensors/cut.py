"""Cuts the factory's packets down to what the meter reads of them, for the tests.

    python -m tests.sensors.cut FOLDER_WITH_FULL_RECORDINGS tests/sensors/factory.pcap.xz

Kept are the packets of benign traffic, and of the attacks those before `UNTIL_S`: five scans. Of
each the first 54 bytes (Ethernet, IPv4, TCP; ICMP messages whole), with zeros for hardware
addresses, times to live, checksums, windows, acknowledgements, and all sequence numbers but those
of a SYN.
"""

import lzma
import struct
import sys
from ipaddress import ip_address
from pathlib import Path

from node.sensors.meter import packets
from node.sensors.meter.decode import ETHERNET, ICMP, SYN, TCP

UNTIL_S = 1_795_407_318.0
ATTACKERS = ("198.18.2.66", "198.19.0.66")

_ATTACKERS = [ip_address(attacker).packed for attacker in ATTACKERS]
_KEPT = 54


def cut(frame: bytes) -> bytes:
    """What is kept of a frame of IPv4 without options; nothing of another."""
    if frame[12:15] != b"\x08\x00\x45":
        return b""
    proto = frame[23]
    small = bytearray(frame if proto == ICMP else frame[:_KEPT])
    small[:12] = bytes(12)
    small[22] = 0
    small[24:26] = bytes(2)
    if proto == TCP:
        if not small[47] & SYN:
            small[38:42] = bytes(4)
        small[42:46] = bytes(4)
        small[48:] = bytes(len(small) - 48)
    elif proto != ICMP:
        small[38:] = b""
    return bytes(small)


def convert(source: Path, target: Path) -> None:
    """Write the cut recording."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    with lzma.open(target, "wb", filters=filters) as small:
        small.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 128, ETHERNET))
        for packet in packets(source):
            ends = (packet.frame[26:30], packet.frame[30:34])
            if packet.ts_us >= UNTIL_S * 1e6 and any(end in ends for end in _ATTACKERS):
                continue
            frame = cut(packet.frame)
            if frame:
                seconds, micros = divmod(packet.ts_us, 1_000_000)
                small.write(struct.pack("<IIII", seconds, micros, len(frame), packet.wire) + frame)


if __name__ == "__main__":
    convert(Path(sys.argv[1]) / "factory.headers.pcap.xz", Path(sys.argv[2]))
