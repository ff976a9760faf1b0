"""The status document in every state that a node can be in, and the log lines beside it."""

import io
import json
import logging
from collections import Counter
from dataclasses import replace
from math import inf
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import trio
from rich.console import Console

from gossip.actions import Report, Topic
from gossip.contacts import Contact, PeerId
from gossip.learning.samples import Role
from gossip.learning.tails import MeshTail
from node import logs
from node.alerts.alerter import Alerter
from node.config.sensing import SensorSettings
from node.config.settings import Settings
from node.detection import new_learner, new_watch
from node.intake.logs import LogSource
from node.p2p.stats import Stats
from node.status import document
from node.status.condition import PEERS_SHOWN, Condition
from node.status.reports import LINES_PER_MINUTE, REASONS_MAX, Reports
from node.status.view import render
from node.times import short_time
from tests.node.immunity import immune
from tests.node.traffic import benign, parsed, write

ME, OTHER = PeerId("12D3KooWme"), PeerId("12D3KooWother")


class Parts:
    """A node's parts, of which transport and driver are stand-ins with the same attributes."""

    def __init__(self, folder, budget="10%"):
        self.settings = Settings.defaults().with_overrides(
            {"node.state_dir": str(folder), "detector.budget": budget}
        )
        self.log = folder / "eve.json"
        self.transport = SimpleNamespace(
            peer=ME, addresses=("/ip4/192.0.2.1/tcp/4001",), stats=Stats(), peers=lambda: ()
        )
        peer = SimpleNamespace(view=(), cycle=3, ages=np.array([5, 6], np.int64), antigens=())
        self.driver = SimpleNamespace(peer=peer, shed=Counter())
        self.watch = new_watch(self.settings.detector.budget, b"secret", ME)
        self.intake = LogSource(SensorSettings(self.log))
        self.reports = Reports()
        self.alerter = Alerter(self.settings, "kitchen")
        self.immune = immune(self.settings, folder)

    def document(self):
        """As a client gets it."""

        async def main():
            await trio.lowlevel.checkpoint()
            condition = Condition(
                self.settings,
                "kitchen",
                self.transport,
                self.driver,
                self.watch,
                [self.intake],
                self.reports,
                self.alerter,
                self.immune,
            )
            return msgspec.json.encode(condition.document())

        parsed_ = document.parse(json.loads(trio.run(main)))
        with io.StringIO() as out:
            Console(file=out, width=120).print(render(parsed_))
            assert "kitchen" in out.getvalue()
        return parsed_

    def learn(self, rows=700):
        learner = new_learner()
        self.watch.observe(parsed(benign(rows)))
        self.watch.serve(learner.initial(b"x"), 3)


@pytest.fixture
def parts(tmp_path):
    made = Parts(tmp_path)
    yield made
    made.alerter.close()


def test_the_first_node_of_a_mesh_says_that_others_can_join(parts):
    found = parts.document()
    assert (found.state, found.peer, found.addresses) == ("running", ME, parts.transport.addresses)
    assert "others can join" in found.detail
    assert found.mesh.ages == (5, 6)


def test_waiting_for_a_bootstrap_peer_says_for_whom_and_why(parts):
    parts.reports.take(Report(Topic.ISOLATED, detail="asked X; next attempt in 1 s"))
    assert parts.document().detail == "asked X; next attempt in 1 s"
    parts.reports.take(Report(Topic.PEER_LOST, OTHER, "Connection refused"))
    found = parts.document()
    assert found.state == "joining"
    assert "asked X" in found.detail
    assert "Connection refused" in found.detail
    parts.reports.take(Report(Topic.REFUSED_BY, OTHER, "another schema"))
    parts.reports.take(Report(Topic.PEER_LOST, OTHER, "did not answer"))
    assert parts.document().detail.endswith("another schema")
    parts.driver.peer.view = (Contact(OTHER, ("/ip4/192.0.2.2/tcp/1",)),)
    parts.reports.take(Report(Topic.JOINED, OTHER))
    found = parts.document()
    assert (found.state, found.detail) == ("running", "")
    assert [(p.peer, p.connected) for p in found.mesh.peers] == [(OTHER, False)]
    parts.driver.peer.view = ()
    parts.reports.take(Report(Topic.ISOLATED, detail="asked Y; next attempt in 2 s"))
    found = parts.document()
    assert (found.state, found.detail) == ("isolated", "asked Y; next attempt in 2 s")


def test_while_learning_there_is_no_threshold_and_no_rate(tmp_path):
    parts = Parts(tmp_path, budget="0.5%")
    assert parts.document().detector.state == "learning"
    parts.learn()
    found = parts.document().detector
    assert found.state == "learning"
    assert (found.threshold, found.false_alarm_share) == (None, None)
    assert 0 < found.calibration_flows < found.calibration_flows_needed == 2_000
    parts.alerter.close()


def test_while_watching_it_measures_its_own_false_alarms(parts):
    parts.learn()
    found = parts.document().detector
    assert found.state == "watching"
    assert 0 < found.threshold < inf
    assert found.false_alarm_share_low <= found.false_alarm_share <= found.false_alarm_share_high
    assert found.flows_seen == 700
    assert found.model.startswith("3-")


def test_it_says_what_its_threshold_rests_on_and_what_to_expect_of_it(tmp_path):
    parts = Parts(tmp_path, budget="2%")
    parts.learn()
    found = parts.document().detector
    assert found.state == "learning"
    assert (found.threshold_flows, found.expected_share_high) == (0, None)
    mesh = MeshTail.of(parts.watch.told, peers=3)
    parts.watch.serve(parts.watch.serving.vector, 4, mesh)
    found = parts.document().detector
    assert found.state == "watching"
    assert 50 <= found.threshold_flows == found.calibration_flows < 500
    assert found.threshold_flows_lent == 200
    low, high = found.expected_share_low, found.expected_share_high
    assert 0 < low < 0.02 < high < 0.1
    flows = parsed(benign(700))
    _, first, *_, last, _ = sorted(f.ts for f in flows)  # the ends prove nothing alone
    a_day = 700 * 86_400 / (last - first)
    assert found.budget_a_day == pytest.approx(0.02 * a_day)
    assert found.expected_a_day_low == pytest.approx(low * a_day)
    assert found.expected_a_day_high == pytest.approx(high * a_day)
    parts.watch.seen.last_ts_s = parts.watch.seen.first_ts_s + 59
    assert parts.document().detector.expected_a_day_high is None, "too little to tell a rate by"
    assert parts.document().detector.budget_a_day is None
    parts.watch.seen.last_ts_s = parts.watch.seen.first_ts_s + 60
    said = render(parts.document()).plain
    assert f"for a budget of 2.00 %, {14 * 1_440:,} alarms a day, by" in said
    assert f"by {found.threshold_flows} own flows and 200 of the mesh" in said
    assert f"expected {low:.2%}".replace("%", " %") in said
    parts.alerter.close()


def test_a_budget_that_is_not_kept_is_said_with_its_reason_until_it_is_again(parts):
    parts.learn()
    found = parts.document().detector
    assert (found.standing, found.breach) == ("unproven", "")
    watch, honest = parts.watch, parts.watch.serving
    usual = watch.judge(watch.samples.rows(Role.CALIBRATE)).score
    eager = replace(honest.calibration, threshold=float(np.quantile(usual, 0.6)))
    watch.serving = replace(honest, calibration=eager)
    watch.observe(parsed(benign(300, first=700)))
    found = parts.document().detector
    assert found.standing == "unproven"
    assert "flows believed benign" in found.breach
    assert (found.breaches, found.recalibrations, found.fall_backs) == (1, 1, 0)
    said = render(parts.document()).plain
    assert f"in doubt, since {short_time(found.standing_since_ts_s)}: {found.breach}" in said
    assert "breaches 1, fallen back 0, calibrated anew 1, new models proven 0" in said
    watch.serving = honest
    watch.observe(parsed(benign(500, first=1000)))
    found = parts.document().detector
    assert (found.standing, found.breach) == ("proven", "")


def test_the_sensor_shows_what_it_read(parts):
    write(parts.log, [*benign(3), b"garbage"])
    intake = LogSource(SensorSettings(parts.log, follow=False))
    trio.run(intake.run, lambda _: None)
    parts.intake = intake
    (sensor,) = parts.document().sensors
    assert (sensor.flows, sensor.bad_lines) == (3, 1)
    assert sensor.last_flow_ts_s == pytest.approx(parsed(benign(3))[-1].ts)


def test_the_document_stays_small_however_many_are_connected(parts):
    many = tuple(PeerId(f"peer{i}") for i in range(10 * PEERS_SHOWN))
    parts.transport.peers = lambda: many
    for i in range(10 * REASONS_MAX):
        parts.reports.take(Report(Topic.REFUSED, PeerId(f"p{i}"), f"reason {i}"))
    found = parts.document()
    assert len(found.mesh.peers) == PEERS_SHOWN
    assert len(found.mesh.refusals) == REASONS_MAX + 1
    assert sum(found.mesh.refusals.values()) == 10 * REASONS_MAX


@pytest.fixture
def logged():
    out = io.StringIO()
    logs.configure("info", "json", out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, logs._Handler)]:
        root.removeHandler(handler)


def test_strangers_cannot_flood_the_log(logged):
    now_s = [0.0]
    reports = Reports(lambda: now_s[0])
    for i in range(1_000):
        reports.take(Report(Topic.REMOTE_FAULT, PeerId(f"p{i}"), "garbage"))
    reports.take(Report(Topic.JOINED, OTHER))
    assert len(logged()) == LINES_PER_MINUTE + 1, "one topic does not silence another"
    assert reports.counts[Topic.REMOTE_FAULT] == 1_000
    now_s[0] = 60.0
    reports.take(Report(Topic.REMOTE_FAULT, OTHER, "garbage"))
    assert logged()[-1]["unsaid_before"] == str(1_000 - LINES_PER_MINUTE)


def test_what_peers_say_cannot_move_the_cursor(logged):
    Reports().take(Report(Topic.REFUSED_BY, OTHER, "\x1b[2Jnothing\nto see"))
    (line,) = logged()
    assert line["event"] == "a peer refused us"
    assert line["detail"].isprintable()
