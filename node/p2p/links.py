"""The connections a transport keeps: few, the least recently used closed first."""

from dataclasses import dataclass, field

from gossip.contacts import PeerId
from node.p2p.bounds import Rate
from node.p2p.limits import Limits
from node.p2p.yamux import StrictYamux


@dataclass(eq=False, slots=True)
class Link:
    """One connection.

    Args:
        peer: who is at the other end; proven.
        muxed: its multiplexer.
        rate: of the streams that the peer opens.
        used_at: when an exchange last began or ended, seconds of trio's clock.
        busy: exchanges under way.
        closing: why we are closing it; None while we are not.
    """

    peer: PeerId
    muxed: StrictYamux
    rate: Rate
    used_at: float
    busy: int = 0
    closing: str | None = None


@dataclass(slots=True)
class Links:
    """All connections, in the order in which they came.

    Args:
        limits: how many to keep.
    """

    limits: Limits
    _links: dict[StrictYamux, Link] = field(default_factory=dict)

    def add(self, link: Link) -> list[Link]:
        """Take in `link`; returns those that have to make room."""
        self._links[link.muxed] = link
        surplus: list[Link] = []
        for rivals, count in (
            (self.of(link.peer), self.limits.connections_peer_max),
            (self.open(), self.limits.connections_max),
        ):
            left = [rival for rival in rivals if rival not in surplus]
            others = [rival for rival in left if rival is not link]
            others.sort(key=lambda rival: (rival.busy > 0, rival.used_at))
            surplus += others[: max(0, len(left) - count)]
        return surplus

    def remove(self, muxed: StrictYamux) -> Link | None:
        """Forget a connection that ended."""
        return self._links.pop(muxed, None)

    def clear(self) -> list[Link]:
        """Forget all, and return them."""
        links = list(self._links.values())
        self._links.clear()
        return links

    def find(self, muxed: object) -> Link | None:
        """The link of a multiplexer."""
        return self._links.get(muxed) if isinstance(muxed, StrictYamux) else None

    def open(self) -> list[Link]:
        """Those that we are not closing."""
        return [link for link in self._links.values() if link.closing is None]

    def of(self, peer: PeerId) -> list[Link]:
        """The open ones to `peer`."""
        return [link for link in self.open() if link.peer == peer]

    def best(self, peer: PeerId) -> Link | None:
        """The newest to `peer`: after it restarted, the older one may be dead without a sign."""
        alive = [link for link in self.of(peer) if not link.muxed.event_shutting_down.is_set()]
        return alive[-1] if alive else None

    def peers(self) -> tuple[PeerId, ...]:
        """Everybody connected, once."""
        return tuple(dict.fromkeys(link.peer for link in self.open()))
