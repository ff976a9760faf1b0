"""`--set KEY=VALUE` and `[sweep]`: other values for a scenario's keys, checked like the file's.

A value is TOML; what TOML would not read, such as `ring:32` or `10 s`, is text.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from gossip.errors import ConfigError
from node.config.tables import override
from scenarios.spec.scenario import Scenario, check_seed

SOURCE = "--set"
SEEDS_MAX = 10_000
COMBINATIONS_MAX = 100_000

_MARKS = ("[", "{", '"', "'")
"""A text with one of these is meant as TOML; one that fails is a mistake, not a bare word."""

_BARRED = {
    "mesh.seed": "a run's seed is given with --seed or --seeds",
    "sweep": "lists of values for a sweep are given one by one: --set KEY=VALUE,VALUE",
}


def given(texts: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts as dotted key to value.

    Raises:
        ConfigError: a text has no key or no value, is broken TOML, or names a key again.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, value = _split(text, found)
        found[key] = _value(key, value)
    return found


def given_lists(texts: Iterable[str]) -> dict[str, list[Any]]:
    """`KEY=VALUE,VALUE` or `KEY=[VALUE, VALUE]` texts as dotted key to a list of values.

    Values that are arrays themselves, or texts with commas, need the second form.

    Raises:
        ConfigError: as `given`; or a list is empty or holds a value twice.
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        key, value = _split(text, found)
        found[key] = checked_list(key, _values(key, value), SOURCE)
    return found


def checked_list(key: str, values: list[Any], source: str) -> list[Any]:
    """A list for a sweep, as it is.

    Raises:
        ConfigError: the key cannot be swept, or the list is empty or holds a value twice.
    """
    if key in _BARRED:
        raise ConfigError(f"{source}: {key}: {_BARRED[key]}")
    if not values:
        raise ConfigError(f"{source}: {key}: an empty list; give at least one value")
    texts = [plain(value) for value in values]
    for number, text in enumerate(texts):
        if text in texts[:number]:
            raise ConfigError(f"{source}: {key}: {text} stands twice; give each value once")
    return values


def changed(scenario: Scenario, values: Mapping[str, Any], source: str = SOURCE) -> Scenario:
    """The scenario with some keys replaced.

    Raises:
        ConfigError: a key is unknown or a value is not allowed there. The message names both.
    """
    return override(scenario, values, source)


def combinations(lists: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """The cross product, the last key varying fastest; one empty combination of no lists.

    Raises:
        ConfigError: there are more than COMBINATIONS_MAX.
    """
    count = 1
    for values in lists.values():
        count *= len(values)
    if count > COMBINATIONS_MAX:
        raise ConfigError(
            f"the lists combine to {count} scenarios; at most {COMBINATIONS_MAX} make a sweep, so "
            "shorten a list"
        )
    return [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]


def seeds(text: str) -> tuple[int, ...]:
    """Seeds as written after `--seeds`: `0:5` is 0 to 4; `1,7,9`; or both with commas.

    Raises:
        ConfigError: malformed, out of range, repeated, or more than SEEDS_MAX.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        first, colon, end = part.strip().partition(":")
        try:
            numbers = range(int(first), int(end)) if colon else range(int(first), int(first) + 1)
        except ValueError:
            raise ConfigError(
                f"--seeds {text!r}: {part.strip()!r} is neither a number nor a range such as 0:5"
            ) from None
        if not numbers:
            raise ConfigError(f"--seeds {text!r}: {part.strip()!r} is empty; 0:5 is 0 to 4")
        if len(numbers) + len(found) > SEEDS_MAX:
            raise ConfigError(f"--seeds {text!r}: at most {SEEDS_MAX} seeds can be given")
        for seed in numbers:
            if seed in found:
                raise ConfigError(f"--seeds {text!r}: {seed} stands twice; give each seed once")
            found[check_seed(seed)] = None
    return tuple(found)


def plain(value: Any) -> str:
    """A value as one would write it after `--set`: text bare, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def said(values: Mapping[str, Any]) -> str:
    """A combination in one line: `learning.fanout=2, mesh.topology=ring:32`."""
    return ", ".join(f"{key}={plain(value)}" for key, value in values.items())


def _split(text: str, found: Mapping[str, Any]) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key or not value:
        raise ConfigError(f"{SOURCE} {text!r}: write KEY=VALUE, such as learning.fanout=2")
    if key in found:
        raise ConfigError(f"{SOURCE}: {key}: given twice; give it once")
    if key in _BARRED:
        raise ConfigError(f"{SOURCE}: {key}: {_BARRED[key]}")
    return key, value


def _value(key: str, text: str) -> Any:
    value = _toml(text)
    if value is not None:
        return value
    if any(mark in text for mark in _MARKS):
        raise ConfigError(
            f"{SOURCE}: {key}: {text!r} is not TOML; close its quotes and brackets, and quote the "
            "whole argument in a shell"
        )
    return text


def _values(key: str, text: str) -> list[Any]:
    if text.startswith("["):
        value = _toml(text)
        if isinstance(value, list):
            return value
    value = _toml(f"[{text}]")
    if isinstance(value, list):
        return value
    return [_value(key, part.strip()) for part in text.split(",")]


def _toml(text: str) -> Any:
    """The TOML value that a text is; None where it is none (TOML itself has no None).

    A date is none here, either: no key holds one, while a title may look like one.
    """
    try:
        table = tomllib.loads(f"value = {text}\n")
        json.dumps(table)
    except (ValueError, RecursionError, TypeError):  # a number of 5,000 digits is no TOML error
        return None
    return table["value"] if table.keys() == {"value"} else None
