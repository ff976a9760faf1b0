"""Which rows of a table are trained on, calibrated with and held out, before anybody gets any."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.draws import Purpose, generator
from gossip.learning.learner import BENIGN
from scenarios.data.duplicates import repeated
from scenarios.data.shards import Labels
from scenarios.data.table import Table
from scenarios.spec.data import Duplicates, Split

BENIGN_SHARES = (0.4, 0.4, 0.2)
"""Of benign rows to train, to calibrate, and held out. A gateway's are 0.4, 0.5 and 0.1 (see
`gossip.learning.samples.SampleConfig`); more are held out here, because a rate of 1 % false alarms
is to be measured on them. Our choice."""

ATTACKS_HELD = 0.2
"""Of attack rows; the others are trained on. Our choice."""

LEAKS = frozenset(
    {
        "ts", "time", "timestamp", "stime", "ltime", "date", "starttime", "uid", "flow_id",
        "flow id", "srcip", "dstip", "src_ip", "dst_ip", "source ip", "destination ip", "saddr",
        "daddr", "id.orig_h", "id.resp_h", "id.orig_p", "id.resp_p", "sport", "dsport", "dport",
        "src_port", "dst_port", "source port", "destination port", "ip.src_host", "ip.dst_host",
        "frame.time", "tcp.srcport", "tcp.dstport", "udp.port", "label", "class", "attack",
        "attack_cat", "attack_type", "type", "detailed-label",
    }
)  # fmt: skip
"""Columns of the published data sets that say who, when or what: no feature may be called so."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Indices of a table's rows by use, each ascending, int64; no row has two.

    Args:
        train: to train on, of all families.
        calibrate: benign.
        test: held out, of all families.
        removed: rows left out because they stand in `train` as well.
    """

    train: Labels
    calibrate: Labels
    test: Labels
    removed: int


def check(table: Table) -> None:
    """Refuse a table that breaks its contract, which is a mistake of the code that made it.

    Raises:
        ValueError: arrays that do not fit each other, a value that is not finite, a family or
            owner without a name, or a column that would leak who attacked when.
    """
    rows = len(table.x)
    if table.x.shape != (rows, len(table.columns)) or table.x.dtype != np.float32:
        raise ValueError(f"rows {table.x.shape} do not fit {len(table.columns)} columns")
    beside = [table.y, table.owner, table.time_s, table.held_out]
    if any(each is not None and each.shape != (rows,) for each in beside):
        raise ValueError(f"families, owners, times and marks must be {rows} each")
    for numbers, names in ((table.y, table.families), (table.owner, table.owners)):
        if rows and (numbers.min() < 0 or numbers.max() >= len(names)):
            raise ValueError(f"a number has no name among {', '.join(names)}")
    if not np.isfinite(table.x).all():
        raise ValueError("features must be finite")
    leaks = [column for column in table.columns if column.strip().lower() in LEAKS]
    if leaks:
        raise ValueError(f"{', '.join(leaks)} would leak who attacked when; leave them out")


def roles(table: Table, split: Split, duplicates: Duplicates, seed: bytes) -> Roles:
    """Give each row its use, the same shares in every family at every owner.

    Where the authors set rows aside and `split` heeds them, held-out rows are theirs, and the
    others are trained on and, benign ones, calibrated with, in the proportions of
    `BENIGN_SHARES`. That holds for benign rows and for attacks separately: where the authors set
    aside none of a kind, it is drawn.

    Args:
        table: the rows.
        split: who decides.
        duplicates: whether held-out and calibration rows that are trained on as well are removed.
            Both are, because a threshold calibrated on rows the model knows would be too low.
        seed: of the scenario.
    """
    use = np.full(len(table.x), 2, np.int8)  # 0 trains, 1 calibrates, 2 is held out
    for benign in (True, False):
        kind = (table.y == BENIGN) == benign
        aside = table.held_out if split is Split.AUTHORS else None
        if aside is not None and not aside[kind].any():
            aside = None
        shares = BENIGN_SHARES if benign else (1.0 - ATTACKS_HELD, 0.0, ATTACKS_HELD)
        for group in _groups(table, kind if aside is None else kind & ~aside):
            name = f"roles/{int(table.owner[group[0]])}/{int(table.y[group[0]])}"
            order = generator(seed, name, 0, Purpose.WORLD).permutation(group)
            held = 0 if aside is not None else _some(len(group), shares[2])
            left = len(group) - held
            trained = left - round(left * shares[1] / (shares[0] + shares[1]))
            use[order[:trained]] = 0
            use[order[trained:left]] = 1
    train, calibrate, test = (np.flatnonzero(use == number) for number in range(3))
    if duplicates is Duplicates.KEEP:
        return Roles(train, calibrate, test, 0)
    known = table.x[train], table.y[train]
    fresh = [rows[~repeated(*known, table.x[rows], table.y[rows])] for rows in (calibrate, test)]
    removed = len(calibrate) + len(test) - sum(map(len, fresh))
    return Roles(train, fresh[0], fresh[1], removed)


def _some(rows: int, share: float) -> int:
    """A share of a group, but one at least, and one at least left over, where there are two."""
    return min(max(round(rows * share), 1), rows - 1) if rows > 1 else 0


def _groups(table: Table, chosen: NDArray[np.bool_]) -> list[Labels]:
    """The chosen rows by owner and family, each group ascending."""
    rows = np.flatnonzero(chosen)
    key = table.owner[rows] * len(table.families) + table.y[rows]
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(key[order])) + 1
    return [group for group in np.split(rows[order], edges) if len(group)]
