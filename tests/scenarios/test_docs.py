"""docs/simulation.md lists every key with its default, and no other."""

import re
from dataclasses import MISSING, is_dataclass
from pathlib import Path
from typing import get_args

import pytest

from node.config.annotations import bare, keys_of
from scenarios.spec.scenario import Scenario, _written

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| .+ \|$", re.MULTILINE)


def tables(cls: type, name: str = "") -> dict[str, dict[str, str]]:
    """Name of each table as the page shows it, with key and default as text."""
    found: dict[str, dict[str, str]] = {name: {}}
    for key, (field, hint) in keys_of(cls).items():
        kind = bare(hint)
        inner = get_args(kind)[0] if getattr(kind, "__origin__", None) is tuple else kind
        if is_dataclass(inner):
            below = f"{name}.{key}" if name else key
            found |= tables(inner, f"[[{below}]]" if inner is not kind else below)
        if not name and is_dataclass(inner):
            continue  # has a section of its own
        if field.default is not MISSING:
            found[name][key] = shown(_written(field.default, hint))
        elif field.default_factory is not MISSING:
            found[name][key] = shown(field.default_factory())
        else:
            found[name][key] = "required"
    return found


def shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def documented() -> dict[str, dict[str, str]]:
    """Tables of the page by what names them: a heading, or the code that opens a paragraph."""
    found: dict[str, dict[str, str]] = {}
    name = ""
    for line in PAGE.read_text().split("## The file")[1].splitlines():
        heading = re.match(r"^(?:### )?`(\[\[?[\w.]+\]?\])`", line)
        if heading:
            name = heading[1]
        row = ROW.match(line)
        if row:
            found.setdefault(name, {})[row[1]] = row[2]
    return found


EXPECTED = {
    name if name.startswith("[[") or not name else f"[{name}]": keys
    for name, keys in tables(Scenario).items()
}


def test_the_page_has_exactly_these_tables():
    assert documented().keys() == EXPECTED.keys()
    assert "[[links.rule]]" in EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_every_key_stands_there_with_its_default(name):
    assert documented()[name] == EXPECTED[name]
