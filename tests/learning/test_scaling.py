import numpy as np
import pytest
from numpy.typing import NDArray

from gossip.errors import StateError
from gossip.learning.scaling import ROWS_MIN, SPREAD_MIN, Scaler


def some_rows(n: int = 1000) -> NDArray[np.float32]:
    rng = np.random.default_rng(3)
    columns = [rng.normal(7, 2, n), rng.random(n) < 0.01, np.full(n, 3.5), np.ones(n)]
    return np.stack(columns, 1).astype(np.float32)


def test_a_normal_column_gets_its_median_and_sigma() -> None:
    scaler = Scaler.fit(some_rows())
    assert scaler.centre[0] == pytest.approx(7, abs=0.2)
    assert scaler.spread[0] == pytest.approx(2, abs=0.2)


def test_outliers_do_not_move_it() -> None:
    rows = some_rows()
    clean = Scaler.fit(rows)
    rows[:20, 0] = 1e6
    assert abs(Scaler.fit(rows).centre - clean.centre).max() < 0.1
    assert abs(Scaler.fit(rows).spread - clean.spread).max() < 0.4


def test_flags_mean_the_same_everywhere_and_constants_cannot_blow_up() -> None:
    scaler = Scaler.fit(some_rows())
    assert scaler.centre.tolist()[1:] == [0, 3.5, 0]
    assert scaler.spread.tolist()[1:] == [SPREAD_MIN] * 3
    row = np.array([7, 1, 3.5, 0], np.float32)
    assert scaler(row).tolist()[1:] == [2, 0, 0]


def test_scaled_rows_are_bounded_float32_and_linear_within_bounds() -> None:
    rows = some_rows()
    scaler = Scaler.fit(rows, bound=4.0)
    rows[0, 0], rows[1, 0] = 1e30, -1e30
    scaled = scaler(rows)
    assert scaled.dtype == np.float32
    assert abs(scaled).max() == 4.0
    assert np.allclose(scaled[2:] * scaler.spread + scaler.centre, rows[2:], atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_too_few_or_broken_rows_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=f"needs {ROWS_MIN} rows"):
        Scaler.fit(some_rows(ROWS_MIN - 1))
    rows = some_rows()
    rows[5, 0] = bad
    with pytest.raises(ValueError, match="finite"):
        Scaler.fit(rows)


def test_it_survives_the_store() -> None:
    scaler = Scaler.fit(some_rows(), bound=5.0)
    again = Scaler.from_arrays(scaler.to_arrays())
    assert np.array_equal(again(some_rows()), scaler(some_rows()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spread", [1, 0, 1, 1]),
        ("spread", [1, 1, 1]),
        ("centre", [0, np.nan, 0, 0]),
        ("bound", [0]),
        ("bound", []),
    ],
)
def test_a_damaged_store_is_refused(name: str, value: list[float]) -> None:
    arrays = Scaler.fit(some_rows()).to_arrays()
    with pytest.raises(StateError, match="damaged"):
        Scaler.from_arrays({**arrays, name: np.array(value, np.float32)})
    del arrays[name]
    with pytest.raises(StateError, match=name):
        Scaler.from_arrays(arrays)
