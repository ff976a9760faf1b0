"""The first page: is all well, what was seen, what needs a look."""

from collections.abc import Iterator

from node.status.document import DetectorStatus, Status
from node.status.view import bytes_text, duration_text, share_text
from node.web.layout import View, notice, section, table
from node.web.markup import Markup, Node, el
from node.web.pages import incidents
from node.web.wording import badge, number, pairs, several, when

INCIDENTS_SHOWN = 5


def body(view: View) -> Node:
    """What stands on it."""
    status = view.status
    return [
        el("h1", "Overview"),
        *_troubles(status),
        el(
            "div",
            section("Detector", _detector(status.detector)),
            section("False alarms", _budget(status.detector)),
            section("Mesh", _mesh(status)),
            section(
                "Latest incidents", incidents.listed(view.incidents[:INCIDENTS_SHOWN]), wide=True
            ),
            section("Sensors", _sensors(status), wide=True),
            section("Node", _node(status), wide=True),
            class_="cards",
        ),
    ]


def _troubles(status: Status) -> Iterator[Markup]:
    detector, service, alerts = status.detector, status.service, status.alerts
    if status.detail:
        yield notice("warn", status.detail)
    if detector.breach:
        yield notice("warn", f"The budget may not be kept: {detector.breach}")
    if status.flood.now:
        yield notice(
            "warn",
            "A flood: more flows come than can be judged. A sample is, training pauses, and ",
            f"{status.flood.shed:,} were let fall so far.",
        )
    if service.not_saved:
        yield notice(
            "bad",
            f"Nothing is saved since {several(service.not_saved_cycles, 'training')}: ",
            service.not_saved,
        )
    if service.clock:
        yield notice("bad", f"The clock: {service.clock}")
    if service.reload_refused:
        yield notice("warn", f"The changed settings were refused: {service.reload_refused}")
    if service.restart_for:
        yield notice("warn", f"Settings that wait for a restart: {', '.join(service.restart_for)}")
    if alerts.failed:
        yield notice(
            "bad", f"{several(alerts.failed, 'alert')} could not be written to {alerts.path}"
        )
    if not status.sensors:
        yield notice("warn", "No sensor is given: this node passes models on but sees no traffic.")


def _detector(detector: DetectorStatus) -> Markup:
    watching = detector.state == "watching"
    needed = max(1, detector.calibration_flows_needed)
    have = min(detector.calibration_flows, needed)
    share = int(100 * have / needed)
    rests_on = f"{detector.threshold_flows:,} own flows"
    if detector.threshold_flows_lent:
        rests_on += f" and {detector.threshold_flows_lent:,} by the mesh's word"
    return pairs(
        ("State", badge(detector.state, "good" if watching else "warn")),
        (
            "Calibration",
            [
                el("progress", f"{share} %", value=have, max=needed, aria_label="Calibration"),
                f" {detector.calibration_flows:,} of {detector.calibration_flows_needed:,} flows",
            ],
        ),
        ("Threshold", number(detector.threshold)),
        ("It rests on", rests_on if detector.threshold_flows else "—"),
        ("Flows", f"{detector.flows_seen:,} seen, {detector.flows_anomalous:,} anomalous"),
        ("Model", el("code", detector.model or "—")),
        ("Training loss", number(detector.loss)),
    )


def _budget(detector: DetectorStatus) -> Markup:
    standings = {
        "proven": badge("kept", "good"),
        "unproven": badge("not yet proven", "warn"),
        "fallen back": badge("the last good model serves", "bad"),
    }
    budget = share_text(detector.budget)
    if detector.budget_a_day is not None:
        budget += f", {detector.budget_a_day:,.0f} a day"
    measured = share_text(detector.false_alarm_share)
    if detector.false_alarm_share_low is not None:
        low, high = detector.false_alarm_share_low, detector.false_alarm_share_high
        measured += f" (95 %: {share_text(low)} to {share_text(high)})"
    promised = "—"
    if detector.expected_share_low is not None:
        low, high = detector.expected_share_low, detector.expected_share_high
        promised = f"{share_text(low)} to {share_text(high)}"
    doubt = badge("in doubt", "warn")
    standing = doubt if detector.breach else standings.get(detector.standing, detector.standing)
    if detector.standing == "fallen back":
        standing = standings["fallen back"]
    acts = (
        f"{detector.breaches:,} breaches, {detector.fall_backs:,} fallen back, "
        f"{detector.recalibrations:,} calibrated anew"
    )
    return pairs(
        ("Budget", budget),
        ("Promised", promised),
        ("Measured", measured),
        ("Standing", standing),
        ("Since", when(detector.standing_since_ts_s)),
        ("So far", acts),
    )


def _mesh(status: Status) -> Markup:
    mesh = status.mesh
    connected = sum(peer.connected for peer in mesh.peers)
    antigens = len(status.antigens.held)
    return pairs(
        (
            "Neighbours",
            el("a", f"{connected} connected, {len(mesh.peers)} known", href="/neighbours"),
        ),
        ("Models merged", f"{mesh.merges:,}"),
        ("Antigens held", el("a", f"{antigens:,}", href="/antigens")),
        ("Received", bytes_text(mesh.bytes_in)),
        ("Sent", bytes_text(mesh.bytes_out)),
        ("Cycle", f"{mesh.cycle:,}"),
    )


def _node(status: Status) -> Markup:
    join = [
        el("code", f"{address}/p2p/{status.peer}", class_="long") for address in status.addresses
    ]
    return pairs(
        ("State", badge(status.state, "good" if status.state == "running" else "warn")),
        ("Peer", el("code", status.peer, class_="long")),
        ("Join by", join or "—"),
        ("Uptime", duration_text(status.uptime_s)),
        ("Alerts", f"{status.alerts.written:,} written, {status.alerts.suppressed:,} held back"),
    )


def _sensors(status: Status) -> Markup:
    rows = [
        (
            el("code", sensor.path, class_="long"),
            sensor.kind,
            f"{sensor.flows:,}",
            f"{sensor.bad_lines + sensor.refused:,}",
            f"{sensor.shed + sensor.dropped + sensor.lost:,}",
            when(sensor.last_flow_ts_s),
        )
        for sensor in status.sensors
    ]
    headings = ("Where", "Kind", "Flows", "Not understood", "Missed", "Last flow")
    return table("Sensors", headings, rows, empty="None.")
