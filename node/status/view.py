"""The human form of a status document.

Lines are as long as what they say: an address or a path is never broken, so that it can be copied.
"""

import time
from collections.abc import Iterator, Sequence

from rich.text import Text

from node.logs import printable
from node.status.document import (
    AlertsStatus,
    AntigensStatus,
    DetectorStatus,
    FloodStatus,
    MeshStatus,
    SensorStatus,
    ServiceStatus,
    Status,
)
from node.times import short_time

PEERS_LISTED = 12
_INDENT = " " * 2
_GAP = 4
_STATES = {"quarantined": "red", "waiting": "yellow", "own": "dim"}
_COLOURS = {"running": "green", "watching": "green", "isolated": "red"}

Cell = str | Text


def render(status: Status) -> Text:
    """Everything that `hedgerow status` shows; print it with `soft_wrap=True`.

    Whatever came from elsewhere is without markup and control characters. No line ends in blanks.
    """
    lines = [
        *_node(status),
        *_mesh(status.mesh),
        *_detector(status.detector),
        *_antigens(status.antigens, time.time()),
        *(_sensors(status.sensors) if status.sensors else ()),
        *_flood(status.flood),
        *_alerts(status.alerts),
        *_service(status.service),
    ]
    return Text("\n").join(lines)


def antigens(found: AntigensStatus, now_s: float) -> Text:
    """What `hedgerow antigens list` shows; `now_s` is in seconds since 1970."""
    return Text("\n").join(_antigens(found, now_s))


def bytes_text(count: int) -> str:
    """A byte count in the decimal unit that keeps it short: 1.5 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1_000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1_000
    return f"{value:.1f} TB"


def duration_text(duration_s: float) -> str:
    """A duration in its two largest units: 3 d 4 h."""
    left = int(duration_s)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def share_text(share: float | None) -> str:
    """A share in per cent, or a dash."""
    return "—" if share is None else f"{share * 100:.2f} %"


def _said(text: str, style: str = "") -> Text:
    """Text from elsewhere: no markup, no control characters."""
    return Text(printable(text), style=style)


def facts_of(title: str, facts: Sequence[tuple[str, Cell | Sequence[Cell]]]) -> Iterator[Text]:
    """Labels and what stands beside them; a fact of several parts has a line for each."""
    yield _said(title, "italic")
    rows: list[tuple[Cell, ...]] = []
    for label, fact in facts:
        parts = [fact] if isinstance(fact, str | Text) else fact
        labels = [label] + [""] * (len(parts) - 1)
        rows += [(_said(name, "dim"), part) for name, part in zip(labels, parts, strict=True)]
    yield from _columns(rows)


def table_of(
    title: str, headings: Sequence[str], rows: Sequence[tuple[Cell, ...]]
) -> Iterator[Text]:
    """Rows of a table under their headings."""
    yield _said(title, "italic")
    yield from _columns([tuple(_said(heading, "dim") for heading in headings), *rows])


def _columns(rows: Sequence[tuple[Cell, ...]]) -> Iterator[Text]:
    texts = [[_said(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max(cell.cell_len for cell in column) for column in zip(*texts, strict=True)]
    for row in texts:
        line = Text(_INDENT)
        for cell, width in zip(row, widths, strict=True):
            line.append_text(cell).append(" " * (width - cell.cell_len + _GAP))
        line.rstrip()
        yield line


def _state(state: str) -> Text:
    return _said(state, _COLOURS.get(state, "yellow"))


def _counts(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:,}" for name, count in ordered) or "none"


def _node(status: Status) -> Iterator[Text]:
    state = _state(status.state)
    if status.detail:
        state.append(f"  {printable(status.detail)}", style="default")
    join = [f"{address}/p2p/{status.peer}" for address in status.addresses]
    return facts_of(
        status.software.capitalize(),
        [
            ("gateway", status.name),
            ("state", state),
            ("peer", status.peer),
            ("join by", join or "—"),
            ("uptime", f"{duration_text(status.uptime_s)} (pid {status.pid})"),
        ],
    )


def _mesh(mesh: MeshStatus) -> Iterator[Text]:
    connected = sum(peer.connected for peer in mesh.peers)
    peers = [f"{len(mesh.peers)} known, {connected} connected"]
    peers += [" ".join((peer.peer, *peer.addresses)) for peer in mesh.peers[:PEERS_LISTED]]
    if len(mesh.peers) > PEERS_LISTED:
        peers.append(f"and {len(mesh.peers) - PEERS_LISTED} more")
    ages = f"{min(mesh.ages):,} to {max(mesh.ages):,} updates" if mesh.ages else "—"
    return facts_of(
        "Mesh",
        [
            ("peers", peers),
            ("cycle", f"{mesh.cycle:,}"),
            ("model's age", ages),
            ("exchange", f"{mesh.exchange}, {mesh.merges:,} models merged"),
            ("bytes", f"{bytes_text(mesh.bytes_in)} in, {bytes_text(mesh.bytes_out)} out"),
            ("refused", _counts(mesh.refusals)),
            ("refused by", _counts(mesh.refused_by)),
            ("shed", _counts(mesh.shed)),
            ("faulty peers", f"{mesh.remote_faults:,}"),
        ],
    )


def _detector(detector: DetectorStatus) -> Iterator[Text]:
    calibration = f"{detector.calibration_flows:,} of {detector.calibration_flows_needed:,} flows"
    interval = ""
    if detector.false_alarm_share_low is not None:
        low, high = detector.false_alarm_share_low, detector.false_alarm_share_high
        interval = f" (95 %: {share_text(low)} to {share_text(high)})"
    measured = share_text(detector.false_alarm_share) + interval
    threshold = "—" if detector.threshold is None else f"{detector.threshold:.4g}"
    budget = share_text(detector.budget)
    if detector.budget_a_day is not None:
        budget += f", {detector.budget_a_day:,.0f} alarms a day"
    rests_on = ""
    if detector.threshold_flows:
        lent = detector.threshold_flows_lent
        rests_on = f", by {detector.threshold_flows:,} own flows"
        rests_on += f" and {lent:,} of the mesh" if lent else ""
    return facts_of(
        "Detector",
        [
            ("state", _state(detector.state)),
            ("calibration", calibration),
            ("threshold", f"{threshold} for a budget of {budget}{rests_on}"),
            ("false alarms", [measured, *_expected(detector)]),
            ("budget", [*_standing(detector)]),
            ("flows", f"{detector.flows_seen:,} seen, {detector.flows_anomalous:,} anomalous"),
            ("model", detector.model or "—"),
            ("scaled by", _scaling(detector)),
            ("loss", "—" if detector.loss is None else f"{detector.loss:.4g}"),
        ],
    )


def _scaling(detector: DetectorStatus) -> str:
    if detector.scaling == "own":
        return "this gateway's own flows"
    return f"what {detector.scaling_norms:,} gateways told of theirs"


def _standing(detector: DetectorStatus) -> Iterator[Text]:
    since = ""
    if detector.standing_since_ts_s is not None:
        since = f", since {short_time(detector.standing_since_ts_s)}"
    if detector.standing == "fallen back":
        yield _said(f"the last good model serves{since}: {detector.breach}", "red")
    elif detector.breach:
        yield _said(f"in doubt{since}: {detector.breach}", "yellow")
    elif detector.standing == "proven":
        yield _said(f"kept{since}")
    else:
        yield _said("not yet proven to be kept")
    if detector.breaches:
        yield _said(
            f"{_counts({'breaches': detector.breaches, 'fallen back': detector.fall_backs})}, "
            f"calibrated anew {detector.recalibrations:,}, new models proven {detector.returns:,}"
        )


def _expected(detector: DetectorStatus) -> Iterator[str]:
    if detector.expected_share_low is None:
        return
    low, high = detector.expected_share_low, detector.expected_share_high
    a_day = ""
    if detector.expected_a_day_low is not None and detector.expected_a_day_high is not None:
        a_day = f": {detector.expected_a_day_low:,.0f} to {detector.expected_a_day_high:,.0f} a day"
    yield f"expected {share_text(low)} to {share_text(high)}{a_day}"


def _antigens(found: AntigensStatus, now_s: float) -> Iterator[Text]:
    counts: dict[str, int] = {}
    for each in found.held:
        counts[each.state] = counts.get(each.state, 0) + 1
    part = "own are shared" if found.share else "own are not shared" if found.use else "not used"
    title = f"Antigens: {len(found.held)} held ({_counts(counts)}); {part}"
    if not found.held:
        return iter((_said(title, "italic"),))
    rows: list[tuple[Cell, ...]] = [
        (
            each.id,
            each.family,
            _said(each.state, _STATES.get(each.state, "")),
            f"{each.evidence:,}",
            duration_text(max(0.0, now_s - each.created_s)),
            short_time(each.expires_s),
            share_text(each.false_alarms),
            each.origin,
            each.reason,  # last: it may be long
        )
        for each in found.held
    ]
    headings = ("id", "family", "state", "rows", "age", "expires", "alarms", "origin", "reason")
    return table_of(title, headings, rows)


def _sensors(sensors: tuple[SensorStatus, ...]) -> Iterator[Text]:
    rows: list[tuple[Cell, ...]] = [
        (
            sensor.kind,
            f"{sensor.received:,}",
            f"{sensor.flows:,}",
            f"{sensor.bad_lines + sensor.refused:,}",
            f"{sensor.lost:,}",
            f"{sensor.dropped:,}",
            f"{sensor.shed:,}",
            short_time(sensor.last_flow_ts_s),
            sensor.path,  # last: it may be long, and pushes nothing aside there
        )
        for sensor in sensors
    ]
    headings = ("kind", "received", "flows", "bad", "lost", "dropped", "shed", "last flow", "where")
    return table_of("Sensors", headings, rows)


def _flood(flood: FloodStatus) -> Iterator[Text]:
    """Only once there was one, or something was shed."""
    if not flood.floods and not flood.shed:
        return iter(())
    since = "" if flood.since_s is None else f" for {duration_text(flood.since_s)}"
    now = _said(f"now{since}: training pauses", "red") if flood.now else _said("over")
    counts = (
        f"{flood.floods:,} with {flood.flows:,} flows; {flood.shed:,} flows shed in all, "
        f"{flood.waiting:,} waiting; {flood.pauses:,} trainings left out"
    )
    return facts_of("Floods", [("state", now), ("counts", counts)])


def _alerts(alerts: AlertsStatus) -> Iterator[Text]:
    counts = (
        f"{alerts.written:,} written, {alerts.suppressed:,} over the rate limit, "
        f"{alerts.failed:,} lost; {alerts.incidents_open:,} incidents open"
    )
    if alerts.waiting:
        counts += f"; {alerts.waiting:,} wait for the disk"
    if alerts.rules or alerts.muted:
        counts += f"; {alerts.muted:,} held back by {alerts.rules:,} suppress rules"
    if alerts.rules_refused:
        counts += f"; new rules are refused: {alerts.rules_refused}"
    rows: list[tuple[Cell, ...]] = [
        (
            short_time(alert.last_seen_ts_s),
            alert.source,
            alert.family,
            f"{alert.flows:,}",
            f"{alert.score_max:.3g}",
            "open" if alert.open else "closed",
        )
        for alert in alerts.last
    ]
    headings = ("last seen", "source", "family", "flows", "score", "state")
    return table_of(f"Alerts: {counts}", headings, rows)


def _service(service: ServiceStatus) -> Iterator[Text]:
    """Only what is out of order: of a service that does its work there is nothing to say."""
    facts: list[tuple[str, Cell]] = []
    if service.not_saved:
        missed = f"{service.not_saved_cycles:,} trainings are in memory alone: {service.not_saved}"
        facts.append(("disk", _said(missed, "red")))
    if service.clock:
        facts.append(("clock", _said(service.clock, "yellow")))
    if service.reload_refused:
        facts.append(("settings", _said(f"not reloaded: {service.reload_refused}", "red")))
    if service.restart_for:
        keys = ", ".join(service.restart_for)
        facts.append(
            ("restart", _said(f"the file has another {keys}; restart to use it", "yellow"))
        )
    return facts_of("Service", facts) if facts else iter(())
