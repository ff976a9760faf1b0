"""Whatever happens to peers in whatever order, driver and peers keep their contract."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.events import Timer
from node.config.tables import from_table
from scenarios.conditions.churn import Change, Deed, ordered
from scenarios.plan.plan import make_plan
from scenarios.runs.simulate import run_stage, set_up
from scenarios.spec.scenario import Scenario
from scenarios.world.hosts import State

PEERS = 6
SECONDS = 60

happenings = st.lists(
    st.tuples(
        st.integers(0, SECONDS), st.sampled_from(sorted(Deed, key=str)), st.integers(0, PEERS - 1)
    ),
    max_size=14,
)


@settings(max_examples=30, deadline=None)
@given(
    happenings,
    st.sampled_from(["sampling", "ring:6"]),
    st.sampled_from(["age", "epidemic", "pairwise"]),
    st.sampled_from(["0 s", "3 s", "30 s"]),
    st.sampled_from([0.0, 0.3]),
)
def test_a_world_survives_anything(events, topology, exchange, train, drop):
    table = {
        "mesh": {"peers": PEERS, "duration": f"{SECONDS} s", "cycle": "5 s", "topology": topology,
                 "queue_frames": 1, "outboxes": 3, "lost_after": "7 s"},
        "data": {"rows": 8, "features": 3, "calibrate_rows": 5, "test_rows": 5},
        "learning": {"arithmetic": "numpy", "steps": 1, "batch": 4, "train": train,
                     "exchange": exchange, "momentum": 0.5},
        "links": {"rule": [{"drop": drop + 0.01}]},
    }  # fmt: skip
    plan = make_plan(from_table(Scenario, table, "chaos"))
    # Past what a scenario can ask for: deeds that contradict each other.
    told = [Change(at * 1_000_000, peer, deed) for at, deed, peer in events]
    stage = set_up(replace(plan, changes=tuple(ordered([*plan.changes, *told]))))
    result = run_stage(stage)
    hosts = stage.world.hosts
    assert sum(host.bytes_received for host in hosts) <= sum(host.bytes_sent for host in hosts)
    for host in hosts:
        assert (host.machine is not None) == (host.state is State.UP)
        assert len(host.outboxes) <= 3
        if host.machine is not None:
            assert Timer.CYCLE in host.armed
            assert np.isfinite(host.machine.vector).all()
        else:
            assert host.armed == {}
            assert host.job is None
    assert result.samples[-1].up == len(stage.world.alive())
