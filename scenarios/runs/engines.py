"""Which engine runs a plan: simulated time, or real processes on this machine."""

from collections.abc import Callable
from typing import TextIO

from gossip.errors import ConfigError
from scenarios.plan.plan import Plan
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
) -> Result:
    """Run a plan to its end.

    Args:
        plan: as `make_plan` gave it; it drives one run only.
        engine: `world` is simulated time, `lab` a process for each peer in real time.
        progress: told how far the run has come.
        lines: takes one JSON object per event; the World only.
        workers: as `scenarios.runs.simulate.set_up` takes it; the World only.

    Raises:
        ConfigError: the engine is unknown, or cannot do what the scenario asks for.
    """
    check_engine(engine, trace=lines is not None)
    method = plan.scenario.learning.method
    if method is not Method.GOSSIP:
        key = f'{plan.where}: learning.method: the baseline "{method.value}"'
        if engine != "world":
            raise ConfigError(f"{key} has no real processes; leave --engine out")
        if lines is not None:
            raise ConfigError(f"{key} has rounds and no trace of events; leave --trace out")
        from scenarios.baselines.run import run_baseline  # noqa: PLC0415 - rarely wanted

        return run_baseline(plan, progress, workers=workers)
    if engine == "lab":
        from scenarios.lab.run import run_lab  # noqa: PLC0415 - loads a node's own libraries

        return run_lab(plan, progress)
    return run_stage(set_up(plan, lines=lines, workers=workers), progress)
