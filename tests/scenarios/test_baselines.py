"""Baselines: what each computes, what it sends, and what it refuses."""

import json
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from gossip.errors import ConfigError
from node.config.tables import from_table
from scenarios.baselines.members import frame_of
from scenarios.baselines.methods import Alone, FedAvg, NeighbourMeans, Pooled, metropolis
from scenarios.baselines.rounds import Rounds
from scenarios.baselines.run import run_baseline, with_shared
from scenarios.baselines.statistics import agreed, frame_bytes, pushes, scaled, scaler_of, sums_of
from scenarios.data.load import load_data
from scenarios.measures.judges import make_model
from scenarios.plan.plan import make_plan
from scenarios.runs.engines import run
from scenarios.runs.simulate import run_stage, set_up
from scenarios.spec import library
from scenarios.spec.data import Scaling
from scenarios.spec.scenario import Scenario, read
from scenarios.world.names import peer_names

SECOND_US = 1_000_000
PEERS = 6


def scenario(method="local", topology=None, seconds=65, **tables) -> Scenario:
    mesh = {"peers": PEERS, "duration": f"{seconds} s", "jitter": 0.0}
    if topology is not None:
        mesh["topology"] = topology
    learning = {"method": method, "steps": 2, "batch": 16, "evaluate": "30 s"}
    return from_table(
        Scenario,
        {
            "mesh": mesh | tables.pop("mesh", {}),
            "data": {"rows": 40, "features": 6, "classes": 3} | tables.pop("data", {}),
            "learning": learning | tables.pop("learning", {}),
            "churn": {"join_over": "0 s"} | tables.pop("churn", {}),
            **tables,
        },
        "test",
    )


ONE_STEP = {"steps": 1, "momentum": 0.0, "clip": 1e6, "rate": 0.2}
"""A training is then one step along a plain gradient, and means of models are means of these."""


def rounds(given: Scenario, method, until_s: float) -> Rounds:
    plan = make_plan(given)
    names = peer_names(given.mesh.peers)
    shards, rows = load_data(plan, names)
    learner, _ = make_model(given.learning, shards)
    mesh = Rounds(plan, names, shards, rows, learner, method)
    mesh.run(int(until_s * SECOND_US))
    return mesh


def vectors(mesh) -> np.ndarray:
    return np.stack([machine.vector for _, machine in mesh.alive()])


def frame_size(mesh: Rounds, updates: int) -> int:
    """Of a whole model that has absorbed so many updates."""
    model = mesh.fresh_model()
    model.add(np.zeros_like(model.vector), updates)
    return len(frame_of(model, mesh.digest, b"any", "any", 1))


def without_time(result) -> dict:
    return {**json.loads(result.as_json()), "wall_s": None}


@pytest.mark.parametrize("model", ["classifier", "detector"])
def test_local_is_the_world_with_nobody_in_reach_to_the_last_bit(model):
    learning = {"momentum": 0.9, "model": model, "train": "3 s"}
    data = {"features": 12}
    alone = rounds(scenario(learning=learning, data=data), Alone(), 65)
    cut = [{"start": "0 s", "end": "1 h", "sides": [str(peer) for peer in range(PEERS)]}]
    given = scenario("gossip", learning=learning, data=data, links={"partition": cut})
    world = set_up(make_plan(given), workers=0).world
    world.run(65 * SECOND_US)
    assert world.tally.delivered == 0
    assert (alone.tally.cycles, alone.tally.trainings) == (6 * PEERS, 6 * PEERS)
    assert (world.tally.cycles, world.tally.trainings) == (6 * PEERS, 6 * PEERS)
    for peer in range(PEERS):
        np.testing.assert_array_equal(alone.whole_vector(peer), world.whole_vector(peer))


def test_fedavg_of_one_step_on_equal_shards_is_the_pooled_gradient_step():
    served = rounds(scenario("fedavg", learning=ONE_STEP), FedAvg(1.0), 65)
    pooled = rounds(scenario("pooled", learning=ONE_STEP), Pooled(), 65)
    begun = served.initial
    assert np.abs(vectors(served) - begun).max() > 0.05
    np.testing.assert_allclose(vectors(served), vectors(pooled), atol=2e-6)
    assert served.tally.trainings == pooled.tally.trainings


def test_dpsgd_on_a_complete_graph_is_the_mean_and_so_is_fedavg():
    learning = ONE_STEP | {"steps": 3}
    meshed = rounds(scenario("dpsgd", f"complete:{PEERS}", learning=learning), NeighbourMeans(), 15)
    alone = rounds(scenario(learning=learning), Alone(), 15)
    mean = vectors(alone).astype(np.float64).mean(axis=0)
    assert np.ptp(vectors(alone), axis=0).max() > 0.01
    np.testing.assert_allclose(vectors(meshed), np.tile(mean, (PEERS, 1)), atol=1e-6)
    served = rounds(scenario("fedavg", learning=learning), FedAvg(1.0), 15)
    np.testing.assert_allclose(vectors(served), np.tile(mean, (PEERS, 1)), atol=1e-6)


def test_metropolis_weights_are_symmetric_and_doubly_stochastic():
    graph = nx.barabasi_albert_graph(30, 2, seed=3)
    near = {node: sorted(graph.adj[node]) for node in graph}
    weights = metropolis(near)
    matrix = np.array([[weights[i].get(j, 0.0) for j in graph] for i in graph])
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    assert (np.diag(matrix) > 0).all()
    assert (matrix >= 0).all()
    assert len(np.unique([len(each) for each in near.values()])) > 3
    leaf = min(graph, key=lambda node: (len(near[node]), node))
    hub = max(near[leaf], key=lambda node: len(near[node]))
    assert matrix[leaf, hub] == 1 / (1 + len(near[hub]))


def test_bytes_are_those_of_the_frames():
    meshed = rounds(scenario("dpsgd", f"ring:{PEERS}"), NeighbourMeans(), 15)
    size = frame_size(meshed, 2)
    assert [member.bytes_sent for member in meshed.hosts] == [2 * size] * PEERS
    assert [member.bytes_received for member in meshed.hosts] == [2 * size] * PEERS
    served = rounds(scenario("fedavg"), FedAvg(1.0), 15)
    assert [member.bytes_sent for member in served.hosts] == [5 * size, *[size] * 5]
    assert [member.bytes_received for member in served.hosts] == [5 * size, *[size] * 5]
    # Half the clients: up from three, and down to those of the next round.
    half = rounds(scenario("fedavg"), FedAvg(0.5), 10.9)
    senders = [member.index for member in half.hosts[1:] if member.bytes_sent]
    holders = [member.index for member in half.hosts if member.version == 1]
    assert half.hosts[0].bytes_sent == size * sum(peer != 0 for peer in holders)
    assert len(senders) in {2, 3}
    assert len(holders) in {3, 4}
    shrunk = rounds(
        scenario("dpsgd", f"ring:{PEERS}", learning={"encoding": "int8"}), NeighbourMeans(), 15
    )
    numbers = len(shrunk.initial)
    assert meshed.hosts[0].bytes_sent - shrunk.hosts[0].bytes_sent == 2 * 3 * numbers


def test_frames_are_as_large_as_a_peers_of_the_mesh():
    given = scenario("gossip", f"ring:{PEERS}", seconds=11, learning={"exchange": "epidemic"})
    result = run_stage(set_up(make_plan(given), workers=0))
    meshed = rounds(scenario("dpsgd", f"ring:{PEERS}"), NeighbourMeans(), 11)
    assert result.frames["delivered"] == PEERS
    assert 2 * sum(result.bytes_sent) == sum(member.bytes_sent for member in meshed.hosts)


def test_everybody_agrees_on_the_scaling_that_all_rows_together_give():
    given = scenario(data={"rows": 400})
    plan = make_plan(given)
    shards, rows = load_data(plan, peer_names(PEERS))
    everything = [shards.training(peer) for peer in range(PEERS)]
    benign = np.concatenate([x[y == 0] for x, y in everything]).astype(np.float64)
    scaler = agreed(shards)
    np.testing.assert_allclose(scaler.centre, benign.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(scaler.spread, np.maximum(benign.std(axis=0), 0.5), rtol=1e-6)
    seen, fed = scaled(shards, rows, scaler)
    np.testing.assert_array_equal(seen.shards[2].test_x, scaler(shards.shards[2].test_x))
    np.testing.assert_array_equal(seen.training(2)[0], seen.shards[2].train_x)
    plain = rows.batches([1], [3], [0])
    np.testing.assert_array_equal(fed.batches([1], [3], [0]).x, scaler(plain.x))
    with pytest.raises(ValueError, match="needs 100"):
        scaler_of(sums_of(shards, 0) * 0.01)


def test_rows_that_have_not_appeared_yet_scale_nothing():
    """Nobody has labelled them: the peer could not tell them from benign rows itself."""
    appear = [{"family": "class-2", "peers": "0:4", "at": "30 s"}]
    data = {"rows": 400, "labelled": "0:2", "appear": appear}
    plan = make_plan(scenario("statistics", data=data))
    plan = replace(plan, scenario=replace(
        plan.scenario, data=replace(plan.scenario.data, scaling=Scaling.NONE)
    ))  # fmt: skip
    shards, _ = load_data(plan, peer_names(PEERS))
    late = 0
    for peer in range(PEERS):
        x, y = shards.training(peer)
        now = shards.at(peer, 0)
        late += len(y) - len(now.train_y)
        benign = now.train_x[now.train_y <= 0].astype(np.float64)
        told = sums_of(shards, peer)
        assert told[0] == len(benign)
        np.testing.assert_allclose(told[1 : 1 + x.shape[1]], benign.sum(axis=0), rtol=1e-6)
    assert late > 0


def test_push_sum_is_there_after_the_frames_that_are_counted():
    rng = np.random.default_rng(7)
    peers = 60
    sums = np.column_stack([rng.pareto(1.5, (peers, 8)) + 0.1, np.ones(peers)])
    true = sums.mean(axis=0)
    for _ in range(pushes(peers)):
        halves = sums / 2
        to = rng.integers(0, peers - 1, peers)
        to += to >= np.arange(peers)
        sums = halves.copy()
        np.add.at(sums, to, halves)
    assert np.abs(sums[:, :8] / sums[:, 8:] / true[:8] - 1).max() < 0.01


def test_statistics_cost_their_frames_once_and_nothing_later():
    given = scenario("statistics", data={"rows": 100}, event=[
        {"at": "20 s", "do": "crash", "peers": "1"}, {"at": "30 s", "do": "return", "peers": "1"}
    ])  # fmt: skip
    result = run_baseline(make_plan(given))
    assert set(result.bytes_sent) == {pushes(PEERS) * frame_bytes(6)}
    assert (result.engine, result.method) == ("rounds", "statistics")
    assert not np.isnan(result.samples[-1].metrics["auc"].mean)


@pytest.mark.usefixtures("recordings_read_once")
def test_recordings_by_site_are_scaled_for_all_alike():
    data = {"source": "recordings", "rows": 300, "features": 57, "classes": 2}
    plan = make_plan(scenario("statistics", mesh={"peers": 3}, data=data))
    shards, rows = with_shared(plan)
    mine = [shards.training(peer) for peer in range(3)]
    benign = np.concatenate([x[y == 0] for x, y in mine])
    # Mean 0 but for what the scaler's bound cuts off, and no peer's own is.
    np.testing.assert_allclose(benign.mean(axis=0), 0.0, atol=0.05)
    assert np.abs(mine[0][0][mine[0][1] == 0].mean(axis=0)).max() > 0.1
    trained = rows.batches([0], [1], [0]).x.reshape(-1, shards.features)
    pile = np.concatenate([x for x, _ in mine[:1]])
    assert all((np.abs(pile - row).max(axis=1) == 0).any() for row in trained[:20])


def test_a_round_waits_for_the_slowest_and_local_for_nobody():
    slow = {"mesh": {"device": [{"name": "slow", "peers": "2", "speed": 0.02}]}}
    served = rounds(scenario("fedavg", seconds=100, **slow), FedAvg(1.0), 100)
    # 25 s of training and two ways of 40 ms: rounds begin at 10, 35.08, 60.16 and 85.24 s.
    assert served.round == 4
    assert served.tally.trainings == 3 * PEERS + (PEERS - 1)
    alone = rounds(scenario(seconds=100, **slow), Alone(), 100)
    assert alone.hosts[2].cycle == 10
    assert alone.tally.trainings == 9 * (PEERS - 1) + 3


def test_who_goes_in_mid_round_is_left_out_after_a_while():
    lost = {"event": [{"at": "10200 ms", "do": "crash", "peers": "3"}]}
    meshed = rounds(scenario("dpsgd", f"complete:{PEERS}", **lost), NeighbourMeans(), 15.53)
    assert meshed.tally.merged == 0
    meshed.run(round(15.55 * SECOND_US))
    assert meshed.tally.merged == 5 * 4
    assert np.ptp(vectors(meshed), axis=0).max() < 1e-6
    assert len(vectors(meshed)) == 5


def test_without_its_server_fedavg_stands_still():
    lost = {"event": [
        {"at": "10200 ms", "do": "crash", "peers": "0"},
        {"at": "45 s", "do": "return", "peers": "0"},
    ]}  # fmt: skip
    served = rounds(scenario("fedavg", seconds=100, **lost), FedAvg(1.0), 44)
    np.testing.assert_array_equal(vectors(served), np.tile(served.initial, (PEERS - 1, 1)))
    served.run(100 * SECOND_US)
    assert np.abs(vectors(served) - served.initial).max() > 0.01
    assert np.ptp(vectors(served), axis=0).max() == 0.0


def test_who_returns_with_nothing_begins_anew():
    gone = {"event": [
        {"at": "31 s", "do": "crash", "peers": "1"},
        {"at": "35 s", "do": "return-fresh", "peers": "1"},
    ]}  # fmt: skip
    served = rounds(scenario("fedavg", **gone), FedAvg(1.0), 36)
    np.testing.assert_array_equal(served.hosts[1].vector, served.initial)
    served.run(41 * SECOND_US)
    np.testing.assert_array_equal(served.hosts[1].vector, served.hosts[2].vector)


@pytest.mark.parametrize("method", ["local", "statistics", "pooled", "fedavg", "dpsgd"])
def test_a_baseline_repeats_and_is_judged_like_the_mesh(method):
    given = scenario(
        method, f"ring:{PEERS}", data={"rows": 100}, learning={"momentum": 0.5, "clients": 0.5},
        churn={"restless": "0:3", "up": "exponential(40 s)", "away": "exponential(10 s)"},
        links={"latency": "lognormal(40 ms, 0.5)"},
    )  # fmt: skip
    seen = []
    first = run(make_plan(given), progress=seen.append)
    again = run(make_plan(given), workers=1)
    assert without_time(first) == without_time(again)
    assert first.complete
    assert [sample.at_us for sample in first.samples] == [30_000_000, 60_000_000, 65_000_000]
    assert first.method == method
    assert seen[-1].now_us == seen[-1].end_us
    other = run(make_plan(given, 2))
    assert without_time(other)["samples"] != without_time(first)["samples"]


def test_everybody_learns_as_often_with_every_method():
    trained = {}
    for method in "gossip", "local", "statistics", "pooled", "fedavg", "dpsgd":
        given = scenario(method, f"ring:{PEERS}", data={"rows": 100})
        trained[method] = run(make_plan(given), workers=0).trainings
    assert set(trained.values()) == {6 * PEERS}


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        ({"method": "fedavg", "links": {"rule": [{"drop": 0.1}]}}, "links.rule"),
        (
            {
                "method": "local",
                "links": {"partition": [{"start": "1 s", "end": "2 s", "sides": ["0:3"]}]},
            },
            "links.partition",
        ),
        ({"method": "dpsgd"}, "mesh.topology"),
        (
            {"method": "dpsgd", "topology": "one-peer-exponential:8", "mesh": {"peers": 8}},
            "mesh.topology",
        ),
    ],
)
def test_what_a_baseline_cannot_do_is_refused_with_a_cure(tables, key):
    with pytest.raises(ConfigError, match=rf"^test: {key}: .*(remove it|name one)") as refused:
        make_plan(scenario(**tables), where="test")
    assert tables["method"] in str(refused.value)


def test_a_baseline_is_no_world_and_no_lab():
    plan = make_plan(scenario(), where="test")
    with pytest.raises(ConfigError, match=r"test: learning\.method: .*no real processes"):
        run(plan, engine="lab")
    with pytest.raises(ConfigError, match=r"test: learning\.method: .*'local' is a baseline"):
        set_up(plan)


def test_a_mesh_with_too_few_benign_rows_has_no_statistics():
    plan = make_plan(scenario("statistics", data={"rows": 2}), where="test")
    with pytest.raises(ConfigError, match=r"test: data\.rows: .* needs 100; give more rows"):
        run_baseline(plan)


def test_the_library_scenario_can_be_run_with_every_method():
    path = library.FOLDER / "baselines.toml"
    given = read(path)
    for method in type(given.learning.method):
        plan = make_plan(replace(given, learning=replace(given.learning, method=method)))
        assert plan.physics.neighbours is not None
