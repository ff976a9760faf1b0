"""The built wheel: exactly our packages, and it works where nothing else of ours is, nor torch."""

import json
import lzma
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.meta.sources import PACKAGES, ROOT, name_of, ours

COMMANDS = ("demo", "join", "simulate", "status", "topology", "up")


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; its error output is shown when it fails."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of `make wheel`, else one built from this checkout."""
    if named := os.environ.get("HEDGEROW_WHEEL"):
        return (ROOT / named).resolve(strict=True)
    folder = tmp_path_factory.mktemp("dist")
    options = ["--no-isolation", "--wheel", "--outdir", str(folder)]
    run(sys.executable, "-m", "build", *options, ROOT, cwd=folder)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def clean(wheel: Path) -> Iterator[Path]:
    """An environment that holds the wheel and what it needs, in a folder that is then removed."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-wheel-") as folder:
        venv = Path(folder).resolve() / "venv"
        run(sys.executable, ROOT / ".ci/set_up.py", "--venv", venv, "--wheel", wheel, cwd=ROOT)
        yield venv


def test_it_holds_every_file_of_our_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {name_of(path) for path in ours() if name_of(path).split("/")[0] in PACKAGES}
    assert names == expected
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_it_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = {
            name.split(".dist-info/")[1]: archive.read(name).decode()
            for name in archive.namelist()
            if ".dist-info/" in name
        }
    assert set(info) == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert "hedgerow = node.cli:main" in info["entry_points.txt"]
    assert "License-Expression: Apache-2.0\n" in info["METADATA"]
    assert info["licenses/LICENSE"] == (ROOT / "LICENSE").read_text()


@pytest.mark.wheel
def test_the_command_runs(clean: Path, wheel: Path) -> None:
    version = wheel.name.split("-")[1]
    assert version in run(clean / "bin/hedgerow", "--version", cwd=clean)
    text = run(clean / "bin/hedgerow", "--help", cwd=clean)
    assert set(COMMANDS) <= set(re.findall(r"^ +([a-z]+)\b", text, re.MULTILINE)), text


@pytest.mark.wheel
def test_it_measures_and_simulates_from_its_own_files(clean: Path) -> None:
    measured = json.loads(run(clean / "bin/hedgerow", "topology", "ring:8", "--json", cwd=clean))
    assert (measured["nodes"], measured["diameter"]) == (8, 4)
    (scenario,) = clean.glob("lib/python3*/site-packages/scenarios/library/quiet-mesh.toml")
    assert "trace" in run(clean / "bin/hedgerow", "simulate", scenario, cwd=clean)


@contextmanager
def node(*command: str | Path, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A node that runs while the block does; what it says first is how to join it."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("PYTHON")}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=cwd, env=environment, **quiet) as process:
        try:
            yield process
        finally:
            process.terminate()


def status(hedgerow: Path, folder: Path, wanted: str) -> dict[str, Any]:
    """A node's status, once a number of its mesh is no longer zero."""
    deadline = monotonic() + 120
    while monotonic() < deadline:
        with suppress(AssertionError):  # it does not answer yet
            found = json.loads(
                run(hedgerow, "status", "--json", "--state-dir", folder, cwd=folder.parent)
            )
            if found["mesh"][wanted]:
                return dict(found)
    raise AssertionError(f"mesh.{wanted} stayed zero")


@pytest.mark.wheel
def test_without_torch_a_node_learns_and_merges_with_one_that_has_it(
    clean: Path, tmp_path: Path
) -> None:
    packed = ROOT / "scenarios/recordings/hospital-benign.eve.json.xz"
    (tmp_path / "eve.json").write_bytes(lzma.decompress(packed.read_bytes()))
    options = ["--listen", "/ip4/127.0.0.1/tcp/0", "--cycle", "1s", "--sensor", "suricata:eve.json"]
    developers = [sys.executable, "-m", "node"]
    full, lite = tmp_path / "full", tmp_path / "lite"
    with node(*developers, "up", *options, "--state-dir", full, cwd=tmp_path) as first:
        assert first.stdout
        address = next(line for line in first.stdout if "/p2p/" in line).split()[-1]
        joining = [clean / "bin/hedgerow", "join", address, *options, "--state-dir", lite]
        with node(*joining, cwd=tmp_path):
            found = status(clean / "bin/hedgerow", lite, "merges")
            assert found["detector"]["flows_seen"] > 0
            assert found["mesh"]["refusals"] == found["mesh"]["refused_by"] == {}
            assert status(clean / "bin/hedgerow", full, "merges")["mesh"]["refusals"] == {}


@pytest.mark.wheel
def test_asking_for_torch_is_answered_with_where_to_get_it(clean: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "torch.toml"
    scenario.write_text('[mesh]\npeers = 3\nduration = "20 s"\n[learning]\narithmetic = "torch"\n')
    done = subprocess.run(
        [clean / "bin/hedgerow", "simulate", scenario],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'hedgerow[torch]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.wheel
def test_every_module_imports_without_developers_tools(clean: Path) -> None:
    program = (
        "import importlib, pkgutil\n"
        f"for name in {PACKAGES!r}:\n"
        "    package = importlib.import_module(name)\n"
        "    print(package.__file__)\n"
        "    for module in pkgutil.walk_packages(package.__path__, name + '.'):\n"
        "        if not module.name.endswith(('__main__', 'in_torch')):\n"
        "            importlib.import_module(module.name)\n"
    )
    files = run(clean / "bin/python", "-c", program, cwd=clean).split()
    assert len(files) == len(PACKAGES)
    assert all(Path(file).is_relative_to(clean) for file in files)


@pytest.mark.wheel
def test_neither_our_tests_nor_our_tools_come_along(clean: Path) -> None:
    program = (
        "import importlib.util\n"
        "for name in ('tests', 'pytest', 'hypothesis', 'coverage', 'importlinter', 'torch'):\n"
        "    if importlib.util.find_spec(name): print(name)\n"
    )
    assert run(clean / "bin/python", "-c", program, cwd=clean).split() == []


@pytest.mark.wheel
def test_only_the_known_deviation_from_metadata_remains(clean: Path) -> None:
    done = subprocess.run(
        [clean / "bin/python", "-m", "pip", "check"],
        cwd=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stdout.splitlines() if "fastecdsa" not in line]
    assert complaints in ([], ["No broken requirements found."])
