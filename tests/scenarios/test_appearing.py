"""Attacks that appear with time, in synthetic rows and as a scenario says it."""

import numpy as np
import pytest

from gossip.errors import ConfigError
from node.config.tables import from_table
from scenarios.data.appearing import late_last, visible
from scenarios.data.load import load_data
from scenarios.plan.plan import make_plan
from scenarios.spec.data import Kind, Sharding, parse_sharding
from scenarios.spec.scenario import Scenario
from scenarios.world.names import peer_names


def plan(data, peers=4):
    table = {"mesh": {"peers": peers, "duration": "10 min"}, "data": data}
    return make_plan(from_table(Scenario, table, "test"), where="trial.toml")


def appear(family="class-2", peers="0:2", at="3 min", **more):
    return {"classes": 4, "rows": 80, **more,
            "appear": [{"family": family, "peers": peers, "at": at}]}  # fmt: skip


def test_a_class_appears_at_its_time_and_nobody_has_fewer_rows_for_it():
    shards, rows = load_data(plan(appear()), peer_names(4))
    plain, _ = load_data(plan({"classes": 4, "rows": 80}), peer_names(4))
    for peer, (shard, before) in enumerate(zip(shards.shards, plain.shards, strict=True)):
        assert len(shard.train_y) == 80
        assert (2 in shard.train_y) == (peer < 2)
        assert np.array_equal(shard.test_y, before.test_y)
        assert 2 in shard.test_y
        if peer < 2:  # the same rows in another order
            assert sorted(map(bytes, shard.train_x)) == sorted(map(bytes, before.train_x))
    for now_us, holders in ((179_999_999, []), (180_000_000, [0, 1])):
        batches = rows.batches(range(4), [5] * 4, [now_us] * 4)
        assert [peer for peer in range(4) if 2 in batches.y[peer]] == holders
        assert np.flatnonzero(batches.known[:, 2]).tolist() == holders
        assert batches.known[:, [0, 1, 3]].all()


def test_a_judge_fits_nothing_on_rows_that_are_still_to_appear():
    """Without labels they look like benign ones, on which a detector's tails are fitted."""
    shards, _ = load_data(plan(appear(labelled="1:4")), peer_names(4))
    whole = shards.shards[0]
    before, after = shards.at(0, 179_999_999), shards.at(0, 180_000_000)
    assert (whole.train_y == -1).all()
    assert len(before.train_x) == len(before.train_y) < len(whole.train_y)
    assert np.array_equal(after.train_x, whole.train_x)
    plain, _ = load_data(plan({"classes": 4, "rows": 80}), peer_names(4))
    late = plain.shards[0].train_x[plain.shards[0].train_y == 2]
    assert not {bytes(row) for row in late} & {bytes(row) for row in before.train_x}
    assert before.test_x is whole.test_x


@pytest.mark.parametrize("way", ["families(1)", "dirichlet(0.2)", "quantity(0.5)"])
def test_synthetic_rows_are_unequal_as_asked_and_tested_alike(way):
    shards, rows = load_data(plan({"classes": 4, "rows": 80, "shards": way}, 8), peer_names(8))
    counts = np.array([np.bincount(s.train_y, minlength=4) for s in shards.shards])
    assert counts.sum() == 8 * 80
    assert all(s.test_y is shards.shards[0].test_y for s in shards.shards)
    if way == "quantity(0.5)":
        assert counts.sum(axis=1).max() > 4 * counts.sum(axis=1).min() > 0
    else:
        assert counts.sum(axis=1).tolist() == [80] * 8
        assert counts[:, 0].min() > 0
    if way == "families(1)":
        assert np.count_nonzero(counts, axis=1).tolist() == [2] * 8
    if way == "dirichlet(0.2)":
        assert (counts.max(axis=1) > 40).sum() >= 4
    assert rows.batches(range(8), [1] * 8, [0] * 8).x.shape[0] == 8
    late, _ = load_data(plan({**appear(), "shards": way}, 8), peer_names(8))
    assert [(s.train_y == 2).any() for s in late.shards][2:] == [False] * 6
    with pytest.raises(
        ConfigError, match=r"trial\.toml: data\.shards: families\(4\) asks for more"
    ):
        load_data(plan({"classes": 4, "shards": "families(4)"}), peer_names(4))


def test_who_asks_together_changes_nothing():
    _, rows = load_data(plan(appear()), peer_names(4))
    together = rows.batches([0, 1, 3], [2, 9, 4], [0, 200_000_000, 200_000_000])
    for row, (peer, cycle, now_us) in enumerate(
        [(0, 2, 0), (1, 9, 200_000_000), (3, 4, 200_000_000)]
    ):
        alone = rows.batches([peer], [cycle], [now_us])
        assert np.array_equal(alone.x[0], together.x[row])
        assert np.array_equal(alone.y[0], together.y[row])
        assert np.array_equal(alone.known[0], together.known[row])


def test_unlabelled_rows_appear_too():
    shards, rows = load_data(plan(appear(labelled="1")), peer_names(4))
    seen = rows.batches([0, 0], [1, 1], [0, 200_000_000])
    assert not seen.known.any()
    assert (seen.y == -1).all()
    early, late = shards.visible.rows[:, 0]
    assert early < late == 80


def test_late_families_lie_last_in_the_order_of_their_time():
    families = np.array([2, 0, 1, 2, 0, 3])
    order = late_last(families, {2: 50, 1: 90})
    assert families[order].tolist() == [0, 0, 3, 2, 2, 1]
    seen = visible([families[order]], [families[order]], 4, {2: 50, 1: 90})
    assert seen.rows.tolist() == [[3], [5], [6]]
    assert seen.stages([0, 49, 50, 89, 90, 10**12]).tolist() == [0, 0, 1, 1, 2, 2]
    assert seen.known[:, 0].tolist() == [
        [True, False, False, True], [True, False, True, True], [True] * 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (appear("clas-2"), r"appear\[1\]\.family: 'clas-2' is no attack .* mean 'class-2'"),
        (appear("benign"), r"appear\[1\]\.family: 'benign' is no attack"),
        (appear(at="11 min"), r"appear\[1\]\.at: lies after the end"),
        (appear(peers="0 %"), r"appear\[1\]\.peers: names nobody"),
        (appear(peers="west"), r"appear\[1\]\.peers: 'west' names no peers"),
        ({"classes": 3, "appear": appear("class-1")["appear"] * 2}, r"appear\[2\]\.family: .*once"),
        ({"source": "recordings", "appear": appear("scam")["appear"]}, r"family: .* mean 'scan'"),
        ({"shards": "time"}, r"data\.shards: gaussian rows have no time"),
        ({"folder": "here"}, r"data\.folder: means nothing to gaussian"),
        ({"source": "recordings", "scaling": "none"}, r"data\.scaling: recordings dealt by site"),
        ({"source": "recordings", "shards": "dirichlet"}, r"shards: 'dirichlet' has a number too"),
    ],
)
def test_what_cannot_appear_is_refused_before_any_work(data, message):
    with pytest.raises(ConfigError, match=r"^trial\.toml: (data\.)?.*" + message):
        plan(data)


def test_a_peer_needs_rows_before_the_attack():
    made = plan(appear(peers="all", rows=1), peers=30)
    with pytest.raises(ConfigError, match=r"trial\.toml: data\.rows: peer \d+ would have no row"):
        load_data(made, peer_names(30))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("natural", Sharding(Kind.NATURAL)),
        (" time ", Sharding(Kind.TIME)),
        ("families(2)", Sharding(Kind.FAMILIES, 2.0)),
        ("dirichlet( 0.3 )", Sharding(Kind.DIRICHLET, 0.3)),
        ("quantity (5)", Sharding(Kind.QUANTITY, 5.0)),
    ],
)
def test_ways_to_deal_rows(text, expected):
    assert parse_sharding(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "fair", "natural(2)", "families", "families(0)", "families(1.5)", "families(1.2.3)",
     "dirichlet(0)", "dirichlet(-1)", "quantity(1e9)", "dirichlet(99999999)", "time()"],
)  # fmt: skip
def test_other_ways_are_refused(text):
    with pytest.raises(ConfigError, match=r"write|must be"):
        parse_sharding(text)
