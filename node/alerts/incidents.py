"""Grouping of anomalous flows into incidents, so that an attack is one alert and not thousands.

Flows belong to one incident when they come from one source address, look like one family of
attack, and leave no gap longer than allowed, all by the flows' own time. Measured on our
recordings with a gap of 120 s: 26,730 anomalous flows are 9 incidents. Ordinary flows that look odd
because their host is under attack meanwhile join the incident as collateral, see
`node.alerts.collateral`.
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
from node.alerts.collateral import Collateral
from node.alerts.crowd import MANY, Crowd
from node.alerts.extent import Extent
from node.control.documents import ContributorDocument

UNKNOWN = "unknown"
"""The family of a flow that is unlike the gateway's own traffic and like no known attack."""

SAMPLES_MAX = 5
FEATURES_MAX = 5
DESTINATIONS_MAX = 64
SOURCES_MAX = 64
ASTRAY_MAX = 2  # our choice: a damaged line or two

CLOSED_KEPT = 64
"""Closed incidents that can still be listed and given a verdict. Our choice: a day's, at three an
hour."""

ROWS_MAX = 32
"""Flows of an incident whose features are remembered, drawn evenly, for a verdict: three times what
makes an antigen (`gossip.antigens.EVIDENCE_MIN`). Our choice; 3.3 kB."""

SAVED_BYTES_MAX = 2 * 2**20
"""Of all incidents in a saved state, half of what it has room for: 250 with all that they may hold.
Those with older activity are kept without rows and contributors, and the oldest not at all, which a
restart would then report again."""


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
        row: all features of the flow, unscaled float32 as bytes; empty where nobody keeps them.
    """

    flow: Flow
    score: float
    family: str = UNKNOWN
    features: tuple[Feature, ...] = ()
    row: bytes = b""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the detector was when it judged; goes into every alert.

    Args:
        threshold: score above which a flow is anomalous.
        budget: share of benign flows that may be.
        calibration_flows: flows that the threshold rests on.
        model_cycle: the peer's cycle, and model_digest: of its vector, in hexadecimal.
    """

    threshold: float
    budget: float
    calibration_flows: int
    model_cycle: int
    model_digest: str


@dataclass(frozen=True, slots=True)
class Row:
    """What is kept of a flow to learn from: its name, and its features as in `Anomaly.row`."""

    uid: str
    values: bytes


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
        source: the originator's address, or `crowd.MANY`.
        family: what it looks like.
        first_seen_ts_s: start of its first flow; last_seen_ts_s: end of its last one.
        flows: how many.
        top: the flow with the highest score, and features: what made that one stand out.
        samples: the first five flows.
        destinations: distinct responders, at most 64 of them.
        collateral: flows of others that its victims made look odd; in no other count.
        rows: of some of its flows, at most `ROWS_MAX`, each as likely as any other.
        told: flows at the last record written of it, 0 for none; tried: at the last attempt.
        rule: that holds its alerts back; empty for none.
        judge: what judged its latest flows; None as written by earlier releases.
        contributors: whose knowledge that was when it opened.
        sources: where `source` is `crowd.MANY`, the first 64 of them.
        astray: flows in a row that came from its future.
        extent: of all its flows; spread: whether they led further since the last attempt.
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
    collateral: int = 0
    rows: list[Row] = field(default_factory=list)
    told: int = 0
    tried: int = 0
    rule: str = ""
    judge: Verdict | None = None
    contributors: tuple[ContributorDocument, ...] = ()
    sources: list[str] = field(default_factory=list)
    astray: int = 0
    extent: Extent = field(default_factory=Extent)
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """Incidents that a batch of flows opened, those that grew, and those that ended.

    An incident may be in all three, in each once.
    """

    opened: tuple[Incident, ...] = ()
    grown: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()


class Incidents:
    """Open incidents, bounded in number, length and in what each remembers.

    Args:
        gap_us: longest silence within an incident.
        length_us_max: longest incident; what goes on is a new one.
        open_max: incidents open at a time; the one quiet for longest is closed first.
    """

    def __init__(self, gap_us: int, length_us_max: int, open_max: int) -> None:
        self.bound(gap_us, length_us_max, open_max)
        # In the order of their last flow's arrival, so that the first is the quietest.
        self._open: dict[tuple[str, str], Incident] = {}
        self._closed: deque[Incident] = deque(maxlen=CLOSED_KEPT)
        self._collateral = Collateral()
        self._crowd = Crowd(self._gap_s)

    def bound(self, gap_us: int, length_us_max: int, open_max: int) -> None:
        """Go by these bounds from the next flow on; as for a new one."""
        self._gap_s = gap_us / 1e6
        self._length_s_max = length_us_max / 1e6
        self._open_max = open_max

    def __len__(self) -> int:
        return len(self._open)

    def observe(self, anomalies: Sequence[Anomaly], clock_ts_s: float | None = None) -> Changes:
        """Take anomalous flows in the order in which the sensor gave them.

        Args:
            anomalies: of one sensor.
            clock_ts_s: what time it is by that sensor, by the middle of its flows; None where they
                do not tell for sure.
        """
        opened: list[Incident] = []
        grown: dict[str, Incident] = {}
        closed: list[Incident] = []
        for anomaly in anomalies:
            flow = anomaly.flow
            ended_ts_s = flow.ts + flow.duration
            key = (flow.orig_h, _family(anomaly.family))
            key = (self._crowd.source(key, flow.resp_h, flow.ts, self._open), key[1])
            host = self._collateral.of(flow, self._open, self._gap_s) if key[1] == UNKNOWN else None
            if host is not None:
                host.collateral += 1
                grown[host.key] = host
                continue
            incident = self._open.pop(key, None)
            astray = incident is not None and self._astray(incident, flow, clock_ts_s)
            if incident is not None and not astray and self._over(incident, flow.ts, ended_ts_s):
                closed.append(self._close(incident))
                incident = None
            if incident is None:
                incident = _begin(anomaly, key[0])
                opened.append(incident)
                while len(self._open) >= self._open_max:
                    closed.append(self._close(self._open.pop(next(iter(self._open)))))
            self._open[key] = incident
            self._grow(incident, anomaly, astray=astray)
            grown[incident.key] = incident
            self._collateral.attacked(incident, flow)
        return Changes(tuple(opened), tuple(grown.values()), tuple(closed))

    def ordinary(self, flows: Iterable[Flow]) -> None:
        """Take note of flows that were not anomalous: who talks to whom as a rule."""
        self._collateral.ordinary(flows)

    def find(self, key: str) -> list[Incident]:
        """Those known whose key begins so."""
        return [each for each in (*self._open.values(), *self._closed) if each.key.startswith(key)]

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
        """Incidents as JSON can hold them, for `restore` after a restart."""
        kept: list[Any] = []
        left = SAVED_BYTES_MAX
        for incident in reversed([*self._closed, *self._open.values()]):
            found = msgspec.to_builtins(incident)
            size = len(msgspec.json.encode(found))
            if size > left:
                found |= {"rows": [], "contributors": []}
                size = len(msgspec.json.encode(found))
            if size > left:
                break
            left -= size
            kept.append(found)
        return kept[::-1]

    def restore(self, saved: Any) -> None:
        """Take up what `saved` gave, so that a restart does not report an incident twice.

        Raises:
            StateError: it is not what `saved` gives.
        """
        try:
            found = msgspec.convert(_of_old(saved), list[Incident])
        except msgspec.ValidationError as error:
            raise StateError(
                f"the saved incidents are damaged ({error}); remove the state folder's newest "
                "generation to use the one before"
            ) from error
        going = [incident for incident in found if incident.open]
        self._open = {
            (incident.source, incident.family): incident for incident in going[-self._open_max :]
        }
        self._closed.clear()
        self._closed.extend(incident for incident in found if not incident.open)

    def _over(self, incident: Incident, ts_s: float, ended_ts_s: float) -> bool:
        """Whether something from `ts_s` to `ended_ts_s` no longer belongs to the incident.

        An incident that would not even begin before long is from a clock that was set back since,
        or from one damaged line; it must not swallow all that follows.
        """
        silent_s, long_s = ts_s - incident.last_seen_ts_s, ts_s - incident.first_seen_ts_s
        ahead_s = incident.first_seen_ts_s - ended_ts_s
        return silent_s > self._gap_s or max(long_s, ahead_s) > self._length_s_max

    def _astray(self, incident: Incident, flow: Flow, clock_ts_s: float | None) -> bool:
        """Whether a flow's time is wrong, or long past, and no reason to end the incident.

        So it is where the incident goes on by the sensor's clock, and the flow is of another time.
        The third in a row from the future is believed: the traffic itself has gone on.
        """
        if clock_ts_s is None or self._over(incident, clock_ts_s, clock_ts_s):
            return False
        late = flow.ts + flow.duration < clock_ts_s - self._length_s_max
        ahead = flow.ts > clock_ts_s + self._gap_s
        incident.astray = incident.astray + 1 if ahead else 0
        return late or 0 < incident.astray <= ASTRAY_MAX

    def _close(self, incident: Incident) -> Incident:
        incident.open = False
        self._closed.append(incident)
        self._collateral.over(incident)
        return incident

    def _grow(self, incident: Incident, anomaly: Anomaly, *, astray: bool) -> None:
        flow = anomaly.flow
        incident.flows += 1
        incident.spread |= incident.extent.take(flow.resp_h, flow.resp_p)
        _remember(incident, anomaly)
        sources = incident.sources
        if incident.source == MANY and len(sources) < SOURCES_MAX and (flow.orig_h not in sources):
            sources.append(flow.orig_h)
        if not astray:
            self._reach(incident, flow)
        if len(incident.samples) < SAMPLES_MAX:
            incident.samples.append(_sample(anomaly))
        if len(incident.destinations) < DESTINATIONS_MAX and (
            flow.resp_h not in incident.destinations
        ):
            incident.destinations.append(flow.resp_h)
        if anomaly.score > incident.top.score:
            incident.top = _sample(anomaly)
            incident.features = anomaly.features[:FEATURES_MAX]

    def _reach(self, incident: Incident, flow: Flow) -> None:
        """The incident lasted at least from this flow's start to its end."""
        incident.last_seen_ts_s = max(incident.last_seen_ts_s, flow.ts + flow.duration)
        # Sensors write a flow when it ends, so a little disorder is normal. A session that began
        # hours ago must not make the incident look hours long.
        if incident.first_seen_ts_s - self._gap_s <= flow.ts < incident.first_seen_ts_s:
            incident.first_seen_ts_s = flow.ts


def _of_old(saved: Any) -> Any:
    """Incidents as earlier releases saved them had been reported when they opened."""
    if not isinstance(saved, list):
        return saved
    return [
        each | {"told": each.get("flows", 0)}
        if isinstance(each, dict) and "told" not in each
        else each
        for each in saved
    ]


def _remember(incident: Incident, anomaly: Anomaly) -> None:
    """Vitter's algorithm R (1985), with a keyed hash in place of a random number."""
    if not anomaly.row:
        return
    row = Row(anomaly.flow.uid, anomaly.row)
    if len(incident.rows) < ROWS_MAX:
        incident.rows.append(row)
        return
    text = f"{incident.key} {incident.flows}".encode()
    place = int.from_bytes(blake2b(text, digest_size=8).digest(), "big") % incident.flows
    if place < ROWS_MAX:
        incident.rows[place] = row


def _family(family: str) -> str:
    return family if is_family(family) else UNKNOWN


def _begin(anomaly: Anomaly, source: str) -> Incident:
    flow, family = anomaly.flow, _family(anomaly.family)
    text = f"{flow.orig_h}\0{family}\0{flow.ts!r}\0{flow.uid}"
    return Incident(
        key=blake2b(text.encode(errors="replace"), digest_size=8).hexdigest(),
        source=source,
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
