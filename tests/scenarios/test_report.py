"""A folder of results becomes one page that loads nothing, and a scenario that runs again."""

import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from math import nan
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from gossip.errors import ConfigError, ExpectationError, LocalError, StateError
from node.cli import cli
from node.cli.report import reported
from node.config.tables import from_table
from scenarios.measures.samples import Spread
from scenarios.plan.plan import make_plan
from scenarios.report import curves, meshes
from scenarios.report.run import read_run
from scenarios.report.single import told
from scenarios.report.story import clock, planned, story
from scenarios.report.style import COLUMN, PAGE, drawing, label
from scenarios.report.toml import written
from scenarios.report.write import write_report
from scenarios.runs.results import Result, load, save
from scenarios.runs.simulate import simulate
from scenarios.spec.scenario import Scenario, read, table

SECOND_US = 1_000_000
TITLE = 'a <script>alert("1")</script> & $x_1$'
SECTIONS = [
    "expectations", "faults", "models", "consensus", "bytes", "views", "mesh", "data", "frames",
    "scenario", "repeat", "missing",
]  # fmt: skip


def scenario(**tables) -> Scenario:
    return from_table(
        Scenario,
        {
            "title": TITLE,
            "mesh": {
                "peers": 12, "duration": "120 s", "seed": 3,
                "groups": {"west": "0:6", "east": "6:12"},
            },
            "data": {"rows": 30, "features": 6, "classes": 3, "test_rows": 90, "separation": 0.8},
            "learning": {"steps": 2, "batch": 16, "evaluate": "20 s", "alarm_budget": "5 %"},
            "links": {"partition": [{"start": "50 s", "end": "100 s", "sides": ["west"]}]},
            "churn": {"outage": [{"groups": ["east"], "every": "1 min", "lasts": "10 s"}]},
            "event": [{"at": "70 s", "do": "crash", "peers": "0:2"}],
            "expect": {"parts": "1", "detection.mean of west at 80 s": "< 1 %"},
            **tables,
        },
        "test",
    )  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate(scenario())


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save(result, folder)
    write_report(folder, "svg")
    return folder


class Page(HTMLParser):
    """What a page consists of; every element is closed in its turn."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.addresses += [
            value for name, value in attrs if name in {"href", "src", "xlink:href", "srcset"}
        ]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_page_has_every_section_and_loads_nothing(folder):
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert [each for each in page.ids if each in SECTIONS] == SECTIONS
    assert len(page.ids) == len(set(page.ids))
    figures = page.tags.count("figure")
    assert figures >= 12
    # Each for wide and for narrow windows, but for the picture of the data.
    assert page.tags.count("svg") == text.count('role="img"') == 2 * figures - 1
    assert all(each.startswith(("#", "data:image/png;base64,")) for each in page.addresses)
    assert {each[1:] for each in page.addresses if each[0] == "#"} <= set(page.ids)
    assert "script" not in page.tags
    assert TITLE in page.text
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert "FAILS" in page.text
    assert "holds" in page.text


def test_the_same_results_give_the_same_bytes(folder, result, tmp_path):
    save(result, tmp_path)
    write_report(tmp_path, "svg")
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_scenario_beside_a_page_repeats_the_run(folder, result):
    again = read(folder / "scenario.toml")
    assert table(again) == result.spec
    assert simulate(again, 3).trace_hash == result.trace_hash
    command = "hedgerow simulate scenario.toml --seed 3 --out again"
    assert command in (folder / "report.html").read_text()
    assert from_table(Scenario, told(again), "short") == again


def test_figures_are_files_for_a_paper(folder, tmp_path):
    figures = sorted((folder / "figures").glob("*.svg"))
    assert {"detection", "timeline", "mesh", "families", "named", "bytes", "data"} <= {
        each.stem for each in figures
    }
    for path in figures:
        root = ET.fromstring(path.read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.findall(".//{http://www.w3.org/2000/svg}text"), path  # and not outlines
    detection = next(each for each in figures if each.stem == "detection")
    assert ET.fromstring(detection.read_text()).get("width") == f"{72 * COLUMN.width:g}pt"
    plot = curves.curves(read_run(folder).result.samples, _story(folder), 0.05)[0][0]
    with drawing(PAGE):
        axes = plot.build(PAGE).axes[0]
    assert axes.get_xlabel() == "simulated time (s)"
    assert axes.get_ylabel() == "attack rows (%)"
    assert axes.get_xlim() == (0.0, 120.0)


def _story(folder):
    return read_run(folder).story


def test_png_figures_are_pictures(result, tmp_path):
    save(replace(result, samples=result.samples[:1]), tmp_path)
    write_report(tmp_path, "png")
    pictures = list((tmp_path / "figures").iterdir())
    assert pictures
    assert all(each.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for each in pictures)


def test_who_was_up_is_known_at_every_moment_or_at_the_samples(result):
    asked = scenario()
    plan, why = planned(result, asked, "test")
    known = story(result, asked, plan, why)
    assert known.exact
    assert known.up[0] == (0, 0)
    assert known.up[-1][1] == result.samples[-1].up
    kinds = {row.kind: row.spans for row in known.rows}
    assert kinds["partition"] == ((50 * SECOND_US, 100 * SECOND_US),)
    assert kinds["event"] == ((70 * SECOND_US, 70 * SECOND_US),)
    outages = {(start, end) for start, end in kinds["outage"] if 0 < start < end <= 120 * SECOND_US}
    assert outages == set(kinds["outage"]) != set()
    other = replace(result, samples=(replace(result.samples[0], up=1), *result.samples[1:]))
    coarse = story(other, asked, make_plan(asked))
    assert not coarse.exact
    assert coarse.up[0] == (20 * SECOND_US, 1)
    assert "other peers" in coarse.why
    assert [clock(seconds * SECOND_US).unit for seconds in (2, 240, 14_400, 345_600)] == [
        "s", "min", "h", "days",
    ]  # fmt: skip


def test_the_mesh_is_drawn_when_something_happened(result):
    asked = scenario()
    chosen = sorted(at // SECOND_US for at in meshes.moments(result.samples, asked))
    assert chosen == [20, 40, 60, 80, 100, 120]
    many = [replace(result.samples[0], at_us=at * SECOND_US, up=12) for at in range(1, 121)]
    many[29] = replace(many[29], up=5)
    chosen = sorted(at // SECOND_US for at in meshes.moments(many, asked))
    assert len(chosen) == 6
    assert {1, 30, 99, 100, 120} <= set(chosen)


def test_what_there_is_not_is_said(result, tmp_path):
    nothing = Spread(nan, nan, nan, 0)
    blind = [
        replace(
            sample, calibrated=0, groups={}, consensus=nan, view_sizes={}, in_degrees={},
            metrics={
                name: each if name == "bytes_per_peer" else nothing
                for name, each in sample.metrics.items() if ":" not in name
            },
        )
        for sample in result.samples
    ]  # fmt: skip
    save(
        replace(
            result, engine="lab", samples=tuple(blind), judged=(), mesh=(), holdings=None,
            trace_hash="", complete=False, bytes_sent=(0,) * 12, bytes_received=(0,) * 12,
        ),
        tmp_path,
    )  # fmt: skip
    page = Page(write_report(tmp_path).read_text())
    for words in (
        "was interrupted at 2 min", "Detection: no judged peer ever had a threshold", "AUC: no",
        "Bytes: nobody sent any", "Data: this engine", "no trace hash", "--engine lab",
    ):  # fmt: skip
        assert words in page.text
    save(replace(result, samples=(), judged=(), mesh=(), complete=False), tmp_path)
    assert "It has no sample" in Page(write_report(tmp_path).read_text()).text


def test_several_seeds_are_one_page(result, tmp_path):
    for seed in (3, 4):
        spec = {**result.spec, "mesh": {**result.spec["mesh"], "seed": seed}}
        save(replace(result, seed=seed, spec=spec), tmp_path / f"seed-{seed}")
    text = write_report(tmp_path, "svg").read_text()
    page = Page(text)
    assert "2 runs of 12 peers" in page.text
    assert "FAILS, seed 3, 4" in page.text
    assert "hedgerow simulate scenario.toml --seeds 3,4 --out again" in page.text
    assert table(read(tmp_path / "scenario.toml")) == result.spec
    assert (tmp_path / "figures" / "at-the-end.svg").is_file()


def test_a_sweep_is_one_page(tmp_path):
    path = tmp_path / "sweep.toml"
    small = told(scenario(expect={}, churn={}, event=[], links={}))
    small["mesh"]["duration"] = "40 s"
    path.write_text(written({**small, "sweep": {"learning.fanout": [1, 2]}}))
    run = CliRunner().invoke(cli, ["sweep", str(path), "--out", str(tmp_path / "out")])
    assert run.exit_code == 0
    run = CliRunner().invoke(cli, ["report", str(tmp_path / "out")])
    assert run.output == f"wrote {tmp_path / 'out' / 'report.html'}\n"
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert "a sweep over learning.fanout, 2 combinations with 1 seed each" in page.text
    assert "fanout=2" in page.text
    assert read(tmp_path / "out" / "scenario.toml").sweep == {"learning.fanout": [1, 2]}


def test_toml_reads_back_as_it_was():
    odd = {
        "title": 'quotes " \\ \n and \x7f, ünï',
        "numbers": [1, -2.5, 1e-05, True],
        "empty": [],
        "key with space": {"a.b": [{"c": [1]}, {"c": []}], "inner": {"x": {}}},
        "mixed": [1, {"a": "b"}],
    }
    assert tomllib.loads(written(odd)) == odd


def test_labels_of_users_are_harmless():
    assert label("_hidden") == " _hidden"
    assert label("a\nb\x00") == "a?b?"
    assert len(label("x" * 500)) == 28


def test_a_folder_without_results_is_refused_in_a_line(tmp_path, result):
    with pytest.raises(StateError, match="holds no results; name a folder"):
        write_report(tmp_path)
    save(result, tmp_path)
    (tmp_path / "mesh.jsonl").write_text(
        '{"at_us": 20000000, "up": "0:99", "sides": [], "edges": null}'
    )
    with pytest.raises(StateError, match="does not fit its own scenario"):
        write_report(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mesh.jsonl", "peers.jsonl", "result.json",
    ]  # fmt: skip


def test_only_the_moments_that_are_drawn_are_read(folder):
    some = load(folder, details=True, moments=frozenset({40 * SECOND_US}))
    assert [each.at_us for each in some.mesh] == [40 * SECOND_US]
    assert {each.at_us for each in some.judged} == {40 * SECOND_US}


@pytest.mark.parametrize("error", [ExpectationError, LocalError, KeyboardInterrupt])
def test_a_run_that_ends_badly_is_reported_too(result, tmp_path, error):
    def run() -> None:
        with reported(tmp_path):
            save(replace(result, samples=()), tmp_path)
            raise error

    with pytest.raises(error):
        run()
    assert (tmp_path / "report.html").is_file()


def test_a_run_is_reported_where_it_is_asked_for(tmp_path):
    path, out = tmp_path / "small.toml", tmp_path / "out"
    path.write_text('mesh = { peers = 2, duration = "5 s" }\ndata.rows = 20\n')
    command = ["simulate", str(path), "--report"]
    run = CliRunner().invoke(cli, command)
    assert isinstance(run.exception, ConfigError)
    assert "give --out" in str(run.exception)
    run = CliRunner().invoke(cli, [*command, "--out", str(out)])
    assert run.exit_code == 0
    assert f"wrote {out / 'report.html'}" in run.output
    assert "2 peers learned" in (out / "report.html").read_text()


def test_a_run_that_never_began_is_not_reported(result, tmp_path):
    save(result, tmp_path)

    def run() -> None:
        with reported(tmp_path):
            raise StateError("no")

    with pytest.raises(StateError):
        run()
    assert not (tmp_path / "report.html").exists()


def test_long_runs_are_thinned(result):
    long = [replace(result.samples[0], at_us=at) for at in range(1, 2_001)]
    drawn = curves.thinned(long)
    assert len(drawn) == curves.POINTS_MAX
    assert (drawn[0], drawn[-1]) == (long[0], long[-1])


def test_large_meshes_are_drawn_in_part(folder):
    run = read_run(folder)
    ring = tuple((peer + 1,) if peer < 399 else () for peer in range(400))
    shot = replace(run.result.mesh[0], up="0:400", sides=(), edges=ring)
    large = replace(run.scenario, mesh=replace(run.scenario.mesh, peers=400))
    plot, _ = meshes.mesh(replace(run.result, mesh=(shot,)), large, {})
    assert plot is not None
    assert "every third of 400 peers" in plot.caption
    silent = replace(shot, edges=None)
    plot, _ = meshes.mesh(replace(run.result, mesh=(silent,)), large, {})
    assert plot is not None
    assert "Lines are left out" in plot.caption
