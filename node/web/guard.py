"""What stands before every page: checks of the request, and headers of the answer.

A page on another site can make a browser send requests here. It cannot read the token, so it has
no session; the cookie is SameSite=Strict, so it cannot borrow one; and what changes something is
refused unless it comes from a page of ours (Origin, Sec-Fetch-Site) and carries the session's own
form token. A page that rebinds its own name to this node is refused for the name (Host).
"""

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from node.web.access import SESSION_S, Access

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STATIC = "/static/"
LOGIN = "/login"
METRICS = "/metrics"
METHODS = frozenset({"GET", "HEAD", "POST"})
BODY_BYTES_MAX = 4_096

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it, browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI application before another one.

    Args:
        app: is asked only what passes. It finds the session in `scope["state"]["session"]`; None
            stands there where it is not known who asks, and the path is one that anybody may see.
        hosts: names that requests may be for, beside IP addresses and localhost.
        access: who may see what; None where everybody may, as for metrics on an address of theirs.
        cookie: name of the session's cookie; one for each port, as browsers keep them by host.
        stranger: answers those whom `access` does not know.
    """

    app: App
    hosts: frozenset[str] = frozenset()
    access: Access | None = None
    cookie: str = ""
    stranger: Callable[[], Response] = lambda: PlainTextResponse("", 401)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, answer)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer, where it is not for the application to give one."""
        headers = Headers(scope=scope)
        scope["state"] = {"session": None}  # not Hypercorn's, which a connection's requests share
        if scope["method"] not in METHODS:
            return PlainTextResponse("only GET, HEAD and POST are served\n", 405)
        if not self._is_for_us(headers):
            return PlainTextResponse(
                "This name is not served here. Use localhost or an IP address, or name it in "
                "dashboard.hosts of gateway.toml.\n",
                421,
            )
        if scope["method"] == "POST" and not _from_our_page(headers):
            return PlainTextResponse("refused: it does not come from a page of this node\n", 403)
        if int_of(headers.get("content-length", "0")) > BODY_BYTES_MAX:
            return PlainTextResponse("too long\n", 413)
        if self.access is None:
            return None
        return self._authenticated(self.access, scope, headers)

    def _authenticated(self, access: Access, scope: Scope, headers: Headers) -> Response | None:
        query = parse_qsl(scope["query_string"].decode("latin-1")[:2_048], max_num_fields=None)
        token = dict(query).get("token")
        if scope["method"] == "GET" and token is not None:
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            # A path of our own: "//elsewhere" would lead to another host.
            clean = "/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else "")
            if access.admits(token):
                return self.admitted(access, clean)
            return self.stranger()
        cookies = cookie_parser(headers.get("cookie", "")[:4_096])
        scope["state"]["session"] = access.session(cookies.get(self.cookie, ""))
        if scope["state"]["session"] is not None:
            return None
        path = scope["path"]
        if path.startswith(STATIC) or path == LOGIN:
            return None
        if path == METRICS and access.admits(_bearer(headers)):
            return None
        return self.stranger()

    def admitted(self, access: Access, to: str) -> Response:
        """Begin a session and go on to a path."""
        response = RedirectResponse(to, 303)
        response.set_cookie(
            self.cookie, access.begin(), max_age=SESSION_S, httponly=True, samesite="strict"
        )
        return response

    def _is_for_us(self, headers: Headers) -> bool:
        given = headers.getlist("host")
        host = _host_of(given[0]) if len(given) == 1 else None
        return host is not None and (host in self.hosts or host == "localhost" or _is_ip(host))


def _from_our_page(headers: Headers) -> bool:
    """Whether the browser says that a page of this origin sends this; one has to be said."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    return site is not None


def _host_of(netloc: str) -> str | None:
    try:
        return urlsplit(f"//{netloc}").hostname
    except ValueError:
        return None


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _bearer(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def int_of(text: str) -> int:
    """A number that a client gives; beyond every bound where it is none."""
    return int(text) if re.fullmatch("[0-9]{1,10}", text) else 2**63
