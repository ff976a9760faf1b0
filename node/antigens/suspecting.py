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
    """Remembers how this gateway's own rows were described, and what came of it.

    Args:
        seed: secret in a live node.
        budget: share of benign flows that may alarm; an attribute, too.
    """

    def __init__(self, seed: bytes, budget: float) -> None:
        self._seed, self.budget = seed, budget
        self._own: dict[str, Mixture] = {}
        self._rows: dict[str, int] = {}
        self._made_of: tuple[object, tuple[bytes, ...]] = (None, ())
        self._made = Suspects()

    def wanted(self, watch: Watch) -> tuple[Evidence, ...]:
        """Own labelled rows that are to be described, copied, on the loop."""
        samples, found = watch.samples, []
        for family in samples.labelled:
            name, rows = samples.config.names[family], samples.family(family)
            if len(rows) >= max(EVIDENCE_MIN, GROWTH * self._rows.get(name, 0)):
                found.append(Evidence(name, rows.copy()))
        return tuple(found)

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
        told = rehearsal.tolerated()
        ids = tuple(antigen.id for antigen, _ in told)
        benign, before = self._made_of
        if evidence or benign is not rehearsal.benign or before != ids:
            own = [mixture for mixture in self._own.values() if rehearsal.tolerates(mixture)]
            described = [*own, *(mixture for _, mixture in told)]
            self._made = Suspects.of(rehearsal.benign, described, self.budget)
            self._made_of = rehearsal.benign, ids
        return self._made
