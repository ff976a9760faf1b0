"""Whole runs with the real peer: repeatability, convergence, crashes, partitions."""

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from gossip.actions import Report, Topic
from gossip.errors import ConfigError, StateError
from node.config.tables import from_table
from scenarios.measures.measure import consensus_distance
from scenarios.plan.plan import make_plan
from scenarios.runs import show
from scenarios.runs.results import save, whole_file
from scenarios.runs.show import simulate_file
from scenarios.runs.simulate import run_stage, set_up, simulate
from scenarios.runs.tracing import trace_file
from scenarios.spec.scenario import Scenario, read
from scenarios.world.world import World

SECOND_US = 1_000_000
ROOT = Path(__file__).parents[2]
QUIET = Console(file=StringIO())


def scenario(peers: int = 24, seconds: int = 200, **tables) -> Scenario:
    """Small and in numpy alone, so that a run takes about a second."""
    mesh = {"peers": peers, "duration": f"{seconds} s"} | tables.pop("mesh", {})
    data = {"rows": 40, "features": 12, "classes": 3, "separation": 0.8}
    learning = {"arithmetic": "numpy", "steps": 2, "batch": 16, "evaluate": "50 s"}
    learning |= tables.pop("learning", {})
    table = {"mesh": mesh, "data": data | tables.pop("data", {}), "learning": learning, **tables}
    return from_table(Scenario, table, "test")


CHANGING = {
    "links": {
        "latency": "lognormal(60 ms, 0.5)",
        "rule": [{"drop": "5 %"}, {"senders": "0:9", "latency": "80 ms", "kbit_per_s": 64.0}],
    },
    "churn": {"restless": "0:12", "up": "exponential(60 s)", "away": "exponential(20 s)"},
    "event": [
        {"at": "50 s", "do": "crash", "peers": "30 %"},
        {"at": "120 s", "do": "return", "peers": "all"},
        {"at": "130 s", "do": "leave", "peers": "3"},
        {"at": "140 s", "do": "return-fresh", "peers": "3"},
    ],
}


def hash_in_another_process(hash_seed: str) -> str:
    code = (
        "from tests.scenarios.test_simulate import *;"
        "print(simulate(scenario(seconds=150, **CHANGING)).trace_hash)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True,
        text=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_what_serves_is_a_moving_average_over_trainings_and_changes_nothing_else():
    silent = {"links": {"rule": [{"drop": "100 %"}]}}
    plain, served = (
        set_up(make_plan(scenario(2, 60, learning={"serve": past}, **silent))) for past in (0, 0.5)
    )
    expected, trainings = None, 0
    for now_us in range(SECOND_US // 10, 60 * SECOND_US, SECOND_US // 10):
        plain.world.run(now_us)
        served.world.run(now_us)
        if (
            plain.world.hosts[0].machine is None
            or plain.world.hosts[0].machine.ages[0] == trainings
        ):
            continue
        trainings = plain.world.hosts[0].machine.ages[0]
        now = plain.world.whole_vector(0).copy()
        expected = now if expected is None else 0.5 * expected + 0.5 * now
        np.testing.assert_allclose(served.world.whole_vector(0), expected, rtol=1e-5, atol=1e-7)
    assert trainings > 5
    assert plain.world.trace.digest == served.world.trace.digest


def test_two_processes_with_different_hash_seeds_give_one_trace():
    assert hash_in_another_process("1") == hash_in_another_process("4242")


def test_a_seed_repeats_a_run_and_another_does_not():
    first, again = (simulate(scenario(seconds=150, **CHANGING)) for _ in range(2))
    # NaN is not equal to itself, so what is compared is the text.
    assert _without_time(first) == _without_time(again)
    assert simulate(scenario(seconds=150, **CHANGING), seed=2).trace_hash != first.trace_hash
    assert first.topics["merged"] > 100


def _without_time(result) -> dict:
    return {**json.loads(result.as_json()), "wall_s": None}


def test_measuring_and_watching_change_nothing():
    quiet = simulate(scenario(learning={"evaluate": "0 s"}))
    seen = []
    watched = simulate(scenario(learning={"evaluate": "7 s"}), progress=seen.append)
    assert watched.trace_hash == quiet.trace_hash
    assert len(quiet.samples) == 1
    assert len(watched.samples) == 29
    assert [each.now_us for each in seen] == sorted(each.now_us for each in seen)
    assert seen[-1].now_us == seen[-1].end_us
    assert seen[-1].cycles == watched.cycles


@pytest.mark.parametrize(
    ("exchange", "topology"),
    [("age", "sampling"), ("epidemic", "regular:24,degree=4"), ("pairwise", "sampling")],
)
def test_postponed_training_is_exact(exchange, topology):
    learning = {"exchange": exchange, "train": "4 s"}
    given = scenario(seconds=160, mesh={"topology": topology}, learning=learning, **CHANGING)
    worlds = [
        set_up(make_plan(given), postpone=True),
        set_up(make_plan(given), postpone=False),
    ]
    results = [run_stage(stage) for stage in worlds]
    assert results[0].trace_hash == results[1].trace_hash
    assert worlds[0].trainer.calls < worlds[1].trainer.calls / 1.5
    together, alone = (stage.world.alive() for stage in worlds)
    for (index, machine), (other, twin) in zip(together, alone, strict=True):
        assert index == other
        np.testing.assert_array_equal(machine.vector, twin.vector)


def test_peers_learn_and_come_to_agree():
    given = scenario(seconds=400, learning={"rate": 0.1})
    alone = scenario(seconds=400, learning={"rate": 0.1}, links={"rule": [{"drop": "100 %"}]})
    mesh, loners = simulate(given), simulate(alone)
    first, last = mesh.samples[0], mesh.samples[-1]
    assert last.parts == 1
    assert last.metrics["accuracy"].mean > first.metrics["accuracy"].mean + 0.1
    assert last.metrics["accuracy"].worst > 0.8
    # What is left of the distance is one training step's; without exchange it only grows.
    assert last.consensus < 0.25 * loners.samples[-1].consensus
    assert loners.topics.get("merged", 0) == 0
    assert mesh.samples[-1].metrics["accuracy"].mean > loners.samples[-1].metrics["accuracy"].mean


def test_without_training_consensus_shrinks_towards_nothing():
    """Models that only travel: everybody starts elsewhere and ends at one point."""
    given = scenario(learning={"exchange": "pairwise", "rate": 1e-6})
    stage = set_up(make_plan(given))
    world = stage.world
    world.run(20 * SECOND_US)
    for _, machine in world.alive():
        machine._model.vector += np.float32(number(machine.me.peer) % 7)
    before = consensus_distance([machine for _, machine in world.alive()])
    world.run(300 * SECOND_US)
    assert consensus_distance([machine for _, machine in world.alive()]) < 0.1 * before


def number(name: str) -> int:
    return int(name[1:].partition("-")[0])


def cycles_of(world: World) -> list[int]:
    return [machine.cycle for _, machine in world.alive()]


@pytest.mark.parametrize("topology", ["sampling", "regular:24,degree=6"])
def test_a_crash_of_a_third_leaves_the_rest_learning(topology):
    event = [{"at": "200 s", "do": "crash", "peers": "30 %"}]
    given = scenario(seconds=500, mesh={"topology": topology}, event=event)
    stage = set_up(make_plan(given))
    world = stage.world
    world.run(199 * SECOND_US)
    merged_before = world.tally.topics.total()
    before = dict(zip([index for index, _ in world.alive()], cycles_of(world), strict=True))
    result = run_stage(stage)
    left = world.alive()
    assert len(left) == 24 - 7
    # Periods of 10 s with 10 % jitter: 300 s are 27 to 33 cycles for everybody who is left.
    grown = [machine.cycle - before[index] for index, machine in left]
    assert min(grown) >= 27
    assert world.tally.topics.total() > merged_before
    assert (
        result.samples[-1].metrics["accuracy"].mean
        > result.samples[2].metrics["accuracy"].mean - 0.02
    )
    gone = {host.contact.peer for host in world.hosts if host.machine is None}
    if topology == "sampling":
        known = [contact.peer for _, each in left for contact in each.view]
        assert sum(peer in gone for peer in known) < 0.2 * len(known)  # it was 0.3


def test_a_partition_separates_and_heals():
    split = {"start": "100 s", "end": "300 s", "sides": ["0:12"]}
    given = scenario(seconds=500, mesh={"view_size": 8}, links={"partition": [split]})
    crossings: list[tuple[int, int]] = []

    def listen(now_us: int, index: int, report: Report) -> None:
        if report.topic is Topic.MERGED and (number(report.peer) < 12) != (index < 12):
            crossings.append((now_us // SECOND_US, index))

    result = run_stage(set_up(make_plan(given), listen=listen))
    before = {index for second, index in crossings if second < 100}
    during = [second for second, _ in crossings if 101 <= second < 300]
    after = {index for second, index in crossings if second >= 300}
    assert len(before) > 12
    assert during == []  # 1 s after the start nothing is on its way any more
    assert after == set(range(24))
    assert [(sample.at_us // SECOND_US, sample.parts) for sample in result.samples] == [
        (50, 1), (100, 2), (150, 2), (200, 2), (250, 2), (300, 2), (350, 1), (400, 1),
        (450, 1), (500, 1),
    ]  # fmt: skip


def test_slow_and_dead_neighbours_hold_nobody_up():
    """Half the peers are dead or crawl; the others' cycles and trainings go on at full pace."""
    slow_links = {"receivers": "6:12", "latency": "30 s", "kbit_per_s": 1.0, "shared": "all"}
    given = scenario(
        peers=18,
        seconds=400,
        mesh={
            "topology": "complete:18",
            "device": [{"name": "slow", "peers": "6:12", "speed": 1 / 60}],
        },
        links={"rule": [slow_links]},
        event=[{"at": "20 s", "do": "crash", "peers": "12:18"}],
    )
    stage = set_up(make_plan(given))
    result = run_stage(stage)
    healthy = [machine.cycle for index, machine in stage.world.alive() if index < 6]
    assert min(healthy) >= 35
    assert (
        result.samples[-1].metrics["accuracy"].mean
        > result.samples[0].metrics["accuracy"].mean + 0.1
    )
    for host in stage.world.hosts:
        assert all(len(waiting) <= 4 for waiting in host.outboxes.values())


def test_everybody_joins_over_a_span_and_bytes_add_up():
    result = simulate(scenario(churn={"join_over": "100 s"}))
    assert result.samples[0].up < 24
    assert result.samples[-1].up == 24
    assert result.topics["joined"] == 24
    delivered = sum(result.bytes_received)
    assert 0 < delivered <= sum(result.bytes_sent)
    assert result.samples[-1].bytes_sent == sum(result.bytes_sent)


def test_unlabelled_peers_get_no_training_but_the_models_of_others():
    given = scenario(data={"labelled": "0:12"}, learning={"rate": 0.2})
    result = simulate(given)
    assert result.samples[-1].metrics["accuracy"].worst > 0.7


def test_result_and_trace_files_are_whole(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text('title = "small"\n[mesh]\npeers = 4\nduration = "60 s"\n[learning]\n'
                    'arithmetic = "numpy"\n[data]\nfeatures = 4\n')  # fmt: skip
    console, notes = Console(file=StringIO(), width=80), Console(file=StringIO(), width=80)
    out = tmp_path / "out"
    result = simulate_file(path, seed=7, out=out, trace=True, console=console, notes=notes)
    stored = json.loads((out / "result.json").read_text())
    assert stored["seed"] == 7
    assert stored["spec"]["mesh"]["seed"] == 7
    assert stored["versions"]["numpy"] == np.__version__
    again = from_table(Scenario, stored["spec"], "stored")
    assert again == replace(read(path), mesh=replace(read(path).mesh, seed=7))
    assert simulate(again).trace_hash == stored["trace_hash"] == result.trace_hash
    lines = (out / "trace.jsonl").read_text().splitlines()
    assert len(lines) == stored["trace_events"]
    assert json.loads(lines[0]).keys() == {"us", "peer", "event", "bytes", "crc32"}
    text = console.file.getvalue()
    assert "small, seed 7" in text
    assert "…" not in text
    assert result.trace_hash in text
    assert sorted(entry.name for entry in out.iterdir()) == [
        "mesh.jsonl", "peers.jsonl", "result.json", "trace.jsonl",
    ]  # fmt: skip


def test_json_output_is_the_result_alone(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text('[mesh]\npeers = 3\nduration = "30 s"\n[learning]\narithmetic = "numpy"\n')
    console, notes = Console(file=StringIO()), Console(file=StringIO())
    simulate_file(path, as_json=True, console=console, notes=notes)
    assert json.loads(console.file.getvalue())["trace_events"] > 0


def test_an_interrupt_leaves_no_half_file_and_keeps_an_old_one(tmp_path):
    path = tmp_path / "deep" / "trace.jsonl"
    with whole_file(path) as stream:
        stream.write("old")

    def interrupted() -> None:
        with whole_file(path) as new:
            new.write("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kept_as", [whole_file, partial(trace_file, keep=Path("none"))])
def test_a_file_answers_for_its_own_faults_alone(tmp_path, kept_as):
    def piped() -> None:
        with kept_as(tmp_path / "mine") as stream:
            stream.write("half")
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        piped()
    assert list(tmp_path.iterdir()) == []

    def filled() -> None:
        with kept_as(tmp_path / "mine") as stream:
            stream.write("x" * 100_000)  # more than a buffer

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(StateError, match=r"mine: cannot be written \(File too large\)"):
            filled()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="file"):
        save(simulate(scenario(peers=2, seconds=20)), tmp_path / "file")


@pytest.mark.parametrize("trace", [False, True])
def test_a_folder_that_cannot_be_written_is_noticed_before_the_run(tmp_path, monkeypatch, trace):
    path = tmp_path / "small.toml"
    path.write_text('[mesh]\npeers = 3\nduration = "30 s"\n[learning]\narithmetic = "numpy"\n')
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(show, "run", lambda *_, **__: pytest.fail("the run began"))
    with pytest.raises(StateError, match=r"file.*: cannot be written .*--out") as caught:
        simulate_file(path, out=tmp_path / "file" / "out", trace=trace, notes=QUIET)
    assert "\n" not in str(caught.value)
    with pytest.raises(StateError, match="--out"):
        simulate_file(path, out=tmp_path / "file", trace=trace, notes=QUIET)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ConfigError, match=f"seed is {seed}; it must be 0 or more"):
        simulate(scenario(peers=2, seconds=20), seed)


def test_a_bad_file_does_no_work(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('[mesh]\npeers = 4\nduration = "60 s"\n[[event]]\nat = "2 h"\ndo = "crash"\n'
                    'peers = "1"\n')  # fmt: skip
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"bad\.toml: event\[1\]\.at"):
        simulate_file(path, out=out, trace=True, console=QUIET, notes=QUIET)
    assert not out.exists()
