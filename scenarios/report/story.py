"""What was to happen in a run, on its time axis: partitions, outages, events, who was up.

All of it follows from the scenario and the seed, so it is planned once more. How many peers were up
is drawn from that plan only where it agrees with every sample; else from the samples alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gossip.errors import HedgerowError
from node.config.quantities import format_share
from scenarios.conditions.churn import COMING, GOING, Change, Deed
from scenarios.measures.samples import Sample
from scenarios.plan.plan import Plan, make_plan
from scenarios.runs.results import Result
from scenarios.spec.scenario import Scenario
from scenarios.spec.words import FOREVER_US

ROWS_MAX = 14
"""Lines of faults in a picture: more would be higher than a screen."""

MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000


@dataclass(frozen=True, slots=True)
class Clock:
    """A unit for a time axis."""

    unit: str
    unit_us: int

    def of(self, at_us: float) -> float:
        """In that unit."""
        return at_us / self.unit_us


def clock(end_us: int) -> Clock:
    """The unit in which a run's length is a number of two digits or so."""
    for unit, unit_us in ("days", DAY_US), ("h", HOUR_US), ("min", MINUTE_US):
        if end_us >= 4 * unit_us:
            return Clock(unit, unit_us)
    return Clock("s", 1_000_000)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of fault.

    Args:
        name: what to call it, from the scenario.
        kind: `partition`, `outage`, `rule`, `event` or `attack`.
        spans: from and until, simulated microseconds; an event's are of no length.
    """

    name: str
    kind: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Story:
    """The course of a run.

    Args:
        end_us: of the time axis.
        rows: faults, in the order of the file.
        up: moments and how many peers were up from then on; a plan's, or the samples'.
        exact: whether `up` knows every coming and going.
        why: if not, why not; empty where it is.
    """

    end_us: int
    rows: tuple[Row, ...] = ()
    up: tuple[tuple[int, int], ...] = ()
    exact: bool = False
    why: str = ""
    clock: Clock = field(default=Clock("s", 1_000_000))

    def shades(self) -> Iterator[tuple[str, int, int]]:
        """Kind, from and until of what is worth a shade behind every curve."""
        for row in self.rows:
            if row.kind in {"partition", "outage"}:
                for start, end in row.spans:
                    yield row.kind, start, end

    def marks(self) -> list[int]:
        """Moments of events and of attacks that appear."""
        return sorted(
            {
                start
                for row in self.rows
                if row.kind in {"event", "attack"}
                for start, _ in row.spans
            }
        )


def planned(result: Result, scenario: Scenario, where: str) -> tuple[Plan | None, str]:
    """The run's plan; or why there is none, such as a file of delays that is gone."""
    try:
        return make_plan(scenario, result.seed, where), ""
    except HedgerowError as error:
        return None, str(error)


def story(result: Result, scenario: Scenario, plan: Plan | None, why: str = "") -> Story:
    """What was to happen in a run."""
    end_us = max(1, scenario.mesh.duration_us)
    seen = tuple((sample.at_us, sample.up) for sample in result.samples)
    rows = (
        *_links(scenario, end_us),
        *_outages(scenario, plan, end_us),
        *_events(scenario, end_us),
    )
    if plan is None:
        return Story(end_us, rows, seen, why=why, clock=clock(end_us))
    counted = tuple(_counted(plan.changes, min(end_us, result.reached_us)))
    if _agrees(counted, result.samples):
        return Story(end_us, rows, counted, exact=True, clock=clock(end_us))
    reason = "the plan made anew counts other peers than the samples did"
    return Story(end_us, rows, seen, why=reason, clock=clock(end_us))


def _links(scenario: Scenario, end_us: int) -> Iterator[Row]:
    for split in scenario.links.partition:
        sides = split.sides if len(split.sides) > 1 else (*split.sides, "the rest")
        name = f"partition: {' | '.join(sides)}"
        yield Row(name, "partition", _within(split.start_us, split.end_us, end_us))
    for rule in scenario.links.rule:
        if (rule.start_us, rule.end_us) != (0, FOREVER_US):
            what = [f"drop {format_share(rule.drop)}"] if rule.drop else []
            what += [f"latency {rule.latency}"] if rule.latency else []
            what += [f"{rule.kbit_per_s:g} kbit/s"] if rule.kbit_per_s else []
            name = f"link {rule.senders} → {rule.receivers}: {', '.join(what)}"
            yield Row(name, "rule", _within(rule.start_us, rule.end_us, end_us))


def _outages(scenario: Scenario, plan: Plan | None, end_us: int) -> Iterator[Row]:
    """Groups that fail as a whole, when nobody of theirs is up."""
    if plan is None:
        return
    names = dict.fromkeys(name for outage in scenario.churn.outage for name in outage.groups)
    for name in names:
        members = plan.groups.get(name)
        if members:
            yield Row(f"{name} is out", "outage", tuple(_all_down(plan.changes, members, end_us)))


def _events(scenario: Scenario, end_us: int) -> Iterator[Row]:
    for event in scenario.event:
        name = f"{event.do.value} of {event.peers}"
        name += f", over {event.over}" if event.over else ""
        name += f", for {event.back}" if event.back else ""
        if event.at_us <= end_us:
            yield Row(name, "event", ((event.at_us, event.at_us),))
    for each in scenario.data.appear:
        if each.at_us <= end_us:
            name = f"{each.family} appears" + ("" if each.peers == "all" else f" at {each.peers}")
            yield Row(name, "attack", ((each.at_us, each.at_us),))


def _within(start_us: int, stop_us: int, end_us: int) -> tuple[tuple[int, int], ...]:
    stop_us = min(stop_us, end_us)
    return ((start_us, stop_us),) if start_us < stop_us else ()


def _steps(changes: Sequence[Change]) -> Iterator[tuple[int, int, int]]:
    """Time, peer and step (1 or -1) of every change that changes who is up."""
    joined: dict[int, bool] = {}
    for change in changes:
        up = joined.get(change.peer)
        if (change.deed is Deed.JOIN and up is None) or (change.deed in COMING and up is False):
            joined[change.peer] = True
            yield change.at_us, change.peer, 1
        elif change.deed in GOING and up:
            joined[change.peer] = False
            yield change.at_us, change.peer, -1


def _counted(changes: Sequence[Change], end_us: int) -> Iterator[tuple[int, int]]:
    count, last_us = 0, 0
    for at_us, _, step in _steps(changes):
        if at_us > end_us:
            break
        if at_us != last_us:
            yield last_us, count
            last_us = at_us
        count += step
    yield last_us, count
    yield end_us, count


def _agrees(counted: Sequence[tuple[int, int]], samples: Sequence[Sample]) -> bool:
    place, up = 0, 0
    for sample in samples:
        while place < len(counted) and counted[place][0] <= sample.at_us:
            up = counted[place][1]
            place += 1
        if up != sample.up:
            return False
    return True


def _all_down(
    changes: Sequence[Change], members: Sequence[int], end_us: int
) -> Iterator[tuple[int, int]]:
    """Spans in which nobody of the members is up who had been before."""
    wanted = frozenset(members)
    up, since_us = 0, -1
    for at_us, peer, step in _steps(changes):
        if peer not in wanted or at_us > end_us:
            continue
        up += step
        if not up:
            since_us = at_us
        elif up == 1 and step == 1 and since_us >= 0:
            if at_us > since_us:
                yield since_us, at_us
            since_us = -1
    if not up and 0 <= since_us < end_us:
        yield since_us, end_us
