"""Every fault is told in words, and nothing is told where there is none."""

from dataclasses import fields

import pytest

from node.config.tables import from_table
from scenarios.conditions.told import faults
from scenarios.plan.plan import make_plan
from scenarios.spec.churn import Churn
from scenarios.spec.links import Conditions
from scenarios.spec.scenario import Scenario


def told(**tables) -> tuple[str, ...]:
    mesh = {"peers": 20, "duration": "10 min"} | tables.pop("mesh", {})
    return faults(make_plan(from_table(Scenario, {"mesh": mesh, **tables}, "test")))


def test_a_quiet_mesh_has_no_faults():
    assert told() == ()


CASES = [
    ({"mesh": {"device": [{"name": "small", "peers": "0:4", "speed": 0.1, "memory": "8 kB"}]}},
     "mesh.device small: peers 0:4, speed 0.1, 8 kB for training rows"),
    ({"links": {"latency": "world"}}, "links.latency: world, 16 places, jitter 0.2"),
    ({"links": {"latency": "1 cycle"}}, "links.latency: 1 cycle"),
    ({"links": {"rule": [{"drop": "50 %", "receivers": "3", "both": True}]}},
     "links.rule[1]: between all and peers 3, drop 50 %"),
    ({"links": {"rule": [{"latency": "1 s", "kbit_per_s": 64.0, "end": "1 min"}]}},
     ("links.rule[1]: from all to all, latency 1 s, 64 kbit/s a pair, queue 64 KiB, "
      "from 0 us until 1 min")),
    ({"links": {"partition": [{"start": "1 min", "end": "2 min", "sides": ["0:9"]}]}},
     "links.partition[1]: 0:9 | the rest, from 1 min until 2 min"),
    ({"churn": {"restless": "all", "online": "90 %", "crash": 0.25}},
     ("churn.restless: all, up exponential(10 min), away exponential(1 min), 90 % of them up, "
      "25 % go by a crash")),
    ({"churn": {"diurnal": [{"peers": "all", "period": "5 min"}]}},
     ("churn.diurnal[1]: all, 50 % there at the trough, every 5 min, peak at 0 us, "
      "50 % go by a crash")),
    ({"churn": {"outage": [{"groups": ["0:3"], "every": "3 min", "lasts": "1 min"}]}},
     "churn.outage[1]: 0:3, every 3 min, lasts 1 min"),
    ({"event": [{"at": "1 min", "do": "crash", "peers": "0:2", "over": "1 cycle", "for": "9 s"}]},
     "event[1]: crash of peers 0:2, at 1 min, one after the other over 1 cycle, for 9 s"),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "line"), CASES, ids=[line.split(":")[0] for _, line in CASES])
def test_each_fault_has_its_line(tables, line):
    assert line in told(**tables)


def test_the_sum_of_all_churn_is_told():
    lines = told(event=[{"at": "1 min", "do": "crash", "peers": "0:5", "for": "1 min"}])
    assert lines[-1] == "churn in all: 20 join, 5 crash, 5 return"


def test_a_new_kind_of_fault_has_to_be_told():
    """Fails when a key is added to these tables: tell it in `faults`, then list it here."""
    assert [part.name for part in fields(Conditions)] == [
        "latency", "matrix", "jitter", "access_us", "region", "rule", "partition"
    ]  # fmt: skip
    assert [part.name for part in fields(Churn)] == [
        "join_over_us", "restless", "up", "away", "online", "begin", "crash", "trace", "diurnal",
        "outage",
    ]  # fmt: skip
