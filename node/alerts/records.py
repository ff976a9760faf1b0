"""Alerts as Suricata writes them: EVE JSON lines with `event_type: alert`.

`hedgerow.event` says what happened to the incident: "opened", "updated" or "closed". The generator
id and the signature ids are Hedgerow's own:

| gid | signature_id | meaning |
|---|---|---|
| 48484 | 1 | alerts were held back by the rate limit; one line for all of them |
| 48484 | 100 | traffic unlike the gateway's own and like no known attack |
| 48484 | 101… | a standard family of attack, in the order of `gossip.flows.FAMILIES` |
| 48484 | 199 | an attack by another name, which stands in the signature and in `hedgerow.family` |
"""

from dataclasses import asdict
from enum import Enum
from hashlib import blake2b
from math import expm1, isfinite
from typing import Any

from gossip.features import UNITS
from gossip.flows import FAMILIES
from node.alerts.incidents import UNKNOWN, Incident, Sample, Verdict
from node.times import eve_time

GID = 48_484
SUPPRESSED_SID = 1
FAMILY_SID = 100
NAMED_SID = 199
REV = 1
LOG_MAX = 60.0  # no counter gives more: log1p of 2**64 is 44

# Suricata's own names for classes of attack, so that dashboards sort ours beside them.
_CATEGORIES = {
    "scan": "Detection of a Network Scan",
    "dos": "Attempted Denial of Service",
    "brute-force": "Unsuccessful User Privilege Gain",
    "exploit": "Attempted Administrator Privilege Gain",
    "exfiltration": "Information Leak",
    "malware": "A Network Trojan was detected",
    "other": "Misc Attack",
    UNKNOWN: "Potentially Bad Traffic",
}


class Event(Enum):
    """What a record says of an incident."""

    OPENED = "opened"
    UPDATED = "updated"  # it has ten times the flows of the record before
    CLOSED = "closed"  # with its final counts


def severity(incident: Incident, event: Event) -> int:
    """Suricata's scale: 1 a named attack, 2 unlike usual traffic, 3 the end of either."""
    if event is Event.CLOSED:
        return 3
    return 2 if incident.family == UNKNOWN else 1


def signature_id(incident: Incident) -> int:
    """See the table above."""
    if incident.family in FAMILIES:
        return FAMILY_SID + FAMILIES.index(incident.family)
    return FAMILY_SID if incident.family == UNKNOWN else NAMED_SID


def signature(incident: Incident) -> str:
    """The same in words."""
    if incident.family == UNKNOWN:
        return "HEDGEROW traffic unlike this gateway's own"
    return f"HEDGEROW {incident.family} suspected"


def alert_line(
    incident: Incident, verdict: Verdict, gateway: str, event: Event = Event.OPENED
) -> dict[str, Any]:
    """The EVE record of an incident."""
    category = _CATEGORIES.get(incident.family, _CATEGORIES["other"])
    sid, rank = signature_id(incident), severity(incident, event)
    alert = _alert(sid, signature(incident), category, rank)
    return {
        "timestamp": eve_time(incident.last_seen_ts_s),
        "flow_id": flow_id(incident.top),
        "event_type": "alert",
        **_endpoints(incident.top),
        "host": gateway,
        "alert": alert,
        "hedgerow": {
            "event": event.value,
            "incident": incident.key,
            "family": incident.family,
            "score": number(incident.top.score),
            "threshold": number(verdict.threshold),
            "budget": verdict.budget,
            "calibration_flows": verdict.calibration_flows,
            "model": {"cycle": verdict.model_cycle, "digest": verdict.model_digest},
            "flows": incident.flows,
            "collateral": incident.collateral,
            "destinations": len(incident.destinations),
            **({"sources": incident.sources} if incident.sources else {}),
            "first_seen": eve_time(incident.first_seen_ts_s),
            "last_seen": eve_time(incident.last_seen_ts_s),
            "features": [
                {
                    "name": feature.name,
                    "value": number(natural(feature.name, feature.value)),
                    "usual_low": number(natural(feature.name, feature.usual_low)),
                    "usual_high": number(natural(feature.name, feature.usual_high)),
                }
                for feature in incident.features
            ],
            "contributors": [
                {**asdict(each), "share": round(each.share, 4)} for each in incident.contributors
            ],
            "samples": [_sample(sample) for sample in incident.samples],
        },
    }


def summary_line(count: int, last: list[Incident], gateway: str) -> dict[str, Any]:
    """The EVE record for alerts held back: how many, and the last few of them."""
    newest = last[-1]
    return {
        "timestamp": eve_time(newest.last_seen_ts_s),
        "flow_id": flow_id(newest.top),
        "event_type": "alert",
        **_endpoints(newest.top),
        "host": gateway,
        "alert": _alert(SUPPRESSED_SID, "HEDGEROW alerts held back by the rate limit", "", 2),
        "hedgerow": {
            "event": "summary",
            "suppressed": count,
            "last": [
                {
                    "incident": incident.key,
                    "family": incident.family,
                    "source": incident.source,
                    "flows": incident.flows,
                }
                for incident in last
            ],
        },
    }


def _alert(sid: int, signature: str, category: str, severity: int) -> dict[str, Any]:
    return {
        "action": "allowed",
        "gid": GID,
        "signature_id": sid,
        "rev": REV,
        "signature": signature,
        "category": category,
        "severity": severity,
    }


def _endpoints(sample: Sample) -> dict[str, Any]:
    ports = ("icmp_type", "icmp_code") if sample.proto == "icmp" else ("src_port", "dest_port")
    found = {
        "src_ip": sample.orig_h,
        ports[0]: sample.orig_p,
        "dest_ip": sample.resp_h,
        ports[1]: sample.resp_p,
        "proto": sample.proto.upper(),
    }
    return found | ({"community_id": sample.community_id} if sample.community_id else {})


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "start": eve_time(sample.ts_s),
        "uid": sample.uid,
        **_endpoints(sample),
        "score": number(sample.score),
    }


def flow_id(sample: Sample) -> int:
    """Suricata's own id where the flow has one; otherwise 53 bits, which every reader can hold."""
    if sample.uid.isascii() and sample.uid.isdigit() and len(sample.uid) <= 18:
        return int(sample.uid)
    return (
        int.from_bytes(blake2b(sample.uid.encode(errors="replace"), digest_size=8).digest(), "big")
        >> 11
    )


def natural(name: str, value: float) -> float:
    """A feature's value in the unit that people count in: packets, bytes, flows, seconds.

    The model sees most of them as log1p, see `gossip.features.UNITS`.
    """
    if not isfinite(value) or not UNITS.get(name, "").startswith("log1p"):
        return value
    return float(f"{expm1(min(value, LOG_MAX)):.6g}")


def number(value: Any) -> Any:
    """JSON has no infinity and no NaN."""
    return None if isinstance(value, float) and not isfinite(value) else value
