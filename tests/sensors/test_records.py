"""Flows in our own words."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.flows import ConnState, Flow
from node.sensors.reading import Kind, read
from node.sensors.records import FIELDS, RecordParser
from tests.sensors.test_eve import json_values

WHOLE = {
    "ts": 1_795_407_565.25,
    "uid": "one",
    "id.orig_h": "198.18.2.13",
    "id.orig_p": 40_000,
    "id.resp_h": "198.19.0.10",
    "id.resp_p": 1883,
    "proto": "tcp",
    "conn_state": "closed",
    "duration": 2.5,
    "orig_pkts": 7,
    "resp_pkts": 5,
    "orig_ip_bytes": 427,
    "resp_ip_bytes": 272,
    "community_id": "1:x",
    "sensor": "mine",
    "orientation_confidence": 0.75,
    "family": "scan",
}
FLOW = Flow(
    1_795_407_565.25, "one", "198.18.2.13", 40_000, "198.19.0.10", 1883, "tcp", ConnState.CLOSED,
    2.5, 7, 5, 427, 272, "1:x", "mine", 0.75, "scan",
)  # fmt: skip


def parse(**changes):
    whole = {key: value for key, value in (WHOLE | changes).items() if value is not None}
    parser = RecordParser()
    return parser.parse(json.dumps(whole).encode()), parser.stats


def test_each_field_comes_through():
    assert set(WHOLE) == set(FIELDS)
    assert parse()[0] == FLOW


def test_the_documentation_names_each_field_and_its_example_is_sound():
    text = (Path(__file__).parents[2] / "docs/sensors.md").read_text()
    (example,) = [line for line in text.splitlines() if line.startswith('{"ts"')]
    parser = RecordParser()
    assert parser.parse(example.encode()) is not None, parser.stats.samples
    first_cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = [name.strip(" `") for cell in first_cells for name in cell.split(",")]
    assert [name for name in named if name in FIELDS] == sorted(FIELDS, key=named.index)


def test_what_may_be_left_out():
    flow, _ = parse(**dict.fromkeys(("uid", "duration", "community_id", "sensor", "family")))
    assert flow.community_id.startswith("1:")
    assert len(flow.uid) == 16
    assert flow == replace(
        FLOW, uid=flow.uid, duration=0.0, community_id=flow.community_id, sensor="json", family=None
    )


@pytest.mark.parametrize("ts", ["2026-11-23T04:19:25.25", "2026-11-23T05:19:25.250+01:00"])
def test_time_may_be_text(ts):
    assert parse(ts=ts)[0].ts == FLOW.ts


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"conn_state": "REJ"}, ConnState.REJECTED),
        ({"conn_state": "no reply"}, ConnState.NO_REPLY),
        ({"conn_state": None, "proto": "UDP"}, ConnState.CLOSED),
        ({"conn_state": None, "proto": "icmp", "resp_pkts": 0}, ConnState.NO_REPLY),
    ],
)
def test_states(changes, state):
    assert parse(**changes)[0].state is state


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"orig_pkts": None}, "missing required field `orig_pkts`"),
        ({"orig_pkts": -1}, "`int` >= 0"),
        ({"id.orig_p": 70_000}, "65535"),
        ({"conn_state": None}, 'write "closed"'),
        ({"conn_state": "dunno"}, "or Zeek's code"),
        ({"id.orig_h": "gateway"}, "is not an IP address"),
        ({"id.orig_h": "::1"}, "different IP versions"),
        ({"ts": "yesterday"}, "isoformat"),
        ({"family": "SCAN!"}, "names no attack"),
    ],
)
def test_a_bad_line_is_counted_with_its_reason(changes, problem):
    flow, stats = parse(**changes)
    assert flow is None
    assert stats.bad == 1
    assert problem in stats.samples[0].reason


def test_a_file_of_them(tmp_path):
    log = tmp_path / "flows.jsonl"
    log.write_text((json.dumps(WHOLE) + "\n") * 3)
    assert list(read(log, Kind.JSON)) == [FLOW] * 3


@given(st.one_of(json_values, st.dictionaries(st.sampled_from(FIELDS), json_values)))
def test_any_json_is_a_flow_or_counted(value):
    parser = RecordParser()
    flow = parser.parse(json.dumps(value).encode())
    assert (flow is not None, parser.stats.bad) in {(True, 0), (False, 1)}
