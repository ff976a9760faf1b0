"""Strict loading of TOML tables into frozen dataclasses.

A dataclass is a table, its fields are the keys. What a field may hold follows from its annotation:
bool, int, float, str, Path (relative ones are taken from the file's folder), an Enum (by value), a
Literal, another dataclass (a table), `tuple[T, ...]` (an array; of dataclasses: an array of
tables), `dict[str, T]` (a table with free keys), Any (whatever TOML holds), and `T | None` for a
key without a default. Extra meaning is given with `Annotated`: `Duration`, `Size`, `Share`,
`Range`, `Check`, `Example`.

A key is the field's name without its unit: `cycle_us: Duration` is written `cycle = "10 s"`.

Every mistake becomes one ConfigError that names the file, the dotted key and what to write there.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from gossip.errors import ConfigError
from node.config import quantities
from node.config.annotations import (
    Check,
    Example,
    Quantity,
    Range,
    bare,
    keys_of,
    mark_of,
    marks,
    shower,
)

T = TypeVar("T")

FILE_BYTES_MAX = 4 * 2**20
TEXT_CHARS_MAX = 4_096
ITEMS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a value: a file (or the command line), a dotted key, the folder for paths."""

    source: str
    key: str
    folder: Path

    def at(self, key: str) -> "Where":
        """The place of a key below this one."""
        return replace(self, key=f"{self.key}.{key}" if self.key else key)

    def item(self, index: int) -> "Where":
        """The place of an array's item, counted from 1 as people do."""
        return replace(self, key=f"{self.key}[{index + 1}]")

    def wrong(self, text: str) -> ConfigError:
        """The error to raise."""
        return ConfigError(
            f"{self.source}: {self.key}: {text}" if self.key else f"{self.source}: {text}"
        )


def load(cls: type[T], path: Path) -> T:
    """Read a TOML file into `cls`.

    Raises:
        ConfigError: the file cannot be read, is no TOML (with line and column), is larger than
            FILE_BYTES_MAX, or holds a key or a value that `cls` does not allow.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(
            f"{path}: larger than {quantities.format_size(FILE_BYTES_MAX)}; shorten it"
        )
    try:
        mapping = tomllib.loads(data.decode("utf-8-sig"))  # Notepad begins a file with a mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax(path, str(error))) from error
    except ValueError as error:  # of Python itself, which reads no number so long
        raise ConfigError(f"{path}: holds a number of thousands of digits; shorten it") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply; a few levels are enough") from error
    return from_table(cls, mapping, str(path), folder=path.absolute().parent)


def from_table(
    cls: type[T], mapping: Mapping[str, Any], where: str, *, folder: Path | None = None
) -> T:
    """Build `cls` from a parsed table.

    Args:
        cls: a dataclass.
        mapping: the table, as tomllib gives it.
        where: what messages call the source, usually the file's path.
        folder: what relative paths are taken from; the working directory if None.

    Raises:
        ConfigError: an unknown, missing, mistyped or out-of-range key.
    """
    place = Where(where, "", Path.cwd() if folder is None else folder)
    built = _table(cls, mapping, place)
    assert isinstance(built, cls)  # noqa: S101 - narrows Any for mypy
    return built


def override(instance: T, values: Mapping[str, Any], where: str) -> T:
    """A copy of a loaded dataclass with some dotted keys replaced, checked like a file's.

    Args:
        instance: what `load` or `from_table` returned.
        values: dotted key to value, for instance `{"mesh.cycle": "5 s"}`. Whole arrays of tables
            are replaced, never single items of one.
        where: what messages call the source, such as "command line".

    Raises:
        ConfigError: as `from_table`.
    """
    for dotted, value in values.items():
        instance = _replaced(instance, dotted.split("."), value, Where(where, "", Path.cwd()))
    return instance


def _table(cls: type[Any], value: Any, where: Where) -> Any:
    if not isinstance(value, Mapping):
        raise where.wrong(f"{_say(value)} stands where a table is needed")
    keys = keys_of(cls)
    for key in value:
        if key not in keys:
            raise where.at(str(key)[:80]).wrong(_unknown(str(key), list(keys)))
    arguments: dict[str, Any] = {}
    for key, (field, hint) in keys.items():
        if key in value:
            arguments[field.name] = _convert(value[key], hint, where.at(key))
        else:
            arguments[field.name] = _default(field, hint, where.at(key))
    return _made(cls, arguments, where)


def _made(cls: type[Any], arguments: dict[str, Any], where: Where) -> Any:
    try:
        return cls(**arguments)
    except ConfigError as error:  # from the dataclass's own check of keys against each other
        raise where.wrong(str(error)) from error


def _default(field: "Field[Any]", hint: Any, where: Where) -> Any:
    base = bare(hint)
    if field.default is not MISSING:
        relative = isinstance(field.default, Path) and not field.default.is_absolute()
        return where.folder / field.default if relative else field.default
    if isinstance(base, type) and is_dataclass(base):
        return _table(base, {}, where)  # so that paths in it find the file's folder
    if field.default_factory is not MISSING:
        return field.default_factory()
    example = mark_of(hint, Example)
    such_as = f", such as {where.key.rpartition('.')[2]} = {example.text}" if example else ""
    raise where.wrong(f"missing; it has no default, so give it{such_as}")


def _replaced(instance: T, path: list[str], value: Any, where: Where) -> T:
    key = path[0]
    keys = keys_of(type(instance))
    if key not in keys:
        raise where.at(key[:80]).wrong(_unknown(key, list(keys)))
    field, hint = keys[key]
    below = where.at(key)
    current = getattr(instance, field.name)
    if len(path) == 1:
        new = _convert(value, hint, below)
    elif is_dataclass(current) and not isinstance(current, type):
        new = _replaced(current, path[1:], value, below)
    else:
        raise below.wrong(f"is no table, so {'.'.join(path)[:80]} does not exist")
    kept = {f.name: getattr(instance, f.name) for f in fields(type(instance)) if f.init}  # type: ignore[arg-type] # T is a dataclass here
    made: T = _made(type(instance), kept | {field.name: new}, where)
    return made


def _convert(value: Any, hint: Any, where: Where) -> Any:
    quantity = mark_of(hint, Quantity)
    if quantity is None:
        result = _plain(value, bare(hint), where)
    else:
        result = _quantity(value, quantity, where)
    for mark in marks(hint):
        if isinstance(mark, Range):
            _bounded(result, mark, quantity, where)
        elif isinstance(mark, Check):
            try:
                result = mark.function(result)
            except ValueError as error:
                raise where.wrong(str(error)) from error
    return result


def _plain(value: Any, base: Any, where: Where) -> Any:
    if base is Any:  # whoever uses it checks it
        return value
    origin, arguments = get_origin(base), get_args(base)
    if origin is tuple:
        return _array(value, arguments[0], where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise where.wrong(f"{_say(value)} stands where a table is needed")
        return {key: _convert(item, arguments[1], where.at(key)) for key, item in value.items()}
    if origin is Literal:
        return _one_of(value, {choice: choice for choice in arguments}, where)
    if issubclass(base, Enum):
        return _one_of(value, {choice.value: choice for choice in base}, where)
    read = _table if is_dataclass(base) else _scalar
    return read(base, value, where)


def _scalar(base: type[Any], value: Any, where: Where) -> Any:
    if base is Path:
        if value == "-":  # standard input, where a key allows it
            return Path(value)
        return (where.folder / Path(_text(value, where)).expanduser()).absolute()
    if base is str:
        return _text(value, where)
    if base is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not isfinite(value):
            raise where.wrong(f"{value} is not a number to work with; give a finite one")
        return float(value)
    if base is not float and type(value) is base:
        return value
    words = {bool: "true or false", int: "a whole number", float: "a number"}
    raise where.wrong(f"{_say(value)} stands where {words[base]} is needed")


def _array(value: Any, hint: Any, where: Where) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        form = "[[…]] tables" if is_dataclass(bare(hint)) else "an array in brackets"
        raise where.wrong(f"{_say(value)} stands where {form} is needed")
    if len(value) > ITEMS_MAX:
        raise where.wrong(f"{len(value)} items; at most {ITEMS_MAX} are allowed")
    return tuple(_convert(item, hint, where.item(i)) for i, item in enumerate(value))


def _quantity(value: Any, quantity: Quantity, where: Where) -> int | float:
    parse: dict[Quantity, Callable[[str], int | float]] = {
        Quantity.DURATION: quantities.parse_duration_us,
        Quantity.SIZE: quantities.parse_size_bytes,
        Quantity.SHARE: quantities.parse_share,
    }
    if isinstance(value, str):
        try:
            return parse[quantity](value)
        except ValueError as error:
            raise where.wrong(str(error)) from error
    plain = isinstance(value, int) and not isinstance(value, bool)
    if quantity is Quantity.SIZE and plain:
        return int(value)
    if quantity is Quantity.SHARE and (plain or isinstance(value, float)) and isfinite(value):
        return float(value)
    raise where.wrong(f"{_say(value)} stands where {quantity.value} is needed")


def _bounded(value: Any, bounds: Range, quantity: Quantity | None, where: Where) -> None:
    if value is None:
        return
    measured = len(value) if isinstance(value, str | tuple | dict) else value
    if bounds.low <= measured <= bounds.high:
        return
    show = shower(quantity)
    allowed = f"from {show(bounds.low)} to {show(bounds.high)}"
    if isinstance(value, str | tuple | dict):
        what = "characters" if isinstance(value, str) else "items"
        raise where.wrong(f"{measured} {what}; give {allowed}")
    raise where.wrong(f"{show(value)[:60]} is out of range; give a value {allowed}")


def _one_of(value: Any, choices: dict[Any, Any], where: Where) -> Any:
    if isinstance(value, str | int) and not isinstance(value, bool) and value in choices:
        return choices[value]
    names = ", ".join(
        f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices
    )
    raise where.wrong(f"{_say(value)} is not a choice{_guess(value, choices)}; use one of {names}")


def _text(value: Any, where: Where) -> str:
    if not isinstance(value, str):
        raise where.wrong(f"{_say(value)} stands where text in quotes is needed")
    if len(value) > TEXT_CHARS_MAX or "\0" in value:
        raise where.wrong(f"text is over {TEXT_CHARS_MAX} characters or holds a NUL; shorten it")
    return value


def _unknown(key: str, known: list[str]) -> str:
    return f"unknown key{_guess(key, known)}; keys here are {', '.join(known)}"


def _guess(value: Any, known: Any) -> str:
    near = get_close_matches(str(value), [str(key) for key in known], n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _say(value: Any) -> str:
    names = {dict: "a table", list: "an array", tuple: "an array", bool: str(value).lower()}
    return names.get(type(value), repr(value)[:60])


def _syntax(path: Path, message: str) -> str:
    match = re.search(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if match is None:
        return f"{path}: not TOML: {message}"
    place = f"line {match[1]}, column {match[2]}" if match[1] else "at its end"
    return f"{path}, {place}: not TOML: {message[: match.start()]}"
