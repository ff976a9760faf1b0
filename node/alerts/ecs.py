"""Alerts in the Elastic Common Schema, version 8.11, one JSON object a line.

Fields and their types are ECS's (Elastic, "ECS field reference"); what has no place there stands
under `hedgerow`, as the guidelines for custom fields ask for.
"""

from ipaddress import ip_address
from typing import Any

from node.alerts import records
from node.alerts.incidents import Incident, Sample, Verdict
from node.alerts.records import Event
from node.times import utc

VERSION = "8.11.0"
DATASET = "hedgerow.alerts"

RISK = {1: 73.0, 2: 47.0, 3: 21.0}
"""`event.risk_score` by severity: Elastic's own scores for high, medium and low."""


def alert_line(
    incident: Incident, verdict: Verdict, gateway: str, event: Event = Event.OPENED
) -> dict[str, Any]:
    """The record of an incident; `hedgerow` holds the same as in EVE."""
    eve = records.alert_line(incident, verdict, gateway, event)
    about, alert = eve["hedgerow"], eve["alert"]
    end_s = incident.last_seen_ts_s
    event_fields: dict[str, Any] = {
        "id": f"{incident.key}-{event.value}-{incident.flows}",
        "action": f"incident-{event.value}",
        "start": _date(incident.first_seen_ts_s),
        "duration": max(0, round((end_s - incident.first_seen_ts_s) * 1e9)),
        "reason": _reason(incident, verdict),
    }
    if event is Event.CLOSED:
        event_fields["end"] = _date(end_s)
    return {
        **_base(end_s, alert, gateway, event_fields),
        **_endpoints(incident.top),
        "related": {"ip": _addresses([incident.source, *incident.destinations])},
        "hedgerow": about,
    }


def summary_line(count: int, last: list[Incident], gateway: str) -> dict[str, Any]:
    """The record for alerts held back: how many, and the last few of them."""
    eve = records.summary_line(count, last, gateway)
    newest = last[-1]
    event_fields = {
        "id": f"{newest.key}-summary-{count}",
        "action": "alerts-held-back",
        "reason": f"{count} alerts were held back by the rate limit",
    }
    return {
        **_base(newest.last_seen_ts_s, eve["alert"], gateway, event_fields),
        **_endpoints(newest.top),
        "related": {"ip": _addresses([each.source for each in last])},
        "hedgerow": eve["hedgerow"],
    }


def _base(
    ts_s: float, alert: dict[str, Any], gateway: str, event_fields: dict[str, Any]
) -> dict[str, Any]:
    return {
        "@timestamp": _date(ts_s),
        "message": alert["signature"],
        "ecs": {"version": VERSION},
        "event": {
            "kind": "alert",
            "category": ["intrusion_detection", "network"],
            "type": ["info"],
            "module": "hedgerow",
            "dataset": DATASET,
            "code": str(alert["signature_id"]),
            "severity": alert["severity"],
            "risk_score": RISK[alert["severity"]],
            **event_fields,
        },
        "observer": {"name": gateway, "vendor": "Hedgerow", "product": "Hedgerow", "type": "ids"},
        "rule": {
            "id": str(alert["signature_id"]),
            "name": alert["signature"],
            "ruleset": "hedgerow",
            **({"category": alert["category"]} if alert["category"] else {}),
        },
    }


def _endpoints(sample: Sample) -> dict[str, Any]:
    ports = sample.proto in ("tcp", "udp", "sctp")
    network: dict[str, Any] = {"transport": sample.proto}
    if sample.community_id:
        network["community_id"] = sample.community_id
    if found := _addresses([sample.orig_h]):
        network["type"] = "ipv6" if ":" in found[0] else "ipv4"
    return {
        "source": _end(sample.orig_h, sample.orig_p if ports else None),
        "destination": _end(sample.resp_h, sample.resp_p if ports else None),
        "network": network,
    }


def _end(host: str, port: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {"address": host}
    if addresses := _addresses([host]):
        found["ip"] = addresses[0]
    return found | ({} if port is None else {"port": port})


def _addresses(hosts: list[str]) -> list[str]:
    """Those that are IP addresses: an index refuses the whole line for one that is not."""
    found = []
    for host in dict.fromkeys(hosts):
        try:
            found.append(str(ip_address(host)))
        except ValueError:
            continue
    return found


def _reason(incident: Incident, verdict: Verdict) -> str:
    names = ", ".join(feature.name for feature in incident.features)
    return (
        f"{incident.flows} flows of {incident.source}; score {incident.top.score:.3g} over "
        f"{verdict.threshold:.3g}" + (f"; unusual: {names}" if names else "")
    )


def _date(ts_s: float) -> str:
    return utc(ts_s).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
