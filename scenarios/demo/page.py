"""The demo's report: one HTML file that needs nothing else."""

from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from node.status.condition import software
from node.status.view import bytes_text
from scenarios.demo import plots
from scenarios.demo.course import Course
from scenarios.demo.fleet import BUDGET
from scenarios.demo.marks import Marks, compared
from scenarios.demo.screen import share
from scenarios.report.parts import table
from scenarios.report.style import css
from scenarios.runs.results import whole_file


def write_page(path: Path, course: Course, controls: dict[str, list[Marks]], seed: int) -> Path:
    """Write the report, whole or not at all.

    Raises:
        StateError: the disk refused it.
    """
    template = resources.files("scenarios.demo").joinpath("page.html").read_text("utf-8")
    text = Template(template).substitute(_parts(course, controls, seed))
    with whole_file(path) as page:
        page.write(text)
    return path


def _parts(course: Course, controls: dict[str, list[Marks]], seed: int) -> dict[str, str]:
    held = sum(check.held for check in course.checks)
    whole = held == len(course.checks)
    labelled = sum(feed.plan.labels for feed in course.feeds)
    final = {name: marks[-1] for name, marks in controls.items()}
    return {
        "style": css("page.css"),
        "verdict": f"{held} of {len(course.checks)} promises held",
        "verdict_class": "good" if whole else "bad",
        "labelled": f"{labelled} of them",
        "victim": escape(course.victim),
        "budget": share(BUDGET),
        "seed": str(seed),
        "software": escape(software()),
        "events": "".join(f"<li>{at_s:.0f} s: {escape(text)}</li>" for at_s, text in course.events),
        "attacks": _attacks(course, final),
        "alarms": _alarms(course, final),
        "bytes": _bytes(course),
        "checks": _checks(course),
        "learning": plots.learning(course, controls),
        "false_alarms": plots.false_alarms(course),
        "maps": plots.maps(course),
        "traffic": plots.traffic(course),
    }


def _attacks(course: Course, controls: dict[str, Marks]) -> str:
    headings = ["gateway", "labels", "family", "flows", "found alone", "found in the mesh",
                "named alone", "named in the mesh"]  # fmt: skip
    rows = []
    for feed in course.feeds:
        name = feed.plan.name
        labels = "yes" if feed.plan.labels else "none"
        for each in compared(controls[name], course.final.get(name)):
            cells = [escape(name), labels, escape(each.family), str(each.rows)]
            rows.append([*cells, *map(share, each.found), *map(share, each.named)])
    return table(headings, rows, 3)


def _alarms(course: Course, controls: dict[str, Marks]) -> str:
    rows = []
    for feed in course.feeds:
        name = feed.plan.name
        mesh = course.final.get(name)
        rows.append([
            escape(name),
            str(len(feed.benign)),
            share(controls[name].false_alarms),
            share(None if mesh is None else mesh.false_alarms),
        ])  # fmt: skip
    return table(["gateway", "flows", "alone", "in the mesh"], rows, 1)


def _bytes(course: Course) -> str:
    statuses = course.moments[-1].statuses
    rows = [
        [escape(name), str(s.mesh.cycle), str(s.mesh.merges), bytes_text(s.mesh.bytes_out),
         bytes_text(s.mesh.bytes_in)]
        for name, s in statuses.items()
    ]  # fmt: skip
    return table(["gateway", "cycles", "models merged", "sent", "received"], rows, 1)


def _checks(course: Course) -> str:
    words = {True: '<span class="good">yes</span>', False: '<span class="bad">NO</span>'}
    rows = [
        [escape(check.promise), words[check.held], escape(check.evidence)]
        for check in course.checks
    ]
    return table(["promise", "held", "evidence"], rows, 3)
