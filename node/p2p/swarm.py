"""The libp2p swarm as a node uses it: connections and streams, nothing else.

There is no libp2p host around it. A host adds identify, ping and their pushes: two streams and
about a kilobyte for every connection, for what membership tells anyway.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import trio
from libp2p.abc import IMuxedConn, INetConn, IRawConnection
from libp2p.crypto.keys import KeyPair
from libp2p.io.abc import ReadWriteCloser
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.rcmgr.manager import ResourceLimits, ResourceManager
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from gossip.contacts import PeerId
from node.p2p.hardening import Hardening, StreamHandler, security
from node.p2p.limits import Limits
from node.p2p.yamux import StrictMuxer, StrictYamux

# Upstream's default, kept: the number of sockets, not of peers, which `limits` bounds lower.
_SOCKETS_MAX = 250
_RAW_CLOSE_S = 1.0
_ANYWHERE = Multiaddr("/ip4/0.0.0.0/tcp/0")  # upstream wants a listener's address, to log it


class RefusedError(SwarmException):
    """The owner does not want this peer."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a swarm asks of, and tells, its owner.

    Args:
        admit: called once a peer's identity is proven; a text refuses it.
        handshake: entered for the time of an inbound handshake.
        joined: a connection with a proven peer begins.
        gone: it ended; called at least once for each that began.
        stream: serves one inbound stream.
    """

    admit: Callable[[PeerId], str | None]
    handshake: Callable[[IRawConnection], AbstractContextManager[None]]
    joined: Callable[[StrictYamux], None]
    gone: Callable[[StrictYamux], None]
    stream: StreamHandler


class HardenedSwarm(Swarm):
    """Upstream's swarm with work-arounds 1, 8 and 11 of the table in `hardening`."""

    def __init__(
        self,
        keys: KeyPair,
        psk: bytes | None,
        limits: Limits,
        hardening: Hardening,
        hooks: Hooks,
    ) -> None:
        peer_id = ID.from_pubkey(keys.public_key)
        store = PeerStore()
        store.add_key_pair(peer_id, keys)
        upgrader = TransportUpgrader(security(keys, noise_only=hardening.noise_only), {})
        upgrader.muxer_multistream = StrictMuxer(limits, hardening)
        config = ConnectionConfig(
            max_connections=_SOCKETS_MAX,
            min_connections=0,
            low_watermark=_SOCKETS_MAX if not hardening.no_auto_connector else 0,
            high_watermark=_SOCKETS_MAX,
            max_connections_per_peer=_SOCKETS_MAX,  # ours is in `limits`
            inbound_upgrade_timeout=limits.dial_s,
            outbound_upgrade_timeout=limits.dial_s,
        )
        super().__init__(
            peer_id,
            store,
            upgrader,
            # What is dialled goes through `dialling`; without a transport nothing else can be.
            transports=[] if hardening.no_auto_connector else [TCP()],
            retry_config=RetryConfig(max_retries=0),
            connection_config=config,
            psk=None if psk is None else psk.hex(),
        )
        self._hardening = hardening
        self._hooks = hooks
        self.set_stream_handler(hooks.stream)
        # Upstream's only listener here keeps a record of every peer that was ever connected.
        self.notifees.clear()
        if hardening.no_auto_connector:
            # #11: upstream dials every peer it knows until a watermark, which undoes a partial
            # view of the mesh; a watermark of zero does not stop the attempt at start.
            self.auto_connector.maybe_connect = _nothing  # type: ignore[method-assign]
        if not hardening.own_limits:
            limit = ResourceLimits(max_connections=limits.connections_max)
            self.set_resource_manager(ResourceManager(limits=limit))

    async def accept(self, stream: ReadWriteCloser) -> None:
        """Serve a connection that came in; returns when it ends."""
        await self._handle_inbound_connection(stream, _ANYWHERE)

    async def _do_handle_inbound_connection(
        self, read_write_closer: ReadWriteCloser, maddr: Multiaddr, failure_event: Any
    ) -> None:
        """#1: the handler ends with its connection, and so gives back its inbound slot.

        Upstream's waits for the end of the swarm; slot, task and socket add up until no slot is
        left.
        """
        if not self._hardening.inbound_slots:
            await super()._do_handle_inbound_connection(read_write_closer, maddr, failure_event)
            return
        raw = RawConnection(read_write_closer, initiator=False)
        try:
            muxed = await self.upgrade_inbound_raw_conn(raw, maddr)
            if isinstance(muxed, StrictYamux):
                await muxed.event_closed.wait()
        finally:
            deadline = trio.current_time() + _RAW_CLOSE_S
            with trio.CancelScope(shield=True, deadline=deadline):
                await raw.close()

    async def upgrade_inbound_raw_conn(
        self, raw_conn: IRawConnection, maddr: Multiaddr
    ) -> IMuxedConn:
        """Upstream's, inside the owner's bookkeeping of handshakes."""
        with self._hooks.handshake(raw_conn):
            return await super().upgrade_inbound_raw_conn(raw_conn, maddr)

    async def add_conn(self, muxed_conn: IMuxedConn, direction: str = "unknown") -> SwarmConn:
        """Take in a connection whose peer is proven, if the owner wants it.

        #8: upstream's resource manager counts a connection that it refuses, and keeps counting
        it. There is none here: the owner's limits take its place, and nothing is counted twice.
        """
        if not isinstance(muxed_conn, StrictYamux):
            raise SwarmException("not a connection of ours")
        refusal = self._hooks.admit(PeerId(str(muxed_conn.peer_id)))
        if refusal is not None:
            await muxed_conn.cut()
            raise RefusedError(refusal)
        self._hooks.joined(muxed_conn)
        try:
            return await super().add_conn(muxed_conn, direction)
        except BaseException:
            self._hooks.gone(muxed_conn)
            raise

    async def notify_disconnected(self, conn: INetConn) -> None:
        """Tell the owner; #11: without the auto-connector's own book of peers, which only grows."""
        if isinstance(conn.muxed_conn, StrictYamux):
            self._hooks.gone(conn.muxed_conn)
        if not self._hardening.no_auto_connector:
            await super().notify_disconnected(conn)


async def _nothing() -> None:
    """Dial nobody."""
