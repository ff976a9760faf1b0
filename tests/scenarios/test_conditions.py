"""Conditions as a scenario file asks for them: what is planned, what is refused, what it does."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gossip.actions import Topic
from gossip.errors import ConfigError
from node.config.tables import from_table
from scenarios.conditions.churn import COMING, GOING, Deed
from scenarios.plan.plan import make_plan
from scenarios.runs.simulate import run_stage, set_up
from scenarios.spec.scenario import Scenario, read

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
BASE = '[mesh]\npeers = 20\nduration = "10 min"\n'
SMALL = {"arithmetic": "numpy", "steps": 2, "batch": 8, "evaluate": "0 s"}
ROWS = {"rows": 30, "features": 4, "calibrate_rows": 20, "test_rows": 20}


def plan_of(text: str, folder, **files: str):
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content)
    path = folder / "trial.toml"
    path.write_text(BASE + text)
    return make_plan(read(path), where=str(path))


def staged(peers: int, duration: str, *, cycle: str = "10 s", **tables):
    mesh = {"peers": peers, "duration": duration, "cycle": cycle} | tables.pop("mesh", {})
    learning = SMALL | tables.pop("learning", {})
    table = {"mesh": mesh, "data": ROWS, "learning": learning, **tables}
    return set_up(make_plan(from_table(Scenario, table, "test")))


EVENT = '[[event]]\nat = "5 min"\npeers = "0:4"\n'
TRACE = '[churn]\ntrace = "churn.csv"\n'
HEAD = "at,peer,do\n"


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        (EVENT + 'do = "return"\n', "event[1].do", "finds nobody who went"),
        (EVENT + 'do = "join"\n' + EVENT + 'do = "join"\n', "event[2].peers",
         "peer 0 joins by event[1] already"),
        (EVENT + 'do = "join"\nfor = "1 s"\n', "event[1].for", "belongs to leave and crash"),
        (EVENT + 'do = "crash"\nover = "6 min"\n', "event[1].at", "after the end"),
        (EVENT + 'do = "crash"\nover = "soon"\n', "event[1].over", "in cycles of the mesh"),
        (EVENT + 'do = "crash"\nfor = "2 laps"\n', "event[1].for", "in cycles of the mesh"),
        ('[churn]\nrestless = "all"\nup = "weibull(1 s, 0)"\n', "churn.up", "shape must be"),
        ('[churn]\nrestless = "all"\naway = "0 s"\n', "churn.away", "lasts no time"),
        ('[churn]\nrestless = "all"\nup = "1 us"\naway = "1 us"\n', "churn.up", "5,000,000 at"),
        ("[churn]\nonline = 0.9\n", "churn.online", "nobody is restless"),
        ('[[churn.diurnal]]\npeers = "x"\n', "churn.diurnal[1].peers", "names no peers"),
        ('[[churn.diurnal]]\npeers = "all"\n[[churn.diurnal]]\npeers = "3"\n',
         "churn.diurnal[2].peers", "peer 3 has churn.diurnal[1]"),
        ('[[churn.outage]]\ngroups = ["0:3", "x"]\nevery = "1 min"\nlasts = "1 s"\n',
         "churn.outage[1].groups[2]", "names no peers"),
        ('[[churn.outage]]\ngroups = ["0:3"]\nevery = "0 s"\nlasts = "1 s"\n',
         "churn.outage[1].every", "no time at all"),
        ('[[churn.outage]]\ngroups = ["0:3"]\nevery = "1 us"\nlasts = "1 us"\n',
         "churn.outage[1].every", "5,000,000 at most"),
        (TRACE.replace("churn.csv", "none.csv"), "churn.trace", "cannot be read"),
        ('[[mesh.device]]\nname = "all"\npeers = "3"\n', "mesh.device[1].name", "is no name"),
        ('groups = { a = "1" }\n[[mesh.device]]\nname = "a"\npeers = "3"\n',
         "mesh.device[1].name", "another group's name"),
        ('[[mesh.device]]\nname = "a"\npeers = "1:4"\n[[mesh.device]]\nname = "b"\npeers = "3"\n',
         "mesh.device[2].peers", "peer 3 is a 'a' already"),
        ('[links]\nlatency = "matrix"\n', "links.matrix", "missing"),
        ('[links]\nmatrix = "delays.csv"\n', "links.matrix", "is not used"),
        ('[links]\nlatency = "matrix"\nmatrix = "none.csv"\n', "links.matrix", "cannot be read"),
        ("[links]\njitter = 0.5\n", "links.jitter", "belongs to a table"),
        ('[links]\nlatency = "world"\n[[links.region]]\nname = "atlantis"\n',
         "links.region[1].name", "there are california, texas"),
        ('[links]\nlatency = "world"\n[[links.region]]\nname = "tokyo"\npeers = "0:9"\n',
         "links.region", "peer 9 is in no region"),
        ('groups = { tokyo = "1" }\n[links]\nlatency = "world"\n', "links.region",
         "another group's name"),
        ('[[links.rule]]\ndrop = "1 %"\nstart = "11 min"\n', "links.rule[1].start",
         "after the end"),
        ('[[links.partition]]\nstart = "11 min"\nend = "12 min"\nsides = ["0"]\n',
         "links.partition[1].start", "after the end"),
        ('topology = "regular:21,degree=3"\n', "mesh.topology", "make either of them even"),
        ('topology = "clustered:sites=4,peers=5,links=26"\n', "mesh.topology", "only 25 pairs"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_file_key_and_cure(text, key, says, tmp_path):
    with pytest.raises(ConfigError) as caught:
        plan_of(text, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'trial.toml'}: {key}: ")
    assert says in message


@pytest.mark.parametrize(
    ("trace", "says"),
    [
        ("1,2,crash\n", "line 1: is not the heading"),
        (HEAD, "holds no changes"),
        (HEAD + "1,2\n", "line 2: 2 values"),
        (HEAD + "soon,2,crash\n", "line 2: 'soon' is no time"),
        (HEAD + "-1,2,crash\n", "line 2: '-1' is no time"),
        (HEAD + "1,20,crash\n", "line 2: '20' is no peer; there are 0 to 19"),
        (HEAD + "1,2,explode\n", "line 2: 'explode' is no deed"),
        (HEAD + "2,2,crash\n\n1,3,crash\n", "line 4: lies before"),
        (HEAD + "11 min,2,crash\n", "line 2: lies after the end"),
    ],
)
def test_a_bad_trace_says_file_line_and_cure(trace, says, tmp_path):
    with pytest.raises(ConfigError) as caught:
        plan_of(TRACE, tmp_path, churn=trace)
    assert f"churn.trace: {tmp_path / 'churn.csv'}" in str(caught.value)
    assert says in str(caught.value)


def test_a_trace_and_events_are_one_story(tmp_path):
    trace = HEAD + "# recorded by hand\n100,2,join\n150.5,2,crash\n4 min,2,return\n"
    text = TRACE + '[[event]]\nat = "5 min"\ndo = "leave"\npeers = "2"\n'
    plan = plan_of(text, tmp_path, churn=trace)
    own = [(change.at_us, change.deed) for change in plan.changes if change.peer == 2]
    assert own == [
        (100 * SECOND_US, Deed.JOIN), (150_500_000, Deed.CRASH),
        (240 * SECOND_US, Deed.RETURN_KEPT), (300 * SECOND_US, Deed.LEAVE),
    ]  # fmt: skip


def test_a_rolling_restart_takes_one_peer_after_the_other(tmp_path):
    event = EVENT + 'do = "leave"\nover = "2 min"\nfor = "20 s"\n'
    plan = plan_of(event.replace("0:4", "all"), tmp_path)
    going = [change for change in plan.changes if change.deed is Deed.LEAVE]
    coming = [change for change in plan.changes if change.deed is Deed.RETURN_KEPT]
    starts = [(5 * MINUTE_US + number * 6 * SECOND_US, number) for number in range(20)]
    assert [(change.at_us, change.peer) for change in going] == starts
    assert [(change.at_us - 20 * SECOND_US, change.peer) for change in coming] == starts


def test_a_flash_crowd_joins_within_one_cycle(tmp_path):
    event = '[[event]]\nat = "2 min"\ndo = "join"\npeers = "2:"\nover = "1 cycle"\n'
    joins = [c.at_us for c in plan_of(event, tmp_path).changes if c.at_us >= MINUTE_US]
    assert len(joins) == 18
    assert min(joins) == 2 * MINUTE_US
    assert max(joins) < 2 * MINUTE_US + 10 * SECOND_US


def test_an_outage_takes_a_whole_site_and_brings_it_back_at_once(tmp_path):
    text = (
        'topology = "clustered:sites=4,peers=5"\n[churn]\njoin_over = "0 s"\n[[churn.outage]]\n'
        'groups = ["site-0", "site-2"]\nevery = "2 min"\nlasts = "30 s"\n'
    )
    by_moment = Counter((c.at_us, c.deed) for c in plan_of(text, tmp_path).changes if c.at_us)
    assert len(by_moment) > 4
    assert frozenset(by_moment.values()) == {5}


def test_the_dead_stay_dead_whatever_their_own_sessions_say(tmp_path):
    text = '[churn]\nrestless = "all"\nup = "1 min"\naway = "20 s"\n' + EVENT + 'do = "crash"\n'
    changes = plan_of(text, tmp_path).changes
    dead = [change for change in changes if change.peer < 4 and change.at_us > 5 * MINUTE_US]
    alive = [change for change in changes if change.peer >= 4 and change.at_us > 5 * MINUTE_US]
    assert dead == []
    assert len(alive) > 50
    last = {change.peer: change.deed for change in changes if change.peer < 4}
    assert all(deed in GOING for deed in last.values())


def test_devices_are_groups_and_decide_speed_memory_and_presence(tmp_path):
    text = (
        '[[mesh.device]]\nname = "small"\npeers = "25 %"\nspeed = 0.1\nmemory = "4 KiB"\n'
        '[[mesh.device]]\nname = "phone"\npeers = "phones"\nup = "50 %"\n'
        '[mesh.groups]\nphones = "19"\n[churn]\nup = "20 s"\naway = "5 s"\n'
    )
    text = text.replace('"25 %"', '"0:5"')
    plan = plan_of(text, tmp_path)
    assert plan.groups["small"] == (0, 1, 2, 3, 4)
    assert [us // 500_000 for us in plan.physics.train_us] == [10] * 5 + [1] * 15
    assert plan.rows_max(57)[:6] == (17, 17, 17, 17, 17, 2**62)  # 4,096 B at 57 * 4 + 8 B a row
    with pytest.raises(ConfigError, match=r"mesh\.device: the memory of peer 0 does not hold one"):
        plan.rows_max(2_000)
    own = [change for change in plan.changes if change.peer == 19]
    others = [change for change in plan.changes if change.peer != 19]
    assert {change.deed for change in others} == {Deed.JOIN}
    assert len(own) > 25
    assert all(change.deed in (GOING if place % 2 else COMING) for place, change
               in enumerate(own) if place)  # fmt: skip


def test_a_topology_file_is_looked_for_beside_the_scenario(tmp_path):
    (tmp_path / "ring.txt").write_text("".join(f"{n} {(n + 1) % 20}\n" for n in range(20)))
    plan = plan_of('topology = "file:ring.txt"\n', tmp_path)
    assert plan.physics.neighbours[3] == (2, 4)
    with pytest.raises(ConfigError, match=r"trial\.toml: mesh\.topology: .*none\.txt"):
        plan_of('topology = "file:none.txt"\n', tmp_path)


def test_regions_and_devices_are_groups_for_events_and_partitions(tmp_path):
    text = (
        '[[mesh.device]]\nname = "small"\npeers = "25 %"\n[links]\nlatency = "world"\n'
        '[[links.region]]\nname = "india"\n[[links.region]]\nname = "brazil"\nweight = 3.0\n'
        '[[links.partition]]\nstart = "1 min"\nend = "2 min"\nsides = ["india"]\n'
        '[[event]]\nat = "5 min"\ndo = "crash"\npeers = "small"\n'
    )
    plan = plan_of(text, tmp_path)
    assert [len(plan.groups[name]) for name in ("india", "brazil", "small")] == [5, 15, 5]
    cut = [peer for peer in range(20) if plan.rules[0].side[peer]]
    assert cut == list(plan.groups["india"])
    crashed = [change.peer for change in plan.changes if change.deed is Deed.CRASH]
    assert crashed == list(plan.groups["small"])


EVERYTHING = """
[mesh]
peers = 60
duration = "2 h"
device = [{ name = "small", peers = "20 %", speed = 0.5, up = "80 %" }]
[links]
latency = "world"
[[churn.diurnal]]
peers = "0:30"
period = "1 h"
[[churn.outage]]
groups = ["tokyo", "brazil"]
every = "20 min"
lasts = "lognormal(3 min, 1)"
[churn]
restless = "30 %"
up = "weibull(10 min, 0.5)"
[[event]]
at = "30 min"
do = "crash"
peers = "40 %"
for = "10 min"
"""


def test_two_processes_with_different_hash_seeds_plan_the_same(tmp_path):
    path = tmp_path / "everything.toml"
    path.write_text(EVERYTHING)
    code = (
        "import sys; from pathlib import Path; from zlib import crc32;"
        "from scenarios.plan.plan import make_plan; from scenarios.spec.scenario import read;"
        "plan = make_plan(read(Path(sys.argv[1])));"
        "whole = repr((plan.changes, plan.otherwise, plan.groups)).encode();"
        "print(len(plan.changes), crc32(whole))"
    )
    seen = [
        subprocess.run(
            [sys.executable, "-c", code, str(path)],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split()
        for hash_seed in ("1", "4242")
    ]
    assert seen[0] == seen[1]
    assert int(seen[0][0]) > 200


SZEGED = {
    "links": {"latency": "uniform(1 cycle, 10 cycles)", "rule": [{"drop": "50 %"}]},
    "churn": {"restless": "all", "up": "lognormal(5 min, 1)", "online": "90 %"},
}
"""The extreme setting of the gossip learning papers, in five lines."""


def test_the_extreme_setting_of_the_szeged_papers_runs():
    stage = staged(20, "12 min", cycle="5 s", **SZEGED)
    result = run_stage(stage)
    frames = result.frames
    assert frames["dropped"] > 0.4 * (frames["dropped"] + frames["delivered"])
    assert result.topics["merged"] > 100
    assert 14 <= result.samples[-1].up <= 20


def test_peers_join_by_another_address_when_the_first_is_dead_for_ever():
    stage = staged(
        12,
        "8 min",
        mesh={"bootstrap": "0, 5"},
        event=[
            {"at": "1 min", "do": "crash", "peers": "0"},
            {"at": "2 min", "do": "join", "peers": "8:12", "over": "1 cycle"},
        ],
    )
    run_stage(stage)
    assert [index for index, _ in stage.world.alive()] == [*range(1, 12)]
    for index in range(8, 12):
        assert len(stage.world.reachable(index)) >= 5


def test_peers_told_only_the_dead_address_stay_alone():
    late = {"at": "2 min", "do": "join", "peers": "8:12"}
    dead = {"at": "1 min", "do": "crash", "peers": "0"}
    stage = staged(12, "8 min", event=[dead, late])
    result = run_stage(stage)
    assert result.topics[Topic.ISOLATED.value] > 4
    assert [len(stage.world.reachable(index)) for index in range(8, 12)] == [0] * 4
    assert len(stage.world.reachable(3)) >= 5


def test_weeks_with_nobody_up_cost_nothing():
    story = [
        {"at": "5 min", "do": "crash", "peers": "all"},
        {"at": "21 d", "do": "return", "peers": "all", "over": "1 cycle"},
    ]
    stage = staged(6, "504.1 h", event=story)
    result = run_stage(stage)
    assert result.samples[-1].up == 6
    # 5 and 6 minutes of six peers at six cycles a minute; the three weeks between have none.
    assert result.cycles < 500
    assert min(len(stage.world.reachable(index)) for index in range(6)) >= 4


def test_one_peer_exponential_pushes_to_one_neighbour_a_cycle_and_mixes():
    stage = staged(16, "6 min", mesh={"topology": "one-peer-exponential:16"},
                   learning={"exchange": "epidemic", "fanout": 5})  # fmt: skip
    result = run_stage(stage)
    assert result.topics["merged"] > 0
    frames = result.frames["delivered"] + result.frames["unreachable"] + result.frames["dropped"]
    assert frames <= result.cycles  # of fanout 5, one neighbour is there in each cycle
    assert frames >= 0.9 * result.trainings
