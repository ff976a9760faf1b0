"""`hedgerow sweep`: every combination of some values with several seeds, resumable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from gossip.errors import ExpectationError, LocalError
from scenarios.runs.expectations import verdicts
from scenarios.runs.fitting import show
from scenarios.sweep import rows
from scenarios.sweep.folder import FAILURE, Folder, open_folder
from scenarios.sweep.grid import Cell, Grid, check, make_grid
from scenarios.sweep.parallel import Failed, Task, check_ray, outcomes
from scenarios.sweep.progress import bar_of_runs
from scenarios.sweep.tables import Ended, ended, sweep_table


@dataclass(frozen=True, slots=True)
class Means:
    """By what means a sweep is run; none of it changes a result.

    Args:
        jobs: processes at once.
        ray: address of a Ray cluster, or "local"; None is this machine without Ray.
        form: of the rows: `jsonl` or `parquet`.
    """

    jobs: int = 1
    ray: str | None = None
    form: str = "jsonl"


def sweep_file(
    file: Path,
    lists: Mapping[str, list[Any]],
    seeds: Sequence[int] | None,
    out: Path,
    means: Means,
    *,
    console: Console | None = None,
    notes: Console | None = None,
) -> Path:
    """Run a sweep, or what is left of it, and print its table; gives the file of its rows.

    Every run is planned, and so checked, before the first starts. A finished run is written at
    once; the same command after an interruption goes on and ends with the same rows.

    Args:
        file: the scenario's.
        lists: dotted key to values; see `make_grid`.
        seeds: of each combination; None is the scenario's own alone.
        out: the sweep's folder.
        means: see there.
        console: takes the table; standard output by default.
        notes: takes progress and notes; standard error by default.

    Raises:
        ConfigError: the scenario or a value is wrong; nothing has been run or written.
        StateError: `out` holds something else or cannot be written.
        ExpectationError: the rows are written, and a run is not what its scenario expects.
        LocalError: a run failed, after all the others were done; or see `outcomes`.
        KeyboardInterrupt: what was finished is kept.
    """
    console = Console() if console is None else console
    notes = Console(stderr=True) if notes is None else notes
    rows.check_format(means.form)
    check_ray(means.ray)
    grid = make_grid(file, lists, seeds)
    title = grid.base.title or file.stem
    with bar_of_runs(notes, "checked") as bar:
        line = bar.add_task(f"{title}: planning", total=len(grid.cells))
        for done in check(grid):
            bar.update(line, completed=done)
    with open_folder(out, grid) as folder:
        left = [cell for cell in grid.cells if folder.result(cell) is None]
        there = len(grid.cells) - len(left)
        if there:
            said = f"{there} of {len(grid.cells)} runs are in {out} already"
            notes.print(said, markup=False, soft_wrap=True)
        try:
            failed = _run(left, folder, means, notes, title, there)
        except KeyboardInterrupt:
            said = f"what is finished is in {out}; the same command goes on from there"
            notes.print(said, markup=False, soft_wrap=True)
            raise
        return _conclude(grid, folder, means.form, failed, console, notes, title)


def _run(
    left: Sequence[Cell], folder: Folder, means: Means, notes: Console, title: str, there: int
) -> dict[int, Failed]:
    """Run these cells, keep what ends well, and give what does not by its number."""
    failed: dict[int, Failed] = {}
    if not left:
        return failed
    by_number = {cell.number: cell for cell in left}
    tasks = [Task(cell.number, cell.scenario, cell.seed, cell.where) for cell in left]
    with bar_of_runs(notes) as bar:
        line = bar.add_task(title, total=there + len(left), completed=there)
        for outcome in outcomes(tasks, jobs=means.jobs, ray=means.ray):
            cell = by_number[outcome.number]
            if isinstance(outcome, Failed):
                failed[outcome.number] = outcome
                folder.note(cell, outcome)
                said = f"failed: {cell.where}, seed {cell.seed}: {outcome.said}"
                notes.print(said, style="red", markup=False, soft_wrap=True)
            elif not outcome.result.complete:
                raise KeyboardInterrupt
            else:
                folder.keep(cell, outcome.result)
            bar.advance(line)
    return failed


def _conclude(
    grid: Grid,
    folder: Folder,
    form: str,
    failed: Mapping[int, Failed],
    console: Console,
    notes: Console,
    title: str,
) -> Path:
    """Write the rows, print the table, and complain of what failed."""
    found: list[rows.Row] = []
    broken: list[str] = []
    groups: list[tuple[Mapping[str, Any], list[Ended]]] = []
    for values, cells in grid.groups():
        ends: list[Ended] = []
        for cell in cells:
            # Read back even what was just written: a resumed sweep ends with the very same rows.
            result = folder.result(cell)
            if result is not None:
                told = verdicts(result, cell.scenario)
                found.append(rows.row(cell, result, told))
                ends.append(ended(result))
                broken += [
                    f"{each.metric} was expected to be {each.expected} and is {each.shown} "
                    f"({cell.where}, seed {cell.seed})"
                    for each in told
                    if not each.holds
                ]
        groups.append((values, ends))
    path = rows.write(found, folder.path, form)
    show(console, sweep_table(groups, f"{title}: {len(found)} of {len(grid.cells)} runs"))
    notes.print(f"wrote {path}", markup=False, soft_wrap=True)
    if failed:
        raise LocalError(
            f"{len(failed)} of {len(grid.cells)} runs failed; {FAILURE} in their folders below "
            f"{folder.path / 'runs'} says why, and the same command tries them again"
        )
    if broken:
        raise ExpectationError(
            f"{len(broken)} expectations failed, see the column expect.failed; first: {broken[0]}"
        )
    return path
