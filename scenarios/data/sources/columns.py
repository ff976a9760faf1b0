"""How the cells of a published table become numbers.

Three kinds of column suffice: an amount of anything (packets, bytes, seconds) as a signed
logarithm; a share or flag as it is; a word of a fixed vocabulary as zeros and one 1. The scaler of
each peer (`gossip.learning.scaling`) expects exactly these: its smallest divisor is made for
columns that are logarithms or 0 and 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isnan, nan
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

AMOUNT_MAX = 1e18
"""Largest amount told from larger ones. log1p of it is 41.4; nothing in these sets is larger but
the errors of a division by a zero duration ("inf")."""

PLAIN_MAX = 1e3
"""Shares and flags lie in [0, 1]; a value far outside is an error in the set, and bounded."""

MISSING = frozenset({"", "-", "nan", "0.0.0.0"})  # noqa: S104 - a cell; nothing is bound
"""Cells that mean "does not apply", in lower case: they count as 0. The address stands in TON_IoT
where the number of bytes belongs."""


class Column(Protocol):
    """One published column and the features that it gives."""

    @property
    def name(self) -> str:
        """As published."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, `name` or `name=word`."""
        ...

    @property
    def kind(self) -> str:
        """What is done to the cells; part of the schema."""
        ...

    def values(self, cells: Sequence[str]) -> Doubles:
        """Features, float64 `(cells, features)`; a row with NaN is bad."""
        ...


@dataclass(frozen=True, slots=True)
class Amount:
    """`sign(v) log1p(min(|v|, most))`: sizes that span many powers of ten, or reach infinity.

    Args:
        name: as published.
        most: larger values count as this.
    """

    name: str
    most: float = AMOUNT_MAX

    @property
    def features(self) -> tuple[str, ...]:
        """See `Column`."""
        return (self.name,)

    @property
    def kind(self) -> str:
        """See `Column`."""
        return f"signed log1p to {self.most:g}"

    def values(self, cells: Sequence[str]) -> Doubles:
        """See `Column`."""
        return self.scaled(to_numbers(cells))[:, None]

    def scaled(self, numbers: Doubles) -> Doubles:
        """The feature of each number."""
        return np.sign(numbers) * np.log1p(np.minimum(np.abs(numbers), self.most))


@dataclass(frozen=True, slots=True)
class Plain:
    """A share, a flag or a small number, as it is."""

    name: str

    @property
    def features(self) -> tuple[str, ...]:
        """See `Column`."""
        return (self.name,)

    @property
    def kind(self) -> str:
        """See `Column`."""
        return "plain"

    def values(self, cells: Sequence[str]) -> Doubles:
        """See `Column`."""
        return self.scaled(to_numbers(cells))[:, None]

    def scaled(self, numbers: Doubles) -> Doubles:
        """The feature of each number."""
        return numbers.clip(-PLAIN_MAX, PLAIN_MAX)


@dataclass(frozen=True, slots=True)
class Words:
    """One feature a word, 1 where the cell says it; another word is all zeros.

    Args:
        name: as published.
        words: the vocabulary; compared without regard to case and to spaces around.
        between: what stands between words where a cell may say several; "" where it may not.
    """

    name: str
    words: tuple[str, ...]
    between: str = ""
    _places: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the look-up."""
        places = {word.lower(): place for place, word in enumerate(self.words)}
        object.__setattr__(self, "_places", places)

    @property
    def features(self) -> tuple[str, ...]:
        """See `Column`."""
        return tuple(f"{self.name}={word}" for word in self.words)

    @property
    def kind(self) -> str:
        """See `Column`."""
        return "words"

    def values(self, cells: Sequence[str]) -> Doubles:
        """See `Column`."""
        none = len(self.words)
        places = [self._places.get(cell.strip().lower(), none) for cell in cells]
        found = np.eye(none + 1, none)[np.array(places, np.intp)]
        if self.between:
            for row, cell in enumerate(cells):
                for word in cell.lower().split(self.between) if self.between in cell else ():
                    if word in self._places:
                        found[row, self._places[word]] = 1.0
        return found


@dataclass(frozen=True, slots=True)
class Bits:
    """The bits of a number, one feature each.

    Args:
        name: as published.
        bits: their names, the lowest first.
    """

    name: str
    bits: tuple[str, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """See `Column`."""
        return tuple(f"{self.name}={bit}" for bit in self.bits)

    @property
    def kind(self) -> str:
        """See `Column`."""
        return "bits"

    def values(self, cells: Sequence[str]) -> Doubles:
        """See `Column`. Beyond 32 bits a number is no set of flags."""
        numbers = to_numbers(cells)
        bad = ~((numbers >= 0) & (numbers < 2.0**32))
        whole = np.where(bad, 0, numbers).astype(np.int64)
        bits = (whole[:, None] >> np.arange(len(self.bits))) & 1
        return np.where(bad[:, None], nan, bits)


def listed(text: str) -> tuple[str, ...]:
    """The words of a text with spaces between them."""
    return tuple(text.split())


def to_numbers(cells: Sequence[str]) -> Doubles:
    """The cells' numbers, float64 `(cells,)`.

    "", "-" and "nan" are 0; "0x1f" is 31; "inf" stays infinite; anything else is NaN.
    """
    try:
        numbers = np.array(list(map(float, cells)), np.float64)
    except ValueError:  # the way of the few cells that Python alone cannot read
        return np.array([_number(cell) for cell in cells], np.float64)
    numbers[np.isnan(numbers)] = 0.0
    return numbers


def _number(cell: str) -> float:
    text = cell.strip().lower()
    if text in MISSING:
        return 0.0
    try:
        return float(int(text, 16)) if text.startswith("0x") else float(text)
    except (ValueError, OverflowError):
        return nan


def fault(columns: Sequence[Column], cells: Sequence[str]) -> str:
    """Why a row is bad: the first column whose cell gives no number; empty if none is."""
    for column, cell in zip(columns, cells, strict=True):
        if any(map(isnan, column.values([cell])[0])):
            return f"column {column.name}: {cell[:40]!r} is not a number"
    return ""


def schema(name: str, columns: Sequence[Column]) -> str:
    """Name, number and hash of all features, as in "nsl-kdd-122-0123456789abcdef"."""
    features = [feature for column in columns for feature in column.features]
    text = "\n".join(f"{column.kind}: {', '.join(column.features)}" for column in columns)
    digest = blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{name}-{len(features)}-{digest}"
