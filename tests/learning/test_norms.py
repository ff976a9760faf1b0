"""What peers say of their benign rows, what the mesh scales by, and what liars can make of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.antigens import NORM, NORM_BYTES_MAX, check, from_fields, is_family, to_fields
from gossip.errors import RemoteError
from gossip.learning.norms import (
    NORM_ROWS_MIN,
    Norm,
    features_max,
    has_moved,
    mesh_scaler,
    scaler_of,
)
from gossip.learning.scaling import SPREAD_MIN, Scaler
from tests.unit.sealing import an_antigen

FEATURES = 6


def rows(seed: int, centre: float = 3.0, spread: float = 2.0, count: int = 400):
    rng = np.random.default_rng(seed)
    return rng.normal(centre, spread, (count, FEATURES)).astype(np.float32)


def test_a_norm_says_what_its_rows_are_like_and_survives_its_travels():
    own = rows(1)
    told = Norm.unpack(Norm.of(own).pack(), FEATURES)
    np.testing.assert_allclose(told.mean, own.mean(0), rtol=1e-3)
    np.testing.assert_allclose(told.deviation, own.std(0), rtol=1e-3)


def test_rows_beyond_what_can_travel_are_said_to_lie_at_its_end():
    far = np.full((NORM_ROWS_MIN, FEATURES), 1e30, np.float32)
    assert (Norm.unpack(Norm.of(far).pack(), FEATURES).mean == 65_504).all()
    assert (Norm.unpack(Norm.of(-far).pack(), FEATURES).mean == -65_504).all()


def test_it_travels_as_an_antigen_that_names_no_attack():
    antigen = an_antigen(family=NORM, description=Norm.of(rows(1)).pack())
    assert from_fields(to_fields(antigen)) == antigen
    assert antigen.is_norm
    assert not is_family(NORM)
    widest = Norm(*np.zeros((2, features_max()), np.float32)).pack()
    check(an_antigen(family=NORM, description=widest))
    with pytest.raises(ValueError, match=f"a description of {NORM_BYTES_MAX + 1} bytes"):
        an_antigen(family=NORM, description=bytes(NORM_BYTES_MAX + 1))
    for name in ("~other", "~normal", "~"):
        with pytest.raises(ValueError, match="names no attack"):
            an_antigen(family=name)


def packed(**changed: float) -> bytes:
    mean, deviation = np.full(FEATURES, 3.0, np.float32), np.ones(FEATURES, np.float32)
    mean[2] = changed.get("mean", 3.0)
    deviation[4] = changed.get("deviation", 1.0)
    return Norm(mean, deviation).pack()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "unknown version"),
        (b"\x02" + packed()[1:], "unknown version"),
        (packed()[:-1], "describe 6 features wrongly"),
        (packed() + bytes(2), "describe 6 features wrongly"),
        (packed(mean=float("nan")), "not finite"),
        (packed(mean=float("-inf")), "not finite"),
        (packed(deviation=float("inf")), "not finite"),
        (packed(deviation=-0.5), "negative deviation"),
    ],
)
def test_what_is_no_norm_is_refused(data, message):
    with pytest.raises(RemoteError, match=message):
        Norm.unpack(data, FEATURES)


@given(st.binary(max_size=4 * FEATURES + 3))
def test_any_bytes_are_a_norm_with_a_usable_scaler_or_refused(data):
    try:
        norm = Norm.unpack(data, FEATURES)
    except RemoteError:
        return
    scaled = mesh_scaler([norm, norm])(rows(1))
    assert np.isfinite(scaled).all()


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones((NORM_ROWS_MIN - 1, 3), np.float32),
        np.full((NORM_ROWS_MIN, 3), np.nan, np.float32),
        np.ones((NORM_ROWS_MIN, 256), np.float32),
    ],
)
def test_what_nobody_could_use_is_not_said(wrong):
    with pytest.raises(ValueError, match="a norm"):
        Norm.of(wrong)


def test_the_scaler_is_the_same_whoever_makes_it_and_as_wide_as_peers_differ():
    norms = [Norm.of(rows(i, centre=float(i), spread=0.1)) for i in range(5)]
    one, other = mesh_scaler(norms), mesh_scaler(norms[::-1])
    assert (one.centre == other.centre).all()
    assert (one.spread == other.spread).all()
    np.testing.assert_allclose(one.centre, 2.0, atol=0.05)
    np.testing.assert_allclose(one.spread, 1.0, atol=0.05)  # median of |0..4 - 2|
    still = mesh_scaler([Norm.of(np.ones((NORM_ROWS_MIN, FEATURES), np.float32))])
    assert (still.spread == np.float32(SPREAD_MIN)).all()
    for wrong in ([], [norms[0], Norm(*np.zeros((2, 3), np.float32))]):
        with pytest.raises(ValueError, match="as many columns each"):
            mesh_scaler(wrong)


def test_what_cannot_be_read_counts_for_nothing_and_too_few_give_no_scaler():
    norms = [Norm.of(rows(i)) for i in range(3)]
    held = [an_antigen(f"p{i}", NORM, description=each.pack()) for i, each in enumerate(norms)]
    damaged = an_antigen("p9", NORM, description=b"damaged")
    assert scaler_of([damaged, *held[:2]], FEATURES) is None
    found = scaler_of([damaged, *held], FEATURES)
    assert found is not None
    np.testing.assert_allclose(found.centre, mesh_scaler(norms).centre, rtol=1e-3)


@pytest.mark.parametrize(
    ("centre", "spread", "moved"),
    [(0.9, 0.0, False), (1.1, 0.0, True), (-1.1, 0.0, True), (0.0, 0.9, False), (0.0, 1.1, True),
     (0.0, -1.1, True)],
)  # fmt: skip
def test_a_scaler_has_moved_if_a_column_did_by_half_its_present_spread(centre, spread, moved):
    present = Scaler(np.full(3, 5.0, np.float32), np.full(3, 2.0, np.float32))
    one = np.array([0, 1, 0], np.float32)
    now = Scaler(present.centre + centre * one, present.spread + spread * one)
    assert has_moved(present, now) == moved


ABSURD = st.floats(-65_504, 65_504, width=16)


@settings(max_examples=50)
@given(st.integers(3, 9), st.data())
def test_fewer_than_half_cannot_move_it_beyond_what_others_say(count, data):
    honest = [Norm.of(rows(i)) for i in range(count)]
    liars = [
        Norm(np.full(FEATURES, m, np.float32), np.full(FEATURES, abs(s), np.float32))
        for m, s in data.draw(st.lists(st.tuples(ABSURD, ABSURD), max_size=count - 1))
    ]
    found = mesh_scaler([*liars, *honest])
    means = np.stack([each.mean for each in honest])
    assert (found.centre >= means.min(0)).all()
    assert (found.centre <= means.max(0)).all()
    farthest = np.square(means.max(0) - means.min(0))
    widest = np.square(np.stack([each.deviation for each in honest])).max(0)
    assert (np.square(found.spread) <= (farthest + widest) * 1.001).all()


def test_a_majority_of_forged_norms_can_blind_the_columns_but_not_break_them():
    honest = [Norm.of(rows(i)) for i in range(2)]
    forged = [Norm(*np.full((2, FEATURES), 65_504.0, np.float32))] * 3
    scaled = mesh_scaler([*honest, *forged])(rows(9))
    assert np.isfinite(scaled).all()
    assert np.ptp(scaled, axis=0).max() < 0.01  # all look alike: found nothing, and no alarm
