"""Disks that are full or read-only: alerts come first, and all recovers by itself."""

from pathlib import Path

from node.alerts.keeping import KEPT_LINES_MAX, KeepingFile


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
