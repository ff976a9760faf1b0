"""The state folder: whole snapshots after any crash, damage set aside, one node at a time."""

import multiprocessing
import os
import random
import re
import resource
import sqlite3
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from gossip.errors import StateError
from node.state import generations, store
from node.state.store import Snapshot, Store, look

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["node.state.store"])


def snapshot(cycle: int, rows: int = 5_000) -> Snapshot:
    """Arrays and small state that all tell the cycle."""
    arrays = {
        "model": np.full(rows, cycle, np.float32),
        "ages": np.full(4, cycle, np.int64),
        "seen": np.array([cycle % 2 == 0]),
    }
    return Snapshot(cycle, arrays, {"cycle": cycle, "peers": [["a", ["/ip4/1.2.3.4/tcp/1"]]]})


def same(one: Snapshot | None, other: Snapshot) -> bool:
    return (
        one is not None
        and (one.cycle, one.small) == (other.cycle, other.small)
        and one.arrays.keys() == other.arrays.keys()
        and all(
            one.arrays[k].dtype == other.arrays[k].dtype
            and np.array_equal(one.arrays[k], other.arrays[k])
            for k in one.arrays
        )
    )


def saved(folder: Path, *cycles: int) -> Path:
    kept = Store.open(folder)
    for cycle in cycles:
        kept.save(snapshot(cycle))
    kept.close()
    return folder


def files(folder: Path) -> list[Path]:
    return [folder / found.name for found in generations.listed(folder)]


def test_round_trip_keeps_two_generations(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "state"
    kept = Store.open(folder)
    assert kept.load() is None
    for cycle in range(1, 6):
        kept.save(snapshot(cycle))
        assert same(kept.load(), snapshot(cycle))
    kept.close()
    kept.close()
    assert len(files(folder)) == 2
    assert folder.stat().st_mode & 0o777 == 0o700
    again = Store.open(folder)
    assert same(again.load(), snapshot(5))
    assert again.warnings == []
    again.close()


def test_a_second_node_is_refused(tmp_path: Path) -> None:
    first = Store.open(tmp_path / "s")
    with pytest.raises(StateError, match=f"a node with pid {os.getpid()} is using it"):
        Store.open(tmp_path / "s")
    first.close()
    Store.open(tmp_path / "s").close()


def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    tmp_path.chmod(0o755)
    with pytest.raises(StateError, match="is not a state folder"):
        Store.open(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    with pytest.raises(StateError, match=r"letter\.txt: cannot be used as state folder \(File ex"):
        Store.open(tmp_path / "letter.txt")
    (tmp_path / "empty").mkdir(mode=0o755)
    Store.open(tmp_path / "empty").close()
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone"])
def test_a_damaged_generation_is_set_aside(tmp_path: Path, damage: str) -> None:
    newest, previous = files(saved(tmp_path / "s", 1, 2))
    content = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    else:
        broken = {"cut": content[:-7], "flip": content[:-1] + b"\xff", "empty": b""}[damage]
        newest.write_bytes(broken)
    kept = Store.open(tmp_path / "s")
    assert same(kept.load(), snapshot(1))
    assert len(kept.warnings) == 1
    if damage == "gone":
        assert f"{newest}: is missing" in kept.warnings[0]
    else:
        aside = newest.with_name(f"{newest.name}.damaged-1")
        assert f"kept as {aside.name}" in kept.warnings[0]
        assert aside.read_bytes() == broken
    kept.save(snapshot(3))
    assert same(kept.load(), snapshot(3))
    assert previous.exists()
    kept.close()


def test_nothing_sound_left_is_an_error_once(tmp_path: Path) -> None:
    paths = files(saved(tmp_path / "s", 1, 2))
    for path in paths:
        path.write_bytes(b"junk")
    kept = Store.open(tmp_path / "s")
    with pytest.raises(StateError, match=r"nothing that was saved can be read.*damaged-1.*damaged"):
        kept.load()
    kept.close()
    kept = Store.open(tmp_path / "s")
    assert kept.load() is None
    kept.close()
    assert sorted(p.read_bytes() for p in (tmp_path / "s").glob("*.damaged-1")) == [b"junk"] * 2


@pytest.mark.parametrize("damage", ["junk", "cut", "foreign", "gone"])
def test_a_damaged_database_costs_only_itself(tmp_path: Path, damage: str) -> None:
    path = saved(tmp_path / "s", 1, 2, 3) / store.DATABASE
    if damage == "junk":
        path.write_bytes(b"junk" * 5_000)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5_000])
    else:
        path.unlink()
    if damage == "foreign":
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE letters (text)")
        other.close()
    before = path.read_bytes() if path.exists() else b""
    for number in (1, 2):
        kept = Store.open(tmp_path / "s")
        assert same(kept.load(), snapshot(3))
        assert len(kept.warnings) == (number == 1 and damage != "gone")
        kept.close()
    if damage != "gone":
        assert path.with_name(f"{path.name}.damaged-1").read_bytes() == before


def test_damage_never_overwrites_older_damage(tmp_path: Path) -> None:
    path = saved(tmp_path / "s", 1) / store.DATABASE
    for text in (b"first" * 999, b"second" * 999):
        path.write_bytes(text)
        kept = Store.open(tmp_path / "s")
        assert same(kept.load(), snapshot(1))
        kept.close()
    assert path.with_name(f"{path.name}.damaged-1").read_bytes() == b"first" * 999
    assert path.with_name(f"{path.name}.damaged-2").read_bytes() == b"second" * 999


def test_a_newer_schema_is_refused_and_an_older_one_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "s", 7)
    newer = (
        *store.MIGRATIONS,
        lambda database: database.execute("ALTER TABLE generation ADD COLUMN note TEXT"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(store, "MIGRATIONS", newer)
        kept = Store.open(folder)
        assert same(kept.load(), snapshot(7))
        kept.close()
    with pytest.raises(StateError, match=r"newer Hedgerow \(schema 3, this one knows 2\)"):
        Store.open(folder)


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Store.open(tmp_path / "s")
    kept.save(snapshot(1))
    monkeypatch.setattr(generations, "SMALL_CHARS_MAX", 100)
    for bad, expected in [
        (Snapshot(2, {}, {"x": "y" * 101}), "characters of small state"),
        (Snapshot(2, {str(i): np.zeros(1) for i in range(257)}), "257 arrays is over"),
        (Snapshot(2, {}, {"x": float("nan")}), "is no JSON"),
        (Snapshot(2, {}, {"x": b"bytes"}), "is no JSON"),
    ]:
        with pytest.raises(StateError, match=expected):
            kept.save(bad)
    assert same(kept.load(), snapshot(1))
    kept.close()


def _save_for_ever(folder: Path, acknowledge: Connection) -> None:
    kept = Store.open(folder)
    last = kept.load()
    cycle = 0 if last is None else last.cycle
    while True:
        cycle += 1
        kept.save(snapshot(cycle))
        acknowledge.send(cycle)


def test_kill_9_at_any_moment_loses_at_most_the_last_cycle(tmp_path: Path) -> None:
    moments = random.Random(20261123)
    folder, acknowledged = tmp_path / "s", 0
    for _ in range(20):
        receiver, sender = FORKS.Pipe(duplex=False)
        child = FORKS.Process(target=_save_for_ever, args=(folder, sender))
        child.start()
        sender.close()
        for _ in range(moments.randint(1, 3)):
            acknowledged = receiver.recv()
        # A pause of random length: the kill falls into any part of a save, which takes some ms.
        while receiver.poll(moments.uniform(0.0, 0.004)):
            acknowledged = receiver.recv()
        child.kill()
        child.join()
        try:
            while True:
                acknowledged = receiver.recv()
        except EOFError:
            receiver.close()
        child.close()
        kept = Store.open(folder)
        loaded = kept.load()
        assert loaded is not None
        assert acknowledged <= loaded.cycle <= acknowledged + 1
        assert same(loaded, snapshot(loaded.cycle))
        assert kept.warnings == []
        assert list(folder.glob("*.tmp")) == []
        kept.close()
        acknowledged = loaded.cycle
    assert acknowledged >= 20


def _save_beyond_the_limit(folder: Path, limit: int, rows: int, answer: Connection) -> None:
    kept = Store.open(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        kept.save(snapshot(2, rows))
    except StateError as error:
        answer.send(str(error))
    else:
        answer.send("no error")
    # The store is still of use afterwards.
    loaded = kept.load()
    answer.send(loaded.cycle if loaded else None)
    kept.close()


@pytest.mark.parametrize(
    ("limit", "rows", "expected"),
    [(60_000, 50_000, r"\.safetensors: cannot be written"), (3_000, 2, r"\.sqlite: cannot be wri")],
)
def test_a_full_disk_leaves_what_was_saved(
    tmp_path: Path, limit: int, rows: int, expected: str
) -> None:
    folder = saved(tmp_path / "s", 1)
    receiver, sender = FORKS.Pipe(duplex=False)
    child = FORKS.Process(target=_save_beyond_the_limit, args=(folder, limit, rows, sender))
    child.start()
    sender.close()
    message = receiver.recv()
    assert re.search(expected, message)
    assert "What was saved before is untouched" in message
    assert receiver.recv() == 1
    child.join()
    assert child.exitcode == 0
    child.close()
    receiver.close()
    kept = Store.open(folder)
    assert same(kept.load(), snapshot(1))
    assert kept.warnings == []
    kept.save(snapshot(2))
    assert same(kept.load(), snapshot(2))
    kept.close()


def test_a_database_whose_creation_was_cut_short_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    half = sqlite3.connect(folder / store.DATABASE)
    half.execute("PRAGMA cache_size = 1")
    half.execute("BEGIN")
    half.execute("CREATE TABLE t (x)")
    half.executemany("INSERT INTO t VALUES (?)", [("x" * 4_000,)] * 50)  # spills to the file
    copies = {path.name: path.read_bytes() for path in folder.iterdir()}
    half.close()
    for name, content in copies.items():
        (folder / name).write_bytes(content)
    assert set(copies) == {store.DATABASE, f"{store.DATABASE}-journal"}
    assert copies[store.DATABASE]
    kept = Store.open(folder)
    assert kept.load() is None
    assert kept.warnings == []
    kept.save(snapshot(1))
    kept.close()


def test_looking_disturbs_nobody_and_changes_nothing(tmp_path: Path) -> None:
    kept = Store.open(saved(tmp_path / "a", 1, 2))  # it runs, and holds the lock
    before = sorted((path.name, path.stat().st_mtime_ns) for path in kept.folder.iterdir())
    assert same(look(kept.folder), snapshot(2))
    assert sorted((p.name, p.stat().st_mtime_ns) for p in kept.folder.iterdir()) == before
    kept.save(snapshot(3))
    assert same(look(kept.folder), snapshot(3))
    kept.close()
    newest = files(kept.folder)[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    assert same(look(kept.folder), snapshot(2)), "as the next life will have it"
    assert newest.exists(), "setting aside is for whoever holds the lock"


def test_looking_where_there_is_nothing_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="name the state folder of a node with --state-dir"):
        look(tmp_path / "none")
    Store.open(tmp_path / "new").close()
    with pytest.raises(StateError, match="wait for a node's first training"):
        look(tmp_path / "new")
    for path in files(saved(tmp_path / "a", 1)):
        path.write_bytes(b"")
    with pytest.raises(StateError, match="start its node, which sets aside"):
        look(tmp_path / "a")
