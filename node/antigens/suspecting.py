"""Gathers what this gateway has reason to believe an attack, for `node.watch.suspects`."""

from hashlib import blake2b

from gossip.antigens import EVIDENCE_MIN
from gossip.draws import Purpose, generator
from gossip.learning.mixture import Mixture
from gossip.learning.rehearsal import Rehearsal
from node.antigens.presenting import Evidence
from node.watch.suspects import Suspects
from node.watch.watch import Watch

GROWTH = 2
"""Own rows are described anew when there are so many times the rows; as for antigens."""


class Suspecting:
    """Remembers how this gateway's own rows were described.

    Args:
        seed: secret in a live node.
        budget: share of benign flows that may alarm.
    """

    def __init__(self, seed: bytes, budget: float) -> None:
        self._seed, self._budget = seed, budget
        self._own: dict[str, Mixture] = {}
        self._rows: dict[str, int] = {}

    def wanted(self, watch: Watch) -> tuple[Evidence, ...]:
        """Own labelled rows that are to be described, on the loop."""
        return tuple(
            each
            for each in watch.evidence()
            if len(each.rows) >= max(EVIDENCE_MIN, GROWTH * self._rows.get(each.family, 0))
        )

    def suspects(self, rehearsal: Rehearsal, evidence: tuple[Evidence, ...]) -> Suspects:
        """In a worker, after the rehearsal's review.

        Args:
            rehearsal: knows which antigens this gateway's own benign rows tolerate.
            evidence: from `wanted`.
        """
        for each in evidence:
            key = blake2b(each.family.encode(), digest_size=32, key=self._seed).digest()
            rng = generator(key, "", len(each.rows), Purpose.REHEARSAL)
            self._own[each.family] = Mixture.fit(each.rows, rng)
            self._rows[each.family] = len(each.rows)
        own = [mixture for mixture in self._own.values() if rehearsal.tolerates(mixture)]
        told = [mixture for _, mixture in rehearsal.tolerated()]
        return Suspects.of(rehearsal.benign, [*own, *told], self._budget)
