"""Every fault that a scenario asks for, in words: what is to be printed beside the seed."""

from collections.abc import Iterator
from dataclasses import MISSING, is_dataclass
from typing import Any

from node.config.annotations import keys_of
from scenarios.spec.scenario import Scenario, table


def faults(scenario: Scenario) -> tuple[str, ...]:
    """One line for each, in the order of docs/simulation.md.

    Faults are whatever `[[mesh.device]]`, `[links]`, `[churn]` and `[[event]]` say that is not
    the default.
    """
    return (
        *_items("mesh.device", scenario.mesh.device),
        *_told("links", scenario.links),
        *_told("churn", scenario.churn),
        *_items("event", scenario.event),
    )


def _told(name: str, instance: Any) -> Iterator[str]:
    for key, (value, shown) in _changed(instance).items():
        if isinstance(value, tuple) and value and is_dataclass(value[0]):
            yield from _items(f"{name}.{key}", value)
        elif is_dataclass(value):
            yield from _told(f"{name}.{key}", value)
        else:
            yield f"{name}.{key} = {_plain(shown)}"


def _items(name: str, items: tuple[Any, ...]) -> Iterator[str]:
    for number, item in enumerate(items, 1):
        pairs = (f"{key} = {_plain(shown)}" for key, (_, shown) in _changed(item).items())
        yield f"{name}[{number}]: {', '.join(pairs)}"


def _changed(instance: Any) -> dict[str, tuple[Any, Any]]:
    """Key to value, and to what the file would say, of what has no default or another."""
    found = {}
    written = table(instance)
    for key, (part, _) in keys_of(type(instance)).items():
        value = getattr(instance, part.name)
        factory = part.default_factory
        default = part.default if factory is MISSING else factory()
        if value is not None and value != default:
            found[key] = value, written[key]
    return found


def _plain(shown: Any) -> str:
    if isinstance(shown, list):
        return " | ".join(map(_plain, shown))
    if isinstance(shown, dict):
        return ", ".join(f"{key} = {_plain(value)}" for key, value in shown.items())
    return str(shown)
