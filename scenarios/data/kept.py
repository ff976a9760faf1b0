"""What devices with little memory keep of their training rows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, overload

import numpy as np

from gossip.draws import Purpose, generator
from scenarios.data.appearing import visible
from scenarios.data.shards import Floats, Labels, Shard, Shards, Unscaled

T = TypeVar("T")


class Looks(Sequence[T]):
    """A sequence whose items are made at each look.

    Args:
        count: how many there are.
        look: gives one of them.
    """

    def __init__(self, count: int, look: Callable[[int], T]) -> None:
        self._count = count
        self._look = look

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...

    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(self._count))]
        if not 0 <= place < self._count:
            raise IndexError(place)
        return self._look(place)


def kept(shards: Shards, rows_max: Sequence[int], seed: bytes) -> Shards:
    """The same data, where no peer has more training rows than its device holds.

    What a peer with too many keeps is drawn uniformly, as a reservoir of that size would keep it.
    Rows stay in their order, so those of families that appear late are still last.

    Args:
        shards: all peers' data.
        rows_max: by peer, at least 1.
        seed: of the scenario.
    """
    peers = len(shards.shards)
    labels = [shards.training(peer)[1] for peer in range(peers)]
    poor = [peer for peer in range(peers) if len(labels[peer]) > rows_max[peer]]
    if not poor:
        return shards
    seen = shards.visible or visible(labels, labels, len(shards.families), {})
    rows, known = seen.rows.copy(), seen.known.copy()
    left: dict[int, tuple[Floats, Labels]] = {}
    places: dict[int, Labels] = {}
    for peer in poor:
        train_x, train_y = shards.training(peer)
        rng = generator(seed, f"kept/{peer}", 0, Purpose.WORLD)
        chosen = np.sort(rng.choice(len(train_y), rows_max[peer], replace=False))
        left[peer] = train_x[chosen], train_y[chosen]
        places[peer] = chosen
        rows[:, peer] = np.searchsorted(chosen, seen.rows[:, peer])
        for stage, count in enumerate(rows[:, peer].tolist()):
            known[stage, peer] &= np.isin(range(len(shards.families)), left[peer][1][:count])

    def training(peer: int) -> tuple[Floats, Labels]:
        return left[peer] if peer in left else shards.training(peer)

    def shard(peer: int) -> Shard:
        own = shards.shards[peer]
        return replace(own, train_x=left[peer][0], train_y=left[peer][1]) if peer in left else own

    bounded = replace(seen, rows=rows, known=known)
    found = replace(
        shards, shards=Looks(peers, shard), train=Looks(peers, training), visible=bounded
    )
    if shards.unscaled is None:
        return found
    whole = shards.unscaled

    def unscaled(peer: int) -> Unscaled:
        own = whole[peer]
        if peer not in places:
            return own
        return replace(own, train_x=own.train_x[places[peer]], train_y=own.train_y[places[peer]])

    return replace(found, unscaled=Looks(peers, unscaled))
