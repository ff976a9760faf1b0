"""Who holds what: rows by peer, use and family, as numbers, as a table, and for a result's file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table

from gossip.errors import StateError
from gossip.learning.learner import NO_LABEL
from scenarios.data.shards import Shards

COLUMNS_MAX = 500
"""Peers that are told apart in a picture and in a result's file; more are shown as means of
neighbours. A picture is some 1,000 pixels wide."""

TABLE_PEERS_MAX = 40  # more peers than a screen has lines are summed up by family
TABLE_FAMILIES_MAX = 6  # more than fit into 80 characters beside the peers
TABLE_COLUMNS_MAX = 8  # likewise

TABLE_FAMILIES_MAX = 8  # more do not fit beside each other on a screen of 100 columns

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """Rows of each column; a column is a peer, or the mean of `per_column` neighbours.

    Args:
        families: names, benign first.
        train: to train on by family, the last for those that nobody has labelled, float64
            `(columns, families + 1)`.
        calibrate: benign rows to calibrate with, float64 `(columns,)`.
        test: held out by family, float64 `(columns, families)`.
        peers: how many there are.
        removed: rows left out because they are trained on as well.
        names: of the columns, where they have some, else none.
        per_column: peers in each column; the last may have fewer.
    """

    families: tuple[str, ...]
    train: Counts
    calibrate: Counts
    test: Counts
    peers: int
    removed: int = 0
    names: tuple[str, ...] = ()
    per_column: int = 1


def holdings(shards: Shards, groups: Mapping[str, Sequence[int]] | None = None) -> Holdings:
    """Count what every peer holds.

    Args:
        shards: every peer's data.
        groups: names to peers; a peer is called by its number and the groups that it is alone or
            with others a member of.
    """
    families, peers = len(shards.families), len(shards.shards)
    train = np.zeros((peers, families + 1))
    test = np.zeros((peers, families))
    calibrate = np.zeros(peers)
    for peer in range(peers):
        shard = shards.shards[peer]
        labels = np.where(shard.train_y == NO_LABEL, families, shard.train_y)
        train[peer] = np.bincount(labels, minlength=families + 1)
        test[peer] = np.bincount(shard.test_y, minlength=families)
        calibrate[peer] = len(shard.calibrate_x)
    names = [str(peer) for peer in range(peers)]
    for name, members in (groups or {}).items():
        for peer in members:
            names[peer] += f" {name}"
    told = tuple(names) if groups else ()
    return Holdings(shards.families, train, calibrate, test, peers, shards.removed, told)


def condensed(held: Holdings, columns_max: int = COLUMNS_MAX) -> Holdings:
    """The same in so many columns at most, each the mean of neighbours."""
    if len(held.train) <= columns_max:
        return held
    each = -(-len(held.train) // columns_max)
    starts = np.arange(0, len(held.train), each)
    sizes = np.diff([*starts, len(held.train)])

    def means(counts: Counts) -> Counts:
        sums: Counts = np.add.reduceat(counts, starts, axis=0)
        return sums / (sizes[:, None] if counts.ndim == 2 else sizes)

    return replace(
        held,
        train=means(held.train),
        calibrate=means(held.calibrate),
        test=means(held.test),
        names=(),
        per_column=held.per_column * each,
    )


def as_dict(held: Holdings) -> dict[str, Any]:
    """For a result's file: numbers, texts and lists, of `COLUMNS_MAX` columns at most."""
    small = condensed(held)
    return {
        "families": list(small.families),
        "peers": small.peers,
        "peers_per_column": small.per_column,
        "duplicates_removed": small.removed,
        "names": list(small.names),
        "train": small.train.round(2).tolist(),
        "calibrate": small.calibrate.round(2).tolist(),
        "test": small.test.round(2).tolist(),
    }


def from_dict(told: Mapping[str, Any]) -> Holdings:
    """What `as_dict` described.

    Raises:
        StateError: it is damaged.
    """
    try:
        families = tuple(str(name) for name in told["families"])
        found = Holdings(
            families,
            np.array(told["train"], np.float64),
            np.array(told["calibrate"], np.float64),
            np.array(told["test"], np.float64),
            int(told["peers"]),
            int(told["duplicates_removed"]),
            tuple(str(name) for name in told["names"]),
            int(told["peers_per_column"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"who holds what is damaged ({error}); run the scenario again") from None
    columns = len(found.calibrate)
    sound = (
        found.train.shape == (columns, len(families) + 1)
        and found.test.shape == (columns, len(families))
        and columns <= COLUMNS_MAX
        and len(found.names) in {0, columns}
    )
    if not sound:
        raise StateError("who holds what does not fit together; run the scenario again")
    return found


def table(held: Holdings) -> Table:
    """A row for each peer; for more peers or families than fit on a screen, one for each family."""
    title = f"Who holds what: {held.peers:,} peers"
    if held.removed:
        title += f"; {held.removed:,} duplicates removed"
    found = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False
    )
    trained = np.flatnonzero(held.train.any(axis=0))
    alone = held.per_column == 1
    if alone and len(held.train) <= TABLE_PEERS_MAX and len(trained) <= TABLE_FAMILIES_MAX:
        _by_peer(held, found, trained)
    elif alone and len(held.train) <= TABLE_COLUMNS_MAX:
        _across(held, found)
    else:
        _by_family(held, found)
    return found


def lines(held: Holdings) -> list[tuple[str, Counts]]:
    """Use and family with the rows of each column, for everything that anybody holds."""
    names = (*held.families, "unlabelled")
    every = [(f"train · {name}", held.train[:, number]) for number, name in enumerate(names)]
    every.append(("calibrate · benign", held.calibrate))
    every += [(f"test · {name}", held.test[:, number]) for number, name in enumerate(held.families)]
    return [(name, counts) for name, counts in every if counts.any()]


def _by_peer(held: Holdings, found: Table, trained: NDArray[np.intp]) -> None:
    names = [*held.families, "unlabelled"]
    found.add_column("\npeer", no_wrap=True)
    for family in trained:
        name = names[family].replace("-", "-\n", 1)
        found.add_column(f"train\n{name}", justify="right")
    for heading in ("cali-\nbrate", "test\nbenign", "test\nattacks"):
        found.add_column(heading, justify="right")
    for peer, row in enumerate(held.train):
        found.add_row(
            held.names[peer] if held.names else str(peer),
            *(_count(row[family]) for family in trained),
            _count(held.calibrate[peer]),
            _count(held.test[peer, 0]),
            _count(held.test[peer, 1:].sum()),
        )


def _across(held: Holdings, found: Table) -> None:
    found.add_column("peer", no_wrap=True)
    for peer in range(len(held.train)):
        name = held.names[peer] if held.names else str(peer)
        found.add_column(name.replace(" ", "\n"), justify="right")
    for name, counts in lines(held):
        found.add_row(name, *map(_count, counts))


def _by_family(held: Holdings, found: Table) -> None:
    found.add_column("", no_wrap=True)
    for heading in ("rows at all", "held by", "least", "median", "most"):
        found.add_column(heading, justify="right")
    for name, counts in lines(held):
        found.add_row(
            name,
            _count(_total(held, counts)),
            f"{np.count_nonzero(counts) / len(counts):.0%}",
            *map(_count, np.quantile(counts, [0.0, 0.5, 1.0])),
        )


def _total(held: Holdings, counts: Counts) -> float:
    """Over all peers; the last column may stand for fewer than the others."""
    sizes = np.full(len(counts), held.per_column)
    sizes[-1] = held.peers - held.per_column * (len(counts) - 1)
    return float((counts * sizes).sum())


def _count(number: float) -> str:
    return f"{number:,.0f}" if number else "-"
