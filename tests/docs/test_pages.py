"""The documents name only what exists: files, tests, commands, options; and the README is short."""

import ast
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from node.cli import cli
from tests.meta.sources import ROOT

# CHANGELOG.md is no page: what it names may be gone by design.
PAGES = sorted(
    ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]
)
README_LINES_MAX = 250


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def names_in(path: Path) -> frozenset[str]:
    """Functions and classes that a Python file defines at its top level."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef))


def missing_tests(text: str) -> list[str]:
    """`tests/….py::test_…` that no longer exists; a bare `::test_…` follows the file before it."""
    wrong, path = [], ROOT
    for file, name in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", text):
        if not file and not name:
            continue
        path = ROOT / file if file else path
        if not path.is_file() or (name and name not in names_in(path)):
            wrong.append(f"{path.name}::{name}")
    return wrong


def missing_links(page: str, text: str) -> list[str]:
    """Relative links and pictures that lead nowhere."""
    targets = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", text)
    here = (ROOT / page).parent
    return [
        target
        for target in (a or b for a, b in targets)
        if not re.match(r"[a-z]+:|#", target)
        and not (here / unquote(target.partition("#")[0])).exists()
    ]


def unknown_commands(text: str) -> list[str]:
    """`hedgerow COMMAND --option` in code that the command line does not have."""
    wrong = []
    code = re.sub(r"\\\n\s*", " ", text)  # a command over several lines is one
    for line in re.findall(
        r"(?m)\bhedgerow +([a-z]+(?:-[a-z]+)*(?: [^`\n]*)?)(?=`|$)", "\n".join(in_code(code))
    ):
        name, *words = line.split()
        command = cli.commands.get(name)
        if command is None:
            wrong.append(name)
            continue
        while isinstance(command, click.Group) and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        known = {option for p in command.params for option in p.opts} | {"--help"}
        used = {w.partition("=")[0] for w in words if w.startswith("--")}
        wrong += [f"{name} {option}" for option in sorted(used - known)]
    return wrong


def in_code(text: str) -> list[str]:
    return re.findall(r"(?ms)^```.*?^```|`[^`\n]+`|^ {4}[^\n]+$", text)


def test_what_is_missing_is_noticed() -> None:
    here = "tests/docs/test_pages.py"
    assert missing_tests(f"`{here}::test_what_is_missing_is_noticed`, `::in_code`, `{here}`") == []
    assert missing_tests(f"`{here}::test_gone`, `::test_too`") == [
        "test_pages.py::test_gone",
        "test_pages.py::test_too",
    ]
    assert missing_links("README.md", "[a](docs) [b](docs/none.md#x) [c](https://x.y)") == [
        "docs/none.md#x"
    ]
    assert unknown_commands("`hedgerow fly`") == ["fly"]
    assert unknown_commands("    hedgerow up \\\n      --fast --name x\n") == ["up --fast"]
    assert unknown_commands("`hedgerow up --name x`") == []


def test_commands_are_really_found() -> None:
    assert isinstance(cli, click.Group)
    assert "hedgerow status" in " ".join(in_code(text_of("README.md")))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_only_what_exists(page: str) -> None:
    text = text_of(page)
    assert missing_tests(text) == []
    assert missing_links(page, text) == []
    assert unknown_commands(text) == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, todo = set(), ["README.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)\s#]+\.md)(?:#[^)]*)?\)", text_of(page)):
            path = (ROOT / page).parent / target
            if path.is_file():
                todo.append(str(path.resolve().relative_to(ROOT)))
    assert set(PAGES) <= reached


def test_every_command_is_in_the_readme() -> None:
    named = set(re.findall(r"hedgerow ([a-z-]+)", text_of("README.md")))
    assert set(cli.commands) <= named


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) < README_LINES_MAX
