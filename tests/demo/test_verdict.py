"""The demo's verdict: each promise can break, on its own, and then the demo fails."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
import trio
from rich.console import Console

from gossip.errors import LocalError
from node.status import service
from node.status.document import DetectorStatus, MeshStatus, PeerStatus, Status
from scenarios.demo import course as courses
from scenarios.demo import show
from scenarios.demo.feeds import PLANS, Feed
from scenarios.demo.fleet import Member
from scenarios.demo.record import END_S, Check, Course, Moment

NAMES = [plan.name for plan in PLANS]
VICTIM = NAMES[0]
OTHER = NAMES[3]


def status(name: str, cycle: int, merges: int) -> Status:
    peers = tuple(PeerStatus(f"id-{other}") for other in NAMES if other != name)
    return Status(
        name=name, peer=f"id-{name}", pid=1, software="test", state="running", uptime_s=1.0,
        mesh=MeshStatus(peers=peers, cycle=cycle, merges=merges),
        detector=DetectorStatus(state="watching"),
    )  # fmt: skip


@dataclass
class Evidence:
    """A run in which everything held: what each gateway said, and when."""

    before: Status | None
    others_before: dict[str, Status]
    others_after: dict[str, Status]
    last: dict[str, Status]

    def broken(self) -> list[str]:
        feeds = [Feed(plan) for plan in PLANS]
        members = [Member(feed, Path(feed.plan.name)) for feed in feeds]
        killing = courses._Killing(self.before, self.others_before, self.others_after)
        course = Course(feeds, victim=VICTIM)
        checks = courses._checks(course, members, self.last, killing)
        assert len(checks) == 3 * len(NAMES) + 2
        return [check.promise for check in checks if not check.held]


@pytest.fixture
def seen() -> Evidence:
    others = [name for name in NAMES if name != VICTIM]
    return Evidence(
        before=status(VICTIM, 20, 30),
        others_before={name: status(name, 20, 30) for name in others},
        others_after={name: status(name, 25, 38) for name in others},
        # The victim's counters began anew, all but its cycle.
        last={VICTIM: status(VICTIM, 30, 9)} | {name: status(name, 40, 60) for name in others},
    )


def in_mesh(status: Status, **changes: object) -> Status:
    return replace(status, mesh=replace(status.mesh, **changes))


def test_a_run_in_which_everything_held_breaks_no_promise(seen):
    assert seen.broken() == []


def test_a_gateway_that_knows_nobody_did_not_join(seen):
    seen.last[OTHER] = in_mesh(seen.last[OTHER], peers=())
    assert seen.broken() == [f"{OTHER} joined"]


def test_a_gateway_that_merged_nothing_did_not_exchange(seen):
    seen.last[OTHER] = in_mesh(seen.last[OTHER], merges=0)
    assert seen.broken() == [f"{OTHER} exchanged"]


def test_a_gateway_that_is_still_learning_did_not_calibrate(seen):
    seen.last[OTHER] = replace(seen.last[OTHER], detector=DetectorStatus(state="learning"))
    assert seen.broken() == [f"{OTHER} calibrated"]


def test_a_gateway_that_is_silent_at_the_end_keeps_no_promise_of_its_own(seen):
    del seen.last[OTHER]
    assert seen.broken() == [f"{OTHER} {did}" for did in ("joined", "exchanged", "calibrated")]


@pytest.mark.parametrize("stuck", [{"cycle": 20}, {"peers": ()}])
def test_the_mesh_stops_where_one_gateway_trains_no_more_or_knows_nobody(seen, stuck):
    seen.others_after[OTHER] = in_mesh(seen.others_after[OTHER], **stuck)
    assert seen.broken() == [f"the mesh carried on without {VICTIM}"]


def test_the_mesh_stops_where_nobody_merges_any_more(seen):
    seen.others_after = {n: in_mesh(s, merges=30) for n, s in seen.others_after.items()}
    assert seen.broken() == [f"the mesh carried on without {VICTIM}"]
    seen.others_after[OTHER] = in_mesh(seen.others_after[OTHER], merges=31)
    assert seen.broken() == []


@pytest.mark.parametrize("when", ["others_before", "others_after"])
def test_the_mesh_is_not_taken_to_carry_on_where_a_gateway_was_silent(seen, when):
    del getattr(seen, when)[OTHER]
    assert seen.broken() == [f"the mesh carried on without {VICTIM}"]


def test_a_victim_with_a_new_identity_is_another(seen):
    seen.last[VICTIM] = replace(seen.last[VICTIM], peer="id-new")
    assert seen.broken() == [f"{VICTIM} came back as itself"]


def test_a_victim_that_began_anew_has_lost_what_it_learnt(seen):
    seen.last[VICTIM] = in_mesh(seen.last[VICTIM], cycle=20)
    assert seen.broken() == [f"{VICTIM} came back as itself"]


def test_a_victim_that_merges_nothing_after_its_return_is_not_back(seen):
    seen.last[VICTIM] = in_mesh(seen.last[VICTIM], merges=0)
    assert seen.broken() == [f"{VICTIM} exchanged", f"{VICTIM} came back as itself"]


def test_a_victim_never_seen_alive_cannot_come_back(seen):
    seen.before = None
    assert seen.broken() == [f"{VICTIM} came back as itself"]


def test_a_victim_that_stays_away_is_not_back(seen):
    del seen.last[VICTIM]
    assert seen.broken()[-1] == f"{VICTIM} came back as itself"


def test_what_a_gateway_says_while_it_is_killed_does_not_seem_to_be_said_after(monkeypatch):
    member = Member(Feed(PLANS[0]), Path(VICTIM))

    def answer(*_: object) -> object:
        member.down = True
        return msgspec.to_builtins(status(VICTIM, 20, 30))

    monkeypatch.setattr(service, "fetch", answer)
    assert trio.run(member.ask) is None
    assert member.status is None


# What the command makes of it


@pytest.fixture
def demo(monkeypatch, tmp_path):
    """The demo with a run made up: a function of the checks that this run comes to."""
    monkeypatch.setattr(
        show, "feeds_of", lambda site, _: [Feed(plan) for plan in PLANS if plan.site == site]
    )

    def run(checks: list[Check]) -> str:
        async def play(feeds, folder, look, say):
            (folder / VICTIM).mkdir(parents=True)
            (folder / VICTIM / "node.log").write_text("its last words\n")
            moments = [
                Moment(at_s, {name: status(name, 1, 1) for name in NAMES}, {})
                for at_s in (0.0, END_S)
            ]
            look(moments[-1])
            say(END_S, "the end")
            pieces = {name: [[]] for name in NAMES}
            return Course(feeds, moments, pieces, checks=checks, victim=VICTIM)

        monkeypatch.setattr(show, "play", play)
        console = Console(file=io.StringIO(), width=100)
        show.run(tmp_path, console=console)
        return console.file.getvalue()

    return run


KEPT = Check("it held", held=True, evidence="seen")


def test_a_demo_that_keeps_its_promises_ends_well(demo, tmp_path):
    said = demo([KEPT])
    assert "report.html" in said
    assert "1 of 1 promises held" in (tmp_path / "report.html").read_text()


def test_a_demo_that_breaks_promises_fails_names_them_and_leaves_its_report(demo, tmp_path):
    broken = [Check(f"promise {n}", held=False, evidence="not seen") for n in (1, 2)]
    with pytest.raises(LocalError, match="promise 1; promise 2") as caught:
        demo([KEPT, *broken])
    assert KEPT.promise not in str(caught.value)
    assert "1 of 3 promises held" in (tmp_path / "report.html").read_text()
    log = tmp_path / "gateways" / VICTIM / "node.log"
    assert log.read_text() == "its last words\n"
    assert str(tmp_path / "gateways") in str(caught.value)
