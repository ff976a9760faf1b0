"""What is known of a published data set, and what every loader gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scenarios.data.table import Table

BYTES_MAX = 8 << 30
"""No file that a loader of ours knows is larger than this, packed or unpacked."""


@dataclass(frozen=True, slots=True)
class Download:
    """One file at a stable address.

    Args:
        name: of the file in the user's folder.
        url: https.
        sha256: 64 hexadecimal digits that somebody published or that we measured on the same file;
            None where we know of none: the first download is then taken on trust and its checksum
            written down, see `scenarios.data.fetch`.
        unpack: whether it is an archive (.zip or .tar.gz).
        bytes_max: a longer answer is refused; three times the size that the publisher states.
        unpacked_max: an archive that holds more bytes is refused.
    """

    name: str
    url: str
    sha256: str | None = None
    unpack: bool = False
    bytes_max: int = BYTES_MAX
    unpacked_max: int = BYTES_MAX


@dataclass(frozen=True, slots=True)
class About:
    """Facts about a data set, for messages, `hedgerow data` and docs/data.md.

    Args:
        name: what `data.source` says.
        title: as its authors call it.
        licence: terms of use in a few words.
        citation: the authors' paper.
        size: rows and bytes, roughly, as published.
        home: where a person gets it.
        layout: what a folder with the set looks like.
        excluded: published columns that never become features, with the reason.
        tried: on which real files the loader was tried; empty where on none.
        downloads: its files at stable addresses; empty where a form or a login guards them.
        after: what to do once they are fetched; empty for nothing.
    """

    name: str
    title: str
    licence: str
    citation: str
    size: str
    home: str
    layout: str
    excluded: Mapping[str, str]
    tried: str = ""
    downloads: tuple[Download, ...] = ()
    after: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A data set read from a folder.

    Args:
        table: the rows that were kept.
        rows: rows in the files.
        bad: rows among those looked at that could not be used; fewer than
            `scenarios.data.sources.csvs.BAD_SHARE_MAX` of them.
        first_bad: the first of them: file, line, and why; empty where there is none.
        files: names of the files read, relative to the folder.
    """

    table: Table
    rows: int
    bad: int = 0
    first_bad: str = ""
    files: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class DataSet:
    """A published data set and its loader.

    Args:
        about: see there.
        read: `(folder, rows_max, seed) -> Reading`. Raises ConfigError where the folder lacks
            files or a file is not in the published layout; its text names the file.
    """

    about: About
    read: Callable[[Path, int, bytes], Reading]
