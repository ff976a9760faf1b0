"""Named arrays as a file of arrays holds them: groups of them in one flat mapping, `group.name`."""

from collections.abc import Mapping
from typing import TypeVar

from gossip.errors import StateError

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


def wanted(arrays: Mapping[str, T], what: str, *names: str) -> list[T]:
    """The arrays with these names, in this order; `what` should hold them.

    Raises:
        StateError: one is absent.
    """
    try:
        return [arrays[name] for name in names]
    except KeyError as missing:
        raise StateError(f"{what} has no array {missing}; remove it") from None
