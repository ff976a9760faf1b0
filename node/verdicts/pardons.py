"""Flows like those that an analyst called benign, which do not alarm again.

A model of 6,600 numbers does not learn from five rows among four thousand that these were right
after all, and a threshold at half a per cent does not move for them. So what was called benign is a
kind of traffic of its own that raises no alarm: in the terms of conformal prediction a category
with its own threshold (Mondrian conformal prediction: Vovk, Lindsay, Nouretdinov, Gammerman 2003),
here that of a trusted person's word. It ends with the word.
"""

import numpy as np
from numpy.typing import NDArray

from gossip.learning.scaling import Scaler

SLACK = 1.0
"""A flow is like another if none of its features lies further from the other's than this many of
the scaler's spreads, each about one standard deviation of the gateway's ordinary traffic, but at
least half a unit: for counts, which are logarithms, a factor of 1.6; a flag must be the same. Our
choice; measured by `benchmarks/incidents.py`."""

WIDEST = 4
"""Features, those that range widest, by which a flow is held against few of the known ones. With
the 8,192 of a full book a flow takes 0.1 ms and not 0.36 (measured), which matters in a flood of
what was pardoned."""

MANY = 512
"""Known rows from which on that pays (measured)."""

Rows = NDArray[np.float32]


class Pardons:
    """See above.

    Args:
        benign: rows that were called benign, unscaled float32 `(n, features)`.
    """

    def __init__(self, benign: Rows | None = None) -> None:
        self._benign = benign

    def __len__(self) -> int:
        return 0 if self._benign is None else len(self._benign)

    def __call__(self, rows: Rows, scaler: Scaler) -> NDArray[np.bool_]:
        """Which of unscaled rows `(n, features)` are like one of them, bool `(n,)`."""
        if self._benign is None or not len(self._benign) or not len(rows):
            return np.zeros(len(rows), np.bool_)
        known, new = self._benign / scaler.spread, rows / scaler.spread
        low, high = known.min(axis=0) - SLACK, known.max(axis=0) + SLACK
        near = (new >= low) & (new <= high)  # most are not
        found: NDArray[np.bool_] = near.all(axis=1)
        few = WIDEST if len(known) >= MANY else 0
        widest = np.argsort(low - high)[:few].tolist()
        columns = [np.ascontiguousarray(known[:, each]) for each in widest]
        for i in np.flatnonzero(found).tolist():
            alike = np.arange(len(known))
            for feature, column in zip(widest, columns, strict=True):
                alike = alike[np.abs(column[alike] - new[i, feature]) <= SLACK]
            found[i] = (np.abs(known[alike] - new[i]) <= SLACK).all(axis=1).any()
        return found
