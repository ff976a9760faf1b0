"""The transport over libp2p: TCP, Noise, Yamux; one stream an exchange.

Everything that runs longer than a call runs in one nursery, which is the transport's; a caller that
is cancelled leaves at once, and its exchange is tidied up behind its back.
"""

from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import trio
from libp2p.abc import IMuxedStream, INetStream

from gossip.contacts import ADDRESSES_MAX, Contact, PeerId
from gossip.errors import ConfigError
from node.addresses import parse_address
from node.logs import get_logger
from node.p2p import tcp
from node.p2p.bounds import BusyError, InFlight, Rate
from node.p2p.dialling import Dialler
from node.p2p.door import Door
from node.p2p.exchange import Exchanges, Misbehaviour, StaleLinkError
from node.p2p.hardening import Hardening, StreamHandler, guarded
from node.p2p.identity import Identity
from node.p2p.links import Link, Links
from node.p2p.stats import Fault, Stats
from node.p2p.supervisor import Supervisor
from node.p2p.swarm import HardenedSwarm, Hooks
from node.p2p.transport import Admission, Handler, LostPeer, PeerUnreachable, TransportSettings
from node.p2p.yamux import StrictYamux

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

_log = get_logger("p2p")
_CLOSED = "this node is leaving"


@dataclass(slots=True)
class _Outcome:
    """What becomes of a piece of background work; `error` is what a waiter raises."""

    error: Exception | None = field(default_factory=lambda: PeerUnreachable(_CLOSED))
    reply: bytes = b""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    done: trio.Event = field(default_factory=trio.Event)


class Libp2pTransport:
    """See `Transport`; an async context manager, and open only inside it.

    Args:
        identity: who this node is.
        settings: where to listen, and every bound.
        admit: who may connect; everybody if None.
        hardening: all work-arounds, unless a test shows that one is needed.
    """

    def __init__(
        self,
        identity: Identity,
        settings: TransportSettings,
        admit: Admission | None = None,
        hardening: Hardening | None = None,
    ) -> None:
        limits = settings.limits
        self._identity = identity
        self._settings = settings
        self._limits = limits
        self._hardening = hardening or Hardening()
        self._stats = Stats()
        self._links = Links(limits)
        self._door = Door(limits, self._stats, admit)
        self._supervisor = Supervisor(self._build, self._died, limits, self._stats)
        self._outgoing = InFlight(
            limits.inflight_bytes_max, limits.inflight_bytes_peer_max, limits.requests_peer_max
        )
        incoming = InFlight(
            limits.inflight_bytes_max, limits.inflight_bytes_peer_max, limits.streams_max
        )
        self._exchanges = Exchanges(limits, self._stats, None, incoming)
        self._dialler = Dialler(
            settings.psk,
            limits,
            self._stats,
            self._hardening.dial_deadline,
            self._supervisor.wait_up,
        )
        self._dials: dict[PeerId, _Outcome] = {}
        self._dial_limiter = trio.CapacityLimiter(limits.dials_max)
        self._lost: LostPeer | None = None
        self._listeners: list[trio.SocketListener] = []
        self._addresses: tuple[str, ...] = ()
        self._listening = trio.CancelScope()
        self._closing = False
        self._closed = trio.Event()
        self._work: trio.Nursery
        self._outer: AbstractAsyncContextManager[trio.Nursery]

    @property
    def peer(self) -> PeerId:
        """This node."""
        return self._identity.peer

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others may reach this node, without `/p2p/…`."""
        return self._addresses

    @property
    def stats(self) -> Stats:
        """Live counters."""
        return self._stats

    def serve(self, handler: Handler, lost: LostPeer | None = None) -> None:
        """Answer requests with `handler` from now on."""
        self._exchanges.handler = handler
        self._lost = lost

    def peers(self) -> tuple[PeerId, ...]:
        """Peers connected now."""
        return self._links.peers()

    async def __aenter__(self) -> Self:
        """Bind and start.

        Raises:
            ConfigError: a wrong address.
            NetworkError: an address that cannot be bound.
        """
        try:
            listen = tuple(parse_address(text, listen=True) for text in self._settings.listen)
            announce = tuple(str(parse_address(text)) for text in self._settings.announce)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        self._listeners = await tcp.bind(listen)
        self._addresses = announce[:ADDRESSES_MAX] or tcp.reachable(self._listeners)
        self._outer = trio.open_nursery()
        outer = await self._outer.__aenter__()
        outer.start_soon(self._run)
        await self._supervisor.wait_up()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close. An exception of the body passes as it is, not inside a group."""
        await self.aclose()
        await self._outer.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """Say good-bye to all at once, then cut what does not answer."""
        if not self._closing:
            self._closing = True
            with trio.CancelScope(shield=True):
                self._listening.cancel()
                async with trio.open_nursery() as nursery:
                    for link in self._links.open():
                        link.closing = _CLOSED
                        nursery.start_soon(self._part, link, self._limits.leave_s)
                self._work.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await self._closed.wait()

    async def disconnect(self, peer: PeerId, reason: str, *, refuse: bool = False) -> None:
        """Close every connection to `peer`; with `refuse`, keep it out for a while."""
        if refuse:
            self._door.refuse(peer, reason)
        for link in self._links.of(peer):
            self._close(link, reason)
        await trio.lowlevel.checkpoint()

    async def request(self, to: Contact, data: bytes) -> bytes:
        """Send `data` and return the reply. See `Transport.request`."""
        if len(data) > self._limits.frame_bytes_max:
            raise ConfigError(
                f"a frame of {len(data)} bytes exceeds frame_bytes_max "
                f"({self._limits.frame_bytes_max}); raise it on every node, or send less"
            )
        outcome = _Outcome()
        if not self._closing:
            self._work.start_soon(self._request, to, data, outcome)
            try:
                await outcome.done.wait()
            finally:
                outcome.scope.cancel()
        if outcome.error is not None:
            self._stats.requests_failed += 1
            raise PeerUnreachable(f"{to.peer}: {outcome.error}") from outcome.error
        return outcome.reply

    async def reach(self, to: Contact) -> None:
        """Connect to a peer, if it is that very one, and send nothing.

        Raises:
            PeerUnreachable: with the reason.
        """
        await self._connected(to)

    async def _request(self, to: Contact, data: bytes, outcome: _Outcome) -> None:
        try:
            with outcome.scope, self._outgoing.reserve(to.peer, len(data)):
                outcome.reply = await self._exchange(to, data)
                outcome.error = None
        except (PeerUnreachable, BusyError) as error:
            outcome.error = error
        finally:
            outcome.done.set()

    async def _exchange(self, to: Contact, data: bytes) -> bytes:
        if to.peer == self.peer:
            raise PeerUnreachable("that is this node itself")
        refused = self._door.refusal(to.peer)
        if refused is not None:
            raise PeerUnreachable(f"it is refused for a while: {refused}")
        for _ in range(2):  # the other side may have closed an idle connection a moment ago
            link = await self._connected(to)
            try:
                return await self._exchanges.ask(link, data)
            except StaleLinkError:
                self._gone(link.muxed)
            except Misbehaviour as error:
                self._punish(link.peer, error.fault)
                raise PeerUnreachable(f"it was cut off: {error}") from error
        raise PeerUnreachable("its connections end at once")

    async def _connected(self, to: Contact) -> Link:
        link = self._links.best(to.peer)
        if link is not None:
            return link
        dial = self._dials.get(to.peer)
        if dial is None:
            dial = self._dials[to.peer] = _Outcome()
            self._work.start_soon(self._dial, to, dial)
        await dial.done.wait()
        if dial.error is not None:
            raise PeerUnreachable(str(dial.error))
        link = self._links.best(to.peer)
        if link is None:
            raise PeerUnreachable("it closed the connection at once")
        return link

    async def _dial(self, to: Contact, dial: _Outcome) -> None:
        try:
            async with self._dial_limiter:
                await self._dialler.dial(to)
            dial.error = None
        except PeerUnreachable as error:
            dial.error = error
        finally:
            del self._dials[to.peer]
            dial.done.set()

    async def _run(self) -> None:
        try:
            async with trio.open_nursery() as self._work:
                self._work.start_soon(self._supervisor.run)
                if self._listeners:
                    self._work.start_soon(self._listen)
        finally:
            for listener in self._listeners:
                listener.socket.close()
            self._closed.set()

    async def _listen(self) -> None:
        with self._listening:
            await trio.serve_listeners(self._accept, self._listeners, handler_nursery=self._work)

    def _build(self) -> HardenedSwarm:
        handler: StreamHandler = self._on_stream
        if self._hardening.guarded_handlers:
            handler = guarded(handler, self._failed)
        door = self._door
        hooks = Hooks(door.admit, door.handshake, self._joined, self._gone, handler)
        psk, limits = self._settings.psk, self._limits
        return HardenedSwarm(self._identity.key_pair, psk, limits, self._hardening, hooks)

    def _died(self) -> None:
        for link in self._links.clear():
            self._work.start_soon(link.muxed.cut)
            self._tell_lost(link, "the network host died")

    async def _accept(self, socket: trio.SocketStream) -> None:
        self._stats.accepted += 1
        stream = tcp.counted(socket, self._stats)
        try:
            swarm = self._supervisor.swarm
            if swarm is not None:
                await swarm.accept(stream)
        except Exception as error:  # noqa: BLE001 - strangers do not end the listener
            _log.debug("inbound connection failed", reason=repr(error))
        finally:
            with trio.CancelScope(shield=True):
                await stream.close()

    def _joined(self, muxed: StrictYamux) -> None:
        peer = PeerId(str(muxed.peer_id))
        muxed.ended = partial(self._gone, muxed)
        rate = Rate(self._limits.stream_rate_s, self._limits.stream_burst, trio.current_time)
        surpluses = self._links.add(Link(peer, muxed, rate, trio.current_time()))
        for surplus in surpluses if self._hardening.own_limits else ():
            self._stats.evicted += 1
            self._close(surplus, "more recently used connections need its place")

    def _gone(self, muxed: StrictYamux) -> None:
        link = self._links.remove(muxed)
        if link is None or link.closing is not None:
            return
        fault = muxed.fault
        if fault is not None:
            self._door.fault(link.peer, fault)
        if not muxed.farewell:
            self._tell_lost(link, fault.value if fault else "its connection broke")

    def _tell_lost(self, link: Link, reason: str) -> None:
        if self._lost is not None and not self._closing and not self._links.of(link.peer):
            self._lost(link.peer, reason)

    def _punish(self, peer: PeerId, fault: Fault) -> None:
        links = self._links.of(peer)
        if not links:  # somebody noticed at the same moment
            return
        self._door.fault(peer, fault)
        for link in links:
            link.closing = fault.value
            self._work.start_soon(link.muxed.cut, fault)
        self._tell_lost(links[0], fault.value)

    def _close(self, link: Link, reason: str) -> None:
        link.closing = reason
        self._work.start_soon(self._part, link, self._limits.close_s)

    async def _part(self, link: Link, patience_s: float) -> None:
        async with trio.open_nursery() as nursery:
            if self._hardening.cut_stuck:
                nursery.start_soon(_cut_later, link, patience_s)
            await link.muxed.close()
            nursery.cancel_scope.cancel()

    def _failed(self, error: Exception) -> None:
        self._stats.handler_errors += 1
        _log.warning("request failed here", reason=str(error))

    async def _on_stream(self, stream: INetStream) -> None:
        # Upstream's wrapper around it adds states that an exchange has no use for.
        muxed_stream: IMuxedStream = vars(stream)["muxed_stream"]
        link = self._links.find(stream.muxed_conn)
        if link is None or link.closing is not None:
            return
        if len(link.muxed.streams) > self._limits.streams_max or not link.rate.take():
            self._punish(link.peer, Fault.FLOOD)
            return
        try:
            await self._exchanges.answer(link, muxed_stream)
        except Misbehaviour as error:
            self._punish(link.peer, error.fault)


async def _cut_later(link: Link, patience_s: float) -> None:
    await trio.sleep(patience_s)
    await link.muxed.cut()


def open_transport(
    settings: TransportSettings,
    identity: Identity,
    admit: Admission | None = None,
) -> Libp2pTransport:
    """A transport, ready to be entered with `async with`; see `Libp2pTransport`."""
    return Libp2pTransport(identity, settings, admit)
