"""Where alerts are written to, within a rate and whatever the disk or the receiver does."""

import json
from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from node.alerts import ecs, records, syslog
from node.alerts.incidents import Incident, Verdict
from node.alerts.keeping import KeepingFile
from node.alerts.records import Event
from node.alerts.sending import Sender
from node.config.alerting import Format, OutputSettings
from node.rates import TokenBucket

SUMMARY_S = 60.0
INCIDENTS_SUMMED_UP = 5

_ALL = tuple(event.value for event in Event)


class Sink(Protocol):
    """Takes lines, keeps for a while what cannot be written, and counts."""

    @property
    def written(self) -> int:
        """Lines that arrived."""

    @property
    def lost(self) -> int:
        """Lines given up."""

    @property
    def waiting(self) -> int:
        """Lines that are tried again."""

    def append(self, line: bytes, now_s: float) -> bool:
        """Write a line."""

    def retry(self, now_s: float) -> None:
        """Write what waits."""

    def close(self) -> None:
        """Be done."""


class Output:
    """One place that alerts go to, in one format.

    Args:
        sink: the place.
        kind: the format.
        events: which records it is for.
    """

    def __init__(self, sink: Sink, kind: Format = "eve", events: Collection[str] = _ALL) -> None:
        self.sink = sink
        self.kind = kind
        self._events = events

    @classmethod
    def of(cls, settings: OutputSettings) -> "Output":
        """The one that settings ask for.

        Raises:
            StateError: its file cannot be opened.
        """
        sink = Sender(settings.to) if settings.path is None else KeepingFile(settings.path)
        return cls(sink, settings.format, settings.events)

    def write(
        self, incident: Incident, verdict: Verdict, gateway: str, event: Event, now_s: float
    ) -> None:
        """Write a record, if it is one of those wanted here."""
        if event.value not in self._events:
            return
        if self.kind == "syslog":
            text = syslog.alert_line(incident, verdict, gateway, event)
        else:
            form = ecs if self.kind == "ecs" else records
            text = _json(form.alert_line(incident, verdict, gateway, event))
        self.sink.append(text.encode(errors="replace"), now_s)

    def inherit(self, other: "Output") -> None:
        """Write what waits at another one, if both are files of one format."""
        if self.kind == other.kind and isinstance(self.sink, KeepingFile):
            for line in other.sink.give() if isinstance(other.sink, KeepingFile) else ():
                self.sink.append(line, 0.0)

    def summarise(self, count: int, last: list[Incident], gateway: str, now_s: float) -> None:
        """Write of alerts that were held back."""
        if self.kind == "syslog":
            text = syslog.summary_line(count, last, gateway)
        else:
            form = ecs if self.kind == "ecs" else records
            text = _json(form.summary_line(count, last, gateway))
        self.sink.append(text.encode(errors="replace"), now_s)


def _json(line: dict[str, object]) -> str:
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class AlertFile:
    """Writes alerts, within a rate. What a disk refuses waits in memory, see `KeepingFile`.

    Args:
        path: the file; made if need be, appended to, and reopened when it was rotated.
        per_minute_max: alerts in a minute; those above are summed up in one line a minute.
        gateway: its name, for the lines' `host`.
        kind: the file's format, and events: its records.
        more: other places.

    Attributes:
        suppressed: alerts held back by the rate.

    Raises:
        StateError: the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        per_minute_max: int,
        gateway: str,
        kind: Format = "eve",
        events: Collection[str] = _ALL,
        more: Sequence[OutputSettings] = (),
    ) -> None:
        self.suppressed = 0
        self._before = (0, 0)  # written and lost by those that this one succeeded
        self._gateway = gateway
        self._bucket = TokenBucket(per_minute_max)
        self._file = KeepingFile(path)
        self._outputs = [Output(self._file, kind, events)]
        try:
            for settings in more:
                self._outputs.append(Output.of(settings))
        except BaseException:
            self._close_all()
            raise
        self._held: deque[Incident] = deque(maxlen=INCIDENTS_SUMMED_UP)
        self._held_count = 0
        self._held_since_s = 0.0

    @property
    def written(self) -> int:
        """Lines on disk, in the first place."""
        return self._before[0] + self._file.written

    @property
    def waiting(self) -> int:
        """Lines that no disk and no receiver took so far; tried again in `tick`."""
        return sum(output.sink.waiting for output in self._outputs)

    @property
    def failed(self) -> int:
        """Lines given up, as more waited than memory may hold."""
        return self._before[1] + sum(output.sink.lost for output in self._outputs)

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
        self.follow_up(incident, verdict, Event.OPENED, now_s)
        return True

    def follow_up(self, incident: Incident, verdict: Verdict, event: Event, now_s: float) -> None:
        """Say how an incident that was reported goes on. The rate does not count it.

        There are few: one for each tenfold growth, and one at the end.
        """
        for output in self._outputs:
            output.write(incident, verdict, self._gateway, event, now_s)

    def tick(self, now_s: float) -> None:
        """Sum up what was held back, a minute after the first of it. Call now and then."""
        for output in self._outputs:
            output.sink.retry(now_s)
        if self._held_count and now_s - self._held_since_s >= SUMMARY_S:
            self._summarise(now_s)

    def succeed(self, other: "AlertFile") -> None:
        """Take over from another one, which is closed; counts go on, and what waits for a file.

        Who gives alerts another file because a disk is full is to find them there.
        """
        for before, now in zip(other.ending(), self._outputs, strict=False):
            now.inherit(before)
        other.close()
        self.suppressed = other.suppressed
        self._before = (other.written, other.failed)

    def ending(self) -> Sequence[Output]:
        """Sum up what is still held back; the places, in their order."""
        if self._held_count:
            self._summarise(self._held_since_s)
        return self._outputs

    def close(self) -> None:
        """Sum up what is still held back, and close the file."""
        self.ending()
        self._close_all()

    def _close_all(self) -> None:
        for output in self._outputs:
            output.sink.close()

    def _summarise(self, now_s: float) -> None:
        for output in self._outputs:
            output.summarise(self._held_count, list(self._held), self._gateway, now_s)
        self._held.clear()
        self._held_count = 0
