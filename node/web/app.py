"""The dashboard's pages as an ASGI application. Everything is answered on the node's loop."""

import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Protocol
from urllib.parse import parse_qsl

import trio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gossip.errors import LocalError
from node.control.desk import INCIDENTS_MAX
from node.control.documents import IncidentDocument, VerdictDone
from node.status.document import Status
from node.web import layout
from node.web.access import Access
from node.web.guard import BODY_BYTES_MAX, LOGIN, METRICS, STATIC, App, Guard
from node.web.history import History
from node.web.layout import View
from node.web.markup import Node, el
from node.web.metrics import Metrics
from node.web.pages import antigens, incidents, neighbours, overview, traffic

BODY_S_MAX = 5.0
FRESH_S = 1.0
"""How long a status document serves several who ask; made anew, it costs milliseconds."""

NOTICE_S = 30.0
NOTICES_MAX = 64
"""Our choices: long enough to read what came of a verdict, and bounded."""

TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


class Desk(Protocol):
    """What is asked of `node.control.desk.Desk`."""

    def status(self) -> Status:
        """How the node is."""

    def incidents(self, limit: int = ...) -> list[IncidentDocument]:
        """Incidents, the newest activity first."""

    def verdict(self, incident: str, word: str, by: str = ...) -> VerdictDone:
        """Take an analyst's word; LocalError where it cannot be taken."""


class Fresh:
    """The status, made anew where the last one is older than `FRESH_S`, however many ask.

    Args:
        make: gives it.
        clock_s: any clock that does not go back.
    """

    def __init__(self, make: Callable[[], Status], clock_s: Callable[[], float]) -> None:
        self._make = make
        self._clock_s = clock_s
        self._last: tuple[float, Status] | None = None

    def __call__(self) -> Status:
        """The status."""
        at = self._clock_s()
        if self._last is None or at - self._last[0] > FRESH_S:
            self._last = (at, self._make())
        return self._last[1]

    def forget(self) -> None:
        """Make it anew for whoever asks next."""
        self._last = None


class Dashboard:
    """Pages on what a desk says.

    Args:
        desk: the node's.
        history: filled by somebody else.
        access: who may look; the guard has checked it before a page is asked for.
        now_s: seconds since 1970.
        clock_s: any clock that does not go back.
    """

    def __init__(
        self,
        desk: Desk,
        history: History,
        access: Access,
        now_s: Callable[[], float] = time.time,
        clock_s: Callable[[], float] = trio.current_time,
    ) -> None:
        self._desk = desk
        self._history = history
        self._access = access
        self._now_s = now_s
        self._clock_s = clock_s
        self._notices: dict[str, tuple[float, str, str]] = {}
        self._guard: Guard | None = None
        self._now = Fresh(desk.status, clock_s)
        self._metrics_now = Metrics(self._now)

    def app(self, hosts: Sequence[str], cookie: str) -> App:
        """The application, guarded.

        Args:
            hosts: names that it may be asked by.
            cookie: name of the session's cookie.
        """
        routes = [
            Route("/", self._overview),
            Route("/incidents", self._incidents),
            Route("/incidents/{key}", self._incident),
            Route("/incidents/{key}/verdict", self._verdict, methods=["POST"]),
            Route("/neighbours", self._neighbours),
            Route("/antigens", self._antigens),
            Route("/traffic", self._traffic),
            Route(LOGIN, self._login, methods=["GET", "POST"]),
            Route(METRICS, self._metrics),
            Route(f"{STATIC}{{name}}", _static),
        ]
        starlette = Starlette(routes=routes, exception_handlers={404: self._missing})
        self._guard = Guard(starlette, frozenset(hosts), self._access, cookie, _stranger)
        return self._guard

    # Pages

    async def _overview(self, request: Request) -> Response:
        view = self._view(request, overview.INCIDENTS_SHOWN)
        return _page(view, "/", "Overview", overview.body(view))

    async def _incidents(self, request: Request) -> Response:
        view = self._view(request, INCIDENTS_MAX)
        return _page(view, "/incidents", "Incidents", incidents.body(view))

    async def _incident(self, request: Request) -> Response:
        view = self._view(request, INCIDENTS_MAX)
        key = request.path_params["key"]
        found = next((each for each in view.incidents if each.key == key), None)
        if found is None:
            return self._gone(view)
        body = incidents.one(view, found, self._said(request, key))
        title = f"{found.family} from {found.source}"
        return _page(view, "/incidents", title, body, here=f"/incidents/{found.key}")

    async def _neighbours(self, request: Request) -> Response:
        view = self._view(request)
        return _page(view, "/neighbours", "Neighbours", neighbours.body(view))

    async def _antigens(self, request: Request) -> Response:
        view = self._view(request)
        return _page(view, "/antigens", "Antigens", antigens.body(view))

    async def _traffic(self, request: Request) -> Response:
        span = "day" if request.query_params.get("span") == "day" else "hour"
        view = self._view(request)
        body = traffic.body(view, span)
        return _page(view, "/traffic", "Traffic", body, here=f"/traffic?span={span}")

    async def _metrics(self, request: Request) -> Response:
        return _exposition(request, self._metrics_now)

    # What is done

    async def _verdict(self, request: Request) -> Response:
        session = request.state.session
        form = await _form(request)
        if form is None:
            return PlainTextResponse("too long, or too slow\n", 413)
        if not self._access.form_is_ours(session, form.get("form", "")):
            return PlainTextResponse("refused: load the page anew and try again\n", 403)
        key = request.path_params["key"]
        try:
            done = self._desk.verdict(key, form.get("word", ""), "dashboard")
            said, kind = done.said, "good"
        except LocalError as error:
            said, kind = str(error), "bad"
        self._now.forget()
        self._tell(f"{session} {key}", said, kind)
        known = any(each.key == key for each in self._desk.incidents())
        return RedirectResponse(f"/incidents/{key}" if known else "/incidents", 303)

    async def _login(self, request: Request) -> Response:
        if request.method == "GET":
            return HTMLResponse(layout.login(wrong=False))
        form = await _form(request)
        if form is None or self._guard is None or not self._access.admits(form.get("token", "")):
            return HTMLResponse(layout.login(wrong=True), 401)
        return self._guard.admitted(self._access, "/")

    # Parts

    def _view(self, request: Request, incidents_max: int = 0) -> View:
        session = request.state.session
        form_token = self._access.form_token(session)
        known = self._desk.incidents(incidents_max) if incidents_max else []
        return View(self._now(), known, self._history, form_token, self._now_s())

    def _tell(self, key: str, said: str, kind: str) -> None:
        while len(self._notices) >= NOTICES_MAX:
            del self._notices[next(iter(self._notices))]
        self._notices[key] = (self._clock_s() + NOTICE_S, said, kind)

    def _said(self, request: Request, key: str) -> tuple[str, str] | None:
        until, said, kind = self._notices.get(f"{request.state.session} {key}", (0.0, "", ""))
        return (said, kind) if said and self._clock_s() < until else None

    async def _missing(self, request: Request, _error: Exception) -> Response:
        return self._gone(self._view(request)) if request.state.session else _stranger()

    @staticmethod
    def _gone(view: View) -> Response:
        body = [
            el("h1", "Not here"),
            el("p", "There is no such page, or the incident is no longer remembered."),
        ]
        return _page(view, "", "Not here", body, here="/", status_code=404)


def _page(
    view: View, path: str, title: str, body: Node, *, here: str = "", status_code: int = 200
) -> Response:
    return HTMLResponse(layout.page(view, path, title, body, here=here), status_code)


def _stranger() -> Response:
    return HTMLResponse(layout.login(wrong=False), 401)


def _exposition(request: Request, metrics: Metrics) -> Response:
    text, kind = metrics.exposition(request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": kind})


def metrics_app(status: Callable[[], Status], hosts: Sequence[str]) -> App:
    """`/metrics` alone, for whoever connects."""
    metrics = Metrics(Fresh(status, trio.current_time))

    async def answer(request: Request) -> Response:
        return _exposition(request, metrics)

    return Guard(Starlette(routes=[Route(METRICS, answer)]), frozenset(hosts))


async def _static(request: Request) -> Response:
    found = {path.name: path for path in layout.STATIC.iterdir()}.get(request.path_params["name"])
    if found is None:
        return PlainTextResponse("not here\n", 404)
    return Response(
        found.read_bytes(),
        media_type=TYPES.get(found.suffix, "application/octet-stream"),
        headers={"Cache-Control": "private, max-age=86400"},
    )


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of a form; None where it is too long or comes too slowly."""
    body = b""
    with trio.move_on_after(BODY_S_MAX) as scope:
        try:
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > BODY_BYTES_MAX:
                        return None
        except ClientDisconnect:
            return None
    if scope.cancelled_caught:
        return None
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=16))
    except ValueError:
        return {}
