"""The human form of a status document."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from node.logs import printable
from node.status.document import AlertsStatus, DetectorStatus, MeshStatus, SensorStatus, Status
from node.times import short_time

PEERS_LISTED = 12
_COLOURS = {"running": "green", "watching": "green", "isolated": "red"}


def render(status: Status) -> RenderableType:
    """Everything that `hedgerow status` shows, for a rich console."""
    parts: list[RenderableType] = [_node(status), _mesh(status.mesh), _detector(status.detector)]
    if status.sensors:
        parts.append(_sensors(status.sensors))
    parts.append(_alerts(status.alerts))
    return Group(*parts)


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


def _facts(title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _said(text: str) -> Text:
    """Text from elsewhere: no markup, no control characters."""
    return Text(printable(text))


def _state(state: str) -> Text:
    return Text(printable(state), style=_COLOURS.get(state, "yellow"))


def _counts(counts: dict[str, int]) -> Text:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return _said(", ".join(f"{name} {count:,}" for name, count in ordered) or "none")


def _node(status: Status) -> Table:
    table = _facts(printable(status.software).capitalize())
    state = _state(status.state)
    if status.detail:
        state.append(f"  {printable(status.detail)}", style="default")
    table.add_row("gateway", _said(status.name))
    table.add_row("state", state)
    table.add_row("peer", _said(status.peer))
    join = [f"{address}/p2p/{status.peer}" for address in status.addresses]
    table.add_row("join by", _said("\n".join(join) or "—"))
    table.add_row("uptime", f"{duration_text(status.uptime_s)} (pid {status.pid})")
    return table


def _mesh(mesh: MeshStatus) -> Table:
    table = _facts("Mesh")
    connected = sum(peer.connected for peer in mesh.peers)
    shown = [f"{peer.peer} {' '.join(peer.addresses)}" for peer in mesh.peers[:PEERS_LISTED]]
    more = len(mesh.peers) - len(shown)
    table.add_row("peers", f"{len(mesh.peers)} known, {connected} connected")
    table.add_row("", _said("\n".join([*shown, *([f"and {more} more"] if more > 0 else [])])))
    table.add_row("cycle", f"{mesh.cycle:,}")
    ages = f"{min(mesh.ages):,} to {max(mesh.ages):,} updates" if mesh.ages else "—"
    table.add_row("model's age", ages)
    table.add_row("exchange", _said(f"{mesh.exchange}, {mesh.merges:,} models merged"))
    table.add_row("bytes", f"{bytes_text(mesh.bytes_in)} in, {bytes_text(mesh.bytes_out)} out")
    table.add_row("refused", _counts(mesh.refusals))
    table.add_row("refused by", _counts(mesh.refused_by))
    table.add_row("shed", _counts(mesh.shed))
    table.add_row("faulty peers", f"{mesh.remote_faults:,}")
    return table


def _detector(detector: DetectorStatus) -> Table:
    table = _facts("Detector")
    calibration = f"{detector.calibration_flows:,} of {detector.calibration_flows_needed:,} flows"
    interval = ""
    if detector.false_alarm_share_low is not None:
        low, high = detector.false_alarm_share_low, detector.false_alarm_share_high
        interval = f" (95 %: {share_text(low)} to {share_text(high)})"
    threshold = "—" if detector.threshold is None else f"{detector.threshold:.4g}"
    table.add_row("state", _state(detector.state))
    table.add_row("calibration", calibration)
    table.add_row("threshold", f"{threshold} for a budget of {share_text(detector.budget)}")
    table.add_row("false alarms", share_text(detector.false_alarm_share) + interval)
    seen = f"{detector.flows_seen:,} seen, {detector.flows_anomalous:,} anomalous"
    table.add_row("flows", seen)
    table.add_row("model", _said(detector.model or "—"))
    table.add_row("loss", "—" if detector.loss is None else f"{detector.loss:.4g}")
    return table


def _sensors(sensors: tuple[SensorStatus, ...]) -> Table:
    table = Table(title="Sensors", title_justify="left", box=None, padding=(0, 2))
    for heading in ("kind", "log", "flows", "bad lines", "last flow"):
        table.add_column(heading, overflow="fold", header_style="dim")
    for sensor in sensors:
        table.add_row(
            _said(sensor.kind),
            _said(sensor.path),
            f"{sensor.flows:,}",
            f"{sensor.bad_lines:,}",
            short_time(sensor.last_flow_ts_s),
        )
    return table


def _alerts(alerts: AlertsStatus) -> RenderableType:
    counts = (
        f"{alerts.written:,} written, {alerts.suppressed:,} over the rate limit, "
        f"{alerts.failed:,} lost; {alerts.incidents_open:,} incidents open"
    )
    table = Table(title=f"Alerts: {counts}", title_justify="left", box=None, padding=(0, 2))
    for heading in ("last seen", "source", "family", "flows", "score", "state"):
        table.add_column(heading, overflow="fold", header_style="dim")
    for alert in alerts.last:
        table.add_row(
            short_time(alert.last_seen_ts_s),
            _said(alert.source),
            _said(alert.family),
            f"{alert.flows:,}",
            f"{alert.score_max:.3g}",
            "open" if alert.open else "closed",
        )
    return table
