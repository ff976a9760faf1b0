"""From end to end: a gateway that knows a hospital's traffic is attacked, and says so."""

import json
import lzma
from itertools import islice

import trio

from gossip.features import SCHEMA
from gossip.flows import FAMILIES
from node.alerts.incidents import UNKNOWN
from node.alerts.records import GID
from node.sensors.eve import EveParser
from scenarios import recordings
from tests.node.live import running, settings_for
from tests.node.traffic import write

SCANNER = "198.18.1.66"
LINES = 2_500  # a quiet part, then host discovery and three kinds of port scans
RATE_MAX = 60


def recorded(name, count=None):
    with lzma.open(recordings.path(name), "rb") as stream:
        return [line.rstrip(b"\n") for line in islice(stream, count)]


def test_an_attack_becomes_one_alert_an_incident(tmp_path):
    quiet = recorded("hospital-benign.eve.json.xz")
    attack = recorded("hospital.eve.json.xz", LINES)
    parser = EveParser()
    scans = sum(flow is not None and flow.orig_h == SCANNER for flow in map(parser.parse, attack))
    flows = len(quiet) + parser.stats.flows
    log = write(tmp_path / "eve.json", quiet)
    settings = settings_for(
        tmp_path / "a",
        sensor=[{"path": str(log), "labels": False}],
        detector__budget="1%",
        alerts__per_minute_max=RATE_MAX,
    )

    async def main():
        async with running(settings) as node:
            found = await node.until(
                lambda s: s.sensors[0].judged == len(quiet) and s.detector.state == "watching"
            )
            cycle = found.mesh.cycle
            found = await node.until(lambda s: s.mesh.cycle > cycle + 20)
            assert not found.alerts.suppressed
            write(log, attack)
            found = await node.until(lambda s: s.sensors[0].judged == flows)
            assert found.detector.flows_anomalous > scans / 2
            return found

    found = trio.run(main)
    assert scans > 500
    records = [json.loads(line) for line in settings.alerts_path.read_text().splitlines()]
    alerts = [record for record in records if record["hedgerow"]["event"] == "opened"]
    assert len(records) == found.alerts.written < RATE_MAX, "thousands of flows, few alerts"
    keys = [alert["hedgerow"]["incident"] for alert in alerts]
    assert len(set(keys)) == len(keys), "one an incident"
    by_scanner = [alert for alert in alerts if alert["src_ip"] == SCANNER]
    assert by_scanner
    largest = max(found.alerts.last, key=lambda incident: incident.flows)
    assert (largest.source, largest.flows > scans / 4) == (SCANNER, True)
    assert largest.incident in keys
    for alert in by_scanner:
        check(alert, settings)


def check(alert, settings):
    assert alert["event_type"] == "alert"
    assert alert["alert"]["gid"] == GID
    assert alert["community_id"].startswith("1:")
    assert alert["host"] == settings.node.name
    said = alert["hedgerow"]
    assert said["family"] in {*FAMILIES[1:], UNKNOWN}
    assert said["budget"] == 0.01
    assert said["score"] > said["threshold"] > 0
    assert said["calibration_flows"] >= 1_000
    assert len(said["features"]) == 5
    for feature in said["features"]:
        assert feature["name"] in SCHEMA
        assert feature["usual_low"] <= feature["usual_high"]
    assert said["samples"][0]["src_ip"] == SCANNER
