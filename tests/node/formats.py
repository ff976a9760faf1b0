"""What those who read alerts expect, written from their documents.

ECS: names and types of the fields used, from Elastic's "ECS field reference", version 8.11
(https://www.elastic.co/guide/en/ecs/8.11/ecs-field-reference.html; the definitions are
Apache-2.0, Copyright Elasticsearch B.V.).

EVE: names and types of an alert's fields, and which are required, as Suricata 7 documents them
("15.1.2 Eve JSON Format") and its schema says (etc/schema.json, compared by hand: it is GPL-2.0 and
no part of this project; `host` is what `sensor-name` adds), and as Wazuh's stock rules 86600 and
86601 and Filebeat's module for Suricata use them.

Syslog: the grammar of RFC 5424, section 6.
"""

import re
from datetime import datetime
from ipaddress import ip_address

KEYWORD, DATE, LONG, FLOAT, IP = "keyword", "date", "long", "float", "ip"

ECS = {
    "@timestamp": DATE,
    "message": KEYWORD,  # match_only_text: a text
    "ecs.version": KEYWORD,
    "event.kind": KEYWORD,
    "event.category": [KEYWORD],
    "event.type": [KEYWORD],
    "event.module": KEYWORD,
    "event.dataset": KEYWORD,
    "event.code": KEYWORD,
    "event.severity": LONG,
    "event.risk_score": FLOAT,
    "event.id": KEYWORD,
    "event.action": KEYWORD,
    "event.start": DATE,
    "event.end": DATE,
    "event.duration": LONG,
    "event.reason": KEYWORD,
    "observer.name": KEYWORD,
    "observer.vendor": KEYWORD,
    "observer.product": KEYWORD,
    "observer.type": KEYWORD,
    "rule.id": KEYWORD,
    "rule.name": KEYWORD,
    "rule.ruleset": KEYWORD,
    "rule.category": KEYWORD,
    "source.address": KEYWORD,
    "source.ip": IP,
    "source.port": LONG,
    "destination.address": KEYWORD,
    "destination.ip": IP,
    "destination.port": LONG,
    "network.transport": KEYWORD,
    "network.community_id": KEYWORD,
    "network.type": KEYWORD,
    "related.ip": [IP],
}
ECS_ALLOWED = {
    "event.kind": {
        "alert",
        "asset",
        "enrichment",
        "event",
        "metric",
        "state",
        "pipeline_error",
        "signal",
    },
    "event.category": {"intrusion_detection", "network", "threat", "malware"},  # of 20
    # Expected of both intrusion_detection (allowed, denied, info) and network.
    "event.type": {"allowed", "denied", "info"},
    "network.type": {"ipv4", "ipv6"},
}
ECS_REQUIRED = {"@timestamp", "ecs.version"}


def check_ecs(line):
    """Everything outside of `hedgerow` is a field of ECS, with a value that an index takes."""
    own = {key: value for key, value in line.items() if key != "hedgerow"}
    found = dict(_flat(own, ""))
    unknown = sorted(set(found) - set(ECS))
    assert not unknown, unknown
    assert set(found) >= ECS_REQUIRED
    for name, value in found.items():
        kind = ECS[name]
        if isinstance(kind, list):
            assert isinstance(value, list)
            assert value == list(dict.fromkeys(value))
        for each in value if isinstance(value, list) else [value]:
            _check_type(name, kind[0] if isinstance(kind, list) else kind, each)
            if name in ECS_ALLOWED:
                assert each in ECS_ALLOWED[name], (name, each)


def _flat(value, name):
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _flat(each, f"{name}{key}.")
        else:
            yield name + key, each


def _check_type(name, kind, value):
    if kind == DATE:  # strict_date_optional_time
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z", value), name
        datetime.fromisoformat(value)
    elif kind == IP:
        ip_address(value)
    elif kind == LONG:
        assert type(value) is int, name
        assert -(2**63) <= value < 2**63, name
    elif kind == FLOAT:
        assert type(value) in (int, float), name
    else:
        assert isinstance(value, str), name
        assert 0 < len(value) <= 1024, f"{name} would not be indexed: ignore_above is 1024"


EVE = {
    "timestamp": str,
    "flow_id": int,
    "event_type": str,
    "src_ip": str,
    "src_port": int,
    "dest_ip": str,
    "dest_port": int,
    "icmp_type": int,
    "icmp_code": int,
    "proto": str,
    "community_id": str,
    "host": str,
    "alert": dict,
}
EVE_REQUIRED = {"timestamp", "event_type"}
EVE_ALERT = {
    "action": str,
    "gid": int,
    "signature_id": int,
    "rev": int,
    "signature": str,
    "category": str,
    "severity": int,
}


def check_eve(line):
    """Everything outside of `hedgerow` is what Suricata could have written."""
    own = {key: value for key, value in line.items() if key != "hedgerow"}
    assert set(own) <= set(EVE)
    assert set(own) >= EVE_REQUIRED
    assert all(type(value) is EVE[key] for key, value in own.items())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d{4}", own["timestamp"])
    assert own["event_type"] == "alert"
    alert = own["alert"]
    assert {key: type(value) for key, value in alert.items()} == EVE_ALERT
    assert alert["action"] in ("allowed", "blocked")
    assert 1 <= alert["severity"] <= 4  # Filebeat calls 1 high, 2 medium, 3 low
    assert 0 < alert["signature_id"] < 2**32
    for end in ("src", "dest"):
        ip_address(own[f"{end}_ip"])
        assert 0 <= own.get(f"{end}_port", 0) <= 65_535
    assert ("icmp_type" in own) == (own["proto"] == "ICMP")
    assert 0 <= own["flow_id"] < 2**63


PRINTUSASCII = r"[!-~]"
SD_NAME = r'(?:(?![="\] ])[!-~]){1,32}'
PARAM = rf'{SD_NAME}="(?:[^"\\\]]|\\["\\\]])*"'
ELEMENT = rf"\[{SD_NAME}(?: {PARAM})*\]"
RFC5424 = re.compile(
    r"<(?P<pri>0|[1-9]\d{0,2})>(?P<version>[1-9]\d{0,2})"
    r" (?P<time>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))"
    rf" (?P<host>-|{PRINTUSASCII}{{1,255}})"
    rf" (?P<app>-|{PRINTUSASCII}{{1,48}})"
    rf" (?P<pid>-|{PRINTUSASCII}{{1,128}})"
    rf" (?P<msgid>-|{PRINTUSASCII}{{1,32}})"
    rf" (?P<data>-|(?:{ELEMENT})+)"
    r"(?: (?P<msg>.*))?",
    re.DOTALL,
)


def parse_syslog(data):
    """The parts of a message by RFC 5424's grammar, the parameters of structured data by name."""
    assert len(data) <= 2_048
    found = RFC5424.fullmatch(data.decode("utf-8"))
    assert found is not None, data
    parts = found.groupdict()
    assert int(parts["pri"]) <= 191
    datetime.fromisoformat(parts["time"])
    assert not parts["msg"] or parts["msg"].startswith("\ufeff"), "UTF-8 is told by its mark"
    params = re.findall(rf'({SD_NAME})="((?:[^"\\\]]|\\["\\\]])*)"', parts["data"])
    assert len(dict(params)) == len(params)
    parts["params"] = {name: re.sub(r'\\(["\\\]])', r"\1", value) for name, value in params}
    return parts
