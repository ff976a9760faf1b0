"""The World and the Lab, told the same, come to the same: detection, and what it costs in bytes.

Three scenarios side by side, ten processes each, for as long as the longest of them lasts. Their
mesh is the same in both engines, rows and identities included; in the Lab it meets real sockets,
real deadlines and real kills. `benchmarks/lab.py` does the same with more of everything.

Exchange is epidemic: a push follows every training. With the token account's coins, the bytes of a
mesh as small and a run as short differ by a tenth between two seeds of one engine.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from scenarios.lab import network
from scenarios.lab.identities import names
from scenarios.lab.run import run_lab
from scenarios.plan.plan import Plan
from scenarios.runs.results import Result
from scenarios.runs.simulate import run_stage, set_up
from tests.lab.scenes import plan

SEED = 1
POINTS = 0.03
BYTES = 0.10

SCENARIOS: dict[str, dict[str, Any]] = {
    "quiet mesh": {},
    "partition and heal": {
        "links": {
            "latency": "5 ms",
            "partition": [{"start": "6 s", "end": "12 s", "sides": ["0:5", "5:10"]}],
        }
    },
    "half of all peers die": {"event": [{"at": "12 s", "do": "crash", "peers": "50 %"}]},
}


def planned(name: str) -> Plan:
    base: dict[str, Any] = {
        "mesh": {
            "peers": 10,
            "duration": "24 s",
            "cycle": "1 s",
            "lost_after": "2 s",
            "join_retry_max": "4 s",
        },
        "data": {"rows": 200, "features": 57, "classes": 4, "separation": 0.3,
                 "calibrate_rows": 400},
        "learning": {
            "hidden": [64],
            "rate": 0.2,
            "train": "100 ms",
            "evaluate": "6 s",
            "exchange": "epidemic",
        },
        "links": {"latency": "5 ms"},
        "churn": {"join_over": "2 s"},
    }  # fmt: skip
    return plan(SEED, **(base | SCENARIOS[name]))


def told(result: Result) -> tuple[float, float, str]:
    last = result.samples[-1]
    shown = f"{result.engine}: {result.frames}, {result.topics}, {last}"
    return last.metrics["detection"].mean, last.bytes_sent / last.peers, shown


@pytest.fixture(scope="module")
def lab() -> dict[str, Result]:
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        return dict(zip(SCENARIOS, pool.map(run_lab, map(planned, SCENARIOS)), strict=True))


@pytest.mark.skipif(
    bool(network.trouble(limits=False)), reason="this machine makes no network namespaces"
)
@pytest.mark.parametrize("name", SCENARIOS)
def test_world_and_lab_agree(name: str, lab: dict[str, Result]) -> None:
    made = planned(name)
    world = run_stage(set_up(made, names=names(made)))
    (detection, sent, there), (real, wired, here) = told(world), told(lab[name])
    assert lab[name].complete
    assert [each.up for each in lab[name].samples] == [each.up for each in world.samples]
    assert 0.5 < detection < 0.95, "a measure that could not differ says nothing"
    assert real == pytest.approx(detection, abs=POINTS), f"{there}\n{here}"
    assert wired == pytest.approx(sent, rel=BYTES), f"{there}\n{here}"
