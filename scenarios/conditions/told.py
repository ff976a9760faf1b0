"""Every fault that a plan asks for, in words: shown with the seed before a run and kept with it.

What is not told here does not happen: no drop, delay, split, crash or slow device is ever implied.
"""

from collections import Counter
from collections.abc import Iterator

from node.config.quantities import format_duration, format_share, format_size
from scenarios.conditions.churn import GOING, Deed
from scenarios.conditions.latency import Tabulated
from scenarios.conditions.links import Partition
from scenarios.plan.plan import Plan
from scenarios.spec.churn import Begin, Churn, Happening
from scenarios.spec.links import Conditions, LinkRule
from scenarios.spec.mesh import Device
from scenarios.spec.words import FOREVER_US


def faults(plan: Plan) -> tuple[str, ...]:
    """One line for each fault, in the order of the file; empty where all goes well.

    A line begins with the key in the scenario file. Late joins are told as churn; a latency is told
    where it is not the default.
    """
    scenario = plan.scenario
    return (
        *(_device(device) for device in scenario.mesh.device if _matters(device)),
        *_links(plan, scenario.links),
        *_churn(scenario.churn),
        *(_event(place, event) for place, event in enumerate(scenario.event, 1)),
        *_total(plan),
    )


def _matters(device: Device) -> bool:
    return (device.speed, device.memory_bytes, device.up) != (1.0, 0, 1.0)


def _device(device: Device) -> str:
    parts = [f"mesh.device {device.name}: {_who(device.peers)}"]
    if device.speed != 1.0:
        parts.append(f"speed {device.speed:g}")
    if device.memory_bytes:
        parts.append(f"{format_size(device.memory_bytes)} for training rows")
    if device.up < 1.0:
        parts.append(f"up {format_share(device.up)} of the time")
    return ", ".join(parts)


def _links(plan: Plan, links: Conditions) -> Iterator[str]:
    table = plan.otherwise
    if isinstance(table, Tabulated):
        used = len(frozenset(table.place))
        yield f"links.latency: {table.name}, {used} places, jitter {table.sigma:g}"
    elif links.latency != Conditions().latency:
        yield f"links.latency: {links.latency}"
    for place, rule in enumerate(links.rule, 1):
        yield f"links.rule[{place}]: {_rule(rule)}"
    splits = [rule for rule in plan.rules if isinstance(rule, Partition)]
    for place, (split, made) in enumerate(zip(links.partition, splits, strict=True), 1):
        unnamed = ["the rest"] if 0 in made.side else []
        sides = " | ".join([*split.sides, *unnamed])
        yield f"links.partition[{place}]: {sides}, {_span(split.start_us, split.end_us)}"


def _rule(rule: LinkRule) -> str:
    arrow = "between {} and {}" if rule.both else "from {} to {}"
    parts = [arrow.format(_who(rule.senders), _who(rule.receivers))]
    if rule.drop:
        parts.append(f"drop {format_share(rule.drop)}")
    if rule.latency:
        parts.append(f"latency {rule.latency}")
    if rule.kbit_per_s:
        parts.append(
            f"{rule.kbit_per_s:g} kbit/s a {rule.shared.value}, "
            f"queue {format_size(rule.queue_bytes)}"
        )
    if (rule.start_us, rule.end_us) != (0, FOREVER_US):
        parts.append(_span(rule.start_us, rule.end_us))
    return ", ".join(parts)


def _churn(churn: Churn) -> Iterator[str]:
    crashing = f"{format_share(churn.crash)} go by a crash"
    if churn.restless:
        online = f", {format_share(churn.online)} of them up" if churn.online else ""
        begin = ", all begin fresh" if churn.begin is Begin.FRESH else ""
        yield (
            f"churn.restless: {_who(churn.restless)}, up {churn.up}, away {churn.away}{online}"
            f"{begin}, {crashing}"
        )
    if churn.trace is not None:
        yield f"churn.trace: {churn.trace.name}"
    for place, day in enumerate(churn.diurnal, 1):
        yield (
            f"churn.diurnal[{place}]: {_who(day.peers)}, {format_share(day.low)} there at the "
            f"trough, every {format_duration(day.period_us)}, peak at "
            f"{format_duration(day.peak_us)}, {crashing}"
        )
    for place, outage in enumerate(churn.outage, 1):
        groups = " | ".join(outage.groups)
        yield f"churn.outage[{place}]: {groups}, every {outage.every}, lasts {outage.lasts}"


def _event(place: int, event: Happening) -> str:
    parts = [f"event[{place}]: {event.do.value} of {_who(event.peers)}"]
    parts.append(f"at {format_duration(event.at_us)}")
    if event.over:
        parts.append(f"one after the other over {event.over}")
    if event.back:
        parts.append(f"for {event.back}")
    return ", ".join(parts)


def _total(plan: Plan) -> Iterator[str]:
    """What all kinds of churn come to in this run, with its seed."""
    counts = Counter(change.deed for change in plan.changes)
    if any(counts[deed] for deed in GOING):
        told = ", ".join(f"{counts[deed]} {deed.value}" for deed in Deed if counts[deed])
        yield f"churn in all: {told}"


def _who(selector: str) -> str:
    return selector if selector == "all" else f"peers {selector}"


def _span(start_us: int, end_us: int) -> str:
    until = "on" if end_us >= FOREVER_US else f"until {format_duration(end_us)}"
    return f"from {format_duration(start_us)} {until}"
