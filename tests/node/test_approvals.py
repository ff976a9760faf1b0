"""The file of approved antigens: whole, bounded, and nobody's but the operator's."""

import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from gossip.errors import StateError
from node.antigens import approvals

IDS = [bytes([n]) * 8 for n in range(300)[:250]]


def test_approving_and_forgetting(tmp_path) -> None:
    assert approvals.load(tmp_path) == ()
    assert approvals.approve(tmp_path, IDS[1], IDS)
    assert approvals.approve(tmp_path, IDS[2], IDS)
    assert not approvals.approve(tmp_path, IDS[1], IDS), "it was approved before"
    assert set(approvals.load(tmp_path)) == {IDS[1], IDS[2]}
    assert stat.S_IMODE((tmp_path / approvals.FILE).stat().st_mode) == 0o600
    assert approvals.forget(tmp_path, IDS[1])
    assert not approvals.forget(tmp_path, IDS[1])
    assert approvals.load(tmp_path) == (IDS[2],)
    assert [each.name for each in tmp_path.iterdir()] == [approvals.FILE]


def test_approvals_of_what_is_no_longer_held_are_dropped(tmp_path) -> None:
    for each in IDS[:5]:
        approvals.approve(tmp_path, each, IDS)
    approvals.approve(tmp_path, IDS[7], IDS[3:])
    assert approvals.load(tmp_path) == (IDS[3], IDS[4], IDS[7])


def test_two_writers_at_once_lose_nothing(tmp_path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: approvals.approve(tmp_path, each, IDS), IDS[:40]))
    assert set(approvals.load(tmp_path)) == set(IDS[:40])


@pytest.mark.parametrize(
    "data",
    [
        b"0123\n",
        b"0123456789ABCDEF\n",
        b"\xff" * 16 + b"\n",
        b"0123456789abcdef\n\n",
        b"0123456789abcdef\n" * 2_000,
        b"0123456789abcdef \n",
    ],
)
def test_what_approve_did_not_write_is_refused_with_a_cure(tmp_path, data: bytes) -> None:
    (tmp_path / approvals.FILE).write_bytes(data)
    with pytest.raises(StateError, match=r"remove the file, and approve again"):
        approvals.load(tmp_path)
    with pytest.raises(StateError):
        approvals.approve(tmp_path, IDS[0], IDS)
    assert (tmp_path / approvals.FILE).read_bytes() == data


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, make) -> None:
    make(tmp_path / approvals.FILE)
    with pytest.raises(StateError, match="move it away"):
        approvals.load(tmp_path)
    with pytest.raises(StateError, match="move it away"):
        approvals.approve(tmp_path, IDS[0], IDS)


def test_a_full_disk_leaves_what_was_approved_before(tmp_path) -> None:
    approvals.approve(tmp_path, IDS[1], IDS)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with pytest.raises(StateError, match="What was saved before is untouched"):
            approvals.approve(tmp_path, IDS[2], IDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert approvals.load(tmp_path) == (IDS[1],)
    assert [each.name for each in tmp_path.iterdir()] == [approvals.FILE]


def test_a_folder_that_is_none(tmp_path) -> None:
    with pytest.raises(StateError, match="name the node's state folder"):
        approvals.approve(tmp_path / "gone", IDS[0], IDS)
