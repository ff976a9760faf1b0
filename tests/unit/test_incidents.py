"""Incidents: one per source and family, ended by silence, bounded whatever arrives."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import StateError
from gossip.flows import FAMILIES, ConnState, Flow
from node.alerts.incidents import (
    CLOSED_KEPT,
    DESTINATIONS_MAX,
    FEATURES_MAX,
    ROWS_MAX,
    SAMPLES_MAX,
    SAVED_BYTES_MAX,
    UNKNOWN,
    Anomaly,
    Feature,
    Incidents,
)

GAP_S = 120.0


def flow(ts: float = 1_000.0, source: str = "198.18.1.66", **other: Any) -> Flow:
    values: dict[str, Any] = {
        "uid": f"{source}@{ts}",
        "orig_p": 4_444,
        "resp_h": "198.18.1.13",
        "resp_p": 80,
        "proto": "tcp",
        "state": ConnState.REJECTED,
        "duration": 0.0,
        "orig_pkts": 1,
        "resp_pkts": 1,
        "orig_ip_bytes": 40,
        "resp_ip_bytes": 40,
        "community_id": "1:abc=",
    }
    return Flow(ts=ts, orig_h=source, **(values | other))


def anomaly(ts: float = 1_000.0, source: str = "198.18.1.66", **other: Any) -> Anomaly:
    known = {key: other.pop(key) for key in ("score", "family", "features") if key in other}
    return Anomaly(flow(ts, source, **other), **({"score": 5.0, "family": "scan"} | known))


def incidents(open_max: int = 100, length_s: int = 3_600) -> Incidents:
    return Incidents(int(GAP_S * 1e6), length_s * 1_000_000, open_max)


def test_a_scan_is_one_incident() -> None:
    known = incidents()
    first = known.observe([anomaly(1_000 + i, resp_p=i) for i in range(3)])
    later = known.observe([anomaly(1_003 + i, resp_p=i) for i in range(997)])
    (incident,) = first.opened
    assert (first.closed, later.opened, later.closed) == ((), (), ())
    assert incident.flows == 1_000
    assert (incident.first_seen_ts_s, incident.last_seen_ts_s) == (1_000.0, 1_999.0)
    assert len(incident.samples) == SAMPLES_MAX
    assert incident.samples[0].ts_s == 1_000.0
    assert len(known) == 1


def test_sources_and_families_are_apart() -> None:
    known = incidents()
    opened = known.observe(
        [
            anomaly(source="a"),
            anomaly(source="b"),
            anomaly(source="a", family="dos"),
            anomaly(source="a", family="benign"),
            anomaly(source="a", family="no such Family"),
        ]
    ).opened
    assert [(incident.source, incident.family) for incident in opened] == [
        ("a", "scan"),
        ("b", "scan"),
        ("a", "dos"),
        ("a", UNKNOWN),
    ]
    assert len({incident.key for incident in opened}) == 4


def test_silence_ends_an_incident() -> None:
    known = incidents()
    known.observe([anomaly(1_000.0, duration=30.0)])
    assert known.advance(1_000.0 + 30.0 + GAP_S) == ()
    changes = known.observe([anomaly(1_000.0 + 30.0 + GAP_S)])
    assert changes.opened == ()
    (closed,) = known.advance(2_000.0)
    assert (closed.flows, closed.open) == (2, False)
    assert len(known) == 0
    again = known.observe([anomaly(2_000.0)])
    assert again.opened[0].key != closed.key
    assert known.latest(5)[1] is closed


def test_a_flow_after_the_gap_opens_another_without_advance() -> None:
    known = incidents()
    known.observe([anomaly(1_000.0)])
    changes = known.observe([anomaly(1_000.1 + GAP_S)])
    assert (len(changes.opened), len(changes.closed)) == (1, 1)


def test_a_long_incident_is_reported_again() -> None:
    known = incidents(length_s=600)
    changes = known.observe([anomaly(1_000.0 + 60 * i) for i in range(31)])
    assert len(changes.opened) == 3
    assert [incident.flows for incident in changes.closed] == [11, 11]


def test_a_session_logged_late_does_not_stretch_the_incident() -> None:
    known = incidents(length_s=600)
    known.observe([anomaly(1_000.0)])
    changes = known.observe([anomaly(10.0, duration=990.0), anomaly(950.0), anomaly(1_001.0)])
    assert changes.opened == ()
    (incident,) = known.latest(1)
    assert (incident.first_seen_ts_s, incident.flows) == (950.0, 4)


def test_the_quietest_makes_room() -> None:
    known = incidents(open_max=3)
    known.observe([anomaly(source=name) for name in "abc"])
    known.observe([anomaly(1_001.0, source="a")])
    changes = known.observe([anomaly(1_002.0, source="d")])
    assert [incident.source for incident in changes.closed] == ["b"]
    assert len(known) == 3


def test_the_highest_score_explains_the_incident() -> None:
    known = incidents()
    features = tuple(Feature(f"f{i}", 9.0, 0.0, 1.0) for i in range(9))
    known.observe(
        [
            anomaly(score=5.0),
            anomaly(1_001.0, score=9.0, features=features, community_id="1:top="),
            anomaly(1_002.0, score=7.0),
        ]
    )
    (incident,) = known.latest(1)
    assert (incident.top.score, incident.top.community_id) == (9.0, "1:top=")
    assert incident.features == features[:FEATURES_MAX]


def test_a_restart_reports_nothing_twice() -> None:
    known = incidents()
    known.observe([anomaly(features=(Feature("ports", 9.0, 0.0, 1.0),)), anomaly(source="b")])
    again = incidents()
    again.restore(json.loads(json.dumps(known.saved())))
    assert again.saved() == known.saved()
    assert again.observe([anomaly(1_010.0)]).opened == ()
    assert again.latest(1)[0].flows == 2
    with pytest.raises(StateError, match="saved incidents are damaged"):
        again.restore([{"key": 3}])
    small = incidents(open_max=1)
    small.restore(known.saved())
    assert [incident.source for incident in small.latest(5)] == ["b"]


@given(
    st.lists(
        st.builds(
            anomaly,
            ts=st.floats(0, 5_000),
            source=st.sampled_from("abcdef"),
            family=st.sampled_from(FAMILIES),
            resp_h=st.integers(0, 200).map(str),
            duration=st.floats(0, 1e9),
            score=st.floats(allow_nan=False),
        ),
        max_size=40,
    ),
    st.integers(1, 4),
)
def test_bounds_hold_and_no_flow_is_lost(anomalies: list[Anomaly], open_max: int) -> None:
    known = incidents(open_max)
    opened, closed = [], []
    for one in anomalies:
        changes = known.observe([one])
        opened += changes.opened
        closed += changes.closed
        assert len(known) <= open_max
    closed += known.advance(1e12)
    assert len(known) == 0
    assert sorted(i.key for i in opened) == sorted(i.key for i in closed)
    assert sum(incident.flows for incident in closed) == len(anomalies)
    for incident in closed:
        assert not incident.open
        assert 1 <= len(incident.samples) <= SAMPLES_MAX
        assert len(incident.destinations) <= DESTINATIONS_MAX
        assert incident.first_seen_ts_s <= incident.last_seen_ts_s
    assert len(known.latest(1_000)) <= CLOSED_KEPT


def test_rows_are_remembered_evenly_and_outlive_a_restart() -> None:
    known = incidents(length_s=1_000_000)
    rows = [i.to_bytes(2, "big") * 52 for i in range(1_000)]
    known.observe([replace(anomaly(1_000 + i, resp_p=i), row=rows[i]) for i in range(1_000)])
    (incident,) = known.latest(1)
    places = sorted(int.from_bytes(row.values[:2], "big") for row in incident.rows)
    assert len(set(places)) == ROWS_MAX
    assert places[0] < 250 < 750 < places[-1]
    assert sum(place < 500 for place in places) in range(6, 27), "each flow is as likely"
    again = incidents()
    again.restore(json.loads(json.dumps(known.saved())))
    assert again.latest(1)[0].rows == incident.rows


def test_what_is_saved_is_bounded_and_the_newest_is_whole() -> None:
    known = incidents(1_000)
    for i in range(350):
        one = replace(anomaly(1_000 + 20 * i, source=f"s{i}", resp_h=f"r{i}"), row=b"x" * 104)
        known.observe([one] * ROWS_MAX)
    assert len(known) == 350
    saved = known.saved()
    assert len(json.dumps(saved)) < 1.1 * SAVED_BYTES_MAX
    assert saved[-1]["rows"]
    assert not saved[0]["rows"]
    again = incidents(1_000)
    again.restore(saved)
    assert again.latest(1)[0].key == known.latest(1)[0].key
