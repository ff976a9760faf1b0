"""Which engine runs a plan: simulated time, or real processes on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from gossip.errors import ConfigError
from scenarios.plan.plan import Plan
from scenarios.runs.checkpoint import EVERY_S, Keeping, keep_in, run_kept
from scenarios.runs.results import Result
from scenarios.runs.simulate import Progress, run_stage, set_up
from scenarios.spec.learning import Method

ENGINES = ("world", "lab")


def check_engine(engine: str, *, jobs: int = 1, trace: bool = False) -> None:
    """Refuse what an engine cannot do, before any work.

    Raises:
        ConfigError: the engine is unknown; or the Lab is to trace, or to run several at once.
    """
    if engine not in ENGINES:
        raise ConfigError(f"no engine is called {engine!r}; use one of {', '.join(ENGINES)}")
    if engine == "lab" and jobs > 1:
        raise ConfigError(
            "--jobs: the Lab runs in real time, and two at once would slow each other down; leave "
            "--jobs out"
        )
    if engine == "lab" and trace:
        raise ConfigError(
            "--trace: real processes have no order of events that could be repeated; leave it out, "
            "or use --engine world"
        )


def run(
    plan: Plan,
    *,
    engine: str = "world",
    progress: Callable[[Progress], None] | None = None,
    lines: TextIO | None = None,
    workers: int | None = None,
    keeping: Keeping | None = None,
) -> Result:
    """Run a plan to its end.

    Args:
        plan: as `make_plan` gave it; it drives one run only.
        engine: `world` is simulated time, `lab` a process for each peer in real time.
        progress: told how far the run has come.
        lines: takes one JSON object per event; the World only.
        workers: as `scenarios.runs.simulate.set_up` takes it; the World only.
        keeping: from which checkpoint to go on and where to leave one, as `keeping_of` gave it.

    Raises:
        ConfigError: the engine is unknown, or cannot do what the scenario asks for.
    """
    check_engine(engine, trace=lines is not None)
    if plan.scenario.learning.method is not Method.GOSSIP:
        _check_baseline(plan, engine, trace=lines is not None)
        from scenarios.baselines.run import run_baseline  # noqa: PLC0415 - rarely wanted

        return run_baseline(plan, progress, workers=workers)
    if engine == "lab":
        for key in ("antigens", "serve", "borrow"):
            if getattr(plan.scenario.learning, key):
                raise ConfigError(
                    f"{plan.where}: learning.{key}: not in the Lab; leave --engine out"
                )
    if engine == "lab":
        from scenarios.lab.run import run_lab  # noqa: PLC0415 - loads a node's own libraries

        return run_lab(plan, progress)
    stage = set_up(plan, lines=lines, workers=workers)
    return run_stage(stage, progress) if keeping is None else run_kept(stage, progress, keeping)


def keeping_of(
    plan: Plan,
    folder: Path | None,
    *,
    engine: str = "world",
    every_s: float = EVERY_S,
    resume: bool = False,
    trace: bool = False,
) -> Keeping | None:
    """How a run keeps its checkpoint; None for runs that have none.

    Args:
        plan: of the run.
        folder: of its results; None where nothing is written.
        engine: see `run`.
        every_s: see `scenarios.runs.checkpoint.keep_in`, as of the others.
        resume: likewise.
        trace: likewise.

    Raises:
        ConfigError: what is to be resumed cannot be.
        StateError: see `scenarios.runs.checkpoint.keep_in`.
    """
    if engine == "lab" and resume:
        raise ConfigError(
            "--resume: the Lab runs processes in real time, which cannot be halted; leave --resume "
            "out to begin anew"
        )
    if plan.scenario.learning.method is not Method.GOSSIP:
        _check_baseline(plan, engine, trace=trace, resume=resume)
        return None
    if folder is None or engine == "lab":
        return None
    return keep_in(folder, plan, every_s=every_s, resume=resume, trace=trace)


def _check_baseline(plan: Plan, engine: str, *, trace: bool, resume: bool = False) -> None:
    key = f'{plan.where}: learning.method: the baseline "{plan.scenario.learning.method.value}"'
    if engine != "world":
        raise ConfigError(f"{key} has no real processes; leave --engine out")
    if trace:
        raise ConfigError(f"{key} has rounds and no trace of events; leave --trace out")
    if resume:
        raise ConfigError(f"{key} keeps no checkpoint; leave --resume out to begin anew")
