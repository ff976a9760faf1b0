"""Gateways made of the bundled recordings."""

import numpy as np
import pytest

from gossip.errors import ConfigError
from gossip.features import SCHEMA
from gossip.flows import FAMILIES
from node.config.tables import from_table
from scenarios.data.load import load_data
from scenarios.plan.plan import make_plan
from scenarios.runs.simulate import run_stage, set_up
from scenarios.spec.scenario import Scenario
from scenarios.world.names import peer_names


def plan(peers: int, seconds: int = 120):
    table = {
        "mesh": {"peers": peers, "duration": f"{seconds} s", "cycle": "5 s"},
        "data": {"source": "recordings", "rows": 600, "calibrate_rows": 800,
                 "labelled": "hospital"},
        "learning": {"model": "detector", "momentum": 0.9, "steps": 8, "batch": 64,
                     "evaluate": "40 s", "alarm_budget": "2 %"},
    }  # fmt: skip
    return make_plan(from_table(Scenario, table, "test"), where="trial.toml")


def test_gateways_learn_attacks_from_those_that_have_labels():
    stage = set_up(plan(6))
    shards = stage.shards
    assert (shards.features, shards.families) == (len(SCHEMA), FAMILIES)
    for peer, shard in enumerate(shards.shards):
        # Held-out rows are apart from those trained on, but for flows that look the same.
        assert len(shard.train_x) > 200
        assert len(shard.calibrate_x) >= 500
        # Four attacks were run at the building, thirteen at the others; some left few flows.
        assert len(np.unique(shard.test_y)) >= (3 if peer % 3 == 2 else 4)
    rows = stage.trainer.rows
    labels = [np.unique(rows.batches([peer], [1], [0]).y) for peer in range(6)]
    assert [len(each) > 1 for each in labels] == [True, False, False, True, False, False]
    result = run_stage(stage)
    last = result.samples[-1]
    assert (last.up, last.judged, last.calibrated) == (6, 6, 6)
    assert last.metrics["detection"].mean > 0.7
    assert last.metrics["false_alarms"].mean < 0.05
    assert result.topics["trained"] > 100


def test_more_gateways_than_rows_names_the_file_the_key_and_the_cure():
    crowded = plan(90)
    with pytest.raises(ConfigError, match=r"trial\.toml: mesh\.peers: 90 .* use fewer peers"):
        load_data(crowded, peer_names(90))
