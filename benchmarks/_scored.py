"""Scores of benign and attack rows at gateways whose detector was really trained, for `budget.py`.

Rows are dealt to gateways, a World trains a model for each, and what is scored then is what no
model saw: benign rows to calibrate and to be tested with, the same pool for every threshold rule.

- `nsl-kdd`: gateways by service as in `_owners.py`, a classifier with a coded head; the head's odds
  are the score.
- `recordings`: the bundled ones, each site's devices dealt out among its gateways, flows of one
  gateway seen as one stream; the detector, whose two scores are put together as a gateway does.
  Only gateways of the hospital have labels.
- `made-up`: normal clouds, classifier as above; to try the benchmark out, not to be reported.

Of benign rows `TRAIN` are trained on, the others are the pool; of attack rows `LEARNT` are trained
on where there are labels, and up to `TOLD` of the others of each family tell what is found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from _owners import gateways, table
from numpy.typing import NDArray

from gossip.flows import FAMILIES, Flow
from gossip.learning.calibration import calibrate
from gossip.learning.codes import codes
from gossip.learning.learner import BENIGN
from gossip.learning.scaling import Scaler
from gossip.learning.scoring import log_odds, scores
from gossip.learning.shapes import DetectorShape
from node.config.tables import from_table
from node.sensors.reading import Kind, read
from scenarios.data.appearing import visible
from scenarios.data.balanced import Balanced
from scenarios.data.dealt import DealtShards, Parts, Piles, Scalers
from scenarios.data.flowed import FlowLog, flows_table
from scenarios.data.shards import Floats, Labels, Shards
from scenarios.data.table import Table
from scenarios.measures.judges import ClassifierJudge, Judge, make_model
from scenarios.plan.plan import make_plan
from scenarios.recordings import FAMILY_OF, SITES, attack_windows, path, truth
from scenarios.runs.simulate import run_stage, set_up
from scenarios.spec.scenario import Scenario
from scenarios.world.names import peer_names

Numbers = NDArray[np.float64]

TRAIN = {"nsl-kdd": 0.3, "recordings": 0.4, "made-up": 0.4}
LEARNT = 0.7
TOLD = 150
DIRT = 200
"""Attack rows, all families alike, that may pass for benign in the contamination part."""

CYCLES = 25
LEARNING = {
    "rate": 0.1,
    "momentum": 0.9,
    "steps": 6,
    "batch": 64,
    "balance": True,
    "serve": 0.5,
    "evaluate_peers": 1,
}
CLASSIFIER = {"head": "coded", "hidden": [64, 32]}
DETECTOR = {"model": "detector"}
"""As in `immunity.py`, whose third of rehearsed rows is left out."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a model says of rows, float64 `(n,)` each.

    Args:
        score: the one that thresholds are for.
        odds: log odds of an attack by the head alone.
    """

    score: Numbers
    odds: Numbers

    def __getitem__(self, which: Any) -> "Told":
        return Told(self.score[which], self.odds[which])

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway's rows, scored by its own model.

    Args:
        reference: benign rows (or taken for such) that it trained on.
        pool: benign rows that no model trained on, in the order of time.
        calm: of these, whether they were recorded while no attack ran, bool `(n,)`.
        attacks: held-out attack rows, an array for each family.
        dirt: attack rows that were trained on somewhere, all families alike, in random order.
    """

    reference: Told
    pool: Told
    calm: NDArray[np.bool_]
    attacks: tuple[Numbers, ...]
    dirt: Told


@dataclass(frozen=True, slots=True)
class Rows:
    """A table whose rows have their gateways.

    Args:
        table: `time_s` gives the order of time, where there is one.
        at: gateway of each row, int64 `(n,)`.
        calm: recorded while no attack ran, bool `(n,)`.
        labelled: of each gateway.
    """

    table: Table
    at: Labels
    calm: NDArray[np.bool_]
    labelled: Sequence[bool]


@cache
def scored(
    data: str, folder: Path | None, count: int, seed: int, dirt: float = 0.0
) -> tuple[Gateway, ...]:
    """Train a mesh and score each gateway's rows.

    Args:
        data: see the top of this file.
        folder: of NSL-KDD; None for the others.
        count: gateways; of the recordings a multiple of 3.
        seed: of the dealing and of the World.
        dirt: attack rows among those taken for benign in training, as a part of these.
    """
    if data == "nsl-kdd":
        whole = _nsl(folder)
        at = gateways(whole, count, seed)
        rows = Rows(whole, at, np.ones(len(at), np.bool_), (True,) * count)
    else:
        rows = _recorded(count) if data == "recordings" else _made_up(count, seed)
    dealt = _Dealt.of(rows, TRAIN[data], seed, dirt)
    return tuple(_trained(dealt, data, seed))


@cache
def _nsl(folder: Path | None) -> Table:
    if folder is None:
        raise SystemExit("nsl-kdd needs its folder; see docs/data.md")
    return table(folder)


@cache
def _recorded(count: int) -> Rows:
    """The recordings, `count` / 3 gateways to a site."""
    each = count // len(SITES)
    parts: list[Table] = []
    for kind in ("-benign", ""):
        logs: list[list[tuple[Flow, int | None]]] = [[] for _ in range(count)]
        for number, site in enumerate(SITES):
            devices: dict[str, int] = {}
            for flow, family in _flows(f"{site}{kind}", site):
                device = flow.orig_h if family == BENIGN else flow.resp_h
                place = devices.setdefault(device, len(devices)) % each
                logs[number * each + place].append((flow, family))
        parts.append(flows_table(FlowLog(str(place), log) for place, log in enumerate(logs)))
    calm = np.repeat([True, False], [len(part.x) for part in parts])
    times = [part.time_s for part in parts if part.time_s is not None]
    whole = replace(
        parts[0],
        x=np.concatenate([part.x for part in parts]),
        y=np.concatenate([part.y for part in parts]),
        owner=np.concatenate([part.owner for part in parts]),
        time_s=np.concatenate(times),
    )
    there = sorted(set(whole.y.tolist()))  # not every family was recorded
    return Rows(
        replace(
            whole, families=tuple(FAMILIES[f] for f in there), y=np.searchsorted(there, whole.y)
        ),
        whole.owner,
        calm,
        [place < each for place in range(count)],
    )


def _flows(name: str, site: str) -> Iterator[tuple[Flow, int]]:
    windows = attack_windows()
    for flow in read(path(f"{name}.eve.json.xz"), Kind.SURICATA):
        label = truth(flow, site, windows)
        if label is not None:
            yield flow, FAMILIES.index(FAMILY_OF[label])


def _made_up(count: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    at = np.repeat(np.arange(count), 900)
    y = np.tile(np.repeat([0, 1, 2], [700, 100, 100]), count)
    x = rng.standard_normal((len(at), 6)).astype(np.float32)
    x[:, 0] += 3.0 * (y == 1)
    x[:, 1] += 3.0 * (y == 2)
    place = np.tile(np.arange(900), count)
    names = ("benign", "one", "two")
    columns = tuple(f"x{number}" for number in range(x.shape[1]))
    made = Table("made-up", columns, names, x, y, at, tuple(map(str, range(count))))
    return Rows(made, at, place < 600, (True,) * count)


@dataclass(frozen=True, slots=True)
class _Dealt:
    shards: Shards
    calm: list[NDArray[np.bool_]]  # by gateway, of its pool
    attacks: tuple[int, ...]  # rows of each family held out, one family after the other

    @classmethod
    def of(cls, rows: Rows, train: float, seed: int, dirt: float) -> "_Dealt":
        whole, at, peers = rows.table, rows.at, len(rows.labelled)
        rng = np.random.default_rng([seed, 1])
        benign = whole.y == BENIGN
        kept = _places(rng, at * len(whole.families) + whole.y) < np.where(benign, train, LEARNT)
        learnt = np.flatnonzero(kept & (benign | np.array(rows.labelled)[at]))
        held = [
            rng.permutation(np.flatnonzero(~kept & (whole.y == family)))[:TOLD]
            for family in range(1, len(whole.families))
        ]
        dirty = _evenly(
            rng, [np.flatnonzero(kept & (whole.y == f)) for f in np.unique(whole.y[~benign])]
        )
        times = np.arange(len(at)) if whole.time_s is None else whole.time_s
        pool = np.flatnonzero(~kept & benign)
        pool = pool[np.argsort(times[pool], kind="stable")]
        pools = Piles.of(pool, at[pool], peers)
        # Attack rows that pass for benign are rows of their own: the same, but for the name.
        counts = np.bincount(at[learnt[benign[learnt]]], minlength=peers)
        extra = [rng.choice(dirty, round(dirt * count)) for count in counts]
        wrong = np.concatenate(extra)
        train_rows = np.concatenate([learnt, len(at) + np.arange(len(wrong))])
        train_at = np.concatenate([at[learnt], np.repeat(np.arange(peers), list(map(len, extra)))])
        grown = replace(
            whole,
            x=np.concatenate([whole.x, whole.x[wrong]]),
            y=np.concatenate([whole.y, np.zeros(len(wrong), np.int64)]),
        )
        piles = Piles.of(train_rows, train_at, peers)
        parts = Parts(
            piles, pools, Piles.of(pool[:0], at[:0], peers), np.concatenate([*held, dirty[:DIRT]])
        )
        scalers = [
            Scaler.fit(grown.x[own[grown.y[own] == BENIGN]])
            for own in map(piles.__getitem__, range(peers))
        ]
        scaling = Scalers(
            *(np.stack([getattr(s, n) for s in scalers]) for n in ("centre", "spread"))
        )
        shards = DealtShards(grown, parts, scaling)
        labels = [grown.y[piles[peer]] for peer in range(peers)]
        seen = visible(labels, labels, len(whole.families), {})
        if not all(rows.labelled):
            seen.known[:] = True  # as a node's samples say it
        return cls(
            Shards(whole.schema, len(whole.columns), whole.families, shards, shards.train, seen),
            [rows.calm[pools[peer]] for peer in range(peers)],
            tuple(map(len, held)),
        )


def _places(rng: np.random.Generator, group: Labels) -> Numbers:
    """For each row a number in [0, 1), evenly spread over the rows of its group."""
    coin = rng.random(len(group))
    order = np.lexsort((coin, group))
    starts, counts = np.unique(group[order], return_index=True, return_counts=True)[1:]
    place = np.arange(len(order)) - np.repeat(starts, counts)
    found = np.empty(len(order))
    found[order] = (place + coin[order]) / np.repeat(counts, counts)
    return found


def _evenly(rng: np.random.Generator, piles: Sequence[Labels]) -> Labels:
    """Rows drawn so that all piles are equally likely."""
    which = rng.integers(len(piles), size=5 * DIRT)
    return np.array([piles[pile][rng.integers(len(piles[pile]))] for pile in which], np.int64)


def _trained(dealt: _Dealt, data: str, seed: int) -> Iterator[Gateway]:
    shards = dealt.shards
    peers = len(shards.shards)
    model = DETECTOR if data == "recordings" else CLASSIFIER
    spec: dict[str, Any] = {
        "mesh": {"peers": peers, "duration": f"{CYCLES}0 s"},
        "learning": {**LEARNING, **model},
    }
    scenario = from_table(Scenario, spec, "budget")
    plan = make_plan(scenario, seed, "budget")
    learning = scenario.learning
    coded = codes(shards.families)
    rows = Balanced(
        shards, peer_names(peers), learning.steps, learning.batch, plan.seed_bytes, coded
    )
    learner, judge = make_model(learning, shards)
    stage = set_up(plan, model=(learner, judge), data=(shards, rows), workers=0)
    run_stage(stage)
    for peer in range(peers):
        shard = shards.shards[peer]
        attacks = shard.test_x[shard.test_y > BENIGN]
        trained = shard.train_x[shard.train_y <= BENIGN]
        parts = [trained, shard.calibrate_x, attacks]
        reference, pool, found = _told(judge, stage.world.whole_vector(peer), parts, coded)
        edges = np.cumsum(dealt.attacks)
        families = tuple(part.score for part in map(found.__getitem__, _slices(edges)))
        yield Gateway(reference, pool, dealt.calm[peer], families, found[edges[-1] :])


def _slices(edges: Labels) -> Iterator[slice]:
    for low, high in zip((0, *edges), edges, strict=False):
        yield slice(low, high)


def _told(judge: Judge, vector: Floats, parts: Sequence[Floats], coded: Floats) -> list[Told]:
    """What a model says of the rows it trained on, of the pool, and of attacks.

    A detector's two scores are put together as `calibrate` does: tails are fitted to the rows
    trained on, and the calibration rows decide about the threshold alone.
    """
    if isinstance(judge, ClassifierJudge):
        odds = [log_odds(judge.logits(vector, x)).astype(np.float64) for x in parts]
        return [Told(each, each) for each in odds]
    shape = DetectorShape(parts[0].shape[1])
    found = [scores(shape, vector, x, coded) for x in parts]
    fitted = calibrate(found[0], found[1])
    return [Told(fitted.combined(each), each.odds.astype(np.float64)) for each in found]
