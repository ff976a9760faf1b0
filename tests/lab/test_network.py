"""The Lab's own network: cables that can be pulled, switches, and pipes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.conditions.links import Condition
from scenarios.lab import network, rates
from tests.lab.scenes import plan

ROOT = Path(__file__).resolve().parents[2]
HOSTS = [f"10.0.0.{peer}" for peer in range(5)]

needs_namespaces = pytest.mark.skipif(
    bool(network.trouble(limits=True)), reason="this machine makes no network namespaces"
)


@needs_namespaces
@pytest.mark.parametrize(
    "who",
    [
        pytest.param([], id="as we are"),
        pytest.param(["unshare", "--user", "--map-user=1000", "--map-group=1000"], id="as a user"),
    ],
)
def test_cables_switches_and_pipes_do_what_they_are_for(who):
    def interfaces() -> str:
        return subprocess.run(
            ["ip", "-brief", "link"], capture_output=True, text=True, check=True
        ).stdout

    before = interfaces()
    done = subprocess.run(
        [*who, sys.executable, "-m", "tests.lab.cables"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "rate 256Kbit" in found.pop("limited")
    assert found.pop("unlimited") == ""
    assert found == {
        "before it is plugged": False,
        "together": [True, True],
        "split": [False, True],
        "healed": [True, True],
        "pulled": [True, False],
        "still there": True,
    }
    assert interfaces() == before


def lines_of(sender: int, now_s: int, *rules: dict[str, object]) -> list[str]:
    made = plan(mesh={"duration": "9 s"}, links={"rule": list(rules)})
    return rates.limits(made.rules, HOSTS, now_s * 1_000_000)[sender]


def test_a_senders_pipe_holds_all_its_receivers():
    uplink = {"senders": "1", "latency": "1 ms", "kbit_per_s": 256.0, "shared": "sender"}
    assert lines_of(0, 0, uplink) == []
    lines = lines_of(1, 0, uplink)
    assert lines[0] == "qdisc add dev eth0 root handle 1: htb default 0"
    assert [line for line in lines if line.startswith("class")] == [
        "class add dev eth0 parent 1: classid 1:1 htb rate 256000bit burst 3200"
    ]
    to = [line.split("dst ")[1] for line in lines if line.startswith("filter")]
    assert to == [f"{HOSTS[peer]}/32 flowid 1:1" for peer in (0, 2, 3, 4)]


def test_each_pair_has_a_pipe_and_the_first_rule_that_decides_wins():
    fast = {"receivers": "2", "latency": "1 ms"}
    drops = {"receivers": "3", "drop": "1 %"}  # leaves what it lets through to the next
    slow = {"latency": "1 ms", "kbit_per_s": 64.0, "queue": "9 kB"}
    lines = lines_of(0, 0, fast, drops, slow)
    filters = [line for line in lines if line.startswith("filter")]
    assert f"prio 1 protocol ip u32 match ip dst {HOSTS[2]}/32 flowid 1:0" in filters[0]
    assert [line.split("prio ")[1].split()[0] for line in filters] == ["1", "3", "3", "3", "3"]
    assert len({line.split("flowid ")[1] for line in filters[1:]}) == 4
    assert "qdisc add dev eth0 parent 1:2 bfifo limit 9000" in lines


def test_pipes_begin_and_end_with_their_rules():
    rule = {"latency": "1 ms", "kbit_per_s": 64.0, "start": "2 s", "end": "4 s"}
    made = plan(mesh={"duration": "9 s"}, links={"rule": [rule]})
    assert rates.moments(made.rules) == [2_000_000, 4_000_000]
    assert [bool(lines_of(0, second, rule)) for second in (1, 2, 3, 4)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_rule_for_both_directions_limits_both():
    both = {"senders": "0", "receivers": "1", "both": True, "latency": "1 ms", "kbit_per_s": 64.0}
    (rule,) = plan(links={"rule": [both]}).rules
    assert isinstance(rule, Condition)
    assert lines_of(0, 0, both)
    assert lines_of(1, 0, both)
    assert not lines_of(2, 0, both)
