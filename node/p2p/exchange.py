"""Both ends of an exchange on one connection, with every deadline and bound."""

from dataclasses import dataclass

import trio
from libp2p.abc import IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux.yamux import YamuxStream

from gossip.contacts import PeerId
from node.p2p import wire
from node.p2p.bounds import BusyError, InFlight
from node.p2p.limits import Limits
from node.p2p.links import Link
from node.p2p.stats import Fault, Stats
from node.p2p.transport import Handler, PeerUnreachable

_ABANDON_S = 2.0
_FAULTS: dict[type[Exception], Fault] = {
    wire.GarbageError: Fault.GARBAGE,
    wire.OversizeError: Fault.OVERSIZE,
}


class StaleLinkError(Exception):
    """The connection had ended before the request was on its way; another one may do."""


class Misbehaviour(Exception):  # noqa: N818 - it is not an error of this machine
    """The peer has to go, for the reason given."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(slots=True)
class _Transfer:
    """How far a request came."""

    stream: IMuxedStream | None = None
    written: bool = False
    done: bool = False


@dataclass(slots=True)
class Exchanges:
    """Asks and answers.

    Args:
        limits: deadlines and sizes.
        stats: counters to keep.
        handler: what answers; None until there is one.
        incoming: requests being received.
    """

    limits: Limits
    stats: Stats
    handler: Handler | None
    incoming: InFlight

    async def ask(self, link: Link, data: bytes) -> bytes:
        """Send a request on a new stream, and return the reply.

        Raises:
            StaleLinkError: nothing was sent; the connection has ended.
            PeerUnreachable: the answer did not come, or was none.
            Misbehaviour: the peer took nothing in, or answered with too much.
        """
        transfer = _Transfer()
        link.busy += 1
        try:
            with trio.fail_after(self._duration_s(len(data))):
                reply = await self._transfer(link, data, transfer)
        except Misbehaviour:
            raise
        except Exception as error:
            raise self._verdict(error, link, transfer, len(data)) from error
        finally:
            link.busy -= 1
            link.used_at = trio.current_time()
            if transfer.stream is not None and not transfer.done:
                await abandon(transfer.stream)
        self.stats.sent(link.peer, len(data))
        self.stats.payload_bytes_in += len(reply)
        self.stats.requests_out += 1
        return reply

    async def _transfer(self, link: Link, data: bytes, transfer: _Transfer) -> bytes:
        stream = transfer.stream = await self._open(link)
        await stream.write(wire.OPENING + wire.framed(data))
        transfer.written = True
        await wire.read_agreement(stream)
        size = await wire.read_size(stream, self.limits.frame_bytes_max)
        reply = await wire.read_exact(stream, size)
        await stream.close()
        transfer.done = True
        return reply

    def _verdict(self, error: Exception, link: Link, transfer: _Transfer, size: int) -> Exception:
        """What a failed request says about the peer. Upstream has a dozen kinds of exception."""
        fault = _FAULTS.get(type(error))
        stream = transfer.stream
        refused = isinstance(stream, YamuxStream) and stream.reset_received
        ended = link.muxed.event_shutting_down.is_set()
        if fault is not None:
            return Misbehaviour(fault)
        if ended and not transfer.written:
            return StaleLinkError()
        if not transfer.written and not refused:
            return Misbehaviour(Fault.STUCK)  # neither its socket nor its window took it in
        if ended:
            why = link.muxed.fault.value if link.muxed.fault else "it closed the connection"
            reason = f"the connection ended before the reply: {why}"
        elif isinstance(error, trio.TooSlowError):
            reason = f"no reply within {self._duration_s(size):.3g} s"
        elif refused:
            reason = "it refused the request"
        elif isinstance(error, wire.ForeignError):
            reason = f"it is no Hedgerow node of this version: {error}"
        else:
            reason = f"the stream broke: {error}"
        return PeerUnreachable(reason)

    async def answer(self, link: Link, stream: IMuxedStream) -> None:
        """Serve one stream that the peer opened. A peer that just leaves is no fault.

        Raises:
            Misbehaviour: silence, garbage, or an oversize frame.
            Exception: what the handler raised, TooSlowError included.
        """
        link.busy += 1
        link.used_at = trio.current_time()
        try:
            with trio.fail_after(self.limits.new_stream_s):
                await wire.accept_protocol(stream)
                size = await wire.read_size(stream, self.limits.frame_bytes_max)
            with self.incoming.reserve(link.peer, size):
                with trio.fail_after(self._duration_s(size)):
                    data = await wire.read_exact(stream, size)
                reply = await self._handle(link.peer, data)
                self.stats.received(link.peer, size, trio.current_time())
                with trio.fail_after(self._duration_s(len(reply))):
                    await stream.write(wire.framed(reply))
                    await stream.close()
                self.stats.payload_bytes_out += len(reply)
        except trio.TooSlowError as error:
            raise Misbehaviour(Fault.SILENT) from error
        except (wire.OversizeError, wire.GarbageError) as error:
            raise Misbehaviour(_FAULTS[type(error)]) from error
        except wire.ForeignError:
            self.stats.foreign += 1
            await abandon(stream)
        except BusyError:
            self.stats.shed += 1
            await abandon(stream)
        except MuxedStreamError:  # it left, or took too long to take the reply
            await abandon(stream)
        finally:
            link.busy -= 1
            link.used_at = trio.current_time()

    async def _handle(self, peer: PeerId, data: bytes) -> bytes:
        if self.handler is None:
            raise HandlerError("no handler yet")
        self.stats.requests_in += 1
        try:
            with trio.fail_after(self.limits.handler_s):
                return await self.handler(peer, data)
        except trio.TooSlowError as error:
            raise HandlerError(f"the handler took over {self.limits.handler_s:.3g} s") from error
        except Exception as error:
            raise HandlerError(f"the handler raised {error!r}") from error

    async def _open(self, link: Link) -> IMuxedStream:
        # Shielded: upstream forgets about a stream whose opening is cancelled, but keeps its slot.
        deadline = trio.current_time() + self.limits.new_stream_s
        with trio.CancelScope(shield=True, deadline=deadline):
            return await link.muxed.open_stream()
        raise Misbehaviour(Fault.STUCK)

    def _duration_s(self, size: int) -> float:
        return self.limits.request_s + size / self.limits.bandwidth_bytes_s


class HandlerError(Exception):
    """Our own handler failed; the peer is not to blame."""


async def abandon(stream: IMuxedStream) -> None:
    """Reset a stream, whatever happens around it."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _ABANDON_S):
        await stream.reset()
