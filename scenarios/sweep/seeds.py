"""`hedgerow simulate --seeds`: one scenario with several seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from gossip.errors import ExpectationError, LocalError
from scenarios.plan.plan import make_plan
from scenarios.runs.engines import check_engine
from scenarios.runs.expectations import verdict_table, verdicts
from scenarios.runs.results import Result, make_folder, save
from scenarios.runs.show import read_changed, tell_conditions
from scenarios.spec.scenario import Scenario
from scenarios.sweep.parallel import Done, Failed, Task, outcomes
from scenarios.sweep.progress import bar_of_runs
from scenarios.sweep.tables import ended, seeds_table


@dataclass(frozen=True, slots=True)
class How:
    """How the runs are made and what of them is written.

    Args:
        jobs: processes at once.
        engine: see `scenarios.runs.engines.run`.
        workers: likewise.
        out: gets a folder `seed-N` for each run; None writes nothing.
        trace: write every event there, too.
        as_json: print the results as a JSON array, not as a table.
    """

    jobs: int = 1
    engine: str = "world"
    workers: int | None = None
    out: Path | None = None
    trace: bool = False
    as_json: bool = False


def simulate_seeds(
    path: Path,
    values: Mapping[str, Any],
    seeds: Sequence[int],
    how: How,
    *,
    console: Console | None = None,
    notes: Console | None = None,
) -> None:
    """Run a scenario file once for each seed, and print mean and spread over them.

    Args:
        path: the TOML file.
        values: dotted key to value, instead of the file's own.
        seeds: of the runs.
        how: see there.
        console: takes the tables; standard output by default.
        notes: takes progress and notes; standard error by default.

    Raises:
        ConfigError: the scenario is wrong, with one of the seeds; nothing has been done or written.
        StateError: a folder cannot be written.
        ExpectationError: the results are written and printed, and not what the scenario expects.
        LocalError: a run failed; the others are written and printed.
        KeyboardInterrupt: what was finished is written.
    """
    console = Console() if console is None else console
    notes = Console(stderr=True) if notes is None else notes
    check_engine(how.engine, jobs=how.jobs, trace=how.trace)
    scenario = read_changed(path, values, notes)
    plans = [make_plan(scenario, seed, str(path)) for seed in seeds]
    tell_conditions(plans[0], notes, seeds)
    folders = {seed: None if how.out is None else how.out / f"seed-{seed}" for seed in seeds}
    for folder in folders.values():
        if folder is not None:
            make_folder(folder)
    tasks = []
    for number, seed in enumerate(seeds):
        folder = folders[seed]
        trace = folder / "trace.jsonl" if folder is not None and how.trace else None
        exact = replace(scenario, mesh=replace(scenario.mesh, seed=seed))
        tasks.append(Task(number, exact, seed, str(path), how.engine, trace, how.workers))
    found: dict[int, Result] = {}
    failed: list[int] = []
    with bar_of_runs(notes) as bar:
        line = bar.add_task(scenario.title or path.stem, total=len(tasks))
        for outcome in outcomes(tasks, jobs=how.jobs):
            seed = seeds[outcome.number]
            _kept(outcome, seed, folders[seed], notes)
            if isinstance(outcome, Failed):
                failed.append(seed)
            elif not outcome.result.complete:
                raise KeyboardInterrupt
            else:
                found[seed] = outcome.result
            bar.advance(line)
    results = [found[seed] for seed in seeds if seed in found]
    if how.as_json:
        console.file.write("[" + ",".join(each.as_json() for each in results) + "]\n")
    else:
        title = f"{scenario.title or path.stem}, {len(results)} seeds"
        console.print(seeds_table([ended(each) for each in results], title))
    _demand(scenario, results, notes if how.as_json else console)
    if failed:
        raise LocalError(f"{len(failed)} of {len(seeds)} runs failed, see above; repeat those")


def _kept(outcome: Done | Failed, seed: int, folder: Path | None, notes: Console) -> None:
    if isinstance(outcome, Failed):
        said = f"seed {seed} failed: {outcome.said}\n{outcome.details}".rstrip()
        notes.print(said, style="red", markup=False, soft_wrap=True)
    elif folder is not None:
        notes.print(f"wrote {save(outcome.result, folder)}", soft_wrap=True)


def _demand(scenario: Scenario, results: Sequence[Result], console: Console) -> None:
    """Judge each seed by itself: a mean may hide that one of them failed."""
    failed: list[str] = []
    for result in results:
        told = verdicts(result, scenario)
        if told:
            table = verdict_table(told)
            table.title = f"expectations, seed {result.seed}"
            console.print(table)
        failed += [f"{each.metric} with seed {result.seed}" for each in told if not each.holds]
    if failed:
        raise ExpectationError(f"{len(failed)} expectations failed; first: {failed[0]}")
