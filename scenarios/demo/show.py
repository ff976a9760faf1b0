"""Puts the demo together: feeds, the run, the control, the report."""

import shutil
import tempfile
from pathlib import Path

import trio
from rich.console import Console

from gossip.errors import LocalError, StateError
from scenarios import recordings
from scenarios.demo.alone import alone
from scenarios.demo.course import play
from scenarios.demo.feeds import Feed, feeds_of
from scenarios.demo.fleet import BUDGET
from scenarios.demo.marks import Marks
from scenarios.demo.page import write_page
from scenarios.demo.record import Course
from scenarios.demo.screen import Screen, results


def run(out: Path, seed: int = 0, console: Console | None = None) -> None:
    """Run the demo and write `out/report.html`.

    Args:
        out: folder for the report and the gateways' logs; made if need be.
        seed: decides which flows are kept back.
        console: standard output by default.

    Raises:
        LocalError: a gateway did not start, or something that the demo promises did not hold.
    """
    console = Console() if console is None else console
    folder = _folder(out)
    console.print("reading the recordings", highlight=False)
    feeds = [feed for site in recordings.SITES for feed in feeds_of(site, seed)]
    # Unix sockets have short names, and a checkout may lie deep: the nodes live elsewhere.
    with (
        tempfile.TemporaryDirectory(prefix="hedgerow-") as scratch,
        Screen(console, feeds) as screen,
    ):
        gateways = Path(scratch) / "gateways"
        try:
            course = trio.run(play, feeds, gateways, screen.look, screen.say)
        finally:
            _keep(gateways, folder / "gateways")
        controls = _controls(course, seed, screen)
    final = {name: marks[-1] for name, marks in controls.items()}
    results(console, course, final)
    page = write_page(folder / "report.html", course, controls, seed)
    console.print(f"report: {page}", highlight=False)
    broken = [check.promise for check in course.checks if not check.held]
    if broken:
        raise LocalError(
            f"the demo did not hold what it promises: {'; '.join(broken)}. The gateways' logs are "
            f"in {folder / 'gateways'}"
        )


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(out / "gateways", ignore_errors=True)
    except OSError as error:
        raise StateError(f"{out}: cannot be written ({error.strerror}); see --out") from error
    return out


def _keep(gateways: Path, kept: Path) -> None:
    """What people may want to look at afterwards: logs and alerts, not gigabytes of state."""
    for log in sorted(gateways.glob("*/node.log")) + sorted(gateways.glob("*/state/alerts.jsonl")):
        target = kept / log.relative_to(gateways).parts[0]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, target / log.name)


def _controls(course: Course, seed: int, screen: Screen) -> dict[str, list[Marks]]:
    """Every gateway on its own, over the same lines in the same cycles."""
    total = sum(len(pieces) for pieces in course.pieces.values())
    done = 0
    screen.working("the same gateways alone", 0, total)

    def one(feed: Feed) -> list[Marks]:
        def told() -> None:
            nonlocal done
            done += 1
            screen.working("the same gateways alone", done, total)

        return alone(feed, course.pieces[feed.plan.name], BUDGET, seed, told)

    return {feed.plan.name: one(feed) for feed in course.feeds}
