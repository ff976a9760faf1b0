"""What `hedgerow data` tells a person."""

import sys
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from gossip.errors import ConfigError
from scenarios.data.fetch import SUMS, Fetched, fetch
from scenarios.data.sources.about import About
from scenarios.data.sources.load import DATA_SETS

TOLD_BYTES = 64 << 20  # a line of progress for each


def about(name: str) -> About:
    """The facts about a data set.

    Raises:
        ConfigError: there is none of this name.
    """
    if name in DATA_SETS:
        return DATA_SETS[name].about
    near = get_close_matches(name.lower(), DATA_SETS, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(
        f"{name[:40]!r} is none of the data sets {', '.join(DATA_SETS)}{meant or '; see'}"
        + ("" if meant else " `hedgerow data list`")
    )


def as_dicts() -> list[dict[str, Any]]:
    """All data sets, for programs."""
    return [asdict(each.about) for each in DATA_SETS.values()]


def as_table() -> Table:
    """All data sets, for a person."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("source", no_wrap=True)
    for heading in ("licence", "size", "get it", "loader tried on real files"):
        table.add_column(heading, overflow="fold")
    for each in DATA_SETS.values():
        known = each.about
        way = "fetch" if known.downloads else "by hand"
        table.add_row(known.name, known.licence, known.size, way, known.tried or "no")
    return table


def bring(name: str, folder: Path) -> None:
    """Fetch a data set and say what came; or say how to get it.

    Raises:
        ConfigError: there is no such set, it cannot be fetched by a program, or see `fetch`.
        NetworkError: see `fetch`.
        StateError: see `fetch`.
    """
    known = about(name)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{known.title}: {known.size}. Licence: {known.licence}.", markup=False)
    console.print(f"Cite: {known.citation}.", markup=False)
    if not known.downloads:
        console.print(f"Get it at {known.home}; put into {folder}: {known.layout}.", markup=False)
        raise ConfigError(
            f"{known.name} lies behind a form or a login, so that you must fetch it yourself; "
            "see the lines above"
        )
    for each in fetch(known, folder, _Told()):
        console.print(_said(each), markup=False)
    if known.after:
        console.print(f"Now {known.after}.", markup=False)


def _said(each: Fetched) -> str:
    said = f"{each.path}: SHA-256 {each.sha256}, "
    said += (
        f"which nobody published: taken on trust, and written to {SUMS} to be checked from now on"
        if each.trusted
        else "as expected"
    )
    return said + (f"; unpacked {len(each.unpacked)} names" if each.unpacked else "")


class _Told:
    """Says now and then how much has come, on standard error."""

    def __init__(self) -> None:
        self._next = TOLD_BYTES

    def __call__(self, name: str, written: int) -> None:
        """See `scenarios.data.fetch.Progress`."""
        if written < self._next - TOLD_BYTES:  # another file
            self._next = TOLD_BYTES
        if written >= self._next:
            self._next = written + TOLD_BYTES
            sys.stderr.write(f"{name}: {written >> 20} MiB\n")
