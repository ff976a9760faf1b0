"""`--engine lab`: a scenario in real time, with real node processes and real libp2p."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic

from scenarios.conditions.churn import Change, Deed
from scenarios.conditions.links import Partition
from scenarios.conditions.told import faults
from scenarios.data.load import load_data
from scenarios.lab import fit, orders, rates
from scenarios.lab.addresses import addresses
from scenarios.lab.fleet import Fleet
from scenarios.lab.mesh import Pictured, total
from scenarios.lab.models import numpy_model
from scenarios.lab.orders import Picture, Tallies
from scenarios.lab.scratch import scratch
from scenarios.measures.measure import draw_panel, frames, measure
from scenarios.plan.expect import expectations
from scenarios.plan.plan import Plan
from scenarios.runs.results import Result, versions
from scenarios.runs.simulate import Progress, Record
from scenarios.runs.stopping import stopping
from scenarios.spec.scenario import table
from scenarios.world.hosts import State
from scenarios.world.names import peer_names

LOOK_S = 0.2
"""How often at least a run looks up: for an interrupt, and for processes that ended."""

LEAD_US = 1_000_000
"""How long before its moment a joining peer's process is started. Measured on busy cores, a process
took 0.04 to 0.2 s to be ready; started at the moment itself, every peer was so much behind its
counterpart in the World."""


def run_lab(plan: Plan, progress: Callable[[Progress], None] | None = None) -> Result:
    """Run a scenario with a process for each peer; a simulated second takes a second.

    SIGINT (Ctrl-C) or SIGTERM ends it early; the result then says that it is not complete. No
    process, namespace or file is left behind, whatever ends it.

    Args:
        plan: as `make_plan` gave it.
        progress: told how far the run has come.

    Raises:
        ConfigError: the Lab, or this machine, cannot do what the scenario asks for. Raised before
            any work is done.
        LocalError: a process ended that should not have.
    """
    network = fit.check(plan)
    names = peer_names(plan.scenario.mesh.peers)
    with (
        stopping() as asked,
        scratch() as folder,
        addresses(plan.scenario.mesh.peers, network=network) as listen,
    ):
        with Fleet(folder) as fleet:
            course = Course(plan, fleet, listen, network=network, progress=progress)
            course.prepare(folder)
            shards, _ = load_data(plan, names)  # while the nursery does the same
            expectations(plan.scenario, plan.where, sorted(plan.groups), shards.families)
            _, judge = numpy_model(plan.scenario.learning, shards)
            course.run(asked)
        # Afterwards, because judging would take time from the peers while they live.
        links = plan.links()
        limit = plan.scenario.learning.evaluate_peers
        panel = draw_panel(plan.scenario.mesh.peers, plan.groups, limit, plan.seed_bytes)
        record = Record(wall_s=course.wall_s)
        for look in course.looks:
            mesh = Pictured(look.at_us, names, look.pictures, look.lives, links)
            record.add(measure(mesh, shards, judge, panel, plan.rules))
    return _result(plan, course, record, shards.families, network=network)


@dataclass(frozen=True, slots=True)
class Look:
    """What the processes said at one moment.

    Args:
        at_us: the moment that was meant.
        pictures: of all that were up.
        lives: counts of all lives of each peer so far.
    """

    at_us: int
    pictures: dict[int, Picture]
    lives: tuple[Tallies, ...]


@dataclass(slots=True)
class _Peer:
    """One peer: where it stands, and what its lives so far have counted."""

    state: State = State.WAITING
    life: int = 0
    past: list[Tallies] = field(default_factory=list)
    now: Tallies = field(default_factory=Tallies)
    returning: Deed | None = None  # its last process has not ended yet

    def close_life(self, picture: Picture | None) -> None:
        """Its process has ended; a crash in its first moments leaves no picture."""
        self.past.append(picture.tallies if picture else self.now)
        self.now = Tallies()


class Course:
    """What happens in a run, moment by moment.

    Args:
        plan: see there.
        fleet: its processes.
        listen: addresses, by peer.
        network: whether each peer has a namespace of its own.
        progress: see `run_lab`.
    """

    def __init__(
        self,
        plan: Plan,
        fleet: Fleet,
        listen: list[str],
        *,
        network: bool,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.looks: list[Look] = []
        self.now_us = 0
        self.wall_s = 0.0
        self._plan = plan
        self._fleet = fleet
        self._listen = listen
        self._network = network
        self._progress = progress
        self._peers = [_Peer() for _ in listen]
        self._zero_s = 0.0

    def prepare(self, folder: Path) -> None:
        """Have the data loaded and the cables laid."""
        plan = self._plan
        spec, where = table(plan.scenario), plan.where
        network, listen = self._network, self._listen
        self._fleet.tell(orders.Prepare(spec, plan.seed, where, str(folder), network, listen))

    def run(self, asked: Callable[[], bool]) -> None:
        """Let everything happen at its time, once all is prepared."""
        self._fleet.hear()
        self._zero_s = monotonic() + LEAD_US / 1e6
        self._fleet.order(orders.Begin(self._zero_s))
        for at_us, _, deed in sorted(self._moments(), key=lambda moment: moment[:2]):
            if not self._wait(at_us, asked):
                break
            deed()
        self.now_us = min(max(0, self._clock_us()), self._plan.scenario.mesh.duration_us)
        self.wall_s = monotonic() - self._zero_s

    def tallies(self) -> tuple[Tallies, ...]:
        """Counts of all lives of each peer, as far as they are known."""
        return tuple(total([*peer.past, peer.now]) for peer in self._peers)

    def _moments(self) -> Iterator[tuple[int, int, Callable[[], None]]]:
        """When, in which order at one moment, and what."""
        plan, end_us = self._plan, self._plan.scenario.mesh.duration_us
        splits = [rule for rule in plan.rules if isinstance(rule, Partition)]
        edges = [edge for split in splits for edge in (split.start_us, split.end_us)]
        for at_us in sorted(dict.fromkeys(edges)):
            yield at_us, 0, partial(self._split, at_us)
        for at_us in rates.moments(plan.rules):
            yield at_us, 1, partial(self._shape, at_us)
        for change in plan.changes:
            if change.deed is Deed.JOIN:
                yield change.at_us - LEAD_US, 2, partial(self._bear, change)
            yield change.at_us, 2, partial(self._change, change)
        every_us = plan.scenario.learning.evaluate_us or end_us
        for at_us in [*range(every_us, end_us, every_us), end_us]:
            yield at_us, 3, partial(self._see, at_us)

    # Time

    def _clock_us(self) -> int:
        """Since time 0; less than 0 before it."""
        return round((monotonic() - self._zero_s) * 1e6)

    def _wait(self, at_us: int, asked: Callable[[], bool]) -> bool:
        """Until that moment, minding processes meanwhile; False where the run is to end."""
        if at_us > self._plan.scenario.mesh.duration_us:
            return False
        while not asked():
            left_s = (at_us - self._clock_us()) / 1e6
            if left_s <= 0.0:
                return True
            self._mind(min(left_s, LOOK_S))
            self._tell()
        return False

    def _mind(self, wait_s: float) -> None:
        for number, picture in self._fleet.ended(wait_s).items():
            peer = self._peers[number]
            peer.close_life(picture)
            if peer.returning is not None:
                self._start(number, peer.returning)

    def _tell(self) -> None:
        if self._progress is not None:
            up = sum(peer.state is State.UP for peer in self._peers)
            cycles = total(self.tallies()).cycles
            end_us, now_us = self._plan.scenario.mesh.duration_us, max(0, self._clock_us())
            self._progress(Progress(now_us, end_us, up, cycles, now_us / 1e6))

    # Deeds

    def _split(self, now_us: int) -> None:
        sides = [
            rule.side
            for rule in self._plan.rules
            if isinstance(rule, Partition) and rule.start_us <= now_us < rule.end_us
        ]
        switches: dict[tuple[int, ...], int] = {}
        plugs = [
            switches.setdefault(tuple(side[peer] for side in sides), len(switches))
            for peer in range(len(self._peers))
        ]
        self._fleet.order(orders.Split(plugs))

    def _shape(self, now_us: int) -> None:
        hosts = [address.split(":")[0] for address in self._listen]
        self._fleet.order(orders.Shape(rates.limits(self._plan.rules, hosts, now_us)))

    def _see(self, at_us: int) -> None:
        up = [number for number, peer in enumerate(self._peers) if peer.state is State.UP]
        ready = [number for number in up if self._peers[number].returning is None]
        pictures = self._fleet.look(ready)
        for number, picture in pictures.items():
            self._peers[number].now = picture.tallies
        self.looks.append(Look(at_us, pictures, self.tallies()))

    def _change(self, change: Change) -> None:
        """As `World`'s: what does not fit a peer's state does nothing to it."""
        number = change.peer
        peer = self._peers[number]
        up, new = peer.state is State.UP, peer.state is State.WAITING
        match change.deed:
            case Deed.JOIN if new:
                peer.state = State.UP
                self._fleet.plug(number)
            case Deed.RETURN_KEPT | Deed.RETURN_FRESH if not up and not new:
                peer.state = State.UP
                if self._fleet.runs(number):
                    peer.returning = change.deed
                else:
                    self._start(number, change.deed)
            case Deed.LEAVE if up:
                peer.state = State.LEFT
                if not self._end_early(number):
                    self._fleet.leave(number)
            case Deed.CRASH if up:
                peer.state = State.CRASHED
                if not self._end_early(number):
                    peer.close_life(self._fleet.crash(number))

    def _bear(self, change: Change) -> None:
        """Start the process of a peer that is to join soon."""
        peer = self._peers[change.peer]
        if peer.life == 0:
            peer.life = 1
            begin_s = self._zero_s + change.at_us / 1e6
            self._fleet.start(change.peer, 1, fresh=True, begin_s=begin_s)

    def _start(self, number: int, deed: Deed) -> None:
        """Start a peer anew."""
        peer = self._peers[number]
        peer.returning = None
        peer.life += 1
        fresh = deed is Deed.RETURN_FRESH
        self._fleet.start(number, peer.life, fresh=fresh, begin_s=0.0)
        self._fleet.plug(number)

    def _end_early(self, number: int) -> bool:
        """A peer that was to return, and has not yet, only stops being awaited."""
        awaited = self._peers[number].returning is not None
        self._peers[number].returning = None
        return awaited


def _result(
    plan: Plan, course: Course, record: Record, families: tuple[str, ...], *, network: bool
) -> Result:
    lives = course.tallies()
    whole = total(lives)
    spec = replace(plan.scenario, mesh=replace(plan.scenario.mesh, seed=plan.seed))
    return Result(
        title=plan.scenario.title,
        engine="lab",
        seed=plan.seed,
        spec=table(spec),
        versions=versions() | {"network": "namespaces" if network else "loopback"},
        faults=faults(plan),
        complete=course.now_us >= plan.scenario.mesh.duration_us,
        reached_us=course.now_us,
        families=families,
        samples=tuple(record.samples),
        judged=tuple(record.judged),
        mesh=tuple(record.mesh),
        bytes_sent=tuple(own.bytes_sent for own in lives),
        bytes_received=tuple(own.bytes_received for own in lives),
        wire_sent=tuple(own.wire_out for own in lives),
        topics=whole.topics,
        frames=frames(whole),
        cycles=whole.cycles,
        trainings=whole.trainings,
        trace_hash="",
        trace_events=0,
        wall_s=record.wall_s,
    )
