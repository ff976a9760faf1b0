"""What a published set's files and their columns mean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scenarios.data.sources.columns import Column

ELSEWHERE = "elsewhere"
"""Owner of rows that were seen at none of a set's own devices."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a set's files mean.

    Args:
        name: of the set.
        columns: those that become features.
        families: names, benign first.
        label: the column that says what a row is; empty where the file does.
        family: from such a cell, spaces around it taken off, to a family's name; None if unknown.
        owner_from: columns whose cells decide a row's owner; empty where the file does.
        owner: from these cells to the owner's name.
        time: the column with the time of a row in seconds; empty where there is none.
    """

    name: str
    columns: tuple[Column, ...]
    families: tuple[str, ...]
    label: str = ""
    family: Callable[[str], str | None] = str
    owner_from: tuple[str, ...] = ()
    owner: Callable[..., str] = str
    time: str = ""

    @property
    def needed(self) -> tuple[str, ...]:
        """Every column that a file must have."""
        others = (self.label, self.time, *self.owner_from)
        return (*(column.name for column in self.columns), *(name for name in others if name))


@dataclass(frozen=True, slots=True)
class File:
    """One file of a set.

    Args:
        path: see there.
        name: relative to the folder, for messages and as the key of draws.
        owner: of its rows, where the layout names no columns for that.
        family: of its rows, where the layout names no column for that.
        held_out: whether the authors set it aside for testing.
        header: names of its columns, where its first line does not say them.
        skipped: lines before the header, or before the rows if `header` is given.
        renamed: other spellings of columns in this file, to the layout's.
    """

    path: Path
    name: str
    owner: str = ""
    family: str = ""
    held_out: bool = False
    header: tuple[str, ...] = ()
    skipped: int = 0
    renamed: Mapping[str, str] = field(default_factory=dict)
