"""What a sweep is made of: combinations of values, each run with several seeds."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from gossip.errors import ConfigError
from scenarios.plan.plan import make_plan
from scenarios.runs.results import versions
from scenarios.spec.choices import changed, checked_list, combinations, said
from scenarios.spec.scenario import Scenario, read, table

KEY_BYTES = 8
"""16 hexadecimal digits name a run; with a million runs two meet by chance in 3e-8 of sweeps."""


RUNS_MAX = 100_000
"""All are planned before the first starts, and each has a folder of its own."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a sweep.

    Args:
        number: from 0, in the order of the rows.
        values: swept key to its value here.
        seed: of the run.
        scenario: with these values and seed.
        where: what messages call it.
        key: names its folder: a hash of the exact specification, seed and versions.
    """

    number: int
    values: Mapping[str, Any]
    seed: int
    scenario: Scenario
    where: str
    key: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A whole sweep.

    Args:
        file: the scenario's, for messages and titles.
        base: the scenario without swept values.
        lists: swept key to its values, in the order given.
        seeds: each combination is run with each of them.
        cells: combinations in order, the last key fastest; for each the seeds in order.
    """

    file: Path
    base: Scenario
    lists: Mapping[str, list[Any]]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]

    def groups(self) -> list[tuple[Mapping[str, Any], tuple[Cell, ...]]]:
        """Each combination with its cells, one for each seed."""
        size = len(self.seeds)
        starts = range(0, len(self.cells), size)
        return [(self.cells[at].values, self.cells[at : at + size]) for at in starts]

    def manifest(self) -> dict[str, Any]:
        """What identifies the sweep, as `sweep.json` holds it."""
        return {
            "scenario": _plain(table(self.base)),
            "lists": _plain(dict(self.lists)),
            "seeds": list(self.seeds),
            "versions": versions(),
        }


def make_grid(file: Path, lists: Mapping[str, list[Any]], seeds: Sequence[int] | None) -> Grid:
    """Read a scenario and work out every run of a sweep over it. Nothing is run or checked yet.

    Args:
        file: the scenario's; its `[sweep]` holds lists, too.
        lists: dotted key to values; takes the place of the file's list for the same key.
        seeds: None is the scenario's own alone.

    Raises:
        ConfigError: the file is wrong, a key is unknown, or a value is not allowed there.
    """
    whole = read(file)
    base = replace(whole, sweep={})
    own = {
        key: checked_list(key, values, f"{file}: [sweep]") for key, values in whole.sweep.items()
    }
    merged = {**own, **lists}
    seeds = (base.mesh.seed,) if seeds is None else tuple(seeds)
    cells: list[Cell] = []
    found = versions()
    every = combinations(merged)
    if len(every) * len(seeds) > RUNS_MAX:
        raise ConfigError(
            f"{file}: {len(every):,} combinations with {len(seeds):,} seeds each are more than "
            f"{RUNS_MAX:,} runs; shorten a list, or --seeds"
        )
    for values in every:
        fresh = {key: value for key, value in values.items() if key in lists}
        filed = {key: value for key, value in values.items() if key not in lists}
        scenario = changed(changed(base, filed, f"{file}: [sweep]"), fresh)
        where = f"{file} with {said(values)}" if values else str(file)
        for seed in seeds:
            exact = replace(scenario, mesh=replace(scenario.mesh, seed=seed))
            key = key_of(table(exact), found)
            cells.append(Cell(len(cells), values, seed, exact, where, key))
    return Grid(file, base, merged, seeds, tuple(cells))


def check(grid: Grid) -> Iterator[int]:
    """Plan every run, and so check it; gives how many are done after each.

    Raises:
        ConfigError: one cannot be run. The message says with which values.
    """
    for cell in grid.cells:
        make_plan(cell.scenario, cell.seed, cell.where)
        yield cell.number + 1


def key_of(spec: Mapping[str, Any], found: Mapping[str, str]) -> str:
    """The name of a run's folder.

    Args:
        spec: the scenario as its file would say it, with the run's seed.
        found: versions of what computes it.
    """
    text = json.dumps([_plain(spec), dict(found)], sort_keys=True, ensure_ascii=False)
    return blake2b(text.encode(), digest_size=KEY_BYTES).hexdigest()


def _plain(value: Any) -> Any:
    """As it comes back from a JSON file: paths are text, tuples lists."""
    return json.loads(json.dumps(value, default=str))
