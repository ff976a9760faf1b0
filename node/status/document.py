"""What a node tells about itself."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from gossip.errors import StateError

VERSION = 1


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer that we are connected to or hold in the view, and what came from it since the start.

    Args:
        merges: models of its that were merged.
        antigens: taken from it, its own and those that it passed on.
        faults: times that it broke the protocol.
        frames_in: received from it, with bytes_in of payload; frames_out and bytes_out likewise.
        heard_s: seconds since its last frame; None where none came.
        in_view: whether it is in the view, and may be chosen to exchange with.
    """

    peer: str
    addresses: tuple[str, ...] = ()
    connected: bool = False
    merges: int = 0
    antigens: int = 0
    faults: int = 0
    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    heard_s: float | None = None
    in_view: bool = False


@dataclass(frozen=True, slots=True)
class MeshStatus:
    """The protocol's side.

    Args:
        peers: the view, and whoever else is connected; at most 64.
        cycle: own cycle.
        ages: updates absorbed by each fragment of the model.
        exchange: name of the algorithm.
        bytes_in: payload and framing received since the start; bytes_out sent.
        merges: models merged since the start.
        refusals: peers refused, by reason.
        refused_by: peers that refused us, by reason.
        shed: messages and events dropped over a bound, by kind.
        remote_faults: peers that broke the protocol.
    """

    peers: tuple[PeerStatus, ...] = ()
    cycle: int = 0
    ages: tuple[int, ...] = ()
    exchange: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    merges: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    refused_by: dict[str, int] = field(default_factory=dict)
    shed: dict[str, int] = field(default_factory=dict)
    remote_faults: int = 0


@dataclass(frozen=True, slots=True)
class FloodStatus:
    """More flows than the gateway should spend its time on, see `node.watch.pressure`.

    Args:
        now: whether there is a flood; since_s ago, None without one.
        floods: since the start, the present one included.
        flows: that came in them.
        shed: flows let fall since the start, in floods or not.
        waiting: handed over by a sensor and not judged yet.
        pauses: trainings that were left out.
    """

    now: bool = False
    since_s: float | None = None
    floods: int = 0
    flows: int = 0
    shed: int = 0
    waiting: int = 0
    pauses: int = 0


@dataclass(frozen=True, slots=True)
class SensorStatus:
    """One sensor: what was read of it, and what could not be.

    Args:
        judged: flows that the detector has seen; shed, those let fall because too many came. What
            is left of flows, waits.
        received: lines, datagrams or packets; refused of the latter two could not be read, or were
            not to be taken; dropped are those that the kernel let fall because nobody fetched them
            in time.
        lost: exports that never arrived, by the exporter's own numbers.
    """

    kind: str
    path: str
    flows: int = 0
    bad_lines: int = 0
    last_flow_ts_s: float | None = None
    judged: int = 0
    shed: int = 0
    received: int = 0
    refused: int = 0
    dropped: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class DetectorStatus:
    """The detector's side.

    Args:
        state: "learning" until calibrated, then "watching".
        model: its cycle and digest.
        loss: of the last training; None before it.
        flows_seen: since the start, while learning too; flows_anomalous of them were over the
            threshold.
        calibration_flows: held now; calibration_flows_needed before alerts are raised.
        budget: share of benign flows that may be false alarms; budget_a_day the same in alarms a
            day, at the rate at which flows came since the start; None for the first minute.
        threshold: score above which a flow is anomalous; None while learning.
        threshold_flows: own flows that it rests on; threshold_flows_lent, for how many more the
            mesh's word counts.
        expected_share_low: end of the 95 % interval of the false-alarm rate that the calibration
            promises, and expected_share_high the other; None while learning.
        expected_a_day_low: the same in false alarms a day, as budget_a_day has it, and
            expected_a_day_high.
        scaling: "mesh" where the model that serves was trained on features scaled by what other
            gateways told of theirs, else "own"; scaling_norms, of how many gateways, this one
            included.
        standing: "proven" where flows believed benign alarmed no more often than the calibration
            promises, in as many as it takes to tell; "unproven" until then, and after a breach;
            "fallen back" where a newer model broke the promise and an older, proven one serves.
        breach: what spoke against it last, until it is proven again; else empty.
        standing_since_ts_s: since when it stands so or, if that was later, when the last breach
            was, by the flows' own time, s since 1970; None at first.
        breaches: times that the budget was found not kept, since the start.
        fall_backs: of these, those on which the last good model took over; recalibrations, those on
            which the threshold was made anew with recent flows.
        returns: times that a new model proved itself and took over from the last good one.
        false_alarm_share: measured on held-out flows; None where there are none.
        false_alarm_share_low: end of its 95 % interval, and false_alarm_share_high the other.
    """

    state: str = "learning"
    model: str = ""
    loss: float | None = None
    flows_seen: int = 0
    flows_anomalous: int = 0
    calibration_flows: int = 0
    calibration_flows_needed: int = 0
    budget: float = 0.0
    budget_a_day: float | None = None
    threshold: float | None = None
    threshold_flows: int = 0
    threshold_flows_lent: int = 0
    expected_share_low: float | None = None
    expected_share_high: float | None = None
    expected_a_day_low: float | None = None
    expected_a_day_high: float | None = None
    scaling: str = "own"
    scaling_norms: int = 0
    standing: str = "unproven"
    breach: str = ""
    standing_since_ts_s: float | None = None
    breaches: int = 0
    fall_backs: int = 0
    recalibrations: int = 0
    returns: int = 0
    false_alarm_share: float | None = None
    false_alarm_share_low: float | None = None
    false_alarm_share_high: float | None = None


@dataclass(frozen=True, slots=True)
class AntigenStatus:
    """One antigen that is held.

    Args:
        id: 16 hexadecimal digits, by which it is approved.
        family: the attack that it speaks of.
        origin: the peer that made it.
        evidence: rows that it was made of.
        created_s: seconds since 1970; expires_s likewise.
        state: "own"; "used", "known" (used beside rows of its own), "part" (used without the
            components that cost too much), "vouched" (other origins say the same) or "approved" (by
            the operator), which are learnt from; "quarantined";
            "waiting" for the next training.
        false_alarms: share of own benign flows that it would make alarm, estimated; None where
            none was measured.
        reason: why it is in this state.
        bytes: of it as it travels; 0 where an earlier release saved it.
    """

    id: str
    family: str
    origin: str
    evidence: int
    created_s: int
    expires_s: int
    state: str
    false_alarms: float | None = None
    reason: str = ""
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class AntigensStatus:
    """Antigens: whether the gateway takes part, whether it shares its own, and all it holds."""

    use: bool = True
    share: bool = False
    held: tuple[AntigenStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertStatus:
    """One incident, open or closed, with its growth since its alert was written."""

    incident: str
    family: str
    source: str
    flows: int
    score_max: float
    first_seen_ts_s: float
    last_seen_ts_s: float
    open: bool = True


@dataclass(frozen=True, slots=True)
class AlertsStatus:
    """Alerts written, held back by the rate limit, lost to a disk that refused them, or waiting.

    Args:
        muted: incidents held back by a suppress rule since the start.
        rules: suppress rules that hold; rules_refused: why those in the file now do not.
    """

    path: str = ""
    written: int = 0
    suppressed: int = 0
    failed: int = 0
    incidents_open: int = 0
    last: tuple[AlertStatus, ...] = ()
    waiting: int = 0
    muted: int = 0
    rules: int = 0
    rules_refused: str = ""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How the node fares on its machine.

    Args:
        reloads: times that changed settings were taken up while it ran.
        reload_refused: why the last reload was refused; empty where it was not.
        restart_for: keys that differ in the settings file and wait for a restart.
        not_saved: why what is learnt is not saved now; empty where it is.
        not_saved_cycles: trainings since the last one that was saved.
        clock: what is wrong with the wall clock; empty where nothing is.
    """

    reloads: int = 0
    reload_refused: str = ""
    restart_for: tuple[str, ...] = ()
    not_saved: str = ""
    not_saved_cycles: int = 0
    clock: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The whole document. Counters start at zero with the process.

    Args:
        version: of this document; grows when a field changes its meaning.
        name: the gateway's.
        peer: own identity.
        state: "joining", "running" or "isolated".
        detail: what it waits for, where it waits.
        addresses: to join by, with the identity.
    """

    name: str
    peer: str
    pid: int
    software: str
    state: str
    uptime_s: float
    detail: str = ""
    addresses: tuple[str, ...] = ()
    mesh: MeshStatus = field(default_factory=MeshStatus)
    sensors: tuple[SensorStatus, ...] = ()
    detector: DetectorStatus = field(default_factory=DetectorStatus)
    flood: FloodStatus = field(default_factory=FloodStatus)
    antigens: AntigensStatus = field(default_factory=AntigensStatus)
    alerts: AlertsStatus = field(default_factory=AlertsStatus)
    version: int = VERSION
    service: ServiceStatus = field(default_factory=ServiceStatus)


def parse(document: dict[str, Any]) -> Status:
    """The document as `fetch` gives it, with its types checked; unknown fields are ignored.

    Raises:
        StateError: a field is missing or of the wrong type.
    """
    try:
        return msgspec.convert(document, Status)
    except msgspec.ValidationError as error:
        raise StateError(
            f"status: {error}; is this hedgerow of the same version as the node's?"
        ) from error
