"""Every scenario that comes with Hedgerow: it says what it shows, and does what it expects."""

import tomllib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from node.config.tables import from_table
from scenarios.plan.plan import make_plan
from scenarios.runs.engines import run
from scenarios.runs.expectations import Verdict, verdicts
from scenarios.spec import library
from scenarios.spec.data import Source
from scenarios.spec.scenario import Scenario, read, table
from tests.scenarios.conftest import read_recordings_once

FILES = sorted(path for path in library.FOLDER.glob("*.toml") if path.stem != "baselines")
"""All but the one whose methods have tests of their own."""

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
WORDS_MIN = 60
"""Of an opening comment: what it shows, what was measured, what is expected."""

BROKEN = [
    (library.FOLDER / "partition-and-heal.toml", "links.partition", [
        {"start": "2 min", "end": "365 d", "sides": ["west", "east"]}]),
    (library.FOLDER / "bootstrap-death.toml", "mesh.bootstrap", "0"),
    (library.FOLDER / "immunity.toml", "learning.antigens", False),
]  # fmt: skip
"""A scenario, a key of it, and a value with which it must not do what it expects."""


OTHER_SENSOR = (library.FOLDER / "hospital-labels.toml", "data.factory_sensor", "ipfix")


def of(path):
    return path.stem


def told(path, key="", value=None) -> list[Verdict]:
    """What comes of a scenario's expectations, with one of its keys changed."""
    scenario = read(path)
    if key:
        spec = tomllib.loads(path.read_text(encoding="utf-8"))
        first, last = key.split(".")
        spec[first][last] = value
        scenario = from_table(Scenario, spec, path.stem)
    return verdicts(run(make_plan(scenario, where=str(path)), workers=0), scenario)


def begin() -> None:
    read_recordings_once(pytest.MonkeyPatch())


@pytest.fixture(scope="module")
def verdicts_of(request):
    """Gives what `told` gives. All runs that are asked for begin now, two at a time."""
    asked = [
        tuple(item.callspec.params.values())
        for item in request.session.items
        if item.path == request.path and "verdicts_of" in item.fixturenames
    ]
    spawned = get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawned, initializer=begin) as pool:
        runs = {str(each): pool.submit(told, *each) for each in asked}
        yield lambda *about: runs[str(about)].result()
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("path", FILES, ids=of)
def test_a_scenario_opens_with_a_paragraph_and_turns_itself_into_a_test(path):
    text = path.read_text(encoding="utf-8")
    comment = text[: text.index("\ntitle = ")]
    assert all(line == "#" or line.startswith("# ") for line in comment.splitlines())
    assert len(comment.split()) >= WORDS_MIN
    assert "Measured" in comment
    scenario = read(path)
    make_plan(scenario, where=str(path))
    assert scenario.title == path.stem.replace("-", " ")
    assert scenario.expect
    assert scenario.data.source is not Source.GAUSSIAN
    assert from_table(Scenario, table(scenario), "again") == scenario


@pytest.mark.parametrize("path", FILES, ids=of)
def test_a_scenario_does_what_it_expects(path, verdicts_of):
    assert [each for each in verdicts_of(path) if not each.holds] == []


@pytest.mark.parametrize(("path", "key", "value"), BROKEN, ids=[of(path) for path, _, _ in BROKEN])
def test_an_expectation_fails_where_its_condition_is_broken(path, key, value, verdicts_of):
    assert not all(each.holds for each in verdicts_of(path, key, value))


@pytest.mark.parametrize(("path", "key", "value"), [OTHER_SENSOR], ids=["ipfix"])
def test_labels_of_the_hospital_protect_a_factory_with_another_sensor(
    path, key, value, verdicts_of
):
    assert [each for each in verdicts_of(path, key, value) if not each.holds] == []


@pytest.mark.parametrize("path", FILES, ids=of)
def test_the_page_has_a_row_for_each_scenario(path):
    assert f"| `{path.stem}` |" in PAGE.read_text(encoding="utf-8")
