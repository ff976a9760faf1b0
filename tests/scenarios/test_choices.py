"""Values given beside a scenario file: `--set`, lists for a sweep, seeds, names of the library."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gossip.errors import ConfigError
from node.config.tables import from_table
from scenarios.plan.plan import make_plan
from scenarios.spec import library
from scenarios.spec.choices import changed, checked_list, combinations, given, given_lists, said
from scenarios.spec.choices import seeds as seeds_of
from scenarios.spec.scenario import Scenario, read, table

BASE = from_table(Scenario, {"mesh": {"peers": 8, "duration": "60 s"}}, "test")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("learning.fanout=2", 2),
        ("learning.rate = 0.5", 0.5),
        ("mesh.topology=ring:8", "ring:8"),
        ("mesh.cycle=5 s", "5 s"),
        ('mesh.bootstrap="0"', "0"),
        ("learning.hidden=[16, 8]", [16, 8]),
        ('mesh.groups={ west = "0:4" }', {"west": "0:4"}),
        ("title=2026-01-01", "2026-01-01"),
        ("title=a=b", "a=b"),
    ],
)
def test_a_value_is_toml_or_else_text(text, value):
    assert list(given([text]).values()) == [value]


def test_values_are_checked_like_the_files_own():
    made = changed(BASE, given(["learning.fanout=2", "mesh.cycle=5 s", "learning.hidden=[4]"]))
    assert (made.learning.fanout, made.mesh.cycle_us, made.learning.hidden) == (2, 5_000_000, (4,))
    assert made.mesh.peers == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning.fanuot=2", "--set: learning.fanuot: unknown key, did you mean 'fanout'"),
        ("learning.fanout=two", "--set: learning.fanout: 'two' stands where a whole number"),
        ("mesh.cycle=5", "--set: mesh.cycle: 5 stands where a duration"),
        ("mesh.peers.x=1", "--set: mesh.peers: is no table"),
        ("learning.fanout", "--set 'learning.fanout': write KEY=VALUE"),
        ("learning.fanout=", "write KEY=VALUE"),
        ("learning.hidden=[16", "--set: learning.hidden: '[16' is not TOML"),
        ("mesh.seed=3", "--set: mesh.seed: a run's seed is given with --seed"),
    ],
)
def test_a_wrong_value_names_its_key(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        changed(BASE, given([text]))


def test_a_key_is_given_once():
    with pytest.raises(ConfigError, match=r"learning\.fanout: given twice"):
        given(["learning.fanout=1", "learning.fanout=2"])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("k=1,2,4", [1, 2, 4]),
        ("k=1", [1]),
        ("k=age,epidemic", ["age", "epidemic"]),
        ('k=["ring:8", "regular:8,degree=4"]', ["ring:8", "regular:8,degree=4"]),
        ("k=[16],[32, 8]", [[16], [32, 8]]),
        ("k=[[16], []]", [[16], []]),
        ("k=2 %,5 %", ["2 %", "5 %"]),
    ],
)
def test_a_list_is_values_with_commas_or_toml(text, values):
    assert given_lists([text]) == {"k": values}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k=[]", "k: an empty list"),
        ("k=1,2,1", "k: 1 stands twice"),
        ('k=["a",b', "is not TOML"),
        ("mesh.seed=1,2", "--seeds"),
    ],
)
def test_a_wrong_list_is_refused(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        given_lists([text])


def test_combinations_are_the_cross_product_the_last_key_fastest():
    made = combinations({"a": [1, 2], "b": ["x", "y"]})
    assert [said(each) for each in made] == ["a=1, b=x", "a=1, b=y", "a=2, b=x", "a=2, b=y"]
    assert combinations({}) == [{}]
    with pytest.raises(ConfigError, match="combine to 1000000 scenarios"):
        combinations({"a": [*range(1000)], "b": [*range(1000)]})


@pytest.mark.parametrize(("text", "found"), [("0:3", (0, 1, 2)), ("7, 1,3:5", (7, 1, 3, 4))])
def test_seeds_are_ranges_and_numbers(text, found):
    assert seeds_of(text) == found


@pytest.mark.parametrize("text", ["", "a", "3:3", "1,1", "-1:2", "0:1000000000", "1:2:3"])
def test_wrong_seeds_are_refused(text):
    with pytest.raises(ConfigError, match="seed"):
        seeds_of(text)


def test_a_file_may_hold_lists(tmp_path):
    path = tmp_path / "s.toml"
    text = '[mesh]\npeers = 8\nduration = "60 s"\n[sweep]\n'
    path.write_text(text + 'learning.fanout = [1, 2]\n"mesh.topology" = ["ring:8", "sampling"]\n')
    scenario = read(path)
    assert scenario.sweep == {"learning.fanout": [1, 2], "mesh.topology": ["ring:8", "sampling"]}
    again = from_table(Scenario, table(replace(scenario, sweep={})), "again")
    assert make_plan(again).scenario.learning.fanout == 1
    path.write_text(text + "learning.fanout = 2\n")
    with pytest.raises(ConfigError, match=r"s\.toml: sweep: learning\.fanout holds no list"):
        read(path)
    with pytest.raises(ConfigError, match="stands twice"):
        checked_list("k", [[1], [1]], "s.toml")


def test_the_library_is_found_by_name_where_no_such_file_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert library.find(Path("quiet-mesh")) == library.FOLDER / "quiet-mesh.toml"
    Path("quiet-mesh").write_text("mine")
    assert library.find(Path("quiet-mesh")) == Path("quiet-mesh")
    assert library.find(Path("gone.toml")) == Path("gone.toml")
    with pytest.raises(ConfigError, match=r"quiet-mash: no such file.*did you mean 'quiet-mesh'"):
        library.find(Path("quiet-mash"))


def test_every_scenario_of_the_library_is_listed_with_what_it_shows():
    found = library.entries()
    assert {each.name for each in found} == {path.stem for path in library.FOLDER.glob("*.toml")}
    assert all(each.title and each.shows.endswith((".", ":", "!")) for each in found)
    assert library.first_sentence("# A b.c d\n# e. F.\nx = 1 # g") == "A b.c d e."
