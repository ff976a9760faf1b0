"""JSON that a person can read: a list of plain values, or a short table of them, is one line."""

import json
from collections.abc import Iterator
from math import isfinite, nan
from typing import Any

LINE_CHARS = 110
"""A table longer than this gets a line for each key: our choice, a line of the code and a bit."""


def readable(value: Any) -> str:
    """A plain value as JSON over several lines, ending with a line feed."""
    return "".join(_pieces(plain(value), "")) + "\n"


def one_line(value: Any) -> str:
    """A plain value as JSON on one line, ending with a line feed."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """With text for keys, lists for tuples, and None for numbers that do not exist."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def with_nan(value: Any) -> Any:
    """NaN for None, anywhere inside: what `plain` made of numbers that do not exist."""
    if isinstance(value, dict):
        return {key: with_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_nan(item) for item in value]
    return nan if value is None else value


def first_difference(old: Any, new: Any, at: str = "") -> str:
    """The dotted key at which two tables first differ."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return at
    for key in (*new, *(key for key in old if key not in new)):
        if key not in old or key not in new or old[key] != new[key]:
            return first_difference(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
    return at


def _pieces(value: Any, indent: str) -> Iterator[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(item, dict | list) and item for item in inner):
        line = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if len(line) <= LINE_CHARS or not isinstance(value, dict):
            yield line
            return
    below = indent + " "
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    yield opened
    mark = "\n"
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield f"{mark}{below}"
        if isinstance(value, dict):
            yield f"{json.dumps(key, ensure_ascii=False)}: "
        yield from _pieces(item, below)
        mark = ",\n"
    yield f"\n{indent}{closed}"
