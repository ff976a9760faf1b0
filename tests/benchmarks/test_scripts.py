"""Each benchmark, at its smallest: it runs, and says in JSON what it measured."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.scenarios.published import nsl_row, write

QUICK = ("--repeats", "1", "--seconds", "0.001")
SMALLEST: dict[str, tuple[str, ...]] = {
    "codec": QUICK,
    "cycle": (*QUICK, "--lines", "1500"),
    "distributed": ("--repeats", "1", "--seconds", "0.001"),
    "footprint": ("--repeats", "1", "--only", "sizes"),
    "features": (*QUICK, "--lines", "1500"),
    "lab": (
        *("--repeats", "1", "--peers", "3", "--duration-s", "3", "--cycle-s", "0.5"),
        *("--only", "quiet-mesh"),
    ),
    "merge": QUICK,
    "mesh": ("--repeats", "1", "--nodes", "2", "--cycles", "1", "--idle-s", "0.3"),
    "world": (
        *("--repeats", "1", "--peers", "3", "--model", "lr", "--cycles", "1"),
        *("--skip", "gossipy"),  # it would be installed first
    ),
}


@cache
def run(script: str, *options: str) -> str:
    """What it printed; two tests look at one run of the mesh."""
    command = [sys.executable, f"benchmarks/{script}.py", *options]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def figures(document: dict[str, Any]) -> list[float]:
    """The median of everything that was measured."""
    cells = [cell for row in document["rows"] for cell in row.values()]
    return [cell["median"] for cell in cells if isinstance(cell, dict)]


def test_every_script_is_run_here() -> None:
    # As `make bench` finds them.
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py")}
    others = {
        *("baselines", "budget", "flood", "guard", "immunity", "incidents", "sensors"),
        *("tolerance", "unequal"),
    }
    assert scripts == {*SMALLEST, *others}


@pytest.mark.parametrize("script", SMALLEST)
def test_a_script_says_what_it_measured_and_where(script: str) -> None:
    document = json.loads(run(script, *SMALLEST[script], "--json"))
    assert document["benchmark"] == script
    assert {"date", "cores", "load", "hedgerow", "numpy", "torch"} <= set(document["conditions"])
    assert document["options"]["repeats"] == 1
    assert figures(document)
    assert all(value >= 0.0 for value in figures(document))


def test_people_get_a_table() -> None:
    lines = run("codec", *QUICK).splitlines()
    assert lines[0].startswith("codec: ")
    assert [line.split()[0] for line in lines[2:5]] == ["float32", "float16", "int8"]


def test_a_mesh_really_trains_and_exchanges() -> None:
    document = json.loads(run("mesh", *SMALLEST["mesh"], "--json"))
    found = {row["what"]: row["value"]["median"] for row in document["rows"]}
    assert found["models merged, a node and cycle"] > 0
    assert found["wire / payload"] > 1
    assert found["idle: connections a node"] == 1


def test_baselines_set_every_method_beside_gossip(tmp_path: Path) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text(
        '[mesh]\npeers = 4\nduration = "30 s"\ntopology = "complete:4"\n'
        "[data]\nrows = 200\nfeatures = 3\n"
    )
    options = ("--repeats", "1", "--scenario", str(scenario), "--out", str(tmp_path / "out"))
    document = json.loads(run("baselines", *options, "--json"))
    rows = next(iter(document["tables"].values()))
    assert len(rows) == 8
    assert all(float(row["auc mean"]) > 0.0 for row in rows)


def test_immunity_sets_its_arms_side_by_side_where_it_has_the_data(tmp_path: Path) -> None:
    assert "skipped" in run("immunity")
    attacks = [
        "neptune",
        "satan",
        "ipsweep",
        "portsweep",
        "smurf",
        "nmap",
        "back",
        "teardrop",
        "warezclient",
    ]
    rows = [nsl_row("normal", service=("http", "ftp")[number % 2]) for number in range(1_400)]
    for place, name in enumerate(attacks):
        service = ("http", "ftp")[place % 2]
        rows += [nsl_row(name, service=service, src_bytes=9**place + n) for n in range(100)]
    write(tmp_path / "KDDTrain+_20Percent.txt", *rows)
    options = (
        "--repeats",
        "1",
        "--peers",
        "4",
        "--families",
        "back",
        "--arms",
        "antigens",
        "ceiling",
        "--jobs",
        "2",
    )
    document = json.loads(run("immunity", str(tmp_path), *options, "--json"))
    rows = {row["arm"]: row for row in document["rows"]}
    assert rows.keys() == {"antigens", "ceiling"}
    assert rows["ceiling"]["+10 share"] == 1.0
    assert rows["antigens"]["MB"] > rows["ceiling"]["MB"] > 0.0
    document = json.loads(run("tolerance", str(tmp_path), *options[:4], "--json"))
    refused = {row["antigen"]: row["quarantined"] for row in document["rows"]}
    assert refused["mimic of the receiver's own benign traffic"] == 1.0
    assert len([what for what in refused if what.startswith("true: ")]) == len(attacks)


def test_every_part_of_the_budget_makes_its_tables_from_made_up_rows() -> None:
    options = ("--data", "made-up", "--repeats", "1", "--splits", "1", "--peers", "8")
    parts = ("--part", "all", "--trials", "1")
    document = json.loads(run("budget", *options, *parts, "--json"))
    tables: dict[str, list[dict[str, Any]]] = {}
    for row in document["rows"]:
        tables.setdefault(next(iter(row)), []).append(row)
    assert len(tables) == 12
    rules = {(row["own rows"], row["rule"]): row for row in tables["thresholds"]}
    assert rules[50, "split conformal"]["silent %"] == 100
    assert rules[50, "borrowed"]["silent %"] == 100  # so few have too little to lend
    assert rules[168, "borrowed"]["silent %"] == 0
    assert 0 < rules[168, "oracle"]["alarms %"] < 3
    assert rules[168, "oracle"]["found"] > rules[168, "split conformal"]["found"] > 0
    shifts = {(row["way"], row["lie"], row["say"]): row["level's shift"] for row in tables["liars"]}
    assert shifts["push-sum as in the paper", 1, "too much"] > shifts["ours", 1, "too much"] > 0
    found = {(row["rule"], row["attack flows %"]): row["found"] for row in tables["contamination"]}
    assert found["borrowed", 0.0] > found["borrowed", 5.0]
    assert tables["changes"][0]["alarms 1% to 10%"] < 2_000


def test_unequal_hosts_are_judged_alone_together_and_pooled(tmp_path: Path) -> None:
    assert "skipped" in run("unequal")
    rng = np.random.default_rng(1)
    y = np.tile(np.repeat([0, 1], 150), 4)
    client = np.repeat(np.arange(4), 300)
    x = rng.normal(10.0 + client[:, None], 1.0, (1_200, 115)) + 6 * y[:, None]
    np.savez(tmp_path / "small.npz", X=x, y=y, client=client)
    options = ("--repeats", "1", "--cycles", "10", "--arms", "pooled", "local only")
    wanted = ("all, a liar", "all, quasi-global", "all, means", "all, benign told")
    document = json.loads(run("unequal", str(tmp_path), *options, *wanted, "--json"))
    arms = {row["arm"]: row for row in document["rows"] if "arm" in row}
    hosts = {row["host"]: row for row in document["rows"] if "host" in row}
    assert arms.keys() == {"pooled", "local only", *wanted}
    assert arms["pooled"]["mean"] > 0.9
    assert all(0.3 < row["worst"] <= row["mean"] <= 1.0 for row in arms.values())
    assert arms["all, a liar"]["MB"] > arms["local only"]["MB"] > arms["pooled"]["MB"] == 0.0
    assert len(hosts) == 4
    assert all(0.3 < row["local only"] <= 1.0 for row in hosts.values())


def test_the_guard_is_measured_with_a_fault_and_without_itself() -> None:
    options = ("--seeds", "0", "--faults", "half", "--sites", "factory")
    options += ("--lasts", "8", "--no-attack")
    deaf, acts = json.loads(run("guard", *options, "--json"))["rows"]
    assert (deaf["guard"], acts["guard"]) == ("deaf", "acts")
    assert (deaf["fell back"], acts["fell back"]) == (0, 2)
    assert acts["worst, %"]["median"] < 0.75 * deaf["worst, %"]["median"]
