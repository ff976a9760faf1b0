"""A few diagonal normals: what is said of a family's rows in place of the rows themselves.

Fitted by k-means (Lloyd 1982; seeded as k-means++, Arthur and Vassilvitskii 2007) on columns
brought to one spread; each cluster's share of the rows, mean and standard deviation are all that
leaves. No number is any single row's: there is no smallest, no largest, and no cluster of fewer
than `ROWS_MIN` rows.
"""

from dataclasses import dataclass
from math import log, pi

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import DESCRIPTION_BYTES_MAX, EVIDENCE_MIN
from gossip.errors import RemoteError

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

COMPONENTS = 6
"""Components at most. Where a receiver may leave out those that look like its own traffic, more
of them leave more to learn from: 0.967 and 0.982 of the ceiling with 6, 0.964 and 0.977 with 4
(NSL-KDD, warezclient and back, twenty cycles later, tuning seeds 104 to 111)."""

COMPONENTS_LIMIT = 8
"""Components at most in a description of another's: what bounds the work that it makes."""

ROWS_MIN = 5
"""Rows in a component at least, so that its mean is no single flow. Our choice; with the least
evidence of 10 rows it still leaves room for two components."""

FLOOR = 1e-3
"""Smallest spread in a density: a column that never moved must not make it infinite."""

REACH = 3.0
"""Draws lie within so many spreads of the mean, so that none is absurd. Measured on NSL-KDD (four
families, tuning seeds 100 and 101): 1, 2, 3 and no bound are alike (+10 cycles: within 0.02)."""

ITERATIONS = 20
"""Of Lloyd's algorithm at most; the prototype that decided for antigens took as many."""

_LARGEST = 65_504.0  # of float16; features are log1p or shares, so far smaller
_VERSION = 1
_HEADER = 2  # bytes: version, components


@dataclass(frozen=True, eq=False)
class Mixture:
    """Normals with a diagonal covariance, in unscaled features unless a caller scaled them.

    Args:
        shares: of the rows, float32 `(k,)`; not negative, not all zero.
        means: float32 `(k, f)`.
        spreads: standard deviations, float32 `(k, f)`; not negative.
    """

    shares: Floats
    means: Floats
    spreads: Floats

    @classmethod
    def fit(
        cls, rows: Floats, rng: np.random.Generator, components: int | None = None
    ) -> "Mixture":
        """Describe rows.

        Args:
            rows: float32 `(n, f)`, n at least `EVIDENCE_MIN`, all finite.
            rng: chooses the first centres.
            components: at most; None for `COMPONENTS`, or what fits into an antigen if that is
                fewer.

        Raises:
            ValueError: too few rows, or a value that is not finite.
        """
        if rows.ndim != 2 or len(rows) < EVIDENCE_MIN or not rows.shape[1]:
            raise ValueError(f"a mixture needs {EVIDENCE_MIN} rows; got an array {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("a mixture's rows must be finite")
        if components is None:
            components = min(COMPONENTS, components_max(rows.shape[1]))
        kept = np.clip(rows, -_LARGEST, _LARGEST).astype(np.float64)
        near = _clusters(kept, min(components, len(rows) // ROWS_MIN), rng)
        parts = [kept[near == j] for j in range(near.max() + 1)]
        return cls(
            np.array([len(part) / len(rows) for part in parts], np.float32),
            np.array([part.mean(axis=0) for part in parts], np.float32),
            np.array([part.std(axis=0) for part in parts], np.float32),
        )

    @property
    def features(self) -> int:
        """Columns of a row."""
        return int(self.means.shape[1])

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """So many rows, float32 `(count, f)`; none beyond `REACH` spreads of its mean."""
        shares = self.shares.astype(np.float64)
        which = rng.choice(len(shares), size=count, p=shares / shares.sum())
        z = rng.standard_normal((count, self.features), np.float32)
        while (beyond := np.abs(z) > REACH).any():
            z[beyond] = rng.standard_normal(int(beyond.sum()), np.float32)
        rows: Floats = self.means[which] + self.spreads[which] * z
        return rows

    def log_density(self, rows: Floats, floor: float = FLOOR) -> Numbers:
        """Natural log of the density at each row, float64 `(n,)`; spreads are at least `floor`."""
        shares = self.shares.astype(np.float64)
        counted = np.flatnonzero(shares)
        middle = self.means[counted].astype(np.float64).mean(axis=0)  # keeps squares small
        x, means = rows - middle, self.means[counted] - middle
        spreads = np.maximum(self.spreads[counted].astype(np.float64), floor)
        precision = 1.0 / np.square(spreads)
        constant = np.log(shares[counted] / shares.sum()) - np.log(spreads).sum(axis=1)
        constant -= 0.5 * (np.square(means) * precision).sum(axis=1)
        terms = constant + x @ (means * precision).T - 0.5 * np.square(x) @ precision.T
        top = terms.max(axis=1, keepdims=True)
        total: Numbers = top[:, 0] + np.log(np.exp(terms - top).sum(axis=1))
        return total - 0.5 * self.features * log(2 * pi)

    def pack(self) -> bytes:
        """As it travels: version, components, then shares, means and spreads as float16.

        Raises:
            ValueError: it is larger than an antigen may be.
        """
        numbers = np.concatenate([self.shares, self.means.ravel(), self.spreads.ravel()])
        rounded = np.clip(numbers, -_LARGEST, _LARGEST).astype("<f2")
        packed = bytes([_VERSION, len(self.shares)]) + bytes(rounded.data)
        if len(packed) > DESCRIPTION_BYTES_MAX or len(self.shares) > COMPONENTS_LIMIT:
            raise ValueError(
                f"{len(self.shares)} components of {self.features} features do not fit an antigen"
            )
        return packed

    @classmethod
    def unpack(cls, data: bytes, features: int) -> "Mixture":
        """Read what came in an antigen.

        Raises:
            RemoteError: it is no mixture of so many features.
        """
        if len(data) < _HEADER or data[0] != _VERSION:
            raise RemoteError("antigen: a description of an unknown version")
        k = data[1]
        if not 1 <= k <= COMPONENTS_LIMIT:
            raise RemoteError(f"antigen: {k} components; 1 to {COMPONENTS_LIMIT} are allowed")
        if len(data) != _size(k, features):
            raise RemoteError(f"antigen: {len(data)} bytes describe {k} x {features} wrongly")
        numbers = np.frombuffer(data, "<f2", offset=_HEADER).astype(np.float32)
        shares, means, spreads = np.split(numbers, [k, k + k * features])
        if not np.isfinite(numbers).all() or (shares < 0).any() or (spreads < 0).any():
            raise RemoteError("antigen: a number that is not finite, or a negative share or spread")
        if not 0.5 < float(shares.sum()) < 2.0:  # rounding makes it 1 within a thousandth
            raise RemoteError("antigen: shares that do not add up to 1")
        return cls(shares, means.reshape(k, features), spreads.reshape(k, features))


def components_max(features: int) -> int:
    """How many components of so many features fit an antigen; at least 1 up to 949 features."""
    each = _size(1, features) - _HEADER
    return min((DESCRIPTION_BYTES_MAX - _HEADER) // each, COMPONENTS_LIMIT)


def _size(components: int, features: int) -> int:
    return _HEADER + 2 * components * (1 + 2 * features)


def _clusters(rows: Numbers, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Each row's cluster, int64 `(n,)`, numbered from 0; none has fewer than `ROWS_MIN` rows."""
    spread = rows.std(axis=0)
    z = rows / np.where(spread > 1e-6, spread, 1.0)
    centres = _seeds(z, max(k, 1), rng)
    near = _nearest(z, centres)
    for _ in range(ITERATIONS):
        centres = _means(z, near)
        moved = _nearest(z, centres)
        if np.array_equal(moved, near):
            break
        near = moved
    while True:
        names, near, counts = np.unique(near, return_inverse=True, return_counts=True)
        if len(names) == 1 or counts.min() >= ROWS_MIN:
            return near.astype(np.int64)
        small = int(counts.argmin())
        others = np.delete(_means(z, near), small, axis=0)
        homeless = near == small
        near = np.where(near > small, near - 1, near)
        near[homeless] = _nearest(z[homeless], others)


def _seeds(z: Numbers, k: int, rng: np.random.Generator) -> Numbers:
    """First centres, float64 `(<= k, f)`: each next one likelier the farther from those before."""
    centres = [z[int(rng.integers(len(z)))]]
    far = np.square(z - centres[0]).sum(axis=1)
    while len(centres) < k and far.sum() > 0:
        centres.append(z[int(rng.choice(len(z), p=far / far.sum()))])
        far = np.minimum(far, np.square(z - centres[-1]).sum(axis=1))
    return np.array(centres)


def _nearest(z: Numbers, centres: Numbers) -> NDArray[np.int64]:
    far = np.stack([np.square(z - centre).sum(axis=1) for centre in centres])
    return np.asarray(far.argmin(axis=0), np.int64)


def _means(z: Numbers, near: NDArray[np.int64]) -> Numbers:
    return np.array([z[near == j].mean(axis=0) for j in np.unique(near)])
