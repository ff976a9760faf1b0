"""What this gateway has reason to believe an attack, whatever its model says.

Evidence is what antigens describe that it uses because they cost it few false alarms, and its own
labelled rows, if a description of them costs as little. A model that was led astray has no part in
it, so it cannot excuse its own alarms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.learning.tolerance import Likeness

SUSPECTS_MAX = 64
"""Descriptions held against a flow, which takes 0.1 µs for each. Our bound; the eight standard
families from four origins and this gateway make 40."""


@dataclass(frozen=True, slots=True)
class Suspects:
    """Attacks that are known here.

    Args:
        known: at most `SUSPECTS_MAX`; further ones are left out.
    """

    known: Sequence[Likeness] = ()

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of unscaled rows `(n, features)` look like one of them, bool `(n,)`."""
        found = np.zeros(len(rows), np.bool_)
        if len(rows):
            for each in self.known[:SUSPECTS_MAX]:
                found |= each.of(rows)
        return found
