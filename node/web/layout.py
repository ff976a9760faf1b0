"""What all pages have in common: head, navigation, the line on the node's health, tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from node.control.documents import IncidentDocument
from node.status.document import Status
from node.web.history import History
from node.web.markup import Markup, Node, el, join
from node.web.wording import badge, several

STATIC = Path(__file__).with_name("static")
_SCRIPTS = ("htmx.min.js", "idiomorph-ext.min.js", "hedgerow.js")
_HTMX = (
    '{"allowEval": false, "includeIndicatorStyles": false, "selfRequestsOnly": true, '
    '"historyEnabled": false}'
)
SHORT_CHARS = 12

NAVIGATION = (
    ("/", "Overview"),
    ("/incidents", "Incidents"),
    ("/neighbours", "Neighbours"),
    ("/antigens", "Antigens"),
    ("/traffic", "Traffic"),
)


@dataclass(frozen=True, slots=True)
class View:
    """What a page is made of.

    Args:
        status: the node as it is now.
        incidents: open ones and those closed lately.
        history: how much came and went.
        form_token: what forms carry.
        now_s: seconds since 1970.
    """

    status: Status
    incidents: Sequence[IncidentDocument]
    history: History
    form_token: str
    now_s: float

    @property
    def open(self) -> int:
        """Incidents that go on."""
        return self.status.alerts.incidents_open


@cache
def version() -> str:
    """Of the static files, so that a browser keeps them until they change."""
    digest = blake2b(digest_size=6)
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def static(name: str) -> str:
    """Path of a static file."""
    return f"/static/{name}?v={version()}"


def document(title: str, *body: Node) -> Markup:
    """A whole page."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="htmx-config", content=_HTMX),
        el("title", f"{title} · Hedgerow"),
        el("link", rel="icon", href=static("icon.svg"), type="image/svg+xml"),
        el("link", rel="stylesheet", href=static("hedgerow.css")),
        [el("script", src=static(name), defer=True) for name in _SCRIPTS],
    )
    page = el("html", head, el("body", *body, hx_ext="morph"), lang="en")
    return Markup(f"<!doctype html>{page}")


def page(view: View, path: str, title: str, *body: Node, here: str = "") -> Markup:
    """A page of the dashboard, which keeps itself up to date.

    Args:
        view: what it shows.
        path: of it, for the navigation.
        title: of it; the page's own heading is the body's.
        body: what stands in it.
        here: where it is asked for anew, with its query; `path` if empty.
    """
    status = view.status
    count = f"({view.open}) " if view.open else ""
    links = [
        el(
            "li",
            el(
                "a",
                name,
                el("span", str(view.open), class_="count")
                if to == "/incidents" and view.open
                else None,
                href=to,
                aria_current="page" if to == path else None,
                id=f"nav{to.replace('/', '-')}",
            ),
        )
        for to, name in NAVIGATION
    ]
    return document(
        f"{count}{title} · {status.name}",
        el("a", "Skip to content", href="#main", class_="skip"),
        el(
            "header",
            el(
                "a",
                el("img", src=static("icon.svg"), alt="", width=24, height=24),
                "Hedgerow",
                href="/",
                class_="brand",
            ),
            el("span", status.name, class_="gateway"),
            el(
                "button",
                "Pause updates",
                type="button",
                id="pause",
                aria_pressed="false",
                hidden=True,
            ),
            class_="top",
        ),
        el("p", id="stale", role="alert", hidden=True),
        el(
            "div",
            el("nav", el("ul", links), aria_label="Pages"),
            el("p", _health(view), id="health", class_="health", role="status"),
            el("main", *body, id="main", tabindex="-1"),
            id="page",
            hx_get=here or path,
            hx_trigger="refresh",
            hx_select="#page",
            hx_swap="morph:outerHTML",
        ),
        el(
            "footer",
            el("p", status.software, ". Times are in UTC; counts begin with the process."),
        ),
    )


def _health(view: View) -> Node:
    """One line that is read aloud when it changes, so nothing in it counts up."""
    status = view.status
    watching = status.detector.state == "watching"
    said: list[Node] = [
        badge(status.detector.state, "good" if watching else "warn"),
        badge(status.state, "good" if status.state == "running" else "warn"),
        badge(several(view.open, "open incident"), "bad" if view.open else "good"),
    ]
    if status.detector.breach:
        said.append(badge("budget in doubt", "warn"))
    if status.service.not_saved or status.service.clock:
        said.append(badge("trouble on this machine", "bad"))
    return [[each, " "] for each in said]


def section(title: str, *body: Node, id_: str = "", wide: bool = False) -> Markup:
    """A part of a page with a heading."""
    name = id_ or title.lower().replace(" ", "-")
    return el(
        "section",
        el("h2", title, id=name),
        *body,
        aria_labelledby=name,
        class_="wide" if wide else None,
    )


def table(
    caption: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[Node]],
    *,
    empty: str,
    keys: Sequence[str] = (),
) -> Markup:
    """A table; on a narrow screen each row becomes a block, its cells beside their headings.

    Args:
        caption: what it lists, for who does not see it.
        headings: of its columns; the first names a row.
        rows: as many cells each.
        empty: said where there are no rows.
        keys: an id for each row, so that an update leaves it what it is.
    """
    if not rows:
        return el("p", empty, class_="empty")
    lines: list[Markup] = []
    for number, row in enumerate(rows):
        cells = [
            # A box of its own, so that a narrow screen can set all of it beside the heading.
            el("td", el("div", cell, class_=_whole(cell)), data_label=name)
            if column
            else el("th", cell, scope="row")
            for column, (name, cell) in enumerate(zip(headings, row, strict=True))
        ]
        lines.append(el("tr", cells, id=keys[number] if keys else None))
    head = el("tr", [el("th", name, scope="col") for name in headings])
    return el(
        "table", el("caption", caption, class_="unseen"), el("thead", head), el("tbody", lines)
    )


def _whole(cell: Node) -> str | None:
    """A class for what is so short that a line break in it would be odd."""
    return "whole" if isinstance(cell, str) and len(cell) <= SHORT_CHARS else None


def notice(kind: str, *said: Node) -> Markup:
    """Something to be seen first."""
    return el("p", *said, class_=f"notice {kind}")


def login(*, wrong: bool) -> Markup:
    """The page for who has no session."""
    trouble = notice("bad", "That is not the token.") if wrong else join()
    return document(
        "Token",
        el(
            "main",
            el("h1", "Hedgerow"),
            trouble,
            el(
                "p",
                "This dashboard asks for the node's token. It stands in the file ",
                el("code", "dashboard-token"),
                " of the node's state folder, unless ",
                el("code", "dashboard.token_file"),
                " names another.",
            ),
            el(
                "form",
                el("label", "Token", for_="token"),
                el(
                    "input",
                    id="token",
                    name="token",
                    type="password",
                    autocomplete="off",
                    required=True,
                    autofocus=True,
                ),
                el("button", "Enter", type="submit", class_="main"),
                method="post",
                action="/login",
            ),
            id="main",
            class_="login",
        ),
    )
