"""Objects as plain values and back: what a checkpoint is made of.

Only classes that are listed can be written, and nothing else can come back: reading never looks a
name up, never calls what it reads, and sets no field that its class does not declare. A class that
is not listed is a mistake of ours, found when it is written.

    None, bool, int, float, short bytes, most text   themselves
    anything else                                    a list: [tag, parts ...]

Objects that are one and the same come back as one and the same, cycles included, if their class is
listed as one whose identity matters. Of values that are equal, such as contacts and frames, the
first is written and the others refer to it; so a World may take less memory after it has been read.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from functools import partial
from hashlib import blake2b
from math import prod
from operator import attrgetter
from types import NoneType
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from gossip.errors import StateError

_PLAIN = frozenset((int, float, bool, NoneType))


class _Tag(IntEnum):
    """What a list stands for; from FIRST_KIND on the classes of `Kinds`."""

    LIST = 0
    TUPLE = 1
    DICT = 2  # keys and values in turn
    COUNTER = 3
    DEQUE = 4
    ARRAY = 5
    INTEGER = 6  # of more than 64 bits
    ABSENT = 7  # a slot that was never assigned
    OBJECT = 8  # the n-th that was begun
    VALUE = 9  # the n-th that was completed
    TEXT = 10
    MADE = 11
    FIRST_KIND = 16


_DTYPES = ("<f4", "<f8", "<i8", "<u8", "<i4", "<u4", "|u1", "|b1")

SHORT_BYTES = 16
"""Bytes at least as long are looked up, in case they were written before: digests, seeds, frames.
Our choice: a reference takes up to 7 bytes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A class whose instances may be written.

    Args:
        cls: with `__slots__`, which are its fields.
        single: an instance may be referred to from several places that must see its changes; the
            class must be hashed by identity.
        anew: fields that are not written; each is made from the instance when all others are there.
    """

    cls: type
    single: bool = False
    anew: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[str, ...]:
        """What is written, those of base classes first."""
        found: list[str] = []
        for base in reversed(self.cls.__mro__):
            slots = base.__dict__.get("__slots__", ())
            found += [slots] if isinstance(slots, str) else list(slots)
        return tuple(name for name in found if name not in self.anew)


@dataclass(frozen=True, slots=True)
class Made:
    """A class whose instances are taken apart and put together by functions.

    Args:
        cls: exactly this class.
        parts: gives what is written.
        make: gives the instance for the parts as they come back.
    """

    cls: type
    parts: Callable[[Any], Any]
    make: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Kinds:
    """All that may be written, in an order that both sides share.

    Args:
        kinds: of objects.
        values: classes of immutable objects that are written once if equal; with `__slots__`.
        enums: whose members are written by value.
    """

    kinds: Sequence[Kind] = ()
    values: Sequence[type] = ()
    enums: Sequence[type[Enum]] = ()

    @property
    def digest(self) -> bytes:
        """16 bytes that change with every class and every field."""
        told = [
            *((kind.cls.__qualname__, kind.fields, sorted(kind.anew)) for kind in self.kinds),
            *((cls.__qualname__, Kind(cls).fields) for cls in self.values),
            *((cls.__qualname__, [member.value for member in cls]) for cls in self.enums),
        ]
        return blake2b(repr(told).encode(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Known:
    """What both sides have before anything is written, in the same order.

    Args:
        texts: frequent ones.
        values: instances of the classes in `Kinds.values`.
        made: classes with functions of their own.
    """

    texts: Sequence[str] = ()
    values: Sequence[Any] = ()
    made: Sequence[Made] = ()


class _Absent:
    """A slot that was never assigned."""


_ABSENT = _Absent()


class Freezer:
    """Makes bytes of objects; remembers what it has written from one call to the next.

    Nothing may change between the first call and the last.
    """

    def __init__(self, kinds: Kinds, known: Known) -> None:
        self._texts = {text: number for number, text in enumerate(known.texts)}
        self._values: dict[Any, int] = {value: number for number, value in enumerate(known.values)}
        self._objects: dict[Any, int] = {}
        # Plain integers, which msgpack takes; members of an enumeration it does not.
        sequences = ((list, int(_Tag.LIST)), (tuple, int(_Tag.TUPLE)), (deque, int(_Tag.DEQUE)))
        mappings = ((dict, int(_Tag.DICT)), (Counter, int(_Tag.COUNTER)))
        self._how: dict[type, Callable[[Any], Any]] = {
            str: self._text,
            bytes: self._blob,
            np.ndarray: _array,
            _Absent: lambda _: [int(_Tag.ABSENT)],
            **{cls: self._sequence(tag) for cls, tag in sequences},
            **{cls: self._mapping(tag) for cls, tag in mappings},
            **{made.cls: self._made(made, number) for number, made in enumerate(known.made)},
        }
        tag = int(_Tag.FIRST_KIND)
        listed: list[tuple[type, Callable[[int], Callable[[Any], Any]]]] = [
            *((kind.cls, partial(self._object, kind)) for kind in kinds.kinds),
            *((cls, partial(self._value, Kind(cls))) for cls in kinds.values),
            *((enum, _member) for enum in kinds.enums),
        ]
        for cls, how in listed:
            self._how[cls] = how(tag)
            tag += 1
        self._packer = msgpack.Packer(use_bin_type=True, default=_integer)

    def freeze(self, value: Any) -> bytes:
        """One value as bytes.

        Raises:
            TypeError: an object of a class that is not listed.
        """
        packed: bytes = self._packer.pack(*self._all((value,)))
        return packed

    def _all(self, values: Iterable[Any]) -> list[Any]:
        lower = self._lower
        return [each if type(each) in _PLAIN else lower(each) for each in values]

    def _lower(self, value: Any) -> Any:
        how = self._how.get(type(value))
        if how is None:
            raise TypeError(
                f"a checkpoint holds no {type(value).__module__}.{type(value).__qualname__} yet; "
                f"list it in scenarios.world.frozen"
            )
        return how(value)

    def _sequence(self, tag: int) -> Callable[[Any], Any]:
        return lambda values: [tag, *self._all(values)]

    def _mapping(self, tag: int) -> Callable[[Any], Any]:
        return lambda pairs: [tag, *self._all(part for pair in pairs.items() for part in pair)]

    def _made(self, made: Made, number: int) -> Callable[[Any], Any]:
        return lambda value: [int(_Tag.MADE), number, *self._all((made.parts(value),))]

    def _text(self, text: str) -> Any:
        number = self._texts.get(text)
        return text if number is None else [int(_Tag.TEXT), number]

    def _blob(self, blob: bytes) -> Any:
        if len(blob) < SHORT_BYTES:
            return blob
        number = self._values.setdefault(blob, count := len(self._values))
        return blob if number == count else [int(_Tag.VALUE), number]

    def _object(self, kind: Kind, tag: int) -> Callable[[Any], Any]:
        parts, objects = _parts(kind.fields), self._objects
        if not kind.single:
            return lambda value: [tag, *self._all(parts(value))]

        def lower(value: Any) -> Any:
            number = objects.setdefault(value, count := len(objects))
            if number < count:
                return [int(_Tag.OBJECT), number]
            return [tag, *self._all(parts(value))]

        return lower

    def _value(self, kind: Kind, tag: int) -> Callable[[Any], Any]:
        parts, values = _parts(kind.fields), self._values

        def lower(value: Any) -> Any:
            number = values.get(value)
            if number is not None:
                return [int(_Tag.VALUE), number]
            lowered = [tag, *self._all(parts(value))]
            values[value] = len(values)
            return lowered

        return lower


class Thawer:
    """Makes objects of the bytes that a `Freezer` made, in the same order.

    What it makes is of the classes listed, whatever the bytes are.
    """

    def __init__(self, kinds: Kinds, known: Known) -> None:
        self._values: list[Any] = list(known.values)
        self._objects: list[Any] = []
        texts, made = list(known.texts), list(known.made)
        self._how: dict[int, Callable[[list[Any]], Any]] = {
            _Tag.LIST: self._rest,
            _Tag.TUPLE: lambda parts: tuple(self._rest(parts)),
            _Tag.DEQUE: lambda parts: deque(self._rest(parts)),
            _Tag.DICT: self._mapping,
            _Tag.COUNTER: lambda parts: Counter(self._mapping(parts)),
            _Tag.ARRAY: _as_array,
            _Tag.INTEGER: lambda parts: int.from_bytes(parts[1], "big", signed=True),
            _Tag.ABSENT: lambda _: _ABSENT,
            _Tag.OBJECT: lambda parts: self._objects[parts[1]],
            _Tag.VALUE: lambda parts: self._values[parts[1]],
            _Tag.TEXT: lambda parts: texts[parts[1]],
            _Tag.MADE: lambda parts: made[parts[1]].make(self._lift(parts[2])),
        }
        tag = int(_Tag.FIRST_KIND)
        for how in (
            *(self._object(kind) for kind in kinds.kinds),
            *(self._value(Kind(cls)) for cls in kinds.values),
            *(_as_member(enum) for enum in kinds.enums),
        ):
            self._how[tag] = how
            tag += 1

    def thaw(self, data: bytes) -> Any:
        """The value that `freeze` was given.

        Raises:
            StateError: no such value was ever written.
        """
        try:
            return self._lift(msgpack.unpackb(data, ext_hook=_refuse))
        except _DAMAGE as error:
            raise StateError(f"damaged: {error}") from error

    def _lift(self, value: Any) -> Any:
        kind = type(value)
        if kind is list:
            return self._how[value[0]](value)
        if kind is bytes:
            if len(value) >= SHORT_BYTES:
                self._values.append(value)
        elif kind is not str and kind not in _PLAIN:
            raise ValueError(f"it holds a {kind.__name__}")
        return value

    def _rest(self, parts: list[Any]) -> list[Any]:
        lift = self._lift
        every = iter(parts)
        next(every)
        return [each if type(each) in _PLAIN else lift(each) for each in every]

    def _mapping(self, parts: list[Any]) -> dict[Any, Any]:
        found = iter(self._rest(parts))
        return dict(zip(found, found, strict=True))

    def _object(self, kind: Kind) -> Callable[[list[Any]], Any]:
        objects, single = self._objects, kind.single
        cls: Any = kind.cls
        setters = [getattr(cls, name).__set__ for name in kind.fields]
        later = [(getattr(cls, name).__set__, make) for name, make in kind.anew.items()]

        def lift(parts: list[Any]) -> Any:
            made = cls.__new__(cls)
            if single:
                objects.append(made)  # before its fields, which may refer to it
            for put, value in zip(setters, self._rest(parts), strict=True):
                if value is not _ABSENT:
                    put(made, value)
            for put, make in later:
                put(made, make(made))
            return made

        return lift

    def _value(self, kind: Kind) -> Callable[[list[Any]], Any]:
        lift_object, values = self._object(kind), self._values

        def lift(parts: list[Any]) -> Any:
            made = lift_object(parts)
            values.append(made)
            return made

        return lift


_DAMAGE = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
    msgpack.UnpackException,
)  # fmt: skip
"""All that a value can raise that was put together at will."""


def _refuse(code: int, _data: bytes) -> None:
    raise ValueError(f"extension {code}")


def _integer(value: int) -> list[Any]:
    """What msgpack cannot hold: it asks for nothing else, since all else is looked up before."""
    return [int(_Tag.INTEGER), value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)]


def _parts(fields: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    """What gives an object's fields, in this order."""
    if len(fields) < 2:
        return lambda value: [getattr(value, name, _ABSENT) for name in fields]
    at_once: Callable[[Any], Sequence[Any]] = attrgetter(*fields)

    def get(value: Any) -> Sequence[Any]:
        try:
            return at_once(value)
        except AttributeError:
            return [getattr(value, name, _ABSENT) for name in fields]

    return get


def _member(tag: int) -> Callable[[Enum], Any]:
    return lambda member: [tag, member.value]


def _as_member(enum: type[Enum]) -> Callable[[list[Any]], Any]:
    return lambda parts: enum(parts[1])


def _array(array: NDArray[Any]) -> Any:
    number = _DTYPES.index(array.dtype.str)
    return [int(_Tag.ARRAY), number, array.shape, array.tobytes()]


def _as_array(parts: list[Any]) -> NDArray[Any]:
    _, number, shape, data = parts
    dtype = np.dtype(_DTYPES[number])
    if prod(shape) * dtype.itemsize != len(data):
        raise ValueError("an array of another size")
    return np.ndarray(shape, dtype, buffer=data).copy()
