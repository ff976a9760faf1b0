"""The set-up: which Python, which packages, and what it says in trouble."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.meta.sources import ROOT


@pytest.fixture(scope="module")
def set_up() -> ModuleType:
    spec = importlib.util.spec_from_file_location("set_up", ROOT / ".ci" / "set_up.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def find_python(**environment: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(ROOT / ".ci" / "find-python")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_python_named_is_the_python_taken() -> None:
    found = find_python(PYTHON=sys.executable, PATH=os.environ["PATH"])
    assert (found.returncode, found.stdout.strip()) == (0, sys.executable)


def test_an_old_python_is_refused_by_name(tmp_path: Path) -> None:
    old = program(tmp_path / "old", '[ "$1" = --version ] && echo Python 3.9.2 && exit 0; exit 1')
    found = find_python(PYTHON=str(old), PATH=os.environ["PATH"])
    assert found.returncode == 1
    assert f"PYTHON={old} is not a Python 3.11 or newer (Python 3.9.2)." in found.stderr


def test_a_machine_with_an_old_python_only_is_told_what_to_do(tmp_path: Path) -> None:
    program(tmp_path / "python3", '[ "$1" = --version ] && echo Python 3.9.2 && exit 0; exit 1')
    found = find_python(PATH=str(tmp_path))
    assert found.returncode == 1
    assert "needs Python 3.11 or newer; python3 here is Python 3.9.2" in found.stderr
    assert "make PYTHON=" in found.stderr


def test_a_newer_python_under_another_name_is_found(tmp_path: Path) -> None:
    program(tmp_path / "python3", "exit 1")
    program(tmp_path / "python3.12", "exit 0")
    found = find_python(PATH=str(tmp_path))
    assert found.stdout.strip() == str(tmp_path / "python3.12")


def test_a_python_without_venv_is_explained(
    set_up: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lame = program(tmp_path / "python", "echo No module named venv >&2; exit 1")
    monkeypatch.setattr(sys, "executable", str(lame))
    with pytest.raises(set_up.SetUpError, match=r"apt install python3\.\d+-venv") as raised:
        set_up.create(tmp_path / "venv")
    assert "No module named venv" in str(raised.value)


def test_pip_failing_shows_its_last_words(set_up: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "python", "echo no such package; exit 3")
    with pytest.raises(set_up.SetUpError, match="status 3; its last words:\nno such package"):
        set_up.pip(tmp_path, tmp_path / "log", "install", "nothing")
    assert (tmp_path / "log").read_text() == "no such package\n"


def test_developers_tools_are_left_out_for_users(set_up: ModuleType) -> None:
    everything, runtime = set_up.locked(with_tools=True), set_up.locked(with_tools=False)
    names = {package.split("==")[0] for package in runtime}
    assert set(runtime) < set(everything)
    assert {"libp2p", "numpy"} <= names
    assert not {"pytest", "ruff", "hypothesis"} & names


def test_users_get_no_torch_nor_what_only_torch_needs(set_up: ModuleType) -> None:
    users = {package.split("==")[0] for package in set_up.locked(with_tools=False)}
    developers = {package.split("==")[0] for package in set_up.locked(with_tools=True)}
    assert {"torch", "sympy"} <= developers - users


def test_a_venv_that_matches_is_left_alone(set_up: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "python", "exit 9")  # would fail if it were run
    stamp = tmp_path / "hedgerow-set-up.txt"
    stamp.write_text(f"{tmp_path}\n{set_up.fingerprint(None)}\n")
    set_up.prepare(tmp_path, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "hedgerow-set-up.txt"]
