"""Formats of what is saved, and which generations are kept to go back to."""

import sqlite3
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import StateError
from node.state import formats, generations, store
from node.state.generations import Snapshot
from node.state.spacing import Keep, spaced
from node.state.store import Store, look
from tests.node.states import lay_down


def snapshot(cycle: int) -> Snapshot:
    return Snapshot(cycle, {"model": np.full(8, cycle, np.float32)}, {"cycle": cycle})


@pytest.mark.parametrize("number", sorted(formats.MIGRATIONS))
def test_each_older_format_is_brought_up_in_memory_only(tmp_path: Path, number: int) -> None:
    found = lay_down(tmp_path / "s", number)
    before = (tmp_path / "s" / found.name).read_bytes()
    loaded = look(tmp_path / "s")
    assert loaded.cycle == 31
    assert loaded.arrays["peer.vector"].shape == (3312,)
    assert loaded.small["made"] == {}
    assert loaded.small["ledger"] == 0
    assert loaded.small["incidents"]
    assert (tmp_path / "s" / found.name).read_bytes() == before
    kept = Store.open(tmp_path / "s")  # its database was never there, so it is entered anew
    assert kept.load() is not None
    kept.save(loaded)
    assert (tmp_path / "s" / found.name).read_bytes() == before
    kept.close()


def test_every_older_format_has_its_step_and_its_file() -> None:
    assert sorted(formats.MIGRATIONS) == list(range(formats.FIRST, formats.FORMAT))


def test_a_newer_format_is_refused_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(generations, "FORMAT", formats.FORMAT + 1)
        kept = Store.open(tmp_path / "s")
        kept.save(snapshot(1))
        kept.close()
    (path,) = (tmp_path / "s").glob("generation-*")
    before = path.read_bytes()
    kept = Store.open(tmp_path / "s")
    with pytest.raises(StateError, match=r"a newer one wrote it\. Install that release again"):
        kept.load()
    kept.close()
    with pytest.raises(StateError, match="Nothing was changed"):
        look(tmp_path / "s")
    assert [each.name for each in (tmp_path / "s").glob("generation-*")] == [path.name]
    assert path.read_bytes() == before


def test_what_cannot_be_migrated_says_so_and_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = lay_down(tmp_path / "s", 1)

    def fails(before: Snapshot) -> Snapshot:
        raise KeyError("incidents")

    monkeypatch.setitem(formats.MIGRATIONS, 1, fails)
    with pytest.raises(StateError, match=r"cannot be brought from format 1 to 2 \(KeyError"):
        look(tmp_path / "s")
    assert (tmp_path / "s" / found.name).exists()


@pytest.mark.parametrize("told", [0, -1, True, "2", 2.0, []])
def test_a_format_that_is_none_is_refused(told: object) -> None:
    with pytest.raises(StateError, match="tells format"):
        formats.upgraded(snapshot(1), told, "here")


def test_spaced_generations_are_kept_and_thin_out_with_age(tmp_path: Path) -> None:
    kept = Store.open(tmp_path / "s")
    kept.keep = Keep(4, 4)
    for cycle in range(1, 60):
        kept.save(snapshot(cycle))
    found = [generations.read(kept.folder, each) for each in kept.generations]
    cycles = [each.cycle for each in found if each is not None]
    assert cycles[:2] == [59, 58]
    ages = [59 - cycle for cycle in cycles[2:]]
    assert 3 <= len(ages) <= 4
    assert ages[-1] >= kept.keep.reach
    assert len(list(kept.folder.glob("generation-*"))) == len(cycles)
    assert all(older - newer >= 4 for newer, older in pairwise(ages))
    kept.close()


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=120),
    st.integers(0, 9),
    st.integers(1, 40),
)
def test_whatever_the_steps_the_number_is_bounded_and_the_reach_is_kept(
    steps: list[int], count: int, spacing: int
) -> None:
    keep = Keep(count, spacing)
    cycles: list[int] = []
    now = 0
    for step in steps:
        now += step
        cycles.append(now)
        chosen = spaced(cycles, keep)
        assert len(chosen) <= count
        cycles = [
            c for place, c in enumerate(cycles) if place in chosen or place >= len(cycles) - 2
        ]
        if count > 1:
            assert now - cycles[0] >= min(now - steps[0], keep.reach)


def test_what_is_pinned_stays_and_only_so_much(tmp_path: Path) -> None:
    kept = Store.open(tmp_path / "s")
    pinned = []
    for cycle in range(1, 20):
        number = kept.save(snapshot(cycle)).number
        if cycle % 3 == 0:
            kept.pin(number)
            pinned.append(number)
    numbers = [each.number for each in kept.generations]
    assert numbers == [19, *pinned[: -store.PINNED_MAX - 1 : -1]]
    kept.close()


def test_a_lost_database_costs_no_generation(tmp_path: Path) -> None:
    kept = Store.open(tmp_path / "s")
    kept.keep = Keep(3, 2)
    for cycle in range(1, 10):
        kept.save(snapshot(cycle))
    before = kept.generations
    kept.close()
    assert len(before) >= 4
    (tmp_path / "s" / store.DATABASE).unlink()
    kept = Store.open(tmp_path / "s")
    assert kept.load() is not None
    assert kept.generations == before
    kept.close()


def test_a_database_of_the_schema_before_is_taken_over(tmp_path: Path) -> None:
    kept = Store.open(tmp_path / "s")
    kept.save(snapshot(7))
    kept.close()
    database = sqlite3.connect(tmp_path / "s" / store.DATABASE)
    database.execute("ALTER TABLE generation DROP COLUMN pinned")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()
    kept = Store.open(tmp_path / "s")
    kept.save(snapshot(8))
    kept.pin(1)
    assert len(kept.generations) == 2
    kept.close()
