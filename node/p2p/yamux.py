"""The multiplexer, with what upstream's lacks: whole frames, signs of life, real windows, an end.

Built for each connection by `StrictMuxer`, because upstream ignores the class given to it.
"""

import math
import struct
from typing import TYPE_CHECKING, Any

import trio
from libp2p.abc import IMuxedConn, ISecureConn
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    FLAG_SYN,
    GO_AWAY_NORMAL,
    HEADER_SIZE,
    MAX_MESSAGE_SIZE,
    PROTOCOL_ID,
    TYPE_GO_AWAY,
    TYPE_PING,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)

from node.p2p.hardening import Hardening
from node.p2p.limits import Limits
from node.p2p.stats import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

YAMUX = TProtocol(PROTOCOL_ID)
# What a full frame carries, so that a model frame costs no grant. Not half a window, as elsewhere:
# upstream's writer gives up after 5 s without a grant, and 192 KiB, the first multiple of a frame
# above half, would need a link of 39 kB/s for itself; one frame needs 13.
GRANT_BYTES = MAX_MESSAGE_SIZE - HEADER_SIZE
_CUT_S = 2.0


class OverrunError(trio.TooSlowError):
    """The peer sent more than its window.

    The parent is the one exception after which upstream's reader closes the connection instead of
    carrying on.
    """


class _Listened:
    """The secured connection, remembering when it last heard something, and a good-bye."""

    def __init__(self, conn: ISecureConn) -> None:
        self._conn = conn
        self.heard_at = trio.current_time()
        self.in_body = False
        self.farewell = False

    async def read(self, n: int | None = None) -> bytes:
        data = await self._conn.read(n)
        self.heard_at = trio.current_time()
        if not self.in_body and len(data) == HEADER_SIZE and data[1] == TYPE_GO_AWAY:
            self.farewell = True
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


class _Window(bytearray):
    """A stream's unread bytes, which refuse to outgrow what the peer was granted."""

    def __init__(self, muxed: "StrictYamux", stream_id: int) -> None:
        super().__init__()
        self._muxed = muxed
        self._stream_id = stream_id

    def extend(self, data: Any) -> None:
        granted = self._muxed.streams[self._stream_id].recv_window
        buffered = sum(map(len, self._muxed.stream_buffers.values()))
        if len(data) > granted or buffered + len(data) > self._muxed.buffer_bytes_max:
            self._muxed.fault = Fault.OVERRUN
            raise OverrunError(f"{len(data)} bytes into a window of {granted}")
        super().extend(data)


class _Windows(dict[int, bytearray]):
    def __init__(self, muxed: "StrictYamux") -> None:
        super().__init__()
        self._muxed = muxed

    def __setitem__(self, stream_id: int, _buffer: bytearray) -> None:
        super().__setitem__(stream_id, _Window(self._muxed, stream_id))


class _Stream(YamuxStream):
    """A stream whose window stays at 256 KiB, and is granted anew a full frame at a time."""

    async def _auto_tune_and_send_window_update(self, *, bytes_read: int = 0) -> None:
        """#12: upstream grants after every read, down to a byte, and doubles the window.

        What is granted, buffered and kept back add up to the window at any time, and less than
        `GRANT_BYTES` are kept back, so a reader that goes on never leaves the writer without.
        """
        self._pending_recv_release += bytes_read
        if self._pending_recv_release < GRANT_BYTES:
            return
        grant, self._pending_recv_release = self._pending_recv_release, 0
        self.recv_window += grant
        await self.send_window_update(grant)


class _Streams(dict[int, YamuxStream]):
    """Makes every stream ours; upstream builds its own class in the middle of its reader."""

    def __setitem__(self, stream_id: int, stream: YamuxStream) -> None:
        stream.__class__ = _Stream
        super().__setitem__(stream_id, stream)


class StrictYamux(Yamux):
    """One multiplexed connection.

    `fault` says why it was cut, if it was; `ended` is called when it ends, maybe more than once.
    Numbers refer to the table in `hardening`.
    """

    def __init__(
        self, conn: ISecureConn, peer_id: ID, limits: Limits, hardening: Hardening
    ) -> None:
        super().__init__(conn, peer_id, is_initiator=conn.is_initiator)
        self._listened = _Listened(conn)
        self.secured_conn = self._listened  # type: ignore[assignment]  # forwards all else
        self._limits = limits
        self._hardening = hardening
        self._cutting = False
        self.fault: Fault | None = None
        self.ended: Callable[[], None] = _nothing
        self.buffer_bytes_max = limits.inflight_bytes_peer_max
        if hardening.receive_window:
            self.stream_buffers = _Windows(self)
        if hardening.rare_grants:
            self.streams = _Streams()

    @property
    def farewell(self) -> bool:
        """Whether the peer said good-bye: it made room, or left; it did not fail."""
        return self._listened.farewell

    async def start(self) -> None:
        """Upstream's; when the host dies, the socket does not stay open behind it."""
        try:
            await super().start()
        finally:
            await self.cut()

    async def cut(self, fault: Fault | None = None) -> None:
        """End the connection now, without a word; wakes everybody who waits on it."""
        if self.fault is None:
            self.fault = fault
        if self._cutting or self.event_closed.is_set():
            return
        self._cutting = True
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _CUT_S):
            self.ended()
            # The socket first: a writer that holds the lock is woken by that alone.
            await self.secured_conn.close()
            await self._cleanup_on_error()

    async def _write_frame(self, data: bytes) -> None:
        """#4: a frame is written whole, or the connection ends.

        Upstream lets a cancelled writer leave half a frame behind, after which the other side
        reads rubbish on every stream.
        """
        if not self._hardening.whole_frames:
            await super()._write_frame(data)
            return
        deadline = trio.current_time() + self._limits.frame_write_s
        with trio.CancelScope(shield=True, deadline=deadline) as scope:
            async with self._write_lock:
                await self.secured_conn.write(data)
        if scope.cancelled_caught:
            await self.cut(Fault.STUCK)
            raise MuxedStreamError("the peer does not take what is written")
        await trio.lowlevel.checkpoint()

    async def _measure_rtt_loop(self) -> None:
        """#5: a peer from which nothing comes is asked for a sign of life, and cut without one.

        Upstream pings, but ignores a missing answer, so a peer whose link is down stays listed.
        Only the dialling side asks in the normal run of things; the other waits longer, and so
        has always heard something by then.
        """
        if not self._hardening.keepalive:
            await super()._measure_rtt_loop()
            return
        patience = self._limits.keepalive_s * (1 if self.is_initiator else 1.5)
        while not self.event_shutting_down.is_set():
            due = self._listened.heard_at + patience
            if trio.current_time() < due:
                with trio.move_on_at(due):
                    await self.event_shutting_down.wait()
                continue
            with trio.move_on_after(self._limits.keepalive_reply_s) as scope:
                await self._ping()
            if scope.cancelled_caught and self._listened.heard_at < due:
                await self.cut(Fault.LOST)

    async def _ping(self) -> None:
        self._ping_id = (self._ping_id + 1) % 2**32
        self._ping_event = trio.Event()
        self._ping_sent_time = trio.current_time()
        try:
            await self._write_frame(
                struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_PING, FLAG_SYN, 0, self._ping_id)
            )
        except Exception:  # noqa: BLE001 - upstream raises many kinds for a connection that ended
            await self.cut()
        else:
            await self._ping_event.wait()

    async def _read_data_body(self, length: int) -> bytes:
        """#6: upstream only warns when a peer exceeds its window, and reads 16 MiB in one go.

        The exact check is in `_Window`; this one comes before the bytes do.
        """
        if self._hardening.receive_window and length > DEFAULT_WINDOW_SIZE:
            self.fault = Fault.OVERRUN
            raise OverrunError(f"a frame of {length} bytes")
        self._listened.in_body = True
        try:
            return await super()._read_data_body(length)
        finally:
            self._listened.in_body = False

    async def _cleanup_on_error(self) -> None:
        """Upstream's; first the owner is told, because upstream takes its time."""
        self.ended()
        await super()._cleanup_on_error()

    async def close(self, error_code: int = GO_AWAY_NORMAL) -> None:
        """#10: no polite good-bye where somebody is stuck in a write.

        Upstream queues behind the stuck writer for its good-bye, for ever.
        """
        self.ended()
        if not self._hardening.cut_stuck:
            await super().close(error_code)
        elif self._write_lock.locked():
            await self.cut()
        elif not self.event_closed.is_set():
            await super().close(error_code)


def _nothing() -> None:
    """Nobody wants to know yet."""


class StrictMuxer(MuxerMultistream):
    """Negotiates Yamux, and builds ours."""

    def __init__(self, limits: Limits, hardening: Hardening) -> None:
        super().__init__({YAMUX: Yamux}, negotiate_timeout=math.ceil(limits.dial_s))
        self._limits = limits
        self._hardening = hardening

    async def new_conn(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """Settle on Yamux with the other side."""
        protocol, _ = await self._selector.select(conn, conn.is_initiator, self.negotiate_timeout)
        muxed = StrictYamux(conn, peer_id, self._limits, self._hardening)
        return self._annotate_connection(muxed, conn, protocol)
