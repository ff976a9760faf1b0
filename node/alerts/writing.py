"""The file that alerts are written to, within a rate and whatever the disk does."""

import json
from collections import deque
from pathlib import Path
from typing import Any

from node.alerts.appending import LineFile
from node.alerts.incidents import Incident
from node.alerts.records import Verdict, alert_line, summary_line
from node.rates import TokenBucket

SUMMARY_S = 60.0
INCIDENTS_SUMMED_UP = 5


class AlertFile:
    """Writes alerts, within a rate. A disk that refuses them is counted and never fatal.

    Args:
        path: the file; made if need be, appended to, and reopened when it was rotated.
        per_minute_max: alerts in a minute; those above are summed up in one line a minute.
        gateway: its name, for the lines' `host`.

    Attributes:
        written: alerts written; suppressed: held back by the rate; failed: refused by the disk.

    Raises:
        StateError: the file cannot be opened.
    """

    def __init__(self, path: Path, per_minute_max: int, gateway: str) -> None:
        self.written = 0
        self.suppressed = 0
        self.failed = 0
        self._gateway = gateway
        self._bucket = TokenBucket(per_minute_max)
        self._file = LineFile(path)
        self._held: deque[Incident] = deque(maxlen=INCIDENTS_SUMMED_UP)
        self._held_count = 0
        self._held_since_s = 0.0

    def write(self, incident: Incident, verdict: Verdict, now_s: float) -> bool:
        """Report an incident that has just opened; False if it was held back or lost.

        Args:
            incident: what opened.
            verdict: what the detector was.
            now_s: the driver's clock, for the rate only.
        """
        self.tick(now_s)
        if not self._bucket.take(now_s):
            self.suppressed += 1
            if not self._held_count:
                self._held_since_s = now_s
            self._held_count += 1
            self._held.append(incident)
            return False
        return self._append(alert_line(incident, verdict, self._gateway))

    def tick(self, now_s: float) -> None:
        """Sum up what was held back, a minute after the first of it. Call now and then."""
        if self._held_count and now_s - self._held_since_s >= SUMMARY_S:
            self._summarise()

    def close(self) -> None:
        """Sum up what is still held back, and close the file."""
        if self._held_count:
            self._summarise()
        self._file.close()

    def _summarise(self) -> None:
        self._append(summary_line(self._held_count, list(self._held), self._gateway))
        self._held.clear()
        self._held_count = 0

    def _append(self, line: dict[str, Any]) -> bool:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if self._file.append(text.encode(errors="replace")):
            self.written += 1
            return True
        self.failed += 1
        return False
