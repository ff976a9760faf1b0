"""The driver over a fake transport, on a clock that jumps."""

from collections import defaultdict

import numpy as np
import trio
import trio.lowlevel
from trio.testing import MockClock, wait_all_tasks_blocked

from gossip.actions import Report, Topic, Train
from gossip.config import PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.errors import RemoteError
from gossip.events import Start, Trained
from gossip.fingerprint import Fingerprint
from gossip.peer import Peer
from node.driver import QUEUED_MAX, Driver

INBOX_MAX = 16
FINGERPRINT = Fingerprint("test", "test")
DIM = 8


class Wire:
    """Connects transports in memory; a peer in `stuck` never answers, one in `dead` refuses."""

    def __init__(self):
        self.handlers = {}
        self.lost = {}
        self.stuck = set()
        self.dead = set()
        self.delivered = defaultdict(int)


class FakeTransport:
    def __init__(self, wire, me):
        self.wire, self.me, self.disconnected = wire, me, []

    def serve(self, handler, lost=None):
        self.wire.handlers[self.me] = handler
        self.wire.lost[self.me] = lost

    async def request(self, to, data):
        if to.peer in self.wire.stuck:
            await trio.sleep_forever()
        await trio.sleep(0.01)
        if to.peer in self.wire.dead or to.peer not in self.wire.handlers:
            raise RemoteError(f"{to.peer} is not there")
        self.wire.delivered[self.me, to.peer] += 1
        return await self.wire.handlers[to.peer](self.me, data)

    async def disconnect(self, peer, reason, *, refuse=False):
        self.disconnected.append(peer)


class Node:
    def __init__(self, wire, name, *, train_s=0.5, sums_length=0):
        self.reports = []
        self.transport = FakeTransport(wire, PeerId(name))
        self.train_s = train_s
        rng = np.random.default_rng(len(name) + ord(name[-1]))
        self.peer = Peer(
            PeerConfig(cycle_us=1_000_000, join_retry_us_min=200_000, sums_length=sums_length),
            Contact(PeerId(name), ("/memory",)),
            name.encode(),
            FINGERPRINT,
            rng.normal(size=DIM).astype(np.float32),
            np.full(4, 10),
        )
        self.trainings = 0
        self.driver = Driver(
            self.peer,
            self.transport,
            train=self.train,
            report=self.reports.append,
            trained=self.trained,
            inbox_max=INBOX_MAX,
        )

    def trained(self):
        self.trainings += 1

    async def train(self, action: Train) -> Trained:
        await trio.sleep(self.train_s)
        return Trained(action.cycle, np.full(DIM, 0.01, np.float32), 1, 0.5)

    def count(self, topic):
        return sum(isinstance(r, Report) and r.topic is topic for r in self.reports)


def live(nodes, seconds, script=None):
    """Run nodes for some virtual seconds; all join by the first. Returns when all have stopped."""

    async def main():
        bootstrap = (nodes[0].peer.me,)
        async with trio.open_nursery() as nursery:
            for i, node in enumerate(nodes):
                nursery.start_soon(node.driver.run, Start(bootstrap if i else ()))
            if script is not None:
                await script()
            await trio.sleep(seconds)
            for node in nodes:
                node.driver.stop()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_nodes_join_by_one_bootstrap_and_exchange():
    wire = Wire()
    nodes = [Node(wire, f"n{i}") for i in range(5)]
    live(nodes, 60)
    for node in nodes:
        assert node.count(Topic.MERGED) > 10
        assert node.count(Topic.TRAINED) == node.trainings > 40
        assert {c.peer for c in node.peer.view} <= {f"n{i}" for i in range(5)}


def test_a_stuck_peer_delays_nobody_and_its_queue_stays_bounded():
    wire = Wire()
    nodes = [Node(wire, f"n{i}") for i in range(4)]
    wire.stuck.add("n3")
    live(nodes, 120)
    assert nodes[0].count(Topic.MERGED) > 20
    assert nodes[0].count(Topic.TRAINED) > 80
    assert all(len(q) <= QUEUED_MAX for n in nodes for q in n.driver._outboxes.values())


def test_a_dead_peer_is_lost_and_found_again_when_it_returns():
    wire = Wire()
    nodes = [Node(wire, f"n{i}") for i in range(4)]

    async def script():
        await trio.sleep(20)
        wire.dead.add("n2")
        nodes[2].driver.stop()
        await trio.sleep(60)
        assert all("n2" not in {c.peer for c in nodes[i].peer.view} for i in (0, 1, 3))
        wire.dead.clear()

    live(nodes[:2] + nodes[3:] + nodes[2:3], 10, script)


def test_a_broken_connection_ends_a_peer_at_once():
    wire = Wire()
    nodes = [Node(wire, f"n{i}") for i in range(3)]

    async def script():
        await trio.sleep(20)
        assert "n2" in {c.peer for c in nodes[0].peer.view}
        wire.lost["n0"](PeerId("n2"), "no sign of life")
        await wait_all_tasks_blocked()
        assert "n2" not in {c.peer for c in nodes[0].peer.view}
        assert nodes[0].count(Topic.PEER_LOST) == 1

    live(nodes, 1, script)


def test_slow_training_does_not_stretch_the_cycle():
    wire = Wire()
    slow = Node(wire, "n0", train_s=5.0)
    live([slow, Node(wire, "n1")], 60)
    assert slow.peer.cycle >= 55
    assert 5 <= slow.count(Topic.TRAINED) <= 12


def test_stopping_says_good_bye():
    wire = Wire()
    nodes = [Node(wire, f"n{i}") for i in range(3)]

    async def script():
        await trio.sleep(10)
        nodes[2].driver.stop()
        await trio.sleep(1)
        assert nodes[0].count(Topic.PEER_LEFT) == 1
        assert "n2" not in {c.peer for c in nodes[0].peer.view}

    live(nodes, 1, script)


def test_contributions_become_the_meshs_mean():
    wire = Wire()
    nodes = [Node(wire, f"n{i}", sums_length=2) for i in range(4)]

    async def script():
        for i, node in enumerate(nodes):
            assert node.driver.contribute(np.array([i / 4, 0.5]))
        await trio.sleep(60)
        for node in nodes:
            mean, peers = node.peer.mesh
            assert 0.2 < mean[0] < 0.55
            assert abs(mean[1] - 0.5) < 1e-3
            assert peers == 3
        taken = [nodes[0].driver.contribute(None) for _ in range(INBOX_MAX + 2)]
        assert taken == [True] * (INBOX_MAX + 1) + [False], "one is in the waiting loop's hands"

    live(nodes, 1, script)


def test_a_full_inbox_sheds_and_counts():
    async def main():
        wire = Wire()
        node = Node(wire, "n0")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.driver.run, Start())
            await wait_all_tasks_blocked()
            handler = wire.handlers["n0"]
            for _ in range(1000):
                await handler(PeerId("flood"), b"garbage")  # never yields to the loop
            taken = INBOX_MAX + 1  # one more is in the waiting loop's hands
            assert node.driver.shed["inbox full"] == 1000 - taken
            await trio.sleep(5)
            assert node.count(Topic.REMOTE_FAULT) == taken
            assert set(node.transport.disconnected) == {"flood"}
            node.driver.stop()

    trio.run(main, clock=MockClock(autojump_threshold=0))
