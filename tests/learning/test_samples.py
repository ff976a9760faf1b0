from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gossip.errors import StateError
from gossip.learning.learner import BENIGN
from gossip.learning.samples import Role, SampleConfig, Samples, Trust
from gossip.learning.scaling import Scaler

FEATURES, NAMES = 3, ("benign", "flood", "scan", "worm", "spy")
CONFIG = SampleConfig(
    FEATURES,
    NAMES,
    train_max=40,
    calibrate_max=50,
    holdout_max=20,
    family_max=8,
    rows=10,
    steps=4,
)
SCALER = Scaler(np.zeros(FEATURES, np.float32), np.full(FEATURES, 2, np.float32), 1e9)


def row(value: float) -> NDArray[np.float32]:
    return np.full(FEATURES, value, np.float32)


def samples(benign: int = 100, seed: bytes = b"s", **labels: int) -> Samples:
    """Benign rows 0, 1, …; labelled rows of family f are 1000 f + i."""
    s = Samples(CONFIG, seed, "p")
    for i in range(benign):
        s.add(f"b{i}", row(i))
    for name, count in labels.items():
        family = int(name[1:])
        for i in range(count):
            s.add(f"{name}-{i}", row(1000 * family + i), label=family)
    return s


def uid_of(s: Samples, role: Role) -> str:
    return next(f"u{i}" for i in range(1000) if s.role(f"u{i}") is role)


def test_roles_take_their_shares_and_follow_the_uid() -> None:
    s = samples(0)
    roles = [s.role(f"flow {i}") for i in range(4000)]
    assert roles == [s.role(f"flow {i}") for i in range(4000)]
    for role, share in ((Role.TRAIN, 0.4), (Role.CALIBRATE, 0.5), (Role.HOLDOUT, 0.1)):
        assert roles.count(role) / 4000 == pytest.approx(share, abs=0.03)


def test_nobody_can_foresee_a_role_without_the_seed() -> None:
    a, b = samples(0, b"a"), samples(0, b"b")
    same = sum(a.role(f"{i}") is b.role(f"{i}") for i in range(1000))
    assert same == pytest.approx(1000 * (0.4**2 + 0.5**2 + 0.1**2), abs=60)


def test_a_row_serves_one_purpose_only() -> None:
    s = samples()
    sets = [set(s.rows(role)[:, 0].tolist()) for role in Role]
    assert sets[0] | sets[1] | sets[2] <= set(range(100))
    assert not sets[0] & sets[1]
    assert not sets[1] & sets[2]
    assert not sets[0] & sets[2]
    assert all(sets)


def test_trust_decides_what_an_unlabelled_row_is_good_for() -> None:
    s = samples(0)
    uids = {role: uid_of(s, role) for role in Role}
    for role, uid in uids.items():
        assert s.add(uid, row(1), trust=Trust.UNKNOWN) is None
        assert s.add(uid, row(2), trust=Trust.ODD) is (None if role is Role.TRAIN else role)
        assert s.add(uid, row(3), trust=Trust.CLEAN) is role
    assert s.rows(Role.TRAIN)[:, 0].tolist() == [3]
    assert s.rows(Role.CALIBRATE)[:, 0].tolist() == [2, 3]
    assert s.rows(Role.HOLDOUT)[:, 0].tolist() == [2, 3]
    assert s.unused == 4


def test_labelled_rows_go_to_their_family_within_its_bound_whatever_the_trust() -> None:
    s = samples(0, f2=100)
    assert len(s.family(2)) == CONFIG.family_max
    assert 0 < len(s.family(2, Role.HOLDOUT)) <= CONFIG.family_max
    assert s.labelled == (2,)
    assert s.add(uid_of(s, Role.CALIBRATE), row(7), label=3, trust=Trust.UNKNOWN) is Role.TRAIN
    assert s.labelled == (2, 3)
    assert all(len(s.rows(role)) == 0 for role in Role)


def test_batches_mix_labelled_attacks_with_benign_rows() -> None:
    s = samples(f1=3, f4=30)
    batches = s.batches(7, SCALER)
    assert batches is not None
    batches.check(peers=1)
    assert batches.x.shape == (1, CONFIG.steps, CONFIG.rows, FEATURES)
    assert batches.x.dtype == np.float32
    for step in range(CONFIG.steps):
        labels, values = batches.y[0, step], batches.x[0, step, :, 0] * 2
        assert sorted(labels.tolist()).count(BENIGN) == 5
        assert set(labels.tolist()) <= {BENIGN, 1, 4}
        assert (values[labels == 4] // 1000 == 4).all()
        assert (values[labels == 1] // 1000 == 1).all()
        assert np.isin(values[labels == BENIGN], s.rows(Role.TRAIN)[:, 0]).all()
    assert batches.known.all()


@pytest.mark.parametrize(("balance", "ratio"), [(0.0, 1.0), (0.5, 4.0), (1.0, 16.0)])
def test_frequent_families_get_more_rows_but_not_in_proportion(
    balance: float, ratio: float
) -> None:
    s = Samples(replace(CONFIG, balance=balance), b"s", "p")
    uid = uid_of(s, Role.TRAIN)
    for i in range(10 * 17):
        s.add(uid, row(i), label=1 if i % 17 == 0 else 2)
    s.add(uid, row(0))
    counts = np.zeros(len(NAMES))
    for cycle in range(300):
        batches = s.batches(cycle, SCALER)
        assert batches is not None
        counts += np.bincount(batches.y.ravel(), minlength=len(NAMES))
    assert counts[2] / counts[1] == pytest.approx(ratio, rel=0.1)


def test_a_gateway_without_labels_trains_on_benign_rows_alone() -> None:
    batches = samples().batches(1, SCALER)
    assert batches is not None
    assert (batches.y == BENIGN).all()
    assert batches.x.max() * 2 < 100


def test_rows_that_an_analyst_called_benign_are_trained_on() -> None:
    batches = samples(0, f0=5).batches(1, SCALER)
    assert batches is not None
    assert (batches.y == BENIGN).all()


def test_without_a_benign_row_there_is_nothing_to_train_on() -> None:
    assert samples(0, f1=5).batches(1, SCALER) is None


def test_batches_hang_on_seed_cycle_and_rows_alone() -> None:
    first, again, later = (samples(f1=9).batches(c, SCALER) for c in (3, 3, 4))
    other = samples(f1=9, seed=b"t").batches(3, SCALER)
    assert first is not None
    assert again is not None
    assert later is not None
    assert other is not None
    assert np.array_equal(first.x, again.x)
    assert np.array_equal(first.y, again.y)
    assert not np.array_equal(first.x, later.x)
    assert not np.array_equal(first.x, other.x)


def test_bad_rows_are_refused() -> None:
    s = samples(0)
    for bad in (row(np.nan), row(np.inf), np.zeros(FEATURES + 1, np.float32)):
        with pytest.raises(ValueError, match="finite numbers"):
            s.add("u", bad)
    for label in (-2, len(NAMES)):
        with pytest.raises(ValueError, match="no family"):
            s.add("u", row(0), label=label)


def test_it_goes_on_from_the_store() -> None:
    whole, part = samples(f1=9), samples(0)
    part.restore(whole.to_arrays())
    for s in (whole, part):
        for i in range(200):
            s.add(f"later{i}", row(i))
    first, second = whole.batches(5, SCALER), part.batches(5, SCALER)
    assert first is not None
    assert second is not None
    assert np.array_equal(first.x, second.x)


def test_a_damaged_store_changes_nothing() -> None:
    s, arrays = samples(30, f1=3), samples(f1=9).to_arrays()
    before = s.to_arrays()
    arrays["family3.train.rows"] = np.zeros((2, 9), np.float32)
    with pytest.raises(StateError, match="damaged"):
        s.restore(arrays)
    after = s.to_arrays()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[k], after[k]) for k in before)


@pytest.mark.parametrize(("train", "calibrate"), [(0, 0.5), (0.5, 0), (0.6, 0.5)])
def test_shares_must_be_parts_of_one(train: float, calibrate: float) -> None:
    with pytest.raises(ValueError, match="parts of 1"):
        SampleConfig(FEATURES, NAMES, train=train, calibrate=calibrate)
