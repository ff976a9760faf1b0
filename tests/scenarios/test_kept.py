"""Devices with little memory keep a part of their rows."""

from dataclasses import replace

import numpy as np
import pytest

from gossip.errors import ConfigError
from node.config.tables import from_table
from scenarios.data.gaussian import gaussian
from scenarios.data.kept import kept
from scenarios.data.load import load_data
from scenarios.plan.plan import make_plan
from scenarios.spec.data import Data
from scenarios.spec.scenario import Scenario
from scenarios.world.names import peer_names

DATA = Data(rows=40, features=3, classes=3, calibrate_rows=5, test_rows=5)


def planned(memory: str, data: dict, peers: int = 3, **late):
    table = {
        "mesh": {"peers": peers, "duration": "2 min",
                 "device": [{"name": "small", "peers": "1", "memory": memory}]},
        "data": data | late,
    }  # fmt: skip
    return make_plan(from_table(Scenario, table, "test"))


def test_a_poor_device_keeps_a_drawn_part_and_the_others_everything():
    shards = gaussian(DATA, (True,) * 3, b"s")
    bounded = kept(shards, (40, 7, 2**62), b"s")
    assert [len(bounded.training(peer)[1]) for peer in range(3)] == [40, 7, 40]
    x, y = bounded.training(1)
    own = shards.shards[1]
    places = [int(np.flatnonzero((own.train_x == row).all(axis=1))[0]) for row in x]
    assert places == sorted(places)
    assert places != list(range(7))
    np.testing.assert_array_equal(y, own.train_y[places])
    np.testing.assert_array_equal(bounded.shards[1].train_x, x)
    assert bounded.shards[0] is shards.shards[0]
    assert [len(each.train_y) for each in bounded.shards[1:]] == [7, 40]
    np.testing.assert_array_equal(np.flatnonzero(bounded.visible.known[0, 1]), np.unique(y))
    again = kept(shards, (40, 7, 2**62), b"s")
    np.testing.assert_array_equal(again.training(1)[0], x)
    assert kept(shards, (40, 40, 40), b"s") is shards


def test_rows_of_families_that_appear_late_are_thinned_like_the_others():
    appear = [{"family": "class-2", "peers": "1", "at": "1 min"}]
    data = {"rows": 200, "features": 3, "classes": 3, "calibrate_rows": 5, "test_rows": 5}
    plan = planned("1000 B", data, appear=appear)  # 50 rows of 20 bytes
    shards, rows = load_data(plan, peer_names(3))
    labels = shards.training(1)[1]
    assert len(labels) == 50
    before, after = shards.visible.rows[:, 1].tolist()
    assert after == 50
    assert 2 not in labels[:before]
    assert (labels[before:] == 2).all()
    assert 5 < after - before < 30
    early = rows.batches([1], [1], [0]).y
    late = rows.batches([1], [1], [10**9]).y
    assert 2 not in early
    assert 2 in late


def test_memory_that_holds_no_row_is_refused():
    with pytest.raises(ConfigError, match=r"test: mesh\.device: the memory of peer 1 does not"):
        load_data(replace(planned("15 B", {"features": 3}), where="test"), peer_names(3))


@pytest.mark.usefixtures("recordings_read_once")
def test_gateways_on_the_recordings_keep_what_fits():
    data = {"source": "recordings", "rows": 400, "calibrate_rows": 50, "test_rows": 50}
    shards, _ = load_data(planned("40 kB", data, peers=2), peer_names(2))
    counts = [len(shards.training(peer)[1]) for peer in range(2)]
    row_bytes = 4 * shards.features + 8
    assert counts[1] * row_bytes <= 40_000
    assert counts[0] > counts[1] > 50
    with pytest.raises(ConfigError, match="a scaler needs 100; give it more"):
        load_data(planned("4 kB", data, peers=2), peer_names(2))
