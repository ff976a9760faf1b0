"""One peer of the Lab: a node's driver, peer, trainer, store and transport, in its own process.

What differs from `node.gateway` is what a scenario decides: the rows come from its data instead of
sensors, its links delay and drop frames on their way to libp2p, and training takes at least
`learning.train`. It answers every byte on its channel with a `Picture` of itself.
"""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import trio
from numpy.typing import NDArray

from gossip.actions import Report, Train
from gossip.arrays import group_of, prefixed
from gossip.codec import frame_bytes_max
from gossip.contacts import Contact, PeerId
from gossip.events import Start, Trained
from gossip.fingerprint import Fingerprint
from gossip.learning.learner import Learner
from gossip.peer import Peer
from node.config.settings import LimitSettings
from node.driver import Driver
from node.p2p.host import open_transport
from node.p2p.identity import Identity
from node.p2p.limits import Limits
from node.p2p.transport import Transport, TransportSettings
from node.state.saving import Saver
from node.state.store import Snapshot, Store
from node.status.service import TaskStatus
from node.threads import off_the_loop
from node.trainer import Trainer
from scenarios.conditions.links import Links, Rule
from scenarios.lab import orders
from scenarios.lab.channel import packed
from scenarios.lab.orders import Picture, Tallies
from scenarios.lab.wire import ConditionedTransport
from scenarios.plan.plan import Plan
from scenarios.world.training import Rows

LAST_WORDS = -1


@dataclass(frozen=True, slots=True)
class Stage:
    """What all peers of a run have in common; shared memory, as the nursery loaded it.

    Args:
        plan: of the scenario.
        rows: everybody's training rows, the same as in the World.
        learner: in numpy, as in a node.
        initial: the vector that everybody starts with, float32 `(dim,)`.
        fingerprint: of features and model.
        identities: by peer.
        contacts: by peer.
        rules: of the links, as far as they are about frames.
        folder: for states.
    """

    plan: Plan
    rows: Rows
    learner: Learner
    initial: NDArray[np.float32]
    fingerprint: Fingerprint
    identities: tuple[Identity, ...]
    contacts: tuple[Contact, ...]
    rules: tuple[Rule, ...]
    folder: Path


def live(stage: Stage, start: orders.Start, descriptor: int, zero_s: float) -> None:
    """Be a peer until SIGTERM; without the run at the other end of the channel, end at once.

    Args:
        stage: see there.
        start: who we are.
        descriptor: of our end of the channel.
        zero_s: time 0 of the scenario on the monotonic clock.
    """
    folder = stage.folder / f"peer-{start.peer}"
    if start.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    store = Store.open(folder)
    try:
        trio.run(Member(stage, start, store, zero_s).run, descriptor)
    finally:
        store.close()


def limits_of(plan: Plan, learner: Learner) -> Limits:
    """The transport's bounds, such that a sender is told of silence after `mesh.lost_after`.

    The signs of life keep the proportion that a node's have to its dials: a connection on which
    nothing happens is given up after twice the time.
    """
    lost_s = plan.physics.lost_after_us / 1e6
    usual = Limits()
    return replace(
        usual,
        dial_s=lost_s,
        new_stream_s=lost_s,
        request_s=lost_s,
        keepalive_s=lost_s * usual.keepalive_s / usual.dial_s,
        keepalive_reply_s=lost_s * usual.keepalive_reply_s / usual.dial_s,
        frame_bytes_max=max(usual.frame_bytes_max, frame_bytes_max(learner.shared)),
    )


class Member:
    """The parts of one peer and how they are wired.

    Args:
        stage: see there.
        start: who we are.
        store: our state folder, open.
        zero_s: see `live`.
    """

    def __init__(self, stage: Stage, start: orders.Start, store: Store, zero_s: float) -> None:
        self._stage = stage
        self._index = start.peer
        self._zero_s = zero_s
        self._begin_s = start.begin_s
        self._tallies = Tallies()
        self._topics: Counter[str] = Counter()
        self._trainer = Trainer(stage.learner, stage.initial)
        self._saver = Saver(store)
        self._numbers = {contact.peer: index for index, contact in enumerate(stage.contacts)}
        state: tuple[Any, Any, int] = (stage.initial[: stage.learner.shared], None, 0)
        self._remembered: tuple[Contact, ...] = ()
        snapshot = store.load()
        if snapshot is not None:
            self._trainer.restore(group_of(snapshot.arrays, "trainer"))
            state = snapshot.arrays["peer.vector"], snapshot.arrays["peer.ages"], snapshot.cycle
            self._remembered = tuple(
                Contact(PeerId(peer), tuple(addresses))
                for peer, addresses in snapshot.small["remembered"]
            )
        self._trained = self._trainer.to_arrays()
        seed = stage.plan.seed_bytes + b"/%d" % start.life
        me = stage.contacts[start.peer]
        self._peer = Peer(stage.plan.config, me, seed, stage.fingerprint, *state)
        self._cycles_before = state[2]

    async def run(self, descriptor: int) -> None:
        """Live until SIGTERM."""
        stage, me = self._stage, self._stage.contacts[self._index]
        limits = limits_of(stage.plan, stage.learner)
        await trio.sleep(max(0.0, self._begin_s - monotonic()))
        settings = TransportSettings(listen=me.addresses, limits=limits)
        async with (
            open_transport(settings, stage.identities[self._index]) as libp2p,
            trio.lowlevel.FdStream(descriptor) as channel,
        ):
            links = Links(stage.rules, stage.plan.otherwise, stage.plan.seed_bytes)
            transport = ConditionedTransport(
                libp2p, links, self._index, self._numbers, self._now_us, self._tallies
            )
            driver = Driver(
                self._peer,
                transport,
                train=self._train,
                report=self._take,
                trained=self._after_training,
                inbox_max=LimitSettings().inbox_max,
            )
            picture = partial(self._picture, driver, libp2p)
            async with trio.open_nursery() as nursery:
                await nursery.start(partial(_stop_on_signal, driver))
                nursery.start_soon(self._saver.run)
                nursery.start_soon(_answer, channel, picture)
                await driver.run(self._start())
                nursery.cancel_scope.cancel()
            await libp2p.aclose()
            await channel.send_all(packed(picture(LAST_WORDS)))

    def _start(self) -> Start:
        physics, contacts = self._stage.plan.physics, self._stage.contacts
        if physics.neighbours is not None:
            fixed = tuple(contacts[each] for each in physics.neighbours[self._index])
            turns = tuple(
                tuple(contacts[each].peer for each in table[self._index]) for table in physics.turns
            )
            return Start(neighbours=fixed, turns=turns)
        others = tuple(contacts[each] for each in physics.bootstrap if each != self._index)
        return Start(bootstrap=others, remembered=self._remembered)

    def _now_us(self) -> int:
        return max(0, round((monotonic() - self._zero_s) * 1e6))

    async def _train(self, action: Train) -> Trained:
        asked_us, asked_s = self._now_us(), trio.current_time()
        trained = await off_the_loop(partial(self._work, action, asked_us))
        # Once for all peers: a gateway's processor is slower than the one at hand.
        await trio.sleep_until(asked_s + self._stage.plan.physics.train_us[self._index] / 1e6)
        return trained

    def _work(self, action: Train, asked_us: int) -> Trained:
        rows, me = self._stage.rows, self._index
        batches = rows.batches([me], [action.cycle], [asked_us]) if rows.trainable(me) else None
        return self._trainer.train(action, batches)

    def _after_training(self) -> None:
        peer = self._peer
        self._tallies.trainings += 1
        self._trained = self._trainer.to_arrays()
        arrays: dict[str, Any] = prefixed("trainer", self._trained)
        arrays |= prefixed("peer", {"vector": peer.vector.copy(), "ages": peer.ages})
        remembered = [[contact.peer, list(contact.addresses)] for contact in peer.remembered]
        self._saver.ask(Snapshot(peer.cycle, arrays, {"remembered": remembered}))

    def _take(self, report: Report) -> None:
        self._topics[report.topic.value] += 1

    def _picture(self, driver: Driver, libp2p: Transport, look: int) -> Picture:
        peer, tallies, stats = self._peer, self._tallies, libp2p.stats
        tallies.cycles = peer.cycle - self._cycles_before
        tallies.shed = sum(driver.shed.values())
        tallies.topics = dict(self._topics)
        tallies.wire_out, tallies.wire_in = stats.wire_bytes_out, stats.wire_bytes_in
        tallies.dials = stats.dials
        return Picture(
            look,
            np.concatenate([peer.vector, self._trained["own"]]).astype("<f4").tobytes(),
            len(peer.vector),
            tuple(self._numbers[each.peer] for each in peer.view if each.peer in self._numbers),
            tallies,
        )


async def _stop_on_signal(
    driver: Driver, *, task_status: TaskStatus = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        task_status.started()
        async for _ in signals:
            driver.stop()


async def _answer(channel: trio.lowlevel.FdStream, picture: Callable[[int], Picture]) -> None:
    """One picture for each byte; the byte is the low part of the look's number."""
    while asked := await channel.receive_some(64):
        for number in asked:
            await channel.send_all(packed(picture(number)))
    os._exit(1)  # the run has gone, and whatever this could still do concerns nobody
