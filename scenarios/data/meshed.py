"""Rows that come unscaled, for peers that scale by what they hold of the mesh's norms."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gossip.antigens import Antigen
from gossip.learning.norms import scaler_of
from gossip.learning.scaling import Scaler
from scenarios.data.shards import Unscaled


@dataclass(frozen=True, slots=True)
class MeshScalers:
    """How each peer scales, given the norms that it holds.

    What was made for a peer's last norms is kept; nothing else is remembered, so that a run goes on
    from a checkpoint as it would have.

    Args:
        unscaled: by peer, with its own scaler.
        features: columns.
    """

    unscaled: Sequence[Unscaled]
    features: int
    _own: dict[int, Scaler] = field(default_factory=dict, init=False)
    _last: dict[int, tuple[Sequence[Antigen], Scaler]] = field(default_factory=dict, init=False)

    def scaler(self, peer: int, norms: Sequence[Antigen]) -> Scaler:
        """The mesh's, or the peer's own as long as it holds too few norms."""
        last = self._last.get(peer)
        if last is None or last[0] is not norms:  # a peer to which nothing new came gives the same
            last = self._last[peer] = norms, scaler_of(norms, self.features) or self._of(peer)
        return last[1]

    def _of(self, peer: int) -> Scaler:
        if peer not in self._own:
            self._own[peer] = self.unscaled[peer].scaler
        return self._own[peer]
