"""The rows of a published set on their way into a table."""

import numpy as np
from numpy.typing import NDArray

from scenarios.data.shards import Labels
from scenarios.data.sources.columns import schema
from scenarios.data.sources.layout import ELSEWHERE, File, Layout
from scenarios.data.table import Table

OWNERS_MAX = 10_000

OWNER_BENIGN_MIN = 250
"""Benign rows that a machine needs to be an owner of its own, where addresses name the owners: a
scaler wants 100 to train on (`gossip.learning.scaling.ROWS_MIN`), which are 0.4 of the benign rows
(`scenarios.data.roles.BENIGN_SHARES`). A scan of a whole network would else make owners of
addresses where nobody lives."""


class Rows:
    """The rows gathered so far, in arrays made once for all that may come."""

    def __init__(self, layout: Layout, rows: int) -> None:
        self.layout = layout
        features = sum(len(column.features) for column in layout.columns)
        self.x = np.empty((rows, features), np.float32)
        self.y = np.empty(rows, np.int64)
        self.owner = np.empty(rows, np.int64)
        self.time_s = np.zeros(rows, np.float64)
        self.held_out = np.zeros(rows, np.bool_)
        self.owners: dict[str, int] = {}
        self.families = {family: number for number, family in enumerate(layout.families)}
        self.count = 0
        self.looked_at = 0
        self.bad = 0
        self.first_bad = ""

    def refuse(self, file: File, line: int, why: str) -> None:
        """Count a bad row; `line` counts from 1."""
        self.bad += 1
        self.first_bad = self.first_bad or f"{file.name}, line {line}: {why}"

    def number(self, owner: str) -> int:
        """Index of an owner; beyond the most that are told apart, all are one."""
        if owner not in self.owners and len(self.owners) >= OWNERS_MAX:
            owner = ELSEWHERE
        return self.owners.setdefault(owner, len(self.owners))

    def table(self, *, any_held_out: bool) -> Table:
        """What was gathered."""
        layout, used = self.layout, slice(0, self.count)
        owner, owners = self.owner[used], tuple(self.owners)
        if layout.owner_from:
            owner, owners = _settled(owner, owners, self.y[used] == 0)
        return Table(
            schema=schema(layout.name, layout.columns),
            columns=tuple(feature for column in layout.columns for feature in column.features),
            families=layout.families,
            x=self.x[used],
            y=self.y[used],
            owner=owner,
            owners=owners,
            time_s=self.time_s[used] if layout.time else None,
            held_out=self.held_out[used] if any_held_out else None,
        )


def _settled(
    owner: Labels, owners: tuple[str, ...], benign: NDArray[np.bool_]
) -> tuple[Labels, tuple[str, ...]]:
    """Owners with benign rows enough; the others are `ELSEWHERE`, or else the largest's."""
    counts = np.bincount(owner[benign], minlength=len(owners))
    kept = [
        place
        for place, name in enumerate(owners)
        if counts[place] >= OWNER_BENIGN_MIN and name != ELSEWHERE
    ]
    rest = int(counts.sum() - counts[kept].sum())
    if kept and rest < OWNER_BENIGN_MIN:
        others = kept.index(max(kept, key=lambda place: (counts[place], -place)))
        names: tuple[str, ...] = ()
    else:
        others, names = len(kept), (ELSEWHERE,)
    number = np.full(len(owners), others, np.int64)
    number[kept] = np.arange(len(kept))
    return number[owner], (*(owners[place] for place in kept), *names)
