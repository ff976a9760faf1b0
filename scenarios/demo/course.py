"""How the demo runs: six gateways meet, learn, are attacked, lose one of them, and get it back.

    0 s           quiet traffic           18 s     traffic with attacks       83 s   settle   99 s
    ├─ everybody joins, learns, calibrates ─┼─────── kill ── return ───────────┼───────────────┤

The one that is killed is the one that all others joined by: it has no authority to take along.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from gossip.errors import LocalError
from node.status.document import Status
from scenarios.demo.feeds import Feed
from scenarios.demo.fleet import BUDGET, CYCLE_S, Member, fleet
from scenarios.demo.marks import Marks, mark, saved_watch
from scenarios.demo.record import (
    BUSY_S,
    END_S,
    KILL_S,
    LOOK_EVERY_S,
    QUIET_S,
    RETURN_S,
    Check,
    Course,
    Moment,
)
from scenarios.demo.wave import news, promises

FEED_EVERY_S = 0.25
MARK_EVERY = 4  # looks: about once a cycle


@dataclass(slots=True)
class _Killing:
    """Evidence around the killing."""

    before: Status | None = None
    others_before: dict[str, Status] = field(default_factory=dict)
    others_after: dict[str, Status] = field(default_factory=dict)


async def play(
    feeds: list[Feed],
    folder: Path,
    look: Callable[[Moment], None],
    say: Callable[[float, str], None],
) -> Course:
    """Run it all.

    Args:
        feeds: the gateways, the first of which the others join by.
        folder: new; for their logs and states.
        look: told every second what was seen.
        say: told what happens, with the time since the first line was logged.

    Raises:
        LocalError: a node did not start.
    """
    course = Course(feeds, victim=feeds[0].plan.name)
    killing = _Killing()

    def event(at_s: float, text: str) -> None:
        course.events.append((at_s, text))
        say(at_s, text)

    async with fleet(feeds, folder) as members:
        await _start_all(members, event)
        begin = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_feed_all, members, course, begin)
            nursery.start_soon(_look_at_all, members, course, begin, look, event)
            await trio.sleep_until(begin + KILL_S)
            await _kill_and_return(members, killing, begin, event)
            await trio.sleep_until(begin + END_S)
            nursery.cancel_scope.cancel()
        last = {m.name: found for m in members if (found := await m.ask()) is not None}
        event(END_S, "all gateways are asked to stop")
        async with trio.open_nursery() as nursery:
            for member in members:
                nursery.start_soon(member.stop)
        for member in members:
            if (marks := _marks(member)) is not None:
                course.final[member.name] = marks
        course.checks = _checks(course, members, last, killing) + promises(course)
    return course


async def _start_all(members: list[Member], event: Callable[[float, str], None]) -> None:
    """Start the first, then all others by its address."""
    first, *others = members
    event(0.0, f"{first.name} starts; the others will join by its address")
    await first.start(None)
    found = await first.answers()
    bootstrap = f"{found.addresses[0]}/p2p/{found.peer}"
    for member in others:
        await member.start(bootstrap)
    for member in others:
        await member.answers()
    event(0.0, f"{len(members)} gateways run; their sensors begin to log")


async def _feed_all(members: list[Member], course: Course, begin: float) -> None:
    """Have every sensor log its lines when their time comes, compressed to the demo's length."""
    queues = {
        m.name: iter([
            *((QUIET_S * place, line) for place, line in m.feed.quiet),
            *((QUIET_S + BUSY_S * place, line) for place, line in m.feed.busy),
            (float("inf"), b""),
        ])
        for m in members
    }  # fmt: skip
    upcoming = {name: next(queue) for name, queue in queues.items()}
    cycles = int(END_S / CYCLE_S)
    course.pieces = {m.name: [[] for _ in range(cycles + 1)] for m in members}
    while True:
        now_s = trio.current_time() - begin
        for member in members:
            due = []
            while upcoming[member.name][0] <= now_s:
                due.append(upcoming[member.name][1])
                upcoming[member.name] = next(queues[member.name])
            member.append(due)
            course.pieces[member.name][min(int(now_s / CYCLE_S), cycles)] += due
        await trio.sleep(FEED_EVERY_S)


async def _look_at_all(
    members: list[Member],
    course: Course,
    begin: float,
    look: Callable[[Moment], None],
    event: Callable[[float, str], None],
) -> None:
    number, told = 0, list[str]()
    while True:
        async with trio.open_nursery() as nursery:
            for member in members:
                if not member.down:
                    nursery.start_soon(member.ask)
        at_s = trio.current_time() - begin
        statuses = {m.name: m.status for m in members if m.status is not None}
        marks: dict[str, Marks] = {}
        if number % MARK_EVERY == 0:
            for member in members:
                # What a gateway that is down had saved says nothing to anybody.
                found = await trio.to_thread.run_sync(_marks, member) if not member.down else None
                if found is not None:
                    marks[member.name] = found
        moment = Moment(at_s, statuses, marks)
        course.moments.append(moment)
        for when_s, text in news(course, told):
            event(when_s, text)
        look(moment)
        number += 1
        await trio.sleep(LOOK_EVERY_S)


def _marks(member: Member) -> Marks | None:
    watch = saved_watch(member.state_dir, BUDGET)
    return None if watch is None else mark(watch, member.feed)


async def _kill_and_return(
    members: list[Member],
    killing: _Killing,
    begin: float,
    event: Callable[[float, str], None],
) -> None:
    victim, *others = members
    killing.before = await victim.ask()
    killing.others_before = {m.name: s for m in others if (s := await m.ask()) is not None}
    await victim.kill()
    event(KILL_S, f"{victim.name} is killed without warning (kill -9)")
    await trio.sleep_until(begin + RETURN_S)
    killing.others_after = {m.name: s for m in others if (s := await m.ask()) is not None}
    merged = sum(s.mesh.merges for s in killing.others_after.values()) - sum(
        s.mesh.merges for s in killing.others_before.values()
    )
    event(RETURN_S, f"the others merged {merged} models meanwhile; {victim.name} starts again")
    await victim.start(None)  # it has to find the mesh by the peers that it remembers
    try:
        await victim.answers()
    except LocalError as error:
        event(RETURN_S, str(error))


def _checks(
    course: Course, members: list[Member], last: dict[str, Status], killing: _Killing
) -> list[Check]:
    """What the demo promises, from what the nodes themselves said."""
    checks = []
    for member in members:
        found = last.get(member.name)
        connected = 0 if found is None else len(found.mesh.peers)
        merges = 0 if found is None else found.mesh.merges
        state = "no answer" if found is None else found.detector.state
        checks += [
            Check(f"{member.name} joined", connected > 0, f"knows {connected} peers"),
            Check(f"{member.name} exchanged", merges > 0, f"merged {merges} models"),
            Check(f"{member.name} calibrated", state == "watching", f"state {state}"),
        ]
    before, after = killing.before, last.get(course.victim)
    pairs = [
        (killing.others_before[name], status)
        for name, status in killing.others_after.items()
        if name in killing.others_before
    ]
    trained = sum(
        now.mesh.cycle > then.mesh.cycle and len(now.mesh.peers) > 0 for then, now in pairs
    )
    # Not at each of them: a token account pauses now and then for longer than the outage lasts.
    merged = sum(now.mesh.merges - then.mesh.merges for then, now in pairs)
    others = len(members) - 1
    checks.append(
        Check(
            f"the mesh carried on without {course.victim}",
            trained == others and merged > 0,
            f"{trained} of {others} went on to train, and {merged} models were merged",
        )
    )
    back = (
        before is not None
        and after is not None
        and after.peer == before.peer
        and after.mesh.cycle > before.mesh.cycle
        and after.mesh.merges > 0
    )
    evidence = [
        *([] if before is None else [f"cycle {before.mesh.cycle} when killed"]),
        *([] if after is None else [f"{after.mesh.cycle} at the end"]),
        *([] if after is None else [f"{after.mesh.merges} models merged since its return"]),
    ]
    checks.append(Check(f"{course.victim} came back as itself", back, ", ".join(evidence)))
    return checks
