"""Scenario files: what they say, and what is said about a bad one before any work starts."""

from pathlib import Path

import pytest

from gossip.errors import ConfigError
from scenarios.conditions.churn import Deed
from scenarios.conditions.links import Partition
from scenarios.conditions.selectors import select
from scenarios.plan.plan import make_plan
from scenarios.spec.scenario import read

BASE = '[mesh]\npeers = 20\nduration = "100 s"\n'


def plan_of(text: str, folder: Path):
    path = folder / "trial.toml"
    path.write_text(text)
    return make_plan(read(path), where=str(path))


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("[mesh]\npeers = 20\n", "mesh.duration", "missing"),
        (BASE + "pears = 2\n", "mesh.pears", "did you mean 'peers'"),
        (BASE + "[lerning]\nsteps = 1\n", "lerning", "did you mean 'learning'"),
        (BASE + "[learning]\nfanout = 1000\n", "mesh / learning", "fanout = 1000 is out of range"),
        (BASE + 'topology = "regular:20,degree=3"\n', "", ""),
        (BASE + 'topology = "regular:21,degree=3"\n', "mesh.topology", "even"),
        (BASE + 'topology = "ring:10"\n', "mesh.topology", "10 nodes and mesh.peers is 20"),
        (BASE + 'topology = "erdos-renyi:20,p=0.001"\n', "mesh.topology", "not connected"),
        (BASE + 'bootstrap = "20"\n', "mesh.bootstrap", "peer 20 does not exist"),
        (BASE + 'groups = { a = "b", b = "a" }\n', "mesh.groups.a", "defined by itself"),
        (BASE + 'groups = { "0:3" = "1" }\n', "mesh.groups.0:3", "is no name for a group"),
        (BASE + '[links]\nlatency = "soon"\n', "links.latency", "is no distribution"),
        (BASE + "[[links.rule]]\nkbit_per_s = 9.0\n", "links.rule[1].latency", "needs one"),
        (BASE + "[[links.rule]]\n", "links.rule[1]", "does nothing"),
        (BASE + '[[links.rule]]\ndrop = "1 %"\nstart = "9 s"\nend = "9 s"\n',
         "links.rule[1].end", "is not after"),
        (BASE + '[[links.rule]]\ndrop = "1 %"\nsenders = "nobody"\n',
         "links.rule[1].senders", "names no peers"),
        (BASE + '[[links.partition]]\nstart = "1 s"\nend = "2 s"\nsides = ["0:9", "8:12"]\n',
         "links.partition[1].sides[2]", "peer 8 already stands on side 1"),
        (BASE + '[[links.partition]]\nstart = "1 s"\nend = "2 s"\nsides = ["all"]\n',
         "links.partition[1].sides", "everybody is on one side"),
        (BASE + '[[event]]\nat = "101 s"\ndo = "crash"\npeers = "1"\n',
         "event[1].at", "after the end"),
        (BASE + '[[event]]\nat = "9 s"\ndo = "crash"\npeers = "1"\n'
         '[[event]]\nat = "8 s"\ndo = "return"\npeers = "1"\n', "event[2].at", "in time order"),
        (BASE + '[[event]]\nat = "9 s"\ndo = "explode"\npeers = "1"\n', "event[1].do", "crash"),
        (BASE + '[[event]]\nat = "9 s"\ndo = "crash"\npeers = "120 %"\n',
         "event[1].peers", "is no share"),
        (BASE + '[[mesh.device]]\nname = "slow"\npeers = "9:3"\n',
         "mesh.device[1].peers", "is no range"),
        (BASE + '[churn]\nrestless = "x"\n', "churn.restless", "names no peers"),
        (BASE + '[data]\nsource = "recordings"\nclasses = 3\n', "data.classes", "gaussian"),
        (BASE + '[data]\nsource = "recordings"\nrows = 99\n', "data.rows", "recordings need 100"),
        (BASE + '[learning]\nmodel = "detector"\nhidden = [4]\n', "learning.hidden", "its own"),
        (BASE + '[data]\nlabelled = "x"\n', "data.labelled", "names no peers"),
    ],
)  # fmt: skip
def test_a_bad_scenario_names_file_and_key(text, key, says, tmp_path):
    if not key:  # the one good neighbour of the bad graphs
        assert plan_of(text, tmp_path).physics.neighbours is not None
        return
    with pytest.raises(ConfigError) as caught:
        plan_of(text, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'trial.toml'}: {key}: ")
    assert says in message


def test_what_a_plan_holds(tmp_path):
    plan = plan_of(
        BASE
        + 'groups = { west = "0:8", few = "west, 9" }\n'
        + '[churn]\njoin_over = "4 s"\n'
        + '[[mesh.device]]\nname = "small"\npeers = "few"\nspeed = 0.25\n'
        + '[[links.partition]]\nstart = "1 s"\nend = "2 s"\nsides = ["west"]\n'
        + '[[event]]\nat = "9 s"\ndo = "crash"\npeers = "0:5"\n'
        + '[[event]]\nat = "50 s"\ndo = "join"\npeers = "19"\n',
        tmp_path,
    )
    assert [us // 500_000 for us in plan.physics.train_us] == [4] * 8 + [1, 4] + [1] * 10
    assert plan.rules == (Partition((1,) * 8 + (0,) * 12, 1_000_000, 2_000_000),)
    deeds = [change.deed for change in plan.changes]
    assert deeds.count(Deed.CRASH) == 5
    assert [c.at_us for c in plan.changes if c.peer == 19 and c.deed is Deed.JOIN] == [50_000_000]
    joins = [c.at_us for c in plan.changes if c.deed is Deed.JOIN and c.peer != 19]
    assert len(joins) == 19
    assert max(joins) <= 4_000_000


def test_a_topology_that_changes_with_time_has_a_table_for_each_cycle(tmp_path):
    plan = plan_of(BASE + 'topology = "one-peer-exponential:20"\n', tmp_path)
    assert [table[7] for table in plan.physics.turns] == [(8,), (9,), (11,), (15,), (3,)]
    assert plan.physics.neighbours[7] == (3, 8, 9, 11, 15)
    assert plan_of(BASE + 'topology = "ring:20"\n', tmp_path).physics.turns == ()


def test_sites_of_a_clustered_graph_are_groups(tmp_path):
    plan = plan_of(
        BASE
        + 'topology = "clustered:sites=4,peers=5"\n'
        + '[[event]]\nat = "9 s"\ndo = "crash"\npeers = "site-1"\n',
        tmp_path,
    )
    assert [c.peer for c in plan.changes if c.deed is Deed.CRASH] == [5, 6, 7, 8, 9]


def test_selectors():
    groups = {"left": "0:3", "odd": "1,3"}

    def chosen(text: str) -> tuple[int, ...]:
        return select(text, 10, groups, b"s", "test")

    assert chosen("all") == tuple(range(10))
    assert chosen("7") == (7,)
    assert chosen("8:") == (8, 9)
    assert chosen("left, odd,9") == (0, 1, 2, 3, 9)
    assert len(chosen("30 %")) == 3
    assert chosen("30 %") == chosen("30 %")
    assert chosen("0 %") == ()
    draws = {select("30 %", 100, {}, b"s", salt) for salt in ("a", "b")}
    assert len(draws) == 2
