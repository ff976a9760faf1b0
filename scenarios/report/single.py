"""The report of one run, section by section."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, is_dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from rich.console import Console

from gossip.errors import StateError
from node.config.annotations import keys_of
from scenarios.data import holdings
from scenarios.data.holdings import Holdings
from scenarios.data.pictures import draw
from scenarios.report import curves, meshes, nodes, words
from scenarios.report.parts import boxed, code, folded, listed, paragraph, table
from scenarios.report.run import SCENARIO, Run
from scenarios.report.style import Plot
from scenarios.report.timeline import timeline
from scenarios.report.toml import written
from scenarios.runs.expectations import verdicts
from scenarios.spec import scenario as spec

FOLDED_FROM = 12
"""Rows of a table from which on it is folded: a screen of it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Who holds what, drawn as `hedgerow data show` draws it: on white, at its own width.

    Args:
        name: of its file, without a suffix.
        alt: what it shows, for who cannot see it.
        caption: how to read it.
        held: see there.
    """

    name: str
    alt: str
    caption: str
    held: Holdings

    def rendered(self, kind: str) -> bytes:
        """As "svg" or "png"."""
        out = io.BytesIO()
        with mpl.rc_context({"svg.fonttype": "none"}):
            draw(self.held, out, kind)
        return out.getvalue()


Piece = str | Plot | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report.

    Args:
        anchor: what links to it say.
        title: plain text.
        pieces: HTML, and figures.
    """

    anchor: str
    title: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All of a report.

    Args:
        title: plain text.
        opening: HTML below the title.
        sections: in their order.
        scenario: the file that repeats it, as TOML.
    """

    title: str
    opening: str
    sections: tuple[Section, ...]
    scenario: str


def single(run: Run) -> Report:
    """The report of one run."""
    result, scenario = run.result, run.scenario
    told = verdicts(result, scenario)
    missing: list[str] = []
    sections = [
        Section("expectations", "Expectations", _expected(run, missing)),
        Section("faults", "Faults and who was up", _faults(run)),
        Section("models", "What models are worth", _models(run, missing)),
        Section("consensus", "How far models are apart", _consensus(run, missing)),
        Section("bytes", "Bytes", _bytes(run, missing)),
        Section("views", "Who knows whom", _views(run, missing)),
        Section("mesh", "The mesh over time", _mesh(run, missing)),
        Section("data", "Data", _data(run, missing)),
        Section("frames", "Frames and reports", _frames(run)),
        Section("scenario", "Scenario", described(scenario)),
        Section("repeat", "How to repeat it", _repeat(run)),
    ]
    if missing:
        sections.append(Section("missing", "Not shown", (listed(missing),)))
    opening = paragraph(words.summary(result, scenario, told)) + words.headline(result)
    return Report(
        scenario.title or "Scenario without a title",
        opening,
        tuple(section for section in sections if section.pieces),
        written(result.spec),
    )


def _expected(run: Run, missing: list[str]) -> tuple[Piece, ...]:
    told = verdicts(run.result, run.scenario)
    if not told:
        missing.append("Expectations: the scenario has no [expect].")
        return ()
    return (boxed(words.expectations(told)),)


def _faults(run: Run) -> tuple[Piece, ...]:
    pieces: list[Piece] = [
        listed(run.result.faults) if run.result.faults else paragraph("The scenario asks for none.")
    ]
    if run.story.why:
        pieces.append(
            paragraph(f"Who was up is known at the samples only: {run.story.why}", "faint")
        )
    if run.result.samples:
        pieces.append(timeline(run.result, run.story))
    return tuple(pieces)


def _models(run: Run, missing: list[str]) -> tuple[Piece, ...]:
    samples = run.result.samples
    if not samples:
        missing.append("What models are worth: the run has no sample.")
        return ()
    last = samples[-1]
    pieces: list[Piece] = [
        paragraph(
            f"Each of {last.judged:,} peers is judged by its own model on rows that no model "
            "trained on; no averaged model is judged."
        )
    ]
    drawn = len(curves.thinned(samples))
    if drawn < len(samples):
        said = f"Curves show {drawn:,} of {len(samples):,} samples, evenly spread."
        pieces.append(paragraph(said, "faint"))
    plots, why = curves.curves(samples, run.story, run.scenario.learning.alarm_budget)
    pieces += plots
    missing += why
    pieces += _kept(curves.families(samples, run.story), missing)
    pieces += _kept(curves.naming(samples, run.story), missing)
    pieces += _kept(nodes.peers(run.result.judged, run.groups), missing)
    pieces.append("<h3>At the end</h3>")
    final = boxed(words.final(last))
    many = len(last.groups) >= FOLDED_FROM
    pieces.append(folded(f"{len(last.groups)} groups", final) if many else final)
    return tuple(pieces)


def _kept(found: tuple[Plot | None, list[str]], missing: list[str]) -> list[Plot]:
    plot, why = found
    missing += why
    return [] if plot is None else [plot]


def _consensus(run: Run, missing: list[str]) -> tuple[Piece, ...]:
    if not run.result.samples:
        return ()
    return tuple(_kept(curves.consensus(run.result.samples, run.story), missing))


def _bytes(run: Run, missing: list[str]) -> tuple[Piece, ...]:
    plots, why = nodes.traffic(run.result, run.story)
    missing += why
    return tuple(plots)


def _views(run: Run, missing: list[str]) -> tuple[Piece, ...]:
    return tuple(_kept(nodes.degrees(run.result.samples), missing))


def _mesh(run: Run, missing: list[str]) -> tuple[Piece, ...]:
    return tuple(_kept(meshes.mesh(run.result, run.scenario, run.groups), missing))


def _data(run: Run, missing: list[str]) -> tuple[Piece, ...]:
    if run.result.holdings is None:
        missing.append("Data: this engine does not tell who holds what.")
        return ()
    try:
        held = holdings.from_dict(run.result.holdings)
    except StateError as error:
        missing.append(f"Data: {error}")
        return ()
    caption = (
        "Rows of each peer by use and family; below, the darker, the more. Families that nobody "
        "holds are left out."
    )
    alt = f"Who of {held.peers:,} peers holds how many rows of what"
    shown, rows = _as_html(held)
    inner = boxed(shown)
    if rows >= FOLDED_FROM:
        inner = folded(f"The same as a table of {rows} rows", inner)
    return (Picture("data", alt, caption, held), inner)


def _as_html(held: Holdings) -> tuple[str, int]:
    """The table of who holds what, and how many rows it has."""
    drawn = holdings.table(held)
    headings = [
        str(column.header).replace("cali-\n", "cali").replace("-\n", "-").strip()
        for column in drawn.columns
    ]
    console = Console(file=io.StringIO())
    cells = [[console.render_str(str(cell)).plain for cell in column.cells]
             for column in drawn.columns]  # fmt: skip
    rows = [[escape(cell) for cell in row] for row in zip(*cells, strict=True)]
    return table([escape(heading) for heading in headings], rows, 1), len(rows)


def _frames(run: Run) -> tuple[Piece, ...]:
    result = run.result
    pieces: list[Piece] = ["<h3>What became of frames</h3>"]
    pieces.append(boxed(words.shares(result.frames, ("fate", "frames"))))
    if result.topics:
        pieces.append("<h3>What peers reported</h3>")
        pieces.append(boxed(words.shares(result.topics, ("topic", "reports"))))
    return tuple(pieces)


def described(scenario: spec.Scenario) -> tuple[Piece, ...]:
    """The scenario as TOML: what it says beyond the defaults, and all of it on demand."""
    return (
        paragraph("Keys that differ from their defaults:"),
        code(written(told(scenario))),
        folded("The whole scenario with every default", code(written(spec.table(scenario)))),
    )


def told(instance: Any) -> dict[str, Any]:
    """The dataclass as its file would say it, without keys that have their default."""
    found: dict[str, Any] = {}
    full = spec.table(instance)
    for key, (part, _) in keys_of(type(instance)).items():
        value = getattr(instance, part.name)
        if key not in full or value == _default(part):
            continue
        if is_dataclass(value):
            inner = told(value)
            if inner:
                found[key] = inner
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            found[key] = [told(each) for each in value]
        else:
            found[key] = full[key]
    return found


def _default(part: Any) -> Any:
    made: Callable[[], Any] | Any = part.default_factory
    if part.default is not MISSING:
        return part.default
    if made is MISSING:
        return MISSING
    try:
        return made()
    except TypeError:  # a table with a required key
        return MISSING


def _repeat(run: Run) -> tuple[Piece, ...]:
    result = run.result
    engine = " --engine lab" if result.engine == "lab" else ""
    command = f"hedgerow simulate {SCENARIO} --seed {result.seed}{engine} --out again"
    return (*repeated(run.scenario, [command], result.versions), *_hash(run))


def repeated(
    scenario: spec.Scenario, commands: Sequence[str], versions: Mapping[str, str]
) -> tuple[Piece, ...]:
    """Commands, and what they need."""
    pieces: list[Piece] = [
        paragraph(f"In the folder of this page, where {SCENARIO} holds the whole scenario:"),
        code("\n".join([*commands, "hedgerow report again"])),
    ]
    needs = []
    if scenario.mesh.topology.startswith("file:"):
        needs.append("the graph's file, which the scenario names relative to its own folder")
    for path in (scenario.data.folder, scenario.links.matrix, scenario.churn.trace):
        needs += [] if path is None else [str(path)]
    if needs:
        pieces.append(paragraph(f"It needs files beside these: {', '.join(needs)}."))
    rows = [[escape(name), escape(release)] for name, release in versions.items()]
    pieces.append(boxed(table(["computed by", "version"], rows, 2)))
    return tuple(pieces)


def _hash(run: Run) -> tuple[Piece, ...]:
    result = run.result
    if not result.trace_hash:
        why = "real processes have no order of events that could be repeated"
        return (paragraph(f"There is no trace hash: {why}." if result.engine == "lab"
                          else "This engine has no trace hash."),)  # fmt: skip
    shown = f"<code>{escape(result.trace_hash)}</code> over {result.trace_events:,} events"
    return (f"<p>Trace hash {shown}. A run with the same hash went the same way.</p>",)
