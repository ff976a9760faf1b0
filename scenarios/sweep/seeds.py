"""`hedgerow simulate --seeds`: one scenario with several seeds."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from gossip.errors import ExpectationError, LocalError, StateError
from scenarios.plan.plan import Plan, make_plan
from scenarios.runs.checkpoint import CHECKPOINT, EVERY_S, finished
from scenarios.runs.engines import check_engine, keeping_of
from scenarios.runs.expectations import verdict_table, verdicts
from scenarios.runs.files import held
from scenarios.runs.fitting import show
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
        every_s: see `scenarios.runs.checkpoint.Keeping`.
        resume: keep the seeds in `out` that are finished, and go on with those that are not.
    """

    jobs: int = 1
    engine: str = "world"
    workers: int | None = None
    out: Path | None = None
    trace: bool = False
    as_json: bool = False
    every_s: float = EVERY_S
    resume: bool = False


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
    with ExitStack() as stack:
        if how.out is not None:
            make_folder(how.out)
            stack.enter_context(held(how.out))
        found, tasks = _left(plans, folders, how)
        if found:
            said = f"{len(found)} of {len(seeds)} runs are in {how.out} already"
            notes.print(said, markup=False, soft_wrap=True)
        for folder in folders.values():
            if folder is not None:
                make_folder(folder)
        title = scenario.title or path.stem
        try:
            failed = _run(tasks, len(seeds), folders, found, how, notes, title)
        except KeyboardInterrupt:
            if how.out is not None:
                _tell_interrupted(folders, found, notes)
            raise
    results = [found[seed] for seed in seeds if seed in found]
    if how.as_json:
        console.file.write("[" + ",".join(each.as_json() for each in results) + "]\n")
    else:
        title = f"{scenario.title or path.stem}, {len(results)} seeds"
        show(console, seeds_table([ended(each) for each in results], title))
    _demand(scenario, results, notes if how.as_json else console)
    if failed:
        raise LocalError(f"{len(failed)} of {len(seeds)} runs failed, see above; repeat those")


def _run(
    tasks: Sequence[Task],
    runs: int,
    folders: Mapping[int, Path | None],
    found: dict[int, Result],
    how: How,
    notes: Console,
    title: str,
) -> list[int]:
    """Run what is left, add it to what is found, and give the seeds that failed."""
    failed: list[int] = []
    with bar_of_runs(notes) as bar:
        line = bar.add_task(title, total=runs, completed=len(found))
        for outcome in outcomes(tasks, jobs=how.jobs) if tasks else ():
            seed = next(task.seed for task in tasks if task.number == outcome.number)
            _kept(outcome, seed, folders[seed], notes)
            if isinstance(outcome, Failed):
                failed.append(seed)
            elif not outcome.result.complete:
                raise KeyboardInterrupt
            else:
                found[seed] = outcome.result
            bar.advance(line)
    return failed


def _tell_interrupted(
    folders: Mapping[int, Path | None], found: Mapping[int, Result], notes: Console
) -> None:
    kept = any(folder is not None and (folder / CHECKPOINT).exists() for folder in folders.values())
    how = " with --resume goes on" if found or kept else ", without --resume, begins anew"
    notes.print(f"interrupted; the same command{how}", soft_wrap=True)


def _left(
    plans: Sequence[Plan], folders: Mapping[int, Path | None], how: How
) -> tuple[dict[int, Result], list[Task]]:
    """The results that are there already, and what is still to be run; all is checked."""
    found: dict[int, Result] = {}
    tasks: list[Task] = []
    for number, plan in enumerate(plans):
        folder, seed = folders[plan.seed], plan.seed
        result = finished(folder, plan) if how.resume and folder is not None else None
        if result is not None:
            found[seed] = result
            continue
        resume = how.resume and folder is not None and (folder / CHECKPOINT).exists()
        engine, trace, every_s = how.engine, how.trace, how.every_s
        keeping_of(plan, folder, engine=engine, resume=resume, trace=trace)
        exact = replace(plan.scenario, mesh=replace(plan.scenario.mesh, seed=seed))
        tasks.append(
            Task(
                number, exact, seed, plan.where, engine, how.workers, folder, trace, every_s, resume
            )
        )
    if how.resume and not found and not any(task.resume for task in tasks):
        raise StateError(
            f"{how.out}: there is no finished seed and no checkpoint to go on from; leave --resume "
            f"out to begin"
        )
    return found, tasks


def _kept(outcome: Done | Failed, seed: int, folder: Path | None, notes: Console) -> None:
    if isinstance(outcome, Failed):
        said = f"seed {seed} failed: {outcome.said}\n{outcome.details}".rstrip()
        notes.print(said, style="red", markup=False, soft_wrap=True)
    elif folder is not None:
        notes.print(f"wrote {save(outcome.result, folder)}", markup=False, soft_wrap=True)
        if outcome.result.complete:
            (folder / CHECKPOINT).unlink(missing_ok=True)


def _demand(scenario: Scenario, results: Sequence[Result], console: Console) -> None:
    """Judge each seed by itself: a mean may hide that one of them failed."""
    failed: list[str] = []
    for result in results:
        told = verdicts(result, scenario)
        if told:
            table = verdict_table(told)
            table.title = f"expectations, seed {result.seed}"
            show(console, table)
        failed += [f"{each.metric} with seed {result.seed}" for each in told if not each.holds]
    if failed:
        raise ExpectationError(f"{len(failed)} expectations failed; first: {failed[0]}")
