"""What this gateway has reason to believe an attack, whatever its model says.

Evidence is what antigens describe that it uses because they cost it few false alarms, and its own
labelled rows, if a description of them costs as little. A model that was led astray has no part in
it, so it cannot excuse its own alarms.

A flow looks like an attack if it is likelier under such a description than as this gateway's own
benign traffic, and by more than all but a few of the benign rows held out. By likeness alone
(`tolerance.Likeness`) a scan at another pace than the one described was none (measured: 0 of 80).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.learning.mixture import Mixture
from gossip.learning.tolerance import Benign

SUSPECTS_MAX = 64
"""Descriptions held against a flow. Our bound; the eight standard families from four origins and
this gateway make 40."""


@dataclass(frozen=True, slots=True)
class Suspects:
    """Attacks that are known here. Use `Suspects.of`.

    Args:
        benign: this gateway's benign rows; None where there are too few.
        known: descriptions, unscaled.
        least: log odds above which a row looks like each, float64 `(len(known),)`.
    """

    benign: Benign | None = None
    known: Sequence[Mixture] = ()
    least: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, benign: Benign | None, described: Sequence[Mixture], budget: float) -> "Suspects":
        """Those that together take no more than a budget of the benign rows held out.

        Args:
            benign: this gateway's benign rows.
            described: at most `SUSPECTS_MAX` are looked at, in this order.
            budget: share of benign flows that may alarm; as few may look like an attack.
        """
        described = described[:SUSPECTS_MAX]
        if benign is None or not described:
            return cls(benign)
        odds = benign.odds(described)
        rank = int(budget * odds.shape[1])  # so many held-out rows may lie above
        least = np.maximum(np.sort(odds, axis=1)[:, -1 - rank], 0.0)
        taken = np.zeros(odds.shape[1], np.bool_)
        picked = []
        for i, row in enumerate(odds > least[:, None]):
            if (taken | row).sum() <= rank:
                taken |= row
                picked.append(i)
        return cls(benign, [described[i] for i in picked], least[picked])

    def usual(self, rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of unscaled rows `(n, features)` look like benign ones here, bool `(n,)`."""
        if self.benign is None or not len(rows):
            return np.zeros(len(rows), np.bool_)
        return self.benign.usual(rows)

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of unscaled rows `(n, features)` look like one of them, bool `(n,)`."""
        if self.benign is None or self.least is None or not len(rows) or not self.known:
            return np.zeros(len(rows), np.bool_)
        odds = self.benign.odds(self.known, rows)
        return np.asarray((odds > self.least[:, None]).any(axis=0))
