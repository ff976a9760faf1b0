"""Alerts as syslog messages (RFC 5424): one line each, with structured data for programs.

    <113>1 2026-11-23T04:17:12.837038Z ward-3 hedgerow 4711 opened
        [hedgerow@32473 incident="…" family="scan" …] HEDGEROW scan suspected: …

The facility is 14, log alert (RFC 5424, table 1). 32473 is the number that RFC 5612 sets aside for
examples, for this project has none of its own. All is ASCII but the message, which is UTF-8 and
begins with a byte order mark, as section 6.4 asks for.
"""

import os
from typing import Any

from node.alerts import records
from node.alerts.incidents import Incident, Verdict
from node.alerts.records import Event
from node.times import utc

FACILITY = 14
APP = "hedgerow"
SD_ID = "hedgerow@32473"

LEVELS = {1: 1, 2: 4, 3: 6}
"""RFC 5424's severity by ours: alert for a named attack, warning, informational at its end."""

BYTES_MAX = 2_048
"""What every receiver should take (RFC 5424, section 6.1); what is longer loses its message's end,
never the structured data. Measured: 505 B with the five features of the longest names."""

VALUE_CHARS_MAX = 128
HOST_CHARS_MAX = 255
_BOM = "\ufeff"


def alert_line(
    incident: Incident, verdict: Verdict, gateway: str, event: Event = Event.OPENED
) -> str:
    """The message of an incident, without line breaks."""
    eve = records.alert_line(incident, verdict, gateway, event)
    top = incident.top
    values: dict[str, Any] = {
        "incident": incident.key,
        "event": event.value,
        "family": incident.family,
        "src": incident.source,
        "dst": top.resp_h,
        "dport": top.resp_p,
        "proto": top.proto,
        "communityId": top.community_id,
        "flows": incident.flows,
        "collateral": incident.collateral,
        "destinations": len(incident.destinations),
        "score": f"{top.score:.4g}",
        "threshold": f"{verdict.threshold:.4g}",
        "model": f"{verdict.model_cycle}-{verdict.model_digest}",
        "features": " ".join(
            f"{each.name}={records.natural(each.name, each.value):.4g}"
            for each in incident.features
        ),
        "sid": records.signature_id(incident),
    }
    text = f"{eve['alert']['signature']}: {incident.flows} flows of {incident.source}"
    if event is Event.CLOSED:
        text += ", ended"
    level = LEVELS[records.severity(incident, event)]
    return _message(incident.last_seen_ts_s, level, gateway, event.value, values, text)


def summary_line(count: int, last: list[Incident], gateway: str) -> str:
    """The message for alerts held back."""
    newest = last[-1]
    values = {
        "event": "summary",
        "suppressed": count,
        "incidents": " ".join(each.key for each in last),
        "communityId": newest.top.community_id,
        "sid": records.SUPPRESSED_SID,
    }
    text = f"HEDGEROW {count} alerts held back by the rate limit"
    return _message(newest.last_seen_ts_s, LEVELS[2], gateway, "summary", values, text)


def _message(
    ts_s: float, level: int, gateway: str, kind: str, values: dict[str, Any], text: str
) -> str:
    when = utc(ts_s).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = f"<{8 * FACILITY + level}>1 {when} {_name(gateway)} {APP} {os.getpid()} {kind}"
    data = " ".join(f'{name}="{_value(value)}"' for name, value in values.items() if value != "")
    start = f"{head} [{SD_ID} {data}] {_BOM}"
    room = max(0, BYTES_MAX - len(start.encode()))
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return start + plain.encode(errors="replace")[:room].decode(errors="ignore")


def _name(text: str) -> str:
    """HOSTNAME: printable ASCII without blanks, or a dash."""
    return "".join(c if "!" <= c <= "~" else "-" for c in text)[:HOST_CHARS_MAX] or "-"


def _value(value: Any) -> str:
    r"""PARAM-VALUE: `"`, `\` and `]` escaped; ours is printable ASCII besides."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in str(value)[:VALUE_CHARS_MAX])
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
