"""Many runs, over the processes of this machine or of a Ray cluster.

joblib shares the runs out: over processes that its loky backend starts here, or, where `ray` is
installed and an address is given, over a cluster. Each run is one task; its result comes back as
soon as it is there, in whatever order.
"""

import os
import signal
import socket
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing import current_process
from pathlib import Path
from threading import Event, Thread

from joblib import Parallel, delayed, parallel_config, register_parallel_backend
from joblib.externals.loky.process_executor import TerminatedWorkerError

from gossip.errors import ConfigError, HedgerowError, LocalError
from scenarios.plan.plan import make_plan
from scenarios.runs.checkpoint import EVERY_S, trace_of
from scenarios.runs.engines import keeping_of, run
from scenarios.runs.files import held
from scenarios.runs.results import Result
from scenarios.runs.stopping import SIGNALS
from scenarios.spec.scenario import Scenario

LOCAL = "local"
"""`--ray local`: a cluster of this machine alone, for trying it out."""

PORT_MAX = 65_535
CONNECT_S = 5.0
"""How long a cluster may take to accept a connection."""

LOOK_S = 1.0
"""How soon a worker process notices that nobody is left to take its result."""

_STREAMING = "ray-streaming"
_LOST = (
    "a worker process was killed, perhaps because memory ran out; what was finished is kept, so "
    "repeat the command, with fewer --jobs"
)


@dataclass(frozen=True, slots=True)
class Task:
    """One run.

    Args:
        number: the caller's, to know the outcome by.
        scenario: checked already.
        seed: of the run.
        where: what messages call the scenario.
        engine: as `scenarios.runs.engines.run` takes it.
        workers: as the engine takes it; where several runs go on at once None is 0.
        folder: for its checkpoint and trace, on the machine that runs the task; None for neither.
        trace: write every event there.
        every_s: see `scenarios.runs.checkpoint.Keeping`.
        resume: go on from the checkpoint in the folder.
    """

    number: int
    scenario: Scenario
    seed: int
    where: str
    engine: str = "world"
    workers: int | None = None
    folder: Path | None = None
    trace: bool = False
    every_s: float = EVERY_S
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A run that ended well."""

    number: int
    result: Result


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that did not.

    Args:
        number: the task's.
        said: what went wrong, in one line.
        details: the traceback of a mistake of ours; empty for an expected fault.
    """

    number: int
    said: str
    details: str


def outcomes(
    tasks: Sequence[Task], *, jobs: int = 1, ray: str | None = None
) -> Iterator[Done | Failed]:
    """Run all tasks; each outcome is given as soon as it is there.

    A run that fails does not stop the others. Closing the generator, as an interrupt does, ends
    the worker processes.

    Args:
        tasks: what to run.
        jobs: processes on this machine, each with one thread of arithmetic; one runs everything
            in this process. On a cluster: how many runs at once at most, 1 leaving it to the
            cluster's size.
        ray: address of a Ray cluster, or "local"; None is this machine without Ray.

    Raises:
        ConfigError: as `check_ray`.
        LocalError: likewise, or a worker process was killed.
    """
    with ExitStack() as stack:
        if ray is not None:
            jobs = stack.enter_context(_cluster(ray, jobs))
        else:
            jobs = min(jobs, len(tasks))
            stack.enter_context(_this_machine())
        work = _alone if jobs <= 1 else _beside
        parallel = Parallel(
            n_jobs=jobs,
            return_as="generator_unordered",
            batch_size=1,
            pre_dispatch="all" if ray is not None else "2*n_jobs",
            max_nbytes=None,
        )
        found = stack.enter_context(closing(parallel(delayed(work)(task) for task in tasks)))
        try:
            yield from found
        except TerminatedWorkerError as error:
            raise LocalError(_LOST) from error


@contextmanager
def _this_machine() -> Iterator[None]:
    # One thread each: a sum of float32 may depend on how many threads shared it.
    with parallel_config(
        backend="loky",
        inner_max_num_threads=1,
        initializer=_begin,
        initargs=(current_process().pid,),
    ):
        yield


def _begin(parent: int) -> None:
    """In a worker process, first of all: whom it listens to, and when it ends."""
    # An interrupt at the terminal is for the process that started us, and so is the end of a
    # process group, as `timeout` and systemd bring it about.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, even if it was killed outright."""
    never = Event()
    while os.getppid() == parent:
        never.wait(LOOK_S)
    os._exit(1)


@contextmanager
def _cluster(address: str, jobs: int) -> Iterator[int]:
    """Joblib on a Ray cluster, connected while the block lasts; gives the number of jobs."""
    check_ray(address)
    import ray  # noqa: PLC0415 - an optional extra, seconds to load
    from ray.util.joblib.ray_backend import RayBackend  # noqa: PLC0415

    # joblib gives no results one by one where a backend rests on multiprocessing's pool; Ray's
    # only inherits from it, and its own pool calls back for each result (tried with Ray 2.60).
    streaming = type("StreamingRay", (RayBackend,), {"supports_return_generator": True})
    register_parallel_backend(_STREAMING, streaming)
    local = address == LOCAL
    try:
        ray.init(
            address=None if local else address,
            num_cpus=max(jobs, 2) if local else None,
            include_dashboard=False if local else None,
            log_to_driver=False,
            logging_level="error",
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, _first_line(error)) from error
    try:
        # Below two jobs joblib would run everything in this process.
        cluster = int(ray.cluster_resources().get("CPU", 1))
        with parallel_config(backend=_STREAMING):
            yield max(2, cluster if jobs <= 1 else jobs)
    finally:
        ray.shutdown()


def check_ray(address: str | None) -> None:
    """Refuse a cluster that cannot be had, before any work; None is none.

    Ray itself would try for ten minutes (measured with 2.60) to reach an address where nobody
    listens.

    Raises:
        ConfigError: Ray is not installed, or the address is malformed.
        LocalError: nobody listens there.
    """
    if address is None:
        return
    if find_spec("ray") is None:
        raise ConfigError(
            "--ray: Ray is not installed here; install it with pip install 'hedgerow[ray]', or "
            "leave --ray out to use the processors of this machine"
        )
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address in {LOCAL, "auto"}:
        return
    if not colon or not port.isdecimal() or int(port) > PORT_MAX:
        raise ConfigError(
            f"--ray {address}: write HOST:PORT, ray://HOST:PORT, auto for the cluster that this "
            "machine belongs to, or local"
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        raise _no_cluster(address, error.strerror or str(error)) from error


def _no_cluster(address: str, why: str) -> LocalError:
    return LocalError(
        f"--ray {address}: no Ray cluster answers there ({why}); start one with "
        "`ray start --head`, or use --ray local"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _beside(task: Task) -> Done | Failed:
    """Run a task where others run at the same time."""
    return _alone(replace(task, workers=0 if task.workers is None else task.workers))


def _alone(task: Task) -> Done | Failed:
    try:
        plan = make_plan(task.scenario, task.seed, task.where)
        with ExitStack() as stack:
            engine, workers, trace = task.engine, task.workers, task.trace
            if task.folder is not None:
                stack.enter_context(held(task.folder))
            keeping = keeping_of(
                plan,
                task.folder,
                engine=engine,
                every_s=task.every_s,
                resume=task.resume,
                trace=trace,
            )
            lines = None
            if keeping is not None and trace:
                lines = stack.enter_context(trace_of(keeping))
            result = run(plan, engine=engine, lines=lines, workers=workers, keeping=keeping)
            return Done(task.number, result)
    except HedgerowError as error:
        return Failed(task.number, str(error), "")
    except Exception as error:  # noqa: BLE001 - one run's fault must not stop the others
        said = f"{type(error).__name__}: {_first_line(error)}"
        return Failed(task.number, said, traceback.format_exc())
