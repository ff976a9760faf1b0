"""Who is excluded gets nothing and is sent nothing, and cannot fill the log."""

import logging

import pytest
import trio

from gossip.contacts import Contact, PeerId
from node.p2p.door import LINES_PER_MINUTE, Door
from node.p2p.fence import Fenced
from node.p2p.limits import Limits
from node.p2p.stats import Stats
from node.p2p.transport import Handler, LostPeer, PeerUnreachable

GOOD, BAD = PeerId("good"), PeerId("bad")


class Wire:
    """A transport that keeps what it was asked for."""

    peer = PeerId("me")
    addresses = ("/ip4/192.0.2.1/tcp/1",)

    def __init__(self) -> None:
        self.stats = Stats()
        self.sent: list[tuple[PeerId, bytes]] = []
        self.left: list[tuple[PeerId, bool]] = []
        self.handler: Handler | None = None
        self.closed = False

    def serve(self, handler: Handler, lost: LostPeer | None = None) -> None:
        self.handler = handler

    async def request(self, to: Contact, data: bytes) -> bytes:
        self.sent.append((to.peer, data))
        return b"answer"

    def peers(self) -> tuple[PeerId, ...]:
        return (GOOD,)

    async def disconnect(self, peer: PeerId, reason: str, *, refuse: bool = False) -> None:
        self.left.append((peer, refuse))

    async def aclose(self) -> None:
        self.closed = True


def test_no_frame_comes_or_goes() -> None:
    wire = Wire()
    fenced = Fenced(wire, lambda peer: "kept out" if peer == BAD else None)
    heard: list[tuple[PeerId, bytes]] = []

    async def handler(sender: PeerId, data: bytes) -> bytes:
        heard.append((sender, data))
        return b"reply"

    async def main() -> None:
        fenced.serve(handler)
        assert wire.handler is not None
        assert await wire.handler(GOOD, b"1") == b"reply"
        assert await wire.handler(BAD, b"2") == b""
        assert await fenced.request(Contact(GOOD), b"3") == b"answer"
        with pytest.raises(PeerUnreachable, match="kept out"):
            await fenced.request(Contact(BAD), b"4")
        await fenced.disconnect(BAD, "x", refuse=True)
        await fenced.aclose()

    trio.run(main)
    assert heard == [(GOOD, b"1")]
    assert wire.sent == [(GOOD, b"3")]
    assert wire.left == [(BAD, True)]
    assert wire.closed
    assert (fenced.peer, fenced.addresses, fenced.peers()) == (wire.peer, wire.addresses, (GOOD,))
    assert fenced.stats is wire.stats


def test_who_is_kept_out_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    door = Door(Limits(), Stats(), lambda _: "kept out")

    async def main() -> None:
        for _ in range(10 * LINES_PER_MINUTE):
            assert door.admit(BAD) == "kept out"

    with caplog.at_level(logging.INFO):
        trio.run(main)
    assert 0 < len(caplog.records) <= 2 * LINES_PER_MINUTE
    assert door.stats.refused == 10 * LINES_PER_MINUTE
