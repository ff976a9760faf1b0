"""Any name for an attack: from labels, from antigens, across a restart; always bounded."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gossip.actions import Train
from gossip.errors import StateError
from gossip.flows import FAMILIES
from gossip.learning.codes import CODE_BITS
from gossip.learning.samples import Role
from node import vocabulary
from node.alerts.incidents import UNKNOWN
from node.detection import new_learner, new_watch
from node.trainer import Trainer
from node.vocabulary import LABELS_MAX, Drawn
from tests.node.test_watch import learn
from tests.node.traffic import benign, parsed, scan

CALM = 700


def fresh():
    return new_watch(0.1, b"secret", "me")


def test_a_label_may_name_any_attack_and_rows_of_others_stay_where_they_are():
    watch = fresh()
    watch.observe(parsed(benign(CALM)))
    before = watch.samples.rows(Role.TRAIN).copy()
    watch.observe([replace(flow, family="smurf") for flow in parsed(scan(40, CALM))])
    watch.observe([replace(flow, family="dos") for flow in parsed(scan(40, CALM + 40))])
    assert watch.names == (*FAMILIES, "smurf")
    assert {each.family: len(each.rows) > 10 for each in watch.evidence()} == {
        "smurf": True,
        "dos": True,
    }
    assert np.array_equal(watch.samples.rows(Role.TRAIN)[: len(before)], before)
    assert watch.batches(1).codes.shape == (CODE_BITS, len(FAMILIES) + 1)
    again = fresh()
    again.restore(watch.to_arrays())
    assert again.names == watch.names
    for name, array in watch.to_arrays().items():
        assert np.array_equal(again.to_arrays()[name], array), name


def test_names_over_the_bound_count_as_other():
    watch = fresh()
    for number, flow in enumerate(parsed(scan(40, CALM))):
        watch.observe([replace(flow, family=f"attack {number}")])
    assert len(watch.names) == LABELS_MAX
    assert len(watch.samples.family(FAMILIES.index("other"))) > 0


def rows_like(flows, count):
    """What an antigen of these flows would give."""
    watch = fresh()
    watch.observe(parsed(benign(CALM)))
    watch.observe([replace(flow, family="scan") for flow in flows])
    (evidence,) = watch.evidence()
    return evidence.rows[np.random.default_rng(0).integers(len(evidence.rows), size=count)]


def test_what_is_rehearsed_is_named_in_anomalies_and_after_a_restart():
    watch = fresh()
    watch.observe(parsed(benign(CALM)))
    like = rows_like(parsed(scan(60, CALM)), 8 * 32)
    drawn = Drawn(like.reshape(8, 32, -1), ("smurf",), np.zeros((8, 32), np.int64))
    learner = new_learner()
    vector = learn(watch, 20)
    trainer, shared = Trainer(learner, vector), vector[: learner.shared]
    for cycle in range(60):
        batches = watch.batches(cycle, drawn)
        assert batches.x.shape[2] == watch.samples.config.rows + 32
        shared = shared + trainer.train(Train(cycle, shared), batches).delta
    assert watch.names == (*FAMILIES, "smurf")
    watch.serve(trainer.whole(shared), 60)
    again = fresh()
    again.restore(watch.to_arrays())
    assert again.serving.names == watch.names
    again.observe(parsed(benign(100, first=CALM)))
    later = parsed(scan(30, CALM + 200))
    for each in (watch, again):
        families = {anomaly.family for anomaly in each.observe(later)}
        assert "smurf" in families
        assert families <= {"smurf", UNKNOWN}
    watch.batches(61)
    assert watch.names == FAMILIES, "what is no longer rehearsed is no output any more"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"7",
        b"[1, 2]",
        json.dumps(FAMILIES[1:]).encode(),
        json.dumps([*FAMILIES, "dos"]).encode(),
        json.dumps([*FAMILIES, "benign"]).encode(),
        json.dumps([*FAMILIES, "a\x1b[2J"]).encode(),
        json.dumps([*FAMILIES, *(f"a{n}" for n in range(2_000))]).encode(),
    ],
)
def test_damaged_names_are_refused(data):
    with pytest.raises(StateError):
        vocabulary.from_array(np.frombuffer(data, np.uint8))
