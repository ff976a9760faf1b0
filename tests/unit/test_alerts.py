"""Alerts: EVE lines, a rate with one summary, whole lines through rotation and full disks."""

import json
import multiprocessing
import os
import resource
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import StateError
from gossip.flows import FAMILIES, TS_MAX
from node.alerts.appending import LineFile
from node.alerts.incidents import UNKNOWN, Anomaly, Feature, Incident, Verdict
from node.alerts.records import SUPPRESSED_SID, alert_line
from node.alerts.writing import AlertFile
from node.rates import TokenBucket
from tests.unit.test_incidents import anomaly, incidents

VERDICT = Verdict(4.0, 0.005, 2_100, 77, "abcdef")
FORKS = multiprocessing.get_context("forkserver")


def incident(*given_: Anomaly) -> Incident:
    (opened,) = incidents().observe(given_ or [anomaly()]).opened
    return opened


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_alert_line(tmp_path: Path) -> None:
    out = AlertFile(tmp_path / "logs" / "alerts.jsonl", 10, "ward 3")
    found = incident(
        anomaly(
            1_795_407_081.25,
            uid="217352247366864",
            duration=2.0,
            features=(Feature("ports_30s", 812.0, 1.0, 4.0),),
        ),
        anomaly(1_795_407_081.5, score=4.5),
    )
    assert out.write(found, VERDICT, 0.0)
    out.close()
    (line,) = read(tmp_path / "logs" / "alerts.jsonl")
    details = line.pop("hedgerow")
    assert line == {
        "timestamp": "2026-11-23T04:11:23.250000+0000",
        "flow_id": 217352247366864,
        "event_type": "alert",
        "src_ip": "198.18.1.66",
        "src_port": 4444,
        "dest_ip": "198.18.1.13",
        "dest_port": 80,
        "proto": "TCP",
        "community_id": "1:abc=",
        "host": "ward 3",
        "alert": {
            "action": "allowed",
            "gid": 48484,
            "signature_id": 101,
            "rev": 1,
            "signature": "HEDGEROW scan suspected",
            "category": "Detection of a Network Scan",
            "severity": 1,
        },
    }
    samples = details.pop("samples")
    assert [sample["community_id"] for sample in samples] == ["1:abc=", "1:abc="]
    assert details == {
        "event": "opened",
        "incident": found.key,
        "family": "scan",
        "score": 5.0,
        "threshold": 4.0,
        "budget": 0.005,
        "calibration_flows": 2100,
        "model": {"cycle": 77, "digest": "abcdef"},
        "flows": 2,
        "collateral": 0,
        "destinations": 1,
        "first_seen": "2026-11-23T04:11:21.250000+0000",
        "last_seen": "2026-11-23T04:11:23.250000+0000",
        "features": [
            {"name": "ports_30s", "value": 812.0, "usual_low": 1.0, "usual_high": 4.0},
        ],
        "contributors": [],
    }


def test_every_family_has_an_id_and_a_category() -> None:
    lines = [
        alert_line(incident(anomaly(family=family)), VERDICT, "g")
        for family in (*FAMILIES[1:], UNKNOWN, "smurf", "dos\x1b[2J")
    ]
    assert [line["alert"]["signature_id"] for line in lines] == [*range(101, 108), 100, 199, 100]
    assert all(line["alert"]["category"] for line in lines)
    assert [line["alert"]["severity"] for line in lines] == [1] * 7 + [2, 1, 2]
    assert lines[-2]["alert"]["signature"] == "HEDGEROW smurf suspected"
    assert lines[-1]["hedgerow"]["family"] == UNKNOWN, "a terminal must not obey a name"


@given(
    st.builds(
        anomaly,
        ts=st.floats(0, TS_MAX),
        source=st.text(min_size=1, max_size=20),
        uid=st.text(max_size=20),
        proto=st.sampled_from(["tcp", "udp", "icmp", "x"]),
        duration=st.floats(0, 1e9),
        score=st.floats(allow_nan=False) | st.just(inf),
        features=st.tuples(st.builds(Feature, st.text(max_size=5), *[st.floats()] * 3)),
    )
)
def test_any_flow_gives_one_line_of_strict_json(one: Anomaly) -> None:
    line = alert_line(incident(one), VERDICT, "g")
    text = json.dumps(line, allow_nan=False)
    assert "\n" not in text
    assert 0 <= line["flow_id"] < 10**18
    assert ("icmp_type" in line) == (one.flow.proto == "icmp")


def test_text_that_is_no_unicode_still_gives_a_line(tmp_path: Path) -> None:
    out = AlertFile(tmp_path / "a", 10, "g")
    assert out.write(incident(anomaly(source="\ud800", uid="\udfff")), VERDICT, 0.0)
    out.close()
    assert read(tmp_path / "a")[0]["src_ip"] == "?"


def test_the_rate_is_kept_and_summed_up_once(tmp_path: Path) -> None:
    out = AlertFile(tmp_path / "a", 10, "g")
    sent = [out.write(incident(anomaly(source=f"s{i}")), VERDICT, 0.001 * i) for i in range(1_000)]
    assert (sum(sent), out.written, out.suppressed) == (10, 10, 990)
    out.tick(59.0)
    assert len(read(tmp_path / "a")) == 10
    out.tick(61.0)
    out.tick(200.0)
    lines = read(tmp_path / "a")
    assert len(lines) == 11
    assert lines[-1]["alert"]["signature_id"] == SUPPRESSED_SID
    assert lines[-1]["hedgerow"]["suppressed"] == 990
    assert [last["source"] for last in lines[-1]["hedgerow"]["last"]] == [
        f"s{i}" for i in range(995, 1_000)
    ]
    assert out.write(incident(), VERDICT, 201.0)
    out.close()
    assert len(read(tmp_path / "a")) == 12


def test_what_is_held_back_is_summed_up_at_the_end(tmp_path: Path) -> None:
    out = AlertFile(tmp_path / "a", 1, "g")
    for _ in range(3):
        out.write(incident(), VERDICT, 0.0)
    out.close()
    assert [line["hedgerow"].get("suppressed") for line in read(tmp_path / "a")] == [None, 2]


@given(st.integers(1, 60), st.lists(st.floats(0, 30), max_size=200))
def test_a_bucket_never_passes_more_than_its_rate(per_minute: int, pauses: list[float]) -> None:
    bucket, now_s, passed = TokenBucket(per_minute), 0.0, 0
    for pause in pauses:
        now_s += pause
        passed += bucket.take(now_s)
    assert passed <= per_minute * (1 + now_s / 60) + 1e-6
    assert passed >= min(len(pauses), per_minute)


def test_rotation(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = LineFile(path)
    assert file.append(b"one")
    path.rename(tmp_path / "a.1")
    assert file.append(b"two")
    assert file.append(b"three")
    path.unlink()
    assert file.append(b"four")
    assert path.read_bytes() == b"four\n"
    path.write_bytes(b"")  # copy-truncate
    assert file.append(b"five")
    file.close()
    assert path.read_bytes() == b"five\n"
    assert (tmp_path / "a.1").read_bytes() == b"one\n"
    assert path.stat().st_mode & 0o007 == 0


def test_a_line_torn_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'{"whole":1}\n{"to')
    file = LineFile(tmp_path / "a")
    file.append(b"{}")
    file.append(b"{}")
    file.close()
    assert (tmp_path / "a").read_bytes() == b'{"whole":1}\n{"to\n{}\n{}\n'


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "a"):
        with pytest.raises(StateError, match="cannot be written"):
            AlertFile(path, 10, "g")


def test_a_full_disk_is_not_fatal_and_what_it_never_took_is_counted() -> None:
    out = AlertFile(Path("/dev/full"), 10, "g")
    assert out.write(incident(), VERDICT, 0.0), "the log at least is told"
    assert (out.written, out.waiting, out.failed) == (0, 1, 0)
    out.close()
    assert (out.written, out.waiting, out.failed) == (0, 0, 1)


def _append_beyond_the_limit(path: Path, answer: Connection) -> None:
    file = LineFile(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (25, resource.RLIM_INFINITY))
    answer.send([file.append(b"x" * 19), file.append(b"y" * 19), file.append(b"z" * 19)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    answer.send(file.append(b"w" * 19))


def test_a_disk_that_fills_within_a_line_costs_only_that_line(tmp_path: Path) -> None:
    receiver, sender = FORKS.Pipe(duplex=False)
    child = FORKS.Process(target=_append_beyond_the_limit, args=(tmp_path / "a", sender))
    child.start()
    sender.close()
    assert receiver.recv() == [True, False, False]
    assert receiver.recv() is True
    child.join()
    child.close()
    receiver.close()
    lines = (tmp_path / "a").read_bytes().splitlines()
    assert lines == [b"x" * 19, b"y" * 5, b"w" * 19]


def test_what_waits_for_a_full_disk_is_written_to_the_file_that_takes_its_place(
    tmp_path: Path,
) -> None:
    full = AlertFile(Path("/dev/full"), 1, "ward 3")
    assert full.write(incident(), VERDICT, 0.0)
    assert not full.write(incident(), VERDICT, 0.0)
    assert full.waiting == 1
    mended = AlertFile(tmp_path / "alerts.jsonl", 10, "ward 3")
    mended.succeed(full)
    assert (mended.written, mended.waiting, mended.failed, mended.suppressed) == (2, 0, 0, 1)
    events = [line["hedgerow"]["event"] for line in read(tmp_path / "alerts.jsonl")]
    assert events == ["opened", "summary"]


def test_a_pipe_in_the_files_place_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    out = AlertFile(path, 10, "ward 3")
    path.unlink()
    os.mkfifo(path)
    assert out.write(incident(), VERDICT, 0.0)
    assert (out.written, out.waiting) == (0, 1)
    path.unlink()
    out.tick(100.0)
    assert (out.written, len(read(path))) == (1, 1)
