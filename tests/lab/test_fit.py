"""What the Lab cannot do is refused before any work, with the key and the cure."""

import os

import pytest

from gossip.errors import ConfigError
from scenarios.lab import fit, network
from tests.lab.scenes import plan

CORES = os.cpu_count() or 1
MOST = min(250, 15 * CORES)
SPLIT = {"partition": [{"start": "1 s", "end": "2 s", "sides": ["0:2"]}]}


def rule(**keys: object) -> dict[str, object]:
    return {"rule": [{"latency": "1 ms", "kbit_per_s": 512.0} | keys]}


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (
            {"mesh": {"peers": MOST + 1, "cycle": "1 min", "duration": "2 min"}},
            ("lab.toml: mesh.peers", f"use {MOST} at most", "--engine world"),
        ),
        ({"mesh": {"cycle": "10 ms"}}, ("lab.toml: mesh.cycle", "use", "s or more")),
        ({"mesh": {"queue_frames": 9}}, ("mesh.queue_frames", "is 9", "is 4")),
        ({"mesh": {"outboxes": 9}}, ("mesh.outboxes", "is 9", "is 64")),
        ({"mesh": {"lost_after": "100 ms"}}, ("mesh.lost_after", "give 1 s or more")),
        ({"links": rule(shared="all")}, ("links.rule.shared", 'use "sender"')),
    ],
)
def test_what_no_machine_could_do_is_refused(tables, words):
    with pytest.raises(ConfigError) as caught:
        fit.check(plan(**tables))
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("links", "key"), [(SPLIT, "links.partition"), (rule(), "links.rule.kbit_per_s")]
)
def test_without_namespaces_what_needs_cables_is_refused(links, key, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        fit.check(plan(links=links))
    assert f"lab.toml: {key}: needs network namespaces: unshare and ip" in str(caught.value)
    assert "install iproute2" in str(caught.value)


def test_without_namespaces_everything_else_runs_on_loopback(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fit.check(plan(links={"rule": [{"drop": "10 %", "latency": "5 ms"}]})) is False


def test_peers_keep_the_rules_of_frames_and_leave_the_rest_to_the_network():
    links = rule(drop="10 %") | SPLIT
    (kept,) = fit.frame_rules(plan(links=links))
    assert (kept.drop, kept.bits_per_s) == (0.1, 0)


def test_this_machine_says_whether_it_makes_networks():
    reason = network.trouble(limits=True)
    assert reason == "" or "root" in reason or "install" in reason
