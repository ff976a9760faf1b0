"""An interrupted run keeps what it has and goes on to the identical result."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from hashlib import blake2b
from io import StringIO
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from rich.console import Console

from gossip.errors import StateError
from node.cli import cli
from node.config.tables import from_table
from scenarios.plan.plan import make_plan
from scenarios.runs import checkpoint, results, simulate
from scenarios.runs.checkpoint import CHECKPOINT, data_digest, find, take_up, write
from scenarios.runs.files import held
from scenarios.runs.show import simulate_file
from scenarios.runs.simulate import Record, run_stage, set_up
from scenarios.runs.text import plain
from scenarios.spec.scenario import Scenario, read
from scenarios.sweep import parallel

SECOND_US = 1_000_000
ROOT = Path(__file__).parents[2]
SECONDS = 60
LIVELY = {
    "mesh": {"peers": 20, "duration": f"{SECONDS} s", "cycle": "4 s", "queue_frames": 1,
             "lost_after": "3 s", "device": [{"name": "slow", "peers": "5:8", "speed": 0.2}]},
    "data": {"rows": 30, "features": 6, "classes": 3, "test_rows": 40, "calibrate_rows": 20},
    "learning": {"arithmetic": "numpy", "steps": 2, "batch": 8, "evaluate": "9 s",
                 "train": "3500 ms", "momentum": 0.5},
    "links": {"latency": "lognormal(200 ms, 0.5)",
              "rule": [{"drop": "5 %"}, {"senders": "0:9", "latency": "80 ms", "kbit_per_s": 9.0,
                        "shared": "sender"}],
              "partition": [{"start": "20 s", "end": "35 s", "sides": ["0:5"]}]},
    "churn": {"restless": "0:6", "up": "exponential(15 s)", "away": "exponential(5 s)"},
    "event": [{"at": "40 s", "do": "crash", "peers": "9:12"},
              {"at": "45 s", "do": "leave", "peers": "12"},
              {"at": "50 s", "do": "return", "peers": "9:11"},
              {"at": "52 s", "do": "return-fresh", "peers": "12"}],
}  # fmt: skip
VARIANTS = {
    "age": {"learning": {"exchange": "age"}},
    "epidemic": {"learning": {"exchange": "epidemic", "fanout": 3},
                 "mesh": {"topology": "regular:20,degree=4"}},
    "pairwise": {"learning": {"exchange": "pairwise", "encoding": "int8"}},
    "exponential": {"mesh": {"topology": "one-peer-exponential:20"}},
    "detector": {"learning": {"model": "detector", "arithmetic": "torch"}},
    "immune": {"learning": {"antigens": True, "head": "coded", "balance": True},
               "data": {"rows": 80, "classes": 4, "shards": "families(1)"},
               "mesh": {"hostile": [{"peers": "15", "presents": "mimic", "family": "class-3"},
                                    {"peers": "16", "presents": "flood"},
                                    {"peers": "17", "presents": "forged", "family": "class-2"},
                                    {"peers": "18", "presents": "replay"}]}},
}  # fmt: skip
SMALL = """title = "small"
[mesh]
peers = 6
duration = "100 s"
[learning]
arithmetic = "numpy"
evaluate = "20 s"
steps = 1
[data]
rows = 20
features = 4
test_rows = 60
"""


def plan_of(variant: str):
    given = VARIANTS[variant]
    table = {key: {**value, **given.get(key, {})} if isinstance(value, dict) else value
             for key, value in LIVELY.items()}  # fmt: skip
    return make_plan(from_table(Scenario, table, "test"))


def told(result) -> dict:
    """All of a result but its duration; as text, in which NaN equals itself."""
    return plain(asdict(replace(result, wall_s=0.0)))


def taken_up(plan, path: Path, **how):
    stage = set_up(plan, **how)
    return stage, take_up(find(path, plan), stage, data_digest(stage))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_cut_at_any_moments_ends_as_one_that_was_not(variant, tmp_path):
    whole = run_stage(set_up(plan_of(variant)))
    assert sum(whole.frames.values()) > 100
    path = tmp_path / CHECKPOINT
    for seed in range(2):
        draws = Random(f"{variant} {seed}")
        record = Record()
        stage = set_up(plan_of(variant))
        moments = sorted(draws.randrange(SECONDS * SECOND_US) for _ in range(3))
        for number, moment_us in enumerate(moments):
            run_to(stage, record, moment_us)
            write(path, stage, record, data_digest(stage))
            stage.trainer.close()
            # With a worker process and without in turn: it must not matter. Antigens have none.
            workers = 0 if variant == "immune" else number % 2
            stage, record = taken_up(plan_of(variant), path, workers=workers)
            assert stage.world.now_us == moment_us
        assert told(run_stage(stage, so_far=record)) == told(whole), moments


def run_to(stage, record, moment_us: int) -> None:
    """Run to a moment, at which no look-up of a run would usually be."""
    every_us = stage.plan.scenario.learning.evaluate_us

    def interrupt(progress) -> None:
        if progress.now_us >= moment_us // every_us * every_us:
            signal.raise_signal(signal.SIGINT)

    assert not run_stage(stage, interrupt, record).complete
    stage.world.run(moment_us)


def broken_off(file: Path, out: Path, number: int, *arguments: str) -> int:
    """Exit code of a command that is sent a signal as soon as it has kept its second checkpoint."""
    code = (
        "import os, sys\n"
        "from scenarios.runs import checkpoint\n"
        "from node.cli import main\n"
        "kept, times = checkpoint.write, [1, 2]\n"
        "def write(*given):\n"
        "    kept(*given)\n"
        "    if times and times.pop() == 1:\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "checkpoint.write = write\n"
        "main()\n"
    )
    given = ["simulate", str(file), "--out", str(out), "--checkpoint", "1 us", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *given], cwd=ROOT, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory) -> Path:
    """The folder of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert simulated(small, out, "--trace").exit_code == 0
    return out


def simulated(file: Path, out: Path, *arguments: str):
    return CliRunner().invoke(cli, ["simulate", str(file), "--out", str(out), *arguments])


def contents(folder: Path) -> dict:
    """Every file of a run, without how long it took."""
    found = {path.name: path.read_text() for path in folder.iterdir()}
    return {**found, "result.json": {**json.loads(found["result.json"]), "wall_s": None}}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_was_broken_off_is_resumed_in_another_process(
    small, whole, tmp_path, number
):
    out = tmp_path / "out"
    code = broken_off(small, out, number, "--trace")
    there = {path.name for path in out.iterdir()}
    if number == signal.SIGKILL:
        assert code == -number
        assert there == {CHECKPOINT, ".trace.jsonl.part"}
        # Written after the checkpoint and perhaps cut off: it is written again.
        with (out / ".trace.jsonl.part").open("a") as stream:
            stream.write('{"us": 12')
    else:
        assert code == 130
        assert there == {CHECKPOINT, "mesh.jsonl", "peers.jsonl", "result.json", "trace.jsonl"}
        assert not results.load(out).complete
    before = (out / CHECKPOINT).read_bytes()
    refused = simulated(small, out, "--trace")
    assert "an interrupted run can go on from here; add --resume" in str(refused.exception)
    assert "add --trace" in str(simulated(small, out, "--resume").exception)
    assert (out / CHECKPOINT).read_bytes() == before
    resumed = simulated(small, out, "--trace", "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "going on at " in resumed.output
    assert contents(out) == contents(whole)


def test_several_seeds_go_on_with_the_one_that_was_interrupted(small, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    seeds = "--seeds", "3:6"
    assert simulated(small, whole, *seeds).exit_code == 0
    measured, looks = simulate.measure, list(range(7))  # 5 with seed 3

    def interrupted(*given):
        looks.pop()
        if not looks:
            signal.raise_signal(signal.SIGINT)
        return measured(*given)

    with monkeypatch.context() as patch:
        patch.setattr(simulate, "measure", interrupted)
        cut = simulated(small, out, *seeds)
    assert "the same command with --resume goes on" in cut.output
    assert not (out / "seed-3" / CHECKPOINT).exists()
    assert not results.load(out / "seed-4").complete
    assert "add --resume" in str(simulated(small, out, *seeds).exception)
    ran = parallel.run
    went_on = []

    def watched(plan, **given):
        went_on.append((plan.seed, given["keeping"].resume is not None))
        return ran(plan, **given)

    monkeypatch.setattr(parallel, "run", watched)
    resumed = simulated(small, out, *seeds, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "1 of 3 runs are in " in " ".join(resumed.output.split())
    assert went_on == [(4, True), (5, False)]
    for seed in ("seed-3", "seed-4", "seed-5"):
        assert contents(out / seed) == contents(whole / seed)
    monkeypatch.setattr(parallel, "run", lambda *_, **__: pytest.fail("it ran"))
    assert simulated(small, out, *seeds, "--resume").exit_code == 0
    changed = simulated(small, out, *seeds, "--resume", "--set", "learning.rate=0.1")
    assert "seed-3/result.json: is the result of another run (they differ in learning.rate" in str(
        changed.exception
    )


def test_a_resumed_run_shows_that_it_goes_on_and_takes_its_time_along(small, tmp_path):
    out, seen = tmp_path / "out", []
    frozen_at(plan_from(small), 70 * SECOND_US, out / CHECKPOINT, wall_s=500.0)
    quiet = Console(file=StringIO())
    result = simulate_file(small, out=out, resume=True, console=quiet, notes=quiet)
    assert "going on at 70 s, from" in quiet.file.getvalue()
    assert 500.0 < result.wall_s < 600.0
    frozen_at(plan_from(small), 70 * SECOND_US, out / CHECKPOINT)
    plan = plan_from(small)
    stage, record = taken_up(plan, out / CHECKPOINT)
    run_stage(stage, seen.append, record)
    assert seen[0].now_us == 70 * SECOND_US


def plan_from(file: Path, seed: int | None = None):
    return make_plan(read(file), seed, str(file))


def frozen_at(plan, at_us: int, path: Path, wall_s: float = 0.0) -> None:
    stage = set_up(plan)
    stage.world.run(at_us)
    path.parent.mkdir(exist_ok=True)
    write(path, stage, Record(wall_s=wall_s), data_digest(stage))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume"], "there is no checkpoint to go on from; leave --resume out"),
        (["--resume", "--seeds", "0:2"], "no finished seed and no checkpoint to go on from"),
        (["--resume", "--engine", "lab"], "--resume: the Lab runs processes in real time"),
        (["--resume", "--set", "learning.method=local"], '"local" keeps no checkpoint'),
        (["--checkpoint", "often"], "--checkpoint: 'often' is not understood; write a duration"),
    ],
)
def test_what_cannot_be_resumed_says_so_before_any_work(small, tmp_path, arguments, said):
    done = simulated(small, tmp_path / "out", *arguments)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--resume"],
        ["--seeds", "0:1"],
        ["--seeds", "0:1", "--resume"],
        ["--set", "learning.method=local"],  # keeps no checkpoint
        ["--set", "learning.method=local", "--seeds", "0:1"],
    ],
)
def test_two_runs_in_one_folder_would_spoil_each_other(small, tmp_path, arguments):
    with held(tmp_path):
        refused = simulated(small, tmp_path, *arguments)
    assert "another run is at work there; wait for its end" in str(refused.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_seeds_folder_is_taken_as_well(small, tmp_path):
    baseline = "--set", "learning.method=local"
    (tmp_path / "seed-0").mkdir()
    with held(tmp_path / "seed-0"):
        refused = simulated(small, tmp_path, "--seeds", "0:1", *baseline)
    assert "another run is at work there" in " ".join(refused.output.split())
    assert list((tmp_path / "seed-0").iterdir()) == []


def test_resuming_needs_a_folder(small):
    done = CliRunner().invoke(cli, ["simulate", str(small), "--resume"])
    assert "give --out FOLDER" in str(done.exception)


@pytest.fixture(scope="module")
def kept(small, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("kept") / CHECKPOINT
    frozen_at(plan_from(small), 50 * SECOND_US, path)
    return path


def test_a_checkpoint_of_another_run_is_refused(small, kept, tmp_path, monkeypatch):
    with pytest.raises(StateError, match=r"another scenario or seed \(they differ in mesh.seed\)"):
        find(kept, plan_from(small, seed=9))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "versions", lambda: {**results.versions(), "numpy": "0.1"})
        with pytest.raises(StateError, match=r"numpy .* and here is 0.1, .*; go on with numpy"):
            find(kept, plan_from(small))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_classes", lambda: "others")
        with pytest.raises(StateError, match="another state of Hedgerow"):
            find(kept, plan_from(small))
    plan = plan_from(small)
    with pytest.raises(StateError, match=r"the data, or a table .* put them back"):
        take_up(find(kept, plan), set_up(plan), "other data")
    foreign = tmp_path / "foreign"
    foreign.write_text("{}")
    with pytest.raises(StateError, match="no checkpoint that this version"):
        find(foreign, plan)


def test_the_digest_of_the_data_sees_every_row(small):
    one, other = (set_up(plan_from(small)) for _ in range(2))
    assert data_digest(one) == data_digest(other)
    other.shards.shards[3].test_x[-1, -1] += 1
    assert data_digest(one) != data_digest(other)


def test_a_damaged_file_is_always_refused(small, kept, tmp_path):
    plan, whole, path = plan_from(small), kept.read_bytes(), tmp_path / CHECKPOINT
    draws = Random(1)
    for _ in range(200):
        data = bytearray(whole)
        data[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
        path.write_bytes(data)
        with pytest.raises(StateError, match="damaged"):
            find(path, plan)
    for size in (0, 1, 21, 22, 23, 40, 60, len(whole) - 33, len(whole) - 32, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(StateError, match="damaged"):
            find(path, plan)
    path.write_bytes(whole + b"x")
    with pytest.raises(StateError, match="damaged"):
        find(path, plan)


def test_damage_under_a_digest_that_fits_makes_no_traceback(small, kept, tmp_path):
    """As somebody might write it who means harm: anything may come, but only an error of ours."""
    plan, whole, path = plan_from(small), kept.read_bytes()[:-32], tmp_path / CHECKPOINT
    stage, refused, draws = set_up(plan), 0, Random(2)
    data_of = data_digest(stage)
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(draws.randrange(1, 4)):
            data[draws.randrange(22, len(data))] = draws.randrange(256)
        path.write_bytes(bytes(data) + blake2b(data, digest_size=32).digest())
        try:
            take_up(find(path, plan), stage, data_of)
        except StateError:
            refused += 1
    assert refused > 60


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(small, kept, monkeypatch):
    before = kept.read_bytes()
    stage = set_up(plan_from(small))
    stage.world.run(SECOND_US)
    stage.world.hosts[0].machine._state = object()
    with pytest.raises(TypeError, match=r"holds no builtins.object yet; list it in .*frozen"):
        write(kept, stage, Record(), "")
    assert kept.read_bytes() == before
    assert list(kept.parent.iterdir()) == [kept]
