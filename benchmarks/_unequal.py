"""Hosts for `unequal.py`: who has which rows, and the arms that the project has no code for.

Every host has at most 3,000 rows; of these 30 % are held out to judge by, the same share of each
family, and of benign rows 20 % more to calibrate with. All hosts are judged on the held-out rows of
all. A host with fewer benign rows than a scaler needs (two of STRATO8) scales by those that it has,
and does not train but when it is alone: as a node, which has no scaler then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from _common import parser  # noqa: F401 - one thread before numpy is imported

from gossip.antigens import EVIDENCE_MIN
from gossip.errors import RemoteError
from gossip.learning.learner import Batches, Outcome
from gossip.learning.mixture import Mixture
from gossip.learning.norms import NORMS_MIN, Norm
from gossip.learning.scaling import ROWS_MIN, SPREAD_MIN, Scaler
from scenarios.data.meshed import MeshScalers
from scenarios.data.shards import Shard, Shards, Unscaled
from scenarios.data.sources.load import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gossip.antigens import Antigen
    from gossip.learning.in_numpy import Classifier
    from scenarios.data.table import Table

CAP = 3_000
TEST, CALIBRATE = 0.3, 0.2


def table(folder: Path, source: str | None = None) -> tuple[str, Table]:
    """A data set and what it is; unless told, N-BaIoT's arrays or Zeek logs labelled as IoT-23's.

    Of these the columns of ports are left out: each capture has attacks on other ports. All attacks
    are one family; the labels hardly tell more.
    """
    name = source or ("nbaiot" if any(folder.glob("*.npz")) else "iot-23")
    found = load(name, folder, 200_000, b"", "unequal").table
    kept = [i for i, column in enumerate(found.columns) if not column.startswith("port_")]
    return name, replace(
        found,
        columns=tuple(found.columns[i] for i in kept),
        x=np.ascontiguousarray(found.x[:, kept]),
        y=(found.y > 0).astype(np.int64),
        families=("benign", "attack"),
    )


@dataclass(frozen=True)
class Hosts:
    """What every host has, unscaled, and what all are judged by.

    Args:
        families: names, benign first.
        owners: the hosts' names.
        plain: training and calibration rows, each with the host's own scaler.
        test_x: held-out rows of all hosts.
        test_y: their families.
        at: whose they are.
    """

    families: tuple[str, ...]
    owners: tuple[str, ...]
    plain: tuple[Unscaled, ...]
    test_x: Any
    test_y: Any
    at: Any

    def shards(self, scales: str) -> Shards:
        """As peers see it who scale by their `own` rows, by the `mesh`'s norms, or their `mean`."""
        features = self.test_x.shape[1]
        made = []
        for each in self.plain:
            scaler = each.scaler if scales == "own" else Scaler(*_unit(features), bound=np.inf)
            x, held = scaler(each.train_x), scaler(each.calibrate_x)
            made.append(Shard(x, each.train_y, held, held[:0], each.train_y[:0]))
        how = {"own": None, "mesh": MeshScalers, "mean": MeanScalers}[scales]
        return Shards(
            "unequal",
            features,
            self.families,
            made,
            unscaled=self.plain,
            scales=how and how(self.plain, features),
        )

    @property
    def poor(self) -> tuple[int, ...]:
        """Hosts with fewer benign rows to train on than a scaler needs."""
        return tuple(
            host
            for host, each in enumerate(self.plain)
            if np.count_nonzero(each.train_y == 0) < ROWS_MIN
        )

    def pooled(self) -> tuple[Shards, Scaler]:
        """All training rows at one peer, scaled by all benign ones."""
        x = np.concatenate([each.train_x for each in self.plain])
        y = np.concatenate([each.train_y for each in self.plain])
        benign = x[y == 0].astype(np.float64)
        spread = np.maximum(benign.std(0), SPREAD_MIN).astype(np.float32)
        scaler = Scaler(benign.mean(0).astype(np.float32), spread)
        shard = Shard(scaler(x), y, x[:0], x[:0], y[:0])
        return Shards("unequal", x.shape[1], self.families, [shard]), scaler


def hosts(rows: Table, seed: int) -> Hosts:
    """Split each host's rows; see the top of this file."""
    rng = np.random.default_rng([seed, 1])
    plain, tests, at = [], [], []
    for owner in range(len(rows.owners)):
        own = np.flatnonzero(rows.owner == owner)
        own = rng.choice(own, min(len(own), CAP), replace=False)
        train, held = [], []
        for family in range(len(rows.families)):
            some = rng.permutation(own[rows.y[own] == family])
            edges = np.round(len(some) * np.array([TEST, TEST + (family == 0) * CALIBRATE]))
            test, beside, learnt = np.split(some, edges.astype(int))
            tests.append(test)
            at.append(np.full(len(test), owner))
            held.append(beside)
            train.append(learnt)
        learnt, beside = np.concatenate(train), np.concatenate(held)
        scaler = _scaler(rows.x[learnt[rows.y[learnt] == 0]])
        plain.append(Unscaled(rows.x[learnt], rows.y[learnt], rows.x[beside], scaler))
    test = np.concatenate(tests)
    return Hosts(
        rows.families, rows.owners, tuple(plain), rows.x[test], rows.y[test], np.concatenate(at)
    )


def _scaler(benign: Any) -> Scaler:
    """A host's own; of fewer rows than are needed each stands in several times."""
    return Scaler.fit(np.repeat(benign, -(-ROWS_MIN // len(benign)), axis=0))


def _unit(features: int) -> tuple[Any, Any]:
    return np.zeros(features, np.float32), np.ones(features, np.float32)


@dataclass(frozen=True)
class MeanScalers:
    """Means of what norms say in place of medians: what a liar can do then."""

    unscaled: Sequence[Unscaled]
    features: int

    def scaler(self, peer: int, norms: Sequence[Antigen]) -> Scaler:
        """See `scenarios.data.shards.Scales`."""
        told = []
        for each in norms:
            try:
                told.append(Norm.unpack(each.description, self.features))
            except RemoteError:
                continue
        if len(told) < NORMS_MIN:
            return self.unscaled[peer].scaler
        means = np.stack([each.mean for each in told]).astype(np.float64)
        squares = np.stack([each.deviation for each in told]).astype(np.float64) ** 2 + means**2
        centre = means.mean(0)
        spread = np.sqrt(np.maximum(squares.mean(0) - centre**2, SPREAD_MIN**2))
        return Scaler(centre.astype(np.float32), spread.astype(np.float32))


class Resting:
    """Rows for all but some peers, which merge what comes and do not train."""

    def __init__(self, rows: Any, resting: Sequence[int]) -> None:
        self._rows = rows
        self._resting = resting

    def trainable(self, peer: int) -> bool:
        return peer not in self._resting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)


class BenignTold:
    """Rows of which every second benign one is a draw from what other hosts' benign rows are like.

    As if they had presented them; a peer refuses to.
    """

    def __init__(self, rows: Any, dealt: Hosts, seed: int) -> None:
        self._rows = rows
        self._seed = seed
        rng = np.random.default_rng([seed, 2])
        benign = [each.train_x[each.train_y == 0] for each in dealt.plain]
        self._told = [Mixture.fit(x, rng) if len(x) >= EVIDENCE_MIN else None for x in benign]

    def batches(self, peers: Any, cycles: Any, times_us: Any) -> Batches:
        found = self._rows.batches(peers, cycles, times_us)
        for row, (peer, cycle) in enumerate(zip(peers, cycles, strict=True)):
            rng = np.random.default_rng([self._seed, peer, cycle])
            others = [m for host, m in enumerate(self._told) if m is not None and host != peer]
            places = np.argwhere(found.y[row] == 0)[::2]
            which = rng.integers(len(others), size=len(places))
            for number, mixture in enumerate(others):
                step, place = places[which == number].T
                found.x[row][step, place] = mixture.draw(len(step), rng)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)


class Merging:
    """A learner whose peers merge only the first so many numbers of a model.

    With four, what is learnt stays with each; without the last layer's numbers, heads are local.
    """

    def __init__(self, learner: Any, shared: int) -> None:
        self._learner = learner
        self.shared = shared

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)


class QuasiGlobal:
    """Quasi-global momentum (Lin et al., ICML 2021, algorithm 1, without Nesterov's step).

    Momentum is not of a peer's own gradients but of how its model moves from one training to the
    next, merges included, and stands still within a training. The model of the last training and
    the momentum ride along as parameters that nobody merges.
    """

    carries = False

    def __init__(self, learner: Classifier) -> None:
        plain = replace(learner.descent, momentum=0.0)
        self._learner = replace(learner, descent=plain)
        self._rate, self._weight = np.float32(plain.rate), np.float32(learner.descent.momentum)
        self.shared = learner.dim
        self.dim = 3 * learner.dim
        self.shape = learner.shape

    def initial(self, seed: bytes) -> Any:
        first = self._learner.initial(seed)
        return np.concatenate([first, first, np.zeros_like(first)])

    def train(self, vectors: Any, momentum: Any, batches: Batches) -> Outcome:
        now, last, moving = np.split(vectors, 3, axis=1)
        steps = batches.x.shape[1]
        moved = (last - now) / (self._rate * np.float32(steps))
        moving = self._weight * moving + (np.float32(1) - self._weight) * moved
        model = now.copy()
        none, losses = np.zeros_like(model), []
        for step in range(steps):
            one = slice(step, step + 1)
            part = Batches(batches.x[:, one], batches.y[:, one], batches.known, batches.codes)
            out = self._learner.train(model, none, part)
            model = out.vectors - self._rate * self._weight * moving
            losses.append(out.loss)
        vectors = np.concatenate([model, now, moving], axis=1)
        return Outcome(vectors, momentum, np.mean(losses, axis=0))
