"""Published data sets are read by their layouts, and what leaks stays outside."""

import gzip

import numpy as np
import pytest

from gossip.errors import ConfigError
from scenarios.data.roles import LEAKS, check
from scenarios.data.sources.load import DATA_SETS, load
from scenarios.spec.data import Data, Source
from tests.scenarios.published import (
    CIC_PARTS,
    HEADERS,
    LAYOUTS,
    UNSW_LARGE,
    ciciot_merged,
    ciciot_parts,
    iot_23,
    line,
    n_baiot,
    nsl_kdd,
    nsl_row,
    ton_iot,
    unsw_large,
    unsw_small,
    write,
    zeek_row,
)

MANY = 200_000


def read(name, folder, rows_max=MANY, seed=b"seed"):
    return load(name, folder, rows_max, seed, "trial.toml")


def families(table):
    return [table.families[family] for family in table.y]


def feature(table, name):
    return table.x[:, table.columns.index(name)].tolist()


def test_every_published_set_can_be_named_in_a_scenario():
    assert DATA_SETS.keys() <= {source.value for source in Source}
    assert Data().rows_max == 200_000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_set_in_its_published_layout_gives_a_sound_table_without_leaks(layout, tmp_path):
    name, make = LAYOUTS[layout]
    make(tmp_path)
    reading = read(name, tmp_path)
    table = reading.table
    check(table)
    assert (reading.bad, reading.first_bad) == (0, "")
    assert reading.rows >= len(table.x) > 1
    assert table.families[0] == "benign"
    assert len(set(table.families)) == len(table.families)
    assert all(each == each.lower() and " " not in each for each in table.families)
    assert "benign" in families(table)
    assert len(set(families(table))) > 1
    known = {column.partition("=")[0] for column in table.columns}
    excluded = DATA_SETS[name].about.excluded
    assert not known & excluded.keys()
    assert not {column.lower() for column in known} & LEAKS


@pytest.mark.parametrize("name", HEADERS)
def test_every_published_column_is_a_feature_or_excluded_with_a_reason(name, tmp_path):
    make = next(make for set_, make in LAYOUTS.values() if set_ == name)
    make(tmp_path)
    features = {column.partition("=")[0] for column in read(name, tmp_path).table.columns}
    excluded = DATA_SETS[name].about.excluded
    for header in HEADERS[name]:
        assert set(header.split(",")) <= features | excluded.keys()
    assert all(len(reason) > 5 for reason in excluded.values())


def test_nsl_kdd_names_each_attack_and_keeps_the_authors_split(tmp_path):
    nsl_kdd(tmp_path)
    write(tmp_path / "KDDTrain+_20Percent.txt", nsl_row("smurf"))  # a part of KDDTrain+
    table = read("nsl-kdd", tmp_path).table
    assert families(table) == ["benign", "neptune", "guess-passwd", "benign", "mscan"]
    assert table.held_out.tolist() == [False, False, False, True, True]
    assert feature(table, "src_bytes")[0] == pytest.approx(np.log1p(491))
    assert feature(table, "service=private") == [0, 1, 0, 0, 0]
    assert len(table.columns) == 38 + 3 + 70 + 11
    assert len(table.families) == 40


def test_nsl_kdd_without_difficulty_or_as_arff_is_read_too(tmp_path):
    bare = nsl_row("normal").rpartition(",")[0]
    write(tmp_path / "a" / "KDDTrain+_20Percent.txt", bare, bare.replace("normal", "satan"))
    assert families(read("nsl-kdd", tmp_path / "a").table) == ["benign", "satan"]
    head = ["@relation 'KDDTrain'", "@attribute 'duration' real", "@data"]
    rows = [bare, bare.replace("normal", "anomaly")]
    write(tmp_path / "b" / "KDDTrain+.arff", *head, *rows)
    table = read("nsl-kdd", tmp_path / "b").table
    assert families(table) == ["benign", "anomaly"]
    assert table.schema == read("nsl-kdd", tmp_path / "a").table.schema


def test_n_baiot_takes_devices_from_folders_and_hides_the_time_in_its_jitter(tmp_path):
    n_baiot(tmp_path)
    table = read("nbaiot", tmp_path).table
    assert table.owners == ("danmini_doorbell", "ecobee_thermostat")
    assert table.owner.tolist() == [0, 0, 0, 0, 1, 1]
    assert families(table) == ["benign"] * 3 + ["mirai-ack", "benign", "gafgyt-combo"]
    assert feature(table, "HH_jit_L5_mean")[1] == pytest.approx(np.log1p(3600))
    assert feature(table, "HH_jit_L5_variance")[1] == pytest.approx(np.log1p(3600.0**2))
    assert feature(table, "HH_L5_covariance")[2] == pytest.approx(-np.log1p(2))


def test_n_baiot_in_one_folder_is_read_too(tmp_path):
    n_baiot(tmp_path / "deep")
    deep = tmp_path / "deep" / "Danmini_Doorbell"
    for source, name in (
        ("benign_traffic.csv", "1.benign.csv"),
        ("mirai_attacks/ack.csv", "1.mirai.ack.csv"),
    ):
        (tmp_path / name).write_bytes((deep / source).read_bytes())
    for path in sorted(tmp_path.glob("deep/**/*.csv")):
        path.unlink()
    table = read("nbaiot", tmp_path).table
    assert table.owners == ("device-1",)
    assert families(table) == ["benign"] * 3 + ["mirai-ack"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"X": np.ones((4, 114), np.float32)}, r"needs arrays X \(rows, 115\).* has X \(4, 114\)"),
        ({"y": np.array([0, 1, 2, 0])}, "y .* of 0 and 1"),
        ({"X": np.full((4, 115), np.nan, np.float32)}, "finite"),
        ({"client": np.zeros(3, np.int64)}, r"client \(3,\)"),
        ({"client": np.array(["a"] * 4, object)}, "cannot be read as arrays"),
    ],
)
def test_a_prepared_subset_is_checked(change, said, tmp_path):
    sound = {
        "X": np.ones((4, 115), np.float32),
        "y": np.array([0, 1, 1, 0]),
        "client": np.array([1, 1, 2, 2]),
    }
    np.savez(tmp_path / "a.npz", **sound)
    assert read("nbaiot", tmp_path).table.owners == ("client-1", "client-2")
    np.savez(tmp_path / "a.npz", **sound | change)
    with pytest.raises(ConfigError, match=said):
        read("nbaiot", tmp_path)


def test_unsw_holds_out_the_test_file(tmp_path):
    unsw_small(tmp_path)
    table = read("unsw-nb15", tmp_path).table
    got = sorted(zip(families(table), table.held_out.tolist(), strict=True))
    assert got == [("backdoor", True), ("benign", False), ("worms", False)]


def test_unsw_has_one_schema_in_both_layouts_and_owners_from_addresses(tmp_path, monkeypatch):
    unsw_small(tmp_path / "small")
    unsw_large(tmp_path / "large")
    small = read("unsw-nb15", tmp_path / "small").table
    monkeypatch.setattr("scenarios.data.sources.gathered.OWNER_BENIGN_MIN", 1)
    table = read("unsw-nb15", tmp_path / "large").table
    assert table.schema == small.schema
    assert families(table) == ["benign", "fuzzers", "backdoor"]
    assert table.time_s.tolist() == [1421927414.0, 1421927999.0, 1424219000.0]
    # Only one server has benign rows; whatever nobody's is becomes its.
    assert table.owners == ("149.171.126.6",)
    assert feature(table, "proto=arp") == [0, 0, 1]


def test_addresses_with_few_benign_rows_are_no_owners(tmp_path):
    ends = [(f"149.171.126.{server}", 260 if server < 3 else 30) for server in range(12)]
    rows = [
        line(UNSW_LARGE, dstip=server, proto="tcp", state="FIN", service="-", attack_cat="")
        for server, count in ends
        for _ in range(count)
    ]
    write(tmp_path / "UNSW-NB15_1.csv", *rows)
    table = read("unsw-nb15", tmp_path).table
    assert table.owners == ("149.171.126.0", "149.171.126.1", "149.171.126.2", "elsewhere")
    assert np.bincount(table.owner).tolist() == [260, 260, 260, 270]


def test_ton_iot_reads_quoted_text_and_orders_by_time(tmp_path, monkeypatch):
    monkeypatch.setattr("scenarios.data.sources.gathered.OWNER_BENIGN_MIN", 1)
    ton_iot(tmp_path)
    table = read("ton-iot", tmp_path).table
    assert families(table) == ["benign", "scanning", "xss"]
    assert table.time_s.tolist() == [1554198358.0, 1556199999.0, 1556200001.0]
    assert table.owners == ("192.168.1.190",)
    assert feature(table, "http_method=GET") == [0, 0, 1]
    assert feature(table, "dns_AA=T") == [1, 0, 0]


def test_ton_iot_without_times_is_read_too(tmp_path):
    ton_iot(tmp_path / "a")
    lines = (
        (tmp_path / "a/Processed_Network_dataset/Network_dataset_1.csv").read_text().splitlines()
    )
    write(tmp_path / "b" / "Train_Test_Network.csv", *(each.partition(",")[2] for each in lines))
    table = read("ton-iot", tmp_path / "b").table
    assert table.time_s is None
    assert families(table) == ["benign", "scanning"]


def test_iot_23_reads_labels_between_spaces_and_captures_as_owners(tmp_path):
    iot_23(tmp_path)
    reading = read("iot-23", tmp_path)
    table = reading.table
    assert table.owners == ("ctu-honeypot-capture-4-1", "ctu-iot-malware-capture-34-1")
    assert families(table) == ["benign", "benign", "scan", "c2-heartbeat-file-download", "other"]
    assert table.owner.tolist() == [0, 1, 1, 1, 1]
    assert table.time_s[1] == 1545403816.5


def test_iot_23_leaves_out_what_nobody_judged_and_refuses_unknown_labels(tmp_path):
    iot_23(tmp_path)
    (path,) = tmp_path.glob("**/CTU-Honeypot-Capture-4-1/bro/conn.log.labeled")
    path.write_text(path.read_text() + zeek_row(9, "-   Background   -") + "\n")
    assert len(read("iot-23", tmp_path).table.x) == 5
    path.write_text(path.read_text() + zeek_row(9, "-   Nice   -") + "\n")
    with pytest.raises(ConfigError, match=r"1 of \d lines .*conn.log.labeled, line 9: .*'nice' is"):
        read("iot-23", tmp_path)


def test_edge_iiotset_does_not_tell_captures_apart_by_how_zero_is_written(tmp_path):
    LAYOUTS["edge-iiotset"][1](tmp_path)
    reading = read("edge-iiotset", tmp_path)
    table = reading.table
    assert len(reading.files) == 1
    assert "DNN" in reading.files[0]
    assert families(table) == ["benign", "xss"]
    assert feature(table, "tcp.flags=psh") == [1, 0]
    assert feature(table, "tcp.flags=syn") == [0, 1]
    assert feature(table, "http.request.method=GET") == [0, 1]
    assert feature(table, "mqtt.len") == [0, 0]


def test_ciciot2023_has_one_schema_in_both_layouts_and_bounds_infinity(tmp_path):
    ciciot_parts(tmp_path / "parts")
    ciciot_merged(tmp_path / "merged")
    parts, merged = (read("ciciot2023", tmp_path / name).table for name in ("parts", "merged"))
    assert parts.schema == merged.schema
    assert families(parts) == families(merged) == ["benign", "ddos-icmp-flood", "ddos-icmp-flood"]
    assert len(parts.families) == 34
    assert feature(parts, "Rate")[0] == pytest.approx(np.log1p(1e18))
    assert feature(merged, "Rate")[0] == 0


def test_more_rows_than_wanted_are_thinned_out_the_same_way_for_the_same_seed(tmp_path):
    attack, benign = (line(CIC_PARTS, label=name) for name in ("XSS", "BenignTraffic"))
    rows = [benign.replace("0,", f"{number},", 1) for number in range(3_000)]
    write(tmp_path / "part-00000-a.csv", CIC_PARTS, *rows)
    write(tmp_path / "part-00001-a.csv", CIC_PARTS, *[attack] * 50)
    numbered = [
        row.replace("0,0,", f"0,{number},", 1) for number, row in enumerate([benign] * 3_000)
    ]
    write(tmp_path / "part-00002-a.csv", CIC_PARTS, *numbered)
    reading = read("ciciot2023", tmp_path, 1_000)
    table = reading.table
    assert (reading.rows, len(table.x)) == (6_050, 1_000)
    assert families(table).count("xss") == 50  # of a small file all
    again, other = (read("ciciot2023", tmp_path, 1_000, seed).table for seed in (b"seed", b"other"))
    assert np.array_equal(table.x, again.x)
    assert not np.array_equal(table.x, other.x)
    place = np.sort(np.expm1(np.array(feature(table, "Header_Length"))[-475:]))
    assert np.abs(np.diff(place)).max() < 60  # evenly over the file
    assert place[0] < 60
    assert place[-1] > 2_940


def test_packed_files_are_read_as_they_are(tmp_path):
    ciciot_parts(tmp_path)
    expected = read("ciciot2023", tmp_path).table
    for path in sorted(tmp_path.glob("*.csv")):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert np.array_equal(read("ciciot2023", tmp_path).table.x, expected.x)


def test_few_bad_rows_are_counted_and_more_are_refused_with_their_place(tmp_path):
    good = line(CIC_PARTS, label="BenignTraffic")
    bad = [
        line(CIC_PARTS, label="BenignTraffic", Min="many"),
        good + ",1",
        line(CIC_PARTS, label="Nothing"),
        good.replace("0,", '"0,', 1),
    ]
    path = write(tmp_path / "part-00000-a.csv", CIC_PARTS, *[good] * 400, *bad, "")
    reading = read("ciciot2023", tmp_path)
    assert (len(reading.table.x), reading.bad) == (400, 4)
    assert "part-00000-a.csv, line 403: " in reading.first_bad
    said = [
        r"line 2: column Min: 'many' is not a number",
        r"line 2: 48 columns, not 47",
        r"line 2: column label: 'Nothing' is unknown",
        r"line 2: unexpected end of data",
    ]
    for row, text in zip(bad, said, strict=True):
        write(path, CIC_PARTS, row, *[good] * 20)
        with pytest.raises(ConfigError, match=rf"^trial.toml: data.folder: 1 of 21 rows .*{text}"):
            read("ciciot2023", tmp_path)


def test_missing_columns_files_and_folders_say_what_was_expected(tmp_path):
    write(tmp_path / "part-00000-a.csv", CIC_PARTS.replace("Rate,Srate", "Speed,Srate"), "1")
    with pytest.raises(ConfigError, match=r"part-00000-a.csv, line 1: no column Rate among its 47"):
        read("ciciot2023", tmp_path)
    write(tmp_path / "part-00000-a.csv", CIC_PARTS)
    with pytest.raises(ConfigError, match=r"part-00000-a\.csv holds no rows"):
        read("ciciot2023", tmp_path)
    said = (
        r"holds nothing of NSL-KDD; found part-00000-a.csv; expected KDDTrain.*data fetch nsl-kdd"
    )
    with pytest.raises(ConfigError, match=said):
        read("nsl-kdd", tmp_path)
    with pytest.raises(ConfigError, match=r"trial.toml: data.folder: .*none is no folder"):
        read("nsl-kdd", tmp_path / "none")
    damaged = gzip.compress(b"1,2\n" * 5_000)[:60]
    (tmp_path / "KDDTrain+.txt.gz").write_bytes(damaged)
    with pytest.raises(ConfigError, match="compressed data are damaged"):
        read("nsl-kdd", tmp_path)


def test_the_real_nsl_kdd_is_read_whole(shared_data):
    reading = read("nsl-kdd", shared_data / "nslkdd")
    assert (reading.rows, reading.bad, len(reading.table.x)) == (25_192, 0, 25_192)
    assert families(reading.table).count("neptune") == 8_282
    assert families(reading.table).count("benign") == 13_449


def test_the_real_subset_of_n_baiot_is_read_whole(shared_data):
    table = read("nbaiot", shared_data / "nbaiot10").table
    assert table.x.shape == (31_828, 115)
    assert (len(table.owners), families(table).count("attack")) == (10, 12_494)
    assert np.abs(table.x).max() < 20


def test_real_labelled_logs_of_zeek_are_read_whole(shared_data):
    reading = read("iot-23", shared_data / "strato8")
    assert (len(reading.table.x), reading.bad) == (54_167, 0)
    assert len(reading.table.owners) == 8
    thinned = read("iot-23", shared_data / "strato8", 4_000).table
    assert 3_000 < len(thinned.x) <= 4_000
