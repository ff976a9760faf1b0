"""What a gateway learns from, when it alarms, and what it says of an anomaly."""

from dataclasses import replace

import numpy as np
import pytest

from gossip.actions import Train
from gossip.errors import StateError
from gossip.flows import FAMILIES
from gossip.learning.calibration import State, Tail
from gossip.learning.codes import CODE_LENGTH, codes
from gossip.learning.samples import Role
from gossip.learning.tails import BORROWED, LENGTH, MeshTail
from node.alerts.incidents import FEATURES_MAX, UNKNOWN
from node.detection import SHAPE, new_learner, new_watch
from node.state.store import Snapshot, Store
from node.trainer import Trainer
from node.watch.memory import COLD_FLOWS_MAX, SCALER_ROWS, STORM_FLOWS
from node.watch.watch import REFERENCE_ROWS_MIN
from tests.node.traffic import benign, parsed, scan

BUDGET = 0.1  # 100 rows to calibrate with
CALM = 700


def fresh(budget=BUDGET):
    return new_watch(budget, b"secret", "me")


def learn(watch, cycles, vector=None):
    """Train alone for some cycles; the whole vector."""
    learner = new_learner()
    trainer = Trainer(learner, learner.initial(b"x") if vector is None else vector)
    shared = (learner.initial(b"x") if vector is None else vector)[: learner.shared]
    for cycle in range(cycles):
        shared = shared + trainer.train(Train(cycle, shared), watch.batches(cycle)).delta
    return trainer.whole(shared)


@pytest.fixture(scope="module")
def calm():
    """Arrays of a gateway that saw ordinary traffic, and a vector trained on it."""
    watch = fresh()
    watch.observe(parsed(benign(CALM)))
    return watch.to_arrays(), learn(watch, 40)


@pytest.fixture
def watching(calm):
    watch = fresh()
    watch.observe(parsed(benign(CALM)))
    watch.serve(calm[1], 40)
    return watch


def test_it_learns_first_and_watches_when_there_are_rows_enough(calm):
    watch = fresh()
    flows = parsed(benign(CALM))
    assert watch.observe(flows[: SCALER_ROWS - 1]) == []
    assert watch.batches(1) is None, "no scaler, so nothing to train on"
    watch.serve(calm[1], 1)
    assert watch.serving is None
    watch.observe(flows[SCALER_ROWS - 1 : SCALER_ROWS])
    assert watch.batches(1) is not None
    watch.serve(calm[1], 1)
    assert watch.state is State.WATCHING, "the rows of before the scaler count"
    assert watch.calibration_rows >= watch.calibration_rows_needed == 100


def test_no_alert_while_learning(calm):
    watch = fresh(budget=0.001)  # wants 10,000 rows
    watch.observe(parsed(benign(CALM)))
    watch.serve(calm[1], 1)
    assert watch.serving is not None
    assert watch.state is State.LEARNING
    assert watch.observe(parsed(scan(50, CALM))) == []
    assert not watch.seen.anomalous


def test_too_few_rows_to_set_against_serve_nothing(calm):
    watch = fresh()
    watch.observe(parsed(benign(SCALER_ROWS)))
    kept = watch.samples._pools[Role.TRAIN.value]
    kept._held = REFERENCE_ROWS_MIN - 1
    watch.serve(calm[1], 1)
    assert watch.serving is None


def test_benign_traffic_stays_near_the_budget_and_a_scan_does_not(watching):
    new = parsed(benign(300, first=CALM))
    assert len(watching.observe(new)) < 3 * BUDGET * len(new)
    attacks = parsed(scan(40, CALM + 300))
    found = watching.observe(attacks)
    assert len(found) > 30
    assert {anomaly.flow.uid for anomaly in found} <= {flow.uid for flow in attacks}
    alarms, held = watching.realised_rate()
    assert 0 <= alarms < 3 * BUDGET * held


def test_an_anomaly_says_what_stood_out_and_what_is_usual(watching):
    anomaly = watching.observe(parsed(scan(1, CALM)))[0]
    assert anomaly.score > watching.serving.calibration.threshold
    assert len(anomaly.features) == FEATURES_MAX
    assert len({feature.name for feature in anomaly.features}) == FEATURES_MAX
    assert all(f.usual_low <= f.usual_high for f in anomaly.features)
    assert any(not f.usual_low <= f.value <= f.usual_high for f in anomaly.features)


def without(watch, score):
    """The same, deaf to one of the two scores."""
    calibration = watch.serving.calibration
    tail = getattr(calibration, score)
    deaf = Tail(tail.knots, np.zeros_like(tail.surprise), 1e12)
    watch.serving = replace(
        watch.serving, calibration=replace(calibration, threshold=3.0, **{score: deaf})
    )
    return watch


def test_only_the_heads_objection_gives_an_anomaly_a_family(calm):
    watch = fresh()
    watch.observe(parsed(benign(CALM)))
    watch.observe(parsed(scan(120, CALM, labelled=True)))
    watch.serve(learn(watch, 60, calm[1]), 60)
    later = parsed(scan(30, CALM + 200))
    copies = []
    for deaf_to in ("odds", "error"):
        copy = fresh()
        copy.restore(watch.to_arrays())
        copy.observe(parsed(benign(100, first=CALM + 60)))  # until its context is full again
        copies.append(without(copy, deaf_to).observe(later))
    by_error, by_odds = copies
    assert by_error
    assert {anomaly.family for anomaly in by_error} == {UNKNOWN}
    assert by_odds
    assert {anomaly.family for anomaly in by_odds} == {"scan"}


def test_a_family_is_named_only_if_most_of_the_suspicion_is_its_own(calm):
    watch = fresh()
    watch.observe(parsed(benign(CALM)))
    watch.observe(parsed(scan(120, CALM, labelled=True)))
    watch.serve(learn(watch, 60, calm[1]), 60)
    watch.observe(parsed(benign(100, first=CALM + 60)))
    later = parsed(scan(30, CALM + 200))
    assert "scan" in {anomaly.family for anomaly in without(watch, "error").observe(later)}
    vector = watch.serving.vector
    w = SHAPE.layout.views(vector)  # triplets of the scan's output: as likely, and named otherwise
    scan_code, *others = codes(("scan", "malware", "exploit")).T  # orthogonal: no other changes
    for array in (w["name.w"], w["name.b"]):
        for other in others:
            array[:] = array + (array @ (scan_code - other))[..., None] * other / CODE_LENGTH**2
    assert {anomaly.family for anomaly in watch.observe(later)} == {UNKNOWN}


def test_labels_are_learnt_from_and_neither_find_nor_pardon(watching):
    calm_but_labelled = [replace(f, family="dos") for f in parsed(benign(8, first=CALM))]
    found = watching.observe(calm_but_labelled)
    assert len(found) < 4
    assert watching.seen.labelled == 8
    assert len(watching.samples.family(FAMILIES.index("dos"))) > 0
    pardoned = [replace(f, family="benign") for f in parsed(scan(8, CALM + 20))]
    assert watching.observe(pardoned)


def test_in_a_storm_nothing_unlabelled_is_believed(watching):
    assert not watching.storm
    watching.observe(parsed(scan(STORM_FLOWS, CALM, labelled=True)))
    assert watching.storm
    before = [len(watching.samples.rows(role)) for role in Role]
    watching.observe(parsed(benign(4, first=CALM + 200)))
    assert watching.seen.quarantined == 4
    assert [len(watching.samples.rows(role)) for role in Role] == before
    watching.observe(parsed(benign(3 * STORM_FLOWS, first=CALM + 1000)))
    assert not watching.storm, "it passes by itself"
    assert sum(len(watching.samples.rows(role)) for role in Role) > sum(before)


def test_a_quiet_attack_from_one_source_does_not_calibrate(watching):
    """Few enough flows to be no storm: of 30, the first four may count and the others not."""
    before = sum(len(watching.samples.rows(role)) for role in Role)
    attack, usual = parsed(scan(30, CALM)), parsed(benign(90, first=CALM))
    for i, flow in enumerate(attack):
        watching.observe([*usual[3 * i : 3 * i + 3], flow])
        assert not watching.storm
    kept = sum(len(watching.samples.rows(role)) for role in Role) - before
    assert watching.seen.quarantined >= 26
    assert kept <= 90 + 4


def test_what_serves_keeps_the_calibration_made_for_it(watching, calm):
    first = watching.serving
    merged = (calm[1] + 0.05 * new_learner().initial(b"other")).astype(np.float32)
    held = watching.samples.rows(Role.HOLDOUT)
    scored = watching.judge(held).score
    watching.serve(merged, 41)
    second = watching.serving
    assert (first.cycle, second.cycle) == (40, 41)
    assert second.calibration.threshold != first.calibration.threshold
    assert not np.array_equal(watching.judge(held).score, scored)
    merged[:] = 0  # the peer goes on merging into its own vector
    assert watching.serving.vector.any()


def test_what_serves_follows_the_models_given_and_damps_a_single_one(watching):
    before = watching.serving.vector.copy()
    given = before + np.float32(1.0)
    watching.serve(given, 41)
    np.testing.assert_allclose(watching.serving.vector - before, 0.3, atol=1e-6)
    for cycle in range(42, 70):
        watching.serve(given, cycle)
    np.testing.assert_allclose(watching.serving.vector, given, atol=1e-3)


def test_everything_comes_back_from_the_disk(watching, tmp_path):
    watching.observe(parsed(scan(60, CALM, labelled=True)))
    store = Store.open(tmp_path / "state")
    store.save(Snapshot(40, watching.to_arrays()))
    store.close()
    again = fresh()
    store = Store.open(tmp_path / "state")
    again.restore(store.load().arrays)
    store.close()
    rows = watching.samples.rows(Role.CALIBRATE)
    assert np.array_equal(again.samples.rows(Role.CALIBRATE), rows)
    assert again.serving.cycle == 40
    assert again.serving.calibration.threshold == watching.serving.calibration.threshold
    assert np.array_equal(again.judge(rows).score, watching.judge(rows).score)
    ours, theirs = again.batches(7), watching.batches(7)
    assert np.array_equal(ours.x, theirs.x)
    assert np.array_equal(ours.y, theirs.y)


def test_rows_from_before_the_scaler_outlive_a_restart():
    flows = parsed(benign(SCALER_ROWS))
    once, first, second = fresh(), fresh(), fresh()
    once.observe(flows)
    first.observe(flows[:200])
    second.restore(first.to_arrays())
    for number, flow in enumerate(flows[200:], start=200):
        second.observe([flow])
        assert (second.batches(1) is not None) == (number == SCALER_ROWS - 1)
    assert once.batches(1).x.shape == second.batches(1).x.shape


def test_after_a_restart_nothing_is_judged_until_the_context_is_full_again(watching):
    again = fresh()
    again.restore(watching.to_arrays())
    flows = parsed(benign(200, first=CALM))
    warm = next(i for i, flow in enumerate(flows) if flow.ts >= flows[0].ts + 32)
    rows = again.samples.rows(Role.CALIBRATE).shape
    assert again.observe(flows[: warm - 5]) == []
    assert again.samples.rows(Role.CALIBRATE).shape == rows
    assert again.seen.quarantined == warm - 5
    assert len(again.observe(flows[warm - 5 :])) < 3 * BUDGET * 140
    assert again.samples.rows(Role.CALIBRATE).shape > rows
    assert again.observe(parsed(scan(30, CALM + 200)))


def test_a_flow_from_the_future_does_not_keep_a_restarted_gateway_blind(watching):
    again = fresh()
    again.restore(watching.to_arrays())
    again.observe([replace(parsed(benign(1))[0], ts=9e9)])
    again.observe(parsed(benign(COLD_FLOWS_MAX, first=CALM)))
    assert again.observe(parsed(scan(30, CALM + COLD_FLOWS_MAX)))


def test_nothing_comes_of_nothing(watching):
    assert watching.observe([]) == []
    assert len(watching.serving.vector) == SHAPE.layout.dim


LENT = 0.02  # wants 500 rows; the calm gateway has a third of them


def test_where_the_mesh_lends_it_watches_with_fewer_rows_and_goes_on_watching(calm):
    watch = fresh(LENT)
    watch.observe(parsed(benign(CALM)))
    assert watch.told is None
    watch.serve(calm[1], 40)
    assert watch.state is State.LEARNING
    assert watch.told.shape == (LENGTH,)
    mesh = MeshTail.of(watch.told, peers=3)
    assert mesh.rows >= BORROWED / LENT
    watch.serve(calm[1], 41, mesh)
    assert watch.state is State.WATCHING
    assert watch.serving.calibration.borrowed == BORROWED / LENT
    assert len(watch.observe(parsed(scan(40, CALM)))) > 30
    again = fresh(LENT)
    again.restore(watch.to_arrays())
    assert np.array_equal(again.told, watch.told)
    for heard in (None, replace(mesh, rows=0)):  # not heard yet; those whom it rested on have gone
        again.serve(calm[1], 42, heard)
        assert again.state is State.WATCHING
    newer = replace(mesh, rows=mesh.rows - 1, ratio=2 * mesh.ratio)
    again.serve(calm[1], 43, newer)
    assert again.to_arrays()["mesh"][-2] == newer.ratio, "it still lends all, so it is believed"


@pytest.mark.parametrize("name", ["told", "mesh"])
def test_what_was_stored_of_the_mesh_is_checked(watching, name):
    arrays = watching.to_arrays()
    for wrong in (np.zeros(3), np.full(LENGTH, np.nan), np.full(LENGTH, -1.0)):
        with pytest.raises(StateError, match=f"watch.{name} is damaged"):
            fresh().restore(arrays | {name: wrong})


def test_a_late_record_does_not_end_the_time_without_context(watching):
    again = fresh()
    again.restore(watching.to_arrays())
    flows = parsed(benign(20, first=CALM))
    late = replace(flows[0], ts=flows[0].ts - 10_000.0)
    assert again.observe([late, *flows]) == []
    assert again.seen.quarantined == 21


def test_one_wrong_time_does_not_change_how_often_flows_come(watching):
    rate = watching.seen.alarms_a_day(0.01)
    flow = parsed(benign(1, first=CALM))[0]
    for ts in (9e9, 5.0):
        watching.observe([replace(flow, ts=ts), flow])
    assert watching.seen.alarms_a_day(0.01) == pytest.approx(rate, rel=0.02)
