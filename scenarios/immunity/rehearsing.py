"""Training rows of which some are draws from what other peers have told of attacks."""

from collections.abc import Sequence

import numpy as np

from gossip.antigens import EVIDENCE_MIN, Antigen
from gossip.learning.codes import codes
from gossip.learning.learner import Batches
from gossip.learning.rehearsal import Rehearsal
from scenarios.immunity.evidence import Evidence
from scenarios.world.training import Rows


class Rehearsing:
    """Replaces some rows of each step, evenly spread over it, where there is something to draw.

    Steps have as many rows as without, so that a peer that rehearses takes as many gradient steps,
    of as many rows, as one that does not. All are scaled as the peer scaled when it asked.

    Args:
        rows: each peer's own.
        evidence: what peers have themselves.
        names: identities; with the seed and the cycle they decide the draws.
        vocabulary: every family that anybody may name, those of the data first.
        share: rows of a step that are draws; 0 for none.
        budget: share of benign rows that may alarm.
        seed: of the scenario.
    """

    def __init__(
        self,
        rows: Rows,
        evidence: Evidence,
        names: Sequence[str],
        vocabulary: Sequence[str],
        share: int,
        budget: float,
        seed: bytes,
    ) -> None:
        self._rows = rows
        self._evidence = evidence
        self._names = names
        self._number = {name: number for number, name in enumerate(vocabulary)}
        self._codes = codes(vocabulary)
        self._share = share
        self._budget = budget
        self._seed = seed
        self._rehearsals: dict[int, Rehearsal] = {}
        self._reviewed: dict[int, tuple[Sequence[Antigen], list[str]]] = {}

    def trainable(self, peer: int) -> bool:
        """See `Rows`."""
        return self._rows.trainable(peer)

    def batches(
        self,
        peers: Sequence[int],
        cycles: Sequence[int],
        times_us: Sequence[int],
        antigens: Sequence[Sequence[Antigen]] = (),
        norms: Sequence[Sequence[Antigen]] = (),
    ) -> Batches:
        """See `Rehearses`."""
        found = self._rows.batches(peers, cycles, times_us)
        steps, rows = found.y.shape[1:]
        known = np.zeros((len(peers), len(self._number)), np.bool_)
        known[:, : found.known.shape[1]] = found.known
        places = np.arange(self._share) * rows // max(1, self._share)
        scales = self._evidence.shards.scales
        for row, held in enumerate(antigens):
            peer = peers[row]
            scaler = self._evidence.own(peer).scaler
            if scales is not None:
                scaler = scales.scaler(peer, norms[row])
                found.x[row] = scaler(found.x[row])
            rehearsal = self.reviewed(peer, held, times_us[row]) if held and self._share else None
            drawn = rehearsal and rehearsal.draw(cycles[row], steps, self._share)
            if drawn:
                x, names, index = drawn
                numbers = np.array([self._number[name] for name in names], np.int64)
                found.x[row][:, places] = scaler(x)
                found.y[row][:, places] = numbers[index]
                known[row, numbers] = True
        return Batches(found.x, found.y, known, self._codes)

    def reviewed(self, peer: int, antigens: Sequence[Antigen], now_us: int) -> Rehearsal:
        """What a peer thinks of these antigens of others; changes nothing that anybody sees."""
        rehearsal = self._rehearsals.get(peer)
        if rehearsal is None:
            features = self._evidence.shards.features
            rehearsal = Rehearsal(features, self._seed, self._names[peer], self._budget)
            self._rehearsals[peer] = rehearsal
        own = self._evidence.own(peer)
        counts = self._evidence.counts(peer, now_us)
        families = [name for name, count in counts.items() if count >= EVIDENCE_MIN]
        # What is the same as last time gives the same; and a peer that nothing new reaches hands
        # out the same tuple.
        held, having = self._reviewed.get(peer, (None, None))
        if held is not antigens or having != families:
            rehearsal.review(antigens, own.train, own.held, families)
            self._reviewed[peer] = antigens, families
        return rehearsal
