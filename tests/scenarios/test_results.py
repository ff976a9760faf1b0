"""What a run writes can be read back; what is damaged is refused; an interrupted run is kept."""

import json
import re
import signal
from collections import Counter
from dataclasses import asdict, replace
from io import StringIO
from math import isfinite

import pytest
from rich.cells import cell_len
from rich.console import Console

from gossip.errors import ConfigError, ExpectationError, StateError
from node.config.tables import from_table
from scenarios.data import holdings
from scenarios.measures.named import names, parse, value
from scenarios.plan.expect import expectations
from scenarios.plan.plan import make_plan
from scenarios.runs import fitting, show
from scenarios.runs.expectations import verdict_table, verdicts
from scenarios.runs.results import Result, load, save
from scenarios.runs.show import simulate_file, summary
from scenarios.runs.simulate import Progress, Record, run_stage, set_up, simulate
from scenarios.runs.text import plain, readable
from scenarios.spec.scenario import Scenario
from scenarios.sweep.tables import ended, seeds_table

SECOND_US = 1_000_000
NAMED = {"west": "0:6", "east": "6:12"}
SPLIT = {"start": "50 s", "end": "100 s", "sides": ["west"]}


def scenario(**tables) -> Scenario:
    mesh = {"peers": 12, "duration": "120 s", "groups": NAMED} | tables.pop("mesh", {})
    table = {
        "mesh": mesh,
        "data": {"rows": 30, "features": 6, "classes": 3, "test_rows": 90, "separation": 0.8},
        "learning": {"arithmetic": "numpy", "steps": 2, "batch": 16, "evaluate": "40 s"},
        "links": {"partition": [SPLIT]},
        "event": [{"at": "70 s", "do": "crash", "peers": "east"}],
        **tables,
    }
    return from_table(Scenario, table, "test")


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate(scenario())


def test_what_was_saved_can_be_loaded(result, tmp_path):
    save(result, tmp_path)
    # NaN is not equal to itself, so what is compared has null.
    assert plain(asdict(load(tmp_path, details=True))) == plain(asdict(result))
    brief = load(tmp_path)
    assert plain(asdict(brief)) == plain(asdict(replace(result, judged=(), mesh=())))
    assert brief.samples[0].view_sizes == result.samples[0].view_sizes
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mesh.jsonl", "peers.jsonl", "result.json",
    ]  # fmt: skip


def test_files_are_for_people_and_programs(result, tmp_path):
    save(result, tmp_path)
    text = (tmp_path / "result.json").read_text()
    assert max(map(len, text.splitlines())) < 200  # the widest: a spread, a row of counts
    assert json.loads(text, parse_constant=pytest.fail)["complete"] is True
    peers = [json.loads(line) for line in (tmp_path / "peers.jsonl").read_text().splitlines()]
    assert len(peers) == 12 + 6 + 6
    assert peers[0]["families"].keys() == {"class-1", "class-2"}
    assert all(0.0 <= share <= 1.0 for row in peers for share in row["families"].values())
    mesh = [json.loads(line) for line in (tmp_path / "mesh.jsonl").read_text().splitlines()]
    assert [each["at_us"] // SECOND_US for each in mesh] == [40, 80, 120]
    assert [each["up"] for each in mesh] == ["0:12", "0:6", "0:6"]
    assert [each["sides"] for each in mesh] == [[], ["6:12", "0:6"], []]
    assert all(other < 6 for row in mesh[1]["edges"] for other in row)
    assert [bool(row) for row in mesh[1]["edges"]] == [True] * 6 + [False] * 6


def test_a_sample_holds_together(result):
    for sample in result.samples:
        assert sum(sample.view_sizes.values()) == sum(sample.in_degrees.values()) == sample.up
        assert sum(size * count for size, count in sample.in_degrees.items()) <= sum(
            size * count for size, count in sample.view_sizes.items()
        )
        rows = [each for each in result.judged if each.at_us == sample.at_us]
        assert len(rows) == sample.judged == sample.up
        mean = sum(each.judgement.accuracy for each in rows) / len(rows)
        assert sample.metrics["accuracy"].mean == pytest.approx(mean)
    first, _, last = result.samples
    assert first.groups.keys() == {"east", "west"}
    assert last.groups.keys() == {"west"}  # nobody in the east is left to be judged
    halves = [first.groups[name]["accuracy"].mean for name in NAMED]
    assert first.metrics["accuracy"].mean == pytest.approx(sum(halves) / 2)
    assert last.groups["west"]["bytes_per_peer"].n == 6
    assert len(holdings.from_dict(result.holdings).train) == 12
    assert value(result, parse("bytes_per_peer")) * 12 == sum(result.bytes_sent)
    assert value(result, parse("trainings_per_peer")) * 12 == pytest.approx(result.trainings)
    missing = {str(each) for each in names(result) if not isfinite(value(result, each))}
    assert all(name.startswith("detection_") for name in missing)  # with 30 benign test rows


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "result.json").unlink(), r"result\.json: cannot be read"),
        (lambda folder: (folder / "peers.jsonl").unlink(), r"peers\.jsonl: cannot be read"),
        (lambda folder: rewrite(folder, format=1), "no result that this version"),
        (lambda folder: rewrite(folder, cycles=-1), r"cycles.*damaged"),
        (lambda folder: rewrite(folder, samples="none"), r"samples.*damaged"),
        (lambda folder: rewrite(folder, bytes_sent=[1]), "different numbers of nodes"),
        (lambda folder: (folder / "result.json").write_text("[" * 100_000), "not JSON"),
        (lambda folder: (folder / "result.json").write_bytes(b'{"format": 3}'), "damaged"),
        (lambda folder: (folder / "result.json").write_bytes(b"\xff\xfe"), "not JSON"),
        (lambda folder: append(folder, "peers.jsonl", "{}"), r"line 25: no judged peer"),
        (lambda folder: append(folder, "peers.jsonl", WITH_SCAN), "'scan' is"),
        (lambda folder: append(folder, "peers.jsonl", WITH_NOTHING), "line 25.*damaged"),
        (lambda folder: append(folder, "mesh.jsonl", '{"at_us": -1}'), "line 4.*damaged"),
        (lambda folder: append(folder, "mesh.jsonl", "{"), "line 4: not JSON"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_refused_by_name(result, tmp_path, damage, message):
    save(result, tmp_path)
    damage(tmp_path)
    with pytest.raises(StateError, match=message) as caught:
        load(tmp_path, details=True)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def rewrite(folder, **changed) -> None:
    path = folder / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


WITH_SCAN = '{"families": {"scan": 1.0}, "named": {}}'
WITH_NOTHING = '{"families": {}, "named": {}}'


def append(folder, name: str, line: str) -> None:
    with (folder / name).open("a") as stream:
        stream.write(line + "\n")


def test_readable_json_is_the_same_json():
    value = {"a": [1, {"b": []}], "c": {}, "d": [[], [1, 2]], "é": "x\n", "n": float("nan")}
    assert json.loads(readable(value)) == value | {"n": None}
    assert readable({"a": [1, 2], "b": {"c": 1}}) == '{\n "a": [1, 2],\n "b": {"c": 1}\n}\n'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_it_has_and_can_go_on_to_the_same_end(
    result, tmp_path, number
):
    def interrupt(progress: Progress) -> None:
        if 60 * SECOND_US <= progress.now_us < 61 * SECOND_US:
            signal.raise_signal(number)

    before = signal.getsignal(number)
    stage, record = set_up(make_plan(scenario())), Record()
    cut = run_stage(stage, interrupt, record)
    assert signal.getsignal(number) is before
    save(cut, tmp_path)
    stored = load(tmp_path)
    assert not stored.complete
    assert stored.reached_us == stage.world.now_us
    assert stored.reached_us // SECOND_US == 60
    assert plain([asdict(each) for each in stored.samples]) == plain(
        [asdict(each) for each in result.samples[:1]]
    )
    whole = run_stage(stage, so_far=record)
    # How long it took is no part of what it found.
    assert plain(asdict(replace(whole, wall_s=0.0))) == plain(asdict(replace(result, wall_s=0.0)))


def test_a_second_interrupt_ends_at_once():
    def twice(_: Progress) -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_stage(set_up(make_plan(scenario())), twice)
    assert signal.getsignal(signal.SIGINT) is before


def test_expectations_are_judged_and_named(result):
    given = scenario(
        expect={
            "up": "6",
            "parts at 70 s": "1",
            "accuracy.worst of west": "> 10 %",
            "accuracy of east": "> 0",
            "detection_01": ">= 0",
            "consensus at 41 s": "< 0",
        }
    )
    found = verdicts(simulate(given), given)
    assert [each.holds for each in found] == [True, True, True, False, False, False]
    assert [each.reason for each in found[3:]] == [
        "nobody of east was judged", "no judged peer has test rows enough", "",
    ]  # fmt: skip
    assert verdict_table(found).row_count == 6
    cut = replace(result, complete=False, reached_us=90 * SECOND_US)
    told = verdicts(cut, scenario(expect={"up": "6"}))[0]
    assert (told.holds, told.reason) == (False, "the run was interrupted at 90 s")


@pytest.mark.parametrize("width", [24, 40, 60, 80, 120])
def test_tables_on_a_narrow_terminal_keep_every_figure_whole(result, width):
    told = verdicts(result, scenario(expect={"bytes_per_peer.worst at 70 s": "> 10"}))
    tables = summary(result), seeds_table([ended(result)] * 2, "seeds"), verdict_table(told)
    for table in tables:
        figures = sorted(
            figure
            for column in table.columns
            if column.justify == "right"
            for cell in column.cells
            for figure in cell.split()
        )
        console = Console(file=StringIO(), force_terminal=True, no_color=True, width=width)
        fitting.show(console, table)
        assert console.width == width
        lines = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())
        assert "…" not in lines
        assert not Counter(figures) - Counter(lines.split())
        if width >= 40 and table is not tables[0]:
            assert max(map(cell_len, lines.splitlines())) <= width


@pytest.mark.parametrize("as_json", [False, True])
def test_a_failed_expectation_ends_the_command_after_its_results_are_written(tmp_path, as_json):
    path, out = tmp_path / "small.toml", tmp_path / "out"
    path.write_text('[mesh]\npeers = 3\nduration = "30 s"\n[learning]\narithmetic = "numpy"\n'
                    '[expect]\nparts = 1\nup = "> 3"\n')  # fmt: skip
    console, notes = Console(file=StringIO()), Console(file=StringIO())
    with pytest.raises(ExpectationError, match="1 of 2 expectations failed; first: up was "):
        simulate_file(path, out=out, as_json=as_json, console=console, notes=notes)
    table = (notes if as_json else console).file.getvalue()
    assert "FAILS" in table
    assert "holds" in table
    assert load(out).complete


def test_an_interrupted_command_writes_its_results_first(tmp_path, monkeypatch):
    path, out = tmp_path / "small.toml", tmp_path / "out"
    path.write_text('[mesh]\npeers = 3\nduration = "30 s"\n[learning]\narithmetic = "numpy"\n')
    quiet = Console(file=StringIO())
    monkeypatch.setattr(show, "_state", lambda _: str(signal.raise_signal(signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        simulate_file(path, out=out, trace=True, console=quiet, notes=quiet)
    stored = load(out)
    assert not stored.complete
    assert stored.samples == ()
    assert stored.trace_events == len((out / "trace.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("name", "bound", "message"),
    [
        ("acuracy", "> 0", "did you mean 'accuracy'"),
        ("auc of wets", "> 0", "did you mean 'west'"),
        ("detection:class-3", "> 0", "is no family of attacks, did you mean 'class-"),
        ("detection:benign", "> 0", "is no family of attacks"),
        ("up at 3 min", "1", "lies after the end"),
        ("up", "one", "is no bound"),
    ],
)
def test_an_impossible_expectation_is_refused_before_any_work(name, bound, message):
    with pytest.raises(ConfigError, match=f'^f.toml: expect."{name}": .*{message}'):
        make_plan(scenario(expect={name: bound}), where="f.toml")


def test_a_family_is_checked_once_the_data_are_known():
    given = scenario(expect={"detection:class-2": "> 0"})
    expectations(given, "f.toml", (), ("benign", "class-1", "class-2"))
    with pytest.raises(ConfigError, match="is no family of attacks"):
        expectations(given, "f.toml", (), ("benign", "class-1"))
