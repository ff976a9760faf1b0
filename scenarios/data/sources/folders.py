"""Finding a data set's files in the folder that a user names."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from gossip.errors import ConfigError
from scenarios.data.sources.about import About

FILES_MAX = 20_000
DEPTH_MAX = 10  # IoT-23's archive needs 6 below its own root
PACKED = (".gz", ".xz")

Hits = list[tuple[Path, "re.Match[str]"]]


def first_found(folder: Path, about: About, *patterns: str) -> Hits:
    """What `found` finds for the first of the patterns that any file matches.

    Raises:
        ConfigError: as `found`; or there is none of any.
    """
    for pattern in patterns:
        if hits := found(folder, pattern):
            return hits
    raise nothing(folder, about)


def found(folder: Path, pattern: str) -> Hits:
    """Files whose path below `folder`, with "/" between its parts, matches from end to end.

    A packed file (.gz, .xz) matches under its unpacked name. Upper and lower case are the same.
    Sorted by name, numbers by their value. Links to folders are not followed.

    Raises:
        ConfigError: the folder cannot be read, or holds too many files.
    """
    wanted = re.compile(pattern, re.IGNORECASE)
    hits = []
    for path in _walked(folder):
        name = path.relative_to(folder).as_posix()
        for suffix in PACKED:
            name = name.removesuffix(suffix)
        if match := wanted.fullmatch(name):
            hits.append((path, match))
    return sorted(hits, key=lambda hit: _natural(hit[0].relative_to(folder).as_posix()))


def nothing(folder: Path, about: About) -> ConfigError:
    """The error of a folder without the set: what was expected, what is there, what to do."""
    try:
        there = sorted(path.name for path in folder.iterdir())
    except OSError:
        there = []
    seen = ", ".join(there[:6]) + (f" and {len(there) - 6} more" if len(there) > 6 else "")
    cure = f"get it with `hedgerow data fetch {about.name} FOLDER`, or from {about.home}"
    return ConfigError(
        f"{folder} holds nothing of {about.title}; found {seen or 'no files'}; "
        f"expected {about.layout}; {cure}"
    )


def _walked(folder: Path) -> Iterator[Path]:
    count = 0
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; name the one that holds the data set")
    for root, folders, files in os.walk(folder):
        folders.sort()
        here = Path(root)
        if len(here.relative_to(folder).parts) >= DEPTH_MAX:
            folders.clear()
        for name in sorted(files):
            count += 1
            if count > FILES_MAX:
                raise ConfigError(
                    f"{folder} holds more than {FILES_MAX} files; name the set's own folder"
                )
            yield here / name


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
