"""Run a scenario in simulated time: what stands behind `hedgerow simulate`."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TextIO

from gossip.actions import Report
from gossip.contacts import Contact, PeerId
from gossip.errors import ConfigError
from gossip.fingerprint import Fingerprint
from gossip.learning.learner import Learner
from gossip.peer import Peer
from scenarios.conditions.told import faults
from scenarios.data.holdings import as_dict, holdings
from scenarios.data.load import load_data
from scenarios.data.shards import Shards
from scenarios.immunity.immune import Immune, immune
from scenarios.immunity.presenting import names_of
from scenarios.immunity.telling import Telling
from scenarios.measures.judges import Judge, make_model
from scenarios.measures.measure import Panel, draw_panel, frames, measure
from scenarios.measures.samples import JudgedPeer, Measured, Sample, Snapshot
from scenarios.plan.expect import expectations
from scenarios.plan.plan import Plan, make_plan
from scenarios.runs.results import Result, versions
from scenarios.runs.stopping import stopping
from scenarios.spec.learning import Method
from scenarios.spec.scenario import Scenario
from scenarios.world.hosts import Kept, Machine
from scenarios.world.names import peer_address, peer_names
from scenarios.world.trace import Trace
from scenarios.world.training import Postponed, Rows, worker_pays
from scenarios.world.world import World

LOOKS = 200
"""How often at least a run looks up to report its progress."""

PATIENCE_S = 0.5
"""Seconds of real time after which a run looks up more often, so that it can be interrupted."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Args:
        now_us: simulated time.
        end_us: simulated time at the end.
        up: nodes that are up.
        cycles: begun by all peers so far.
        wall_s: seconds since the run began.
    """

    now_us: int
    end_us: int
    up: int
    cycles: int
    wall_s: float

    @property
    def cycles_per_s(self) -> float:
        """Peer-cycles simulated per second of real time."""
        return self.cycles / self.wall_s if self.wall_s > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A World ready to run, and what it is measured by."""

    plan: Plan
    world: World
    shards: Shards
    judge: Judge
    trainer: Postponed
    panel: Panel
    immunity: Immune | None = None


@dataclass(slots=True)
class Record:
    """What a run has found so far. With its World as it stands then, all it takes to go on.

    Args:
        samples: one at every `learning.evaluate`, and one at the end.
        judged: each judged peer by itself.
        mesh: who was there and knew whom.
        wall_s: seconds of work so far.
    """

    samples: list[Sample] = field(default_factory=list)
    judged: list[JudgedPeer] = field(default_factory=list)
    mesh: list[Snapshot] = field(default_factory=list)
    wall_s: float = 0.0

    def add(self, measured: Measured) -> None:
        """Note one look at the mesh."""
        self.samples.append(measured.sample)
        self.judged.extend(measured.judged)
        self.mesh.append(measured.snapshot)


def set_up(
    plan: Plan,
    *,
    postpone: bool = True,
    lines: TextIO | None = None,
    listen: Callable[[int, int, Report], None] | None = None,
    model: tuple[Learner, Judge] | None = None,
    data: tuple[Shards, Rows] | None = None,
    workers: int | None = None,
    names: Sequence[PeerId] | None = None,
) -> Stage:
    """Build everything a plan asks for.

    Args:
        plan: as `make_plan` gave it; drives one World only.
        postpone: see `Postponed`.
        lines: takes one JSON object per event.
        listen: told of every report, with the time and the reporting peer's index.
        model: instead of the learner and judge that the scenario names.
        data: instead of the data that it names.
        workers: processes beside this one that train, 0 or 1; None for one where the mesh is large
            enough and this machine has a processor to spare. Results are the same. With antigens
            there is none.
        names: identities that decide what peers draw, such as those of the Lab's; None for the
            World's own. Everybody's rows stay the same.

    Raises:
        ConfigError: there are more peers than rows, or an expectation is of a family of attacks
            that the data do not have.
        SensorError: a bundled recording is damaged.
    """
    scenario, seed = plan.scenario, plan.seed_bytes
    if scenario.learning.method is not Method.GOSSIP:
        raise ConfigError(
            f"{plan.where}: learning.method: {scenario.learning.method.value!r} is a baseline, "
            f"which scenarios.runs.engines.run runs; here only 'gossip' can be"
        )
    own_names = peer_names(scenario.mesh.peers)
    names = own_names if names is None else names
    shards, rows = load_data(plan, own_names) if data is None else data
    expectations(scenario, plan.where, sorted(plan.groups), shards.families)
    beside = tuple(name for name in names_of(plan.hostile) if name not in shards.families)
    if model is None:
        model = make_model(scenario.learning, shards, beside)
    learner, judge = model
    initial = learner.initial(seed)
    fingerprint = Fingerprint(shards.schema, f"{learner.shape}, {plan.config.fragments} fragments")
    immunity = immune(plan, shards, rows, names, (*shards.families, *beside), fingerprint)
    if immunity is not None and workers:
        raise ConfigError(
            f"{plan.where}: learning.antigens: peers are trained in this process alone, because "
            f"what they hold is here; workers = {workers} cannot be had"
        )
    worker = worker_pays(scenario.mesh.peers) if workers is None else workers > 0
    trainer = Postponed(
        learner,
        rows,
        initial,
        postpone=postpone,
        worker=worker and immunity is None,
        rehearsing=None if immunity is None else immunity.rehearsing,
    )
    presenter = None if immunity is None else immunity.presenter

    def spawn(index: int, life: int, kept: Kept | None) -> Machine:
        me = Contact(names[index], (peer_address(index),))
        own_seed = seed + b"/%d" % life  # a peer's serial numbers start anew with each life
        fresh = initial[: learner.shared], None, 0
        vector, ages, cycle = fresh if kept is None else (kept.vector, kept.ages, kept.cycle)
        seal = None if presenter is None else presenter.seal(index)
        return Peer(plan.config, me, own_seed, fingerprint, vector, ages, cycle, seal)

    trace = Trace(lines)
    world = World(
        names,
        spawn,
        trainer,
        plan.links(),
        plan.physics,
        plan.changes,
        trace,
        listen,
        presents=presenter,
        tells=Telling(shards, judge) if scenario.learning.borrow else None,
    )
    limit = scenario.learning.evaluate_peers
    panel = draw_panel(scenario.mesh.peers, plan.groups, limit, seed)
    return Stage(plan, world, shards, judge, trainer, panel, immunity)


def run_stage(
    stage: Stage,
    progress: Callable[[Progress], None] | None = None,
    so_far: Record | None = None,
    *,
    keep: Callable[[Stage, Record], None] | None = None,
    keep_every_s: float = 0.0,
) -> Result:
    """Run a World to its end, measuring as its scenario says.

    SIGINT (Ctrl-C) or SIGTERM ends the run at its next look-up. The result then says that it is
    not complete, and has the samples so far; a second one raises KeyboardInterrupt.

    Args:
        stage: its World may stand at any moment, and is left where the run ends.
        progress: told how far the run has come.
        so_far: what was found before that moment; grows. None for nothing.
        keep: writes down how a run stands that was interrupted.
        keep_every_s: keep it while it runs, too, after every so many seconds; 0 for never.
    """
    plan, world = stage.plan, stage.world
    record = Record() if so_far is None else so_far
    every_us = plan.scenario.learning.evaluate_us or plan.scenario.mesh.duration_us
    end_us = plan.scenario.mesh.duration_us
    begun = perf_counter() - record.wall_s
    longest_us = stride_us = max(1, end_us // LOOKS)

    def look() -> None:
        record.wall_s = perf_counter() - begun
        if progress is not None:
            up = len(world.alive())
            progress(Progress(world.now_us, end_us, up, world.tally.cycles, record.wall_s))

    with stopping() as asked:
        with closing(stage.trainer):
            look()
            kept_s = perf_counter()
            while world.now_us < end_us and not asked():
                next_sample_us = min(end_us, (world.now_us // every_us + 1) * every_us)
                before_s = perf_counter()
                world.run(min(next_sample_us, world.now_us + stride_us))
                # Where a World stops to look changes nothing in it, so real time may decide.
                slow = perf_counter() - before_s > PATIENCE_S
                stride_us = max(1, stride_us // 2) if slow else min(longest_us, stride_us * 2)
                if world.now_us == next_sample_us:
                    record.add(measure(world, stage.shards, stage.judge, stage.panel, plan.rules))
                look()
                if keep is not None and 0 < keep_every_s <= perf_counter() - kept_s:
                    keep(stage, record)
                    kept_s = perf_counter()
        if keep is not None and world.now_us < end_us:
            keep(stage, record)
    return _result(stage, record)


def simulate(
    scenario: Scenario,
    seed: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    *,
    where: str | Path = "scenario",
    trace_lines: TextIO | None = None,
) -> Result:
    """Run a scenario in simulated time.

    Args:
        scenario: as `scenarios.spec.scenario.read` gives it.
        seed: instead of the scenario's own.
        progress: told how far the run has come, at least 200 times.
        where: what messages call the scenario, usually its file.
        trace_lines: takes one JSON object per event; the caller opens and closes it.

    Raises:
        ConfigError: the scenario contradicts itself. Raised before any work is done.
    """
    plan = make_plan(scenario, seed, str(where))
    return run_stage(set_up(plan, lines=trace_lines), progress)


def _result(stage: Stage, record: Record) -> Result:
    world, plan = stage.world, stage.plan
    tally, hosts = world.tally, world.hosts
    topics = sorted(tally.topics.items(), key=lambda item: item[0].value)
    return Result(
        title=plan.scenario.title,
        seed=plan.seed,
        spec=plan.spec,
        versions=versions(),
        faults=faults(plan),
        complete=world.now_us >= plan.scenario.mesh.duration_us,
        reached_us=world.now_us,
        families=stage.shards.families,
        samples=tuple(record.samples),
        judged=tuple(record.judged),
        mesh=tuple(record.mesh),
        bytes_sent=tuple(host.bytes_sent for host in hosts),
        bytes_received=tuple(host.bytes_received for host in hosts),
        topics={topic.value: count for topic, count in topics},
        frames=frames(tally),
        cycles=tally.cycles,
        trainings=tally.trainings,
        trace_hash=world.trace.digest,
        trace_events=world.trace.events,
        holdings=as_dict(holdings(stage.shards, plan.groups)),
        wall_s=record.wall_s,
    )
