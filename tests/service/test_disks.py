"""Disks that are full or read-only: alerts come first, and all recovers by itself."""

import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from gossip.errors import StateError
from node.alerts.keeping import KEPT_LINES_MAX, KeepingFile
from node.service.health import Health
from node.state.saving import RESERVE_BYTES, Saver, room
from node.state.store import Snapshot
from tests.service.full_disk import CANNOT


def keeping(folder: Path) -> tuple[KeepingFile, Path]:
    """On a path that leads to a full disk until it is changed."""
    path = folder / "alerts"
    path.symlink_to("/dev/full")
    return KeepingFile(path), path


def mended(path: Path) -> None:
    path.unlink()


def test_alerts_wait_for_the_disk_and_are_written_in_order(tmp_path: Path) -> None:
    file, path = keeping(tmp_path)
    assert not file.append(b"one", 0.0)
    assert not file.append(b"two", 0.1)
    assert (file.written, file.waiting, file.lost) == (0, 2, 0)
    mended(path)
    file.retry(0.2)
    assert file.waiting == 2, "not before its time"
    file.retry(1.0)
    assert file.append(b"three", 1.1)
    file.close()
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert (file.written, file.waiting, file.lost) == (3, 0, 0)


def test_attempts_become_rarer_and_then_it_is_as_before(tmp_path: Path) -> None:
    file, path = keeping(tmp_path)
    file.append(b"x", 0.0)
    tried = [at for at in range(1, 400) if before(file, float(at))]
    assert tried == [1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]
    mended(path)
    file.retry(1_000.0)
    assert (file.waiting, path.read_bytes()) == (0, b"x\n")


def before(file: KeepingFile, now_s: float) -> bool:
    """Whether it tries at this time."""
    again_s = file._again_s
    file.retry(now_s)
    return file._again_s != again_s


def test_memory_is_bounded_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    file, path = keeping(tmp_path)
    for number in range(KEPT_LINES_MAX + 7):
        file.append(b"%d" % number, 0.0)
    assert (file.waiting, file.lost) == (KEPT_LINES_MAX, 7)
    mended(path)
    file.close()
    assert path.read_bytes().splitlines()[0] == b"7", "the oldest go first"


class Shelf:
    """A store on a disk of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.full, self.saved, self.tried = folder, False, [], 0

    def save(self, snapshot: Snapshot) -> None:
        self.tried += 1
        if self.full:
            raise StateError("no space left")
        self.saved.append(snapshot.cycle)


def saving(folder: Path, main: Callable[[Saver, Shelf, Health], Awaitable[None]]) -> None:
    """Run a saver beside `main`, in a time that jumps."""
    shelf, health = Shelf(folder), Health()
    saver = Saver(shelf, health, lambda _: (10**9, 0))

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(saver.run)
            await main(saver, shelf, health)
            nursery.cancel_scope.cancel()

    trio.run(both, clock=MockClock(autojump_threshold=0.05))


def test_what_is_learnt_waits_for_the_disk_and_the_newest_is_saved(tmp_path: Path) -> None:
    async def main(saver: Saver, shelf: Shelf, health: Health) -> None:
        shelf.full = True
        for cycle in range(10):
            saver.ask(Snapshot(cycle))
            await trio.sleep(60)
        assert shelf.tried == 10, "at once, then 1, 2, 4 … 256 s apart"
        assert (health.not_saved, health.not_saved_cycles) == ("no space left", 10)
        shelf.full = False
        await trio.sleep(301)
        assert (shelf.saved, health.not_saved, health.not_saved_cycles) == ([9], "", 0)
        saver.ask(Snapshot(10))
        await trio.sleep(1)
        assert shelf.saved == [9, 10]

    saving(tmp_path, main)


def test_the_last_room_is_left_to_alerts(tmp_path: Path) -> None:
    shelf, health = Shelf(tmp_path), Health()
    free = [10**6]
    saver = Saver(shelf, health, lambda _: (free[0], 2 * 10**6))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(saver.run)
            saver.ask(Snapshot(1))
            await trio.sleep(10)
            assert shelf.tried == 0
            assert "kept for alerts" in health.not_saved
            free[0] = 10**7
            await trio.sleep(300)
            assert (shelf.saved, health.not_saved) == ([1], "")
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0.05))


def test_the_room_of_a_real_disk(tmp_path: Path) -> None:
    free, reserve = room(tmp_path)
    assert free > 0
    assert 0 < reserve <= RESERVE_BYTES


def test_a_node_outlives_a_disk_that_fills_up(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare is not installed here, so no disk of one's own can be had")
    script = "tests.service.full_disk"
    ran = subprocess.run(
        [unshare, "--map-root-user", "--mount", sys.executable, "-m", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        cwd=Path(__file__).parents[2],
    )
    if ran.returncode == CANNOT or "unshare failed" in ran.stderr:
        pytest.skip(f"no disk of one's own can be had here: {ran.stdout}{ran.stderr}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
