"""A user's own logs as data: sites by file, truth by windows, labels or alerts."""

import gzip

import numpy as np
import pytest

from gossip.errors import ConfigError
from gossip.features import SCHEMA, extract
from gossip.flows import FAMILIES, ConnState, Flow
from node.config.tables import from_table
from node.sensors.reading import Kind
from scenarios.data.flowed import FlowLog, flows_table
from scenarios.data.load import load_data
from scenarios.data.logs import log_files, logs_table
from scenarios.plan.plan import make_plan
from scenarios.spec.scenario import Scenario
from scenarios.world.names import peer_names

FIELDS = (
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "duration",
    "conn_state", "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes",
)  # fmt: skip
START = 1_000_000.0


def conn_log(rows, label=False, spaces=False) -> str:
    """Zeek's layout; IoT-23 has three spaces before each of its last columns."""
    last = "   " if spaces else "\t"
    names = "\t".join(FIELDS) + (f"{last}label{last}detailed-label" if label else "")
    lines = ["#separator \\x09", "#unset_field\t-", f"#fields\t{names}"]
    for number, (host, *said) in enumerate(rows):
        cells = (START + number, f"C{number}", host, 40_000, "192.0.2.1", 53, "udp", 0.5 + number,
                 "SF", 1, 60, 1, 90)  # fmt: skip
        lines.append("\t".join(map(str, cells)) + "".join(last + each for each in said))
    return "\n".join(lines) + "\n"


def plan(folder, peers, **data):
    keys = {"source": "zeek", "folder": str(folder), "scaling": "none", **data}
    table = {"mesh": {"peers": peers, "duration": "1 min"}, "data": keys}
    return make_plan(from_table(Scenario, table, "test"), where="trial.toml")


def test_sites_are_files_and_groups_of_the_mesh(tmp_path):
    (tmp_path / "north wing").mkdir()
    (tmp_path / "north wing" / "conn.log").write_text(conn_log([("192.0.2.7",)] * 90))
    with gzip.open(tmp_path / "7.conn.log.gz", "wt") as stream:
        stream.write(conn_log([("192.0.2.8",)] * 80))
    (tmp_path / "notes.txt").write_text("not a log")
    assert [file.site for file in log_files(tmp_path, Kind.ZEEK)] == ["north-wing", "site-7"]
    table = logs_table(tmp_path, Kind.ZEEK)
    assert (table.owners, table.columns) == (("north-wing", "site-7"), SCHEMA)
    assert np.bincount(table.owner).tolist() == [90, 80]
    assert not table.y.any()  # nobody says otherwise
    made = plan(tmp_path, 3)
    assert made.groups == {"north-wing": (0, 2), "site-7": (1,)}
    shards, rows = load_data(made, peer_names(3))
    assert [len(shard.train_x) for shard in shards.shards] == [18, 32, 18]
    assert all(rows.trainable(peer) for peer in range(3))


@pytest.mark.parametrize("spaces", [False, True])
def test_labelled_logs_tell_what_their_flows_were(tmp_path, spaces):
    said = [
        ("Benign", "-"), ("Malicious", "PartOfAHorizontalPortScan"), ("Malicious", "DDoS"),
        ("Background", "-"), ("Malicious", "-"), ("Malicious", "C&C-HeartBeat"),
    ]  # fmt: skip
    rows = [("192.0.2.7", *each) for each in said]
    (tmp_path / "a-conn.log.labeled").write_text(conn_log(rows, label=True, spaces=spaces))
    table = logs_table(tmp_path, Kind.ZEEK)
    names = [FAMILIES[family] for family in table.y]
    assert names == ["benign", "scan", "dos", "other", "malware"]


def test_a_file_of_windows_overrules_all_and_leaves_attackers_other_flows_out(tmp_path):
    rows = [(host, "Benign", "-") for host in ["192.0.2.7", "192.0.2.66"] * 10]
    (tmp_path / "a.conn.log").write_text(conn_log(rows, label=True))
    (tmp_path / "truth.csv").write_text(
        "\ufeffstart,end,site,attacker,family,command\n"
        f"{START + 4},{START + 9},a,192.0.2.66,brute-force,hydra\n"
    )
    table = logs_table(tmp_path, Kind.ZEEK)
    expected = [(START + number, 0) for number in range(0, 20, 2)]
    expected += [(START + number, 3) for number in (5, 7, 9)]
    assert list(zip(table.time_s, table.y, strict=True)) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start,end,site\n", "lacks the columns attacker, family"),
        ("start,end,site,attacker,family\n1,2,a,h,scam\n", "line 2: family .* mean 'scan'"),
        ("start,end,site,attacker,family\n1,2,b,h,scan\n", "line 2: site 'b' is none of a"),
        ("start,end,site,attacker,family\n1,x,a,h,scan\n", "line 2: .* must be numbers"),
        ("start,end,site,attacker,family\n2,1,a,h,scan\n", "line 2: end lies before start"),
        ("start,end,site,attacker,family\n1,nan,a,h,scan\n", "line 2: end lies before start"),
        ("start,end,site,attacker,family\n1\n", "line 2: site '' is none of a"),
    ],
)
def test_a_wrong_file_of_windows_names_its_line(tmp_path, text, message):
    (tmp_path / "a.conn.log").write_text(conn_log([("192.0.2.7",)] * 5))
    (tmp_path / "truth.csv").write_text(text)
    with pytest.raises(ConfigError, match=r"trial\.toml: data\.folder: .*truth\.csv.*" + message):
        load_data(plan(tmp_path, 2), peer_names(2))


def test_a_folder_that_lacks_logs_is_refused_before_any_work(tmp_path):
    with pytest.raises(ConfigError, match=r"trial\.toml: data\.folder: .* holds no log of zeek"):
        plan(tmp_path, 2)
    with pytest.raises(ConfigError, match=r"data\.folder: .*absent is no folder"):
        plan(tmp_path / "absent", 2)
    with pytest.raises(ConfigError, match=r"data\.folder: missing; say where"):
        make_plan(
            from_table(
                Scenario,
                {"mesh": {"peers": 2, "duration": "1 min"}, "data": {"source": "suricata"}},
                "test",
            )
        )


def test_a_damaged_log_names_the_scenario_too(tmp_path):
    (tmp_path / "a.conn.log").write_text("nothing of Zeek's\n")
    with pytest.raises(ConfigError, match=r"trial\.toml: data\.folder: .*conn\.log holds no flow"):
        load_data(plan(tmp_path, 2), peer_names(2))


def flow(ts, duration=1.0, state=ConnState.CLOSED, proto="tcp") -> Flow:
    return Flow(ts, f"{ts}", "192.0.2.7", 40_000, "192.0.2.1", 1883, proto, state, duration,
                3, 3, 200, 200)  # fmt: skip


def test_connections_cut_short_by_the_logs_end_are_left_out_but_counted_as_context():
    flows = [
        flow(1_000.0, 500.0, ConnState.OPEN),  # silent for long: given up, not cut
        flow(1_900.0, 99.0, ConnState.OPEN),
        flow(1_950.0, 1.0, ConnState.OPEN, "udp"),
        flow(1_990.0, 10.0),
    ]
    whole = flows_table([FlowLog("a", [(each, 0) for each in flows])])
    assert whole.time_s.tolist() == [1_000.0, 1_950.0, 1_990.0]
    assert np.array_equal(whole.x, extract(flows)[[0, 2, 3]])
    kept = flows_table([FlowLog("a", [(each, 0) for each in flows])], keep_cut=True)
    assert np.array_equal(kept.x, extract(flows))


def test_each_log_is_a_stream_of_its_own():
    twice = flows_table([FlowLog("a", [(flow(1.0), 0)]), FlowLog("b", [(flow(1.0), 1)])])
    assert np.array_equal(twice.x[0], twice.x[1])
    assert (twice.owners, twice.owner.tolist(), twice.y.tolist()) == (("a", "b"), [0, 1], [0, 1])
