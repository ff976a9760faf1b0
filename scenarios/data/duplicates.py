"""Rows held out that stand among the rows to train on as well: they would flatter every model."""

import numpy as np
from numpy.typing import NDArray

from scenarios.data.shards import Floats, Labels

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, as in Knuth's multiplicative hashing


def repeated(train_x: Floats, train_y: Labels, held_x: Floats, held_y: Labels) -> NDArray[np.bool_]:
    """Which held-out rows have the same features, bit for bit, and family as a row to train on.

    Rows are found by a hash of 64 bits and then compared, so no row is called repeated that is
    not. Zero and minus zero are the same.

    Args:
        train_x: float32 `(rows, features)`, unscaled.
        train_y: their families, int64 `(rows,)`.
        held_x: float32 `(held, features)`, unscaled.
        held_y: their families, int64 `(held,)`.

    Returns:
        bool `(held,)`.
    """
    if not len(train_x) or not len(held_x):
        return np.zeros(len(held_x), np.bool_)
    known, first = np.unique(_hashes(train_x, train_y), return_index=True)
    asked = _hashes(held_x, held_y)
    place = np.minimum(known.searchsorted(asked), len(known) - 1)
    hits = np.flatnonzero(known[place] == asked)
    twins = first[place[hits]]
    same = (train_y[twins] == held_y[hits]) & (train_x[twins] == held_x[hits]).all(axis=1)
    found = np.zeros(len(held_x), np.bool_)
    found[hits[same]] = True
    return found


def _hashes(x: Floats, y: Labels) -> NDArray[np.uint64]:
    """A number for each row; columns are folded in one after the other, which needs no copy."""
    found: NDArray[np.uint64] = y.astype(np.uint64)
    for column in range(x.shape[1]):
        bits = (x[:, column] + np.float32(0.0)).view(np.uint32)  # -0.0 + 0.0 = 0.0
        found = (found ^ bits) * _MIX
        found ^= found >> np.uint64(29)
    return found
