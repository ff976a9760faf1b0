"""Groups of named arrays in one flat mapping (`group.name`), as a file of arrays holds them."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def prefixed(group: str, arrays: Mapping[str, T]) -> dict[str, T]:
    """The arrays under their names in the flat mapping."""
    return {f"{group}.{name}": array for name, array in arrays.items()}


def group_of(arrays: Mapping[str, T], group: str) -> dict[str, T]:
    """The arrays that were put under `group`, by their own names; empty where there are none."""
    prefix = f"{group}."
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
