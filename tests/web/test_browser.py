"""A person with a browser: two nodes meet, an attack comes, she says what it was, and it stays.

With HEDGEROW_SCREENSHOTS=docs/img the pictures of the documentation are made on the way; then it
waits half a minute for a line to draw.
"""

import io
import lzma
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from node.control import requests
from scenarios import recordings
from tests.node.processes import Factory, address_of
from tests.node.traffic import write

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright, a developers' tool")
CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
PAGES = ("/", "/incidents", "/neighbours", "/antigens", "/traffic")
SCANNER = "198.18.1.66"
SCREENSHOTS = os.environ.get("HEDGEROW_SCREENSHOTS")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium, as Debian's package chromium installs it"
)


def recorded(name: str, count: int | None = None) -> list[bytes]:
    with lzma.open(recordings.path(name), "rb") as stream:
        return [line.rstrip(b"\n") for line in islice(stream, count)]


@contextmanager
def browsing(**how) -> Iterator:
    """A page of a headless Chromium; nothing may be said on its console, nor break a policy."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield lambda **more: opened(browser, **how, **more)
        finally:
            browser.close()


def opened(browser, *, width=1200, height=860, scheme="light"):
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    return page


def test_a_verdict_given_in_a_browser_stays(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("gateway", numbered=False)
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    quiet, attack = recorded("hospital-benign.eve.json.xz"), recorded("hospital.eve.json.xz", 1_500)
    log = write(tmp_path / "eve.json", quiet)
    other = write(tmp_path / "other.json", quiet)
    flags = ("--no-labels", "--budget", "1%", "--cycle", "100 ms", "--sensor")
    served = ("--dashboard", "127.0.0.1:0", "--name", "ward-3")
    factory = Factory()
    with (
        factory.node(tmp_path / "a", *served, *flags, f"suricata:{log}") as one,
        browsing() as browser,
    ):
        address = address_of(one)
        url = one.says(r"dashboard: (http://127\.0\.0\.1:\d+)/ \(its token is in")[1]
        token = (tmp_path / "a" / "dashboard-token").read_text().strip()
        assert token not in one.output
        with factory.node(
            tmp_path / "b", "--name", "icu-1", *flags, f"suricata:{other}", join=address
        ) as two:
            friend = address_of(two).rpartition("/")[2]
            page = browser()
            enter(page, url, token)
            see_them_meet(page, url, friend)
            one.status(tmp_path / "a", lambda s: s.detector.state == "watching")
            key = see_an_incident(page, url, lambda: write(log, attack))
            keep_what_is_chosen(page, url)
            page.goto(f"{url}/incidents/{key}")
            give_a_verdict(page)
            found = {each.key: each for each in requests.incidents(tmp_path / "a" / "status.sock")}
            assert (found[key].verdict, found[key].verdict_by) == ("scan", "dashboard")
            phone = browser(width=390, height=844, scheme="dark")
            enter(phone, url, token)
            read_on_a_phone(phone, url, key)
            take_pictures(page, phone, url, key)
            assert not page.said + phone.said
        one.signal(2)
        assert one.end() == 0
        page.evaluate("htmx.trigger('#page', 'refresh')")
        sync_api.expect(page.get_by_role("alert")).to_contain_text("The node does not answer")
    factory.close()


def enter(page, url, token):
    page.goto(f"{url}/")
    sync_api.expect(page.get_by_label("Token")).to_be_focused()
    # The browser itself tells of answers that are errors; this one is meant.
    assert len(page.said) == 1
    page.said.clear()
    page.goto(f"{url}/?token={token}")
    assert page.url == f"{url}/"
    sync_api.expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.keyboard.press("Tab")
    sync_api.expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    sync_api.expect(page.get_by_role("main")).to_be_focused()


def see_them_meet(page, url, friend):
    page.goto(f"{url}/neighbours")
    row = page.locator(f"#peer-{friend}")
    sync_api.expect(row).to_contain_text("connected")
    sync_api.expect(row.locator("[data-label='Models merged']")).not_to_have_text("0")
    sync_api.expect(page.locator("svg.mesh")).to_have_attribute(
        "aria-label", "This node, connected to 1 of 1 known peer"
    )


def see_an_incident(page, url, attack) -> str:
    """The page brings it by itself, and what a person is at stays as it is."""
    page.goto(f"{url}/incidents")
    held = page.locator("nav a").nth(3)
    held.focus()
    attack()
    link = page.get_by_role("link", name=re.compile(f"^scan from {SCANNER}$|from {SCANNER}$"))
    sync_api.expect(link.first).to_be_visible()
    sync_api.expect(held).to_be_focused()
    key = link.first.get_attribute("href").rpartition("/")[2]
    link.first.click()
    sync_api.expect(page.get_by_role("heading", level=1)).to_contain_text(SCANNER)
    explained = page.get_by_role("table", name="What made the oddest flow stand out")
    assert explained.get_by_role("row").count() > 2
    return key


def keep_what_is_chosen(page, url):
    """An update changes neither what is folded open nor a choice that is not sent yet."""
    chosen = page.get_by_label("Another family")
    chosen.select_option("malware")
    update(page)
    sync_api.expect(chosen).to_have_value("malware")
    page.goto(f"{url}/antigens")
    page.locator("summary").press("Enter")
    update(page)
    sync_api.expect(page.get_by_text("made by this node")).to_be_visible()


def update(page):
    """Now, and not in three seconds."""
    page.evaluate("document.getElementById('health').dataset.old = '1'")
    page.evaluate("htmx.trigger('#page', 'refresh')")
    sync_api.expect(page.locator("#health[data-old]")).to_have_count(0)


def give_a_verdict(page):
    sync_api.expect(page.get_by_text("Nobody has said yet")).to_be_visible()
    page.get_by_label("Another family").select_option("scan")
    page.get_by_role("button", name="Say so").press("Enter")
    sync_api.expect(page.locator("#verdict-now")).to_have_text("It was scan by dashboard.")
    page.reload()
    sync_api.expect(page.locator("#verdict-now")).to_have_text("It was scan by dashboard.")


def read_on_a_phone(page, url, key):
    for path in (*PAGES, f"/incidents/{key}"):
        page.goto(f"{url}{path}")
        sync_api.expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 19)"


def take_pictures(page, phone, url, key):
    """For the documentation, where they are asked for."""
    if SCREENSHOTS is None:
        return
    page.goto(f"{url}/traffic")
    sync_api.expect(page.locator("svg.chart").first).to_be_visible()
    pictures = (
        (page, "/", "dashboard"),
        (page, f"/incidents/{key}", "dashboard-incident"),
        (phone, f"/incidents/{key}", "dashboard-phone"),
    )
    for of, path, name in pictures:
        of.goto(f"{url}{path}")
        save(of.screenshot(full_page=name != "dashboard-phone"), Path(SCREENSHOTS) / f"{name}.png")


def save(png: bytes, path: Path) -> None:
    """With a palette of 128 colours: a third of the bytes, and no difference to be seen."""
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib, and only pictures need it

    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
