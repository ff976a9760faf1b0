"""Flows that are late, early or out of order: they are counted, and change nothing for others."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gossip.features import CONTEXT_S, SCHEMA, FeatureExtractor, extract
from gossip.flows import ConnState
from node.alerts.incidents import ASTRAY_MAX, UNKNOWN
from tests.unit.test_flows import FLOW
from tests.unit.test_incidents import GAP_S, anomaly, incidents

START_S = 10_000.0
LENGTH_S = 3_600
AWAY_S = st.one_of(st.floats(-9_000, -4 * CONTEXT_S), st.floats(4 * CONTEXT_S, 1e9))
HOSTS = st.integers(0, 3).map("10.0.0.{}".format)

near = st.builds(
    lambda ms, source, target, port, state: replace(
        FLOW, ts=START_S + ms / 1_000, orig_h=source, resp_h=target, resp_p=port, state=state
    ),
    st.integers(0, 20_000),
    HOSTS,
    HOSTS,
    st.integers(1, 5),
    st.sampled_from(ConnState),
)


@given(st.lists(near, min_size=1, max_size=30), st.lists(st.tuples(AWAY_S, near), max_size=8))
def test_what_is_hours_late_or_from_the_future_changes_no_other_flows_features(flows, strays):
    alone = extract(flows)
    extractor, found = FeatureExtractor(), []
    for i, flow in enumerate(flows):
        found.append(extractor.add(flow))
        if strays:
            away_s, stray = strays[i % len(strays)]
            extractor.add(replace(stray, ts=stray.ts + away_s))
    assert np.array_equal(np.stack(found), alone)


@given(st.lists(near, min_size=1, max_size=30), st.data(), near)
def test_the_order_in_which_flows_were_logged_does_not_matter_to_the_next(flows, data, last):
    """Within the window, a flow is set against the same others however late these were logged."""
    first, *others = flows  # from it slices are counted
    permuted = [first, *data.draw(st.permutations(others))]
    one, two = extract([*flows, last])[-1], extract([*permuted, last])[-1]
    assert one.tobytes() == two.tobytes()


@given(st.floats(CONTEXT_S, 1e6))
def test_a_flow_that_is_too_late_is_its_first_ones_contemporary(late_s):
    """Of its own time nothing is known any more, or nothing yet: it counts as the first of it."""
    busy = [replace(FLOW, ts=START_S + i / 10) for i in range(50)]
    row = extract([*busy, replace(FLOW, ts=max(0.0, START_S - late_s - 15.0))])[-1]
    counts = dict(zip(SCHEMA, row.tolist(), strict=True))
    assert counts["src_flows"] == counts["dst_flows"] == np.float32(np.log1p(1))


def attack(times, clock_ts_s=None, family="scan"):
    """What became of anomalous flows of one source, each in a batch of its own."""
    known, opened = incidents(), []
    for ts in times:
        clock = START_S if clock_ts_s is None else clock_ts_s
        opened += known.observe([anomaly(ts, family=family)], clock).opened
    return known, opened


@given(
    st.lists(
        st.one_of(
            st.floats(0, START_S - LENGTH_S - 1), st.floats(START_S + GAP_S + 1, START_S + 1e9)
        ),
        max_size=10,
    )
)
def test_records_of_another_time_split_no_incident(strays):
    """Hours late or from the future, by their own sensor's clock; each counts, none ends it."""
    times = [START_S]
    for stray in strays:
        times += [stray, START_S]
    known, (incident,) = attack(times)
    assert len(known) == 1
    assert incident.flows == len(times)
    assert (incident.first_seen_ts_s, incident.last_seen_ts_s) == (START_S, START_S)


def test_traffic_that_goes_on_after_a_silence_is_believed_from_the_third_flow():
    later_s = START_S + 3 * LENGTH_S
    known, opened = attack([START_S, *(later_s + i for i in range(ASTRAY_MAX + 2))])
    assert [incident.first_seen_ts_s for incident in opened] == [START_S, later_s + ASTRAY_MAX]
    assert sum(incident.flows for incident in opened) == ASTRAY_MAX + 3
    assert len(known) == 1


def test_where_the_incident_is_over_by_the_clock_a_late_record_does_not_revive_it():
    known, _ = attack([START_S])
    clock_s = START_S + 2 * GAP_S
    changes = known.observe([anomaly(clock_s)], clock_s)
    assert (len(changes.opened), len(changes.closed)) == (1, 1)


def test_skew_between_two_sensors_is_no_reason_to_split():
    """Two minutes apart, less than a gap: flows of both join one incident."""
    known, opened = incidents(), []
    for i in range(100):
        skew_s = 110.0 * (i % 2)
        one = anomaly(START_S + i + skew_s, family=UNKNOWN)
        opened += known.observe([one], START_S + i + skew_s).opened
    assert len(opened) == 1
    assert opened[0].flows == 100
