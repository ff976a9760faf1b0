"""Nobody gets in without the token, and no foreign page borrows the session of who has it."""

import re

import httpx
import pytest
import trio

from gossip.errors import StateError
from node.web.access import SESSION_S, Access, load_token
from node.web.guard import BODY_BYTES_MAX, HEADERS
from tests.web.asking import (
    COOKIE,
    HOST,
    KEY,
    OURS,
    TOKEN,
    Clock,
    FakeDesk,
    browser,
    dashboard,
    incident,
    status,
)

PAGES = ["/", "/incidents", f"/incidents/{KEY}", "/neighbours", "/antigens", "/traffic", "/metrics"]


def desk():
    return FakeDesk(status(), incident())


def form_token(text: str) -> str:
    found = re.search(r'name="form" value="([0-9a-f]{64})"', text)
    assert found
    return found[1]


# The token


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    token = load_token(tmp_path / "token")
    assert len(token) >= 43
    assert load_token(tmp_path / "token") == token
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("text", "mode"), [("short", 0o600), ("x" * 40, 0o644)])
def test_a_token_that_is_none_is_refused(tmp_path, text, mode):
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(StateError, match="token"):
        load_token(path)
    assert path.read_text() == text


@pytest.mark.parametrize("path", [*PAGES, "/elsewhere"])
def test_without_a_token_nothing_is_shown(path):
    async def main():
        async with browser(dashboard(found := desk()), inside=False) as client:
            for more in ("", f"?token={TOKEN[:-1]}", "?token=", "?token=%ff"):
                answer = await client.get(path + more)
                assert (answer.status_code, KEY in answer.text) == (401, False)
            client.cookies.set(COOKIE, f"{'0' * 32}.99999999999.{'0' * 64}")
            assert (await client.get(path)).status_code == 401
            assert not found.asked

    trio.run(main)


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get():
    async def main():
        async with browser(dashboard(desk()), inside=False) as client:
            answer = await client.get(f"/traffic?span=day&token={TOKEN}")
            assert (answer.status_code, answer.headers["location"]) == (303, "/traffic?span=day")
            said = answer.headers["set-cookie"].lower()
            assert "httponly" in said
            assert "samesite=strict" in said
            assert TOKEN not in said
            assert (await client.get("/traffic?span=day")).status_code == 200
            away = await client.get(f"http://{HOST}//elsewhere.example/?token={TOKEN}")
            assert away.headers["location"].startswith("/elsewhere")

    trio.run(main)


def test_a_token_can_be_given_by_hand():
    async def main():
        async with browser(dashboard(desk()), inside=False) as client:
            assert (
                await client.post("/login", data={"token": "x"}, headers=OURS)
            ).status_code == 401
            answer = await client.post("/login", data={"token": TOKEN}, headers=OURS)
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
            assert (await client.get("/")).status_code == 200

    trio.run(main)


def test_a_session_ends_with_time_and_with_the_token():
    clock = Clock()
    access = Access(TOKEN, clock)
    cookie = access.begin()
    session = access.session(cookie)
    assert session
    assert Access("u" * 43, clock).session(cookie) is None
    body, _, seal = cookie.rpartition(".")
    assert access.session(f"{body}9.{seal}") is None
    assert access.form_is_ours(session, access.form_token(session))
    assert not access.form_is_ours(session, Access("u" * 43, clock).form_token(session))
    assert access.form_token(session) not in cookie
    clock.s += SESSION_S + 1
    assert access.session(cookie) is None


# Requests


class Chunks(httpx.AsyncByteStream):
    """A body whose length nobody tells."""

    def __init__(self, left: list[bytes]) -> None:
        self._left = left

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


@pytest.mark.parametrize(
    ("host", "served"),
    [
        (HOST, True),
        ("localhost:9000", True),  # by ssh -L
        ("[::1]:8440", True),
        ("gateway.example", True),
        ("Gateway.Example:443", True),
        ("evil.example:8440", False),
        ("127.0.0.1.evil.example", False),
        ("[", False),
    ],
)
def test_a_name_that_somebody_rebound_is_not_served(host, served):
    async def main():
        async with browser(dashboard(desk())) as client:
            answer = await client.get("/static/icon.svg", headers={"Host": host})
            assert answer.status_code == (200 if served else 421)

    trio.run(main)


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        (OURS, True),
        ({"Origin": f"http://{HOST}"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_a_verdict_has_to_come_from_a_page_of_ours(headers, good):
    found = desk()

    async def main():
        async with browser(dashboard(found)) as client:
            token = form_token((await client.get(f"/incidents/{KEY}")).text)
            data = {"form": token, "word": "benign"}
            answer = await client.post(f"/incidents/{KEY}/verdict", data=data, headers=headers)
            assert answer.status_code == (303 if good else 403)

    trio.run(main)
    assert found.known[KEY].verdict == ("benign" if good else "")


def test_a_verdict_needs_the_form_token_of_its_own_session():
    found = desk()

    async def main():
        app = dashboard(found)
        async with browser(app) as one, browser(app) as other:
            stolen = form_token((await other.get(f"/incidents/{KEY}")).text)
            for token in ("", "x", stolen):
                data = {"form": token, "word": "benign"}
                answer = await one.post(f"/incidents/{KEY}/verdict", data=data, headers=OURS)
                assert answer.status_code == 403

    trio.run(main)
    assert not found.known[KEY].verdict


def test_bodies_and_methods_are_bounded():
    async def main():
        async with browser(dashboard(desk())) as client:
            path = f"/incidents/{KEY}/verdict"
            long = "word=" + "x" * BODY_BYTES_MAX
            assert (await client.post(path, content=long, headers=OURS)).status_code == 413

            body = Chunks([b"x" * 1_000] * (BODY_BYTES_MAX // 1_000 + 1))
            known = f"{COOKIE}={client.cookies[COOKIE]}"
            headers = {"Host": HOST, "Cookie": known, **OURS}
            request = httpx.Request("POST", f"http://{HOST}{path}", headers=headers, stream=body)
            assert (await client.send(request)).status_code == 413
            assert (await client.put("/")).status_code == 405
            assert (await client.get(path)).status_code == 405

    trio.run(main)


def test_every_answer_forbids_frames_and_foreign_scripts():
    async def main():
        async with browser(dashboard(desk())) as client:
            for path in (*PAGES, "/elsewhere", "/login", "/static/hedgerow.js", "/static/%2e%2e"):
                answer = await client.get(path)
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS
                assert "unsafe" not in answer.headers["content-security-policy"]
                kept = path.startswith("/static/h")
                assert ("no-store" in answer.headers["cache-control"]) is not kept

    trio.run(main)


def test_metrics_are_for_who_has_the_token_too():
    async def main():
        async with browser(dashboard(desk()), inside=False) as client:
            given = {"Authorization": f"Bearer {TOKEN}"}
            assert (await client.get("/metrics", headers=given)).status_code == 200
            assert (await client.get("/", headers=given)).status_code == 401

    trio.run(main)
