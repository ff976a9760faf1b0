"""A gateway's own scaler: robust, fitted on its first rows, bounded.

It stays at home. With another site's model, scaler and threshold 51 % of benign flows raised alarms
(measured on the project's recordings).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.arrays import wanted
from gossip.errors import StateError

ROWS_MIN = 100
"""Fewer rows say too little of the 5 % and 95 % quantiles. Our choice."""

SPREAD_MIN = 0.5
"""Smallest divisor. Columns are log1p or 0/1, so half a unit is a small but real change, and a
column that never moved at home cannot blow up when it first does."""

BOUND = 6.0
"""Scaled values are clipped to ±this, so that no single column rules the reconstruction error."""

_NORMAL_RANGE = 3.29  # the 5 % and 95 % quantiles of a normal distribution lie so many sigma apart


@dataclass(frozen=True)
class Scaler:
    """`clip((x - centre) / spread, ±bound)`.

    Args:
        centre: float32 `(features,)`.
        spread: float32 `(features,)`, all positive.
        bound: largest absolute value given out.
    """

    centre: NDArray[np.float32]
    spread: NDArray[np.float32]
    bound: float = BOUND

    @classmethod
    def fit(cls, rows: NDArray[np.float32], bound: float = BOUND) -> "Scaler":
        """Median and 5 %-95 % range of a gateway's first rows.

        Columns that hold only 0 and 1 keep 0 as their centre and `SPREAD_MIN` as their spread:
        they then mean the same at every gateway, which helps weights that travel.

        Args:
            rows: float32 `(n, features)`, unscaled.
            bound: see the class.

        Raises:
            ValueError: fewer than `ROWS_MIN` rows, or a value that is not finite.
        """
        if rows.ndim != 2 or len(rows) < ROWS_MIN:
            raise ValueError(f"a scaler needs {ROWS_MIN} rows; got an array {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("a scaler's rows must be finite")
        low, middle, high = np.quantile(rows, [0.05, 0.5, 0.95], axis=0)
        flag = ((rows == 0) | (rows == 1)).all(axis=0)
        centre = np.where(flag, 0.0, middle)
        spread = np.where(flag, SPREAD_MIN, np.maximum((high - low) / _NORMAL_RANGE, SPREAD_MIN))
        return cls(centre.astype(np.float32), spread.astype(np.float32), bound)

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scaled rows, float32 `(…, features)`."""
        scaled: NDArray[np.float32] = (rows - self.centre) / self.spread
        return scaled.clip(-self.bound, self.bound)

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Arrays for the store."""
        bound = np.array([self.bound], np.float32)
        return {"centre": self.centre, "spread": self.spread, "bound": bound}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> "Scaler":
        """The scaler that `to_arrays` described.

        Raises:
            StateError: an array is absent, of the wrong shape, or out of range.
        """
        what = "the stored scaler"
        centre, spread, bound = wanted(arrays, what, "centre", "spread", "bound")
        sound = centre.ndim == 1 and centre.shape == spread.shape and bound.shape == (1,)
        if not (
            sound
            and np.isfinite(centre).all()
            and np.isfinite(spread).all()
            and (spread > 0).all()
            and bound[0] > 0
        ):
            raise StateError(f"{what} is damaged; remove it to fit a new one")
        return cls(centre.astype(np.float32), spread.astype(np.float32), float(bound[0]))
