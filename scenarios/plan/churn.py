"""`[churn]`, `[[event]]` and what devices are up: who comes and goes, and when."""

from collections.abc import Iterator
from functools import partial
from itertools import chain

from scenarios.conditions.churn import COMING, GOING, Change, Deed, ordered, staggered_us
from scenarios.conditions.devices import absence_for
from scenarios.conditions.distributions import Distribution
from scenarios.conditions.diurnal import nights
from scenarios.conditions.happenings import Happens, absences_told
from scenarios.conditions.outages import outages
from scenarios.conditions.presence import Away, changes_of
from scenarios.conditions.sessions import absences
from scenarios.conditions.traces import read_trace
from scenarios.plan.reader import Reader, seed_bytes
from scenarios.spec.churn import Begin, Happening

CHANGES_MAX = 5_000_000
"""All changes lie in memory before the run, at some 200 bytes each."""

_CURE = "write a longer time, or shorten mesh.duration"


def changes(reader: Reader) -> tuple[Change, ...]:
    """Everything that happens to nodes, in time order.

    Raises:
        ConfigError: see `make_plan`.
    """
    mesh, churn, seed = reader.scenario.mesh, reader.scenario.churn, seed_bytes(reader.seed)
    told = _told(reader)
    joins = [
        next((each.at_us for each in told[peer] if each.deed is Deed.JOIN), None)
        for peer in range(mesh.peers)
    ]
    joins_us = [
        staggered_us(peer, churn.join_over_us, seed) if at_us is None else at_us
        for peer, at_us in enumerate(joins)
    ]
    spans = [absences_told(each, join_us) for each, join_us in zip(told, joins_us, strict=True)]
    found_spans = chain(_restless(reader, joins_us), _diurnal(reader), _outages(reader))
    for count, (peer, away) in enumerate(found_spans):
        # What is expected of each table was bounded above; a heavy tail, or many tables, give more.
        if 2 * count > CHANGES_MAX:
            raise reader.wrong("churn", f"makes more than {CHANGES_MAX:,} changes; {_CURE}")
        spans[peer].append(away)
    found = ordered(
        change
        for peer in range(mesh.peers)
        for change in changes_of(peer, spans[peer], mesh.duration_us)
    )
    if not found:
        raise reader.wrong("event", "nobody is ever there; let some peers join")
    return tuple(found)


def _told(reader: Reader) -> list[list[Happens]]:
    """What events and the trace tell each peer, in the order of time."""
    mesh, churn = reader.scenario.mesh, reader.scenario.churn
    told: list[tuple[int, Happens]] = []
    joined: dict[int, str] = {}
    going = False
    if churn.trace is not None:
        read = reader.at(
            "churn.trace", partial(read_trace, churn.trace, mesh.peers, mesh.duration_us)
        )
        told.extend((change.peer, Happens(change.at_us, change.deed)) for change in read)
        going = True
        joined |= {change.peer: "the trace" for change in read if change.deed is Deed.JOIN}
    before_us = 0
    for place, event in enumerate(reader.scenario.event, 1):
        key = f"event[{place}]"
        if event.at_us < before_us:
            raise reader.wrong(
                f"{key}.at", "lies before the event above it; write events in time order"
            )
        if event.do in COMING and not going:
            raise reader.wrong(
                f"{key}.do", f"{event.do.value!r} finds nobody who went by an event or a trace; "
                "let somebody leave or crash before, or remove it",
            )  # fmt: skip
        before_us = event.at_us
        going = going or (event.do in GOING and not event.back)
        for peer, happens in _each(reader, event, key):
            if event.do is Deed.JOIN and joined.setdefault(peer, key) != key:
                raise reader.wrong(
                    f"{key}.peers", f"peer {peer} joins by {joined[peer]} already; name it once"
                )
            told.append((peer, happens))
        if 2 * len(told) > CHANGES_MAX:
            raise reader.wrong(
                key, f"makes more than {CHANGES_MAX:,} changes with those above; name fewer peers"
            )
    by_peer: list[list[Happens]] = [[] for _ in range(mesh.peers)]
    for peer, happens in sorted(told, key=lambda each: each[1].at_us):
        by_peer[peer].append(happens)
    return by_peer


def _each(reader: Reader, event: Happening, key: str) -> Iterator[tuple[int, Happens]]:
    """One event as told to each of its peers, one after the other where it takes its time."""
    over_us = reader.span_us(event.over, f"{key}.over") if event.over else 0
    if event.back and event.do not in GOING:
        raise reader.wrong(f"{key}.for", "says when peers return; it belongs to leave and crash")
    back_us = reader.span_us(event.back, f"{key}.for") if event.back else None
    if event.at_us + over_us > reader.scenario.mesh.duration_us:
        raise reader.wrong(f"{key}.at", "lies after the end; see mesh.duration")
    chosen = reader.select(event.peers, f"{key}.peers")
    for place, peer in enumerate(chosen):
        at_us = event.at_us + over_us * place // len(chosen)
        yield peer, Happens(at_us, event.do, None if back_us is None else at_us + back_us)


def _restless(reader: Reader, joins_us: list[int]) -> Iterator[tuple[int, Away]]:
    """Sessions of the restless, and of peers whose device is not always up."""
    churn, mesh = reader.scenario.churn, reader.scenario.mesh
    up = _lasting(reader, churn.up, "churn.up")
    away = _lasting(reader, churn.away, "churn.away")
    if churn.online:
        away = absence_for(up, away, churn.online)
    chosen: dict[int, Distribution] = {}
    if churn.restless:
        chosen = dict.fromkeys(reader.select(churn.restless, "churn.restless"), away)
    for device in mesh.device:
        if device.up < 1.0:
            stretched = absence_for(up, away, device.up)
            chosen |= dict.fromkeys(reader.select(device.name, "mesh.device"), stretched)
    if churn.online and not chosen:
        raise reader.wrong("churn.online", "nobody is restless; name peers in churn.restless")
    turns = sum(mesh.duration_us / (up.mean_us + each.mean_us) for each in chosen.values())
    _bounded(reader, 2.0 * turns, "churn.up")
    settled = churn.begin is Begin.SETTLED
    seed = seed_bytes(reader.seed)
    for peer in sorted(chosen):
        join_us = joins_us[peer]
        found = absences(
            peer, up, chosen[peer], churn.crash, join_us, mesh.duration_us, seed, settled=settled
        )
        for span in found:
            yield peer, span


def _diurnal(reader: Reader) -> Iterator[tuple[int, Away]]:
    churn, end_us = reader.scenario.churn, reader.scenario.mesh.duration_us
    seed = seed_bytes(reader.seed)
    owner: dict[int, int] = {}
    for place, table in enumerate(churn.diurnal, 1):
        key = f"churn.diurnal[{place}]"
        chosen = reader.select(table.peers, f"{key}.peers")
        _bounded(reader, 2.0 * len(chosen) * end_us / table.period_us, f"{key}.period")
        for peer in chosen:
            if owner.setdefault(peer, place) != place:
                raise reader.wrong(
                    f"{key}.peers", f"peer {peer} has churn.diurnal[{owner[peer]}]; name it once"
                )
            day = table.period_us, table.peak_us, table.low
            for span in nights(peer, *day, churn.crash, end_us, seed):
                yield peer, span


def _outages(reader: Reader) -> Iterator[tuple[int, Away]]:
    end_us, seed = reader.scenario.mesh.duration_us, seed_bytes(reader.seed)
    for place, table in enumerate(reader.scenario.churn.outage, 1):
        key = f"churn.outage[{place}]"
        lasts = _lasting(reader, table.lasts, f"{key}.lasts")
        every_us = reader.span_us(table.every, f"{key}.every")
        if not every_us:
            raise reader.wrong(f"{key}.every", "is no time at all; write one such as 1 h")
        for number, text in enumerate(table.groups, 1):
            chosen = reader.select(text, f"{key}.groups[{number}]")
            turns = end_us / (every_us + lasts.mean_us)
            _bounded(reader, 2.0 * len(chosen) * turns, f"{key}.every")
            for span in outages(f"outage/{place}/{number}", every_us, lasts, end_us, seed):
                for peer in chosen:
                    yield peer, span


def _lasting(reader: Reader, text: str, key: str) -> Distribution:
    """A distribution of spans that last."""
    found = reader.distribution(text, key)
    if found.mean_us < 1.0:
        raise reader.wrong(key, "lasts no time at all; write a longer one, such as 1 min")
    return found


def _bounded(reader: Reader, expected: float, key: str) -> None:
    if expected > CHANGES_MAX:
        raise reader.wrong(
            key, f"makes some {expected:,.0f} changes; {CHANGES_MAX:,} at most, so {_CURE}"
        )  # fmt: skip
