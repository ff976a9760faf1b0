"""Every key of a table's dataclass, for the configuration reference and for example files."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, is_dataclass
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from node.config.annotations import Example, Quantity, Range, bare, keys_of, mark_of, shower

COLUMNS = 88


@dataclass(frozen=True, slots=True)
class Entry:
    """One key.

    Args:
        key: dotted; `[]` follows the name of an array of tables (`sensor[].path`).
        type: what may be written, in words, with its bounds.
        default: as TOML; None where the key has no default.
        doc: the text that stands below the field in the dataclass, in one paragraph.
        example: as TOML, for a key whose default says little; None where there is none.
    """

    key: str
    type: str
    default: str | None
    doc: str
    example: str | None

    @property
    def name(self) -> str:
        """The key within its table."""
        return self.key.rpartition(".")[2]


def describe(cls: type[Any], prefix: str = "") -> list[Entry]:
    """Every key of `cls` and of the tables in it, in the order of definition."""
    docs = _field_docs(cls)
    found: list[Entry] = []
    for name, (field, hint) in keys_of(cls).items():
        dotted = f"{prefix}{name}"
        base = bare(hint)
        items = bare(get_args(base)[0]) if get_origin(base) is tuple else None
        if is_dataclass(base):
            found += describe(base, f"{dotted}.")  # type: ignore[arg-type] # a class: it is a hint
        elif is_dataclass(items):
            found += describe(items, f"{dotted}[].")  # type: ignore[arg-type] # likewise
        else:
            value = field.default
            if field.default_factory is not MISSING:
                value = field.default_factory()
            default = None if value is MISSING else _toml(value, mark_of(hint, Quantity))
            sample = mark_of(hint, Example)
            doc = docs.get(field.name, "")
            found.append(Entry(dotted, _words(hint), default, doc, sample.text if sample else None))
    return found


def example(cls: type[Any], heading: str) -> str:
    """A TOML file with every key commented out at its default, and its meaning above it."""
    lines = _comment(heading)
    for table, entries in _by_table(cls):
        # Commented out, an array of tables stays empty.
        lines += ["", f"# {table}" if table.startswith("[[") else table]
        for entry in entries:
            shown = entry.default if entry.default not in {None, "unset"} else entry.example
            about = _comment(f"{entry.doc} ({entry.type})")
            lines += ["", *about, f"# {entry.name} = {shown or '…'}"]
    return "\n".join(lines) + "\n"


def markdown(cls: type[Any]) -> str:
    """A reference in Markdown: one heading a table, one item a key."""
    lines: list[str] = []
    for table, entries in _by_table(cls):
        lines += ["", f"## `{table}`", ""]
        for entry in entries:
            fallback = {None: "required", "unset": "not set"}.get(entry.default)
            default = fallback or f"default `{entry.default}`"
            sample = f" Example: `{entry.name} = {entry.example}`." if entry.example else ""
            text = f"- **`{entry.name}`** ({entry.type}; {default}): {entry.doc}{sample}"
            lines += _wrapped(text, later="  ")
    return "\n".join(lines).lstrip("\n") + "\n"


def _by_table(cls: type[Any]) -> Iterator[tuple[str, Iterator[Entry]]]:
    """The entries of each table with its heading in TOML; empty for keys outside of any table."""
    for table, entries in groupby(describe(cls), lambda entry: entry.key.rpartition(".")[0]):
        heading = f"[[{table[:-2]}]]" if table.endswith("[]") else f"[{table}]" if table else ""
        yield heading, entries


def _wrapped(text: str, later: str) -> list[str]:
    return textwrap.wrap(
        text, 100, subsequent_indent=later, break_on_hyphens=False, break_long_words=False
    )


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, COLUMNS, break_on_hyphens=False)]


def _field_docs(cls: type[Any]) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - narrows for mypy
    docs: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            docs[before.target.id] = " ".join(str(after.value.value).split())
    return docs


def _words(hint: Any) -> str:
    base, quantity = bare(hint), mark_of(hint, Quantity)
    plain = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
    if quantity is not None:
        words = quantity.name.lower()
    elif get_origin(base) is tuple:
        words = f"array of {_words(get_args(base)[0])}"
    elif get_origin(base) is dict:
        words = f"table of {_words(get_args(base)[1])}"
    elif get_origin(base) is Literal:
        words = " | ".join(_toml(choice, None) for choice in get_args(base))
    elif issubclass(base, Enum):
        words = " | ".join(_toml(choice, None) for choice in base)
    else:
        words = plain[base]
    bounds = mark_of(hint, Range)
    if bounds is None:
        return words
    show = shower(quantity)
    what = "" if base in {int, float} else "characters " if base is str else "items "
    return f"{words}, {what}{show(bounds.low)} to {show(bounds.high)}"


def _toml(value: Any, quantity: Quantity | None) -> str:
    if value is None:
        return "unset"
    if quantity is not None:
        return f'"{shower(quantity)(value)}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item, None) for item in value)}]"
    if isinstance(value, Enum):
        value = value.value
    # JSON writes booleans, numbers, text and an empty table as TOML does.
    return json.dumps(str(value) if isinstance(value, Path) else value)
