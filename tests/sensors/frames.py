"""Frames made by hand, for the meter's tests."""

import struct
from ipaddress import ip_address

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FIN, SYN, RST, ACK = 1, 2, 4, 16
MACS = bytes(12)
A, B = "198.18.1.11", "198.19.0.10"
A6, B6 = "2001:db8::11", "2001:db8::10"


def tcp(flags, sport=40_000, dport=80, payload=b"", seq=0):
    return struct.pack("!HHIIBBHHH", sport, dport, seq, 0, 0x50, flags, 0, 0, 0) + payload


def udp(sport=40_000, dport=53, payload=b""):
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def icmp(kind, code=0, body=b""):
    return struct.pack("!BBHI", kind, code, 0, 0) + body


def ip4(proto, payload, src=A, dst=B, *, name=0, place=0, length=None):
    size = 20 + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH", 0x45, 0, size, name, place, 64, proto, 0)
    return head + ip_address(src).packed + ip_address(dst).packed + payload


def ip6(proto, payload, src=A6, dst=B6):
    head = struct.pack("!IHBB", 0x6000_0000, len(payload), proto, 64)
    return head + ip_address(src).packed + ip_address(dst).packed + payload


def ethernet(packet, *tags):
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    return MACS + b"".join(b"\x81\x00" + tag.to_bytes(2, "big") for tag in tags) + kind + packet


def there(proto, payload, **more):
    return ethernet(ip4(proto, payload, A, B, **more))


def back(proto, payload, **more):
    return ethernet(ip4(proto, payload, B, A, **more))
