"""Tables dealt to peers: every row once, none trained on and tested, the same each time."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.draws import Purpose, generator
from gossip.errors import ConfigError
from gossip.learning.scaling import BOUND, Scaler
from scenarios.data.appearing import Appearance
from scenarios.data.dealing import deal
from scenarios.data.duplicates import repeated
from scenarios.data.roles import check, roles
from scenarios.data.sharding import apportion
from scenarios.data.shards import Epochs
from scenarios.data.table import Table
from scenarios.spec.data import Data, Duplicates, Scaling, Source, Split

FAMILIES = ("benign", "scan", "dos", "brute-force")
SEED = b"a seed"
WAYS = ("natural", "families(2)", "dirichlet(0.3)", "quantity(0.5)", "time")


def some_table(benign=3_000, attacks=300, owners=4, seed=1) -> Table:
    """Rows that name themselves: the first column is the row's number in thousands."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(4), [benign, attacks, attacks // 2, attacks // 10])
    rng.shuffle(y)
    rows = len(y)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    x[:, 0] = np.arange(rows) / 1_000
    x[:, 4] = rng.integers(0, 2, rows)  # a flag
    owner = rng.integers(0, owners, rows)
    names = tuple(f"device-{number}" for number in range(owners))
    columns = ("number", "b", "c", "d", "flag")
    return Table("t5", columns, FAMILIES, x, y, owner, names, rng.permutation(rows).astype(float))


def data(**keys) -> Data:
    return Data(source=Source.RECORDINGS, **keys)


def dealt(table, peers, *, labelled=True, appear=(), **keys):
    return deal(table, data(**keys), [labelled] * peers, SEED, appear, "trial.toml")


def numbers(x) -> list[int]:
    return np.round(x[:, 0] * 1_000).astype(int).tolist()


@settings(max_examples=25)
@given(
    way=st.sampled_from(WAYS),
    peers=st.integers(1, 11),
    owners=st.integers(1, 9),
    rows=st.integers(1, 400),
)
def test_every_row_is_used_once_and_tested_rows_are_never_trained_on(way, peers, owners, rows):
    if way == "families(2)":
        peers = max(peers, 2)
    table = some_table(owners=owners)
    shards = dealt(
        table, peers, shards=way, rows=rows, calibrate_rows=150, test_rows=90, scaling=Scaling.NONE
    )
    trained, calibrated, tested = [], [], []
    for shard in shards.shards:
        assert table.y[numbers(shard.train_x)].tolist() == shard.train_y.tolist()
        assert table.y[numbers(shard.test_x)].tolist() == shard.test_y.tolist()
        assert not table.y[numbers(shard.calibrate_x)].any()
        trained += numbers(shard.train_x)
        calibrated += numbers(shard.calibrate_x)
        benign = shard.test_y == 0
        assert 0 < benign.sum() <= 90
        tested.append((numbers(shard.test_x[benign]), numbers(shard.test_x[~benign])))
    own = [row for benign, _ in tested for row in benign]
    attacks = tested[0][1]
    assert all(each == attacks for _, each in tested)  # the same for all: does knowledge travel?
    assert {1, 2, 3} == set(table.y[attacks].tolist())
    used = [*trained, *calibrated, *own, *attacks]
    assert len(used) == len(set(used))


@pytest.mark.parametrize("way", WAYS)
def test_dealing_repeats_to_the_byte_and_follows_the_seed(way):
    table = some_table()

    def bytes_of(seed):
        shards = deal(table, data(shards=way), [True] * 5, seed, (), "trial.toml")
        return [
            (s.train_x.tobytes(), s.train_y.tobytes(), s.calibrate_x.tobytes(), s.test_x.tobytes())
            for s in shards.shards
        ]

    assert bytes_of(SEED) == bytes_of(SEED)
    assert bytes_of(SEED) != bytes_of(b"another")


@pytest.mark.parametrize(("peers", "owners"), [(4, 4), (8, 4), (9, 4), (2, 5)])
def test_natural_shards_keep_to_their_owners(peers, owners):
    table = some_table(owners=owners)
    for peer, shard in enumerate(dealt(table, peers, rows=150, scaling=Scaling.NONE).shards):
        expected = {peer % owners} if peers >= owners else set(range(peer, owners, peers))
        for x in (shard.train_x, shard.calibrate_x, shard.test_x[shard.test_y == 0]):
            assert set(table.owner[numbers(x)].tolist()) == expected


def test_each_peer_holds_as_many_families_as_asked_for():
    held = [
        set(shard.train_y.tolist()) for shard in dealt(some_table(), 9, shards="families(2)").shards
    ]
    assert [len(families) for families in held] == [3] * 9
    assert [sum(f in families for families in held) for f in range(4)] == [9, 6, 6, 6]


def test_dirichlet_shares_are_those_of_the_distribution():
    table = some_table(benign=6_000, attacks=4_000)
    shards = dealt(table, 6, shards="dirichlet(0.4)", rows=2_000).shards
    got = np.array([np.count_nonzero(shard.train_y == 1) for shard in shards])
    expected = generator(SEED, "shares/scan", 0, Purpose.WORLD).dirichlet(np.full(6, 0.4))
    assert np.abs(got - expected * got.sum()).max() <= 1
    assert min(np.count_nonzero(shard.train_y == 0) for shard in shards) >= 100


def test_quantities_are_unequal_and_mixtures_alike():
    table = some_table(benign=20_000, attacks=6_000)
    shards = dealt(table, 5, shards="quantity(0.5)", rows=1_000).shards
    benign, scan = (
        np.array([np.count_nonzero(shard.train_y == f) for shard in shards]) for f in (0, 1)
    )
    assert benign.max() > 3 * benign.min()
    assert np.argsort(benign).tolist() == np.argsort(scan).tolist()


def test_shards_by_time_follow_each_other():
    table = some_table()
    shards = dealt(table, 4, shards="time", rows=5_000, scaling=Scaling.NONE).shards
    spans = [
        (table.time_s[seen].min(), table.time_s[seen].max())
        for shard in shards
        for seen in [numbers(shard.train_x) + numbers(shard.calibrate_x)]
    ]
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    with pytest.raises(ConfigError, match=r'trial\.toml: data\.shards: .* another than "time"'):
        dealt(replace(table, time_s=None), 4, shards="time")


@given(
    total=st.integers(0, 5_000),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    least=st.integers(0, 3),
)
def test_apportioning_gives_all_and_at_least_the_least(total, shares, least):
    part = np.array(shares)
    total += least * len(part)
    counts = apportion(total, part, least)
    if part.any():
        assert counts.sum() == total
        assert counts.min() >= least
    else:
        assert not counts.any()


def test_what_is_trained_on_is_not_tested_on_and_is_counted():
    table = some_table()
    twice = replace(
        table,
        x=np.concatenate([table.x, table.x]),
        y=np.concatenate([table.y, table.y]),
        owner=np.concatenate([table.owner, table.owner]),
        time_s=None,
    )
    used = roles(twice, Split.DRAWN, Duplicates.REMOVE, SEED)
    held = np.concatenate([used.calibrate, used.test])
    train = {(twice.x[row].tobytes(), int(twice.y[row])) for row in used.train}
    assert not any((twice.x[row].tobytes(), int(twice.y[row])) in train for row in held)
    kept = roles(twice, Split.DRAWN, Duplicates.KEEP, SEED)
    both = np.concatenate([kept.calibrate, kept.test])
    again = sum((twice.x[row].tobytes(), int(twice.y[row])) in train for row in both)
    assert (used.removed, kept.removed) == (again, 0)
    assert again > 500
    assert deal(twice, data(), [True] * 4, SEED).removed == again
    assert dealt(table, 4).removed == 0


def test_a_duplicate_has_the_same_family_and_zero_has_no_sign():
    train, held = np.zeros((2, 3), np.float32), np.array([[0, -0.0, 0]] * 2, np.float32)
    family = np.array([1, 2])
    assert repeated(train, family, held, np.array([2, 3])).tolist() == [True, False]
    assert repeated(train[:0], family[:0], held, family).tolist() == [False, False]


def test_rows_that_the_authors_set_aside_are_the_tested_ones():
    table = some_table()
    aside = np.zeros(len(table.x), np.bool_)
    aside[::5] = True
    marked = replace(table, held_out=aside)
    used = roles(marked, Split.AUTHORS, Duplicates.REMOVE, SEED)
    assert used.test.tolist() == np.flatnonzero(aside).tolist()
    drawn = roles(marked, Split.DRAWN, Duplicates.REMOVE, SEED)
    assert drawn.test.tolist() == roles(table, Split.AUTHORS, Duplicates.REMOVE, SEED).test.tolist()


def test_scaling_is_the_peers_own_the_meshs_or_none_and_flags_survive():
    table = some_table()
    raw = dealt(table, 3, scaling=Scaling.NONE).shards
    own = dealt(table, 3).shards
    shared = dealt(table, 3, scaling=Scaling.SHARED).shards
    together = Scaler.fit(np.concatenate([s.train_x[s.train_y == 0] for s in raw]))
    for before, mine, ours in zip(raw, own, shared, strict=True):
        scaler = Scaler.fit(before.train_x[before.train_y == 0])
        assert np.array_equal(mine.train_x, scaler(before.train_x))
        assert np.array_equal(mine.test_x, scaler(before.test_x))
        assert np.array_equal(ours.calibrate_x, together(before.calibrate_x))
        assert np.unique(mine.test_x[:, 4]).tolist() == [0.0, 2.0]
        assert np.abs(mine.test_x).max() <= BOUND


def test_a_family_appears_at_its_time_and_at_its_peers_alone():
    table = some_table()
    appear = (
        Appearance("data.appear[1]", "dos", (1, 2), 5_000_000),
        Appearance("data.appear[2]", "scan", (0,), 9_000_000),
    )
    for way in ("natural", "families(1)", "dirichlet(0.3)", "quantity(0.5)", "time"):
        shards = dealt(table, 4, shards=way, appear=appear, rows=400)
        names = [f"p{peer}" for peer in range(4)]
        rows = Epochs(shards, names, steps=20, batch=32, seed=SEED)

        def seen(now_us, rows=rows):
            batches = rows.batches([0, 1, 2, 3], [7] * 4, [now_us] * 4)
            said = [set(np.unique(y).tolist()) for y in batches.y]
            known = [set(np.flatnonzero(row).tolist()) for row in batches.known]
            assert all(labels <= mask for labels, mask in zip(said, known, strict=True))
            return [(1 in labels, 2 in labels) for labels in known]

        neither = (False, False)
        assert seen(0) == seen(4_999_999) == [neither] * 4
        assert seen(5_000_000) == [neither, (False, True), (False, True), neither]
        assert seen(9_000_000) == [(True, False), (False, True), (False, True), neither]
        assert all({1, 2} <= set(shard.test_y.tolist()) for shard in shards.shards)
    with pytest.raises(ConfigError, match=r"data\.appear\[1\]\.family: .*did you mean 'scan'"):
        dealt(table, 4, appear=(Appearance("data.appear[1]", "scam", (1,), 5),))


def test_peers_without_labels_train_on_benign_rows_alone():
    for shard in dealt(some_table(), 4, labelled=False).shards:
        assert set(shard.train_y.tolist()) == {0}
        assert set(shard.test_y.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("peers", "keys", "message"),
    [
        (13, {}, r"mesh\.peers: 13 peers need 100 benign .* have 1200 .*use fewer peers, or scale"),
        (1_300, {"scaling": Scaling.SHARED}, r"mesh\.peers: 1300 peers need 1 benign .*use fewer"),
        (4, {"shards": "families(4)"}, r"data\.shards: families\(4\) asks for more .*scan, dos"),
        (1, {"shards": "families(2)"}, r"data\.shards: families\(2\) leaves .*families\(3\)"),
    ],
)
def test_what_cannot_be_dealt_names_file_key_and_cure(peers, keys, message):
    with pytest.raises(ConfigError, match=r"^trial\.toml: " + message):
        dealt(some_table(), peers, **keys)


def test_an_owner_with_too_few_rows_is_named():
    table = some_table()
    table.owner[(table.y == 0) & (table.owner == 2)] = 1
    with pytest.raises(ConfigError, match=r"peer 2 \(device-2\) has 0; .*data\.scaling"):
        dealt(table, 4)
    poor = dealt(table, 4, scaling=Scaling.SHARED).shards[2]
    assert (len(poor.calibrate_x), set(poor.train_y.tolist())) == (0, {1, 2, 3})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ("Src_IP", "b", "c", "d", "e")}, "Src_IP would leak"),
        ({"x": np.full((3, 5), np.nan, np.float32)}, "must be"),
        ({"owners": ("one",)}, "no name among one"),
        ({"families": ("benign",)}, "no name among benign"),
        ({"time_s": np.zeros(3)}, "must be"),
    ],
)
def test_a_table_that_breaks_its_contract_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        check(replace(some_table(), **change))
