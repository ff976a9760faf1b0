"""Sweeps and runs with several seeds: resuming, refusing, failing, and the rows they end with."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from gossip.errors import ConfigError, ExpectationError, LocalError, StateError
from node.cli import cli
from scenarios.runs import results
from scenarios.runs.files import held
from scenarios.spec.choices import given_lists
from scenarios.sweep import parallel
from scenarios.sweep.folder import FAILURE, MANIFEST, open_folder
from scenarios.sweep.grid import make_grid
from scenarios.sweep.sweep import Means, sweep_file

ROOT = Path(__file__).parents[2]
TINY = """
title = "tiny"
[mesh]
peers = 4
duration = "30 s"
[learning]
arithmetic = "numpy"
evaluate = "10 s"
steps = 1
[data]
rows = 20
features = 4
test_rows = 200
"""
LISTS = {"learning.fanout": [1, 2], "mesh.topology": ["sampling", "ring:4"]}
GRID = ["--set", "learning.fanout=1,2", "--set", 'mesh.topology=["sampling", "ring:4"]']


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def swept(tiny, tmp_path_factory) -> Path:
    """The folder of a sweep that nothing interrupted, over four combinations and two seeds."""
    out = tmp_path_factory.mktemp("swept") / "out"
    swept_to(tiny, out, seeds=(0, 5))
    return out


def swept_to(file, out, lists=LISTS, seeds=(0, 5), **means) -> str:
    """Run a sweep; what it printed, with its notes."""
    said = Console(file=StringIO(), width=120)
    sweep_file(file, lists, seeds, out, Means(**means), console=said, notes=said)
    return said.file.getvalue()


def command(*arguments):
    return CliRunner().invoke(cli, [str(each) for each in arguments])


# Ends as `kill -9` does, right after the second finished run was written.
KILLED = """
import os, signal
from scenarios.sweep.folder import Folder
keep, kept = Folder.keep, []
def keep_and_die(self, cell, result):
    keep(self, cell, result)
    kept.append(cell)
    if len(kept) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
Folder.keep = keep_and_die
from node.cli import main
main()
"""


def test_a_killed_sweep_goes_on_and_ends_with_the_same_rows(tiny, swept, tmp_path):
    out = tmp_path / "out"
    arguments = ["sweep", tiny, *GRID, "--seeds", "0,5", "--jobs", 2, "--out", out]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, arguments)], cwd=ROOT, capture_output=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    first = {path.parent.name for path in out.glob("runs/*/result.json")}
    assert len(first) == 2
    assert not (out / "runs.jsonl").exists()
    resumed = command(*arguments[:-4], "--out", out)  # in one process, as the other one was
    assert resumed.exit_code == 0, resumed.output
    assert "2 of 8 runs are in" in " ".join(resumed.output.split())
    assert (out / "runs.jsonl").read_bytes() == (swept / "runs.jsonl").read_bytes()


# Sends itself what `timeout` sends, as soon as the first run is written: twice.
TERMINATED = """
import os, signal
from scenarios.runs import results
save, kept = results.save, []
def save_and_end(result, folder):
    path = save(result, folder)
    if not kept:
        kept.append(path)
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
    return path
results.save = save_and_end
from node.cli import main
main()
"""


@pytest.mark.parametrize("command", ["simulate", "sweep"])
def test_a_terminated_command_ends_as_an_interrupted_one(tiny, tmp_path, command):
    out = tmp_path / "out"
    arguments = [command, tiny, "--seeds", "0:4", "--jobs", "2", "--report", "--out", out]
    done = subprocess.run(
        [sys.executable, "-c", TERMINATED, *map(str, arguments)], cwd=ROOT, capture_output=True,
        check=False, timeout=60, text=True,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1] == "hedgerow: interrupted"
    assert "Traceback" not in done.stderr
    assert (out / "report.html").is_file()
    kept = list(out.rglob("result.json"))
    assert len(kept) == 1
    before = kept[0].read_bytes()
    for folder in out.glob("seed-*"):
        with held(folder):  # no worker process is left that would write there
            assert (folder / "result.json").exists() == (folder == kept[0].parent)
    more = ["--resume"] if command == "simulate" else []
    again = CliRunner().invoke(cli, [*map(str, arguments[:4]), "--out", str(out), *more])
    assert again.exit_code == 0, again.output
    assert "1 of 4 runs are in" in " ".join(again.output.split())
    assert len(list(out.rglob("result.json"))) == 4
    assert kept[0].read_bytes() == before


def test_rows_name_what_was_varied_and_what_was_found(swept):
    rows = [json.loads(line) for line in (swept / "runs.jsonl").read_text().splitlines()]
    assert [(r["learning.fanout"], r["mesh.topology"], r["seed"]) for r in rows] == [
        (fanout, topology, seed)
        for fanout in (1, 2)
        for topology in ("sampling", "ring:4")
        for seed in (0, 5)
    ]
    result = results.load(swept / "runs" / rows[3]["run"])
    assert result.spec["mesh"]["topology"] == "ring:4"
    assert result.spec["mesh"]["seed"] == result.seed == 5
    last = result.samples[-1]
    assert rows[3]["auc.mean"] == last.metrics["auc"].mean
    assert rows[3]["parts"] == last.parts
    assert rows[3]["bytes"] == sum(result.bytes_sent)
    assert rows[3]["trace"] == result.trace_hash
    assert rows[3]["version.numpy"] == result.versions["numpy"]
    assert rows[0]["trace"] != rows[1]["trace"]
    manifest = json.loads((swept / MANIFEST).read_text())
    assert manifest["lists"] == LISTS
    assert manifest["seeds"] == [0, 5]
    assert manifest["scenario"]["title"] == "tiny"


def test_a_finished_sweep_runs_nothing_again_and_may_grow(tiny, swept, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(swept, out)
    seen = []
    run = parallel.run
    monkeypatch.setattr(
        parallel, "run", lambda plan, **more: seen.append(plan) or run(plan, **more)
    )
    assert "8 of 8 runs" in swept_to(tiny, out)
    assert seen == []
    swept_to(tiny, out, seeds=(5, 0, 6))
    assert sorted(plan.seed for plan in seen) == [6] * 4


@pytest.mark.parametrize(
    ("lists", "seeds", "said"),
    [
        ({**LISTS, "learning.fanout": [1]}, (0, 5), "it has learning.fanout=2, too"),
        ({"learning.fanout": [1, 2]}, (0, 5), "it varies learning.fanout, mesh.topology"),
        (LISTS, (0,), "it has seed 5, too"),
    ],
)
def test_another_sweeps_folder_is_refused(tiny, swept, lists, seeds, said):
    before = (swept / MANIFEST).read_bytes()
    with pytest.raises(StateError, match=re.escape(said)):
        swept_to(tiny, swept, lists, seeds)
    assert (swept / MANIFEST).read_bytes() == before


def test_a_folder_of_another_scenario_is_refused_by_its_key(swept, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace("rows = 20", "rows = 21"))
    with pytest.raises(StateError, match=r"another sweep \(its scenario differs in data\.rows\)"):
        swept_to(other, swept)


def test_a_folder_in_which_a_sweep_is_at_work_is_refused(tiny, tmp_path):
    """Two that write the same runs would take each other's files away."""
    out = tmp_path / "out"
    taken = pytest.raises(StateError, match="at work there")
    with open_folder(out, make_grid(tiny, {}, None)), taken:
        swept_to(tiny, out, lists={}, seeds=None)
    swept_to(tiny, out, lists={}, seeds=None)


def test_a_folder_with_other_files_is_refused(tiny, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StateError, match=r"holds other files and no sweep\.json"):
        swept_to(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_damage_is_refused_with_its_place(tiny, swept, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(swept, out)
    first, second, *_ = sorted((out / "runs").iterdir())
    whole = (first / "result.json").read_bytes()
    (first / "result.json").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StateError, match=re.escape(str(first / "result.json"))):
        swept_to(tiny, out)
    shutil.copy(second / "result.json", first / "result.json")
    with pytest.raises(StateError, match="is not the result of this run; remove"):
        swept_to(tiny, out)
    (out / MANIFEST).write_text("{}")
    with pytest.raises(StateError, match="describes no sweep"):
        swept_to(tiny, out)


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        (
            "learning.fanout",
            [1, 0],
            "tiny.toml with learning.fanout=0: mesh / learning: fanout = 0",
        ),
        ("learning.steps", [1, 0], "--set: learning.steps: 0 is out of range"),
        ("mesh.topology", ["ring:4", "regular:4,degree=9"], "tiny.toml with mesh.topology=regular"),
        ("learning.exchang", ["age"], "did you mean 'exchange'"),
    ],
)
def test_a_bad_value_is_refused_before_any_work(tiny, tmp_path, monkeypatch, key, values, said):
    monkeypatch.setattr(parallel, "run", lambda *_, **__: pytest.fail("a run began"))
    with pytest.raises(ConfigError, match=re.escape(said)):
        swept_to(tiny, tmp_path / "out", {key: values})
    assert not (tmp_path / "out").exists()


def test_a_failing_run_stops_no_other_and_is_tried_again(tiny, tmp_path, monkeypatch):
    run = parallel.run

    def failing(plan, **more):
        if plan.seed == 1:
            raise ZeroDivisionError("planned")
        return run(plan, **more)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(parallel, "run", failing)
        with pytest.raises(LocalError, match=r"1 of 3 runs failed"):
            swept_to(tiny, out, {}, (0, 1, 2))
    rows = (out / "runs.jsonl").read_text().splitlines()
    assert [json.loads(row)["seed"] for row in rows] == [0, 2]
    (said,) = (path.read_text() for path in out.glob(f"runs/*/{FAILURE}"))
    assert "seed 1: ZeroDivisionError: planned" in said
    assert "Traceback" in said
    swept_to(tiny, out, {}, (0, 1, 2))
    assert len((out / "runs.jsonl").read_text().splitlines()) == 3
    assert not list(out.glob(f"runs/*/{FAILURE}"))


def test_an_expectation_that_fails_fails_the_sweep(tmp_path):
    path = tmp_path / "strict.toml"
    path.write_text(
        TINY + '[expect]\nup = "4"\n"parts" = "> 1"\n[sweep]\nlearning.fanout = [1, 2]\n'
    )
    with pytest.raises(
        ExpectationError, match=r"2 expectations failed.*parts was expected to be > 1"
    ):
        swept_to(path, tmp_path / "out", {}, None)
    rows = [json.loads(row) for row in (tmp_path / "out/runs.jsonl").read_text().splitlines()]
    assert [row["expect.failed"] for row in rows] == [1, 1]
    assert [row["learning.fanout"] for row in rows] == [1, 2]


def test_parquet_holds_the_same_rows(tiny, swept, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    out = tmp_path / "out"
    shutil.copytree(swept, out)
    swept_to(tiny, out, form="parquet")
    rows = [json.loads(line) for line in (out / "runs.jsonl").read_text().splitlines()]
    assert parquet.read_table(out / "runs.parquet").to_pylist() == rows


def test_a_missing_library_is_named_before_any_work(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("scenarios.sweep.parallel.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"Ray is not installed.*hedgerow\[ray\]"):
        swept_to(tiny, tmp_path / "out", ray="local")
    monkeypatch.setattr("scenarios.sweep.rows.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pyarrow is not installed.*hedgerow\[parquet\]"):
        swept_to(tiny, tmp_path / "out", form="parquet")
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_is_not_there_is_refused_before_any_work(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("scenarios.sweep.parallel.find_spec", lambda name: name)
    with socket.socket() as bound:  # and listens not
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(LocalError, match=r"no Ray cluster answers there \(.*refused"):
            swept_to(tiny, tmp_path / "out", ray=address)
    with pytest.raises(ConfigError, match="write HOST:PORT"):
        swept_to(tiny, tmp_path / "out", ray="nowhere")
    assert not (tmp_path / "out").exists()


def test_ray_gives_the_same_rows(tiny, swept, tmp_path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    arguments = [
        "sweep",
        tiny,
        *GRID,
        "--seeds",
        "0,5",
        "--ray",
        "local",
        "--out",
        tmp_path / "out",
    ]
    subprocess.run(
        [sys.executable, "-m", "node", *map(str, arguments)], cwd=ROOT, env=environment, check=True
    )
    assert (tmp_path / "out/runs.jsonl").read_bytes() == (swept / "runs.jsonl").read_bytes()


def test_several_seeds_have_a_folder_each_and_one_table(tiny, tmp_path):
    done = command("simulate", tiny, "--set", "learning.fanout=2", "--seeds", "3,1",
                   "--out", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "tiny, 2 seeds" in done.output
    found = {path.name: results.load(path) for path in (tmp_path / "out").iterdir()}
    assert {name: run.seed for name, run in found.items()} == {"seed-3": 3, "seed-1": 1}
    assert all(run.spec["learning"]["fanout"] == 2 for run in found.values())
    single = command("simulate", tiny, "--set", "learning.fanout=2", "--seed", 3, "--json")
    assert json.loads(single.stdout)["trace_hash"] == found["seed-3"].trace_hash


def test_expectations_are_judged_for_each_seed(tmp_path):
    path = tmp_path / "strict.toml"
    path.write_text(TINY + '[expect]\n"bytes_per_peer" = "< 1"\n')
    done = command("simulate", path, "--seeds", "0:2")
    assert isinstance(done.exception, ExpectationError)
    assert "2 expectations failed; first: bytes_per_peer with seed 0" in str(done.exception)
    assert done.output.count("FAILS") == 2


def test_a_run_names_its_seed_and_faults_first(tmp_path):
    path = tmp_path / "faulty.toml"
    path.write_text(TINY + '[[event]]\nat = "20 s"\ndo = "crash"\npeers = "1"\n')
    done = command("simulate", path, "--seed", 7)
    first, second, *_ = done.stderr.splitlines()
    assert first == "tiny: 4 peers, seed 7"
    assert second.startswith("  fault: ")
    assert "crash" in second


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "1", "--seeds", "0:2"], "exclude each other"),
        (["--jobs", "2"], "give --seeds as well"),
        (["--engine", "lab", "--trace", "--out", "x"], "--trace: real processes"),
        (["--engine", "lab", "--seeds", "0:2", "--jobs", "2"], "--jobs: the Lab"),
        (["--set", "mesh.pears=3"], "--set: mesh.pears: unknown key, did you mean 'peers'"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(tiny, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("simulate", tiny, *arguments)
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_lists_of_the_command_line_take_the_place_of_the_files(tmp_path):
    path = tmp_path / "lists.toml"
    path.write_text(TINY + "[sweep]\nlearning.fanout = [1, 2]\nlearning.rate = [0.1]\n")
    lists = given_lists(["learning.fanout=3"])
    swept_to(path, tmp_path / "out", lists, (0,))
    (row,) = (tmp_path / "out/runs.jsonl").read_text().splitlines()
    row = json.loads(row)
    assert (row["learning.fanout"], row["learning.rate"]) == (3, 0.1)
    done = command("simulate", path)
    assert "`hedgerow sweep` runs them" in done.stderr
