import gzip
import json
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import SensorError, StateError
from node.sensors import lines, reading
from node.sensors.eve import EveParser
from node.sensors.lines import LINE_BYTES_MAX, LineSplitter
from node.sensors.reading import AutoParser, Kind, parser_for, read
from tests.sensors.test_eve import event
from tests.sensors.test_zeek import HEADER, LINE, RECORD

EVE = b"\n".join([event(flow_id=number) for number in range(1, 4)])
TSV = b"\n".join([*HEADER, LINE]) + b"\n"
JSON = json.dumps(RECORD).encode()


@pytest.mark.parametrize(("data", "count"), [(EVE, 3), (TSV, 1), (JSON, 1)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_form_and_packing_are_told_by_the_content(tmp_path, data, count, pack):
    log = tmp_path / "some.log"
    log.write_bytes(pack(data))
    assert len(list(read(log))) == count


def test_line_ends_of_windows(tmp_path):
    log = tmp_path / "conn.log"
    log.write_bytes(TSV.replace(b"\n", b"\r\n"))
    assert len(list(read(log))) == 1


def test_bad_lines_are_skipped_and_the_first_three_are_kept(tmp_path):
    log = tmp_path / "eve.json"
    log.write_bytes(b"x\n" + EVE + b"\n{\n\nnull\n[]\n" + event(src_ip="x"))
    parser = parser_for(Kind.AUTO)
    assert len(list(read(log, parser=parser))) == 3
    stats = parser.stats
    assert (stats.lines, stats.flows, stats.bad) == (9, 3, 5)
    assert [sample.number for sample in stats.samples] == [1, 5, 7]
    assert stats.samples[0].reason == "neither a Suricata event, nor a line of Zeek's, nor IPFIX"


def test_an_overlong_line_is_a_bad_line(tmp_path):
    log = tmp_path / "eve.json"
    log.write_bytes(EVE + b"\n" + b"x" * (LINE_BYTES_MAX + 1) + b"\n" + event())
    parser = EveParser()
    assert len(list(read(log, parser=parser))) == 4
    (sample,) = parser.stats.samples
    assert (sample.number, sample.reason) == (4, "longer than 1048576 bytes")


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (
            b"",
            Kind.AUTO,
            r"holds no flow: 0 lines, 0 of them bad\. Expected Suricata's eve\.json, Zeek",
        ),
        (b"hello\n", Kind.AUTO, "1 lines, 1 of them bad; line 1: neither .* Expected Suricata's"),
        (
            TSV,
            Kind.SURICATA,
            "9 lines, 9 of them bad; line 1: .* Expected Suricata's eve.json, with",
        ),
        (EVE, Kind.ZEEK, "3 lines, 3 of them bad; line 1: .* Expected Zeek's conn.log"),
        (b'{"event_type": "dns"}', Kind.AUTO, "0 of them bad, 0 alerts, 1 other events"),
    ],
)
def test_a_log_without_a_flow_is_an_error_that_names_it(tmp_path, data, kind, said):
    log = tmp_path / "some.log"
    log.write_bytes(data)
    with pytest.raises(SensorError, match=rf"some\.log .*{said}"):
        list(read(log, kind))


def test_a_log_that_goes_on_without_flows_is_given_up(tmp_path, monkeypatch):
    """A few kilobytes of xz may hold more empty lines than anybody would wait for."""
    monkeypatch.setattr(reading, "BARREN_LINES_MAX", 1_000)
    path = tmp_path / "eve.json"
    path.write_bytes(lzma.compress(event() + b"\n" * 2_000_000 + event()))
    flows = read(path, Kind.SURICATA)
    next(flows)
    with pytest.raises(SensorError, match="more than 1,000 lines without a flow"):
        next(flows)


def test_what_cannot_be_read_says_so(tmp_path):
    with pytest.raises(SensorError, match=r"none\.log: No such file.*; check the path; .*followed"):
        list(read(tmp_path / "none.log"))
    with pytest.raises(SensorError, match=r"cannot read .*: Is a directory; name the log file"):
        list(read(tmp_path))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
@pytest.mark.parametrize("spoil", [lambda data: data[:-20], lambda data: data[:40] + b"x" * 60])
def test_damaged_packing_is_an_error_after_what_could_be_read(tmp_path, pack, spoil):
    log = tmp_path / "eve.json.packed"
    log.write_bytes(spoil(pack(EVE)))
    with pytest.raises(SensorError, match=r"packed: the compressed data are damaged after line"):
        list(read(log))


@pytest.mark.parametrize("data", [EVE, TSV, JSON])
def test_the_automatic_parser_survives_a_restart(data):
    before = AutoParser()
    whole = data.splitlines()
    flows = [before.parse(line) for line in whole]
    after = AutoParser()
    after.restore(before.snapshot())
    assert after.parse(whole[-1]) == flows[-1] is not None
    fresh = AutoParser()
    fresh.restore(AutoParser().snapshot())
    assert fresh.parse(JSON) is not None


@pytest.mark.parametrize("snapshot", [b"", b"\xc1", b"\x92\xa3abc\xc4\x00", b"\x92\xa3eve\xc4\x00"])
def test_a_damaged_snapshot_is_refused(snapshot):
    with pytest.raises(StateError, match=r"the saved .* damaged"):
        AutoParser().restore(snapshot)


@given(st.lists(st.binary(max_size=20)))
def test_any_lines_are_counted_once(whole):
    parser = AutoParser()
    for line in whole:
        parser.parse(line)
    stats = parser.stats
    assert stats.lines == len(whole)
    blank = sum(not line.strip() for line in whole)
    assert stats.flows + stats.alerts + stats.ignored + stats.bad + blank == len(whole)


@given(st.lists(st.binary(max_size=30)), st.integers(1, 15))
def test_the_splitter_agrees_with_split_and_holds_little(patch, chunks, longest):
    patch.setattr(lines, "LINE_BYTES_MAX", longest)
    splitter = LineSplitter()
    found, data = [], b""
    for chunk in chunks:
        found += splitter.feed(chunk)
        data += chunk
        assert splitter.consumed == data.rfind(b"\n") + 1
        assert len(splitter._tail) <= longest
    found.append(splitter.finish())
    *whole, tail = data.split(b"\n")
    expected = [line.removesuffix(b"\r") if len(line) <= longest else None for line in whole]
    expected += [tail.removesuffix(b"\r")] if len(tail) <= longest else [None, b""]
    assert found == expected


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as undone:
        yield undone
