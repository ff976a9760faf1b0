"""What the annotations of a table's fields mean: units, bounds, checks, and the key's name."""

import types
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from enum import Enum
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from node.config import quantities

M = TypeVar("M")


class Quantity(Enum):
    """What a number measures; the value is what a person is asked to write."""

    DURATION = 'a duration such as "10 s" or "250 ms"'
    SIZE = 'a size such as "4 MiB"'
    SHARE = 'a share such as "0.5 %" or 0.005'


Duration = Annotated[int, Quantity.DURATION]
"""Integer microseconds, written as text with a unit; a bare number would leave the unit open."""

Size = Annotated[int, Quantity.SIZE]
"""Integer bytes, written as text with a unit or as a plain number of bytes."""

Share = Annotated[float, Quantity.SHARE]
"""A fraction, written in per cent or as a plain number."""


@dataclass(frozen=True, slots=True)
class Range:
    """Least and greatest value of a number, or length of a text or an array; both may be had."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Check:
    """A function that returns the value to keep, or raises ValueError with what is wrong."""

    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Example:
    """The TOML text shown for a key that has no default."""

    text: str


@dataclass(frozen=True, slots=True)
class Key:
    """The key's name, where the field's cannot serve: `[[sensor]]` fills a field `sensors`."""

    name: str


def key_of(field: "Field[Any]", hint: Any) -> str:
    """A field's key: its name, without the unit where the annotation brings one."""
    named = mark_of(hint, Key)
    if named is not None:
        return named.name
    units: dict[Quantity | None, str] = {Quantity.DURATION: "us", Quantity.SIZE: "bytes"}
    unit = units.get(mark_of(hint, Quantity))
    return "_".join(part for part in field.name.split("_") if part != unit)


def keys_of(cls: type[Any]) -> dict[str, tuple["Field[Any]", Any]]:
    """Key to field and annotation, in the order of definition."""
    hints = get_type_hints(cls, include_extras=True)
    init = [field for field in fields(cls) if field.init]
    return {key_of(field, hints[field.name]): (field, hints[field.name]) for field in init}


def shower(quantity: Quantity | None) -> Callable[[Any], str]:
    """How to write a number of this kind."""
    forms: dict[Quantity | None, Callable[[Any], str]] = {
        Quantity.DURATION: quantities.format_duration,
        Quantity.SIZE: quantities.format_size,
        Quantity.SHARE: quantities.format_share,
    }
    return forms.get(quantity, str)


def marks(hint: Any) -> tuple[Any, ...]:
    """Everything that `Annotated` adds to a type."""
    if get_origin(hint) is Annotated:
        return tuple(get_args(hint)[1:])
    if get_origin(hint) in {Union, types.UnionType}:
        return tuple(mark for option in get_args(hint) for mark in marks(option))
    return ()


def mark_of(hint: Any, kind: type[M]) -> M | None:
    """The first mark of a kind; None where there is none."""
    return next((mark for mark in marks(hint) if isinstance(mark, kind)), None)


def bare(hint: Any) -> Any:
    """The type without `Annotated` and without `| None`: TOML cannot write None."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) in {Union, types.UnionType}:
        options = [option for option in get_args(hint) if option is not type(None)]
        if len(options) != 1:
            raise TypeError(f"{hint} is not supported in a table; allow one type and None")
        return bare(options[0])
    return hint


def printable(text: str) -> str:
    """For a `Check` of text that terminals show as it is.

    Raises:
        ValueError: a character cannot be printed, such as one that a terminal obeys.
    """
    if not text.isprintable():
        raise ValueError(
            f"{text!r} holds a character that cannot be printed; use letters, digits, spaces and "
            "punctuation"
        )
    return text
