"""The scenario file as a whole; each table has a file beside this one.

docs/simulation.md explains each key.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from gossip.errors import ConfigError
from node.config.annotations import Check, Quantity, keys_of, mark_of, printable
from node.config.quantities import format_duration, format_size
from node.config.tables import load
from scenarios.spec.churn import Churn, Happening
from scenarios.spec.data import Data
from scenarios.spec.expect import Expect
from scenarios.spec.learning import Learning
from scenarios.spec.links import Conditions
from scenarios.spec.mesh import Mesh
from scenarios.spec.sweep import Sweep
from scenarios.spec.words import SEED_MAX, Text


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario file."""

    mesh: Mesh
    data: Data = field(default_factory=Data)
    learning: Learning = field(default_factory=Learning)
    links: Conditions = field(default_factory=Conditions)
    churn: Churn = field(default_factory=Churn)
    event: tuple[Happening, ...] = ()
    expect: Expect = field(default_factory=dict)
    sweep: Sweep = field(default_factory=dict)
    title: Annotated[Text, Check(printable)] = ""


def check_seed(seed: int) -> int:
    """The seed, as a file could hold it.

    Raises:
        ConfigError: it is out of range.
    """
    if not 0 <= seed <= SEED_MAX:
        raise ConfigError(f"seed is {seed}; it must be 0 or more, and {SEED_MAX} at most")
    return seed


def read(path: Path) -> Scenario:
    """Read a scenario file.

    Keys that need each other, and what depends on the seed, are checked by
    `scenarios.plan.plan.make_plan` before any work starts.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing or out of bounds.
    """
    return load(Scenario, path)


def table(instance: Any) -> dict[str, Any]:
    """The dataclass as its file would say it, defaults included; `from_table` reads it back."""
    return {
        key: _written(value, hint)
        for key, (part, hint) in keys_of(type(instance)).items()
        if (value := getattr(instance, part.name)) is not None  # TOML has no word for it
    }


def _written(value: Any, hint: Any) -> Any:
    if isinstance(value, tuple):
        return [_written(item, None) for item in value]
    if is_dataclass(value):
        return table(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    quantity = mark_of(hint, Quantity)
    return value if quantity is None else _FORMS.get(quantity, _as_it_is)(value)


def _as_it_is(value: Any) -> Any:
    return value


_FORMS: dict[Quantity, Callable[[Any], Any]] = {
    Quantity.DURATION: format_duration,
    Quantity.SIZE: format_size,
}
