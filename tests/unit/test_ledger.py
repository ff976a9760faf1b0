"""The ledger: bound together, cut short without harm, bounded, and never in anybody's way."""

import json
import os
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.contacts import PeerId
from node.state import ledger
from node.state.ledger import Ledger, files
from node.state.ledger_reading import Entry, entries, fallen, lineage, verify

ME, OTHER = PeerId("me"), PeerId("other")


class KeyedSeal:
    """Signs by a hash of the body and a name: all that the ledger asks of a seal."""

    def __init__(self, me: str = ME) -> None:
        self.me = me

    def sign(self, body: bytes) -> bytes:
        return blake2b(self.me.encode() + b"\0" + body).digest()

    def verifies(self, origin: PeerId, body: bytes, signature: bytes) -> bool:
        return KeyedSeal(origin).sign(body) == signature


SEAL = KeyedSeal()


def opened(folder: Path, size: int = 2**22, noted: int = 0) -> Ledger:
    return Ledger(folder, ME, SEAL, size, noted, now_s=lambda: 1_750_000_000.0)


def written(folder: Path, count: int = 6) -> Path:
    """A ledger of some merges, with a checkpoint amid them."""
    folder.mkdir(exist_ok=True)
    book = opened(folder)
    for number in range(count):
        book.note("merge", peer=OTHER, cycle=number)
        if number == count // 2:
            book.checkpoint()
    book.flush()
    return folder / "ledger-000001.jsonl"


def kinds(folder: Path) -> list[str]:
    return [each.what for each in entries(folder)]


def test_what_is_noted_comes_back_in_order_and_verifies(tmp_path: Path) -> None:
    written(tmp_path)
    found = list(entries(tmp_path))
    assert [each.number for each in found] == list(range(1, 8))
    assert [each.what for each in found].count("checkpoint") == 1
    report = verify(tmp_path, ME, SEAL, noted=7)
    assert (report.bad, report.entries, report.last) == ("", 7, 7)
    assert (report.checkpoints, report.unsigned) == (1, 2)
    assert (tmp_path / "ledger-000001.jsonl").stat().st_mode & 0o777 == 0o600
    again = opened(tmp_path)
    again.note("begin")
    again.flush()
    assert verify(tmp_path, ME, SEAL).last == 8


@settings(max_examples=60)
@given(data=st.data())
def test_no_byte_can_change_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """But in what came after the last signature, and there only in the last line."""
    path = written(tmp_path_factory.mktemp("ledger"))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    path.write_bytes(whole[:place] + bytes([new]) + whole[place + 1 :])
    last_line = whole[:-1].rfind(b"\n") + 1
    if place < last_line:
        hit = 1 + whole[:place].count(b"\n")
        bad = verify(path.parent, ME, SEAL).bad
        named = [f"ledger-000001.jsonl, line {line} (" for line in (hit, hit + 1)]
        assert bad.startswith(tuple(named)), (hit, bad)


@settings(max_examples=30)
@given(data=st.data())
def test_no_entry_can_be_taken_out_or_moved(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("ledger"))
    lines = path.read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 2))
    if data.draw(st.booleans()):
        changed = lines[:place] + lines[place + 1 :]
    else:
        changed = [*lines]
        changed[place], changed[place + 1] = changed[place + 1], changed[place]
    path.write_bytes(b"".join(changed))
    found = verify(path.parent, ME, SEAL)
    # Without its first entry it is a ledger whose older files have gone: all the rest is bound.
    assert found.bad or (changed == lines[1:] and found.first == 2)


@settings(max_examples=40)
@given(data=st.data())
def test_a_cut_last_line_is_no_damage_and_writing_goes_on(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("ledger"))
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:cut])
    left = whole[:cut].count(b"\n")
    assert verify(path.parent, ME, SEAL).bad == ""
    assert len(list(entries(path.parent))) == left
    book = opened(path.parent)
    assert book.number == left
    book.note("begin")
    book.flush()
    found = verify(path.parent, ME, SEAL)
    assert (found.bad, found.last) == ("", left + 1)


def test_a_tail_that_was_cut_off_is_missed(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    assert (
        "entry 5 is the last, but what was saved knows of 7"
        in verify(tmp_path, ME, SEAL, noted=7).bad
    )
    book = opened(tmp_path, noted=7)
    book.note("begin")
    book.flush()
    found = verify(tmp_path, ME, SEAL, noted=7)
    assert (found.bad, found.missing, found.last) == ("", 2, 9)


def test_nobody_elses_signature_counts(tmp_path: Path) -> None:
    written(tmp_path)
    assert "its signature is not other's" in verify(tmp_path, OTHER, SEAL).bad


def test_it_is_bounded_and_the_chain_goes_on_over_files(tmp_path: Path) -> None:
    book = opened(tmp_path, size=4 * ledger.LINE_BYTES_MAX)
    for number in range(3_000):
        book.note("merge", peer=OTHER, cycle=number, detail="x" * 200)
        if number % 50 == 0:
            book.flush()
    book.flush()
    kept = files(tmp_path)
    assert ledger.FILES - 1 <= len(kept) <= ledger.FILES
    assert kept[0][0] > 1
    assert sum(path.stat().st_size for _, path in kept) < 5 * ledger.LINE_BYTES_MAX
    for _, path in kept[:-1]:
        assert json.loads(path.read_bytes().splitlines()[-1])["what"] == "checkpoint"
    found = verify(tmp_path, ME, SEAL, noted=book.number)
    assert (found.bad, found.last) == ("", book.number)
    assert found.first > 1
    assert found.checkpoints >= ledger.FILES - 2
    kept[1][1].unlink()
    assert "its hash of that one does not fit" in verify(tmp_path, ME, SEAL).bad


def test_damage_amid_is_named_and_never_written_over(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes() + b"\x00" * 40 + b"\n")
    before = path.read_bytes()
    book = opened(tmp_path)
    book.note("begin")
    book.flush()
    assert path.read_bytes() == before
    assert kinds(tmp_path)[-2:] == ["damage", "begin"]
    assert verify(tmp_path, ME, SEAL).bad.startswith("ledger-000001.jsonl, line 8 (entry ?)")


def test_a_disk_that_refuses_loses_nothing_until_too_much_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    book = opened(tmp_path)
    write = os.write
    with monkeypatch.context() as patch:

        def full(descriptor: int, data: bytes) -> int:
            if len(data) > 40:
                return write(descriptor, data[:40])
            raise OSError(28, "No space left on device")

        patch.setattr(ledger.os, "write", full)
        for number in range(ledger.WAITING_MAX + 5):
            book.note("merge", cycle=number)
        book.flush()
        assert "No space left" in book.trouble
        assert path.read_bytes() == before
    book.flush()
    assert (book.trouble, book.lost) == ("", 5)
    book.note("begin")
    book.checkpoint()
    found = list(entries(tmp_path))
    assert [each.what for each in found[-3:]] == ["lost", "begin", "checkpoint"]
    assert found[-3].about["entries"] == 5
    assert verify(tmp_path, ME, SEAL, noted=book.number).bad == ""


def entry(number: int, what: str, kept: int | None = None) -> Entry:
    about = {"n": number, "what": what} | ({} if kept is None else {"kept": kept})
    return Entry("", b"", about)


def test_merges_fall_away_with_a_rollback_and_come_back_when_it_is_undone() -> None:
    life = [entry(number, "merge") for number in range(1, 11)]
    life.append(entry(11, "rollback", kept=4))
    life.append(entry(12, "merge"))
    assert fallen(life, lineage(life)) == {5, 6, 7, 8, 9, 10}
    life.append(entry(13, "rollback", kept=10))  # to what the first one left
    life.append(entry(14, "merge"))
    assert fallen(life, lineage(life)) == {12}
    life.append(entry(15, "exclude", kept=12))  # to a generation between the two
    assert fallen(life, lineage(life)) == {5, 6, 7, 8, 9, 10, 14}
