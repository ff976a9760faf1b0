"""The thin interface between a node and whatever carries its frames."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from gossip.contacts import Contact, PeerId
from gossip.errors import RemoteError
from node.p2p.limits import Limits
from node.p2p.stats import Stats

Handler = Callable[[PeerId, bytes], Awaitable[bytes]]
"""Called with the proven sender and its request; what it returns is the reply.

An exception is this machine's fault: it is counted, and the sender sees a reset stream."""

LostPeer = Callable[[PeerId, str], None]
"""Called when the last connection to a peer broke, or the peer was cut off; with the reason.

Not when we closed it, nor when the peer said good-bye: a peer that makes room has not failed."""

Admission = Callable[[PeerId], str | None]
"""Called after each handshake; a text is the reason why this peer may not connect."""


class PeerUnreachable(RemoteError):  # noqa: N818 - it states a fact about a peer
    """A request could not be delivered, or not be answered in time. The text says why.

    It may have been delivered: a reply that is lost looks the same as a request that is.
    """


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """What a transport needs to know beside its identity.

    Args:
        listen: multiaddrs to bind; port 0 takes any. Empty: this node only dials.
        announce: multiaddrs to tell others instead, for a node behind a port forwarding.
        psk: 32 bytes that every node of a private mesh shares; None for an open mesh.
        limits: every bound.
    """

    listen: tuple[str, ...] = ("/ip4/0.0.0.0/tcp/4001",)
    announce: tuple[str, ...] = ()
    psk: bytes | None = None
    limits: Limits = field(default_factory=Limits)


class Transport(Protocol):
    """Requests to, and replies from, peers whose identity is proven."""

    @property
    def peer(self) -> PeerId:
        """This node."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others may reach this node: multiaddrs without `/p2p/…`, at most four."""

    @property
    def stats(self) -> Stats:
        """Live counters."""

    def serve(self, handler: Handler, lost: LostPeer | None = None) -> None:
        """Answer requests with `handler` from now on. Until then they are reset."""

    async def request(self, to: Contact, data: bytes) -> bytes:
        """Send `data` and return the reply, dialling first where there is no connection.

        Raises:
            PeerUnreachable: no address works, another peer answers there, or a deadline passed.
            ConfigError: `data` is larger than `frame_bytes_max`.
        """

    def peers(self) -> tuple[PeerId, ...]:
        """Peers connected now, the longest connected first."""

    async def disconnect(self, peer: PeerId, reason: str, *, refuse: bool = False) -> None:
        """Close every connection to `peer`; with `refuse`, keep it out for a while."""

    async def aclose(self) -> None:
        """Say good-bye to all at once; cut those where that takes longer than `leave_s`."""
