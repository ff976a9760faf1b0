"""Metrics as Prometheus reads them, and the ready dashboard that asks for them."""

import json
import re

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from node.status.document import DetectorStatus, Status
from node.web.metrics import ANTIGEN_STATES, Metrics
from tests.meta.sources import ROOT
from tests.web.asking import status

SECRET = "secret-192.0.2.77"
OPEN = "application/openmetrics-text; version=1.0.0"


def read(found: Status, accept: str = "") -> dict:
    text, kind = Metrics(lambda: found).exposition(accept)
    parse = open_families if "openmetrics" in kind else text_families
    return {family.name: family for family in parse(text.decode())}


def test_prometheus_reads_what_a_node_says_in_either_form():
    for accept in ("", OPEN):
        families = read(status(SECRET), accept)
        values = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families.values()
            for sample in family.samples
        }
        assert values["hedgerow_flows_total",] == 900
        assert values["hedgerow_peers", "connected"] == 1
        assert values["hedgerow_watching",] == 1
        assert values["hedgerow_sensor_flows_total", "1", "suricata"] == 900
        assert values["hedgerow_antigens", "quarantined"] == 1
        assert values["hedgerow_receive_bytes_total",] == 5_000
        assert values["process_resident_memory_bytes",] > 2**20


def test_names_and_labels_are_as_prometheus_advises():
    families = read(status(SECRET), OPEN)
    for name, family in families.items():
        assert re.fullmatch(r"(hedgerow|process)(_[a-z]+)*", name)
        assert family.documentation.endswith("." if name.startswith("hedgerow") else "")
        if family.type == "counter":
            assert {sample.name for sample in family.samples} <= {
                f"{name}_total",
                f"{name}_created",
            }
        else:
            assert not name.endswith("_total")
    for name in ("uptime", "sensor_last_flow_timestamp"):
        assert f"hedgerow_{name}_seconds" in families
    labels = {label for each in families.values() for s in each.samples for label in s.labels}
    assert labels == {"name", "version", "state", "sensor", "kind", "why"}


def test_the_documentation_lists_every_metric():
    text = (ROOT / "docs" / "dashboard.md").read_text()
    named = set(re.findall(r"`(hedgerow_[a-z_]+)[`{]", text))
    have = {s.name for family in read(status(SECRET)).values() for s in family.samples}
    assert named == {name for name in have if name.startswith("hedgerow_")}


def test_nobody_is_named():
    text, _ = Metrics(lambda: status(SECRET)).exposition("")
    assert not re.search(rb"secret|192\.0\.2|12D3Koo|/ip4", text)


def test_every_state_of_an_antigen_has_its_own_sample_and_no_other():
    samples = read(status())["hedgerow_antigens"].samples
    assert tuple(sample.labels["state"] for sample in samples) == ANTIGEN_STATES


def test_what_is_not_known_is_absent_and_not_zero():
    families = read(status(detector=DetectorStatus()))
    assert not families["hedgerow_false_alarm_ratio"].samples
    assert not families["hedgerow_threshold_score"].samples


def test_the_grafana_dashboard_asks_for_metrics_that_exist():
    board = json.loads((ROOT / "docs" / "grafana" / "hedgerow.json").read_text())
    names = {s.name for f in read(status(SECRET)).values() for s in f.samples}
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(asked) > 10
    for expression in asked:
        wanted = set(re.findall(r"\b(?:hedgerow|process)_\w+", expression))
        assert wanted <= names, expression
        assert wanted
        assert expression.count("(") == expression.count(")")
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    kinds = {panel["datasource"]["uid"] for panel in board["panels"] if "datasource" in panel}
    assert kinds == {"${datasource}"}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
