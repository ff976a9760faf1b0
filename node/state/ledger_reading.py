"""Reading a node's ledger: entries, whether all are as they were written, what became of merges.

Takes no lock; the node may run meanwhile.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossip.contacts import PeerId
from gossip.errors import StateError
from node.state.ledger import (
    CHECKPOINT,
    DAMAGE,
    LINE_BYTES_MAX,
    MISSING,
    NOTHING,
    Signs,
    files,
    hash_of,
    signed_body,
)

WENT_BACK = frozenset({"rollback", "exclude"})
"""Kinds of entries with which the model went back; `kept` is the last entry that stays part of it,
where a generation was taken up."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Args:
        place: file and line, for messages.
        line: its bytes, without the end.
        about: what it says; empty where it is no entry.
    """

    place: str
    line: bytes
    about: dict[str, Any]

    @property
    def number(self) -> int:
        """Its number; 0 where it has none."""
        number = self.about.get("n")
        return number if type(number) is int else 0

    @property
    def what(self) -> str:
        """Its kind."""
        return str(self.about.get("what", ""))

    @property
    def at_s(self) -> float:
        """When it was noted, seconds since 1970."""
        at_s = self.about.get("at_s")
        return float(at_s) if isinstance(at_s, int | float) else 0.0


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at the whole ledger found.

    Args:
        entries: how many.
        files: in how many files.
        first: number of the first that is still there; last, of the last.
        checkpoints: signatures that hold.
        unsigned: entries after the last of them.
        missing: told to be missing, by entries that say so.
        bad: the first bad entry and what is wrong with it; empty where all is well.
    """

    entries: int = 0
    files: int = 0
    first: int = 0
    last: int = 0
    checkpoints: int = 0
    unsigned: int = 0
    missing: int = 0
    bad: str = ""


def entries(folder: Path) -> Iterator[Entry]:
    """All entries, oldest first. A last line that is not whole yet is left out.

    Raises:
        StateError: a file cannot be read.
    """
    found = files(folder)
    for number, path in found:
        yield from _lines(path, last=number == found[-1][0])


def _lines(path: Path, *, last: bool) -> Iterator[Entry]:
    try:
        with path.open("rb") as stream:
            place = 0
            while line := stream.readline(LINE_BYTES_MAX):
                place += 1
                if not line.endswith(b"\n") and last and len(line) < LINE_BYTES_MAX:
                    return
                yield Entry(f"{path.name}, line {place}", line.rstrip(b"\n"), _told(line))
    except FileNotFoundError:  # the node began a new file, and let the oldest go
        return
    except OSError as error:
        raise StateError(
            f"{path}: cannot be read ({error.strerror}); mend the permissions"
        ) from error


def _told(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def verify(folder: Path, me: PeerId, seal: Signs, noted: int = 0) -> Verified:
    """Recompute everything, up to the first bad entry.

    Args:
        folder: the state folder.
        me: whose signatures count.
        seal: checks them.
        noted: the last entry that the newest snapshot knows of.

    Raises:
        StateError: a file cannot be read.
    """
    names = [path.name for _, path in files(folder)]
    count = first = last = checkpoints = unsigned = missing = 0
    before = ""
    for entry in entries(folder):
        bad = _wrong(entry, last, before, me, seal)
        if bad:
            said = f"{entry.place} (entry {entry.number or '?'}): {bad}"
            return Verified(count, len(names), first, last, checkpoints, unsigned, missing, said)
        if entry.what == MISSING:
            missing += entry.number - 1 - last
        count, last, before = count + 1, entry.number, hash_of(entry.line)
        first = first or last
        unsigned = 0 if entry.what == CHECKPOINT else unsigned + 1
        checkpoints += entry.what == CHECKPOINT
    bad = ""
    if last < noted:
        bad = f"the end: entry {last} is the last, but what was saved knows of {noted}"
    return Verified(count, len(names), first, last, checkpoints, unsigned, missing, bad)


def _wrong(entry: Entry, last: int, before: str, me: PeerId, seal: Signs) -> str:
    """What is wrong with an entry that follows entry `last`, whose hash is `before`."""
    told, number = entry.about.get("before"), entry.number
    follows = number > last if entry.what == MISSING else number == last + 1
    bound = told == before if before else (number != 1 or told == NOTHING)
    checks = (
        (number > 0 and entry.what != "", "it is no entry"),
        (entry.what != DAMAGE, "the node found the file before it damaged"),
        (bound, "it or the entry before was changed: its hash of that one does not fit"),
        (not before or follows, f"it follows entry {last}"),
        (entry.what != CHECKPOINT or _signed(entry, me, seal), f"its signature is not {me}'s"),
    )
    return next((wrong for holds, wrong in checks if not holds), "")


def _signed(entry: Entry, me: PeerId, seal: Signs) -> bool:
    try:
        signature = bytes.fromhex(str(entry.about.get("signature")))
    except ValueError:
        return False
    body = signed_body(entry.number, str(entry.about.get("before")))
    return entry.about.get("peer") == me and seal.verifies(me, body, signature)


def lineage(found: Iterable[Entry]) -> list[range]:
    """Numbers of the entries that the present model goes back to, newest range first.

    A merge outside of them fell away when the model went back to a generation before it. Going
    forward again, to what a rollback left, brings it back.
    """
    back: dict[int, int] = {}
    upto = 0
    for entry in found:
        upto = entry.number
        if entry.what in WENT_BACK and type(kept := entry.about.get("kept")) is int:
            back[entry.number] = kept
    ranges: list[range] = []
    for at in sorted(back, reverse=True):
        if at <= upto:
            ranges.append(range(at, upto + 1))
            upto = min(back[at], at - 1)
    return [*ranges, range(1, upto + 1)]


def fallen(found: Iterable[Entry], ranges: Sequence[range]) -> frozenset[int]:
    """Numbers of the merges that are no longer part of the model."""
    return frozenset(
        entry.number
        for entry in found
        if entry.what == "merge" and not any(entry.number in each for each in ranges)
    )
