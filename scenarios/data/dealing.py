"""From one table to every peer's part of it.

Each row is used once in the whole mesh: trained on by one peer, calibrated with by one peer, or
held out. What is held out is judged by: a peer's own benign rows, and attack rows of every family
that the table has, the same for all peers, so that it shows whether knowledge travels. Rows are
scaled as their peer scales its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gossip.draws import Purpose, generator
from gossip.errors import ConfigError
from gossip.learning.learner import BENIGN
from gossip.learning.scaling import ROWS_MIN, Scaler
from scenarios.data.appearing import Appearance, check_family, visible
from scenarios.data.dealt import DealtShards, Parts, Piles, Scalers
from scenarios.data.roles import Roles, check, roles
from scenarios.data.sharding import Shares, apportion, shares
from scenarios.data.shards import Labels, Shards
from scenarios.data.table import Table
from scenarios.spec.data import Data, Kind, Scaling, parse_sharding


def deal(
    table: Table,
    data: Data,
    labelled: Sequence[bool],
    seed: bytes,
    appear: Sequence[Appearance] = (),
    where: str = "scenario",
    *,
    unscaled: bool = False,
) -> Shards:
    """Split a table by use and deal it to peers.

    Amounts: a peer gets `data.rows` benign rows to train on, `data.rows` divided by the number of
    families that are there of each attack, and `data.calibrate_rows` to calibrate with, or less
    where the table has less. By device or site and by time no peer gets more; the other ways deal
    out as much altogether, as unequally as they say. Of benign rows a peer holds out
    `data.test_rows` at most, and it is tested on `data.test_rows` divided by the number of attacks
    of each attack.

    By device or site, owner o's rows go to the peers p with p modulo owners = o, in turn; where
    there are more owners than peers, owner o's go to peer o modulo peers. By time, each peer's span
    has as many benign rows to train on as any other's, and the attacks that fall into it.

    Args:
        table: see there.
        data: the scenario's `[data]`.
        labelled: per peer, whether its rows carry labels. Peers without leave attack rows out, as
            a gateway does in an alert storm.
        seed: of the scenario.
        appear: attacks that appear with time; all their rows go to the peers that these name.
        where: the scenario's file, for messages.
        unscaled: keep the table, for `Shards.unscaled`.

    Raises:
        ConfigError: there are more peers than rows, or the table has not what `data` asks for: a
            family, times, benign rows at an owner. The message names the file and the key.
    """
    check(table)
    return _Dealer(table, data, tuple(labelled), seed, where).deal(appear, unscaled=unscaled)


@dataclass(frozen=True, slots=True)
class _Dealer:
    table: Table
    data: Data
    labelled: tuple[bool, ...]
    seed: bytes
    where: str

    @property
    def peers(self) -> int:
        return len(self.labelled)

    def wrong(self, key: str, text: str) -> ConfigError:
        return ConfigError(f"{self.where}: {key}: {text}")

    def deal(self, appear: Sequence[Appearance], *, unscaled: bool) -> Shards:
        table, data = self.table, self.data
        used = roles(table, data.split, data.duplicates, self.seed)
        benign = int(np.count_nonzero(table.y[used.train] == BENIGN))
        if benign < self.peers * self.least:
            raise self.too_many(f"the data have {benign} benign rows to train on")
        late = self.late(appear, table.y[used.train])
        train = self.training(used.train, late)
        calibrate, test = self.beside(used)
        parts = Parts(train, calibrate, test, self.attacks(used.test))
        raw = data.scaling is Scaling.MESH
        shards = DealtShards(table, parts, self.scalers(train), raw=raw)
        told = [table.y[train[peer]] for peer in range(self.peers)]
        at_us = {family: each.at_us for family, each in late.items()}
        return Shards(
            table.schema,
            len(table.columns),
            table.families,
            shards,
            shards.train,
            visible(told, told, len(table.families), at_us),
            used.removed,
            shards.unscaled(table, parts) if unscaled else None,
        )

    @property
    def least(self) -> int:
        """Benign rows to train on that a peer needs."""
        return ROWS_MIN if self.data.scaling.needs_own else 1

    def too_many(self, has: str) -> ConfigError:
        cure = ', or scale by all peers\' rows: data.scaling = "shared"' if self.least > 1 else ""
        return self.wrong(
            "mesh.peers",
            f"{self.peers} peers need {self.least} benign rows each to train on, and {has}; "
            f"use fewer peers{cure}",
        )

    def late(self, appear: Sequence[Appearance], families: Labels) -> dict[int, Appearance]:
        """Family to appearance."""
        there = np.bincount(families, minlength=len(self.table.families))
        names = [name for name, rows in zip(self.table.families, there, strict=True) if rows]
        found: dict[int, Appearance] = {}
        for each in appear:
            try:
                check_family(each.family, names)
            except ConfigError as error:
                raise self.wrong(f"{each.key}.family", str(error)) from None
            found[self.table.families.index(each.family)] = each
        return found

    def shuffled(self, rows: Labels, name: str) -> Labels:
        return generator(self.seed, f"deal/{name}", 0, Purpose.WORLD).permutation(rows)

    def training(self, rows: Labels, late: Mapping[int, Appearance]) -> Piles:
        """Rows to train on; in a pile benign ones first, those of late families last."""
        table, data = self.table, self.data
        families = np.unique(table.y[rows])
        kind = parse_sharding(data.shards).kind
        unequal = None
        if kind not in {Kind.NATURAL, Kind.TIME}:
            usual = np.array([f for f in families.tolist() if f not in late], np.int64)
            try:
                sharding = parse_sharding(data.shards)
                unequal = shares(sharding, table.families, usual, self.peers, self.seed)
            except ConfigError as error:
                raise self.wrong("data.shards", str(error)) from None
        chosen: list[Labels] = []
        peers: list[Labels] = []
        for family in sorted(families.tolist(), key=lambda f: late[f].at_us if f in late else 0):
            own = self.shuffled(rows[table.y[rows] == family], f"train/{family}")
            mean = data.rows if family == BENIGN else max(1, data.rows // len(families))
            if family in late:
                named = np.array(late[family].peers, np.int64)
                peer = named[np.arange(len(own)) % len(named)]
                own, peer = _at_most(own, peer, mean)
            elif unequal is None:
                peer = self.owners_peer(own) if kind is Kind.NATURAL else self.spans_peer(own, rows)
                own, peer = _at_most(own, peer, mean)
            else:
                own, peer = self.by_shares(own, unequal[family], mean, family == BENIGN)
            chosen.append(own)
            peers.append(peer)
        dealt, to = np.concatenate(chosen), np.concatenate(peers)
        self.check_benign(dealt, to, kind)
        heeded = (table.y[dealt] == BENIGN) | np.array(self.labelled)[to]
        return Piles.of(dealt[heeded], to[heeded], self.peers)

    def by_shares(
        self, own: Labels, part: Shares, mean: int, benign: bool
    ) -> tuple[Labels, Labels]:
        total = min(len(own), mean * int(np.count_nonzero(part)))
        counts = apportion(total, part, self.least if benign else 0)
        return own[:total], np.repeat(np.arange(self.peers), counts)

    def owners_peer(self, rows: Labels) -> Labels:
        """The peer that each of these rows goes to by its device or site."""
        owner, owners = self.table.owner[rows], len(self.table.owners)
        if owners >= self.peers:
            return owner % self.peers
        turn = _turns(owner)
        sharing = (self.peers - owner + owners - 1) // owners  # peers of this row's owner
        return owner + owners * (turn % sharing)

    def spans_peer(self, rows: Labels, train: Labels) -> Labels:
        """The peer into whose span of time each of these rows falls."""
        table = self.table
        if table.time_s is None:
            raise self.wrong("data.shards", 'these data do not say when; write another than "time"')
        place = np.empty(len(table.x), np.int64)
        place[np.lexsort((np.arange(len(table.x)), table.time_s))] = np.arange(len(table.x))
        benign = np.sort(place[train[table.y[train] == BENIGN]])
        starts = benign[np.arange(1, self.peers) * len(benign) // self.peers]
        return np.searchsorted(starts, place[rows], side="right").astype(np.int64)

    def beside(self, used: Roles) -> tuple[Piles, Piles]:
        """Benign rows to calibrate with and held out, each dealt as the peer's own are."""
        table, data = self.table, self.data
        sharding = parse_sharding(data.shards)
        found: list[Piles] = []
        for rows, most, name in (
            (used.calibrate, data.calibrate_rows, "calibrate"),
            (used.test, data.test_rows, "test"),
        ):
            own = self.shuffled(rows[table.y[rows] == BENIGN], name)
            if sharding.kind is Kind.NATURAL:
                peer = self.owners_peer(own)
            elif sharding.kind is Kind.TIME:
                peer = self.spans_peer(own, used.train)
            elif sharding.kind is Kind.QUANTITY and name == "calibrate":
                present = np.array([BENIGN])
                part = shares(sharding, table.families, present, self.peers, self.seed)[BENIGN]
                found.append(Piles.of(*self.by_shares(own, part, most, False), self.peers))
                continue
            else:
                peer = np.arange(len(own)) % self.peers
            found.append(Piles.of(*_at_most(own, peer, most), self.peers))
        return found[0], found[1]

    def attacks(self, held: Labels) -> Labels:
        """Attack rows held out, as many of each family at most."""
        table = self.table
        families = [int(family) for family in np.unique(table.y[held]) if family != BENIGN]
        most = max(1, self.data.test_rows // max(1, len(families)))
        chosen = [
            self.shuffled(held[table.y[held] == family], f"attacks/{family}")[:most]
            for family in families
        ]
        return np.concatenate([np.zeros(0, np.int64), *chosen])

    def check_benign(self, rows: Labels, peer: Labels, kind: Kind) -> None:
        """Refuse owners that leave a peer without the rows that its scaler needs."""
        counts = np.bincount(peer[self.table.y[rows] == BENIGN], minlength=self.peers)
        if kind is not Kind.NATURAL or self.least == 1 or counts.min() >= self.least:
            return
        poorest = int(counts.argmin())
        name = self.table.owners[poorest % len(self.table.owners)]
        raise self.too_many(f"peer {poorest} ({name}) has {counts[poorest]}")

    def scalers(self, train: Piles) -> Scalers | None:
        table, scaling = self.table, self.data.scaling
        if scaling is Scaling.NONE:
            return None
        shape = self.peers, len(table.columns)
        if scaling is Scaling.SHARED:
            benign = train.rows[table.y[train.rows] == BENIGN]
            if len(benign) < ROWS_MIN:
                raise self.wrong(
                    "data.scaling",
                    f"all peers together have {len(benign)} benign rows to train on, and a scaler "
                    f'needs {ROWS_MIN}; use more, or data.scaling = "none"',
                )
            one = Scaler.fit(table.x[benign])
            return Scalers(np.broadcast_to(one.centre, shape), np.broadcast_to(one.spread, shape))
        centre, spread = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for peer in range(self.peers):
            own = train[peer]
            each = Scaler.fit(table.x[own[table.y[own] == BENIGN]])
            centre[peer], spread[peer] = each.centre, each.spread
        return Scalers(centre, spread)


def _turns(groups: Labels) -> Labels:
    """How many rows of the same group came before each row, int64 `(rows,)`."""
    order = np.argsort(groups, kind="stable")
    inside = groups[order]
    starts = np.searchsorted(inside, inside, side="left")
    found = np.empty(len(groups), np.int64)
    found[order] = np.arange(len(groups)) - starts
    return found


def _at_most(rows: Labels, peer: Labels, most: int) -> tuple[Labels, Labels]:
    """The first `most` rows of each peer."""
    kept = _turns(peer) < most
    return rows[kept], peer[kept]
