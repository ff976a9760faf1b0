"""The false-alarm budget: every figure of docs/budget.md.

    python benchmarks/budget.py FOLDER_OF_NSL-KDD

Parts, each a table: `thresholds` sets rules side by side, on gateways with few rows of their own;
`worst` says what chance alone does to the worst of many gateways; `interval` counts how often a
gateway's alarms are within what its calibration promises; `mesh` is push-sum on the gateways'
contributions, with messages dropped, peers that come and go, and liars; `liars` is what these do
to thresholds; `drift` is ADWIN and the guard on benign flows in the order of time; `contamination`
has attack flows among the benign rows; `constants`, only where it is asked for, sets what was
tuned to other values. `--repeats` is the number of seeds, from `--seed` on, each with `--splits`
random splits of a gateway's held-out rows into calibration and test. Without the folder only the
bundled recordings serve. River's detectors join where river is installed.

Columns: `alarms %` is the mean false-alarm rate over gateways, and ± its deviation from split to
split; `worst %` the worst gateway's, a mean over splits; `apart` by how much gateways' true rates
deviate, the test rows' chance taken off, in points; `found` the share of attack rows found, a mean
over families and gateways, `found by worst` that of the worst gateway; `silent %` gateways without
a threshold.
"""

from __future__ import annotations

import sys
from functools import cache
from itertools import product
from math import inf
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from _common import parser, publish
from _drifting import drifting
from _rules import DEFENCES, RULES, Split, by_conformal, by_mesh, summary
from _scored import Told, scored
from _summed import LIARS, LIES, lies, spreading, usual
from _tuned import of_outliers, of_sums, of_thresholds

from gossip.learning.beta import beta_cdf
from gossip.learning.calibration import ROWS_WITH_MESH
from gossip.learning.tails import Threshold, chance_of_worst, contribution

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from _scored import Numbers

    Row = dict[str, Any]

CASES: dict[str, tuple[tuple[int, int], ...]] = {
    "nsl-kdd": ((32, 20), (32, 50), (32, 168), (16, 400)),
    "recordings": ((12, 20), (12, 50), (12, 200), (6, 400)),
    "made-up": ((4, 50), (4, 168)),
}
"""Gateways, and rows of their own that they calibrate with."""

USUAL = {"nsl-kdd": (32, 168), "recordings": (12, 200), "made-up": (4, 168)}
"""The same for parts that look at one case."""

TEST_MIN = 60
"""Test rows without which a gateway is not judged."""

DIRT = (0.0, 0.01, 0.05)
"""Attack flows among the benign rows."""

STREAMS = {"recordings": 6, "made-up": 4}
"""Gateways whose flows come in the order of time."""


def splits(
    options: argparse.Namespace, data: str, count: int, rows: int, dirt: float = 0.0
) -> Sequence[Split]:
    """All of them, for a number of gateways with so many rows of their own."""
    folder = None if options.folder is None else Path(options.folder)
    seeds = range(options.seed, options.seed + options.repeats)
    return [
        split
        for seed in seeds
        for split in _splits(data, folder, count, rows, dirt, seed, options.splits)
    ]


@cache
def _splits(
    data: str, folder: Path | None, count: int, rows: int, dirt: float, seed: int, number: int
) -> Sequence[Split]:
    everybody = scored(data, folder, count, seed, dirt)
    able = [each for each in everybody if len(each.pool) >= rows + TEST_MIN]
    found = []
    for place in range(number):
        rng = np.random.default_rng([seed, place, rows, 0])
        own, tests = [], []
        for each in able:
            order = rng.permutation(len(each.pool))
            dirty = round(dirt * rows)
            clean = each.pool[order[: rows - dirty]]
            bad = each.dirt[rng.permutation(len(each.dirt))[:dirty]]
            score = np.concatenate([clean.score, bad.score])
            own.append(Told(score, np.concatenate([clean.odds, bad.odds])))
            tests.append(each.pool.score[order[rows:]])
        found.append(Split(able, own, tests, (seed, place, rows)))
    return found


def thresholds(options: argparse.Namespace) -> Iterator[Row]:
    for data, budget in product(options.data, options.budget):
        for count, rows in CASES[data]:
            every = splits(options, data, count, rows)
            for name, rule in RULES.items():
                limits = [rule(split, budget) for split in every]
                yield {
                    "thresholds": data,
                    "gateways": count,
                    "own rows": rows,
                    "budget %": 100 * budget,
                    "rule": name,
                } | summary(every, limits)


def worst(options: argparse.Namespace) -> Iterator[Row]:
    for rate in (0.01, 0.0075, 0.005):
        yield {"true rate of all 32, %": 100 * rate} | {
            f"over {3 * options.budget[0]:.1%} of {rows} rows": chance_of_worst(
                3 * options.budget[0], rate, rows, 32
            )
            for rows in (126, 190, 245, 500)
        }


def interval(options: argparse.Namespace) -> Iterator[Row]:
    for data, budget in product(options.data, options.budget):
        for count, rows in CASES[data]:
            every = splits(options, data, count, rows)
            for rule in ("split conformal", "borrowed"):
                within, ends = [], []
                for split in every:
                    if rule == "borrowed":
                        found = by_mesh(split.calibrations, split.references, budget, split.heard)
                    else:
                        found = by_conformal(split, budget)
                    for limit, tests in zip(found, split.tests, strict=True):
                        if limit.value < inf:
                            within.append(_allowed(limit, tests))
                            ends.append(limit.interval())
                if ends:
                    places = np.array(within)
                    low, high = np.mean(ends, axis=0)
                    yield {
                        "interval": data,
                        "gateways": count,
                        "own rows": rows,
                        "budget %": 100 * budget,
                        "rule": rule,
                        "allowed %": 100 * float((places == 0).mean()),
                        "too many %": 100 * float((places > 0).mean()),
                        "too few %": 100 * float((places < 0).mean()),
                        "from %": 100 * float(low),
                        "to %": 100 * float(high),
                    }


def _allowed(limit: Threshold, tests: Numbers) -> int:
    """Whether so many alarms are within 95 % of what the interval's rates let one expect; 0 is yes.

    Rates are taken at ten quantiles of what is promised, alarms at each are binomial.
    """
    alarms, rows = int((tests > limit.value).sum()), len(tests)
    rates = [rate for part in range(5) for rate in limit.interval(0.9 - 0.2 * part)]

    def at_most(count: int) -> float:
        if count < 0:
            return 0.0
        if count >= rows:
            return 1.0
        return 1.0 - float(np.mean([beta_cdf(rate, count + 1, rows - count) for rate in rates]))

    return int(at_most(alarms - 1) > 0.975) - int(at_most(alarms) < 0.025)


def _contributions(options: argparse.Namespace, data: str) -> Numbers:
    """What gateways of all seeds say of their tails, float64 `(gateways, LENGTH)`."""
    count, rows = USUAL[data]
    found = []
    for split in splits(options, data, count, rows):
        each = zip(split.calibrations, split.references, split.heard, strict=True)
        found += [contribution(own, other, mesh) for own, other, mesh in each]
    return np.array([each for each in found if each is not None])


def mesh(options: argparse.Namespace) -> Iterator[Row]:
    for data in options.data:
        yield from spreading(_contributions(options, data), data, options)


def liars(options: argparse.Namespace) -> Iterator[Row]:
    for data, budget in product(options.data, options.budget):
        count, rows = USUAL[data]
        every = splits(options, data, count, rows)
        for part, lie in ((0, "-"), *product(LIARS, LIES)):
            lying = lies(round(part * count), lie) if part else {}
            limits = []
            for split in every:
                name = f"{len(lying)} say {lie}" if lying else "all"
                heard = split.word(name, split.calibrations, split.references, lying)
                found = by_mesh(split.calibrations, split.references, budget, heard)
                limits.append([each.value for each in found])
            yield {"under liars": data, "gateways": count, "own rows": rows,
                   "budget %": 100 * budget, "liars": len(lying), "say": lie,
                   } | summary(every, limits)  # fmt: skip


def contamination(options: argparse.Namespace) -> Iterator[Row]:
    for data, budget in product(options.data, options.budget):
        count, rows = USUAL[data]
        for dirt in DIRT:
            every = splits(options, data, count, rows, dirt)
            for name, rule in DEFENCES.items():
                limits = [rule(split, budget) for split in every]
                yield {"contamination": data, "gateways": count, "own rows": rows,
                       "budget %": 100 * budget, "attack flows %": 100 * dirt, "rule": name,
                       } | summary(every, limits)  # fmt: skip


def drift(options: argparse.Namespace) -> Iterator[Row]:
    for data in options.data:
        if data != "nsl-kdd":  # which has no order of time
            count = STREAMS[data]
            seeds = range(options.seed, options.seed + options.repeats)
            meshes = [scored(data, None, count, seed) for seed in seeds]
            yield from drifting(meshes, data, options.trials)


def constants(options: argparse.Namespace) -> Iterator[Row]:
    data, budget = options.data[0], options.budget[0]
    given = {"budget %": 100 * budget, "data": data}
    for count, rows in CASES[data][:-1]:
        if rows >= ROWS_WITH_MESH:
            every = splits(options, data, count, rows)
            yield from of_thresholds(every, budget, given | {"own rows": rows})
    count, rows = USUAL[data]
    for dirt in DIRT[:2]:
        case = given | {"own rows": rows, "attack flows %": 100 * dirt}
        yield from of_outliers(splits(options, data, count, rows, dirt), budget, case)
    seeds = range(options.seed, options.seed + options.repeats)
    yield from of_sums(_contributions(options, data), usual(options.peers), seeds)


PARTS = {
    each.__name__: each
    for each in (thresholds, worst, interval, mesh, liars, drift, contamination, constants)
}


def main() -> None:
    made = parser(__doc__)
    made.set_defaults(repeats=5)
    made.add_argument("folder", nargs="?", help="holds KDDTrain+_20Percent.txt")
    made.add_argument("--seed", type=int, default=0, help="the first (default 0)")
    made.add_argument("--splits", type=int, default=4, help="of each seed's rows (default 4)")
    made.add_argument("--part", nargs="+", default=[*PARTS][:-1], choices=[*PARTS, "all"],
                      help="default: all but constants")  # fmt: skip
    made.add_argument("--data", nargs="+", choices=CASES, help="all but made-up that there are")
    made.add_argument("--budget", nargs="+", type=float, default=[0.01], help="default 0.01")
    made.add_argument("--peers", nargs="+", type=int, default=[8, 32, 1_000],
                      help="of push-sum alone (default 8 32 1000)")  # fmt: skip
    made.add_argument("--trials", type=int, default=40, help="of the guard (default 40)")
    options = made.parse_args()
    if options.data is None:
        options.data = ["recordings"] if options.folder is None else ["nsl-kdd", "recordings"]
    if options.folder is None and "nsl-kdd" in options.data:
        raise SystemExit("budget: nsl-kdd needs its folder; see docs/data.md")
    found: list[Row] = []
    for part in PARTS if "all" in options.part else options.part:
        begun = perf_counter()
        found += PARTS[part](options)
        if not options.json:
            print(f"{part}: {perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    publish("budget", options, found)


if __name__ == "__main__":
    main()
