"""Grouping of anomalous flows into incidents, so that an attack is one alert and not thousands.

Flows belong to one incident when they come from one source address, look like one family of
attack, and leave no gap longer than allowed, all by the flows' own time. Measured on our
recordings with a gap of 120 s: 26,730 anomalous flows are 9 incidents.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from gossip.antigens import is_family
from gossip.errors import StateError
from gossip.flows import Flow

UNKNOWN = "unknown"
"""The family of a flow that is unlike the gateway's own traffic and like no known attack."""

SAMPLES_MAX = 5
FEATURES_MAX = 5
DESTINATIONS_MAX = 64
CLOSED_KEPT = 20


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature that made a flow stand out, beside the range that is usual at this gateway."""

    name: str
    value: float
    usual_low: float
    usual_high: float


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A flow over the threshold.

    Args:
        flow: the flow.
        score: the detector's, above the threshold.
        family: a name that `gossip.antigens.is_family` allows, or UNKNOWN, as which any other
            text counts, "benign" too.
        features: those that stood out most, worst first; five are kept.
    """

    flow: Flow
    score: float
    family: str = UNKNOWN
    features: tuple[Feature, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What identifies a flow of an incident in other tools."""

    ts_s: float
    uid: str
    orig_h: str
    orig_p: int
    resp_h: str
    resp_p: int
    proto: str
    community_id: str
    score: float


@dataclass(slots=True)
class Incident:
    """Flows of one source that look like one attack. Grows while it is open.

    Args:
        key: 16 hexadecimal digits; the same after a restart.
        source: the originator's address.
        family: what it looks like.
        first_seen_ts_s: start of its first flow; last_seen_ts_s: end of its last one.
        flows: how many.
        top: the flow with the highest score, and features: what made that one stand out.
        samples: the first five flows.
        destinations: distinct responders, at most 64 of them.
    """

    key: str
    source: str
    family: str
    first_seen_ts_s: float
    last_seen_ts_s: float
    top: Sample
    features: tuple[Feature, ...]
    flows: int = 0
    samples: list[Sample] = field(default_factory=list)
    destinations: list[str] = field(default_factory=list)
    open: bool = True


@dataclass(frozen=True, slots=True)
class Changes:
    """Incidents that a batch of flows opened, and those that ended; an incident may be in both."""

    opened: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()


class Incidents:
    """Open incidents, bounded in number, length and in what each remembers.

    Args:
        gap_us: longest silence within an incident.
        length_us_max: longest incident; what goes on is a new one.
        open_max: incidents open at a time; the one quiet for longest is closed first.
    """

    def __init__(self, gap_us: int, length_us_max: int, open_max: int) -> None:
        self._gap_s = gap_us / 1e6
        self._length_s_max = length_us_max / 1e6
        self._open_max = open_max
        # In the order of their last flow's arrival, so that the first is the quietest.
        self._open: dict[tuple[str, str], Incident] = {}
        self._closed: deque[Incident] = deque(maxlen=CLOSED_KEPT)

    def __len__(self) -> int:
        return len(self._open)

    def observe(self, anomalies: Sequence[Anomaly]) -> Changes:
        """Take anomalous flows in the order in which the sensor gave them."""
        opened: list[Incident] = []
        closed: list[Incident] = []
        for anomaly in anomalies:
            flow = anomaly.flow
            key = (flow.orig_h, _family(anomaly.family))
            incident = self._open.pop(key, None)
            if incident is not None and self._over(incident, flow.ts, flow.ts + flow.duration):
                closed.append(self._close(incident))
                incident = None
            if incident is None:
                incident = _begin(anomaly)
                opened.append(incident)
                while len(self._open) >= self._open_max:
                    closed.append(self._close(self._open.pop(next(iter(self._open)))))
            self._open[key] = incident
            self._grow(incident, anomaly)
        return Changes(tuple(opened), tuple(closed))

    def advance(self, now_ts_s: float) -> tuple[Incident, ...]:
        """Close what is over at this time, on the clock of the flows' `ts`."""
        over = [
            key for key, incident in self._open.items() if self._over(incident, now_ts_s, now_ts_s)
        ]
        return tuple(self._close(self._open.pop(key)) for key in over)

    def latest(self, count: int) -> list[Incident]:
        """Open incidents and those closed lately, the newest activity first."""
        known: Iterable[Incident] = [*self._open.values(), *self._closed]
        return sorted(known, key=lambda incident: -incident.last_seen_ts_s)[:count]

    def saved(self) -> list[Any]:
        """Open incidents as JSON can hold them, for `restore` after a restart."""
        kept: list[Any] = msgspec.to_builtins(list(self._open.values()))
        return kept

    def restore(self, saved: Any) -> None:
        """Take up what `saved` gave, so that a restart does not report an incident twice.

        Raises:
            StateError: it is not what `saved` gives.
        """
        try:
            found = msgspec.convert(saved, list[Incident])
        except msgspec.ValidationError as error:
            raise StateError(
                f"the saved incidents are damaged ({error}); remove the state folder's newest "
                "generation to use the one before"
            ) from error
        self._open = {
            (incident.source, incident.family): incident for incident in found[-self._open_max :]
        }

    def _over(self, incident: Incident, ts_s: float, ended_ts_s: float) -> bool:
        """Whether something from `ts_s` to `ended_ts_s` no longer belongs to the incident.

        An incident that would not even begin before long is from a clock that was set back since,
        or from one damaged line; it must not swallow all that follows.
        """
        silent_s, long_s = ts_s - incident.last_seen_ts_s, ts_s - incident.first_seen_ts_s
        ahead_s = incident.first_seen_ts_s - ended_ts_s
        return silent_s > self._gap_s or max(long_s, ahead_s) > self._length_s_max

    def _close(self, incident: Incident) -> Incident:
        incident.open = False
        self._closed.append(incident)
        return incident

    def _grow(self, incident: Incident, anomaly: Anomaly) -> None:
        flow = anomaly.flow
        incident.flows += 1
        incident.last_seen_ts_s = max(incident.last_seen_ts_s, flow.ts + flow.duration)
        # Sensors write a flow when it ends, so a little disorder is normal. A session that began
        # hours ago must not make the incident look hours long.
        if incident.first_seen_ts_s - self._gap_s <= flow.ts < incident.first_seen_ts_s:
            incident.first_seen_ts_s = flow.ts
        if len(incident.samples) < SAMPLES_MAX:
            incident.samples.append(_sample(anomaly))
        if len(incident.destinations) < DESTINATIONS_MAX and (
            flow.resp_h not in incident.destinations
        ):
            incident.destinations.append(flow.resp_h)
        if anomaly.score > incident.top.score:
            incident.top = _sample(anomaly)
            incident.features = anomaly.features[:FEATURES_MAX]


def _family(family: str) -> str:
    return family if is_family(family) else UNKNOWN


def _begin(anomaly: Anomaly) -> Incident:
    flow, family = anomaly.flow, _family(anomaly.family)
    text = f"{flow.orig_h}\0{family}\0{flow.ts!r}\0{flow.uid}"
    return Incident(
        key=blake2b(text.encode(errors="replace"), digest_size=8).hexdigest(),
        source=flow.orig_h,
        family=family,
        first_seen_ts_s=flow.ts,
        last_seen_ts_s=flow.ts,
        top=_sample(anomaly),
        features=anomaly.features[:FEATURES_MAX],
    )


def _sample(anomaly: Anomaly) -> Sample:
    flow = anomaly.flow
    return Sample(
        flow.ts,
        flow.uid,
        flow.orig_h,
        flow.orig_p,
        flow.resp_h,
        flow.resp_p,
        flow.proto,
        flow.community_id,
        anomaly.score,
    )
