"""The demo's report: one HTML file that needs nothing else."""

from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from node.status.condition import software
from node.status.view import bytes_text
from scenarios.demo import plots, wave_plots
from scenarios.demo.fleet import BUDGET, CYCLE_S
from scenarios.demo.marks import Marks, compared, share_named
from scenarios.demo.record import LOOK_EVERY_S, Course, sent
from scenarios.demo.screen import share
from scenarios.demo.wave import (
    FAMILIES,
    SOON_CYCLES,
    Wave,
    attacked_s,
    cycles,
    named,
    named_s,
    waves,
)
from scenarios.report.parts import boxed, table
from scenarios.report.style import css, inline
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
    found = waves(course)
    return {
        "style": css("page.css") + css("report.css"),
        "verdict": f"{held} of {len(course.checks)} promises held",
        "verdict_class": "good" if whole else "bad",
        "labelled": f"{labelled} of them",
        "budget": share(BUDGET),
        "seed": str(seed),
        "software": escape(software()),
        "events": "".join(f"<li>{at_s:.0f} s: {escape(text)}</li>" for at_s, text in course.events),
        "wave_map": inline(wave_plots.wave_map(course, found)) if found else "",
        "wave_curves": inline(wave_plots.wave_curves(course, found)) if found else "",
        "waves": _waves(course, found),
        "immune": _immune(course, found),
        "soon": str(SOON_CYCLES),
        "untold": _untold(course),
        "attacks": _attacks(course, final),
        "alarms": _alarms(course, final),
        "bytes": _bytes(course),
        "checks": _checks(course),
        "learning": inline(plots.learning(course, controls)),
        "false_alarms": inline(plots.false_alarms(course)),
        "maps": inline(plots.maps(course)),
        "traffic": inline(plots.traffic(course)),
    }


def _waves(course: Course, found: list[Wave]) -> str:
    """A row for each family: where it began, how fast it went, and what it cost."""
    if not found:
        return "<p>Nobody presented an antigen.</p>"
    headings = ["family", "first presented by", "at", "made of", "held by all after",
                "learnt by all after", "antigens", "their bytes"]  # fmt: skip
    rows = [
        [
            escape(wave.family),
            escape(wave.origin),
            f"{wave.at_s:.1f} s",
            f"{wave.evidence} flows",
            _after(wave.held_after_s),
            _after(wave.learnt_after_s),
            str(wave.antigens),
            bytes_text(wave.sent_bytes),
        ]
        for wave in found
    ]
    sent_bytes = sum(wave.sent_bytes for wave in found)
    whole = sum(sent(course.moments, feed.plan.name) for feed in course.feeds)
    said = f"<p>Antigens took {bytes_text(sent_bytes)} of the {bytes_text(whole)} that all gateways"
    said += f" sent{f', {100 * sent_bytes / whole:.2f} %' if whole else ''}.</p>"
    return boxed(table(headings, rows, 2)) + said


def _immune(course: Course, found: list[Wave]) -> str:
    """A row for each gateway and family: when it learnt, when it named, when it was attacked."""
    headings = ["gateway", "labels", "family", "learnt from", "names half from", "attacked from",
                "named just before", f"{SOON_CYCLES} cycles later", "at the end"]  # fmt: skip
    rows = []
    for feed in course.feeds:
        name, final = feed.plan.name, course.final.get(feed.plan.name)
        for wave in found:
            after_s = wave.at_s + SOON_CYCLES * CYCLE_S
            shares = (
                named(course, name, wave.family, wave.at_s, after=False),
                named(course, name, wave.family, after_s, after=True),
                None if final is None else share_named(final, wave.family),
            )
            rows.append([
                escape(name),
                "yes" if feed.plan.labels else "none",
                escape(wave.family),
                _second(wave.arrivals[name].learnt_s),
                _second(named_s(course, name, wave.family)),
                _second(attacked_s(course, name, wave.family)),
                *map(share, shares),
            ])  # fmt: skip
    return boxed(table(headings, rows, 3))


def _after(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    return cycles(seconds) if seconds else f"less than {LOOK_EVERY_S} s"


def _second(at_s: float | None) -> str:
    return "-" if at_s is None else f"{at_s:.0f} s"


def _untold(course: Course) -> str:
    """Families of attack in the recordings that nobody can tell of."""
    judged = {family: None for feed in course.feeds for family in feed.attacked}
    untold = [family for family in judged if family not in FAMILIES]
    return escape(" and ".join(untold)) or "none"


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
    return boxed(table(headings, rows, 3))


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
    return boxed(table(["gateway", "flows", "alone", "in the mesh"], rows, 1))


def _bytes(course: Course) -> str:
    statuses = course.moments[-1].statuses
    rows = [
        [escape(name), str(s.mesh.cycle), str(s.mesh.merges), bytes_text(s.mesh.bytes_out),
         bytes_text(s.mesh.bytes_in)]
        for name, s in statuses.items()
    ]  # fmt: skip
    return boxed(table(["gateway", "cycles", "models merged", "sent", "received"], rows, 1))


def _checks(course: Course) -> str:
    words = {True: '<span class="good">yes</span>', False: '<span class="bad">NO</span>'}
    rows = [
        [escape(check.promise), words[check.held], escape(check.evidence)]
        for check in course.checks
    ]
    return boxed(table(["promise", "held", "evidence"], rows, 3))
