"""What each of the demo's gateways gets to see, and the rows it is judged on and never sees.

A site's recording is split between its two gateways by device. Before the recording with attacks
comes the first part of the site's benign one, moved in time to end where the other begins. Kept
back for judging are the rest of the benign recording, and every third attack flow or so (by a hash
of its number): these lines are never written to a gateway's log. Left out altogether is what
Suricata logged when the capture ended and cut every open flow short: a running sensor does not.
"""

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gossip.features import FeatureExtractor
from gossip.flows import ConnState, Flow
from node.sensors.eve import EveParser
from scenarios import recordings

QUIET_SHARE = 0.7
"""Of the benign recording: what goes before the attacks. The rest judges false alarms."""

HELD_OUT = 0.3
"""Share of attack flows that is kept back."""

JUDGED_MAX = 500
"""Rows of one attack that a gateway is judged on; floods have thousands that are all alike."""

ZEEK_FIELDS = (
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "duration",
    "conn_state", "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes",
)  # fmt: skip

_ZEEK_STATES = {
    ConnState.CLOSED: "SF",
    ConnState.NO_REPLY: "S0",
    ConnState.REJECTED: "REJ",
    ConnState.RESET: "RSTO",
    ConnState.OPEN: "S1",
}

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Plan:
    """One gateway of the demo.

    Args:
        name: for people.
        site: one of `recordings.SITES`.
        devices: last bytes of the addresses it guards.
        sensor: "suricata" or "zeek".
        labels: whether its Suricata also writes alerts, the only labels there are.
    """

    name: str
    site: str
    devices: tuple[int, ...]
    sensor: str
    labels: bool


PLANS = (
    Plan("hospital-1", "hospital", (11, 12), "suricata", labels=True),
    Plan("hospital-2", "hospital", (13, 14), "suricata", labels=True),
    Plan("factory-1", "factory", (1, 11, 12, 14), "suricata", labels=False),
    Plan("factory-2", "factory", (13,), "zeek", labels=False),
    Plan("building-1", "building", (11, 12), "suricata", labels=True),
    Plan("building-2", "building", (13, 14), "zeek", labels=False),
)
"""Two a site. Attack labels exist at three of them; the factory has none at all."""


@dataclass(slots=True)
class Feed:
    """A gateway's log, and the rows that judge it.

    Args:
        plan: the gateway.
        quiet: lines before the attacks, in order; busy: those of the recording with attacks. Each
            comes with its place in [0, 1] of that part's time.
        benign: features of benign flows kept back, float32 `(n, 26)`.
        attacks: by attack, the features of its flows kept back, float32 `(n, 26)`.
        kept_back: uids of all flows kept back, those beyond `JUDGED_MAX` too.
        attacked: by family, the place of the first of its flows that is logged.
    """

    plan: Plan
    quiet: list[tuple[float, bytes]] = field(default_factory=list)
    busy: list[tuple[float, bytes]] = field(default_factory=list)
    benign: Rows = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    attacks: dict[str, Rows] = field(default_factory=dict)
    kept_back: frozenset[str] = frozenset()
    attacked: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Event:
    """A line of a recording: the flow it holds or the flow's number that its alert is about."""

    raw: dict[str, object]
    at: float
    flow: Flow | None


def zeek_header() -> bytes:
    """How a `conn.log` begins."""
    lines = ("#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-",
             "#path\tconn", "#fields\t" + "\t".join(ZEEK_FIELDS))  # fmt: skip
    return "".join(f"{line}\n" for line in lines).encode()


def zeek_line(flow: Flow) -> bytes:
    """A flow as Zeek writes it."""
    cells = (
        f"{flow.ts:.6f}", flow.uid, flow.orig_h, flow.orig_p, flow.resp_h, flow.resp_p, flow.proto,
        f"{flow.duration:.6f}", _ZEEK_STATES[flow.state], flow.orig_pkts, flow.orig_ip_bytes,
        flow.resp_pkts, flow.resp_ip_bytes,
    )  # fmt: skip
    return ("\t".join(map(str, cells)) + "\n").encode()


def feeds_of(site: str, seed: int) -> list[Feed]:
    """The feeds of a site's gateways; about a second's work."""
    busy = list(_events(f"{site}.eve.json.xz"))
    quiet = list(_events(f"{site}-benign.eve.json.xz", before=min(_starts(busy))))
    return [_feed(plan, quiet, busy, seed) for plan in PLANS if plan.site == site]


def _starts(events: list[_Event]) -> Iterator[float]:
    return (e.flow.ts for e in events if e.flow is not None)


def _events(name: str, before: float | None = None) -> Iterator[_Event]:
    """The events of a recording; with `before`, moved in time so that it ends there."""
    with lzma.open(recordings.path(name)) as lines:
        raws = [json.loads(line) for line in lines]
    shutdown = raws[-1]["timestamp"]
    raws = [raw for raw in raws if raw["timestamp"] != shutdown]
    parser = EveParser()
    if before is not None:
        last = max(_moment(raw["timestamp"]) for raw in raws)
        by = timedelta(seconds=before - last - 1.0)
        for number, raw in enumerate(raws):
            _move(raw, by, number)
    at = 0.0
    for raw in raws:
        at = max(at, _moment(raw["timestamp"]))  # Suricata's threads overtake each other a little
        yield _Event(raw, at, parser.parse(_line(raw)))


def _move(raw: dict[str, object], by: timedelta, number: int) -> None:
    raw["flow_id"] = 1_000_000_000 + number  # the two recordings count from the same number
    raw["timestamp"] = _shifted(str(raw["timestamp"]), by)
    flow = raw.get("flow")
    if isinstance(flow, dict):
        flow["start"], flow["end"] = _shifted(flow["start"], by), _shifted(flow["end"], by)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _shifted(text: str, by: timedelta) -> str:
    moved = datetime.fromisoformat(text).astimezone(UTC) + by
    return moved.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


def _line(raw: dict[str, object]) -> bytes:
    return json.dumps(raw, separators=(",", ":")).encode() + b"\n"


def _guards(plan: Plan, flow: Flow) -> bool:
    """The gateway in front of the responder sees a flow; else the one before the originator.

    Hosts that are no device, an attacker's on the inside among them, belong to the second gateway.
    """
    site_net = flow.resp_h.rpartition(".")[0]
    inside = any(site_net == f"198.18.{n}" for n in (1, 2, 3))
    host = int((flow.resp_h if inside else flow.orig_h).rpartition(".")[2])
    first = next(p for p in PLANS if p.site == plan.site)
    owner = first.devices if host in first.devices else ()
    return bool(owner) == (plan is first)


def _held_out(flow: Flow, seed: int) -> bool:
    digest = blake2b(f"{seed} {flow.uid}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") < HELD_OUT * 2**32


def _feed(plan: Plan, quiet: list[_Event], busy: list[_Event], seed: int) -> Feed:
    """Route events, take features of every flow in order, and keep back what is to be judged."""
    feed = Feed(plan)
    feed.quiet, benign = _quiet_part(plan, quiet)
    feed.benign = np.stack(list(benign.values()))
    extractor = FeatureExtractor()  # the rest of the benign recording is not part of this day
    windows = recordings.attack_windows()
    begin, end = busy[0].at, busy[-1].at
    judged: dict[str, dict[str, Rows]] = {}
    alerts: dict[object, list[_Event]] = {}
    for event in busy:
        flow, number = event.flow, event.raw["flow_id"]
        if flow is None:
            alerts.setdefault(number, []).append(event)
        elif _guards(plan, flow):
            row = extractor.add(flow)
            label = recordings.truth(flow, plan.site, windows)
            place = (event.at - begin) / (end - begin)
            if label is not None and label != recordings.BENIGN:
                if _held_out(flow, seed):
                    judged.setdefault(label, {})[flow.uid] = row
                    continue
                feed.attacked.setdefault(recordings.FAMILY_OF[label], place)
            said = alerts.pop(number, []) if plan.labels else []
            feed.busy += [(place, _line(alert.raw)) for alert in said]
            feed.busy.append((place, _written(plan, event.raw, flow)))
    feed.attacks = {
        label: np.stack(list(rows.values())[:JUDGED_MAX]) for label, rows in judged.items()
    }
    feed.kept_back = frozenset(benign).union(*judged.values())
    return feed


def _quiet_part(
    plan: Plan, quiet: list[_Event]
) -> tuple[list[tuple[float, bytes]], dict[str, Rows]]:
    """Lines of the first part of the benign recording, and features of the rest by flow."""
    extractor = FeatureExtractor()
    cut = len(quiet) * QUIET_SHARE
    lines, rows = [], {}
    for number, event in enumerate(quiet):
        if event.flow is None or not _guards(plan, event.flow):
            continue
        row = extractor.add(event.flow)
        if number < cut:
            lines.append((number / cut, _written(plan, event.raw, event.flow)))
        else:
            rows[event.flow.uid] = row
    return lines, rows


def _written(plan: Plan, raw: dict[str, object], flow: Flow) -> bytes:
    return _line(raw) if plan.sensor == "suricata" else zeek_line(flow)
