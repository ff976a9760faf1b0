"""Thresholds that borrow strength from the mesh: what peers say, hear, and are judged by."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from gossip.errors import ConfigError
from gossip.learning.scoring import log_odds
from gossip.learning.shapes import DetectorShape, MLPShape
from gossip.learning.tails import LENGTH, LEVELS, MeshTail, contribution, threshold
from node.config.tables import from_table
from scenarios.data.shards import Shard
from scenarios.measures.judges import ClassifierJudge, DetectorJudge, tail_of
from scenarios.plan.plan import make_plan
from scenarios.runs.checkpoint import CHECKPOINT, data_digest, find, take_up, write
from scenarios.runs.engines import run
from scenarios.runs.simulate import Record, run_stage, set_up, simulate
from scenarios.runs.text import plain
from scenarios.spec.learning import Alarm
from scenarios.spec.scenario import Scenario

SECOND_US = 1_000_000
MESH = MeshTail(0.1 * np.exp(-LEVELS), 1.0, 100_000)


def scenario(*, borrow: bool = True, **learning) -> Scenario:
    given = {"arithmetic": "numpy", "steps": 2, "batch": 16, "rate": 0.1, "evaluate": "40 s",
             "alarm_budget": "2 %", "train": "4 s", "borrow": borrow} | learning  # fmt: skip
    table = {
        "mesh": {"peers": 12, "duration": "120 s"},
        "data": {"rows": 60, "features": 6, "classes": 3, "separation": 1.0, "test_rows": 200,
                 "calibrate_rows": 30},
        "links": {"rule": [{"drop": "5 %"}]},
        "churn": {"restless": "0:4", "up": "exponential(40 s)", "away": "exponential(10 s)"},
        "learning": given,
    }  # fmt: skip
    return from_table(Scenario, table, "test")


def told(result) -> dict:
    """All of a result but its duration, as text, in which NaN equals itself."""
    return plain(asdict(replace(result, wall_s=0.0)))


def shard(calibrate: int = 60) -> Shard:
    draw = np.random.Generator(np.random.Philox(key=9))
    train, test = draw.standard_normal((2, 200, 4)).astype(np.float32)
    held = draw.standard_normal((calibrate, 4)).astype(np.float32)
    labels = (np.arange(200) % 2).astype(np.int64)
    return Shard(train, labels, held, test, labels)


def test_a_classifiers_threshold_is_of_own_rows_and_what_the_mesh_says():
    shape, rows = MLPShape((4, 2)), shard()
    judge, vector = ClassifierJudge(shape, 0.01, 2), shape.initial(b"seed")
    held, trained, test = (
        log_odds(judge.logits(vector, x))
        for x in (rows.calibrate_x, rows.train_x[rows.train_y == 0], rows.test_x)
    )
    # 60 rows alone know nothing of 1 %; with the mesh's word they do.
    assert not judge.judge(vector, rows).calibrated
    found = judge.judge(vector, rows, MESH)
    limit = threshold(held, trained, 0.01, MESH).value
    assert found.detection == pytest.approx((test[rows.test_y == 1] > limit).mean())
    assert found.false_alarms == pytest.approx((test[rows.test_y == 0] > limit).mean())
    np.testing.assert_array_equal(
        judge.contribution(vector, rows, MESH), contribution(held, trained, MESH)
    )


def test_a_detector_borrows_for_the_score_of_both_its_parts():
    shape, rows = DetectorShape(4), shard()
    judge, vector = DetectorJudge(shape, 0.01, 2, ("benign", "scan")), shape.initial(b"seed")
    assert not judge.judge(vector, rows).calibrated
    assert judge.judge(vector, rows, MESH).calibrated
    said = judge.contribution(vector, rows, None)
    assert said is not None
    assert said.shape == (LENGTH,)
    assert said[0] > 0.0


def test_each_part_of_a_detector_may_raise_the_alarm_alone():
    shape, rows = DetectorShape(4), shard()
    vector = shape.initial(b"seed")
    judges = [DetectorJudge(shape, 0.01, 2, ("benign", "scan"), by) for by in Alarm]
    both, autoencoder, head = (judge.judge(vector, rows, MESH) for judge in judges)
    assert autoencoder.calibrated
    assert head.calibrated
    assert autoencoder.auc != head.auc != both.auc
    assert autoencoder.named == head.named == both.named


@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_who_has_too_few_rows_or_diverged_says_nothing_and_has_no_threshold(kind):
    if kind == "classifier":
        shape, judge = MLPShape((4, 2)), ClassifierJudge(MLPShape((4, 2)), 0.01, 2)
    else:
        shape = DetectorShape(4)
        judge = DetectorJudge(shape, 0.01, 2, ("benign", "scan"))
    vector = shape.initial(b"seed")
    assert judge.contribution(vector, shard(19), None) is None
    astray = np.full_like(vector, np.nan)
    assert judge.contribution(astray, shard(), MESH) is None
    assert not judge.judge(astray, shard(), MESH).calibrated


def test_all_hear_of_tails_over_the_protocol_and_few_rows_suffice():
    on, off = (set_up(make_plan(scenario(borrow=borrow))) for borrow in (True, False))
    borrowed, alone = run_stage(on), run_stage(off)
    # 30 rows of its own give nobody a threshold for 2 %.
    assert alone.samples[-1].calibrated == 0
    # Who has just come back has heard too little yet.
    heard = {peer for peer, machine in on.world.alive() if machine.mesh is not None}
    assert set(range(4, 12)) <= heard
    assert borrowed.samples[-1].calibrated == len(heard)
    assert borrowed.samples[-1].metrics["detection"].mean > 0.1
    assert borrowed.samples[-1].metrics["false_alarms"].mean < 0.06
    said = [on.judge.contribution(on.world.whole_vector(each), on.shards.at(each, 0), None)
            for each, _ in on.world.alive()]  # fmt: skip
    mean = MeshTail.of(np.mean(said, axis=0), len(said))
    for peer in heard:
        tail = tail_of(on.world.hosts[peer].machine.mesh)
        assert tail.rows >= 3 * 29  # of three arrivals, rounded on the way
        np.testing.assert_allclose(tail.shares[:4], mean.shares[:4], atol=0.05)
    # Models are what they are without, for only thresholds borrow.
    assert borrowed.trainings == alone.trainings
    for (_, machine), (_, twin) in zip(on.world.alive(), off.world.alive(), strict=True):
        np.testing.assert_array_equal(machine.vector, twin.vector)
        assert twin.mesh is None


def test_what_a_peer_says_is_of_the_model_that_it_detects_with():
    stages = [set_up(make_plan(scenario(serve=serve))) for serve in (0.0, 0.9)]
    first, second = map(run_stage, stages)
    assert first.trace_hash != second.trace_hash
    for (_, machine), (_, twin) in zip(*(each.world.alive() for each in stages), strict=True):
        np.testing.assert_array_equal(machine.vector, twin.vector)


def test_postponed_training_says_the_same():
    stages = [set_up(make_plan(scenario(serve=0.5)), postpone=each) for each in (True, False)]
    together, alone = map(run_stage, stages)
    assert stages[0].trainer.calls < stages[1].trainer.calls
    assert told(together) == told(alone)


def test_a_run_that_was_interrupted_borrows_on_as_if_it_had_not_been(tmp_path):
    plan = make_plan(scenario(serve=0.5))
    whole = simulate(scenario(serve=0.5))
    stage, path = set_up(plan), tmp_path / CHECKPOINT
    stage.world.run(37 * SECOND_US)
    write(path, stage, Record(), data_digest(stage))
    stage.trainer.close()
    again = set_up(make_plan(scenario(serve=0.5)))
    record = take_up(find(path, plan), again, data_digest(again))
    assert told(run_stage(again, so_far=record)) == told(whole)


def test_baselines_and_the_lab_refuse_to_borrow():
    with pytest.raises(ConfigError, match=r"learning\.borrow: the baseline 'local' is judged"):
        make_plan(scenario(method="local"))
    with pytest.raises(ConfigError, match=r"learning\.borrow: not in the Lab"):
        run(make_plan(scenario()), engine="lab")


def test_nobody_scores_rows_for_others_where_nobody_borrows(monkeypatch):
    def never(*_given):
        raise AssertionError

    monkeypatch.setattr(ClassifierJudge, "contribution", never)
    stage = set_up(make_plan(scenario(borrow=False)))
    assert run_stage(stage).trainings > 50
    assert stage.plan.config.sums_length == 0
    with pytest.raises(AssertionError):
        simulate(scenario())
