"""What the demo's gateways get to see, and what is kept from them."""

import json

import numpy as np
import pytest

from gossip.features import extract
from gossip.flows import Flow
from node.sensors.eve import EveParser
from node.sensors.zeek import ZeekParser
from scenarios import recordings
from scenarios.demo.feeds import HELD_OUT, PLANS, Feed, feeds_of, zeek_header, zeek_line

SITE = "building"  # the smallest recording


@pytest.fixture(scope="module")
def feeds() -> list[Feed]:
    return feeds_of(SITE, seed=0)


def flows_in(feed: Feed) -> list[Flow]:
    parser = ZeekParser() if feed.plan.sensor == "zeek" else EveParser()
    header = zeek_header().splitlines() if feed.plan.sensor == "zeek" else []
    lines = [*header, *(line.rstrip(b"\n") for _, line in [*feed.quiet, *feed.busy])]
    found = [flow for line in lines if (flow := parser.parse(line)) is not None]
    assert parser.stats.bad == 0
    return found


def test_each_site_has_two_gateways_with_devices_of_their_own():
    for site in recordings.SITES:
        first, second = (plan for plan in PLANS if plan.site == site)
        assert not set(first.devices) & set(second.devices)


def test_labels_exist_at_some_gateways_only(feeds):
    labelled = {feed.plan.name: any(f.family for f in flows_in(feed)) for feed in feeds}
    assert labelled == {feed.plan.name: feed.plan.labels for feed in feeds}


def test_a_flow_is_seen_by_one_gateway_of_its_site(feeds):
    first, second = ({f.uid for f in flows_in(feed)} for feed in feeds)
    assert first
    assert second
    assert not first & second


def test_lines_come_in_order_and_within_their_part(feeds):
    for feed in feeds:
        for part in (feed.quiet, feed.busy):
            places = [place for place, _ in part]
            assert places == sorted(places)
            assert places[0] >= 0
            assert places[-1] <= 1


def test_quiet_traffic_ends_where_the_attacks_recording_begins(feeds):
    for feed in feeds:
        quiet = len(feed.quiet)
        starts = [flow.ts for flow in flows_in(feed)]
        benign = [f for f in flows_in(feed)[:quiet] if f.family is None]
        assert len(benign) == quiet
        assert max(starts[:quiet]) < min(starts[quiet:]) + 1.0


def test_no_flow_kept_back_was_ever_logged(feeds):
    for feed in feeds:
        rows = len(feed.benign) + sum(map(len, feed.attacks.values()))
        assert len(feed.kept_back) == rows  # no attack of this site reaches the bound
        assert feed.kept_back.isdisjoint(flow.uid for flow in flows_in(feed))


def test_no_alert_about_a_flow_kept_back_was_logged(feeds):
    logged = [json.loads(line) for _, line in feeds[0].busy]
    assert {record["event_type"] for record in logged} == {"alert", "flow"}
    assert feeds[0].kept_back.isdisjoint(str(record["flow_id"]) for record in logged)


def test_a_share_of_each_attack_is_kept_back(feeds):
    windows = recordings.attack_windows()
    for feed in feeds:
        logged = [recordings.truth(f, SITE, windows) for f in flows_in(feed)]
        assert feed.attacks
        for label, rows in feed.attacks.items():
            share = len(rows) / (logged.count(label) + len(rows))
            assert share == pytest.approx(HELD_OUT, abs=0.15)
        assert len(feed.benign) > 200


def test_another_seed_keeps_other_flows_back(feeds):
    other = feeds_of(SITE, seed=1)
    assert {len(f.busy) for f in feeds} != {len(f.busy) for f in other}


def test_a_flow_written_for_zeek_is_read_back_with_the_same_features(feeds):
    flows = flows_in(feeds[0])[:300]
    parser = ZeekParser()
    for line in zeek_header().splitlines():
        assert parser.parse(line) is None
    again = [parser.parse(zeek_line(flow).rstrip(b"\n")) for flow in flows]
    assert all(flow is not None for flow in again)
    np.testing.assert_allclose(
        extract(f for f in again if f is not None), extract(flows), atol=2e-3
    )


def test_lines_are_what_suricata_writes(feeds):
    record = json.loads(feeds[0].quiet[0][1])
    assert record["event_type"] == "flow"
    assert feeds[0].quiet[0][1].endswith(b"\n")
