"""What analysts said of incidents, and the flows' features that they said it of.

A file of its own in the state folder, written at once and whole: a model that is rolled back does
not take back what a person said. It holds what a verdict needs to be changed or withdrawn, so that
no trace of it is left in any other memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from gossip.antigens import is_family
from gossip.errors import StateError
from gossip.features import SCHEMA
from node.alerts.incidents import ROWS_MAX, Incident, Row
from node.state.generations import write_whole

BENIGN = "benign"

NAME = "verdicts.json"

VERDICTS_MAX = 256
"""Verdicts remembered; the oldest goes first. With 32 flows each 1.4 MB of file. Our choice."""

FILE_BYTES_MAX = 16 * 2**20
VERSION = 1

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict.

    Args:
        incident: its key; family and source: the incident's, for people.
        word: "benign" or a family of attack.
        by: who said it; note: why.
        rows: flows of the incident when it was said.
    """

    incident: str
    family: str
    source: str
    word: str
    by: str
    note: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _File:
    verdicts: tuple[Said, ...] = ()
    schema: tuple[str, ...] = ()
    version: int = VERSION


class Book:
    """Verdicts, on disk as they are here.

    Args:
        folder: the state folder.

    Raises:
        StateError: the file is damaged, of a later release, or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._said: dict[str, Said] = {said.incident: said for said in self._load()}

    def __len__(self) -> int:
        return len(self._said)

    @property
    def said(self) -> tuple[Said, ...]:
        """All of it, in the order of being said."""
        return tuple(self._said.values())

    def get(self, incident: str) -> Said | None:
        """What was said of an incident."""
        return self._said.get(incident)

    def say(self, incident: Incident, word: str, by: str, note: str) -> Said:
        """Remember a verdict, in place of what was said before.

        Raises:
            StateError: the disk refuses it; nothing changed.
        """
        before = self._said.get(incident.key)
        rows = tuple(incident.rows) or (() if before is None else before.rows)
        said = Said(incident.key, incident.family, incident.source, word, by, note, rows)
        others = [each for each in self._said.values() if each.incident != incident.key]
        self._keep([*others, said][-VERDICTS_MAX:])
        return said

    def withdraw(self, incident: str) -> None:
        """Forget what was said of an incident.

        Raises:
            StateError: the disk refuses it; nothing changed.
        """
        self._keep([each for each in self._said.values() if each.incident != incident])

    def words(self) -> dict[str, Rows]:
        """Features by word, unscaled float32 `(n, features)`, in the order of being said."""
        found: dict[str, list[Rows]] = {}
        for said in self._said.values():
            if said.rows:
                found.setdefault(said.word, []).append(features_of(said.rows))
        return {word: np.concatenate(rows) for word, rows in found.items()}

    def _keep(self, said: Sequence[Said]) -> None:
        data = msgspec.json.encode(_File(tuple(said), SCHEMA))
        try:
            write_whole(self._path, data)
        except StateError as error:
            raise StateError(
                f"{error}. The verdict cannot be kept, so it was not taken; say it again then"
            ) from error
        self._said = {each.incident: each for each in said}

    def _load(self) -> tuple[Said, ...]:
        cure = "move it away to go on without verdicts, or restore it from a backup"
        try:
            with self._path.open("rb") as stream:
                data = stream.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StateError(
                f"{self._path}: cannot be read ({error.strerror}); check its permissions"
            ) from error
        try:
            found = msgspec.json.decode(data[:FILE_BYTES_MAX], type=_File)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise StateError(f"{self._path}: is damaged ({error}); {cure}") from error
        if found.version != VERSION or found.schema != SCHEMA:
            raise StateError(f"{self._path}: speaks of other features than this release's; {cure}")
        if len(found.verdicts) > VERDICTS_MAX or not all(map(_sound, found.verdicts)):
            raise StateError(f"{self._path}: is damaged; {cure}")
        return found.verdicts


def features_of(rows: Sequence[Row]) -> Rows:
    """Features of flows, unscaled float32 `(n, features)`."""
    data = b"".join(row.values for row in rows)
    return np.frombuffer(data, np.float32).reshape(len(rows), len(SCHEMA))


def _sound(said: Said) -> bool:
    if not (said.word == BENIGN or is_family(said.word)) or len(said.rows) > ROWS_MAX:
        return False
    if any(len(row.values) != 4 * len(SCHEMA) for row in said.rows):
        return False
    return not said.rows or bool(np.isfinite(features_of(said.rows)).all())
