"""From anomalous flows to alerts: one a incident, written once, within a rate."""

import sys
from collections.abc import Sequence
from typing import Any

import trio

from gossip.errors import ConfigError
from node.alerts.incidents import Anomaly, Incidents
from node.alerts.records import Verdict
from node.alerts.writing import AlertFile
from node.config.settings import Settings
from node.control.documents import IncidentDocument, VerdictDone
from node.logs import get_logger
from node.status.document import AlertsStatus, AlertStatus
from node.watch.serving import Serving

SHOWN = 10
SCORE_MAX = sys.float_info.max  # JSON knows no infinity

_log = get_logger("alerts")


class Alerter:
    """Incidents and the file that they are reported in.

    Args:
        settings: where to, how often, and when an incident ends.
        name: the gateway's, for the alerts.

    Raises:
        StateError: the file cannot be opened.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        detector = settings.detector
        self._incidents = Incidents(
            detector.gap_us, detector.incident_us_max, detector.incidents_max
        )
        self._path = settings.alerts_path
        self._file = AlertFile(self._path, settings.alerts.per_minute_max, name)

    def take(self, anomalies: Sequence[Anomaly], serving: Serving | None, now_ts_s: float) -> None:
        """Report what these flows begin; close what is over.

        Args:
            anomalies: flows over the threshold of `serving`.
            serving: the model that judged them.
            now_ts_s: what time it is by the flows' own clocks; what is quiet since is over.
        """
        now_s = trio.current_time()
        if serving is not None and anomalies:
            verdict = Verdict(
                serving.calibration.threshold,
                serving.calibration.budget,
                serving.calibration.rows,
                serving.cycle,
                serving.digest,
            )
            for incident in self._incidents.observe(anomalies).opened:
                if self._file.write(incident, verdict, now_s):
                    _log.warning(
                        "alert",
                        family=incident.family,
                        source=incident.source,
                        score=round(incident.top.score, 2),
                        incident=incident.key,
                    )
        self._incidents.advance(now_ts_s)
        self._file.tick(now_s)

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
            str(self._path), *counts, len(self._incidents), last, self._file.waiting
        )

    def documents(self, limit: int) -> list[IncidentDocument]:
        """For `node.control.desk`: the newest activity first."""
        return [
            IncidentDocument(
                incident.key,
                incident.family,
                incident.source,
                tuple(incident.destinations),
                incident.flows,
                0,
                incident.first_seen_ts_s,
                incident.last_seen_ts_s,
                incident.open,
                min(incident.top.score, SCORE_MAX),
                0.0,
            )
            for incident in self._incidents.latest(limit)
        ]

    def verdict(self, incident: str, word: str, by: str, note: str) -> VerdictDone:
        """See `node.control.desk.Desk.verdict`."""
        known = [i.key for i in self._incidents.latest(10**6) if i.key.startswith(incident)]
        if len(known) != 1:
            raise ConfigError(f"{incident[:40]!r} is {len(known) or 'no'} incident's key")
        raise ConfigError(f"{word} {by} {note}: verdicts are on their way")

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
