"""NSL-KDD for `immunity.py`: rows dealt to gateways by service, and who holds what when.

The protocol: of the 20 % training set the ten most frequent classes; gateways are made of services,
as a gateway sees what the machines behind it offer. Services stand in a random order, and their
benign rows, one after the other, are cut into as many equal piles as there are gateways, so that a
common service spans several gateways and rare ones share one. An attack row goes to a gateway that
holds benign rows of its service (at least `SHARED` of them, where any does), drawn evenly; one of
a service with fewer than `OFFERED` benign rows anywhere to a drawn gateway, the same for the whole
service. At each gateway benign rows are split 30/40/30 into training, calibration and test, attack
rows 70/30 into training and test.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.data.shards import Labels, Shards
    from scenarios.data.table import Table

CLASSES = 10
OFFERED, SHARED = 20, 10
TRAIN, TRAIN_OR_CALIBRATE = 0.3, 0.7
TOLD = 150
"""Test rows of one attack at most, the same for all gateways: as the prototype had."""


def table(folder: Path) -> Table:
    """The rows of the ten most frequent classes, benign first."""
    import numpy as np  # noqa: PLC0415 - see _common.parser

    from scenarios.data.sources.load import load  # noqa: PLC0415

    whole = load("nsl-kdd", folder, 200_000, b"", "immunity").table
    counts = np.bincount(whole.y, minlength=len(whole.families))
    most = [0, *(each for each in np.argsort(-counts, kind="stable") if each)][:CLASSES]
    number = np.full(len(whole.families), -1)
    number[most] = range(CLASSES)
    kept = number[whole.y] >= 0
    return replace(
        whole,
        families=tuple(whole.families[each] for each in most),
        x=whole.x[kept],
        y=number[whole.y[kept]].astype(np.int64),
        owner=whole.owner[kept],
        held_out=None,
    )


def gateways(rows: Table, peers: int, seed: int) -> Labels:
    """The gateway of each row, int64 `(rows,)`; see the top of this file."""
    import numpy as np  # noqa: PLC0415

    rng = np.random.default_rng(seed)
    columns = [i for i, name in enumerate(rows.columns) if name.startswith("service")]
    service = rows.x[:, columns].argmax(1)
    rank = rng.permutation(len(columns))
    order = np.lexsort((rng.random(len(rows.x)), rank[service]))
    benign = np.cumsum(rows.y[order] == 0)
    found = np.empty(len(rows.x), np.int64)
    found[order] = np.minimum((benign - 1).clip(0) * peers // benign[-1], peers - 1)
    for each in range(len(columns)):
        attacks = np.flatnonzero((service == each) & (rows.y > 0))
        offering = found[(service == each) & (rows.y == 0)]
        if len(offering) < OFFERED:
            found[attacks] = rng.integers(peers)
            continue
        who, many = np.unique(offering, return_counts=True)
        who = who[many >= SHARED] if (many >= SHARED).any() else who
        found[attacks] = who[rng.integers(len(who), size=len(attacks))]
    return found


def deal(
    rows: Table, peers: int, seed: int, family: str, at_us: int, *, scaling: str, everybody: bool
) -> tuple[Shards, int]:
    """Every gateway's data, and the one at which the new family appears.

    Args:
        rows: from `table`.
        peers: how many gateways.
        seed: of the dealing.
        family: the new one; all its training rows lie at one gateway, from `at_us` on.
        at_us: simulated microseconds.
        scaling: "own", or "shared" for one scaler of all gateways' benign training rows.
        everybody: the ceiling: its training rows lie at every gateway, from `at_us` on.
    """
    import numpy as np  # noqa: PLC0415

    from gossip.learning.scaling import Scaler  # noqa: PLC0415
    from scenarios.data.appearing import visible  # noqa: PLC0415
    from scenarios.data.dealt import DealtShards, Parts, Piles, Scalers  # noqa: PLC0415
    from scenarios.data.shards import Shards  # noqa: PLC0415

    at = gateways(rows, peers, seed)
    rng = np.random.default_rng(1_000 + seed)
    coin = rng.random(len(rows.x))
    # Exact shares of each family at each gateway: its place among those rows, not a coin for each.
    group = at * len(rows.families) + rows.y
    order = np.lexsort((coin, group))
    starts, counts = np.unique(group[order], return_index=True, return_counts=True)[1:]
    place = np.arange(len(order)) - np.repeat(starts, counts)
    coin[order] = (place + coin[order]) / np.repeat(counts, counts)
    first = int(rng.integers(peers))
    new = rows.families.index(family)
    benign, held = rows.y == 0, coin >= TRAIN_OR_CALIBRATE
    usual = np.flatnonzero(~held & (rows.y != new) & (~benign | (coin < TRAIN)))
    late = np.flatnonzero(~held & (rows.y == new))
    who = range(peers) if everybody else (first,)
    train = Piles.of(
        np.concatenate([usual, *(late for _ in who)]),
        np.concatenate([at[usual], *(np.full(len(late), each) for each in who)]),
        peers,
    )
    beside = np.flatnonzero(~held & benign & (coin >= TRAIN))
    told = [
        rng.permutation(np.flatnonzero(held & (rows.y == each)))[:TOLD]
        for each in range(1, len(rows.families))
    ]
    parts = Parts(
        train,
        Piles.of(beside, at[beside], peers),
        Piles.of(np.flatnonzero(held & benign), at[held & benign], peers),
        np.concatenate(told),
    )

    def fitted(which: Labels) -> Scaler:
        return Scaler.fit(rows.x[which[rows.y[which] == 0]])

    if scaling == "shared":
        scalers = [fitted(train.rows)] * peers
    else:
        scalers = [fitted(train[peer]) for peer in range(peers)]
    shards = DealtShards(
        rows,
        parts,
        Scalers(*(np.stack([getattr(s, n) for s in scalers]) for n in ("centre", "spread"))),
    )
    labels = [rows.y[train[peer]] for peer in range(peers)]
    return Shards(
        rows.schema,
        len(rows.columns),
        rows.families,
        shards,
        shards.train,
        visible(labels, labels, len(rows.families), {new: at_us}),
        unscaled=shards.unscaled(rows, parts),
    ), first
