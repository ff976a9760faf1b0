"""Whatever a folder of the user's holds, a loader gives a sound table or one sentence."""

import lzma
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.errors import ConfigError
from scenarios.data.roles import check
from scenarios.data.sources import sampling
from scenarios.data.sources.columns import Amount, Bits, Plain, Words, to_numbers
from scenarios.data.sources.load import load
from scenarios.data.sources.sampling import (
    chosen,
    count_lines,
    first_lines,
    kept_lines,
    quotas,
    stretches,
)
from tests.scenarios.published import CIC_PARTS, ZEEK_HEAD, line, nsl_row, zeek_row

CELLS = st.sampled_from(
    ["0", "-", "", "nan", "inf", "-1e400", "0x1f", "1_0", '"', '"a,b"', "\x00", "é", "1e999", " 7 "]
)
FILES = {
    "ciciot2023": ("part-00000-a.csv", CIC_PARTS, line(CIC_PARTS, label="XSS")),
    "nsl-kdd": ("KDDTrain+.txt", nsl_row("normal"), nsl_row("satan")),
    "iot-23": ("a.conn.log.labeled", ZEEK_HEAD.rstrip("\n"), zeek_row(1, "-   Benign   -")),
}


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60)
@given(data=st.data())
def test_a_spoilt_file_gives_a_sound_table_or_a_config_error(name, data):
    file, head, good = FILES[name]
    comma = "\t" if name == "iot-23" else ","
    rows = [good] * data.draw(st.sampled_from([0, 3, 150]))
    for _ in range(data.draw(st.integers(0, 3))):
        cells = good.split(comma)
        cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(CELLS)
        rows.append(comma.join(cells[: data.draw(st.sampled_from([len(cells), 3]))]))
    raw = "\n".join([head, *rows]).encode() + data.draw(st.binary(max_size=40))
    with TemporaryDirectory() as folder:
        Path(folder, file).write_bytes(raw)
        try:
            reading = load(name, Path(folder), data.draw(st.sampled_from([1_000, 2])), b"s", "x")
        except ConfigError:
            return  # its text is the other tests' business
    check(reading.table)
    assert reading.bad <= 0.01 * (len(reading.table.x) + reading.bad + 1)


@given(
    body=st.lists(st.sampled_from(["", "a", "bb", "\r", "ccc" * 9]), max_size=30),
    ended=st.booleans(),
    data=st.data(),
)
def test_lines_are_those_of_the_file_however_it_is_cut_into_blocks(body, ended, data):
    raw = "\n".join(body).encode() + (b"\n" if ended else b"")
    expected = raw.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "BLOCK_BYTES", data.draw(st.integers(1, 9)))
        path = Path(folder, "lines")
        path.write_bytes(raw)
        assert count_lines(path) == len(expected)
        wanted = [number for number in range(len(expected)) if data.draw(st.booleans())]
        got = list(kept_lines(path, np.array(wanted, np.int64)))
    assert got == [(number, expected[number].removesuffix(b"\r")) for number in wanted]


def test_a_file_without_lines_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "BLOCK_BYTES", 1 << 10)
    monkeypatch.setattr(sampling, "LINE_BYTES_MAX", 1 << 12)
    path = tmp_path / "zeros.xz"
    path.write_bytes(lzma.compress(bytes(1 << 20)))
    for reading in (lambda: count_lines(path), lambda: list(first_lines(path, 2))):
        with pytest.raises(ConfigError, match="line 1 is longer than"):
            reading()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(1, 200))
def test_quotas_give_all_that_is_wanted_and_the_small_files_whole(rows, most):
    given_ = quotas(rows, most)
    assert sum(given_) == min(sum(rows), most)
    assert all(quota <= count for quota, count in zip(given_, rows, strict=True))
    cut = [quota for quota, count in zip(given_, rows, strict=True) if quota < count]
    if cut:
        assert max(cut) - min(cut) <= 1
        assert max(given_) <= max(cut) + 1


@given(st.integers(1, 300), st.integers(1, 300))
def test_chosen_rows_are_distinct_ascending_and_the_same_again(rows, quota):
    for choose in (chosen, stretches):
        kept = choose(rows, quota, b"s", "a")
        assert np.array_equal(kept, choose(rows, quota, b"s", "a"))
        assert (np.diff(kept) > 0).all()
        assert kept[0] >= 0
        assert kept[-1] < rows
        assert len(kept) <= min(rows, quota)
    assert len(chosen(rows, quota, b"s", "a")) == min(rows, quota)


def test_stretches_are_whole_and_lie_all_over_the_file():
    kept = stretches(10_000, 320, b"s", "a")
    assert len(kept) == 320
    assert np.count_nonzero(np.diff(kept) > 1) == 15  # 16 of 20 neighbours each
    assert kept[0] < 625
    assert kept[-1] >= 9_375


def test_cells_become_the_numbers_they_mean():
    assert to_numbers(["1", "", "-", "NaN", "0x1F", " 2.5 "]).tolist() == [1, 0, 0, 0, 31, 2.5]
    assert np.isnan(to_numbers(["many", "1"])).tolist() == [True, False]
    assert Amount("a", 9).values(["-inf", "1e5", "0"])[:, 0] == pytest.approx(
        [-np.log(10), np.log(10), 0]
    )
    assert Plain("a").values(["inf", "0.5"]).tolist() == [[1e3], [0.5]]
    assert Words("a", ("GET", "POST")).values([" get", "PUT"]).tolist() == [[1, 0], [0, 0]]
    several = Words("a", ("smb", "ntlm"), between=";")
    assert several.values(["ntlm;gssapi;smb", "smb", "-"]).tolist() == [[1, 1], [1, 0], [0, 0]]
    assert Bits("a", ("fin", "syn")).values(["0x00000002", "3.0"]).tolist() == [[0, 1], [1, 1]]
    assert np.isnan(Bits("a", ("fin",)).values(["-1"])).all()
