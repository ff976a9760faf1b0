"""The demo in a terminal: a live table while it runs, plain lines where there is no terminal."""

from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scenarios.demo.feeds import Feed
from scenarios.demo.marks import Marks, compared
from scenarios.demo.record import END_S, Check, Course, Moment
from scenarios.demo.wave import LEARNT, waves

EVENTS_SHOWN = 5
PLAIN_EVERY_S = 10.0


def share(value: float | None) -> str:
    """A share in [0, 1] as per cent, or a dash."""
    return "-" if value is None else f"{100 * value:.1f} %"


class Screen:
    """Use as a context manager around the run."""

    def __init__(self, console: Console, feeds: list[Feed]) -> None:
        self._console = console
        self._feeds = feeds
        self._marks: dict[str, Marks] = {}
        self._said: list[str] = []
        self._plain_at_s = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(40), TextColumn("{task.percentage:.0f} %"),
            TimeElapsedColumn(),
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=END_S)
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._console.is_terminal:
            self._live.start()
            self._live.update(self._picture(None))
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last picture's place to the results."""
        if self._console.is_terminal:
            self._live.stop()

    def say(self, at_s: float, text: str) -> None:
        """Something happened."""
        line = f"{at_s:5.0f} s  {text}"
        self._said.append(line)
        if not self._console.is_terminal:
            self._console.print(line, highlight=False)

    def working(self, text: str, done: float, total: float) -> None:
        """Show how far work without gateways is."""
        self._bar.update(self._task, description=text, completed=done, total=total)
        if self._console.is_terminal:
            self._live.update(self._picture(None))
        elif done in {0, total}:
            self._console.print(f"         {text}: {done:.0f} of {total:.0f}", highlight=False)

    def look(self, moment: Moment) -> None:
        """Show what was seen."""
        self._marks.update(moment.marks)
        self._bar.update(self._task, description="running", completed=moment.at_s, total=END_S)
        if self._console.is_terminal:
            self._live.update(self._picture(moment))
        elif moment.at_s >= self._plain_at_s:
            self._plain_at_s = moment.at_s + PLAIN_EVERY_S
            found = moment.statuses.values()
            self._console.print(
                f"{moment.at_s:5.0f} s  {len(moment.statuses)} gateways up, "
                f"{sum(s.detector.state == 'watching' for s in found)} watching, "
                f"{sum(s.mesh.merges for s in found)} models merged, "
                f"{sum(s.detector.flows_seen for s in found)} flows seen",
                highlight=False,
            )

    def _picture(self, moment: Moment | None) -> Group:
        table = Table(
            title="Six gateways, one mesh, no server",
            caption="learns: families of attack, by antigens or rows of its own; "
            "false alarms, found, named: % of flows kept back",
            title_justify="left",
            caption_justify="left",
            box=None,
            padding=(0, 1, 0, 0),
        )
        for heading in ("gateway", "labels", "state"):
            table.add_column(heading, no_wrap=True)
        for heading in ("peers", "merged", "flows", "alerts", "learns", "false", "found", "named"):
            table.add_column(heading, justify="right", no_wrap=True)
        for feed in self._feeds:
            table.add_row(*self._row(feed, moment))
        return Group(table, self._bar, *self._said[-EVENTS_SHOWN:])

    def _row(self, feed: Feed, moment: Moment | None) -> list[str]:
        plan = feed.plan
        labels = "yes" if plan.labels else "none"
        status = None if moment is None else moment.statuses.get(plan.name)
        if status is None:
            return [plan.name, labels, "starting" if moment is None else "down", *["-"] * 8]
        marks = self._marks.get(plan.name)
        mean = None if marks is None else marks.mean
        return [
            plan.name,
            labels,
            status.detector.state,
            str(len(status.mesh.peers)),
            str(status.mesh.merges),
            str(status.detector.flows_seen),
            str(status.alerts.written + status.alerts.suppressed),
            str(len({a.family for a in status.antigens.held if a.state in LEARNT})),
            _whole(None if marks is None else marks.false_alarms),
            _whole(None if mean is None else mean.found),
            _whole(None if mean is None else mean.named),
        ]


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}"


def results(console: Console, course: Course, controls: dict[str, Marks]) -> None:
    """The tables at the end: each gateway alone against the same gateway in the mesh."""
    alarms = Table(title="False alarms on benign flows kept back", title_justify="left")
    for heading in ("gateway", "labels", "flows", "alone", "in the mesh"):
        alarms.add_column(heading, justify="left" if heading in {"gateway", "labels"} else "right")
    attacks = Table(title="Attack flows kept back: alone → in the mesh, in %", title_justify="left")
    for heading in ("gateway", "family", "flows", "found", "rightly named"):
        words = heading in {"gateway", "family"}
        attacks.add_column(heading, justify="left" if words else "right", no_wrap=True)
    for feed in course.feeds:
        name = feed.plan.name
        control, mesh = controls[name], course.final.get(name)
        alarms.add_row(
            name,
            "yes" if feed.plan.labels else "none",
            str(len(feed.benign)),
            share(control.false_alarms),
            share(None if mesh is None else mesh.false_alarms),
        )
        for each in compared(control, mesh):
            found, named = _change(each.found), _change(each.named)
            attacks.add_row(name, each.family, str(each.rows), found, named)
        attacks.add_section()
    console.print(alarms)
    console.print(attacks)
    console.print(_waves(course))
    console.print(_checked(course.checks))


def _waves(course: Course) -> Table:
    table = Table(title="The wave of immunity, by antigens", title_justify="left")
    for heading in ("family", "presented by", "at", "held by all", "learnt by all"):
        words = heading in {"family", "presented by"}
        table.add_column(heading, justify="left" if words else "right", no_wrap=True)
    for wave in waves(course):
        after = (wave.held_after_s, wave.learnt_after_s)
        table.add_row(
            wave.family,
            wave.origin,
            f"{wave.at_s:.0f} s",
            *("never" if each is None else f"{each:.1f} s later" for each in after),
        )
    return table


def _change(alone_and_mesh: tuple[float | None, ...]) -> str:
    before, after = ("-" if v is None else f"{100 * v:.1f}" for v in alone_and_mesh)
    return f"{before:>5} → {after:>5}"


def _checked(checks: list[Check]) -> Table:
    table = Table(title="What was promised", title_justify="left")
    for heading in ("promise", "held", "evidence"):
        table.add_column(heading)
    for check in checks:
        table.add_row(
            check.promise,
            "[green]yes[/green]" if check.held else "[bold red]NO[/bold red]",
            check.evidence,
        )
    return table
