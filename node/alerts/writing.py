"""The file that alerts are written to, within a rate and whatever the disk does."""

import json
from collections import deque
from pathlib import Path
from typing import Any

from node.alerts.incidents import Incident, Verdict
from node.alerts.keeping import KeepingFile
from node.alerts.records import Event, alert_line, summary_line
from node.rates import TokenBucket

SUMMARY_S = 60.0
INCIDENTS_SUMMED_UP = 5


class AlertFile:
    """Writes alerts, within a rate. What a disk refuses waits in memory, see `KeepingFile`.

    Args:
        path: the file; made if need be, appended to, and reopened when it was rotated.
        per_minute_max: alerts in a minute; those above are summed up in one line a minute.
        gateway: its name, for the lines' `host`.

    Attributes:
        suppressed: alerts held back by the rate.

    Raises:
        StateError: the file cannot be opened.
    """

    def __init__(self, path: Path, per_minute_max: int, gateway: str) -> None:
        self.suppressed = 0
        self._gateway = gateway
        self._bucket = TokenBucket(per_minute_max)
        self._file = KeepingFile(path)
        self._held: deque[Incident] = deque(maxlen=INCIDENTS_SUMMED_UP)
        self._held_count = 0
        self._held_since_s = 0.0

    @property
    def written(self) -> int:
        """Lines on disk."""
        return self._file.written

    @property
    def waiting(self) -> int:
        """Lines that the disk refused so far; tried again in `tick`."""
        return self._file.waiting

    @property
    def failed(self) -> int:
        """Lines given up, as more waited than memory may hold."""
        return self._file.lost

    def write(self, incident: Incident, verdict: Verdict, now_s: float) -> bool:
        """Report an incident that has just opened; False if it was held back.

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
        self._append(alert_line(incident, verdict, self._gateway), now_s)
        return True

    def follow_up(self, incident: Incident, verdict: Verdict, event: Event, now_s: float) -> None:
        """Say how an incident that was reported goes on. The rate does not count it.

        There are few: one for each tenfold growth, and one at the end.
        """
        self._append(alert_line(incident, verdict, self._gateway, event), now_s)

    def tick(self, now_s: float) -> None:
        """Sum up what was held back, a minute after the first of it. Call now and then."""
        self._file.retry(now_s)
        if self._held_count and now_s - self._held_since_s >= SUMMARY_S:
            self._summarise(now_s)

    def close(self) -> None:
        """Sum up what is still held back, and close the file."""
        if self._held_count:
            self._summarise(self._held_since_s)
        self._file.close()

    def _summarise(self, now_s: float) -> None:
        self._append(summary_line(self._held_count, list(self._held), self._gateway), now_s)
        self._held.clear()
        self._held_count = 0

    def _append(self, line: dict[str, Any], now_s: float) -> None:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._file.append(text.encode(errors="replace"), now_s)
