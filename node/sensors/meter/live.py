"""Packets of a network interface, through Linux's packet socket (packet(7)).

The interface is not put into promiscuous mode: a gateway forwards what it is to watch. Only the
first `SNAP_BYTES` of each packet are copied. What comes faster than it is read waits in the
socket's buffer, is dropped by the kernel beyond that, and is counted.
"""

import errno
import socket
from struct import Struct
from types import TracebackType
from typing import Self

from gossip.errors import SensorError
from node.sensors.meter.decode import ETHERNET, RAW
from node.sensors.meter.pcap import Captured

SNAP_BYTES = 256
"""Ethernet, VLAN tags, IPv6 with some extension headers, TCP; or ICMP with what it quotes."""

BUFFER_BYTES = 1 << 22
"""Asked of the kernel: some 5,000 packets, for its bookkeeping takes about 800 bytes each (our
estimate); more than net.core.rmem_max only with CAP_NET_ADMIN."""

_ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_LOOPBACK, _OUTGOING = 772, 4
_LINKS = {1: ETHERNET, _LOOPBACK: ETHERNET, 512: RAW, 519: RAW, 65_534: RAW}
"""ARPHRD_* of linux/if_arp.h: Ethernet, loopback, PPP, raw IP, and none (a tunnel)."""

_TIMESPEC = Struct("@ll")
_STATISTICS = Struct("@II")


class Live:
    """An interface's packets.

    Args:
        interface: its name, as in `ip link`.

    Attributes:
        dropped: packets that the kernel dropped because they were not read in time, as of the last
            `read`.

    Raises:
        SensorError: there is no such interface, it may not be read, or its kind is not known.
    """

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.dropped = 0
        try:
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0
            )
        except PermissionError:
            raise SensorError(
                f"may not read packets of {interface}: that takes the capability CAP_NET_RAW; give "
                "a service AmbientCapabilities=CAP_NET_RAW, or start as root (docs/sensors.md, "
                "Packets)"
            ) from None
        try:
            self._open()
        except BaseException:
            self._socket.close()
            raise

    def _open(self) -> None:
        opened = self._socket
        try:
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
        except OSError:  # only with CAP_NET_ADMIN
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            opened.bind((self.interface, _ETH_P_ALL))
        except OSError as error:
            known = ", ".join(name for _, name in socket.if_nameindex())
            why = "no such interface" if error.errno == errno.ENODEV else error.strerror
            raise SensorError(
                f"cannot read interface {self.interface!r}: {why}; there are: {known}"
            ) from None
        self._kind: int = opened.getsockname()[3]
        if self._kind not in _LINKS:
            raise SensorError(
                f"interface {self.interface} is of a kind that is not read (ARPHRD {self._kind}); "
                "name an Ethernet, PPP or tunnel interface"
            )

    def __enter__(self) -> Self:
        """Itself; closed at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket."""
        self.close()

    def close(self) -> None:
        """Stop the capture."""
        self._socket.close()

    def read(self, most: int) -> list[Captured]:
        """Packets that wait, at most so many, without waiting for more.

        Raises:
            SensorError: the interface is gone or down.
        """
        found: list[Captured] = []
        link, loopback = _LINKS[self._kind], self._kind == _LOOPBACK
        receive = self._socket.recvmsg
        try:
            while len(found) < most:
                frame, told, _, address = receive(SNAP_BYTES, 64)
                if loopback and address[2] == _OUTGOING:
                    continue  # it comes in as well
                ts_us = _time(told)
                if ts_us:
                    found.append(Captured(ts_us, frame, link, 0))
        except BlockingIOError:
            pass
        except OSError as error:
            raise SensorError(
                f"interface {self.interface}: {error.strerror}; see `ip link show {self.interface}`"
            ) from None
        self._count_drops()
        return found

    def _count_drops(self) -> None:
        """Add what the kernel dropped since it was last asked; asking sets its counters to zero."""
        said = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self.dropped += _STATISTICS.unpack(said)[1]


def _time(told: list[tuple[int, int, bytes]]) -> int:
    """When the kernel saw the packet, µs since 1970; 0 if it does not say."""
    for level, kind, data in told:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds) * 1_000_000 + int(nanoseconds) // 1_000
    return 0
