"""Mixtures: what they say of rows, what they must not, and what others may send as one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gossip.antigens import DESCRIPTION_BYTES_MAX
from gossip.errors import RemoteError
from gossip.learning.mixture import (
    COMPONENTS_LIMIT,
    REACH,
    ROWS_MIN,
    Floats,
    Mixture,
    components_max,
)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def clouds(n: int, features: int = 6, seed: int = 1) -> Floats:
    """Three clouds, far apart."""
    source = rng(seed)
    centres = np.arange(3)[:, None] * 10.0
    return (centres[source.integers(3, size=n)] + source.normal(size=(n, features))).astype(
        np.float32
    )


ROWS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(10, 40), st.integers(1, 5)),
    elements=st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 1.0]),
)


@given(ROWS, st.integers(0, 9))
def test_any_rows_are_described_without_a_component_that_is_a_single_row(
    rows: Floats, seed: int
) -> None:
    made = Mixture.fit(rows, rng(seed))
    assert np.rint(made.shares * len(rows)).min() >= ROWS_MIN
    assert made.shares.sum() == pytest.approx(1.0, abs=1e-5)
    again = Mixture.unpack(made.pack(), rows.shape[1])
    assert again.pack() == made.pack()
    assert np.isfinite(again.draw(20, rng())).all()
    assert np.isfinite(again.log_density(rows)).all()


@given(st.binary(max_size=300), st.integers(1, 6))
def test_hostile_bytes_are_refused_or_harmless(data: bytes, features: int) -> None:
    try:
        made = Mixture.unpack(data, features)
    except RemoteError:
        return
    assert made.pack() == data
    assert np.isfinite(made.draw(5, rng())).all()


@given(
    st.integers(0, 255),
    arrays.arrays(np.float16, st.integers(0, 60), elements=st.floats(width=16)),
)
def test_hostile_numbers_are_refused_or_harmless(
    k: int, numbers: "np.ndarray[tuple[int], np.dtype[np.float16]]"
) -> None:
    data = bytes([1, k]) + numbers.astype("<f2").tobytes()
    try:
        made = Mixture.unpack(data, 2)
    except RemoteError:
        return
    assert 1 <= len(made.shares) <= COMPONENTS_LIMIT
    assert np.isfinite(made.draw(5, rng())).all()
    assert not np.isnan(made.log_density(np.zeros((3, 2), np.float32))).any()


def whole() -> bytes:
    return Mixture.fit(clouds(60, 3), rng()).pack()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unknown version"),
        (b"\2" + whole()[1:], "unknown version"),
        (whole()[:1] + b"\0" + whole()[2:], "0 components"),
        (whole()[:1] + b"\x09" + whole()[2:], "9 components"),
        (whole()[:-1], "wrongly"),
        (whole() + b"\0\0", "wrongly"),
        (whole()[:2] + b"\0\x7c" + whole()[4:], "not finite"),
        (whole()[:2] + b"\0\xbc" + whole()[4:], "negative"),
        (whole()[:-2] + b"\0\xbc", "negative"),
        (b"\1\1" + bytes(14), "add up"),
    ],
)
def test_what_is_no_mixture_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(RemoteError, match=reason):
        Mixture.unpack(data, 3)


@pytest.mark.parametrize("features", [26, 115, 122, 256])
def test_it_fits_an_antigen_whatever_the_features(features: int) -> None:
    rows = clouds(200, features)
    made = Mixture.fit(rows, rng())
    assert len(made.pack()) <= DESCRIPTION_BYTES_MAX
    assert len(made.shares) >= 3
    k = components_max(features) + 1
    large = Mixture(np.ones(k, np.float32), rows[:k], np.abs(rows[:k]))
    with pytest.raises(ValueError, match="do not fit an antigen"):
        large.pack()


def test_draws_are_like_the_rows_and_within_reach() -> None:
    rows = clouds(3000)
    made = Mixture.unpack(Mixture.fit(rows, rng(), 3).pack(), 6)
    drawn = made.draw(3000, rng(2))
    assert drawn.dtype == np.float32
    for centre in (0.0, 10.0, 20.0):
        own, theirs = (each[np.abs(each[:, 0] - centre) < 5] for each in (rows, drawn))
        assert len(theirs) == pytest.approx(len(own), rel=0.15)
        assert np.allclose(own.mean(axis=0), theirs.mean(axis=0), atol=0.2)
        assert np.allclose(own.std(axis=0), theirs.std(axis=0), atol=0.15)
    nearest = np.abs((drawn[:, None] - made.means) / made.spreads).max(axis=2).min(axis=1)
    assert nearest.max() <= REACH * 1.001
    assert np.array_equal(drawn, made.draw(3000, rng(2)))


def test_the_density_is_a_normals_and_higher_where_rows_lie() -> None:
    one = Mixture(np.ones(1, np.float32), np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32))
    got = one.log_density(np.array([[0, 0], [1, 2]], np.float32))
    assert np.allclose(got, -np.log(2 * np.pi) - np.array([0.0, 2.5]))
    made = Mixture.fit(clouds(300), rng())
    assert (made.log_density(clouds(50, seed=2)) > made.log_density(clouds(50) + 4).max()).all()


def test_neither_few_rows_nor_senseless_ones_are_described() -> None:
    with pytest.raises(ValueError, match="needs 10 rows"):
        Mixture.fit(clouds(9), rng())
    with pytest.raises(ValueError, match="finite"):
        Mixture.fit(np.full((10, 2), np.nan, np.float32), rng())
