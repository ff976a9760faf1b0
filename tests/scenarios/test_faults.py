"""Every fault is told."""

from pathlib import Path

from node.config.tables import from_table
from scenarios.plan.faults import faults
from scenarios.spec.scenario import Scenario, read

LIBRARY = Path(__file__).parents[2] / "scenarios" / "library"


def test_a_quiet_mesh_has_none_but_its_delays():
    given = {"mesh": {"peers": 2, "duration": "1 min"}}
    assert faults(from_table(Scenario, given, "test")) == ()


def test_faults_are_told_in_the_words_of_the_file():
    given = {
        "mesh": {
            "peers": 9,
            "duration": "1 min",
            "device": [{"name": "slow", "peers": "10 %", "speed": 0.1}],
        },
        "links": {
            "latency": "50 ms",
            "rule": [{"drop": "2 %"}],
            "partition": [{"start": "5 s", "end": "9 s", "sides": ["0:4", "4:9"]}],
        },
        "churn": {"crash": "100 %"},
        "event": [{"at": "30 s", "do": "crash", "peers": "1"}],
    }
    assert faults(from_table(Scenario, given, "test")) == (
        "mesh.device[1]: name = slow, peers = 10 %, speed = 0.1",
        "links.latency = 50 ms",
        "links.rule[1]: drop = 0.02",
        "links.partition[1]: start = 5 s, end = 9 s, sides = 0:4 | 4:9",
        "churn.crash = 1.0",
        "event[1]: at = 30 s, do = crash, peers = 1",
    )


def test_the_library_can_be_told():
    told = {path.stem: faults(read(path)) for path in sorted(LIBRARY.glob("*.toml"))}
    assert any("crash" in line for line in told["churn"])
    assert any("sides = west | east" in line for line in told["partition-and-heal"])
