"""The scenario's links between a driver and libp2p: frames that are late, or never leave.

A dropped frame is gone for good, as in the World: below libp2p it could not be, because TCP sends
again what a network lost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import trio

from gossip.contacts import Contact, PeerId
from gossip.errors import RemoteError
from node.p2p.stats import Stats
from node.p2p.transport import Handler, LostPeer, Transport
from scenarios.conditions.links import Crossing, Delivered, Fate, Links
from scenarios.lab.orders import Tallies


@dataclass(slots=True)
class ConditionedTransport:
    """A transport whose requests obey the rules of the links, and are counted as the World counts.

    Args:
        inner: the real one.
        links: rules without partitions; of this sender alone.
        index: our number.
        numbers: of each peer.
        now_us: the scenario's time.
        tallies: counts.
    """

    inner: Transport
    links: Links
    index: int
    numbers: Mapping[PeerId, int]
    now_us: Callable[[], int]
    tallies: Tallies
    _frames: int = 0

    @property
    def peer(self) -> PeerId:
        """This node."""
        return self.inner.peer

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of this node."""
        return self.inner.addresses

    @property
    def stats(self) -> Stats:
        """Of libp2p's side."""
        return self.inner.stats

    def serve(self, handler: Handler, lost: LostPeer | None = None) -> None:
        """See `Transport.serve`."""

        async def counted(sender: PeerId, frame: bytes) -> bytes:
            self.tallies.bytes_received += len(frame)
            return await handler(sender, frame)

        self.inner.serve(counted, lost)

    async def request(self, to: Contact, data: bytes) -> bytes:
        """See `Transport.request`; a dropped frame looks delivered to its sender."""
        number = self.numbers.get(to.peer)
        if number is not None:
            crossing = Crossing(self.now_us(), self.index, number, len(data), self._frames)
            self._frames += 1
            verdict = self.links.decide(crossing)
            if verdict is Fate.DROPPED:
                self.tallies.dropped += 1
                self.tallies.bytes_sent += len(data)
                return b""
            if isinstance(verdict, Delivered):
                await trio.sleep(verdict.after_us / 1e6)
        try:
            reply = await self.inner.request(to, data)
        except RemoteError:
            self.tallies.unreachable += 1
            raise
        self.tallies.delivered += 1
        self.tallies.bytes_sent += len(data)
        return reply

    def peers(self) -> tuple[PeerId, ...]:
        """Connected now."""
        return self.inner.peers()

    async def disconnect(self, peer: PeerId, reason: str, *, refuse: bool = False) -> None:
        """See `Transport.disconnect`."""
        await self.inner.disconnect(peer, reason, refuse=refuse)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self.inner.aclose()
