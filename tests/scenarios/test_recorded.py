"""Gateways made of the bundled recordings."""

import numpy as np
import pytest

from gossip.errors import ConfigError
from gossip.features import SCHEMA
from gossip.flows import FAMILIES
from node.config.tables import from_table
from scenarios.data.load import load_data
from scenarios.plan.plan import make_plan
from scenarios.recordings import SITES
from scenarios.runs.simulate import run_stage, set_up
from scenarios.spec.scenario import Scenario
from scenarios.world.names import peer_names

pytestmark = pytest.mark.usefixtures("recordings_read_once")


def plan(peers: int, seconds: int = 120, **data):
    table = {
        "mesh": {"peers": peers, "duration": f"{seconds} s", "cycle": "5 s"},
        "data": {"source": "recordings", "rows": 600, "calibrate_rows": 800,
                 "labelled": "hospital", **data},
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
    # The recordings have 12,700 benign flows, and take 33 minutes at each site.
    assert 12_000 < sum(shards.flows_a_day) * 33 / (24 * 60) < 13_500
    assert min(shards.flows_a_day) > max(shards.flows_a_day) / 2
    shares = [row.judgement.false_alarms for row in result.judged[-6:]]
    a_day = np.multiply(shares, shards.flows_a_day)
    assert last.metrics["alarms_a_day"].mean == pytest.approx(a_day.mean())
    assert last.metrics["alarms_a_day"].worst == pytest.approx(a_day.max())
    assert result.topics["trained"] > 100


def test_more_gateways_than_rows_names_the_file_the_key_and_the_cure():
    crowded = plan(90)
    with pytest.raises(ConfigError, match=r"trial\.toml: mesh\.peers: 90 .* use fewer peers"):
        load_data(crowded, peer_names(90))


def test_the_factory_may_be_seen_through_another_sensor():
    def shards(**data):
        return load_data(plan(3, labelled="all", **data), peer_names(3))[0].shards

    theirs, ours = shards(factory_sensor="ipfix"), shards()
    for site in range(3):
        same = np.array_equal(theirs[site].train_x, ours[site].train_x)
        assert same == (SITES[site] != "factory")
    families = [np.unique(each[SITES.index("factory")].test_y) for each in (theirs, ours)]
    assert list(families[0]) == list(families[1])


def test_another_source_has_no_factory():
    with pytest.raises(ConfigError, match=r"data\.factory_sensor: belongs to recordings"):
        plan(3, source="gaussian", factory_sensor="ipfix")


SCAN, BRUTE_FORCE, EXFILTRATION = map(FAMILIES.index, ("scan", "brute-force", "exfiltration"))


def test_where_nobody_trains_on_attacks_more_of_them_are_tested():
    shards = load_data(plan(3, test_rows=700, test_left_out=True), peer_names(3))[0].shards
    hospital, factory, _ = (shard.test_y for shard in shards)
    # Six flows were uploads at either site. A tenth is held out; the factory has no other use.
    assert np.count_nonzero(hospital == EXFILTRATION) < 6
    assert np.count_nonzero(factory == EXFILTRATION) == 6
    assert np.count_nonzero(factory == SCAN) <= 100


def test_labels_may_be_the_sensors_own():
    def told(**data):
        shards = load_data(plan(3, rows=2000, **data), peer_names(3))[0].shards
        return np.bincount(shards[0].train_y, minlength=len(FAMILIES))

    true, alerts = told(), told(labels="alerts")
    # Suricata saw no upload as an attack, and some attempts at a password not either.
    assert true[EXFILTRATION] > 0
    assert alerts[EXFILTRATION] == 0
    assert 0 < alerts[BRUTE_FORCE] < true[BRUTE_FORCE]
    assert alerts[0] == true[0]


def test_other_rows_have_no_alerts():
    with pytest.raises(ConfigError, match=r"data\.labels: belongs to recordings"):
        plan(3, shards="families(1)", scaling="none", labels="alerts")


def test_an_attack_appears_at_one_site_and_everybody_is_tested_on_it_from_the_start():
    appear = [{"family": "scan", "peers": "factory", "at": "1 min"}]
    shards, rows = load_data(plan(6, labelled="all", appear=appear), peer_names(6))

    def learns_it(now_us):
        return [(rows.batches([peer], [3], [now_us]).y == SCAN).any() for peer in range(6)]

    assert learns_it(59_999_999) == [False] * 6
    assert learns_it(60_000_000) == [False, True, False, False, True, False]
    trained = [(shard.train_y == SCAN).any() for shard in shards.shards]
    assert trained == learns_it(60_000_000)
    assert all((shard.test_y == SCAN).any() for shard in shards.shards)
    for peer, shard in enumerate(shards.shards):
        early, late = shards.visible.rows[:, peer].tolist()
        assert not (shard.train_y[:early] == SCAN).any()
        assert (shard.train_y[early:late] == SCAN).all()
        assert late == len(shard.train_y)


def test_an_attack_that_its_peers_never_saw_cannot_appear_there():
    appear = [{"family": "exfiltration", "peers": "building", "at": "1 min"}]
    with pytest.raises(ConfigError, match=r"trial\.toml: data\.appear\[1\]\.peers: none of them"):
        load_data(plan(6, labelled="all", appear=appear), peer_names(6))
    with pytest.raises(ConfigError, match=r"data\.appear\[1\]\.peers: nobody of them has labels"):
        plan(6, appear=appear)  # only the hospital has


def test_recordings_are_dealt_by_families_too_and_what_is_tested_was_not_trained_on():
    shards, rows = load_data(
        plan(5, labelled="all", shards="families(1)", scaling="none"), peer_names(5)
    )
    held = [set(shard.train_y.tolist()) for shard in shards.shards]
    assert [len(families) for families in held] == [2] * 5
    assert shards.removed > 500
    trained = {
        (row.tobytes(), family)
        for shard in shards.shards
        for row, family in zip(shard.train_x, shard.train_y.tolist(), strict=True)
    }
    for shard in shards.shards:
        tested = zip(shard.test_x, shard.test_y.tolist(), strict=True)
        assert not any((row.tobytes(), family) in trained for row, family in tested)
    assert {0, 1, 2, 3, 5} == set(shards.shards[0].test_y.tolist())
    assert rows.batches([0, 4], [1, 1], [0, 0]).x.shape == (2, 8, 64, len(SCHEMA))
