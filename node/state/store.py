"""The state folder: what a node keeps across restarts, and how it survives a crash at any moment.

`save` writes a generation file (temporary name, fsync, rename, fsync of the folder) and then
commits one SQLite row that makes it current. Whatever moment `kill -9` strikes, the row points at
a complete file, so at most the cycle being saved is lost. The two newest generations are kept, and
beside them spaced ones to go back to (`node.state.spacing`): files that were written anyway.

SQLite runs with a rollback journal and synchronous=FULL. WAL would save an fsync per commit, which
once a cycle is worth nothing, and would cost two more files that belong to the database and must
be set aside with it when it is damaged.

Small state (counters, ages, remembered peers, sensor positions, open incidents) travels inside the
generation file, under its checksum, so that it always belongs to the arrays beside it and outlives
a damaged database.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

from gossip.errors import StateError
from node.state import generations
from node.state.generations import Generation, Snapshot
from node.state.spacing import Keep, spaced

__all__ = ["InUseError", "Snapshot", "Store", "look"]

KEPT = 2
PINNED_MAX = 4
"""Generations kept because a rollback left them; the oldest make room. Our choice: who goes back
for the fifth time is not going to undo the first."""
DATABASE = "state.sqlite"
LOCK = "lock"
LOOKS_MAX = 5
APPLICATION_ID = 0x4865_6467  # "Hedg", so that `file` and we can tell our database from others

_CREATE = """
CREATE TABLE generation (
    number INTEGER PRIMARY KEY, cycle INTEGER NOT NULL, digest TEXT NOT NULL
) STRICT
"""

_INSERT = "INSERT INTO generation (number, cycle, digest) VALUES (?, ?, ?)"

_DELETE = "DELETE FROM generation WHERE number = ?"

_PIN = "ALTER TABLE generation ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0"

MIGRATIONS: tuple[Callable[[sqlite3.Connection], object], ...] = (
    lambda database: database.execute(_CREATE),
    lambda database: database.execute(_PIN),
)
"""Each brings the schema one version up; SQLite's user_version counts those done."""


class InUseError(StateError):
    """A node is using the state folder."""


class Store:
    """A locked state folder. Use `Store.open`.

    Attributes:
        folder: the state folder; other rooms may keep their own files in it.
        warnings: what was found damaged and set aside so far, one line each, for the log.
        keep: which generations stay beside the two newest.
        before_save: called first in each `save`, in its thread; must not raise.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self.keep = Keep()
        self.before_save: Callable[[], None] = lambda: None
        self.warnings: list[str] = []
        self._lock = lock
        self._database = self._opened()
        rows = self._rows()
        self._number = max([found.number for found in rows + self._files()], default=0)
        if rows:
            self._prune()

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Make the folder if need be (mode 0700), lock it, and clear away what a crash left.

        Raises:
            StateError: the folder cannot be made or used, is open to other users and not ours
                alone, is in use by another node, or was written by a newer Hedgerow.
        """
        _prepare(folder)
        lock = _locked(folder / LOCK)
        try:
            return cls(folder, lock)
        except BaseException:
            os.close(lock)
            raise

    def save(self, snapshot: Snapshot, *, forget: bool = True) -> Generation:
        """Make this the current snapshot. When it returns, a crash or a power cut cannot undo it.

        Args:
            snapshot: to be saved.
            forget: let generations go that `keep` has no use for.

        Raises:
            StateError: it could not be stored. The snapshot saved before stays current.
        """
        self.before_save()
        generation = generations.write(self.folder, self._number + 1, snapshot)
        try:
            self._record(generation, snapshot.cycle, forget=forget)
        except StateError:
            with suppress(OSError):
                (self.folder / generation.name).unlink(missing_ok=True)
            raise
        self._number = generation.number
        self._prune()
        return generation

    def pin(self, number: int) -> None:
        """Keep this generation whatever `keep` says, until `PINNED_MAX` later ones are pinned."""
        self._execute(("UPDATE generation SET pinned = 1 WHERE number = ?", (number,)))

    @property
    def generations(self) -> tuple[Generation, ...]:
        """All that are kept, newest first."""
        return tuple(self._rows())

    def load(self) -> Snapshot | None:
        """The newest sound snapshot; None in a folder that never held one.

        Damaged files are set aside and named in `warnings`.

        Raises:
            StateError: there were snapshots and none is sound, or the disk cannot be read.
        """
        rows = self._rows()
        for generation in rows or self._files():
            snapshot = generations.read(self.folder, generation)
            if snapshot is not None:
                if not rows:
                    self._adopt(generation, snapshot.cycle)
                return snapshot
            self._damaged(generation)
        if self.warnings:
            raise StateError(
                f"{self.folder}: nothing that was saved can be read. {' '.join(self.warnings)} "
                "Start the node again to begin with an untrained model, or restore a backup first"
            )
        return None

    def close(self) -> None:
        """Give the folder back."""
        self._database.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _record(self, generation: Generation, cycle: int, *, forget: bool) -> None:
        """In one transaction: the new row, and the end of those too many."""
        leaving = self._too_many(generation.number, cycle) if forget else []
        insert = (_INSERT, (generation.number, cycle, generation.digest))
        self._execute(insert, *((_DELETE, (number,)) for number in leaving))

    def _too_many(self, newest: int, cycle: int) -> list[int]:
        """The numbers of rows that go once there is a newest one."""
        query = "SELECT number, cycle, pinned FROM generation ORDER BY number"
        try:
            rows = [*self._database.execute(query), (newest, cycle, 0)]
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        stay = spaced([row[1] for row in rows], self.keep)
        pinned = [row[0] for row in rows if row[2]][-PINNED_MAX:]
        return [
            row[0]
            for place, row in enumerate(rows[:-KEPT])
            if place not in stay and row[0] not in pinned
        ]

    def _adopt(self, newest: Generation, cycle: int) -> None:
        """The database was lost: enter what is sound among the files, the older ones as well."""
        found = [(newest, cycle)]
        for older in self._files():
            if older.number < newest.number:
                snapshot = generations.read(self.folder, older)
                found += [] if snapshot is None else [(older, snapshot.cycle)]
        self._execute(*((_INSERT, (each.number, at, each.digest)) for each, at in found))

    def _execute(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        try:
            with self._database:
                for statement, values in statements:
                    self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise StateError(
                f"{self.folder / DATABASE}: cannot be written ({error}); free some space or mend "
                "the permissions. What was saved before is untouched"
            ) from error

    def _files(self) -> list[Generation]:
        return list(generations.listed(self.folder))

    def _rows(self) -> list[Generation]:
        query = "SELECT number, digest FROM generation ORDER BY number DESC"
        try:
            return [Generation(number, digest) for number, digest in self._database.execute(query)]
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: sqlite3.Error) -> StateError:
        return StateError(
            f"{self.folder / DATABASE}: cannot be read ({error}); mend the permissions or the "
            "disk, or name another state folder"
        )

    def _damaged(self, generation: Generation) -> None:
        kept = generations.set_aside(self.folder / generation.name)
        what = f"is damaged and was kept as {kept.name}." if kept else "is missing."
        self.warnings.append(f"{self.folder / generation.name}: {what}")
        self._execute((_DELETE, (generation.number,)))

    def _prune(self) -> None:
        """Remove generation files that no row names; one that cannot go now goes next time."""
        rows = self._rows()
        for found in self._files():
            if found not in rows:
                with suppress(OSError):
                    (self.folder / found.name).unlink()

    def _opened(self) -> sqlite3.Connection:
        for temporary in self.folder.glob("generation-*.tmp"):
            temporary.unlink()
        path = self.folder / DATABASE
        try:
            database = _connected(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # the disk's fault, not the file's
                raise StateError(f"{path}: cannot be opened ({error})") from error
            for name in (f"{DATABASE}-journal", DATABASE):
                kept = generations.set_aside(self.folder / name)
                if kept:
                    self.warnings.append(
                        f"{self.folder / name}: is damaged ({error}) and was kept as {kept.name}."
                    )
            database = _connected(path)
        return database


def look(folder: Path) -> Snapshot:
    """The newest sound snapshot in a state folder, whether a node is using it or not.

    Changes nothing there, takes no lock, and needs no database: a file's name says what it is.

    Raises:
        StateError: there is no such folder, it holds no sound snapshot, or the disk refuses.
    """
    for _ in range(LOOKS_MAX):
        try:
            found = list(generations.listed(folder))
        except OSError as error:
            raise StateError(
                f"{folder}: cannot be read ({error.strerror}); name the state folder of a node "
                "with --state-dir or --config"
            ) from error
        for generation in found:
            snapshot = generations.read(folder, generation)
            if snapshot is not None:
                return snapshot
        if not found:
            raise StateError(
                f"{folder}: no node has saved anything there yet; name another folder with "
                "--state-dir or --config, or wait for a node's first training"
            )
        # Perhaps they went while we looked: a running node removes those it has outlived.
    raise StateError(
        f"{folder}: nothing that was saved there can be read; start its node, which sets aside "
        "what is damaged"
    )


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if S_IMODE(folder.stat().st_mode) & 0o077:
            if any(folder.iterdir()) and not (folder / LOCK).exists():
                raise StateError(
                    f"{folder}: is not a state folder, and other users can open it; name an empty "
                    "folder, or run chmod 700 if it is meant"
                )
            folder.chmod(0o700)
    except OSError as error:
        raise StateError(
            f"{folder}: cannot be used as state folder ({error.strerror}); check the path and its "
            "permissions, or set node.state_dir"
        ) from error


def _locked(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"{path}: cannot be written ({error.strerror}); check the state folder and its "
            "permissions"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise InUseError(
            f"{path.parent}: a node with pid {holder} is using it; stop that one, or give this one "
            "a state_dir of its own"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _connected(path: Path) -> sqlite3.Connection:
    """Open, check and migrate the database.

    Raises:
        sqlite3.DatabaseError: it is damaged.
        StateError: it is another program's, or a newer Hedgerow's.
    """
    path.touch(mode=0o600)
    # The runtime saves from a worker thread, one save at a time.
    database = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
    try:
        _checked(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _checked(database: sqlite3.Connection, path: Path) -> None:
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("PRAGMA synchronous = FULL")
    # Counted after SQLite undid what a crash left half done, if only the database's creation.
    if database.execute("PRAGMA page_count").fetchone()[0] == 0:
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    found = database.execute("PRAGMA application_id").fetchone()[0]
    if found != APPLICATION_ID:
        raise sqlite3.DatabaseError("not a database of Hedgerow")
    report = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if report != "ok":
        raise sqlite3.DatabaseError(str(report))
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StateError(
            f"{path}: was written by a newer Hedgerow (schema {version}, this one knows "
            f"{len(MIGRATIONS)}); upgrade, or set another node.state_dir"
        )
    for number, migrate in enumerate(MIGRATIONS[version:], start=version + 1):
        database.execute("BEGIN")
        migrate(database)
        database.execute(f"PRAGMA user_version = {number}")
        database.commit()
