"""Frames obey the links before libp2p sees them, and are counted as the World counts."""

import pytest
import trio
from trio.testing import MockClock

from gossip.contacts import Contact, PeerId
from gossip.errors import RemoteError
from node.p2p.stats import Stats
from scenarios.lab.orders import Tallies
from scenarios.lab.wire import ConditionedTransport
from tests.lab.scenes import plan

NUMBERS = {PeerId(f"peer-{number}"): number for number in range(5)}


class Inner:
    """A transport that notes when it was asked, and knows of some dead peers."""

    def __init__(self, dead: tuple[str, ...] = ()) -> None:
        self.peer, self.addresses, self.stats = PeerId("peer-0"), (), Stats()
        self.asked: list[tuple[float, str]] = []
        self.dead = dead
        self.handler = None

    def serve(self, handler, lost=None):
        self.handler = handler

    async def request(self, to, data):
        self.asked.append((trio.current_time(), to.peer))
        if to.peer in self.dead:
            raise RemoteError("dead")
        return b""


def wire(inner: Inner, **links: object) -> ConditionedTransport:
    made = plan(links=links)
    return ConditionedTransport(inner, made.links(), 0, NUMBERS, lambda: 0, Tallies())


async def ask(transport: ConditionedTransport, peer: int, times: int = 1) -> None:
    for _ in range(times):
        await transport.request(Contact(PeerId(f"peer-{peer}")), b"frame")


def test_a_frame_waits_for_its_latency():
    inner = Inner()
    transport = wire(inner, latency="250 ms")

    async def main():
        begun = trio.current_time()
        await ask(transport, 3)
        assert inner.asked == [(pytest.approx(begun + 0.25), "peer-3")]

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert (transport.tallies.delivered, transport.tallies.bytes_sent) == (1, 5)


def test_a_dropped_frame_looks_delivered_and_never_leaves():
    inner = Inner()
    transport = wire(inner, rule=[{"receivers": "2", "drop": "100 %"}])
    trio.run(ask, transport, 2, 4, clock=MockClock(autojump_threshold=0))
    assert inner.asked == []
    counts = transport.tallies
    assert (counts.dropped, counts.delivered, counts.bytes_sent) == (4, 0, 20)


def test_the_share_that_is_dropped_is_the_rules():
    inner = Inner()
    transport = wire(inner, latency="0 ms", rule=[{"drop": "30 %"}])
    trio.run(ask, transport, 2, 400, clock=MockClock(autojump_threshold=0))
    assert 90 < transport.tallies.dropped < 150
    assert len(inner.asked) == 400 - transport.tallies.dropped


def test_what_fails_is_counted_and_its_sender_told():
    transport = wire(Inner(dead=("peer-1",)))
    with pytest.raises(RemoteError):
        trio.run(ask, transport, 1, clock=MockClock(autojump_threshold=0))
    assert (transport.tallies.unreachable, transport.tallies.bytes_sent) == (1, 0)


def test_what_arrives_is_counted():
    inner = Inner()
    transport = wire(inner)

    async def handler(_sender, frame):
        return frame[:1]

    transport.serve(handler)
    assert trio.run(inner.handler, PeerId("peer-4"), b"12345") == b"1"
    assert transport.tallies.bytes_received == 5
