"""What Prometheus reads: counters and gauges of the status document.

Nothing here names an address, a path, a peer, an incident or a family of attacks. Labels have few
values, all of them ours, so that a mesh of thousands does not fill a Prometheus, and who may read
metrics learns nothing of who talks to whom.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gossip.learning.tolerance import State
from node.status.document import DetectorStatus, MeshStatus, Status

STATES = ("joining", "running", "isolated")
STANDINGS = ("proven", "unproven", "fallen back")
ANTIGEN_STATES = ("own", *(state.value for state in State))


class Metrics:
    """A registry of its own, so that nothing of other libraries gets in.

    Args:
        status: gives the status document.
    """

    def __init__(self, status: Callable[[], Status]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_FromStatus(status))
        ProcessCollector(registry=self._registry)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and their content type.

        Args:
            accept: what the client takes, as its header says; OpenMetrics or Prometheus' own text.
        """
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type


class _FromStatus(Collector):
    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        return families(self._status())


def families(status: Status) -> Iterator[Metric]:
    """Every metric of a node.

    Args:
        status: as it is now.
    """
    name, _, version = status.software.partition(" ")
    yield InfoMetricFamily("hedgerow", "The program.", {"name": name, "version": version})
    yield _gauge("uptime_seconds", "Time since the process started.", status.uptime_s)
    yield _states("state", "How the node stands with the mesh.", STATES, status.state)
    yield from _mesh(status.mesh)
    yield from _detector(status.detector)
    yield from _sensors(status)
    yield from _rest(status)


def _mesh(mesh: MeshStatus) -> Iterator[Metric]:
    peers = GaugeMetricFamily("hedgerow_peers", "Peers known, and connected.", labels=["state"])
    peers.add_metric(["known"], len(mesh.peers))
    peers.add_metric(["connected"], sum(peer.connected for peer in mesh.peers))
    yield peers
    yield _counter("cycles", "Cycles of this node, over all its lives.", mesh.cycle)
    yield _counter("merges", "Models of peers that were merged.", mesh.merges)
    yield _counter("receive_bytes", "Bytes received from peers.", mesh.bytes_in)
    yield _counter("transmit_bytes", "Bytes sent to peers.", mesh.bytes_out)
    yield _counter("refused", "Times that a peer was refused.", sum(mesh.refusals.values()))
    yield _counter("refused_by_peers", "Times refused by a peer.", sum(mesh.refused_by.values()))
    yield _counter("shed_messages", "Messages over a bound.", sum(mesh.shed.values()))
    yield _counter("remote_faults", "Breaches of the protocol by peers.", mesh.remote_faults)


def _detector(detector: DetectorStatus) -> Iterator[Metric]:
    yield _gauge(
        "watching", "1 once alerts are raised, 0 while learning.", detector.state == "watching"
    )
    yield _counter("flows", "Flows judged.", detector.flows_seen)
    yield _counter("anomalous_flows", "Flows over the threshold.", detector.flows_anomalous)
    yield _gauge("calibration_flows", "Flows to calibrate with.", detector.calibration_flows)
    yield _gauge(
        "calibration_flows_needed", "Flows without which no alert is raised.",
        detector.calibration_flows_needed,
    )  # fmt: skip
    yield _gauge("threshold_score", "Score above which a flow is anomalous.", detector.threshold)
    yield _gauge(
        "false_alarm_budget_ratio", "Share of benign flows that may be false alarms.",
        detector.budget,
    )  # fmt: skip
    yield _gauge(
        "false_alarm_ratio", "Share of false alarms, measured on flows held out.",
        detector.false_alarm_share,
    )  # fmt: skip
    yield _gauge("training_loss", "Mean loss of the last training.", detector.loss)
    yield _states(
        "budget_standing", "Whether flows show that the budget is kept.", STANDINGS,
        detector.standing,
    )  # fmt: skip
    yield _counter("budget_breaches", "Times that the budget was not kept.", detector.breaches)
    yield _counter("fall_backs", "Times that the last good model took over.", detector.fall_backs)
    yield _counter("recalibrations", "Times calibrated anew for it.", detector.recalibrations)


def _sensors(status: Status) -> Iterator[Metric]:
    labels = ["sensor", "kind"]
    flows = CounterMetricFamily(
        "hedgerow_sensor_flows", "Flows read of each sensor.", labels=labels
    )
    bad = CounterMetricFamily(
        "hedgerow_sensor_bad_records", "Records that could not be read.", labels=labels
    )
    last = GaugeMetricFamily(
        "hedgerow_sensor_last_flow_timestamp_seconds",
        "Time of the newest flow, by its own clock.",
        labels=labels,
    )
    missed = CounterMetricFamily(
        "hedgerow_sensor_missed",
        "What became no judged flow: shed in a flood, refused, dropped by the kernel, lost before.",
        labels=[*labels, "why"],
    )
    for number, sensor in enumerate(status.sensors, 1):
        values = [str(number), sensor.kind]  # its place among the settings, not its path
        flows.add_metric(values, sensor.flows)
        bad.add_metric(values, sensor.bad_lines)
        for why in ("shed", "refused", "dropped", "lost"):
            missed.add_metric([*values, why], getattr(sensor, why))
        if sensor.last_flow_ts_s is not None:
            last.add_metric(values, sensor.last_flow_ts_s)
    yield from (flows, bad, missed, last)


def _rest(status: Status) -> Iterator[Metric]:
    held = Counter(each.state for each in status.antigens.held)
    antigens = GaugeMetricFamily("hedgerow_antigens", "Antigens held.", labels=["state"])
    for state in ANTIGEN_STATES:
        antigens.add_metric([state], held[state])
    yield antigens
    alerts = status.alerts
    flood = status.flood
    yield _gauge("flooded", "1 while more flows come than can be judged.", flood.now)
    yield _counter("floods", "Times that it began.", flood.floods)
    yield _counter("shed_flows", "Flows let fall for it, unjudged.", flood.shed)
    yield _gauge("incidents_open", "Incidents that go on.", alerts.incidents_open)
    yield _counter("alerts_written", "Alerts written.", alerts.written)
    yield _counter("alerts_held_back", "Alerts over the rate limit.", alerts.suppressed)
    yield _counter("alerts_failed", "Alerts that the disk refused.", alerts.failed)
    yield _gauge("saving", "1 while what is learnt is saved.", not status.service.not_saved)


def _counter(name: str, said: str, value: float) -> Metric:
    return CounterMetricFamily(f"hedgerow_{name}", said, value)


def _gauge(name: str, said: str, value: float | None) -> Metric:
    """A gauge; without a sample where there is no value, which Prometheus reads as absent."""
    if value is None:
        return GaugeMetricFamily(f"hedgerow_{name}", said, labels=[])
    return GaugeMetricFamily(f"hedgerow_{name}", said, float(value))


def _states(name: str, said: str, states: Iterable[str], now: str) -> Metric:
    """A sample for each state, 1 at the one that holds."""
    found = GaugeMetricFamily(f"hedgerow_{name}", said, labels=["state"])
    for state in states:
        found.add_metric([state.replace(" ", "_")], float(state == now))
    return found
