"""Every peer's part of a table, scaled when it is looked at: memory is that of the rows alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from gossip.learning.scaling import Scaler
from scenarios.data.kept import Looks
from scenarios.data.shards import Floats, Labels, Shard, Unscaled
from scenarios.data.table import Table


@dataclass(frozen=True, slots=True)
class Piles:
    """One pile of rows for each peer, one after the other in a single array.

    Args:
        rows: indices into a table, int64 `(dealt,)`.
        edges: int64 `(peers + 1,)`; peer p's pile is `rows[edges[p]:edges[p + 1]]`.
    """

    rows: Labels
    edges: Labels

    @classmethod
    def of(cls, rows: Labels, peer: Labels, peers: int) -> "Piles":
        """Rows by the peer that each goes to; a pile keeps their order."""
        order = np.argsort(peer, kind="stable")
        edges = np.searchsorted(peer[order], np.arange(peers + 1))
        return cls(rows[order], edges.astype(np.int64))

    def __len__(self) -> int:
        return len(self.edges) - 1

    def __getitem__(self, peer: int) -> Labels:
        return self.rows[self.edges[peer] : self.edges[peer + 1]]


@dataclass(frozen=True, slots=True)
class Parts:
    """Who gets which of a table's rows.

    Args:
        train: to train on.
        calibrate: benign rows to calibrate with.
        test: benign rows held out.
        attacks: attack rows held out, the same for all peers, int64 `(rows,)`.
    """

    train: Piles
    calibrate: Piles
    test: Piles
    attacks: Labels


@dataclass(frozen=True, slots=True)
class Scalers:
    """How each peer scales; None leaves rows as they come.

    Args:
        centre: float32 `(peers, features)`.
        spread: float32 `(peers, features)`; both may be one row seen by all.
    """

    centre: Floats
    spread: Floats

    def __getitem__(self, peer: int) -> Scaler:
        return Scaler(self.centre[peer], self.spread[peer])


class Training(Sequence[tuple[Floats, Labels]]):
    """Each peer's rows to train on, scaled, and their families: views of two arrays."""

    def __init__(self, x: Floats, y: Labels, edges: Labels) -> None:
        self._x = x
        self._y = y
        self._edges = edges

    def __len__(self) -> int:
        return len(self._edges) - 1

    @overload
    def __getitem__(self, peer: int) -> tuple[Floats, Labels]: ...

    @overload
    def __getitem__(self, peer: slice) -> Sequence[tuple[Floats, Labels]]: ...

    def __getitem__(
        self, peer: int | slice
    ) -> tuple[Floats, Labels] | Sequence[tuple[Floats, Labels]]:
        if isinstance(peer, slice):
            return [self[each] for each in range(*peer.indices(len(self)))]
        if not 0 <= peer < len(self):
            raise IndexError(peer)
        own = slice(int(self._edges[peer]), int(self._edges[peer + 1]))
        return self._x[own], self._y[own]


class DealtShards(Sequence[Shard]):
    """A shard for each peer. Rows to train on are kept scaled; the others are scaled at each look.

    Args:
        table: the rows; only those dealt out are kept.
        parts: who gets which.
        scalers: how each peer scales; None leaves rows as they come.
        raw: leave rows as they come all the same, for `Shards.scales`; the scalers are then those
            that `unscaled` names.
    """

    def __init__(
        self, table: Table, parts: Parts, scalers: Scalers | None, *, raw: bool = False
    ) -> None:
        self._scalers = scalers
        self._raw = raw
        self._calibrate = table.x[parts.calibrate.rows], parts.calibrate.edges
        self._test = table.x[parts.test.rows], parts.test.edges
        self._attacks = table.x[parts.attacks]
        self._families = table.y[parts.attacks]
        x = table.x[parts.train.rows]
        for peer in range(len(parts.train)):
            own = slice(int(parts.train.edges[peer]), int(parts.train.edges[peer + 1]))
            x[own] = self._scaled(peer, x[own])
        self.train = Training(x, table.y[parts.train.rows], parts.train.edges)

    def __len__(self) -> int:
        return len(self.train)

    @overload
    def __getitem__(self, peer: int) -> Shard: ...

    @overload
    def __getitem__(self, peer: slice) -> Sequence[Shard]: ...

    def __getitem__(self, peer: int | slice) -> Shard | Sequence[Shard]:
        if isinstance(peer, slice):
            return [self[each] for each in range(*peer.indices(len(self)))]
        train_x, train_y = self.train[peer]
        benign = _pile(self._test, peer)
        return Shard(
            train_x,
            train_y,
            self._scaled(peer, _pile(self._calibrate, peer)),
            self._scaled(peer, np.concatenate([benign, self._attacks])),
            np.concatenate([np.zeros(len(benign), np.int64), self._families]),
        )

    def unscaled(self, table: Table, parts: Parts) -> Looks[Unscaled]:
        """The rows before scaling; keeps the table that these shards were made of."""
        train, none = parts.train, np.zeros(table.x.shape[1], np.float32)

        def look(peer: int) -> Unscaled:
            own, scalers = train[peer], self._scalers
            scaler = Scaler(none, none + 1, np.inf) if scalers is None else scalers[peer]
            return Unscaled(table.x[own], table.y[own], _pile(self._calibrate, peer), scaler)

        return Looks(len(self), look)

    def _scaled(self, peer: int, rows: Floats) -> Floats:
        return rows if self._scalers is None or self._raw else self._scalers[peer](rows)


def _pile(piles: tuple[Floats, Labels], peer: int) -> Floats:
    x, edges = piles
    return x[edges[peer] : edges[peer + 1]]
