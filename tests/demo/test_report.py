"""Marks, the control, and the page, on a run made up of a few minutes of one site."""

from dataclasses import replace

import pytest
from rich.console import Console

from gossip.learning.calibration import State
from node.detection import new_watch
from node.state.store import Snapshot, Store
from node.status.document import MeshStatus, PeerStatus, Status
from scenarios.demo.alone import alone
from scenarios.demo.feeds import feeds_of
from scenarios.demo.fleet import BUDGET
from scenarios.demo.marks import Marks, Share, mark, saved_watch
from scenarios.demo.page import write_page
from scenarios.demo.record import END_S, Check, Course, Moment
from scenarios.demo.screen import Screen, results


@pytest.fixture(scope="module")
def feed():
    return feeds_of("building", seed=0)[1]


@pytest.fixture(scope="module")
def control(feed):
    quiet, busy = [line for _, line in feed.quiet], [line for _, line in feed.busy]
    half = len(quiet) // 2
    return alone(feed, [quiet[:half], quiet[half:], busy, [], [], []], BUDGET, seed=0)


def test_the_control_calibrates_and_finds_attacks_without_a_mesh(control):
    assert control[0].false_alarms is None  # still learning
    last = control[-1]
    assert last.false_alarms is not None
    assert last.false_alarms < 0.15
    assert last.mean.found > 0.8
    assert last.mean.named == 0.0  # nobody ever told it a name


def test_the_control_is_the_same_twice(feed, control):
    quiet, busy = [line for _, line in feed.quiet], [line for _, line in feed.busy]
    half = len(quiet) // 2
    pieces = [quiet[:half], quiet[half:], busy, [], [], []]
    assert alone(feed, pieces, BUDGET, seed=0) == control


def test_families_are_pooled_by_rows_and_averaged_by_family():
    attacks = {
        "scan_syn": Share(90, 1.0, 0.5),
        "scan_udp": Share(10, 0.0, 0.0),
        "exfil": Share(2, 0.5, 0.0),
    }
    marks = Marks(3, 0.01, attacks)
    assert marks.families()["scan"] == Share(100, pytest.approx(0.9), pytest.approx(0.45))
    assert marks.mean == Share(102, pytest.approx(0.7), pytest.approx(0.225))
    assert Marks(0, None, {}).mean is None


def test_a_model_is_judged_from_the_state_folder_of_a_node_that_runs(tmp_path, feed):
    folder = tmp_path / "state"
    assert saved_watch(folder, BUDGET) is None
    store = Store.open(folder)
    try:
        watch = new_watch(BUDGET, b"seed", "peer")
        arrays = {f"watch.{name}": array for name, array in watch.to_arrays().items()}
        store.save(Snapshot(7, arrays, {}))
        found = saved_watch(folder, BUDGET)  # the store is still open and locked
        assert found is not None
        assert found.state is State.LEARNING
        assert mark(found, feed) == Marks(0, None, {})
    finally:
        store.close()


def made_up(control) -> tuple[Course, dict[str, list[Marks]]]:
    feeds = [f for site in ("building",) for f in feeds_of(site, 0)]
    feeds = [
        replace(feeds[i % 2], plan=replace(feeds[i % 2].plan, name=f"<gateway {i}>"))
        for i in range(6)
    ]
    names = [f.plan.name for f in feeds]
    course = Course(feeds, victim=names[0])
    for at_s in range(0, int(END_S), 10):
        statuses = {
            name: Status(
                name=name, peer=f"id-{name}", pid=1, software="test", state="running",
                uptime_s=at_s,
                mesh=MeshStatus(
                    peers=tuple(PeerStatus(f"id-{n}", (), True) for n in names if n != name),
                    bytes_out=1000 * at_s,
                ),
            )
            for name in names
        }  # fmt: skip
        course.moments.append(Moment(float(at_s), statuses, dict.fromkeys(names, control[-1])))
    course.final = dict.fromkeys(names[1:], control[-1])  # the first never came back
    course.checks = [Check("it held", True, "seen"), Check("it broke", False, "not <seen>")]
    course.events = [(0.0, "began"), (10.0, "ended & stayed")]
    return course, dict.fromkeys(names, control)


def test_the_page_is_whole_and_needs_nothing_else(tmp_path, control):
    course, controls = made_up(control)
    page = write_page(tmp_path / "report.html", course, controls, seed=5)
    text = page.read_text()
    assert "1 of 2 promises held" in text
    assert text.count("<svg") == 2 * 4  # for wide windows and for narrow ones; nobody had antigens
    assert "&lt;gateway 0&gt;" in text
    assert "<gateway 0>" not in text
    assert "src=" not in text
    assert "@import" not in text
    assert "$" not in text.split("</style>")[1]
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_terminal_shows_every_gateway_and_every_promise(control):
    course, controls = made_up(control)
    console = Console(record=True, width=100, force_terminal=False)
    with Screen(console, course.feeds) as screen:
        screen.say(0.0, "began")
        screen.look(course.moments[0])
    results(console, course, {name: marks[-1] for name, marks in controls.items()})
    text = console.export_text()
    for feed in course.feeds:
        assert feed.plan.name in text
    assert "it broke" in text
    assert "NO" in text
