"""From anomalies to alerts: one an incident, once in all lives, by the flows' own clock."""

import json
from math import inf

import numpy as np
import pytest
import trio

from gossip.errors import StateError
from gossip.learning.calibration import Calibration, Tail
from gossip.learning.scaling import Scaler
from node.alerts.alerter import SHOWN, Alerter
from node.alerts.incidents import Anomaly, Feature
from node.config.settings import Settings
from node.watch.serving import Serving
from tests.node.traffic import ATTACKER, START_S, parsed, scan

TAIL = Tail(np.linspace(0, 1, 65), np.linspace(0, 3, 65), 1.0)
CALIBRATION = Calibration(0.02, 700, 4.5, TAIL, TAIL)
SCALER = Scaler(np.zeros(1, np.float32), np.ones(1, np.float32))
SERVING = Serving(np.ones(8, np.float32), CALIBRATION, 12, SCALER)
GAP_S = 120.0


@pytest.fixture
def settings(tmp_path):
    return Settings.defaults().with_overrides(
        {"node.state_dir": str(tmp_path), "detector.budget": "2%", "alerts.per_minute_max": 100}
    )


def anomalies(count, first=0, score=9.0, family="scan"):
    features = tuple(Feature(f"feature{i}", 9.0, 0.0, 1.0) for i in range(5))
    return [Anomaly(flow, score, family, features) for flow in parsed(scan(count, first))]


def lines(settings, *events):
    """Records in the file; without events, those of what opened and of what was held back."""
    found = [json.loads(line) for line in settings.alerts_path.read_text().splitlines()]
    events = events or ("opened", "summary")
    return [line for line in found if line["hedgerow"]["event"] in events]


def told(settings):
    events = lines(settings, "opened", "updated", "closed")
    return [(line["hedgerow"]["event"], line["hedgerow"]["flows"]) for line in events]


def run(function, *args):
    """Call it where there is a clock."""

    async def main():
        await trio.lowlevel.checkpoint()
        return function(*args)

    return trio.run(main)


def test_an_incident_is_one_line_with_all_that_an_analyst_needs(settings):
    alerter = Alerter(settings, "kitchen")
    run(alerter.take, anomalies(50), SERVING, START_S)
    run(alerter.take, anomalies(50, first=3), SERVING, START_S + 2)
    (line,) = lines(settings)
    assert line["event_type"] == "alert"
    assert line["host"] == "kitchen"
    assert line["src_ip"] == ATTACKER
    assert line["community_id"].startswith("1:")
    about = line["hedgerow"]
    assert (about["family"], about["score"], about["threshold"]) == ("scan", 9.0, 4.5)
    assert (about["budget"], about["calibration_flows"]) == (0.02, 700)
    assert about["model"]["cycle"] == 12
    assert [f["usual_high"] for f in about["features"]] == [1.0] * 5
    status = alerter.status()
    assert (status.written, status.incidents_open) == (1, 1)
    assert (status.last[0].flows, status.last[0].open) == (100, True)
    alerter.close()


def test_without_a_model_that_serves_there_is_no_alert(settings):
    alerter = Alerter(settings, "kitchen")
    run(alerter.take, anomalies(5), None, START_S)
    assert lines(settings) == []
    alerter.close()


def test_an_incident_ends_by_the_flows_clock_and_the_next_is_a_new_alert(settings):
    alerter = Alerter(settings, "kitchen")
    run(alerter.take, anomalies(5), SERVING, START_S)
    run(alerter.take, [], SERVING, START_S + GAP_S - 1)
    assert alerter.status().incidents_open == 1
    run(alerter.take, [], SERVING, START_S + GAP_S + 1)
    assert alerter.status().incidents_open == 0
    assert not alerter.status().last[0].open
    run(alerter.take, anomalies(5, first=600), SERVING, START_S + 300)
    assert len({line["hedgerow"]["incident"] for line in lines(settings)}) == 2
    alerter.close()


def test_a_clock_that_was_wrong_neither_ends_nor_swallows_everything(settings):
    alerter = Alerter(settings, "kitchen")
    future = [Anomaly(parsed(scan(1, 0, start_s=9e9))[0], 9.0, "scan")]
    run(alerter.take, future, SERVING, START_S)
    assert alerter.status().incidents_open == 0, "by now it has not begun"
    run(alerter.take, anomalies(5), SERVING, START_S)
    run(alerter.take, anomalies(5, first=10), SERVING, START_S + 5)
    assert len(lines(settings)) == 2
    run(alerter.take, future, SERVING, START_S + 6)
    run(alerter.take, anomalies(5, first=20), SERVING, START_S + 10)
    run(alerter.take, anomalies(5, first=30), SERVING, START_S + 15)
    assert len(lines(settings)) == 4, "the odd flow parts them, but it does not end alerts for ever"
    assert alerter.status().incidents_open == 1
    alerter.close()


def test_a_restart_does_not_report_an_incident_again(settings):
    first = Alerter(settings, "kitchen")
    run(first.take, anomalies(5), SERVING, START_S)
    first.close()
    again = Alerter(settings, "kitchen")
    again.restore(json.loads(json.dumps(first.saved())))
    run(again.take, anomalies(5, first=2), SERVING, START_S + 1)
    assert len(lines(settings)) == 1
    assert again.status().last[0].flows == 10
    again.close()


@pytest.mark.parametrize("damage", [None, [{}], [{"key": 1}], "text"])
def test_damaged_incidents_are_an_error(settings, damage):
    alerter = Alerter(settings, "kitchen")
    with pytest.raises(StateError, match="damaged"):
        alerter.restore(damage)
    alerter.close()


def test_many_incidents_leave_the_status_small_and_sound(settings):
    alerter = Alerter(settings, "kitchen")
    for i in range(3 * SHOWN):
        later = anomalies(1, first=i * 1000, score=inf)
        run(alerter.take, later, SERVING, later[0].flow.ts)
    status = alerter.status()
    assert len(status.last) == SHOWN
    assert all(alert.score_max < inf for alert in status.last), "JSON knows no infinity"
    assert all(line["hedgerow"]["score"] is None for line in lines(settings))
    alerter.close()


@pytest.mark.parametrize(
    ("setting", "value", "alerts"),
    [
        ("detector.gap", "120 s", 1),
        ("detector.gap", "20 s", 4),
        ("detector.incident_max", "60 s", 2),
    ],
)
def test_when_an_incident_ends_is_as_set(settings, setting, value, alerts):
    alerter = Alerter(settings.with_overrides({setting: value}), "kitchen")
    for second in (0, 30, 60, 90):
        one = [Anomaly(parsed(scan(1, second, start_s=START_S + second))[0], 9.0, "scan")]
        run(alerter.take, one, SERVING, one[0].flow.ts)
    assert len(lines(settings)) == alerts
    alerter.close()


def test_so_many_incidents_are_open_as_set(settings):
    alerter = Alerter(settings.with_overrides({"detector.incidents_max": 1}), "kitchen")
    for family in ("scan", "dos"):
        run(alerter.take, anomalies(1, family=family), SERVING, START_S)
    assert alerter.status().incidents_open == 1
    assert len(lines(settings)) == 2
    alerter.close()


def test_a_flood_of_sources_is_summed_up(settings):
    few = settings.with_overrides({"alerts.per_minute_max": 2})
    alerter = Alerter(few, "kitchen")
    flood = [anomalies(1, first=i * 1000) for i in range(10)]
    run(lambda: [alerter.take(one, SERVING, one[0].flow.ts) for one in flood])
    assert alerter.status().suppressed == 8
    alerter.close()
    assert [line["hedgerow"].get("suppressed") for line in lines(few)] == [None, None, 8]


def test_growth_is_told_at_each_tenfold_and_the_end_with_final_counts(settings):
    alerter = Alerter(settings, "kitchen")
    for first in range(0, 120, 10):
        run(alerter.take, anomalies(10, first=first), SERVING, START_S)
    run(alerter.take, [], SERVING, START_S + 1e4)
    assert told(settings) == [("opened", 10), ("updated", 100), ("closed", 120)]
    found = lines(settings, "opened", "updated", "closed")
    assert len({line["hedgerow"]["incident"] for line in found}) == 1
    assert [line["alert"]["severity"] for line in found] == [1, 1, 3]
    assert all(line["community_id"].startswith("1:") for line in found)
    alerter.close()


def test_an_incident_goes_on_over_a_restart_and_is_closed_once(settings):
    first = Alerter(settings, "kitchen")
    run(first.take, anomalies(5), SERVING, START_S)
    first.close()
    again = Alerter(settings, "kitchen")
    again.restore(json.loads(json.dumps(first.saved())))
    run(again.take, [], None, START_S + 1e4)
    again.close()
    assert told(settings) == [("opened", 5), ("closed", 5)]


def test_one_that_was_held_back_is_reported_if_it_grows_tenfold(settings):
    alerter = Alerter(settings.with_overrides({"alerts.per_minute_max": 1}), "kitchen")

    def in_one_minute():
        alerter.take(anomalies(1, family="dos"), SERVING, START_S)
        alerter.take(anomalies(5), SERVING, START_S)
        alerter.take(anomalies(44, first=5), SERVING, START_S)
        assert alerter.status().suppressed == 1
        assert sorted(d.reported for d in alerter.documents(2)) == [False, True]
        alerter._file._bucket._tokens = 1.0  # a minute later
        alerter.take(anomalies(1, first=50), SERVING, START_S)

    run(in_one_minute)
    assert told(settings) == [("opened", 1), ("opened", 50)]
    alerter.close()


def test_an_old_state_reports_no_incident_again(settings):
    first = Alerter(settings, "kitchen")
    run(first.take, anomalies(5), SERVING, START_S)
    first.close()
    new = {"collateral", "rows", "told", "tried", "rule", "judge", "contributors"}
    old = [{k: v for k, v in each.items() if k not in new} for each in first.saved()]
    again = Alerter(settings, "kitchen")
    again.restore(json.loads(json.dumps(old)))
    run(again.take, anomalies(5, first=2), SERVING, START_S + 1)
    assert told(settings) == [("opened", 5)]
    again.close()
