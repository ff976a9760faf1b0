"""The neighbours of a fixed topology."""

from collections.abc import Collection

from gossip.contacts import Contact, PeerId

DOWN_CYCLES = 3
"""Cycles for which a lost neighbour is spared. Our choice."""


class FixedNeighbours:
    """Everybody we may send to, less those that were lost a short while ago.

    Args:
        contacts: distinct, without ourselves.
        turns: see `gossip.events.Start`.
    """

    __slots__ = ("_all", "_down", "_turns", "_up")

    def __init__(
        self, contacts: tuple[Contact, ...], turns: tuple[tuple[PeerId, ...], ...] = ()
    ) -> None:
        self._all = self._up = contacts
        self._turns = turns
        self._down: dict[PeerId, int] = {}

    def up(self) -> tuple[Contact, ...]:
        """Those that are not down, in the order given."""
        return self._up

    def able(self, cycle: int, refused: Collection[PeerId]) -> tuple[Contact, ...]:
        """Those to whom we may push in this cycle."""
        able = self._up
        if refused:
            able = tuple(c for c in able if c.peer not in refused)
        if self._turns:
            turn = self._turns[cycle % len(self._turns)]
            able = tuple(c for c in able if c.peer in turn)
        return able

    def begin_cycle(self, cycle: int) -> None:
        """Try those again that have been down for long enough."""
        if self._down:
            self._down = {p: until for p, until in self._down.items() if until > cycle}
            self._update()

    def lose(self, peer: PeerId, cycle: int) -> bool:
        """One could not be reached; whether it was among those that are up."""
        if all(contact.peer != peer for contact in self._up):
            return False
        self._down[peer] = cycle + DOWN_CYCLES
        self._update()
        return True

    def _update(self) -> None:
        self._up = tuple(c for c in self._all if c.peer not in self._down)
