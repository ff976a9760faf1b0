"""`hedgerow report`: a folder of results becomes one page, and figures for papers."""

from html import escape
from pathlib import Path

from gossip.errors import ConfigError, StateError
from scenarios.report.many import many, read_many
from scenarios.report.run import SCENARIO, read_run
from scenarios.report.single import Picture, Piece, Report, single
from scenarios.report.style import Plot, as_file, css, inline, own_ids, shorter
from scenarios.runs.results import RESULT, whole_bytes, whole_file
from scenarios.sweep.folder import MANIFEST

PAGE = "report.html"
FIGURES = "figures"
KINDS = ("svg", "png")


def write_report(folder: Path, figures: str | None = None) -> Path:
    """Write `report.html` and `scenario.toml` into a folder of results; gives the page's path.

    The same results give the same bytes.

    Args:
        folder: of one run, of several seeds, or of a sweep.
        figures: "svg" or "png": write each figure into `figures` there, too, on white and as wide
            as a column of a paper.

    Raises:
        ConfigError: there is no such kind of figures.
        StateError: the folder holds no results, they are damaged, or it cannot be written.
    """
    if figures is not None and figures not in KINDS:
        raise ConfigError(f"no figures of the kind {figures!r}; use one of {', '.join(KINDS)}")
    report = read_report(folder)
    page = rendered(report)
    with whole_file(folder / SCENARIO) as stream:
        stream.write(report.scenario)
    if figures is not None:
        for figure in _figures(report):
            drawn = figure.rendered(figures) if isinstance(figure, Picture) else as_file(
                figure, figures
            )  # fmt: skip
            with whole_bytes(folder / FIGURES / f"{figure.name}.{figures}") as stream:
                stream.write(drawn)
    with whole_file(folder / PAGE) as stream:
        stream.write(page)
    return folder / PAGE


def has_results(folder: Path) -> bool:
    """Whether a report can be written there."""
    return (
        (folder / RESULT).is_file()
        or ((folder / MANIFEST).is_file() and any((folder / "runs").glob(f"*/{RESULT}")))
        or any(folder.glob(f"seed-*/{RESULT}"))
    )


def read_report(folder: Path) -> Report:
    """What a folder of results has to tell.

    Raises:
        StateError: it holds no results, or they are damaged.
    """
    if (folder / RESULT).is_file():
        return single(read_run(folder))
    found = read_many(folder)
    if found is None:
        raise StateError(
            f"{folder}: holds no results; name a folder that `hedgerow simulate --out` or "
            "`hedgerow sweep --out` wrote"
        )
    return many(found)


def rendered(report: Report) -> str:
    """The page: it loads nothing, and runs nothing."""
    links = " ".join(
        f'<a href="#{section.anchor}">{escape(section.title)}</a>' for section in report.sections
    )
    body = "\n".join(
        f'<section aria-labelledby="{section.anchor}">\n<h2 id="{section.anchor}">'
        f"{escape(section.title)}</h2>\n{''.join(map(_piece, section.pieces))}\n</section>"
        for section in report.sections
    )
    title = escape(report.title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title} - Hedgerow report</title>
<style>
{css("page.css")}{css("report.css")}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{report.opening}
<nav aria-label="Sections">{links}</nav>
{body}
</main>
</body>
</html>
"""


def _piece(piece: Piece) -> str:
    if isinstance(piece, str):
        return piece
    return inline(piece) if isinstance(piece, Plot) else _card(piece)


def _card(picture: Picture) -> str:
    """A picture that is drawn on white stays on white."""
    text = picture.rendered("svg").decode()
    label = escape(picture.alt, quote=True)
    text = own_ids(shorter(text[text.index("<svg") :]), picture.name)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return (
        f'<figure id="figure-{picture.name}"><div class="plot card" tabindex="0">{text}</div>'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _figures(report: Report) -> list[Plot | Picture]:
    return [
        piece for section in report.sections for piece in section.pieces
        if not isinstance(piece, str)
    ]  # fmt: skip
