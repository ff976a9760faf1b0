"""`hedgerow simulate` for a person: a progress bar while it runs, a table at the end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from node.config.quantities import format_duration
from scenarios.conditions.told import faults
from scenarios.measures.samples import Sample, Spread
from scenarios.plan.plan import Plan, make_plan
from scenarios.runs import fitting
from scenarios.runs.checkpoint import EVERY_S, Keeping, trace_of
from scenarios.runs.engines import check_engine, keeping_of, run
from scenarios.runs.expectations import demand, verdict_table, verdicts
from scenarios.runs.files import held
from scenarios.runs.results import Result, make_folder, save
from scenarios.runs.simulate import Progress
from scenarios.spec.choices import changed
from scenarios.spec.scenario import Scenario, read

SECOND_US = 1_000_000
ROWS_MAX = 20


def simulate_file(
    path: Path,
    *,
    values: Mapping[str, Any] | None = None,
    seed: int | None = None,
    engine: str = "world",
    workers: int | None = None,
    out: Path | None = None,
    trace: bool = False,
    every_s: float = EVERY_S,
    resume: bool = False,
    as_json: bool = False,
    console: Console | None = None,
    notes: Console | None = None,
) -> Result:
    """Run a scenario file, showing its progress, and print what came of it.

    Args:
        path: the TOML file.
        values: dotted key to value, instead of the file's own.
        seed: instead of the file's own.
        engine: see `scenarios.runs.engines.run`.
        workers: likewise.
        out: folder for `result.json`; None writes nothing.
        trace: write `trace.jsonl` there too, one line per event.
        every_s: see `scenarios.runs.checkpoint.Keeping`.
        resume: go on from the checkpoint in `out`.
        as_json: print the result as JSON, not as a table.
        console: takes the result; standard output by default.
        notes: takes the progress bar; standard error by default.

    Raises:
        ConfigError: the scenario is wrong; nothing has been done or written.
        StateError: `out` cannot be written, or has no checkpoint to go on from, or one that nobody
            asked for. Nothing has been run, unless the disk filled up since.
        ExpectationError: the results are written and printed, and not what the scenario expects.
        KeyboardInterrupt: likewise, and they are those of a run that was interrupted.
    """
    console = Console() if console is None else console
    notes = Console(stderr=True) if notes is None else notes
    check_engine(engine, trace=trace)
    scenario = read_changed(path, values or {}, notes)
    plan = make_plan(scenario, seed, str(path))
    tell_conditions(plan, notes)
    with ExitStack() as stack:
        if out is not None:
            make_folder(out)
            stack.enter_context(held(out))
        keeping = keeping_of(plan, out, engine=engine, every_s=every_s, resume=resume, trace=trace)
        before = None if keeping is None else keeping.resume
        if before is not None:
            at = format_duration(before.reached_us)
            notes.print(f"going on at {at}, from {before.path}", markup=False, soft_wrap=True)
        with ExitStack() as tracing:
            lines = None
            if keeping is not None and trace:
                lines = tracing.enter_context(trace_of(keeping))
            title = scenario.title or path.stem
            move = tracing.enter_context(_bar(title, notes))
            result = run(
                plan, engine=engine, progress=move, lines=lines, workers=workers, keeping=keeping
            )
        if out is not None:
            notes.print(f"wrote {save(result, out)}", markup=False, soft_wrap=True)
        tell_checkpoint(result, keeping, notes)
    if as_json:
        console.file.write(result.as_json())
    else:
        fitting.show(console, summary(result))
        console.print(footer(result))
    told = verdicts(result, scenario)
    if told:
        fitting.show(notes if as_json else console, verdict_table(told))
    if not result.complete:
        raise KeyboardInterrupt
    demand(told)
    return result


@contextmanager
def _bar(title: str, notes: Console) -> Iterator[Callable[[Progress], None]]:
    """A bar that shows how far a run has come; gives what moves it."""
    with Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=notes,
    ) as bar:
        task = bar.add_task(title, total=None, state="preparing")

        def move(progress: Progress) -> None:
            bar.update(
                task, completed=progress.now_us, total=progress.end_us, state=_state(progress)
            )

        yield move


def tell_checkpoint(result: Result, keeping: Keeping | None, notes: Console) -> None:
    """After a run's result is written: say how an interrupted one goes on; no other needs to."""
    if keeping is None:
        return
    if result.complete:
        keeping.path.unlink(missing_ok=True)
        return
    notes.print(
        f"interrupted at {format_duration(result.reached_us)}; the same command with --resume "
        f"goes on from {keeping.path}",
        soft_wrap=True,
    )


def read_changed(path: Path, values: Mapping[str, Any], notes: Console) -> Scenario:
    """A scenario file with some keys replaced, for single runs: lists for a sweep are left out.

    Raises:
        ConfigError: as `read` and `changed`.
    """
    scenario = changed(read(path), values)
    if scenario.sweep:
        notes.print("the lists in [sweep] are left out; `hedgerow sweep` runs them", soft_wrap=True)
    return replace(scenario, sweep={})


def tell_conditions(plan: Plan, notes: Console, seeds: Sequence[int] = ()) -> None:
    """Say with what seed a run starts, and every fault that it was asked for."""
    given = f"seeds {', '.join(map(str, seeds))}" if seeds else f"seed {plan.seed}"
    name = plan.scenario.title or plan.where
    said = [f"{name}: {plan.scenario.mesh.peers} peers, {given}"]
    said += [f"  fault: {fault}" for fault in faults(plan)]
    notes.print("\n".join(said), markup=False, highlight=False, soft_wrap=True)


def _state(progress: Progress) -> str:
    now_s, end_s = progress.now_us // SECOND_US, progress.end_us // SECOND_US
    return f"{progress.up} peers, {now_s}/{end_s} s, {progress.cycles_per_s:,.0f} peer-cycles/s"


def summary(result: Result) -> Table:
    """The mesh over time; at most `ROWS_MAX` moments, the last always among them."""
    title = escape(f"{result.title or 'scenario'}, seed {result.seed}")
    caption = (
        "shares: mean, worst tenth, worst peer; ready: with a threshold; apart: consensus distance"
    )
    table = Table(
        title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False
    )
    heads = "time", "up", "ready", "accuracy", "detection", "false alarms", "apart", "parts"
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    step = -(-len(result.samples) // ROWS_MAX)
    for sample in result.samples[::-1][:: max(step, 1)][::-1]:
        table.add_row(*_row(sample))
    return table


def _row(sample: Sample) -> tuple[str, ...]:
    return (
        f"{sample.at_us / SECOND_US:g} s",
        str(sample.up),
        f"{sample.calibrated}/{sample.judged}",
        _three(sample.metrics["accuracy"], 2),
        _three(sample.metrics["detection"], 2),
        _three(sample.metrics["false_alarms"], 3),
        f"{sample.consensus:.3g}",
        str(sample.parts),
    )


def _three(spread: Spread, digits: int) -> str:
    numbers = (spread.mean, spread.tenth, spread.worst)
    # Without the leading 0 a row fits into 80 columns.
    return " ".join(f"{number:.{digits}f}".removeprefix("0") for number in numbers)


def footer(result: Result) -> str:
    """Counts, bytes, and what identifies and repeats the run."""
    peers = len(result.bytes_sent)
    mean_bytes = sum(result.bytes_sent) // peers
    frames = ", ".join(f"{count} {fate}" for fate, count in result.frames.items())
    topics = ", ".join(f"{count} {topic}" for topic, count in result.topics.items())
    speed = result.cycles / result.wall_s if result.wall_s > 0.0 else 0.0
    wire = f"; on the wire {_size(sum(result.wire_sent) // peers)}" if result.wire_sent else ""
    traced = f", trace {result.trace_hash} over {result.trace_events} events"
    return (
        f"frames: {frames}\n"
        f"reports: {topics}\n"
        f"sent by a peer: mean {_size(mean_bytes)}, most {_size(max(result.bytes_sent))}{wire}\n"
        f"{result.cycles} peer-cycles in {result.wall_s:.1f} s ({speed:,.0f}/s)\n"
        f"seed {result.seed}{traced if result.trace_hash else ''}"
    )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1_000_000 else f"{size_bytes / 1e3:.1f} kB"
