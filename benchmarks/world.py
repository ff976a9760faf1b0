"""Throughput of the World, beside gossipy-dfl and beside the bare arithmetic.

The task: 200 rows a peer, batches of 32, one epoch a cycle, push gossip over a 20-regular graph,
nothing judged. `lr` is 57-2 (116 parameters), `mlp` 115-64-32-10 (9,834). An update is one epoch
and, in the mean, one merge.

Hedgerow simulates it with everything on: state machines, timers, frames encoded, in flight and
decoded, the trace hash. A model travels whole (`fragments = 1`), as the others' do. An epoch is 7
steps of 32 rows (224 rows: passes over the data follow each other without a gap); the others train
200 rows, the last batch being short.

`gossipy-dfl` comes from PyPI into an environment of its own (`--environment`; pip's own variables,
such as PIP_EXTRA_INDEX_URL, are passed through). `bound` is the same arithmetic by hand, on one and
on two threads: see `_bound.py`. Every run has a process of its own, and runs of different programs
take turns, so that what else the machine does touches all alike.

Memory is the proportional set size of all of a run's processes, sampled twice a second.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time
from types import FrameType
from typing import Any

from _common import LR_SIZES, MLP_SIZES, Figure, Row, parser, publish

from gossip.actions import Topic
from gossip.config import Exchange
from scenarios.plan.plan import make_plan
from scenarios.runs.simulate import Stage, set_up
from scenarios.spec.churn import Churn
from scenarios.spec.data import Data
from scenarios.spec.learning import Arithmetic, Learning
from scenarios.spec.mesh import Mesh
from scenarios.spec.scenario import Scenario

HERE = Path(__file__).resolve().parent
OURS = tuple(f"{HERE.parent}/{name}/" for name in ("gossip", "scenarios"))
CYCLE_US = 10_000_000
SIZES = {"lr": LR_SIZES, "mlp": MLP_SIZES}
ROWS, BATCH = 200, 32
BOUND_STACKS = {"lr": 256, "mlp": 32}
"""Peers in a stack of the bound: what was fastest of 16, 32, 64, 128 and 256."""

GOSSIPY = "gossipy-dfl==0.0.1"
OTHERS = ("gossipy", "bound")
SHOWN = 25
SAMPLE_S = 0.5
SAMPLE_CPU_S = 0.001


def scenario(given: argparse.Namespace, peers: int, model: str) -> Scenario:
    """Everybody starts within one cycle, at random; then `cycles` cycles for all."""
    features, *hidden, classes = SIZES[model]
    degree = min(20, peers - 1)
    return Scenario(
        mesh=Mesh(
            peers, (given.cycles + 1) * CYCLE_US, topology=f"regular:{peers},degree={degree}"
        ),
        data=Data(rows=ROWS, features=features, classes=classes, calibrate_rows=0, test_rows=1),
        learning=Learning(
            hidden=tuple(hidden),
            batch=BATCH,
            arithmetic=Arithmetic(given.arithmetic),
            exchange=Exchange(given.exchange),
            train_us=round(given.train_s * 1e6),
            fragments=1,
            fragments_per_push=1,
            evaluate_us=0,
        ),
        churn=Churn(join_over_us=CYCLE_US),
    )


def run(stage: Stage, until_us: int) -> dict[str, Any]:
    world = stage.world
    world.run(CYCLE_US)  # everybody is there, and has begun no cycle
    begun, cpu = perf_counter(), process_time()
    world.run(until_us)
    wall_s, cpu_s = perf_counter() - begun, process_time() - cpu
    tally = world.tally
    return {
        "updates": tally.trainings,
        "wall s": wall_s,
        "world s": cpu_s,
        "worker s": children_s(),
        "merges": tally.topics[Topic.MERGED],
        "hash": world.trace.digest,
    }


def children_s() -> float:
    """Processor seconds of this process's children so far."""
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - has no types of its own

    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return float(sum(each.user + each.system for each in times))


def one(given: argparse.Namespace) -> None:
    """One run, in this process; prints one JSON object."""
    wanted = scenario(given, given.peers[0], given.model[0])
    stage = set_up(make_plan(wanted), workers=given.workers)
    if not given.profile:
        print(json.dumps(run(stage, wanted.mesh.duration_us)))
        return
    functions, files = profiled(lambda: run(stage, wanted.mesh.duration_us))
    stage.trainer.close()
    for found in (files, functions):
        for place, count in found.most_common(SHOWN):
            print(f"{100 * count / found.total():5.1f} %  {place}")
        print()


def profiled(work: Callable[[], object]) -> tuple[Counter[str], Counter[str]]:
    """Where this process spends its processor time: samples by function and by file.

    A sampler, since one that notes every call would count small functions several times over. What
    libraries do counts for the function of ours that called them.
    """
    functions: Counter[str] = Counter()
    files: Counter[str] = Counter()

    def note(_number: int, frame: FrameType | None) -> None:
        while frame is not None and not frame.f_code.co_filename.startswith(OURS):
            frame = frame.f_back
        if frame is not None:
            file = Path(frame.f_code.co_filename).relative_to(HERE.parent).as_posix()
            files[file] += 1
            functions[f"{file} {frame.f_code.co_qualname}"] += 1

    before = signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_CPU_S, SAMPLE_CPU_S)
    try:
        work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return functions, files


def measured(command: list[str]) -> dict[str, Any]:
    """What a program prints as JSON in its last line, and its memory."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        most = 0.0
        while process.poll() is None:
            most = max(most, memory_mb(process.pid))
            time.sleep(SAMPLE_S)
        printed = process.stdout.read() if process.stdout is not None else ""
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return {**json.loads(printed.splitlines()[-1]), "memory MB": most}


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and all its descendants, MB (10^6 bytes)."""
    import psutil  # noqa: PLC0415 - as above

    total = 0
    try:
        root = psutil.Process(pid)
        for each in (root, *root.children(recursive=True)):
            total += each.memory_full_info().pss
    except psutil.Error:
        return 0.0  # it has just ended
    return total / 1e6


def programs(given: argparse.Namespace, peers: int, model: str) -> dict[str, list[str]]:
    """The command of everything that is compared, by its name."""
    sizes = list(map(str, SIZES[model]))
    inside = ["--inside", "--peers", str(peers), "--model", model, "--cycles", str(given.cycles)]
    inside += ["--exchange", given.exchange, "--arithmetic", given.arithmetic]
    inside += ["--train-s", str(given.train_s)]
    if given.workers is not None:
        inside += ["--workers", str(given.workers)]
    found = {"Hedgerow": [sys.executable, __file__, *inside]}
    task = ["--peers", str(peers), "--cycles", str(given.cycles), "--rows", str(ROWS)]
    task += ["--batch", str(BATCH), "--sizes", *sizes]
    if "gossipy" not in given.skip:
        python = environment(given.environment)
        if python is not None:
            found["gossipy-dfl"] = [str(python), str(HERE / "_gossipy.py"), *task]
    if "bound" not in given.skip:
        stack = ["--stack", str(BOUND_STACKS[model])]
        for workers in (1, 2):
            command = [sys.executable, str(HERE / "_bound.py"), *task, *stack]
            threads = "1 thread" if workers == 1 else f"{workers} threads"
            found[f"bound, {threads}"] = [*command, "--workers", str(workers)]
    return found


def environment(folder: Path) -> Path | None:
    """The Python of an environment with gossipy-dfl, made if need be; None if that fails."""
    python = folder / "bin" / "python"
    ready = folder / "ready"
    wanted = [
        GOSSIPY,
        *(f"{name}=={version(name).partition('+')[0]}" for name in ("torch", "numpy")),
    ]
    if ready.is_file() and ready.read_text() == " ".join(wanted):
        return python
    print(f"making an environment with {GOSSIPY} in {folder}", file=sys.stderr)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *wanted],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - ours
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"left out, {GOSSIPY} cannot be installed: {last}", file=sys.stderr)
            return None
    ready.write_text(" ".join(wanted))
    return python


def compared(given: argparse.Namespace, peers: int, model: str) -> list[Row]:
    """Everything on one task, taking turns."""
    commands = programs(given, peers, model)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for _ in range(given.repeats):
        for name, command in commands.items():
            found[name].append(measured(command))
    ours = [each["updates"] / each["wall s"] for each in found["Hedgerow"]]
    rows: list[Row] = []
    for name, runs in found.items():
        speeds = [each["updates"] / each["wall s"] for each in runs]
        rows.append(
            {
                "peers": peers,
                "model": model,
                "program": name,
                "updates/s": Figure.of(speeds),
                # Of neighbours in time, so that a busy minute falls on both.
                "Hedgerow / it": Figure.of([a / b for a, b in zip(ours, speeds, strict=True)]),
                "memory MB": Figure.of([each["memory MB"] for each in runs]),
            }
        )
    return rows


def own(given: argparse.Namespace, peers: int, model: str) -> list[Row]:
    """Hedgerow alone, in more detail."""
    runs = [measured(programs(given, peers, model)["Hedgerow"]) for _ in range(given.repeats)]
    return [
        {
            "peers": peers,
            "model": model,
            "updates/s": Figure.of([each["updates"] / each["wall s"] for each in runs]),
            "World us/update": Figure.of(
                [1e6 * each["world s"] / each["updates"] for each in runs]
            ),
            "worker us/update": Figure.of(
                [1e6 * each["worker s"] / each["updates"] for each in runs]
            ),
            "merges/update": Figure.of([each["merges"] / each["updates"] for each in runs]),
            "memory MB": Figure.of([each["memory MB"] for each in runs]),
            "kB/peer": Figure.of([1e3 * each["memory MB"] / peers for each in runs]),
            "trace hashes": len({each["hash"] for each in runs}),
        }
    ]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--peers", type=int, nargs="+", default=[1_000], help="(1000)")
    options.add_argument("--model", nargs="+", choices=SIZES, default=["lr", "mlp"])
    options.add_argument("--cycles", type=int, default=20, help="of every peer (20)")
    options.add_argument(
        "--skip", nargs="*", choices=OTHERS, default=[], help="what not to compare with"
    )
    options.add_argument(
        "--environment",
        type=Path,
        default=Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hedgerow-gossipy",
        help="where gossipy-dfl is or will be installed, 1.4 GB (~/.cache/hedgerow-gossipy)",
    )
    options.add_argument("--workers", type=int, choices=(0, 1), help="processes that train")
    options.add_argument(
        "--train-s", type=float, default=0.5, help="simulated seconds of one training (0.5)"
    )
    options.add_argument(
        "--arithmetic", choices=[each.value for each in Arithmetic], default="numpy"
    )
    options.add_argument(
        "--exchange",
        choices=[each.value for each in Exchange],
        default="epidemic",
        help="epidemic: one push a cycle; age: as the token account decides; pairwise (epidemic)",
    )
    options.add_argument("--profile", action="store_true", help="where the first one's time goes")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.inside or given.profile:
        one(given)
        return
    rows: list[Row] = []
    for model in given.model:
        for peers in given.peers:
            alone = set(given.skip) == set(OTHERS)
            rows += (own if alone else compared)(given, peers, model)
    given.environment = str(given.environment)
    publish("world", given, rows)


if __name__ == "__main__":
    main()
