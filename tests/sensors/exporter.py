"""An exporter in a few lines: datagrams of NetFlow v9 and IPFIX, as the RFCs lay them out."""

import struct
from ipaddress import ip_address

REVERSE = 29305
NUMBERS = {
    "octets": (1, 4), "packets": (2, 4), "proto": (4, 1), "tcp_flags": (6, 1),
    "src_port": (7, 2), "src_addr": (8, 4), "dst_port": (11, 2), "dst_addr": (12, 4),
    "last": (21, 4), "first": (22, 4), "src_addr6": (27, 16), "dst_addr6": (28, 16),
    "icmp": (32, 2), "sampling": (34, 4), "start_s": (150, 4), "end_s": (151, 4),
    "start_ms": (152, 8), "end_ms": (153, 8), "start_us": (154, 8), "booted_ms": (160, 8),
    "end_us": (155, 8), "rev_octets": (1, 4), "rev_packets": (2, 4), "rev_flags": (6, 1),
}  # fmt: skip
ENDS = ("src_addr", "dst_addr", "src_port", "dst_port", "proto")
COUNTS = ("octets", "packets", "tcp_flags")
UPTIME = (*ENDS, *COUNTS, "first", "last")
MILLI = (*ENDS, *COUNTS, "start_ms", "end_ms")
BOTH = (*MILLI, "rev_octets", "rev_packets", "rev_flags")

FIN, SYN, ACK = 1, 2, 16
SESSION = FIN | SYN | ACK
CLIENT, SERVER = "198.18.2.13", "198.19.0.10"

THERE = {
    "src_addr": CLIENT, "dst_addr": SERVER, "src_port": 40_000, "dst_port": 1883, "proto": 6,
    "octets": 427, "packets": 7, "tcp_flags": SESSION, "first": 10_000, "last": 12_500,
    "start_ms": 1_795_407_565_428, "end_ms": 1_795_407_567_928,
}  # fmt: skip
"""One direction of a closed MQTT connection."""

BACK = THERE | {
    "src_addr": SERVER, "dst_addr": CLIENT, "src_port": 1883, "dst_port": 40_000,
    "octets": 272, "packets": 5, "first": 10_010, "last": 12_490,
    "start_ms": 1_795_407_565_438, "end_ms": 1_795_407_567_918,
}  # fmt: skip


def template(fields, number=256, version=9):
    """A set that holds one template."""
    specs = b""
    for name in fields:
        element, length = NUMBERS[name]
        if name.startswith("rev_"):
            specs += struct.pack("!HHI", element | 0x8000, length, REVERSE)
        else:
            specs += struct.pack("!HH", element, length)
    body = struct.pack("!HH", number, len(fields)) + specs
    return struct.pack("!HH", 0 if version == 9 else 2, 4 + len(body)) + body


def options_template(fields, number=257):
    """A set of IPFIX that holds one template of options, the first field being its scope."""
    specs = b"".join(struct.pack("!HH", *NUMBERS[name]) for name in fields)
    body = struct.pack("!HHH", number, len(fields), 1) + specs
    return struct.pack("!HH", 3, 4 + len(body)) + body


def data(fields, records, number=256):
    """A set of records."""
    body = b""
    for record in records:
        for name in fields:
            value, length = record[name], NUMBERS[name][1]
            if isinstance(value, str):
                body += ip_address(value).packed
            else:
                body += value.to_bytes(length, "big")
    return struct.pack("!HH", number, 4 + len(body)) + body


def v9(*sets, sequence=1, uptime_ms=20_000, unix_s=1_795_407_575, domain=0):
    """A datagram of NetFlow v9."""
    return struct.pack("!HHIIII", 9, len(sets), uptime_ms, unix_s, sequence, domain) + b"".join(
        sets
    )


def ipfix(*sets, sequence=0, unix_s=1_795_407_575, domain=0):
    """A message of IPFIX."""
    body = b"".join(sets)
    return struct.pack("!HHIII", 10, 16 + len(body), unix_s, sequence, domain) + body
