"""Whose knowledge the model that judges holds, in shares that can be checked.

Two different things are told, each exactly as the arithmetic was, and neither says who caused an
alert: no such thing can be read off weights.

- Of the whole model, what merging did. A merge makes w' = (1 - a) w + a v of the gateway's own
  vector w and a neighbour's v (`gossip.merge`; a follows from their ages). So each share that was
  there shrinks by 1 - a, the neighbour's grows by a, and what is left to 1 is the gateway's own:
  its start and its training. What the neighbour's vector had from others counts as the neighbour's.
- Of one family of attack, the last training's rows: how many of those of that family were the
  gateway's own, labelled by its sensor or an analyst, and how many were drawn from each antigen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from node.control.documents import ANTIGEN, NEIGHBOUR, OWN, ContributorDocument

SHARE_MIN = 0.005
"""A smaller share is the gateway's own again: it would not be seen, and a peer that comes and goes
leaves no name for ever. Our choice."""

NEIGHBOURS_MAX = 64
TOLD_MAX = 8


@dataclass(frozen=True, slots=True)
class Source:
    """An antigen that rows were drawn from, and its share of its family's draws."""

    id: str
    family: str
    origin: str
    evidence: int
    share: float


class Contributors:
    """See above."""

    def __init__(self) -> None:
        self._models: dict[str, float] = {}
        self._own: Mapping[str, int] = {}
        self._drawn: Mapping[str, int] = {}
        self._held: Mapping[str, int] = {}
        self._sources: Sequence[Source] = ()

    def merged(self, peer: str, weight: float) -> None:
        """A neighbour's model was merged.

        Args:
            peer: the neighbour.
            weight: of its vector in the merged one, the mean over all fragments, in [0, 1].
        """
        shares = {each: share * (1.0 - weight) for each, share in self._models.items()}
        shares[peer] = shares.get(peer, 0.0) + weight
        largest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:NEIGHBOURS_MAX]
        self._models = {each: share for each, share in largest if share >= SHARE_MIN}

    def learnt(
        self, own: Mapping[str, int], drawn: Mapping[str, int], held: Mapping[str, int]
    ) -> None:
        """A training begins.

        Args:
            own: rows of each family in its batches that are the gateway's own.
            drawn: likewise, drawn from antigens.
            held: rows of each family that the gateway has.
        """
        self._own, self._drawn, self._held = dict(own), dict(drawn), dict(held)

    def rehearsed(self, sources: Sequence[Source]) -> None:
        """What rows are drawn from, from now on."""
        self._sources = tuple(sources)

    def of(self, family: str) -> tuple[ContributorDocument, ...]:
        """Who contributed to what is known of a family, then to the model; at most eight of each.

        Args:
            family: "unknown" where none is named.
        """
        rows = self._own.get(family, 0) + self._drawn.get(family, 0)
        found: list[ContributorDocument] = []
        if rows:
            own, drawn = self._own.get(family, 0) / rows, self._drawn.get(family, 0) / rows
            if own:
                held = self._held.get(family, 0)
                found.append(ContributorDocument(OWN, "", family, own, evidence=held))
            found += [
                ContributorDocument(
                    ANTIGEN, each.id, family, drawn * each.share, each.origin, each.evidence
                )
                for each in self._sources
                if each.family == family and drawn
            ]
        models = [ContributorDocument(NEIGHBOUR, p, "", s) for p, s in self._models.items()]
        rest = max(0.0, 1.0 - sum(self._models.values()))
        models.append(ContributorDocument(OWN, "", "", rest))
        return (*_largest(found), *_largest(models))

    def saved(self) -> dict[str, float]:
        """Shares of the model, for `restore`."""
        return dict(self._models)

    def restore(self, saved: Any) -> None:
        """Take up what `saved` gave; anything else counts for nothing."""
        if not isinstance(saved, dict):
            return
        for peer, share in list(saved.items())[:NEIGHBOURS_MAX]:
            if isinstance(share, float) and isfinite(share) and SHARE_MIN <= share <= 1.0:
                self._models[str(peer)] = share


def _largest(found: Sequence[ContributorDocument]) -> list[ContributorDocument]:
    return sorted(found, key=lambda each: (-each.share, each.id))[:TOLD_MAX]
