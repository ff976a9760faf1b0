"""One whole node: sensors and detector on one side, the mesh on the other, the disk below.

    sensors ── Source ── Pump ── Watch ── Alerter
                           │
    Peer ── Driver ── Trainer ── Store
      │        └───── Immune
    transport

`run` composes these, restores what an earlier life left, and ends politely on SIGTERM.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import nan
from typing import Any

import trio

from gossip.actions import Action, Train
from gossip.antigens import Antigen
from gossip.arrays import group_of, prefixed
from gossip.codec import frame_bytes_max
from gossip.contacts import Contact, PeerId
from gossip.errors import ConfigError, StateError
from gossip.events import Event, Start, Trained
from gossip.features import SCHEMA
from gossip.flows import Flow
from gossip.learning.calibration import State
from gossip.learning.learner import Learner
from gossip.learning.rehearsal import Rehearsal
from gossip.learning.tails import MeshTail
from gossip.peer import Peer
from node.addresses import merge_contacts, parse_contact
from node.alerts.alerter import Alerter
from node.antigens import kept
from node.antigens.immune import Immune
from node.antigens.presenting import Presenter
from node.config.settings import Settings
from node.control import requests
from node.control.desk import Desk
from node.detection import fingerprint_of, new_learner, new_watch
from node.driver import Driver
from node.intake.making import make_source
from node.intake.pump import Pump, Saved
from node.intake.queue import FlowQueue
from node.intake.running import Sensing
from node.intake.source import Source
from node.logs import configure, get_logger
from node.p2p.host import open_transport
from node.p2p.identity import Identity, load_or_create_identity, samples_seed
from node.p2p.psk import load_psk
from node.p2p.seal import Ed25519Seal
from node.p2p.transport import Transport, TransportSettings
from node.service.clock import ClockWatch
from node.service.health import Health
from node.service.notify import Notifier
from node.service.reload import Apply, Reloader
from node.service.signals import obey
from node.state.journal import Head, Journal, digest
from node.state.keeping import Keeping
from node.state.saving import Saver
from node.state.store import Snapshot, Store
from node.status import service
from node.status.condition import Condition
from node.status.reports import Reports
from node.threads import off_the_loop
from node.trainer import Trainer
from node.verdicts.book import Book
from node.watch.pressure import Pressure
from node.web.served import Served, begin

_log = get_logger("node")

LEARNING_FLOWS_MAX = 512
"""Flows taken between two trainings until there is a threshold. Without it a backlog of hours is
read within seconds, and whatever attack it holds is over before there is a model to judge it: of
31,000 recorded flows, most of them attacks, none was anomalous (measured). Our choice: at the
default budget of 0.5 %, eight trainings come before the first alert."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a node is once it listens: enough for others to join it."""

    name: str
    peer: PeerId
    addresses: tuple[str, ...]
    served: Served = field(default_factory=Served)


async def run(
    settings: Settings,
    started: Callable[[Started], None] | None = None,
    again: Callable[[], Settings] | None = None,
) -> None:
    """Run a node until SIGTERM or SIGINT; tells systemd, where that asked to be told.

    Args:
        settings: complete.
        started: called once the node listens.
        again: reads the settings again, on SIGHUP; None where there is nothing to read.

    Raises:
        LocalError: the state folder, a sensor, an address or a setting is not usable. It may come
            inside an exception group.
    """
    store = Store.open(settings.node.state_dir)
    try:
        for warning in store.warnings:
            _log.warning(warning)
        identity = load_or_create_identity(settings.node.state_dir / "identity")
        gateway = Gateway(settings, identity, new_learner(settings.training), store)
        async with trio.open_nursery() as nursery:
            notifier = Notifier()
            await nursery.start(partial(obey, gateway, again, notifier))
            nursery.start_soon(notifier.keep_alive)
            await gateway.run(partial(_say_ready, notifier, started))
            nursery.cancel_scope.cancel()
    finally:
        store.close()


def _say_ready(
    notifier: Notifier, started: Callable[[Started], None] | None, found: Started
) -> None:
    notifier.ready(f"listens on {', '.join(found.addresses) or 'nothing, dials only'}")
    if started is not None:
        started(found)


class Gateway:
    """The parts of a node and how they are wired.

    Args:
        settings: complete.
        identity: who it is.
        learner: the detector's.
        store: open; closed by the caller.

    Raises:
        LocalError: what was stored does not fit or is damaged, or a sensor is of no use.
    """

    def __init__(
        self, settings: Settings, identity: Identity, learner: Learner, store: Store
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._store = store
        self._config = settings.mesh.peer_config()
        self._fingerprint = fingerprint_of(learner, self._config.fragments)
        self._limits = settings.limits.transport()
        longest = frame_bytes_max(learner.shared)
        if longest > self._limits.frame_bytes_max:
            raise ConfigError(
                f"limits.frame_max = {self._limits.frame_bytes_max} is too small for this model; "
                f"give at least {longest}"
            )
        initial = learner.initial(self._fingerprint.digest)
        self._trainer = Trainer(learner, initial)
        seed, budget = samples_seed(identity), settings.detector.budget
        self._watch = new_watch(budget, seed, identity.peer)
        self._seal = Ed25519Seal(identity)
        self._immune = Immune(
            settings.antigens,
            identity.peer,
            settings.node.state_dir,
            Presenter(
                settings.antigens,
                identity.peer,
                self._fingerprint.schema,
                self._seal,
                seed,
                norms=settings.detector.scaling == "mesh",
            ),
            Rehearsal(len(SCHEMA), seed, identity.peer, budget),
            seed,
        )
        self._antigens = tuple[Antigen, ...]()
        self._reports = Reports()
        self._name = settings.node.name or identity.peer[-8:]
        self._alerter = Alerter(settings, self._name)
        self._book = Book(settings.node.state_dir)
        self._stopping = trio.Event()
        self._since_training = 0
        self._next_training = trio.Event()
        self._trained = self._trainer.to_arrays()
        self._health = Health()
        self._saver = Saver(store, self._health)
        self._peer_state: tuple[Any, Any, int] = (initial[: learner.shared], None, 0)
        self._remembered: tuple[Contact, ...] = ()
        known = len(store.warnings)
        self._keeping = Keeping(
            store, identity.peer, self._seal, settings, self._fingerprint, longest
        )
        self._alerter.contributors = self._watch.contributors.of
        self._keeping.merged = self._watch.contributors.merged
        self._sensing = Sensing(self._restored(self._keeping.load()))
        self._intakes = self._sensing.sources
        self._pressure = Pressure(settings.flood.flows_per_s)
        self._pump = Pump(
            self._intakes,
            FlowQueue(settings.flood.queue_max, seed, identity.peer),
            self._pressure,
            self._judge,
            self._pace,
            lambda: self._watch.state is State.LEARNING,
        )
        self._heed()
        self._reloader = Reloader(settings, self._appliers(), self._health)
        for warning in store.warnings[known:]:
            _log.warning(warning)

    # What outlives a restart

    def _restored(self, snapshot: Snapshot | None) -> list[Source]:
        if snapshot is None:
            return [make_source(sensor) for sensor in self._settings.sensors]
        try:
            return self._taken_up(snapshot)
        except (KeyError, TypeError, ValueError) as error:
            # Its checksum was right, so this is no damage.
            raise StateError(
                f"{self._settings.node.state_dir}: holds a state that this Hedgerow does not "
                f"understand ({error!r}); go back to the release that wrote it, or name another "
                "state folder"
            ) from error

    def _taken_up(self, snapshot: Snapshot) -> list[Source]:
        arrays, small = snapshot.arrays, snapshot.small
        if small.get("fingerprint") != self._fingerprint.text:
            raise StateError(
                f"{self._settings.node.state_dir}: holds the state of another model "
                f"({small.get('fingerprint')}); this node would have {self._fingerprint.text}. "
                "Name another state folder, or go back to the release that wrote it"
            )
        self._trainer.restore(group_of(arrays, "trainer"))
        self._trained = self._trainer.to_arrays()
        self._watch.restore(group_of(arrays, "watch"))
        self._alerter.restore(small["incidents"])
        self._watch.contributors.restore(small.get("contributors"))
        self._peer_state = (arrays["peer.vector"], arrays["peer.ages"], snapshot.cycle)
        self._remembered = tuple(
            Contact(PeerId(peer), tuple(addresses)) for peer, addresses in small["remembered"]
        )
        self._antigens = kept.from_arrays(arrays)
        self._immune.restore(small["serials"])
        positions = small["sensors"]
        return [
            make_source(sensor, positions.get(sensor.place)) for sensor in self._settings.sensors
        ]

    def _snapshot(self, peer: Peer, positions: Saved | None = None) -> Snapshot:
        """Everything as it is between two events, copied.

        A training that is under way is not part of it, on neither side of the model.
        """
        arrays: dict[str, Any] = prefixed("trainer", self._trained)
        arrays |= prefixed("watch", self._watch.to_arrays())
        arrays |= prefixed("peer", {"vector": peer.vector.copy(), "ages": peer.ages})
        # One that takes no part now still knows what it shared, and may take it back later.
        arrays |= kept.to_arrays(peer.kept if self._settings.antigens.use else self._antigens)
        small = {
            "fingerprint": self._fingerprint.text,
            "remembered": [[c.peer, list(c.addresses)] for c in peer.remembered],
            "sensors": self._pump.positions() if positions is None else positions,
            "incidents": self._alerter.saved(),
            "contributors": self._watch.contributors.saved(),
            "share_tail": self._settings.detector.share_tail,
            "scaling": self._settings.detector.scaling,
            **self._immune.saved(peer.antigens),
            **self._keeping.made(self._watch, self._reports.loss),
        }
        return Snapshot(peer.cycle, arrays, small)

    # What can change while it runs

    def reload(self, again: Callable[[], Settings]) -> str:
        """Read the settings with `again`, and take up what can change now; see `Reloader`."""
        refused = self._reloader.reload(again)
        self._settings = self._reloader.settings
        self._alerter.reload()
        return refused

    def _appliers(self) -> dict[str, Apply]:
        def learn(settings: Settings) -> None:
            self._watch.rebudget(settings.detector.budget)
            self._immune.reload(settings.antigens, settings.detector.budget)

        return {
            "alerts": self._alerter.apply,
            "detector.gap": self._alerter.apply,
            "detector.incident_max": self._alerter.apply,
            "detector.incidents_max": self._alerter.apply,
            "sensor": lambda settings: self._sensing.change(settings.sensors),
            "detector.budget": learn,
            "detector.share_tail": learn,  # `_after_training` looks at the settings each time
            "antigens.share": learn,
            "antigens.evidence_min": learn,
            "antigens.life": learn,
            "log": lambda settings: configure(settings.log.level, settings.log.format),
        }

    def _heed(self) -> None:
        """Learn from what analysts said, all of it."""
        self._keeping.verdicts(self._book)
        self._watch.hear(self._book.words())

    # The life of a node

    def stop(self) -> None:
        """Ask for a polite end; `run` returns within two seconds."""
        self._stopping.set()

    async def run(self, started: Callable[[Started], None] | None = None) -> None:
        """Run until `stop`; see `node.gateway.run`."""
        settings = self._settings
        psk = None if settings.node.psk_file is None else load_psk(settings.node.psk_file)
        transport_settings = TransportSettings(
            settings.node.listen, settings.node.announce, psk, self._limits
        )
        admit = self._keeping.excludes
        async with open_transport(transport_settings, self._identity, admit) as outer:
            transport = self._keeping.fenced(outer)
            head = self._head(transport)
            peer, journal = head.peer(self._seal), self._open_journal(head)
            self._immune.begin(self._antigens, self._wall_s(head))
            driver = Driver(
                peer,
                transport,
                train=lambda action: self._train(action, peer, self._wall_s(head)),
                report=self._reports.take,
                trained=lambda: self._after_training(peer, driver),
                record=self._keeping.recorder(
                    peer, None if journal is None else _recorder(journal)
                ),
                inbox_max=settings.limits.inbox_max,
            )
            self._keeping.begin(driver.shun)
            condition = Condition(
                settings,
                self._name,
                transport,
                driver,
                self._watch,
                self._intakes,
                self._reports,
                self._alerter,
                self._immune,
                health=self._health,
                pump=self._pump,
            )
            bootstrap = merge_contacts([parse_contact(a) for a in settings.node.bootstrap])
            others = tuple(c for c in bootstrap if c.peer != peer.me.peer and not admit(c.peer))
            start = Start(others, self._remembered, antigens=self._antigens)
            self._immune.tell(driver.present)
            async with trio.open_nursery() as nursery:
                desk = Desk(condition.document, self._alerter, self._book, self._heed)
                answer = partial(requests.answer, desk)
                await nursery.start(
                    partial(service.serve, settings.status_socket, desk.status, answer)
                )
                served = begin(settings, desk, nursery)
                found = Started(self._name, transport.peer, transport.addresses, served)
                _log.info("listening", peer=found.peer, addresses=list(found.addresses))
                if started is not None:
                    started(found)
                nursery.start_soon(self._stop_driver, driver)
                nursery.start_soon(self._saver.run)
                self._clock = ClockWatch(head.epoch_s, self._health)
                nursery.start_soon(self._clock.run)
                nursery.start_soon(self._tick)
                self._sensing.start(nursery, self._pump.attend)
                nursery.start_soon(self._pump.run)
                await driver.run(start)
                nursery.cancel_scope.cancel()
            self._pump.finish()
            self._alerter.close()
            if journal is not None:
                journal.close()
            self._keeping.close()
            self._store.save(self._snapshot(peer))
        _log.info("stopped", cycle=peer.cycle)

    def _head(self, transport: Transport) -> Head:
        """What the peer of this life is made of."""
        vector, ages, cycle = self._peer_state
        seed = os.urandom(32)  # whom it will choose must not be foreseeable
        me = Contact(transport.peer, transport.addresses)
        # Looked at once: a clock that is set later must not make antigens older or younger.
        epoch_s = time.time() - trio.current_time()
        sealed = self._settings.antigens.use
        return Head(self._config, me, seed, self._fingerprint, vector, ages, cycle, sealed, epoch_s)

    @staticmethod
    def _wall_s(head: Head) -> float:
        """Seconds since 1970, as the peer has it."""
        return head.epoch_s + trio.current_time()

    def _open_journal(self, head: Head) -> Journal | None:
        journal = self._settings.journal
        return None if journal.path is None else Journal(journal.path, head, journal.size_bytes_max)

    async def _tick(self) -> None:
        """Have alerts written that wait, also where no flows come."""
        while True:
            await trio.sleep(1.0)
            self._alerter.tick()

    async def _stop_driver(self, driver: Driver) -> None:
        await self._stopping.wait()
        driver.stop()

    def _judge(self, flows: list[Flow], now_ts_s: float | None, clock_ts_s: float | None) -> None:
        """Flows of all sensors. Their own time, not ours, says when an incident is over."""
        self._since_training += len(flows)
        self._watch.flooded = self._pressure.flooded
        serving = self._watch.serving  # it may give way to another because of these flows
        anomalies = self._watch.observe(flows)
        self._alerter.take(anomalies, serving, now_ts_s, flows, clock_ts_s)

    async def _pace(self) -> None:
        """Wait, while learning, until what was taken has been trained on."""
        while self._watch.state is State.LEARNING and self._since_training >= LEARNING_FLOWS_MAX:
            await self._next_training.wait()

    async def _train(self, action: Train, peer: Peer, now_s: float) -> Trained:
        await self._keeping.refresh()
        if self._pressure.look():
            self._pressure.paused()
            return Trained(action.cycle, None, 0, nan)
        trusted = self._keeping.trusted
        norms = trusted(peer.norms) if self._settings.detector.scaling == "mesh" else ()
        action = replace(action, antigens=trusted(action.antigens))
        plan = self._immune.plan(action, self._watch, trusted(peer.antigens), now_s, norms)
        done = await off_the_loop(partial(self._immune.carry_out, plan))
        self._immune.settle(done)
        self._watch.contributors.rehearsed(done.sources)
        self._keeping.antigens(done.seen)
        self._watch.guarding.suspects = done.suspects
        self._watch.scale_by(norms)  # only here: what is trained now serves with the same scaler
        batches = self._watch.batches(action.cycle, done.drawn)
        # Left behind when the node stops: `_snapshot` saves what the last training left.
        return await off_the_loop(partial(self._trainer.train, action, batches))

    def _after_training(self, peer: Peer, driver: Driver) -> None:
        """Serve the new model, and have everything saved as it is now, in one piece."""
        self._since_training = 0
        self._next_training.set()
        self._next_training = trio.Event()
        self._trained = self._trainer.to_arrays()
        if not self._pressure.flooded:  # what merges brought meanwhile serves after the flood
            mesh = None if (heard := peer.mesh) is None else MeshTail.of(*heard)
            self._watch.serve(self._trainer.whole(peer.vector), peer.cycle, mesh)
        driver.contribute(self._watch.told if self._settings.detector.share_tail else None)
        self._immune.tell(driver.present)
        self._pump.settle(lambda positions: self._saver.ask(self._snapshot(peer, positions)))


def _recorder(journal: Journal) -> Callable[[Event, int, Sequence[Action]], None]:
    def record(event: Event, now_us: int, actions: Sequence[Action]) -> None:
        if journal.ended:
            return
        journal.write(event, now_us, digest(actions))
        if journal.ended:
            _log.warning("nothing more is journalled", reason=journal.ended)

    return record
