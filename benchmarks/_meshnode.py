"""One process of the mesh benchmark: a node's own transport, driver and peer around a classifier.

It prints JSON lines: `listening` once, `status` after each training, on joining, whenever the last
frame under way has been delivered, and four times a second. On its standard input it takes `idle`
(begin a new life, on the same connections, with a cycle so long that nothing but keeping them is
left to do); it ends when that input does.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from time import monotonic, process_time
from typing import Any

import numpy as np
import trio
from _common import MLP_SIZES, rss_mb

from gossip.actions import Report, Topic, Train
from gossip.config import Encoding, Exchange, PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.draws import Purpose, generator
from gossip.events import Start, Trained
from gossip.fingerprint import Fingerprint
from gossip.learning.descent import Descent
from gossip.learning.in_numpy import Classifier
from gossip.learning.learner import Batches
from gossip.learning.shapes import MLPShape
from gossip.peer import Peer
from node.addresses import parse_contact
from node.config.settings import LimitSettings
from node.driver import Driver
from node.p2p.host import Libp2pTransport, open_transport
from node.p2p.identity import new_identity
from node.p2p.stats import Stats
from node.p2p.transport import Handler, LostPeer, TransportSettings
from node.trainer import Trainer

ROWS, STEPS, BATCH = 200, 7, 32
CLASSES = MLP_SIZES[-1]
SEPARATION = 0.35  # of the class centres; the task of the reference figures
IDLE_CYCLE_US = 24 * 3_600_000_000
STATUS_S = 0.25
KIND_AT = 2  # of a frame's bytes: array header, protocol version, kind
MODEL_KIND = 1


class Rows:
    """Synthetic rows, a different 200 for each node, of classes that all nodes share."""

    def __init__(self, number: int) -> None:
        centres = generator(b"mesh", "centres", 0, Purpose.WORLD)
        own = generator(b"mesh", f"rows/{number}", 0, Purpose.WORLD)
        self._number = number
        shape = (CLASSES, MLP_SIZES[0])
        self._y = own.integers(0, CLASSES, ROWS)
        self._x = own.standard_normal((ROWS, MLP_SIZES[0]), np.float32)
        self._x += np.float32(SEPARATION) * centres.standard_normal(shape, np.float32)[self._y]

    def batches(self, cycle: int) -> Batches:
        rng = generator(b"mesh", f"order/{self._number}", cycle, Purpose.ROWS)
        order = rng.permutation(np.arange(STEPS * BATCH) % ROWS).reshape(1, STEPS, BATCH)
        return Batches(self._x[order], self._y[order], np.ones((1, CLASSES), np.bool_))


class Sending:
    """A transport that counts the frames it delivered, and tells when none is on its way."""

    def __init__(self, inner: Libp2pTransport, settled: Callable[[], None]) -> None:
        self.sent: Counter[str] = Counter()
        self._inner = inner
        self._settled = settled
        self._under_way = 0

    @property
    def peer(self) -> PeerId:
        return self._inner.peer

    @property
    def addresses(self) -> tuple[str, ...]:
        return self._inner.addresses

    @property
    def stats(self) -> Stats:
        return self._inner.stats

    def serve(self, handler: Handler, lost: LostPeer | None = None) -> None:
        self._inner.serve(handler, lost)

    def peers(self) -> tuple[PeerId, ...]:
        return self._inner.peers()

    async def disconnect(self, peer: PeerId, reason: str, *, refuse: bool = False) -> None:
        await self._inner.disconnect(peer, reason, refuse=refuse)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def request(self, to: Contact, data: bytes) -> bytes:
        self._under_way += 1
        try:
            reply = await self._inner.request(to, data)
            kind = "model" if data[KIND_AT] == MODEL_KIND else "membership"
            self.sent[f"{kind} frames"] += 1
            self.sent[f"{kind} bytes"] += len(data)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._settled()
        return reply


class Node:
    """What one process counts and prints."""

    def __init__(self, given: argparse.Namespace, transport: Libp2pTransport) -> None:
        self.transport = Sending(transport, lambda: self.status(settled=True))
        self.driver: Driver | None = None
        self._given = given
        self._rows = Rows(given.number)
        self._learner = Classifier(MLPShape(MLP_SIZES), Descent(rate=0.05, momentum=0.0))
        config = self._config(round(given.cycle_s * 1e6))
        text = f"{self._learner.shape}, {config.fragments} fragments"
        self._fingerprint = Fingerprint("benchmark", text)
        vector = self._learner.initial(self._fingerprint.digest)
        self._trainer = Trainer(self._learner, vector)
        self._peer = self._new_peer(config, vector, None)
        self._topics: Counter[Topic] = Counter()
        self._loss = 0.0
        self._idle = False

    def _config(self, cycle_us: int) -> PeerConfig:
        given = self._given
        return PeerConfig(
            cycle_us=cycle_us,
            exchange=Exchange(given.exchange),
            encoding=Encoding(given.encoding),
            fanout=given.fanout,
        )

    def _new_peer(self, config: PeerConfig, vector: Any, ages: Any, cycle: int = 0) -> Peer:
        me = Contact(self.transport.peer, self.transport.addresses)
        # Not secret here, so that a run's choices of neighbours depend on identities alone.
        return Peer(config, me, b"mesh", self._fingerprint, vector, ages, cycle)

    async def live(self) -> None:
        """The busy life, and after `idle` the idle one."""
        bootstrap = tuple(parse_contact(text) for text in self._given.join)
        await self._life(Start(bootstrap))
        old, self._idle = self._peer, True
        self._peer = self._new_peer(
            self._config(IDLE_CYCLE_US), old.vector, old.ages, old.cycle + 1
        )
        await self._life(Start(bootstrap, old.remembered))

    async def _life(self, start: Start) -> None:
        self.driver = Driver(
            self._peer,
            self.transport,
            train=self._train,
            report=self._take,
            trained=lambda: self.status(mark=True),
            inbox_max=LimitSettings().inbox_max,
        )
        await self.driver.run(start)

    async def _train(self, action: Train) -> Trained:
        batches = self._rows.batches(action.cycle)
        return await trio.to_thread.run_sync(self._trainer.train, action, batches)

    def _take(self, report: Report) -> None:
        self._topics[report.topic] += 1
        if report.topic is Topic.TRAINED:
            self._loss = report.value
        elif report.topic is Topic.JOINED:
            self.status()

    def status(self, *, mark: bool = False, settled: bool = False) -> None:
        """Print how far we are, and every counter.

        Args:
            mark: a training has just ended.
            settled: a frame has just been sent, and no other is on its way.
        """
        stats, sent, driver = self.transport.stats, self.transport.sent, self.driver
        say(
            "status",
            number=self._given.number,
            mark=mark,
            settled=settled,
            idle=self._idle,
            cycle=self._peer.cycle,
            view=len(self._peer.view),
            connected=len(self.transport.peers()),
            merged=self._topics[Topic.MERGED],
            lost=self._topics[Topic.PEER_LOST],
            shed=self._topics[Topic.SHED] + sum(driver.shed.values() if driver else ()),
            loss=self._loss,
            model_frames=sent["model frames"],
            model_bytes=sent["model bytes"],
            membership_frames=sent["membership frames"],
            membership_bytes=sent["membership bytes"],
            frames_bytes=stats.payload_bytes_out,
            wire_bytes=stats.wire_bytes_out,
            dials=stats.dials,
            failed=stats.requests_failed,
            cpu_s=process_time(),
            rss_mb=rss_mb(),
        )


def say(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, "at": monotonic(), **more}), flush=True)


async def obey(node: Node, scope: trio.CancelScope) -> None:
    async with trio.lowlevel.FdStream(sys.stdin.fileno()) as stream:
        async for command in stream:
            if command.strip() == b"idle" and node.driver is not None:
                node.driver.stop()
    scope.cancel()


async def tick(node: Node) -> None:
    while True:
        await trio.sleep(STATUS_S)
        node.status()


async def main(given: argparse.Namespace) -> None:
    settings = TransportSettings(listen=("/ip4/127.0.0.1/tcp/0",))
    async with open_transport(settings, new_identity()) as transport:
        node = Node(given, transport)
        address = f"{transport.addresses[0]}/p2p/{transport.peer}"
        say("listening", number=given.number, address=address)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(obey, node, nursery.cancel_scope)
            nursery.start_soon(tick, node)
            await node.live()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="One node of benchmarks/mesh.py.")
    options.add_argument("--number", type=int, required=True)
    options.add_argument("--join", action="append", default=[])
    options.add_argument("--cycle-s", type=float, required=True)
    options.add_argument("--exchange", required=True)
    options.add_argument("--encoding", required=True)
    options.add_argument("--fanout", type=int, required=True)
    trio.run(main, options.parse_args())
