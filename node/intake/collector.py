"""Flows that other machines export over UDP: NetFlow v9 and IPFIX.

Nobody can be asked to send again later: datagrams wait in the kernel's buffer for as long as it has
room, and the kernel counts those that it lets fall. What is too much for the detector is sampled
and counted behind this, by `node.intake.queue`.
"""

import base64
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from errno import EADDRINUSE
from ipaddress import ip_address, ip_network
from typing import Any

import trio

from gossip.errors import SensorError, StateError
from node.config.sensing import SensorSettings
from node.intake.source import Handing, Pace, Take
from node.sensors.lines import ReadStats
from node.sensors.netflow.reader import NetflowReader

DATAGRAM_BYTES_MAX = 16_384
"""A longer datagram is refused: exports are to fit the path's MTU (RFC 7011, section 10.3.3). Our
choice; the worst that a stranger can put into one keeps the reader busy for 30 ms (measured)."""

RECEIVE_BUFFER_BYTES = 4 << 20
"""Asked of the kernel, as netflume's own collector does; Linux gives no more than rmem_max."""

EXPIRE_S = 1.0  # how often records that wait for their other half are looked at
EXPIRE_FLOWS = 256
"""At most, at a time: after a flood 8,192 are due at once, 0.1 s of work (measured). Our choice."""

_SO_MEMINFO = 55  # of Linux, as below; without it what is dropped last would go unsaid
_MEMINFO = struct.Struct("=9I")
_RXQ_OVFL = 40  # SO_RXQ_OVFL of Linux; Python does not name it


class Collector(Handing):
    """Listens for exporters; see `Source`.

    Args:
        settings: where to listen, and to whom.
        saved: what `saved()` gave in an earlier life; None to begin anew.

    Attributes:
        bound: the address and port it receives on; None before it runs.

    Raises:
        StateError: what was saved is damaged.
        SensorError: nobody can listen there.
    """

    live = True
    patient = False

    def __init__(self, settings: SensorSettings, saved: dict[str, Any] | None = None) -> None:
        super().__init__(settings)
        self.bound: tuple[str, int] | None = None
        self._reader = NetflowReader(self._warn)
        self._allowed = [ip_network(each) for each in settings.exporters]
        self._known: dict[str, bool] = {}
        if saved is not None:
            self._restore(saved)
        _try(settings.address)

    def _restore(self, saved: dict[str, Any]) -> None:
        try:
            if saved["kind"] != self.settings.kind:
                return
            self._taken = int(saved["taken"])
            self._reader.restore(base64.b64decode(saved["reader"], validate=True))
        except (KeyError, ValueError, TypeError) as error:
            raise StateError(
                f"the saved state of the collector on {self.settings.place} is damaged "
                f"({error!r}); move the state folder away to begin anew"
            ) from None

    @property
    def stats(self) -> ReadStats:
        """See `Source`."""
        return self._reader.stats

    def saved(self) -> dict[str, Any]:
        """See `Source`. Records that wait for their other half are not part of it."""
        reader = base64.b64encode(self._reader.snapshot()).decode()
        return {"kind": self.settings.kind, "taken": self._taken, "reader": reader}

    async def run(self, take: Take, pace: Pace = trio.lowlevel.checkpoint) -> None:
        """Receive and hand over, until cancelled; see `Source`."""
        with trio.socket.from_stdlib_socket(_open(self.settings.address)) as receiving:
            name = receiving.getsockname()
            self.bound = (name[0], name[1])
            self._info("receiving NetFlow and IPFIX", address=name[0], port=name[1])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._expire, receiving, take)
                while True:
                    await self._receive(receiving, take)
                    await pace()

    async def _receive(self, receiving: trio.socket.SocketType, take: Take) -> None:
        data, ancillary, flags, sender = await receiving.recvmsg(
            DATAGRAM_BYTES_MAX, socket.CMSG_SPACE(4)
        )
        self._count_dropped(ancillary)
        # Without the zone of a link, or the prefix that IPv4 has on a socket of IPv6.
        exporter = str(sender[0]).partition("%")[0].removeprefix("::ffff:")
        if not self._is_allowed(exporter):
            self._refuse(f"a datagram of {exporter}, which exporters = [...] does not name")
        elif flags & socket.MSG_TRUNC:
            self._refuse(f"a datagram of {exporter} is longer than {DATAGRAM_BYTES_MAX} bytes")
        else:
            flows = self._reader.datagram(data, exporter, trio.current_time())
            self._hand_over(flows, take)

    def _refuse(self, reason: str) -> None:
        self.stats.received += 1
        self.stats.refuse_packet(reason)
        self._warn_of_bad_lines()

    async def _expire(self, receiving: trio.socket.SocketType, take: Take) -> None:
        pause_s = EXPIRE_S
        while True:
            await trio.sleep(pause_s)
            flows = self._reader.expire(trio.current_time(), EXPIRE_FLOWS)
            self._hand_over(flows, take)
            pause_s = EXPIRE_S if len(flows) < EXPIRE_FLOWS else EXPIRE_S / 8
            with suppress(OSError):  # kernels before 4.12
                told = receiving.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
                self.stats.dropped = max(self.stats.dropped, _MEMINFO.unpack(told)[-1])

    def _is_allowed(self, exporter: str) -> bool:
        """Whether to listen to this sender; on loopback everybody is on this machine."""
        if not self._allowed:
            return True
        known = self._known.get(exporter)
        if known is None:
            if len(self._known) >= 1_024:  # senders can be forged
                self._known.clear()
            address = ip_address(exporter)
            known = any(address in network for network in self._allowed)
            self._known[exporter] = known
        return known

    def _count_dropped(self, ancillary: Iterable[tuple[int, int, bytes]]) -> None:
        """The kernel says how many it let go since the socket was opened."""
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _RXQ_OVFL) and len(data) >= 4:
                (self.stats.dropped,) = struct.unpack("=I", data[:4])


def _try(address: tuple[str, int]) -> None:
    """Find out whether one could listen there, before the node says how to join it.

    A port in use is no reason: a collector that is about to end may hold it.

    Raises:
        SensorError: the address is not this machine's, or the port is not for this user.
    """
    try:
        _open(address).close()
    except SensorError as error:
        if getattr(error.__cause__, "errno", None) != EADDRINUSE:
            raise


def _open(address: tuple[str, int]) -> socket.socket:
    """A bound UDP socket.

    Raises:
        SensorError: the address is not this machine's, or the port is taken.
    """
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        made.setsockopt(socket.SOL_SOCKET, _RXQ_OVFL, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise SensorError(
            f"cannot listen for NetFlow on {host} port {port}: {error.strerror}; give an address "
            "of this machine and a port that no other program uses (ss -lunp shows them)"
        ) from error
    return made
