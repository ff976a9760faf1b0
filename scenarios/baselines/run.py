"""Run a baseline: the same data, learner, judges and measures as the World, another method."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from time import perf_counter

from gossip.errors import ConfigError
from gossip.learning.learner import Learner
from scenarios.baselines import statistics
from scenarios.baselines.methods import Alone, FedAvg, NeighbourMeans, Pooled
from scenarios.baselines.rounds import Method, Rounds
from scenarios.conditions.told import faults
from scenarios.data.holdings import as_dict, holdings
from scenarios.data.load import load_data
from scenarios.data.shards import Shards
from scenarios.measures.judges import Judge, make_model
from scenarios.measures.measure import draw_panel, frames, measure
from scenarios.plan.expect import expectations
from scenarios.plan.plan import Plan
from scenarios.runs.results import Result, versions
from scenarios.runs.simulate import LOOKS, Progress, Record
from scenarios.runs.stopping import stopping
from scenarios.spec.data import Scaling
from scenarios.spec.learning import Learning
from scenarios.spec.learning import Method as Chosen
from scenarios.spec.scenario import table
from scenarios.world.names import peer_names
from scenarios.world.training import Rows, worker_pays


def run_baseline(
    plan: Plan,
    progress: Callable[[Progress], None] | None = None,
    *,
    model: tuple[Learner, Judge] | None = None,
    workers: int | None = None,
) -> Result:
    """Run the baseline that `learning.method` names to its end, measuring as the scenario says.

    An interrupt ends it as it ends a run of the World: see `scenarios.runs.simulate.run_stage`.

    Args:
        plan: as `make_plan` gave it.
        progress: told how far the run has come.
        model: instead of the learner and judge that the scenario names.
        workers: as `scenarios.runs.simulate.set_up` takes it.

    Raises:
        ConfigError: there are more peers than rows, or as `set_up`.
    """
    scenario = plan.scenario
    mesh, shards, judge = _set_up(plan, model, workers)
    panel = draw_panel(
        scenario.mesh.peers, plan.groups, scenario.learning.evaluate_peers, plan.seed_bytes
    )
    end_us = scenario.mesh.duration_us
    every_us = scenario.learning.evaluate_us or end_us
    stride_us = max(1, end_us // LOOKS)
    record = Record()
    begun = perf_counter()

    def look() -> None:
        record.wall_s = perf_counter() - begun
        if progress is not None:
            up = len(mesh.up())
            progress(Progress(mesh.now_us, end_us, up, mesh.tally.cycles, record.wall_s))

    with stopping() as asked, closing(mesh.trainer):
        look()
        while mesh.now_us < end_us and not asked():
            sample_us = min(end_us, (mesh.now_us // every_us + 1) * every_us)
            mesh.run(min(sample_us, mesh.now_us + stride_us))
            if mesh.now_us == sample_us:
                record.add(measure(mesh, shards, judge, panel, plan.rules))
            look()
    return _result(plan, mesh, shards, record)


def _set_up(
    plan: Plan, model: tuple[Learner, Judge] | None, workers: int | None
) -> tuple[Rounds, Shards, Judge]:
    scenario = plan.scenario
    names = peer_names(scenario.mesh.peers)
    shared = scenario.learning.method is Chosen.STATISTICS
    shards, rows = with_shared(plan) if shared else load_data(plan, names)
    expectations(scenario, plan.where, sorted(plan.groups), shards.families)
    learner, judge = make_model(scenario.learning, shards) if model is None else model
    worker = worker_pays(scenario.mesh.peers) if workers is None else workers > 0
    method = _method(scenario.learning, shards.features)
    return Rounds(plan, names, shards, rows, learner, method, worker=worker), shards, judge


def _method(learning: Learning, features: int) -> Method:
    match learning.method:
        case Chosen.POOLED:
            return Pooled()
        case Chosen.FEDAVG:
            return FedAvg(learning.clients)
        case Chosen.DPSGD:
            return NeighbourMeans()
        case Chosen.STATISTICS:
            return Alone(statistics.frame_bytes(features))
    return Alone()


def with_shared(plan: Plan) -> tuple[Shards, Rows]:
    """Shards, and rows to train on, as everybody scales them after agreeing.

    Args:
        plan: its `data.scaling` gives way.

    Raises:
        ConfigError: there are too few benign rows, or as `scenarios.data.load.load_data`.
    """
    raw = replace(plan.scenario, data=replace(plan.scenario.data, scaling=Scaling.NONE))
    names = peer_names(plan.scenario.mesh.peers)
    shards, rows = load_data(replace(plan, scenario=raw), names)
    try:
        scaler = statistics.agreed(shards)
    except ValueError as error:
        raise ConfigError(f"{plan.where}: data.rows: {error}; give more rows") from error
    return statistics.scaled(shards, rows, scaler)


def _result(plan: Plan, mesh: Rounds, shards: Shards, record: Record) -> Result:
    spec = replace(plan.scenario, mesh=replace(plan.scenario.mesh, seed=plan.seed))
    tally = mesh.tally
    return Result(
        title=plan.scenario.title,
        engine="rounds",
        method=plan.scenario.learning.method.value,
        seed=plan.seed,
        spec=table(spec),
        versions=versions(),
        faults=faults(plan),
        complete=mesh.now_us >= plan.scenario.mesh.duration_us,
        reached_us=mesh.now_us,
        families=shards.families,
        samples=tuple(record.samples),
        judged=tuple(record.judged),
        mesh=tuple(record.mesh),
        bytes_sent=tuple(member.bytes_sent for member in mesh.hosts),
        bytes_received=tuple(member.bytes_received for member in mesh.hosts),
        topics={"merged": tally.merged, "trained": tally.trainings},
        frames=frames(tally),
        cycles=tally.cycles,
        trainings=tally.trainings,
        trace_hash="",
        trace_events=0,
        holdings=as_dict(holdings(shards, plan.groups)),
        wall_s=record.wall_s,
    )
