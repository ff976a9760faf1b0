"""What is deployed from docs/deploy: a unit that systemd takes and finds tight, a lean image."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
EXPOSURE_MAX = 1.5  # of 10; measured with systemd 252: 1.2. docs/operate.md says what is left
ANALYZE = shutil.which("systemd-analyze")

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed here")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@needs_systemd
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "hedgerow.service").read_text()
    unit = tmp_path / "hedgerow.service"
    unit.write_text(text.replace("/opt/hedgerow/bin/hedgerow", sys.executable))
    ran = analyze("verify", "--man=no", str(unit))
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""


@needs_systemd
def test_the_unit_leaves_little_exposed() -> None:
    ran = analyze("security", "--offline=true", "--no-pager", str(DEPLOY / "hedgerow.service"))
    found = re.search(r"Overall exposure level for hedgerow.service: ([0-9.]+)", ran.stdout)
    if found is None:
        pytest.skip(f"this systemd cannot look at a file: {ran.stderr.strip()}")
    assert float(found[1]) <= EXPOSURE_MAX, ran.stdout


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [
        (word, rest.strip())
        for word, _, rest in (
            line.partition(" ") for line in lines.replace("\\\n", " ").splitlines() if line
        )
    ]


def test_the_image_is_lean_and_not_roots() -> None:
    found = instructions()
    words = [word for word, _ in found]
    stages = [at for at, word in enumerate(words) if word == "FROM"]
    assert len(stages) == 2, "what builds is left behind"
    last = found[stages[-1] :]
    assert all(re.search(r":\d", rest) for word, rest in found if word == "FROM"), "a release each"
    runs = " ".join(rest for word, rest in last if word == "RUN")
    assert not re.search(r"\b(pip|apt|apt-get|gcc|curl)\b", runs)
    assert dict(last)["USER"] not in {"root", "0"}
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert "hedgerow" in dict(last)["HEALTHCHECK"]
    assert not any(word == "ADD" for word in words)


def test_the_image_holds_what_the_wheel_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    sources = {
        name
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for name in rest.split()[:-1]
    }
    assert packages <= sources
    assert {project["project"]["readme"], *project["project"]["license-files"]} <= sources
    assert all((ROOT / name).exists() for name in sources)
