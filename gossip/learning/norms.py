"""Norms: what a peer says of its benign traffic, so that a mesh can scale alike.

Each origin's word is the mean and the standard deviation of every column of its own benign rows,
and counts once, however many rows it rests on. The mesh's scaler takes columnwise medians of them,
so that fewer than half of the origins that a peer holds cannot move it out of the range of the
others. Measured beside means, which a single forged norm ruins: docs/unequal.md.

A norm travels as an antigen of the reserved family `gossip.antigens.NORM`, packed as below.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import NORM_BYTES_MAX, Antigen
from gossip.errors import RemoteError
from gossip.learning.scaling import SPREAD_MIN, Scaler

NORM_ROWS_MIN = 100
"""Benign rows without which nothing is said, as for a scaler of one's own (`scaling.ROWS_MIN`)."""

NORMS_MIN = 3
"""Norms, the own included, from which on a peer scales by the mesh's: the least of which one liar
cannot move a median out of the range of the others. Within it, it can: two honest gateways' by up
to half a spread (measured on the recordings). With fewer a peer scales by its own."""

MOVED = 0.5
"""Of a column's present spread: by how much its centre or spread has to change before a gateway
scales by what its norms say now, as `tolerance.material_change` does. Every change makes the model
that serves begin anew, and a liar that renews its norm each cycle moves the columns of two or more
honest gateways by less than this (measured on the recordings)."""

_LARGEST = 65_504.0  # of float16; features are log1p or shares, so far smaller
_VERSION = 1

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Norm:
    """What one origin's benign rows are like, column by column.

    Args:
        mean: unscaled, float32 `(f,)`.
        deviation: standard deviation, float32 `(f,)`; not negative.
    """

    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, rows: Floats) -> "Norm":
        """Describe benign rows, float32 `(n, f)`.

        Raises:
            ValueError: fewer than `NORM_ROWS_MIN` rows, a value that is not finite, or more columns
                than an antigen has room for.
        """
        if rows.ndim != 2 or len(rows) < NORM_ROWS_MIN or not rows.shape[1]:
            raise ValueError(f"a norm needs {NORM_ROWS_MIN} rows; got an array {rows.shape}")
        if _size(rows.shape[1]) > NORM_BYTES_MAX:
            raise ValueError(
                f"a norm of {rows.shape[1]} features does not fit; {features_max()} do"
            )
        if not np.isfinite(rows).all():
            raise ValueError("a norm's rows must be finite")
        exact = np.clip(rows, -_LARGEST, _LARGEST).astype(np.float64)
        return cls(exact.mean(0).astype(np.float32), exact.std(0).astype(np.float32))

    def pack(self) -> bytes:
        """As it travels: version, then means and deviations as float16."""
        return (
            bytes([_VERSION]) + np.concatenate([self.mean, self.deviation]).astype("<f2").tobytes()
        )

    @classmethod
    def unpack(cls, data: bytes, features: int) -> "Norm":
        """Read what came in an antigen.

        Raises:
            RemoteError: it is no norm of so many features.
        """
        if not data or data[0] != _VERSION:
            raise RemoteError("norm: a description of an unknown version")
        if len(data) != _size(features):
            raise RemoteError(f"norm: {len(data)} bytes describe {features} features wrongly")
        numbers = np.frombuffer(data, "<f2", offset=1).astype(np.float32)
        mean, deviation = numbers[:features], numbers[features:]
        if not np.isfinite(numbers).all() or (deviation < 0).any():
            raise RemoteError("norm: a number that is not finite, or a negative deviation")
        return cls(mean, deviation)


def features_max() -> int:
    """How many columns a norm has room for: 255."""
    return (NORM_BYTES_MAX - 1) // 4


def mesh_scaler(norms: Sequence[Norm]) -> Scaler:
    """The scaler that peers share who hold the same norms, in whatever order.

    The centre is the columnwise median of means; the spread is the root of the median, over
    origins, of their rows' mean squared distance from that centre, `SPREAD_MIN` at least.

    Raises:
        ValueError: no norm, or norms of unequal length.
    """
    if not norms or len({each.mean.shape for each in norms}) != 1:
        raise ValueError("a mesh's scaler needs norms of as many columns each")
    means = np.stack([each.mean for each in norms]).astype(np.float64)
    deviations = np.stack([each.deviation for each in norms]).astype(np.float64)
    centre = np.median(means, axis=0)
    spread = np.sqrt(np.median(np.square(deviations) + np.square(means - centre), axis=0))
    return Scaler(centre.astype(np.float32), np.maximum(spread, SPREAD_MIN).astype(np.float32))


def readable(held: Iterable[Antigen], features: int) -> list[Norm]:
    """Those of the norms that a peer holds (`gossip.peer.Peer.norms`) that are some."""
    found = []
    for each in held:
        with suppress(RemoteError):
            found.append(Norm.unpack(each.description, features))
    return found


def scaler_of(held: Iterable[Antigen], features: int) -> Scaler | None:
    """What the norms that a peer holds make it scale by.

    None where fewer than `NORMS_MIN` of them can be read: then a peer's own scaler stands.
    """
    found = readable(held, features)
    return mesh_scaler(found) if len(found) >= NORMS_MIN else None


def has_moved(present: Scaler, now: Scaler) -> bool:
    """Whether a column's centre or spread changed by more than `MOVED` of its present spread."""
    changes = np.abs([now.centre - present.centre, now.spread - present.spread])
    return bool((changes > MOVED * present.spread).any())


def _size(features: int) -> int:
    return 1 + 4 * features
