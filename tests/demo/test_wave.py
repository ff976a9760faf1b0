"""The wave of immunity, read from what gateways said: how fast it was, and what it must keep."""

from dataclasses import replace

import pytest

from node.status.document import (
    AntigensStatus,
    AntigenStatus,
    DetectorStatus,
    MeshStatus,
    PeerStatus,
    Status,
)
from scenarios.demo import wave_plots
from scenarios.demo.feeds import PLANS, Feed
from scenarios.demo.marks import Marks, Share
from scenarios.demo.page import write_page
from scenarios.demo.record import Course, Moment, sent
from scenarios.demo.wave import FAMILIES, JUDGED_MIN, news, promises, waves
from scenarios.report.style import as_file

NAMES = [plan.name for plan in PLANS]
ORIGIN, OTHER, DARK = NAMES[1], NAMES[0], NAMES[3]
BEGIN_S, STEP_S = 10.0, 0.5
PEERS = (PeerStatus("id-somebody", connected=True),)
KINDS = {"brute-force": "brute_ssh", "dos": "flood_syn", "scan": "scan_syn"}


def antigen(family: str, name: str, *, at_s: float = BEGIN_S, waits: bool = False) -> AntigenStatus:
    state = "own" if name == ORIGIN else "waiting" if waits else "used"
    known = f"{family}-{at_s:.0f}"
    return AntigenStatus(known, family, f"id-{ORIGIN}", 12, int(at_s), 10**6, state, bytes=500)


def status(name: str, *held: AntigenStatus) -> Status:
    return Status(
        name=name, peer=f"id-{name}", pid=1, software="test", state="running", uptime_s=1.0,
        mesh=MeshStatus(PEERS, bytes_out=1_000), antigens=AntigensStatus(True, True, held),
    )  # fmt: skip


def marks(named: float) -> Marks:
    return Marks(5, 0.01, {kind: Share(20, 1.0, named) for kind in KINDS.values()})


def held_at(name: str, at_s: float) -> list[AntigenStatus]:
    """Held a second after it is presented, learnt from a second after that."""
    later = 0.0 if name == ORIGIN else 1.0
    if at_s < BEGIN_S + later:
        return []
    return [antigen(family, name, waits=at_s < BEGIN_S + 2 * later) for family in FAMILIES]


@pytest.fixture
def course() -> Course:
    """Forty seconds in which every promise holds."""
    feeds = [Feed(plan, attacked=dict.fromkeys(FAMILIES, 0.5)) for plan in PLANS]
    moments = []
    for number in range(80):
        at_s = number * STEP_S
        judged = dict.fromkeys(NAMES, marks(0.0 if at_s < BEGIN_S + 4 else 0.9))
        moments.append(
            Moment(
                at_s,
                {name: status(name, *held_at(name, at_s)) for name in NAMES},
                judged if number % 4 == 0 else {},
            )
        )
    return Course(feeds, moments, final=dict.fromkeys(NAMES, marks(0.9)), victim=OTHER)


def changed(course: Course, name: str, from_s: float, to_s: float, *held: AntigenStatus) -> None:
    """Have a gateway say something else for a while."""
    course.moments = [
        replace(m, statuses=m.statuses | {name: status(name, *held)})
        if from_s <= m.at_s < to_s
        else m
        for m in course.moments
    ]


def down(course: Course, name: str, from_s: float, to_s: float) -> None:
    course.moments = [
        replace(m, statuses={n: s for n, s in m.statuses.items() if n != name})
        if from_s <= m.at_s < to_s
        else m
        for m in course.moments
    ]


def broken(course: Course) -> list[str]:
    return [check.promise for check in promises(course) if not check.held]


def test_a_wave_is_timed_from_the_first_antigen_of_its_family(course):
    found = waves(course)
    assert [wave.family for wave in found] == sorted(FAMILIES)
    for wave in found:
        assert (wave.origin, wave.at_s, wave.evidence) == (ORIGIN, BEGIN_S, 12)
        assert (wave.held_after_s, wave.learnt_after_s) == (1.0, 2.0)
        assert (wave.antigens, wave.sent_bytes) == (1, 5 * 500)  # the origin takes none


def test_each_beginning_and_each_end_of_a_wave_is_told_once(course):
    told: list[str] = []
    first = news(course, told)
    assert [text.partition(" ")[0] for _, text in first] == [ORIGIN, "all"] * len(FAMILIES)
    assert {at_s for at_s, _ in first} == {BEGIN_S, BEGIN_S + 2.0}
    assert news(course, told) == []


def test_a_gateway_that_falls_back_to_an_older_model_is_told_of_once(course):
    one = course.moments[60].statuses[DARK]
    lost = DetectorStatus(standing="fallen back", breach="too many alarms")
    for moment in course.moments[60:]:
        moment.statuses[DARK] = replace(one, detector=lost)
    told: list[str] = []
    said = f"{DARK} falls back to its last good model: too many alarms"
    assert (30.0, said) in news(course, told)
    assert news(course, told) == []


def test_bytes_sent_before_a_restart_count(course):
    assert sent(course.moments, DARK) == 1_000
    course.moments[40].statuses[DARK] = replace(status(DARK), mesh=MeshStatus(bytes_out=5_000))
    assert sent(course.moments, DARK) == 5_000 + 1_000


def test_a_course_in_which_all_became_immune_breaks_no_promise(course):
    checks = promises(course)
    assert broken(course) == []
    assert len(checks) == 1 + len(FAMILIES) + 3 * len(FAMILIES) + 1
    assert checks[-1].promise == f"{ORIGIN} still names what it has labels of"
    assert checks[-1].evidence.startswith("brute-force 90 % of 20 flows, dos 90 %")


def test_a_gateway_that_was_down_has_its_time_from_its_return(course):
    down(course, OTHER, BEGIN_S, BEGIN_S + 10)
    assert broken(course) == []
    changed(course, OTHER, BEGIN_S + 10, BEGIN_S + 40)
    assert f"all gateways learn {FAMILIES[0]} within 6 cycles" in broken(course)


def test_a_gateway_that_finds_nobody_yet_has_its_time_from_its_first_connection(course):
    changed(course, OTHER, BEGIN_S, BEGIN_S + 10)
    course.moments = [
        replace(m, statuses=m.statuses | {OTHER: replace(m.statuses[OTHER], mesh=MeshStatus())})
        if BEGIN_S <= m.at_s < BEGIN_S + 10
        else m
        for m in course.moments
    ]
    assert broken(course) == []


def test_a_late_antigen_breaks_the_first_promise_alone(course):
    first, *others = FAMILIES
    most = [antigen(family, DARK) for family in others]
    changed(course, DARK, BEGIN_S, BEGIN_S + 11, *most)
    assert broken(course) == ["every antigen reached every running gateway within 5 cycles"]
    changed(course, DARK, BEGIN_S, BEGIN_S + 13, *most)
    assert broken(course)[1:] == [f"all gateways learn {first} within 6 cycles"]


def test_a_renewed_antigen_must_arrive_too(course):
    new = antigen("scan", ORIGIN, at_s=20.0)
    changed(course, ORIGIN, 20.0, 40.0, *(antigen(f, ORIGIN) for f in FAMILIES if f != "scan"), new)
    assert broken(course) == ["every antigen reached every running gateway within 5 cycles"]


def test_what_an_origin_tells_nobody_before_it_dies_has_its_time_from_its_return(course):
    new = antigen("scan", ORIGIN, at_s=20.0)
    others = [antigen(f, ORIGIN) for f in FAMILIES if f != "scan"]
    changed(course, ORIGIN, 20.0, 21.0, *others, new)
    down(course, ORIGIN, 21.0, 32.0)
    for name in NAMES:
        held = [antigen(f, name) for f in FAMILIES if f != "scan"]
        changed(course, name, 33.0, 40.0, *held, new)
    assert broken(course) == []


def test_an_antigen_in_quarantine_is_not_learnt_from(course):
    bad = [replace(antigen(family, DARK), state="quarantined") for family in FAMILIES]
    changed(course, DARK, BEGIN_S + 1, 40.0, *bad)
    assert broken(course) == [f"all gateways learn {f} within 6 cycles" for f in FAMILIES]


def test_nobody_tells_of_a_family_and_its_wave_is_missing(course):
    for name in NAMES:
        changed(course, name, 0.0, 40.0)
    assert broken(course)[0].startswith("every antigen")
    assert len(broken(course)) == 1 + len(FAMILIES)


def test_a_gateway_without_labels_that_names_too_little_breaks_its_promises_alone(course):
    course.final[DARK] = marks(0.4)
    assert broken(course) == [f"{DARK}, without labels, names {family}" for family in FAMILIES]
    del course.final[DARK]
    assert broken(course) == [f"{DARK}, without labels, names {family}" for family in FAMILIES]


def test_a_gateway_that_forgets_what_it_has_labels_of_breaks_its_promise_alone(course):
    seen = marks(0.9).attacks
    for attacks, breaks in (
        (seen | {"scan_syn": Share(20, 1.0, 0.4)}, True),
        (seen | {"scan_syn": Share(JUDGED_MIN - 1, 1.0, 0.0)}, False),  # too few to tell
        ({}, True),
    ):
        course.final[ORIGIN] = Marks(5, 0.01, attacks)
        assert broken(course) == [f"{ORIGIN} still names what it has labels of"] * breaks
    course.final[OTHER] = marks(0.0)  # it has labels of its own for nothing here
    del course.final[ORIGIN]
    assert len(broken(course)) == 1


def test_a_figure_is_the_same_twice(course):
    down(course, OTHER, 15.0, 20.0)
    plot = wave_plots.wave_map(course, waves(course))
    assert as_file(plot, "svg") == as_file(plot, "svg")
    assert "scan begins at hospital-2 after 10 s and is learnt by all 2.0 s later" in plot.alt


def test_the_page_tells_of_each_wave(course, tmp_path):
    controls = {name: [marks(0.0)] for name in NAMES}
    text = write_page(tmp_path / "report.html", course, controls, seed=1).read_text()
    assert text.count('<svg role="img" aria-label="') == 2 * 6  # for wide windows and narrow ones
    assert "1.0 s (0.5 cycles)" in text  # held by all
    assert "2.0 s (1.0 cycles)" in text  # learnt by all
    assert "Antigens took 7.5 kB of the 6.0 kB" in text
    assert text.count("<td>none</td><td>scan</td>") == 2 * 3  # by gateway, and against alone
