"""`hedgerow compare`: what is set side by side, and what is warned of."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from gossip.errors import ConfigError, StateError
from node.cli import cli
from scenarios.measures.seeds import number, over
from scenarios.runs import results
from scenarios.sweep.columns import Column, columns, columns_of, differences, warnings
from scenarios.sweep.compare import compare, compare_folders, parse_target
from scenarios.sweep.sweep import Means, sweep_file
from tests.scenarios.test_sweep import TINY

QUIET = Console(file=StringIO())


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Path:
    """A sweep over two lengths of training, and folders of single runs and of several seeds."""
    folder = tmp_path_factory.mktemp("compared")
    path = folder / "tiny.toml"
    path.write_text(TINY.replace('"30 s"', '"60 s"'))
    lists = {"learning.fanout": [1, 3]}
    sweep_file(path, lists, (0, 1), folder / "sweep", Means(), console=QUIET, notes=QUIET)
    for name, more in {
        "single": ["--seed", "0"],
        "seeds": ["--seeds", "0:2", "--set", "learning.fanout=3"],
        "short": ["--seeds", "0:2", "--set", "mesh.duration=30 s"],
        "other": ["--seeds", "2:4", "--set", "data.separation=2.0"],
    }.items():
        done = CliRunner().invoke(cli, ["simulate", str(path), *more, "--out", str(folder / name)])
        assert done.exit_code == 0, done.output
    return folder


def test_a_sweep_gives_a_column_for_each_combination(found):
    made = columns([str(found / "sweep")])
    assert [(each.name, each.seeds) for each in made] == [
        ("learning.fanout=1", (0, 1)),
        ("learning.fanout=3", (0, 1)),
    ]
    (picked, seeds) = columns([f"{found / 'sweep'}:learning.fanout=3", str(found / "seeds")])
    assert picked.name == "learning.fanout=3"
    assert differences(picked, seeds) == {}
    assert [a.trace_hash for a in picked.runs] == [b.trace_hash for b in seeds.runs]
    assert warnings([picked, seeds]) == []
    assert differences(*made) == {"learning.fanout": (1, 3)}


def test_means_spread_and_difference_are_those_of_the_runs(found):
    made = columns([str(found / "single"), str(found / "seeds")])
    end, *_ = compare(made)
    lines = dict(end.lines)
    runs = [results.load(found / "seeds" / f"seed-{seed}") for seed in (0, 1)]
    aucs = [run.samples[-1].metrics["auc"].mean for run in runs]
    single, several = lines["auc.mean"]
    assert several.mean == pytest.approx(sum(aucs) / 2)
    assert several.deviation == pytest.approx(abs(aucs[0] - aucs[1]) / 2**0.5)
    assert (several.low, several.high, several.n) == (min(aucs), max(aucs), 2)
    assert (single.n, single.text()) == (1, number(single.mean))
    assert "detection.worst" in lines


def test_equal_steps_and_bytes_are_taken_from_the_middle_of_longer_runs(found):
    """The mesh that ran twice as long is judged as it was when the short one ended."""
    long, short = made = columns([f"{found / 'sweep'}:learning.fanout=1", str(found / "short")])
    end, steps, sent = (dict(part.lines) for part in compare(made))
    assert end["trainings_per_peer"][0].mean > 1.7 * end["trainings_per_peer"][1].mean
    assert steps["trainings_per_peer"][0].mean < 1.2 * steps["trainings_per_peer"][1].mean
    ends = min(each.samples[-1].metrics["bytes_per_peer"].mean for each in short.runs)
    middles = {each.metrics["bytes_per_peer"].mean for run in long.runs for each in run.samples}
    assert sent["bytes_per_peer.mean"][0].low in middles
    assert sent["bytes_per_peer.mean"][0].mean == pytest.approx(ends, rel=0.5)


def test_equal_steps_count_gradient_steps_where_trainings_differ_in_them(found):
    """A training of two steps is not one of one, however the runs count them."""
    (long,) = columns_of(f"{found / 'sweep'}:learning.fanout=1")
    doubled = Column("doubled", tuple(_with_steps(run, 2) for run in long.runs))
    _, steps, _ = compare([long, doubled])
    plain, twice = dict(steps.lines)["trainings_per_peer"]
    assert "gradient steps" in steps.title
    assert twice.mean == pytest.approx(plain.mean / 2, rel=0.35)


def _with_steps(run, steps):
    return replace(run, spec={**run.spec, "learning": {**run.spec["learning"], "steps": steps}})


def test_a_table_in_a_file_is_as_wide_as_it_is(found):
    """Nobody can widen a file: figures cut short would be lost."""
    text = StringIO()
    names = [f"{found / 'sweep'}:learning.fanout=1", *[str(found / "seeds")] * 9]
    compare_folders(names, console=Console(file=text, width=60), notes=Console(file=StringIO()))
    assert "…" not in text.getvalue()
    assert "J - A" in text.getvalue()


def test_the_way_to_a_target_counts_the_seeds_that_reach_it(found):
    made = columns([str(found / "single"), str(found / "short")])
    *_, there, never = compare(made, [parse_target("up >= 4"), parse_target("up > 4")])
    lines = dict(there.lines)
    assert [each.mean for each in lines["share of seeds"]] == [1.0, 1.0]
    run = results.load(found / "single")
    first = next(each for each in run.samples if each.up >= 4)
    assert lines["simulated seconds"][0].mean == first.at_us / 1e6
    assert lines["cycles_per_peer"][0].mean == first.cycles / 4
    assert [each.mean for each in dict(never.lines)["share of seeds"]] == [0.0, 0.0]
    assert dict(never.lines)["simulated seconds"][0].text() == "-"


def test_what_makes_a_comparison_unfair_is_warned_of(found):
    said = "\n".join(warnings(columns([str(found / "seeds"), str(found / "other")])))
    assert "have different seeds: 0, 1 and 2, 3" in said
    assert "learn from different data: data.separation" in said
    said = "\n".join(warnings(columns([str(found / "seeds"), str(found / "short")])))
    assert "differ in 2 keys: mesh.duration, learning.fanout" in said


def test_the_command_prints_tables_or_json(found):
    names = [str(found / "single"), str(found / "seeds")]
    shown = Console(file=StringIO(), width=100)
    compare_folders(names, ["up >= 4"], console=shown, notes=QUIET)
    text = shown.file.getvalue()
    for part in "at the end", "at equal steps", "at equal bytes", "to up >= 4", "B - A", "auc.mean":
        assert part in text
    assert "learning.fanout: 1 in A, 3 here" in text
    done = CliRunner().invoke(cli, ["compare", *names, "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["columns"][1]["differs"] == {"learning.fanout": {"first": 1, "here": 3}}
    assert "different seeds" in document["warnings"][0]
    metric = document["parts"][0]["metrics"]["auc.mean"]
    one, two = (each["mean"] for each in metric["columns"])
    assert metric["differences"] == [0.0, two - one]
    assert metric["columns"][0]["deviation"] is None


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["single"], "there is only .*single to compare"),
        (["single", "gone"], "gone: holds no results; name a folder"),
        (["sweep:learning.rate=1", "single"], "'learning.rate' is not varied there"),
        (["sweep:learning.fanout=2", "single"], "no finished run has learning.fanout=2"),
        (["single:learning.fanout=1", "seeds"], "only a sweep's folder takes KEY=VALUE"),
    ],
)
def test_folders_without_results_are_refused(found, names, said):
    with pytest.raises(ConfigError, match=said):
        columns([str(found / name) for name in names])


def test_a_damaged_result_is_refused(found, tmp_path):
    (tmp_path / "result.json").write_text('{"format": 3}')
    with pytest.raises(StateError, match="result"):
        columns([str(found / "single"), str(tmp_path)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("detection.mean", "write a metric and a bound"),
        ("detektion >= 0.8", "did you mean 'detection'"),
        ("detection >= much", "no bound"),
        ("detection at 5 min >= 0.8", "leave 'at"),
    ],
)
def test_a_malformed_target_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_target(text)


def test_numbers_that_are_missing_count_for_nothing():
    nan = float("nan")
    found = over([1.0, nan, 3.0])
    assert (found.mean, found.n, found.deviation) == (2.0, 2, pytest.approx(2**0.5))
    assert over([nan]).text() == over([nan]).short() == "-"
    shown = [number(value) for value in (0.1234, 2.0, 12.345, 123.4, 43_210.0, 1.5e7)]
    assert shown == ["0.123", "2", "12.3", "123", "43.2 k", "15.00 M"]
