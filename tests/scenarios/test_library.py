"""Every scenario that comes with Hedgerow: it says what it shows, and does what it expects."""

import tomllib
from pathlib import Path

import pytest

from node.config.tables import from_table
from scenarios.plan.plan import make_plan
from scenarios.runs.engines import run
from scenarios.runs.expectations import verdicts
from scenarios.spec import library
from scenarios.spec.data import Source
from scenarios.spec.scenario import Scenario, read, table

pytestmark = pytest.mark.usefixtures("recordings_read_once")

FILES = sorted(path for path in library.FOLDER.glob("*.toml") if path.stem != "baselines")
"""All but the one whose methods have tests of their own."""

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
WORDS_MIN = 60
"""Of an opening comment: what it shows, what was measured, what is expected."""

BROKEN = [
    ("partition-and-heal", "links.partition", [
        {"start": "2 min", "end": "365 d", "sides": ["west", "east"]}]),
    ("bootstrap-death", "mesh.bootstrap", "0"),
    ("immunity", "learning.antigens", False),
]  # fmt: skip
"""A scenario, a key of it, and a value with which it must not do what it expects."""


def of(path):
    return path.stem


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
def test_a_scenario_does_what_it_expects(path):
    scenario = read(path)
    told = verdicts(run(make_plan(scenario, where=str(path)), workers=0), scenario)
    assert [each for each in told if not each.holds] == []


@pytest.mark.parametrize(("name", "key", "value"), BROKEN, ids=[name for name, _, _ in BROKEN])
def test_an_expectation_fails_where_its_condition_is_broken(name, key, value):
    spec = tomllib.loads((library.FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    first, last = key.split(".")
    spec[first][last] = value
    scenario = from_table(Scenario, spec, name)
    told = verdicts(run(make_plan(scenario, where=name), workers=0), scenario)
    assert not all(each.holds for each in told)


def test_labels_of_the_hospital_protect_a_factory_with_another_sensor():
    spec = tomllib.loads((library.FOLDER / "hospital-labels.toml").read_text(encoding="utf-8"))
    spec["data"]["factory_sensor"] = "ipfix"
    scenario = from_table(Scenario, spec, "ipfix")
    told = verdicts(run(make_plan(scenario, where="ipfix"), workers=0), scenario)
    assert [each for each in told if not each.holds] == []


@pytest.mark.parametrize("path", FILES, ids=of)
def test_the_page_has_a_row_for_each_scenario(path):
    assert f"| `{path.stem}` |" in PAGE.read_text(encoding="utf-8")
