"""Whole runs of the Lab: real processes, killed, left and started again."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from gossip.errors import LocalError
from scenarios.lab.run import run_lab
from scenarios.lab.scratch import scratch
from scenarios.runs.simulate import Progress
from tests.lab.scenes import plan

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0  # when a wait is given up for good; nothing that works comes near it
LOOK_S = 0.02

FILE = """
[mesh]
peers = 3
duration = "10 min"
cycle = "500 ms"
[data]
rows = 60
features = 20
[churn]
join_over = "0 s"
[learning]
evaluate = "1 s"
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def pids(temporary: Path) -> list[int]:
    """Of the peers that have opened their state folders."""
    locks = temporary.glob("hedgerow-lab-*/peer-*/lock")
    return [int(text) for lock in locks if (text := lock.read_text().strip())]


def test_what_is_stored_outlives_a_crash_and_what_is_not_does_not(temporary):
    """Nobody hears of anybody, so that a peer knows what it learnt by itself."""
    seen: list[Progress] = []
    events = [
        {"at": "4 s", "do": "crash", "peers": "0,1"},
        {"at": "4500 ms", "do": "leave", "peers": "2"},
        {"at": "5200 ms", "do": "return", "peers": "0"},
        {"at": "5200 ms", "do": "return-fresh", "peers": "1"},
    ]
    made = plan(
        mesh={"peers": 4, "duration": "6 s"},
        data={"separation": 1.0},
        links={"rule": [{"drop": "100 %"}]},
        learning={"rate": 0.004, "evaluate": "1 s"},
        event=events,
    )
    result = run_lab(made, seen.append)
    assert (result.engine, result.complete, result.trace_hash) == ("lab", True, "")
    assert [sample.up for sample in result.samples] == [4, 4, 4, 2, 1, 3]
    last = {row.peer: row.judgement for row in result.judged if row.at_us == 6_000_000}
    assert sorted(last) == [0, 1, 3]
    before = {row.peer: row.judgement.accuracy for row in result.judged if row.at_us == 3_000_000}
    assert last[0].accuracy > before[0] - 0.05
    assert last[1].accuracy < min(last[0].accuracy, before[1])
    assert result.frames["delivered"] == 0
    assert result.frames["dropped"] > 0
    assert result.cycles >= result.trainings > 0
    assert seen[-1].up == 3
    assert list(temporary.iterdir()) == []


def test_peers_learn_from_their_neighbours_in_a_fixed_topology():
    result = run_lab(plan(mesh={"topology": "ring:5"}))
    first, last = result.samples[0], result.samples[-1]
    assert (last.up, last.parts) == (5, 1)
    assert last.metrics["accuracy"].mean > first.metrics["accuracy"].mean
    assert result.topics["merged"] > 0
    assert result.frames["delivered"] > 0
    assert all(result.bytes_sent)
    assert all(wire > sent for wire, sent in zip(result.wire_sent, result.bytes_sent, strict=True))
    assert sum(result.bytes_received) > 0.9 * sum(result.bytes_sent)
    assert result.versions["network"] in {"namespaces", "loopback"}


def test_a_peer_that_ends_by_itself_ends_the_run_and_says_why(temporary):
    def strike(progress: Progress) -> None:
        for pid in pids(temporary)[:1] if progress.now_us > 1_000_000 else []:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(LocalError, match=r"the process of peer \d ended"):
        run_lab(plan(mesh={"duration": "1 min"}), strike)
    assert list(temporary.iterdir()) == []


@contextmanager
def command(tmp_path: Path, temporary: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`hedgerow simulate --engine lab`, with three peers up."""
    (tmp_path / "lab.toml").write_text(FILE)
    words = ["simulate", "lab.toml", "--engine", "lab", "--out", "out"]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "node", *words],
            cwd=tmp_path,
            env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        wait_until(lambda: len(pids(temporary)) == 3 or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "errors").read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(holds) -> None:
    deadline = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < deadline
        sleep(LOOK_S)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_an_interrupted_run_keeps_what_it_has_and_leaves_nothing_behind(tmp_path, temporary):
    with command(tmp_path, temporary) as process:
        peers = pids(temporary)
        process.terminate()
        process.wait(PATIENCE_S)
    assert "Traceback" not in (tmp_path / "errors").read_text()
    assert (tmp_path / "out" / "result.json").exists()
    assert all(gone(pid) for pid in peers)
    assert list(temporary.iterdir()) == []


def test_a_killed_run_takes_its_processes_along_and_the_next_one_tidies_up(tmp_path, temporary):
    with command(tmp_path, temporary) as process:
        peers = pids(temporary)
        process.kill()
        wait_until(lambda: all(gone(pid) for pid in peers))
    (left,) = temporary.iterdir()
    with scratch():
        assert not left.exists()
