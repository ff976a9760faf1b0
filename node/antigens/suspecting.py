"""Gathers what this gateway has reason to believe an attack, for `node.watch.suspects`."""

from hashlib import blake2b

import numpy as np

from gossip.antigens import EVIDENCE_MIN
from gossip.draws import Purpose, generator
from gossip.learning.mixture import Mixture
from gossip.learning.rehearsal import Rehearsal
from gossip.learning.scaling import Scaler
from gossip.learning.tolerance import Likeness
from node.antigens.presenting import Evidence
from node.watch.suspects import SUSPECTS_MAX, Suspects
from node.watch.watch import Watch

GROWTH = 2
"""Own rows are described anew when there are so many times the rows; as for antigens."""


class Suspecting:
    """Remembers what was built, for a description of one antigen does not change.

    Args:
        seed: secret in a live node.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._scaler: Scaler | None = None
        self._told: dict[bytes, Likeness] = {}
        self._own: dict[str, Mixture] = {}
        self._rows: dict[str, int] = {}

    def wanted(self, watch: Watch) -> tuple[Evidence, ...]:
        """Own labelled rows that are to be described, on the loop."""
        return tuple(
            each
            for each in watch.evidence()
            if len(each.rows) >= max(EVIDENCE_MIN, GROWTH * self._rows.get(each.family, 0))
        )

    def suspects(
        self, rehearsal: Rehearsal, evidence: tuple[Evidence, ...], scaler: Scaler | None
    ) -> Suspects:
        """In a worker, after the rehearsal's review.

        Args:
            rehearsal: knows which antigens this gateway's own benign rows tolerate.
            evidence: from `wanted`.
            scaler: that this gateway trains with; None without one.
        """
        for each in evidence:
            self._own[each.family] = Mixture.fit(each.rows, self._rng(each.family))
            self._rows[each.family] = len(each.rows)
        if scaler is None:
            return Suspects()
        if scaler is not self._scaler:
            self._scaler, self._told = scaler, {}
        own = [
            Likeness(mixture, scaler, self._rng(family))
            for family, mixture in self._own.items()
            if rehearsal.tolerates(mixture)
        ]
        told = {}
        for antigen, mixture in rehearsal.tolerated()[: SUSPECTS_MAX - len(own)]:
            known = self._told.get(antigen.id)
            told[antigen.id] = known or Likeness(mixture, scaler, self._rng(antigen.id.hex()))
        self._told = told
        return Suspects((*own, *told.values()))

    def _rng(self, about: str) -> np.random.Generator:
        key = blake2b(about.encode(), digest_size=32, key=self._seed).digest()
        return generator(key, "", 0, Purpose.REHEARSAL)
