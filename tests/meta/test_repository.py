"""What holds for the whole repository: sizes, paths, the lock file, the commands in the docs."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tests.meta.sources import PACKAGES, ROOT, modules, name_of, ours

LINES_MAX = 500
DATA_BYTES_MAX = 5_000_000  # what the packages may carry beside their code


def texts() -> list[tuple[str, str]]:
    """Name and text of every text file of the repository."""
    found = []
    for path in ours():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            found.append((name_of(path), content.decode("utf-8", errors="replace")))
    assert found
    return found


def targets() -> set[str]:
    declared = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared
    return set(declared[1].split())


def lock(*, tools: bool = True) -> dict[NormalizedName, str]:
    """Name to version; without `tools` only what users install."""
    text = (ROOT / "requirements.lock").read_text()
    parted = (line.partition("#") for line in text.split("\n"))
    lines = (line for line, _, mark in parted if tools or mark.strip() != "dev")
    found: dict[NormalizedName, str] = {}
    for line in filter(None, map(str.strip, lines)):
        name, _, version = line.partition("==")
        assert version, f"{line!r} is not an exact version"
        found[canonicalize_name(name)] = version
    return found


def test_no_file_is_too_long_to_read_in_one_go() -> None:
    long = {
        name_of(path): lines
        for path in modules(*PACKAGES, "tests", "benchmarks")
        if (lines := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert not long


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    here = {str(ROOT), str(ROOT.parent), str(Path.home()), sys.base_prefix}
    # A checkout in / or a home called /root or /app would be found in honest prose.
    places = {re.escape(place) + r"\b" for place in here if place.count("/") > 1}
    pattern = re.compile("|".join([*sorted(places), r"/(?:home|Users)/[a-z]\w*/"]))
    wrong = {name: found[0] for name, text in texts() if (found := pattern.search(text))}
    assert not wrong


def test_only_tests_know_of_the_data_beside_the_checkout() -> None:
    beside = "../" + "shared"
    wrong = [name for name, text in texts() if beside in text and not name.startswith("tests/")]
    assert not wrong


def test_the_packages_carry_little_data() -> None:
    data = {
        name_of(path): path.stat().st_size
        for path in ours()
        if name_of(path).split("/")[0] in PACKAGES and path.suffix != ".py"
    }
    assert sum(data.values()) <= DATA_BYTES_MAX, data


def test_the_lock_file_satisfies_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    locked = lock()
    # Extras are locked where they are tested. What a developer has is what users get.
    wanted += [
        text
        for extra in project["project"]["optional-dependencies"].values()
        for text in extra
        if canonicalize_name(Requirement(text).name) in locked
    ]
    wrong = [
        f"{text}, locked: {locked.get(canonicalize_name(requirement.name))}"
        for text in wanted
        if (requirement := Requirement(text))
        and not requirement.specifier.contains(
            locked.get(canonicalize_name(requirement.name), "0"), prereleases=True
        )
    ]
    assert not wrong, "run `make lock`"


def test_the_lock_file_fits_every_machine() -> None:
    local = {name: version for name, version in lock().items() if "+" in version or "@" in version}
    assert not local, "a version with a local part, such as +cpu, exists on some indexes only"


def test_make_explains_every_command() -> None:
    makefile = (ROOT / "Makefile").read_text()
    explained = set(re.findall(r"^([a-z]+):.* ## .+$", makefile, re.MULTILINE))
    assert explained == targets()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_in_the_docs_exists(page: str) -> None:
    code = re.findall(r"(?ms)^```.*?^```|`[^`\n]+`|^ {4}[^\n]+$", (ROOT / page).read_text())
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(code)))
    assert named
    assert named <= targets()


def test_ci_checks_everything() -> None:
    checked = re.findall(r"(?m)^ *check [a-z]+ make ([a-z]+)$", (ROOT / ".ci/run").read_text())
    assert set(checked) == {"setup", "lint", "types", "imports", "wheel", "test"}


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[Unreleased\]$", text, re.MULTILINE)
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
