"""A transport that knows nobody whom the operator excluded: no frame comes or goes."""

from collections.abc import Callable
from typing import final

from gossip.contacts import Contact, PeerId
from node.p2p.stats import Stats
from node.p2p.transport import Handler, LostPeer, PeerUnreachable, Transport

Excludes = Callable[[PeerId], str | None]
"""Why a peer is excluded; None for everybody else."""


@final
class Fenced:
    """Another transport, but for some peers.

    The door turns away who connects (`Libp2pTransport`'s `admit`). This is for who was connected
    when it was excluded, and for what we would send: its contact still comes by way of others.

    Args:
        within: the transport.
        excludes: asked for each frame.
    """

    def __init__(self, within: Transport, excludes: Excludes) -> None:
        self._within = within
        self._excludes = excludes

    @property
    def peer(self) -> PeerId:
        """This node."""
        return self._within.peer

    @property
    def addresses(self) -> tuple[str, ...]:
        """As the transport within."""
        return self._within.addresses

    @property
    def stats(self) -> Stats:
        """As the transport within."""
        return self._within.stats

    def serve(self, handler: Handler, lost: LostPeer | None = None) -> None:
        """Answer requests with `handler`, but for those of excluded peers: they get nothing."""

        async def fenced(sender: PeerId, data: bytes) -> bytes:
            return b"" if self._excludes(sender) else await handler(sender, data)

        self._within.serve(fenced, lost)

    async def request(self, to: Contact, data: bytes) -> bytes:
        """As the transport within.

        Raises:
            PeerUnreachable: it is excluded, or the transport's reasons.
            ConfigError: as the transport within.
        """
        if reason := self._excludes(to.peer):
            raise PeerUnreachable(reason)
        return await self._within.request(to, data)

    def peers(self) -> tuple[PeerId, ...]:
        """As the transport within."""
        return self._within.peers()

    async def disconnect(self, peer: PeerId, reason: str, *, refuse: bool = False) -> None:
        """As the transport within."""
        await self._within.disconnect(peer, reason, refuse=refuse)

    async def aclose(self) -> None:
        """As the transport within."""
        await self._within.aclose()
