"""The bundled recordings, and the large public logs where this machine has them."""

from collections import Counter
from dataclasses import replace

import pytest

from gossip.errors import ConfigError, SensorError
from gossip.flows import FAMILIES
from node.sensors.reading import Kind, parser_for, read
from scenarios import recordings
from scenarios.recordings import BIFLOWS, FAMILY_OF, RECORDINGS, SITES, attack_windows, truth

COUNTS = {
    "hospital.eve.json.xz": (28_389, 20_201),
    "factory.eve.json.xz": (28_033, 20_629),
    "building.eve.json.xz": (12_923, 19_925),
    "hospital-benign.eve.json.xz": (2_808, 0),
    "factory-benign.eve.json.xz": (2_074, 0),
    "building-benign.eve.json.xz": (2_815, 0),
}


@pytest.fixture(scope="module")
def flows():
    """The flows of a bundled recording, each read once."""
    kept = {}

    def get(name):
        if name not in kept:
            parser = parser_for(Kind.AUTO)
            kept[name] = (list(read(recordings.path(name), parser=parser)), parser.stats)
        return kept[name]

    return get


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_line_of_a_recording_is_read(flows, name):
    found, stats = flows(name)
    assert (len(found), stats.alerts) == COUNTS[name]
    assert (stats.bad, stats.ignored, stats.late_alerts) == (0, 0, 0)


def test_recordings_stay_small():
    assert sum(recordings.path(name).stat().st_size for name in RECORDINGS + BIFLOWS) < 4_900_000


def test_an_unknown_recording_is_refused():
    with pytest.raises(ConfigError, match=r"no recording '\.\./__init__\.py' is bundled"):
        recordings.path("../__init__.py")


def test_windows_are_in_order_and_known():
    windows = attack_windows()
    assert Counter(window.site for window in windows) == dict(zip(SITES, (13, 13, 4), strict=True))
    for window in windows:
        assert window.start < window.end
        assert FAMILY_OF[window.label] in FAMILIES
    assert [w.start for w in windows] == sorted(w.start for w in windows)


def test_what_the_alerts_say_against_what_happened(flows):
    """The figures with which the data set is described: few wrong labels, many missing."""
    windows = attack_windows()
    said = Counter(
        (truth(flow, "hospital", windows), flow.family) for flow in flows(RECORDINGS[0])[0]
    )
    named = sum(count for (_, family), count in said.items() if family)
    wrong = sum(count for (label, family), count in said.items() if family and label == "benign")
    unnamed = sum(
        count for (label, family), count in said.items() if label != "benign" and not family
    )
    assert (named, wrong, unnamed) == (11_136, 3, 15_482)
    assert said["flood_syn", "dos"] == 9_000
    assert said["brute_telnet", "brute-force"] == 35
    assert None not in {label for label, _ in said}


def test_the_rule_of_truth():
    window = next(w for w in attack_windows() if w.label == "scan_syn" and w.site == "hospital")
    slow = next(w for w in attack_windows() if w.label == "slow_http" and w.site == "hospital")
    (flow, *_), windows = (
        list(read(recordings.path("building-benign.eve.json.xz"))),
        attack_windows(),
    )

    def said(ts, site="hospital", **hosts):
        return truth(replace(flow, ts=ts, **hosts), site, windows)

    attacker = window.attacker
    assert said(window.start) == "benign"
    assert said(window.start - 0.4, orig_h=attacker) == "scan_syn"
    assert said(window.end + 1.9, resp_h=attacker) == "scan_syn"
    assert said(window.end + 2.5, orig_h=attacker) is None
    assert said(window.start, "factory", orig_h=attacker) == "benign"  # no attacker over there
    assert said(slow.end + 34, orig_h=slow.attacker) == "slow_http"
    assert said(slow.end + 36, orig_h=slow.attacker) is None


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_bundled_recordings_say_what_the_full_ones_say(flows, shared_data, name):
    full = read(shared_data / "recordings" / name)
    bundled = flows(name)[0]
    for here, there in zip(bundled, full, strict=True):
        assert here == replace(there, uid=here.uid)  # flow numbers are counted anew


@pytest.mark.parametrize("name", BIFLOWS)
def test_the_bundled_biflows_say_what_the_full_ones_say(shared_data, name):
    full = read(shared_data / "recordings" / name)
    assert list(read(recordings.path(name))) == list(full)


def test_zeek_own_test_logs_are_read_or_refused_with_a_reason(shared_data, tmp_path):
    """Their times are masked, which alone would be a reason; so each is read with a time, too."""
    found = {}
    logs = sorted((shared_data / "zeek_conn").glob("*.log"))
    for log in logs:
        with pytest.raises(SensorError, match=r"holds no flow: .*; line \d+: "):
            list(read(log, Kind.ZEEK))
        dated = tmp_path / log.name
        whole = log.read_bytes().replace(b"XXXXXXXXXX.XXXXXX", b"1795406789.25")
        dated.write_bytes(whole)
        rows = sum(not each.startswith((b"#", b"ts\t")) for each in whole.splitlines())
        try:
            found[log.name] = len(list(read(dated, Kind.ZEEK)))
            assert found[log.name] == rows
        except SensorError as error:
            found[log.name] = str(error)
    assert len(found) == 40
    refused = {name: said for name, said in found.items() if isinstance(said, str)}
    assert len(refused) == 8
    for name, said in refused.items():
        assert "#fields line" in said
        # Rightly so: Zeek's tests wrote two or three columns, and no address is among them.
        assert b"id.orig_h" not in (shared_data / "zeek_conn" / name).read_bytes()


def test_labelled_zeek_logs(shared_data):
    logs = sorted((shared_data / "strato8").glob("*.gz"))
    for log in logs:
        parser = parser_for(Kind.AUTO)
        assert len(list(read(log, parser=parser))) == parser.stats.lines - 8
    assert len(logs) == 8
