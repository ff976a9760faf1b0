"""How a running node is: the status document, put together on demand."""

import os
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import trio

from gossip.actions import Topic
from gossip.contacts import PeerId
from gossip.learning.beta import clopper_pearson
from node.alerts.alerter import Alerter
from node.antigens.immune import Immune
from node.config.settings import Settings
from node.driver import Driver
from node.intake.pump import Pump
from node.intake.queue import Lane
from node.intake.source import Source
from node.p2p.stats import Traffic
from node.p2p.transport import Transport
from node.service.health import Health
from node.status.document import (
    DetectorStatus,
    FloodStatus,
    MeshStatus,
    PeerStatus,
    SensorStatus,
    Status,
)
from node.status.reports import Reports
from node.watch.watch import Watch

PEERS_SHOWN = 64


def software() -> str:
    """Name and version, as installed."""
    try:
        return f"hedgerow {version('hedgerow')}"
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return "hedgerow (not installed)"


@dataclass(frozen=True, slots=True)
class Condition:
    """The parts of a node, to be read and never changed."""

    settings: Settings
    name: str
    transport: Transport
    driver: Driver
    watch: Watch
    intakes: list[Source]
    reports: Reports
    alerter: Alerter
    immune: Immune
    since: float = field(default_factory=trio.current_time)
    health: Health = field(default_factory=Health)
    pump: Pump | None = None

    def document(self) -> Status:
        """The node as it is now."""
        state, detail = self._state()
        return Status(
            name=self.name,
            peer=self.transport.peer,
            pid=os.getpid(),
            software=software(),
            state=state,
            uptime_s=trio.current_time() - self.since,
            detail=detail,
            addresses=self.transport.addresses,
            mesh=self._mesh(),
            sensors=tuple(self._sensor(source) for source in self.intakes),
            flood=FloodStatus() if self.pump is None else self.pump.status(),
            detector=self._detector(),
            antigens=self.immune.status(self.driver.peer.antigens),
            alerts=self.alerter.status(),
            service=self.health.status(),
        )

    def _sensor(self, source: Source) -> SensorStatus:
        place, stats = source.settings.place, source.stats
        lane = Lane() if self.pump is None else self.pump.lane(source)
        return SensorStatus(
            source.settings.kind,
            place,
            stats.flows,
            stats.bad,
            source.last_ts,
            judged=lane.judged,
            shed=lane.shed,
            received=stats.received or stats.lines,
            refused=stats.refused,
            dropped=stats.dropped,
            lost=stats.lost,
        )

    def _state(self) -> tuple[str, str]:
        if self.driver.peer.view:
            return "running", ""
        if self.reports.waiting_for:
            joined = self.reports.counts[Topic.JOINED]
            trouble = f"; last answer: {self.reports.trouble}" if self.reports.trouble else ""
            return ("isolated" if joined else "joining"), self.reports.waiting_for + trouble
        return "running", "no peer is known yet; others can join by this node's addresses"

    def _mesh(self) -> MeshStatus:
        peer, reports, stats = self.driver.peer, self.reports, self.transport.stats
        connected = self.transport.peers()
        known = {c.peer: c.addresses for c in peer.view}
        everybody = [*known, *(p for p in connected if p not in known)]
        return MeshStatus(
            peers=tuple(self._peer(p, known, connected) for p in everybody[:PEERS_SHOWN]),
            cycle=peer.cycle,
            ages=tuple(int(age) for age in peer.ages),
            exchange=self.settings.mesh.exchange.value,
            bytes_in=stats.wire_bytes_in,
            bytes_out=stats.wire_bytes_out,
            merges=reports.counts[Topic.MERGED],
            refusals=dict(reports.refused),
            refused_by=dict(reports.refused_by),
            shed=dict(reports.shed + self.driver.shed),
            remote_faults=reports.counts[Topic.REMOTE_FAULT] + sum(stats.faults.values()),
        )

    def _peer(
        self, peer: PeerId, known: dict[PeerId, tuple[str, ...]], connected: tuple[PeerId, ...]
    ) -> PeerStatus:
        came = self.reports.by_peer.get(peer) or Counter[Topic]()
        traffic = self.transport.stats.by_peer.get(peer) or Traffic()
        return PeerStatus(
            peer,
            known.get(peer, ()),
            peer in connected,
            merges=came[Topic.MERGED],
            antigens=came[Topic.ANTIGEN],
            faults=came[Topic.REMOTE_FAULT],
            frames_in=traffic.frames_in,
            frames_out=traffic.frames_out,
            bytes_in=traffic.bytes_in,
            bytes_out=traffic.bytes_out,
            heard_s=None if traffic.last_s is None else trio.current_time() - traffic.last_s,
            in_view=peer in known,
        )

    def _detector(self) -> DetectorStatus:
        watch, serving = self.watch, self.watch.serving
        alarms, held = watch.realised_rate()
        low, high = clopper_pearson(alarms, held) if held else (None, None)
        calibrated = serving is not None and watch.state.value == "watching"
        threshold = serving.calibration if serving is not None and calibrated else None
        expected = (None, None) if threshold is None else threshold.rate
        a_day = [None if rate is None else watch.seen.alarms_a_day(rate) for rate in expected]
        return DetectorStatus(
            state=watch.state.value,
            model="" if serving is None else f"{serving.cycle}-{serving.digest}",
            loss=self.reports.loss,
            flows_seen=watch.seen.flows,
            flows_anomalous=watch.seen.anomalous,
            calibration_flows=watch.calibration_rows,
            calibration_flows_needed=watch.calibration_rows_needed,
            budget=watch.budget,
            budget_a_day=watch.seen.alarms_a_day(watch.budget),
            threshold=None if threshold is None else threshold.threshold,
            threshold_flows=0 if threshold is None else threshold.rows,
            threshold_flows_lent=0 if threshold is None else int(threshold.borrowed),
            expected_share_low=expected[0],
            expected_share_high=expected[1],
            expected_a_day_low=a_day[0],
            expected_a_day_high=a_day[1],
            scaling="own" if serving is None or not serving.norms else "mesh",
            scaling_norms=0 if serving is None else serving.norms,
            standing=watch.guarding.guard.standing.value,
            breach=watch.guarding.guard.reason or "",
            standing_since_ts_s=watch.guarding.since_ts_s,
            breaches=watch.guarding.acts.breaches,
            fall_backs=watch.guarding.acts.fall_backs,
            recalibrations=watch.guarding.acts.recalibrations,
            returns=watch.guarding.acts.returns,
            false_alarm_share=alarms / held if held and calibrated else None,
            false_alarm_share_low=low if calibrated else None,
            false_alarm_share_high=high if calibrated else None,
        )
