"""From anomalous flows to alerts: one an incident, followed up, within a rate."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import trio

from gossip.flows import Flow
from node.alerts.incidents import Anomaly, Incident, Incidents, Verdict
from node.alerts.records import Event
from node.alerts.suppress import Suppression, first
from node.alerts.writing import AlertFile
from node.config.settings import Settings
from node.control.describing import document_of
from node.control.documents import ContributorDocument, IncidentDocument
from node.logs import get_logger
from node.status.document import AlertsStatus, AlertStatus
from node.watch.serving import Serving

SHOWN = 10
SCORE_MAX = sys.float_info.max  # JSON knows no infinity

TENFOLD = 10
"""An incident is reported again once it has so many times the flows. Our choice: a flood of a
million flows is seven records."""

_log = get_logger("alerts")


class Alerter:
    """Incidents and the file that they are reported in.

    Args:
        settings: where to, how often, and when an incident ends.
        name: the gateway's, for the alerts.
        wall_s: seconds since 1970, for when a rule expires.

    Attributes:
        contributors: tells whose knowledge the model holds on a family, see
            `node.alerts.contributors`.

    Raises:
        ConfigError: the suppress rules are wrong.
        StateError: the file cannot be opened.
    """

    def __init__(
        self, settings: Settings, name: str, wall_s: Callable[[], float] = time.time
    ) -> None:
        detector = settings.detector
        self._incidents = Incidents(
            detector.gap_us, detector.incident_us_max, detector.incidents_max
        )
        self.contributors: Callable[[str], tuple[ContributorDocument, ...]] = lambda _: ()
        self._name = name
        self._path = settings.alerts_path
        self._wall_s = wall_s
        about = settings.alerts
        self._suppression = Suppression(about.suppress)
        self._muted = 0
        self._file = AlertFile(
            self._path, about.per_minute_max, name, about.format, about.events, about.outputs
        )

    def take(
        self,
        anomalies: Sequence[Anomaly],
        serving: Serving | None,
        now_ts_s: float | None,
        flows: Sequence[Flow] = (),
        clock_ts_s: float | None = None,
    ) -> None:
        """Report what these flows begin and how it goes on; close what is over.

        Args:
            anomalies: flows over the threshold of `serving`.
            serving: the model that judged them.
            now_ts_s: what time it is by the flows' own clocks; what is quiet since is over;
                None where they do not tell.
            flows: all of which these are the anomalous ones.
            clock_ts_s: what time it is by the sensor that gave them, see `Incidents.observe`.
        """
        now_s = trio.current_time()
        self._suppression.look(now_s)
        odd = {anomaly.flow.uid for anomaly in anomalies}
        self._incidents.ordinary(
            flow for flow in flows if flow.uid not in odd and flow.family in (None, "benign")
        )
        if serving is not None and anomalies:
            judge = Verdict(
                serving.calibration.threshold,
                serving.calibration.budget,
                serving.calibration.rows,
                serving.cycle,
                serving.digest,
            )
            changes = self._incidents.observe(anomalies, clock_ts_s)
            for incident in changes.opened:
                incident.contributors = self.contributors(incident.family)
            for incident in changes.grown:
                incident.judge = judge
                self._report(incident, judge, now_s)
            self._end(changes.closed, now_s)
        if now_ts_s is not None:
            self._end(self._incidents.advance(now_ts_s), now_s)
        self._file.tick(now_s)

    def _report(self, incident: Incident, judge: Verdict, now_s: float) -> None:
        """Report an incident that is new or has grown tenfold since the last record or attempt."""
        if incident.told:
            if incident.flows >= TENFOLD * incident.told:
                incident.told = incident.flows
                self._file.follow_up(incident, judge, Event.UPDATED, now_s)
            return
        due = not incident.tried or incident.flows >= TENFOLD * incident.tried
        if not (due or (incident.rule and incident.spread)):
            return
        incident.tried, incident.spread = incident.flows if due else incident.tried, False
        rule = first(self._suppression.rules, incident, self._wall_s())
        if rule is not None:
            self._muted += not incident.rule
            incident.rule = rule.name
            return
        incident.rule = ""
        if self._file.write(incident, judge, now_s):
            incident.told = incident.flows
            _log.warning(
                "alert",
                family=incident.family,
                source=incident.source,
                score=round(incident.top.score, 2),
                incident=incident.key,
            )

    def _end(self, closed: Sequence[Incident], now_s: float) -> None:
        for incident in closed:
            if incident.told and incident.judge is not None:
                self._file.follow_up(incident, incident.judge, Event.CLOSED, now_s)

    def status(self) -> AlertsStatus:
        """For the status document."""
        last = tuple(
            AlertStatus(
                incident.key,
                incident.family,
                incident.source,
                incident.flows,
                min(incident.top.score, SCORE_MAX),
                incident.first_seen_ts_s,
                incident.last_seen_ts_s,
                incident.open,
            )
            for incident in self._incidents.latest(SHOWN)
        )
        counts = (self._file.written, self._file.suppressed, self._file.failed)
        return AlertsStatus(
            str(self._path),
            *counts,
            len(self._incidents),
            last,
            self._file.waiting,
            self._muted,
            len(self._suppression.rules),
            self._suppression.refused,
        )

    def apply(self, settings: Settings) -> None:
        """Go by other settings from now on; incidents that are open stay open.

        Raises:
            ConfigError: the suppress rules are wrong.
            StateError: a file cannot be opened. In either case all goes on as before.
        """
        detector, about = settings.detector, settings.alerts
        suppression = Suppression(about.suppress)
        file = AlertFile(
            settings.alerts_path,
            about.per_minute_max,
            self._name,
            about.format,
            about.events,
            about.outputs,
        )
        file.succeed(self._file)
        self._path, self._file, self._suppression = settings.alerts_path, file, suppression
        self._incidents.bound(detector.gap_us, detector.incident_us_max, detector.incidents_max)

    def tick(self) -> None:
        """Write what waits for a disk or for its minute. Call now and then, flows or not."""
        self._file.tick(trio.current_time())

    def reload(self) -> None:
        """Read the suppress rules again; wrong ones are refused, and said in log and status."""
        self._suppression.reload()

    def documents(self, limit: int) -> list[IncidentDocument]:
        """For `node.control.desk`: the newest activity first."""
        return [document_of(incident) for incident in self._incidents.latest(limit)]

    def find(self, key: str) -> list[Incident]:
        """Incidents known whose key begins so."""
        return self._incidents.find(key)

    def saved(self) -> list[Any]:
        """Open incidents, as JSON can hold them."""
        return self._incidents.saved()

    def restore(self, saved: Any) -> None:
        """Take up open incidents.

        Raises:
            StateError: they are damaged.
        """
        self._incidents.restore(saved)

    def close(self) -> None:
        """Report what the rate held back, and close the file."""
        self._file.close()
