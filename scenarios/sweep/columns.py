"""Folders of results, as the columns of a comparison."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossip.errors import ConfigError, StateError
from scenarios.runs import results
from scenarios.runs.results import Result
from scenarios.spec.choices import combinations, plain, said
from scenarios.sweep.folder import MANIFEST, read_manifest

COLUMNS_MAX = 20

_ASIDE = ("mesh.seed", "sweep", "title", "expect")
"""Keys of a scenario that change nothing between runs that are compared."""


@dataclass(frozen=True, slots=True)
class Column:
    """Runs of one scenario, one for each seed.

    Args:
        name: for a table's head.
        runs: in the order of their seeds.
    """

    name: str
    runs: tuple[Result, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the runs."""
        return tuple(run.seed for run in self.runs)


def columns(names: Sequence[str]) -> list[Column]:
    """Read what is to be compared.

    Args:
        names: each a folder of one run (`result.json`), of several seeds (`seed-N/result.json`),
            or of a sweep, whose combinations are a column each; `FOLDER:KEY=VALUE,…` takes only
            the combinations with these values.

    Raises:
        ConfigError: a folder holds no results, or there are fewer than two or more than
            COLUMNS_MAX columns.
        StateError: a result is damaged.
    """
    found = [column for name in names for column in columns_of(name)]
    if len(found) < 2:
        raise ConfigError(f"there is only {found[0].name} to compare; name another folder")
    if len(found) > COLUMNS_MAX:
        raise ConfigError(
            f"{len(found)} columns are too many to compare ({COLUMNS_MAX} at most); pick some of a "
            "sweep's combinations with FOLDER:KEY=VALUE"
        )
    return found


def differences(first: Column, other: Column) -> dict[str, tuple[Any, Any]]:
    """Dotted key to the two values, where the scenarios of two columns differ."""
    one, two = (_facts(column.runs[0]) for column in (first, other))
    keys = [*one, *(key for key in two if key not in one)]
    return {key: (one.get(key), two.get(key)) for key in keys if one.get(key) != two.get(key)}


def warnings(found: Sequence[Column]) -> list[str]:
    """What makes a comparison less than fair, a line each."""
    said_so = []
    for column in found:
        facts = _facts(column.runs[0])
        if any(_facts(run) != facts for run in column.runs[1:]):
            said_so.append(f"{column.name} mixes runs of different scenarios")
        part = [run.seed for run in column.runs if not run.complete]
        if part:
            said_so.append(f"{column.name}: the run with seed {part[0]} was interrupted")
    first = found[0]
    for other in found[1:]:
        pair = f"{first.name} and {other.name}"
        if first.seeds != other.seeds:
            said_so.append(f"{pair} have different seeds: {_seeds(first)} and {_seeds(other)}")
        apart = differences(first, other)
        data = [key for key in apart if key.startswith("data.")]
        if data:
            said_so.append(f"{pair} learn from different data: {', '.join(data)}")
        rest = [key for key in apart if key not in data]
        if len(rest) > 1:
            said_so.append(f"{pair} differ in {len(rest)} keys: {', '.join(rest)}")
        if first.runs[0].versions != other.runs[0].versions:
            said_so.append(f"{pair} were computed by different versions")
    return said_so


def columns_of(name: str) -> Iterator[Column]:
    """The columns of one name; see `columns`.

    Raises:
        ConfigError: the folder holds no results.
        StateError: a result is damaged.
    """
    folder, wanted = Path(name), ""
    if not folder.is_dir() and ":" in name:
        before, _, wanted = name.partition(":")
        folder = Path(before)
    if (folder / MANIFEST).is_file():
        yield from _of_sweep(folder, wanted)
        return
    if wanted:
        raise ConfigError(f"{name}: only a sweep's folder takes KEY=VALUE; name a folder")
    if (folder / results.RESULT).is_file():
        places = [folder]
    else:
        places = sorted(
            (path.parent for path in folder.glob(f"seed-*/{results.RESULT}")), key=_seed_of
        )
    if not places:
        raise ConfigError(
            f"{folder}: holds no results; name a folder that `hedgerow simulate --out` or "
            "`hedgerow sweep --out` wrote"
        )
    yield Column(name.rstrip("/"), tuple(_loaded(place) for place in places))


def _of_sweep(folder: Path, wanted: str) -> Iterator[Column]:
    lists = read_manifest(folder)["lists"]
    picked = _picked(folder, wanted, lists)
    groups: dict[str, list[Result]] = {said(each): [] for each in combinations(lists)}
    for path in sorted((folder / "runs").glob(f"*/{results.RESULT}")):
        run = _loaded(path.parent)
        spec = _flat(run.spec)
        values = {key: _at(run.spec, spec, key) for key in lists}
        if all(plain(values[key]) == value for key, value in picked.items()):
            groups.setdefault(said(values), []).append(run)
    if not any(groups.values()):
        raise ConfigError(f"{folder}: no finished run{f' has {wanted}' if wanted else ''}; finish "
                          "the sweep, or name other values")  # fmt: skip
    for name, runs in groups.items():
        if runs:
            yield Column(name or folder.name, tuple(sorted(runs, key=lambda run: run.seed)))


def _picked(folder: Path, wanted: str, lists: Mapping[str, list[Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    # A value may hold commas itself: only a comma before a KEY= begins the next.
    for part in re.split(r",(?=[\w.]+\.[\w.]+=)", wanted) if wanted else ():
        key, _, value = part.partition("=")
        if key not in lists:
            known = ", ".join(lists) or "no key"
            raise ConfigError(f"{folder}:{wanted}: {key!r} is not varied there; {known} is")
        found[key] = value
    return found


def _at(spec: Mapping[str, Any], flat: Mapping[str, Any], key: str) -> Any:
    """A swept key's value: of a table of its own, or in a flat one."""
    if key in flat:
        return flat[key]
    value: Any = spec
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _loaded(folder: Path) -> Result:
    run = results.load(folder)
    if not run.samples:
        raise StateError(f"{folder / results.RESULT}: has no sample to compare; run it again")
    return run


def _facts(run: Result) -> dict[str, Any]:
    """What a run was, as a flat table."""
    flat = {"engine": run.engine, "method": run.method, **_flat(run.spec)}
    return {key: value for key, value in flat.items() if not key.startswith(_ASIDE)}


def _flat(table: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{at}.{key}" if at else key
        found |= _flat(value, name) if isinstance(value, dict) else {name: value}
    return found


def _seeds(column: Column) -> str:
    return ", ".join(map(str, column.seeds))


def _seed_of(folder: Path) -> tuple[int, str]:
    number = folder.name.removeprefix("seed-")
    return (int(number) if number.isdecimal() else -1), folder.name
