"""Training in a process beside the World's: the same results, and an end whatever happens."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gossip.errors import LocalError
from scenarios.conditions.churn import Change, Deed
from scenarios.plan.plan import make_plan
from scenarios.runs.simulate import run_stage, set_up
from tests.scenarios.fakes import MS, FakeRows, Rig, training_every
from tests.scenarios.test_simulate import CHANGING, scenario

ROOT = Path(__file__).parents[2]
PEERS = 24
ENDING_S = 30
"""For waiting until something has ended; it takes a second at most."""

busy = training_every(1, 40, PEERS, apart=5)
"""Trains for most of the time, so that stacks are full long before they are due."""

CHURN = tuple(
    change
    for number in range(12)
    for change in (
        Change((60 + 31 * number) * MS, 2 * number, Deed.CRASH),
        Change((90 + 31 * number) * MS, 2 * number, Deed.RETURN_KEPT),
    )
)


def rig(*, worker: bool, rows: FakeRows | None = None) -> Rig:
    times = (30,) * PEERS
    return Rig(PEERS, busy, train_ms=times, changes=CHURN, worker=worker, rows=rows)


def pid_of(made: Rig) -> int:
    worker = made.trainer._worker
    assert worker is not None
    return worker.pid


def ended(pid: int) -> bool:
    """Whether a process that need not be our child ends before long."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], ENDING_S)[0])
    finally:
        os.close(handle)


def test_a_worker_changes_nothing_though_peers_come_and_go() -> None:
    here, beside = rig(worker=False), rig(worker=True)
    for each in (here, beside):
        each.world.run(700 * MS)
    assert here.world.trace.digest == beside.world.trace.digest
    for index in range(PEERS):
        np.testing.assert_array_equal(here.peer(index).vector, beside.peer(index).vector)
    assert here.trainer.calls == len(here.rows.asked)
    # How many of those given the worker trained is the scheduler's choice.
    assert beside.trainer.given > 0 == here.trainer.given
    beside.trainer.close()


@pytest.mark.parametrize("arithmetic", ["numpy", "torch"])
@pytest.mark.parametrize("model", ["classifier", "detector"])
def test_the_trace_is_the_same_with_a_worker_and_without(model: str, arithmetic: str) -> None:
    learning = {"model": model, "arithmetic": arithmetic, "train": "6 s", "momentum": 0.5}
    given = scenario(peers=40, seconds=150, learning=learning, **CHANGING)
    stages = [set_up(make_plan(given), workers=workers) for workers in (0, 1, 1)]
    results = [run_stage(stage) for stage in stages]
    assert len({result.trace_hash for result in results}) == 1
    assert [stage.trainer.given > 20 for stage in stages] == [False, True, True]


def test_a_worker_that_is_killed_is_one_error_with_its_cause() -> None:
    made = rig(worker=True)
    made.world.run(100 * MS)
    pid = pid_of(made)
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)  # on a busy machine the World might have done all the rest before
    for _ in range(2):  # whoever asks again hears it again
        with pytest.raises(LocalError, match=rf"pid {pid}\) was ended by SIGKILL; .*workers = 0"):
            made.world.run(900 * MS)
    made.trainer.close()


class FailingElsewhere(FakeRows):
    def __init__(self) -> None:
        super().__init__()
        self.pid = os.getpid()

    def batches(self, peers, cycles, times_us):
        if os.getpid() != self.pid:
            raise ZeroDivisionError("no rows today")
        return super().batches(peers, cycles, times_us)


def run_with_failures_elsewhere() -> None:
    for _ in range(50):  # on a busy machine the World may take back all that it has given
        made = rig(worker=True, rows=FailingElsewhere())
        made.world.run(700 * MS)
        made.trainer.close()


def test_an_error_in_the_worker_is_told_here() -> None:
    with pytest.raises(LocalError, match="ZeroDivisionError: no rows today"):
        run_with_failures_elsewhere()


def test_closing_ends_the_worker_and_what_it_had_is_kept() -> None:
    made, other = rig(worker=True), rig(worker=False)
    made.world.run(100 * MS)
    pid = pid_of(made)
    made.trainer.close()
    assert ended(pid)
    made.trainer.close()
    for each in (made, other):
        each.world.run(300 * MS)  # goes on with another worker
    assert pid_of(made) != pid
    made.trainer.close()
    assert made.world.trace.digest == other.world.trace.digest


def test_a_world_that_is_forgotten_takes_its_worker_along() -> None:
    made = rig(worker=True)
    made.world.run(100 * MS)
    pid = pid_of(made)
    made.trainer._worker = None
    assert ended(pid)


SCRIPT = """
import os, signal, sys
from tests.scenarios.test_worker import MS, pid_of, rig
made = rig(worker=True)
made.world.run(100 * MS)
sibling = os.fork() if sys.argv[1] == "sibling" else -1
if sibling == 0:
    signal.pause()  # holds a copy of the pipe's end, so that it does not close with the parent
print(pid_of(made), sibling, flush=True)
while True:
    made.world.run(made.world.now_us + 100 * MS)
"""


@pytest.mark.parametrize(
    ("how", "code"),
    [("alone", signal.SIGKILL), ("sibling", signal.SIGKILL), ("alone", signal.SIGINT)],
)
def test_no_worker_outlives_its_world(how: str, code: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, how],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as world:
        assert world.stdout is not None
        worker, sibling = map(int, world.stdout.readline().split())
        assert not select.select([os.pidfd_open(worker)], [], [], 0)[0]
        if code is signal.SIGINT:
            os.killpg(world.pid, code)  # as Ctrl-C does
        else:
            os.kill(world.pid, code)
        assert ended(worker)
        if sibling > 0:
            os.kill(sibling, signal.SIGKILL)
        world.wait(ENDING_S)
