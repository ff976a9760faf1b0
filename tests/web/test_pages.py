"""What the pages say, and that what others say in them is text."""

import re
from html.parser import HTMLParser

import trio

from gossip.features import SCHEMA
from node.web import layout
from node.web.history import History
from node.web.markup import el, join, text
from node.web.wording import FEATURES
from tests.web.asking import (
    KEY,
    NOW_S,
    OURS,
    Clock,
    FakeDesk,
    browser,
    dashboard,
    incident,
    status,
)
from tests.web.test_guard import PAGES, form_token

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}\u202egnp.exe\x1b[2J"
VOID = {"meta", "link", "img", "input", "br", "option"}


class Reader(HTMLParser):
    """Collects elements, and checks that all that begins ends."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID - {"option"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader


def pages_of(desk: FakeDesk) -> dict[str, str]:
    found = {}

    async def main():
        async with browser(dashboard(desk)) as client:
            for path in (*PAGES[:-1], "/traffic?span=day", "/elsewhere"):
                answer = await client.get(path)
                assert answer.status_code == (404 if path == "/elsewhere" else 200)
                found[path] = answer.text

    trio.run(main)
    return found


def test_what_others_say_is_text():
    for path, page in pages_of(FakeDesk(status(HOSTILE), incident(HOSTILE))).items():
        reader = read(page)
        scripts = [attributes for tag, attributes in reader.elements if tag == "script"]
        assert len(scripts) == 3, path
        assert all((each["src"] or "").startswith("/static/") for each in scripts)
        names = {name for _, attributes in reader.elements for name in attributes}
        assert not {name for name in names if name.startswith("on") or name == "style"}
        assert not re.search("[\u202e\x1b]", page)


def test_pages_can_be_used_without_a_mouse_or_a_script():
    for path, page in pages_of(FakeDesk(status(), incident())).items():
        reader = read(page)
        tags = [tag for tag, _ in reader.elements]
        assert (tags.count("h1"), tags.count("main"), tags.count("nav")) == (1, 1, 1), path
        ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
        assert len(ids) == len(set(ids)), path
        labelled = [a["for"] for tag, a in reader.elements if tag == "label"]
        chosen = [a["id"] for tag, a in reader.elements if tag == "select"]
        assert labelled == chosen
        for tag, attributes in reader.elements:
            if "aria-labelledby" in attributes:
                assert attributes["aria-labelledby"] in ids
            if tag == "svg":
                assert attributes["aria-label"]
            link = attributes.get("href") or attributes.get("src") or "/"
            assert link.startswith(("/", "#")), "everything is served here"


def test_a_node_that_has_just_begun_has_pages_too():
    empty = status(mesh=type(status().mesh)(), sensors=(), detector=type(status().detector)())
    for page in pages_of_some(FakeDesk(empty), ["/", "/incidents", "/neighbours", "/traffic"]):
        read(page)


def pages_of_some(desk, paths):
    found = []

    async def main():
        async with browser(dashboard(desk)) as client:
            found.extend([(await client.get(path)).text for path in paths])

    trio.run(main)
    return found


def test_a_verdict_is_said_kept_and_taken_back():
    desk, clock = FakeDesk(status(), incident("scan")), Clock()

    async def main():
        async with browser(dashboard(desk, clock)) as client:
            page = f"/incidents/{KEY}"

            async def say(word):
                data = {"form": form_token((await client.get(page)).text), "word": word}
                answer = await client.post(f"{page}/verdict", data=data, headers=OURS)
                assert (answer.status_code, answer.headers["location"]) == (303, page)
                return (await client.get(page)).text

            told = await say("benign")
            assert "learnt from next" in told
            assert "Take it back" in told
            assert desk.known[KEY].verdict_by == "dashboard"
            clock.s += 60
            assert "learnt from next" not in (await client.get(page)).text
            assert "is no verdict" in await say("")
            data = {"form": form_token((await client.get(page)).text), "word": "benign"}
            gone = await client.post("/incidents/none/verdict", data=data, headers=OURS)
            assert gone.headers["location"] == "/incidents"

    trio.run(main)


def test_several_who_look_cost_one_status():
    desk, clock = FakeDesk(status(), incident()), Clock()

    async def main():
        async with browser(dashboard(desk, clock)) as client:
            for path in PAGES:
                await client.get(path)
            assert desk.asked == 1
            clock.s += 2
            await client.get("/")
            assert desk.asked == 2

    trio.run(main)


def test_markup_escapes_all_that_it_did_not_make():
    assert el("a", "<b>", None, [1, el("i")], href='"&', x_y=True, no=False) == (
        '<a href="&quot;&amp;" x-y>&lt;b&gt;1<i></i></a>'
    )
    assert join("&", el("br")) == "&amp;<br>"
    assert text("\x00\u2066") == "\\x00\\u2066"


def test_every_feature_has_words():
    assert set(FEATURES) == set(SCHEMA)


def test_history_is_bounded_and_keeps_an_hour_and_a_day():
    history, found = History(), status()
    for number in range(10_000):
        history.add(NOW_S + 10 * number, found)
    assert (len(history.hour), len(history.day)) == (360, 289)
    assert history.day[-1] == history.hour[-1]
    assert history.hour[-1].ts_s - history.hour[0].ts_s == 3_590
    assert history.day[-2].ts_s - history.day[0].ts_s == 287 * 300


def test_everything_that_a_page_names_is_there():
    names = {path.name for path in layout.STATIC.iterdir()}
    assert {"hedgerow.css", "hedgerow.js", "htmx.min.js", "idiomorph-ext.min.js"} < names
    assert {"htmx.LICENSE.txt", "idiomorph.LICENSE.txt"} < names
