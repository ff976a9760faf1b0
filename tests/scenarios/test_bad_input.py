"""What a careless or hostile hand writes into a scenario: refused before work, in one message."""

import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from gossip.errors import ConfigError, StateError
from node import cli
from node.config.tables import load
from scenarios.conditions.selectors import select
from scenarios.plan import churn, size
from scenarios.plan.plan import make_plan
from scenarios.runs import results
from scenarios.runs.show import simulate_file
from scenarios.runs.simulate import set_up, simulate
from scenarios.spec import choices, library
from scenarios.spec.scenario import Scenario, read
from scenarios.sweep.compare import compare_folders
from scenarios.sweep.grid import make_grid

BASE = '[mesh]\npeers = 20\nduration = "100 s"\n'


@pytest.fixture(name="plan")
def _plan(tmp_path):
    def plan(text):
        path = tmp_path / "trial.toml"
        path.write_text(text)
        return make_plan(read(path), where="trial.toml")

    return plan


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ('[learning]\nevaluate = "1 us"', "learning.evaluate", "100,000,000 looks"),
        (
            '[[links.rule]]\nlatency = "1 ms"\nkbit_per_s = 0.0001',
            "links.rule[1].kbit_per_s",
            "bit",
        ),
        ('[[event]]\nat = "1 s"\ndo = "crash"\npeers = "1 %"', "event[1].peers", "is nobody"),
        ('[[event]]\nat = "1 s"\ndo = "crash"\npeers = "٣"', "event[1].peers", "names no peers"),
        ("[links]\nrule = [" + "{ drop = 0.1 }," * 1_001 + "]", "links.rule", "1001 items"),
        ("[data]\nrows = 1000000\nfeatures = 4096", "data.rows", "GB of memory"),
        ("[learning]\nsteps = 10000\nbatch = 10000", "learning.steps", "GB of memory"),
    ],
)
def test_what_no_run_could_do_is_refused_with_its_key(plan, monkeypatch, text, key, says):
    monkeypatch.setattr(size, "memory_bytes", lambda: 8 * 10**9)
    with pytest.raises(ConfigError) as raised:
        plan(BASE + text + "\n")
    assert key in str(raised.value)
    assert says in str(raised.value)


def test_a_machine_that_tells_no_memory_refuses_nothing(plan, monkeypatch):
    monkeypatch.setattr(size, "memory_bytes", lambda: 0)
    plan(BASE + "[data]\nrows = 1000000\nfeatures = 4096\n")


def test_groups_that_name_each_other_many_times_cost_little():
    names = [f"g{number}" for number in range(16)]
    groups = {name: ",".join([after] * 20) for name, after in pairwise(names)}
    assert select("g0", 10, {**groups, "g15": "3"}, b"s", "") == (3,)


@pytest.mark.parametrize(("after", "says"), [({"g0": "g1", "g1": "g0"}, "itself"), (None, "deep")])
def test_groups_without_end_are_refused(after, says):
    groups = after or {f"g{number}": f"g{number + 1}" for number in range(2_000)} | {"g2000": "0"}
    with pytest.raises(ConfigError, match=says):
        select("g0", 10, groups, b"s", "")


def test_a_long_number_is_cut_in_the_message():
    with pytest.raises(ConfigError) as raised:
        select("9" * 1_900, 10, {}, b"s", "")
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        "[[event]]\nat = '1 s'\ndo = 'crash'\npeers = 'all'\nfor = '1 ms'\n" * 6,
        "[[churn.outage]]\ngroups = ['all']\nevery = '50 s'\nlasts = '1 s'\n" * 6,
    ],
)
def test_many_tables_together_are_bounded(plan, monkeypatch, text):
    """Each of them alone would do."""
    monkeypatch.setattr(churn, "CHANGES_MAX", 100)
    with pytest.raises(ConfigError, match="more than 100 changes"):
        plan(BASE + text)


def test_a_file_that_notepad_wrote_is_read(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert load(Scenario, path).mesh.peers == 20


def test_a_number_too_long_for_python_is_no_traceback(tmp_path):
    path = tmp_path / "long.toml"
    path.write_text(BASE.replace("20", "9" * 5_000))
    with pytest.raises(ConfigError, match="thousands of digits"):
        read(path)
    (key, value), *_ = choices.given(["mesh.peers=" + "9" * 5_000]).items()
    assert (key, type(value)) == ("mesh.peers", str)


def test_a_name_too_long_for_the_file_system_is_no_traceback():
    with pytest.raises(ConfigError, match="cannot be read"):
        read(library.find(Path("a" * 5_000)))


def test_a_sweep_of_a_billion_runs_is_refused_at_once(tmp_path):
    path = tmp_path / "trial.toml"
    path.write_text(BASE)
    lists = {"learning.steps": list(range(1, 301)), "learning.batch": list(range(1, 301))}
    with pytest.raises(ConfigError, match="more than 100,000 runs"):
        make_grid(path, lists, range(10_000))


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad") / "run"
    path = folder.parent / "trial.toml"
    path.write_text('[mesh]\npeers = 4\nduration = "4 s"\ncycle = "2 s"\n')
    results.save(simulate(read(path)), folder)
    return folder


@pytest.mark.parametrize("target", ["auc.mean of nowhere >= 0.1", "detection:scna.mean >= 0.1"])
def test_a_target_that_no_run_can_have_is_a_slip(run, target):
    with pytest.raises(ConfigError, match="--target"):
        compare_folders([str(run), str(run)], [target])


def test_a_result_nested_without_end_is_damaged(run, tmp_path):
    told = json.loads((run / results.RESULT).read_text())
    told["samples"] = "HERE"
    nested = "[" * 950 + "]" * 950
    (tmp_path / results.RESULT).write_text(json.dumps(told).replace('"HERE"', nested))
    with pytest.raises(StateError, match="damaged"):
        results.load(tmp_path)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(36, "File name too long", "a" * 5_000), "aaa: File name too long"),
        (OSError(28, "No space left on device"), "standard output: No space left"),
        (MemoryError(), "more memory than there is"),
    ],
)
def test_what_the_system_refuses_is_one_line(monkeypatch, capsys, error, says):
    def refuse(_path):
        raise error

    monkeypatch.setattr(library, "find", refuse)
    monkeypatch.setattr("sys.argv", ["hedgerow", "simulate", "quiet-mesh"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1


def test_a_title_with_markup_is_shown_as_it_is(run, tmp_path, capsys):
    path = tmp_path / "trial.toml"
    path.write_text('title = "[/nope] [bold"\n' + (run.parent / "trial.toml").read_text())
    simulate_file(path, out=tmp_path / "[/out]")
    assert "[/nope] [bold, seed 1" in capsys.readouterr().out


def test_no_terminal_obeys_what_a_file_says(run, tmp_path, monkeypatch, capsys):
    escape = "\x1b]0;owned\x07"
    path = tmp_path / "trial.toml"
    path.write_text(f"title = {json.dumps(escape)}\n{BASE}")
    with pytest.raises(ConfigError, match="cannot be printed"):
        read(path)
    path.write_text(f"[{json.dumps(escape)}]\n{BASE}")
    monkeypatch.setattr("sys.argv", ["hedgerow", "simulate", str(path)])
    with pytest.raises(SystemExit):
        cli.main()
    told = json.loads((run / results.RESULT).read_text())
    told["spec"]["mesh"][escape] = escape
    (tmp_path / results.RESULT).write_text(json.dumps(told))
    compare_folders([str(run), str(tmp_path)])
    said = capsys.readouterr()
    assert "owned" in said.out
    assert "unknown key" in said.err
    assert "\x1b" not in said.out + said.err


@pytest.mark.parametrize("model", ["classifier", "detector"])
def test_torch_where_it_is_not_installed_is_named_with_its_cure(monkeypatch, plan, model) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python itself uses to say: not here
    monkeypatch.delitem(sys.modules, "gossip.learning.in_torch", raising=False)
    monkeypatch.delattr("gossip.learning.in_torch", raising=False)
    made = plan(BASE + f'[learning]\nmodel = "{model}"\narithmetic = "torch"')
    with pytest.raises(ConfigError, match=r"learning.arithmetic.*pip install 'hedgerow\[torch\]'"):
        set_up(made)
