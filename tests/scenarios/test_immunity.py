"""Antigens in a World: who presents what, who trains on it, and what hostile peers reach."""

from dataclasses import replace

import numpy as np
import pytest

from gossip.antigens import LIFE_S_MAX, Antigen, signed, verified
from gossip.contacts import Contact, PeerId
from gossip.errors import ConfigError
from gossip.events import Present
from gossip.fingerprint import Fingerprint
from gossip.learning.learner import Batches
from gossip.learning.mixture import Mixture
from gossip.learning.scaling import Scaler
from node.config.tables import from_table
from scenarios.data.appearing import visible
from scenarios.data.balanced import Balanced
from scenarios.data.load import load_data
from scenarios.data.shards import Shard, Shards, Unscaled
from scenarios.immunity.evidence import Evidence
from scenarios.immunity.presenting import JUNK_FAMILIES, Presenter, names_of
from scenarios.immunity.rehearsing import Rehearsing
from scenarios.immunity.seals import HashSeal
from scenarios.plan.antigens import Hostility
from scenarios.plan.plan import make_plan
from scenarios.runs.engines import run
from scenarios.runs.simulate import run_stage, set_up
from scenarios.spec.mesh import Harm
from scenarios.spec.scenario import Scenario
from scenarios.world.names import peer_names

pytestmark = pytest.mark.usefixtures("recordings_read_once")

SECOND_US = 1_000_000
IMMUNE = {"antigens": True, "head": "coded", "arithmetic": "numpy"}


def scenario(**tables) -> Scenario:
    mesh = {"peers": 12, "duration": "100 s"} | tables.pop("mesh", {})
    data = {"rows": 120, "features": 6, "classes": 4, "separation": 2.0, "calibrate_rows": 200,
            "test_rows": 300, "shards": "families(1)"}  # fmt: skip
    learning = {"steps": 4, "batch": 24, "rate": 0.1, "evaluate": "50 s", "alarm_budget": "2 %"}
    learning |= IMMUNE | tables.pop("learning", {})
    table = {"mesh": mesh, "data": data | tables.pop("data", {}), "learning": learning, **tables}
    return from_table(Scenario, table, "test")


def stage_of(given: Scenario, **how):
    return set_up(make_plan(given), **how)


# What a scenario may ask for

MESHED = {"source": "recordings", "scaling": "mesh", "features": 57, "classes": 2,
          "separation": 0.35}  # fmt: skip


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"learning": {"head": "plain"}}, 'learning.antigens: .* add head = "coded"'),
        ({"learning": {"method": "local"}}, "baseline 'local' has none"),
        ({"learning": {"antigens_max": 0}}, "learning.antigens_max: 0 holds none"),
        ({"learning": {"rehearse": 0.01}}, "learning.rehearse: .* leaves none to draw"),
        ({"learning": {"rehearse": 0.0}}, "learning.rehearse: .* 0 is for norms alone"),
        ({"learning": {"antigens": False}, "data": MESHED},
         "data.scaling: 'mesh' needs norms, .* add learning.antigens = true"),
        ({"data": {"scaling": "mesh"}}, "data.scaling: means nothing to gaussian data"),
        ({"data": MESHED | {"rows": 99}}, "data.rows: 99 are too few"),
        ({"mesh": {"hostile": [{"peers": "1", "presents": "norm"}]}},
         r"mesh.hostile\[1\].presents: .* add data.scaling = 'mesh'"),
        ({"learning": {"antigens": False},
          "mesh": {"hostile": [{"peers": "1", "presents": "flood"}]}},
         r"mesh.hostile\[1\]: .* add learning.antigens"),
        ({"mesh": {"hostile": [{"peers": "1", "presents": "mimic"}]}},
         r"mesh.hostile\[1\].family: '' names no attack"),
        ({"mesh": {"hostile": [{"peers": "1", "presents": "mimic", "family": "benign"}]}},
         "'benign' names no attack"),
        ({"mesh": {"hostile": [{"peers": "1", "presents": "flood", "family": "scan"}]}},
         "means nothing to 'flood'"),
        ({"mesh": {"hostile": [{"peers": "0:2", "presents": "flood"},
                               {"peers": "1", "presents": "replay"}]}},
         r"mesh.hostile\[2\].peers: peer 1 is hostile already"),
        ({"learning": {"balance": True, "model": "detector"},
          "data": {"source": "recordings", "shards": "natural", "features": 57, "classes": 2,
                   "separation": 0.35}}, "learning.balance: recordings dealt by site"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_key(tables, message):
    with pytest.raises(ConfigError, match=message):
        make_plan(scenario(**tables))


def test_the_lab_and_worker_processes_are_refused_politely():
    with pytest.raises(ConfigError, match=r"learning\.antigens: not in the Lab"):
        run(make_plan(scenario()), engine="lab")
    with pytest.raises(ConfigError, match="workers = 1 cannot be had"):
        stage_of(scenario(), workers=1)


# Rows


def dealt(**data) -> Shards:
    given = scenario(data={"rows": 150, "calibrate_rows": 50} | data)
    return load_data(make_plan(given), peer_names(given.mesh.peers))[0]


BUNDLED = {"source": "recordings", "features": 57, "classes": 2, "separation": 0.35}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {**BUNDLED, "shards": "natural", "labelled": "hospital",
         "appear": [{"family": "scan", "peers": "0", "at": "1 min"}]},
        {**BUNDLED, "shards": "dirichlet(0.3)"},
        {"appear": [{"family": "class-1", "peers": "3", "at": "1 min"}]},
    ],
)  # fmt: skip
def test_unscaled_rows_are_those_that_a_peer_trains_on_before_its_scaler(data):
    given = dealt(**data)
    for peer in range(4):
        own, scaled = given.unscaled[peer], given.shards[peer]
        np.testing.assert_array_equal(own.scaler(own.train_x), scaled.train_x)
        np.testing.assert_array_equal(own.scaler(own.calibrate_x), scaled.calibrate_x)
        np.testing.assert_array_equal(own.train_y, scaled.train_y)


@pytest.mark.parametrize("shards", ["natural", "dirichlet(0.3)"])
def test_rows_to_be_scaled_by_norms_come_as_they_are(shards):
    given = scenario(data={**BUNDLED, "rows": 150, "shards": shards, "scaling": "mesh"})
    found, rows = load_data(make_plan(given), peer_names(12))
    own = found.unscaled[1]
    np.testing.assert_array_equal(found.shards[1].train_x, own.train_x)
    np.testing.assert_array_equal(found.at(1, 0).train_x, own.scaler(own.train_x))
    assert rows.batches([1], [1], [0]).x.max() > own.scaler.bound  # not yet scaled


def test_devices_with_little_memory_keep_the_same_rows_unscaled():
    device = {"name": "small", "peers": "0:6", "memory": "2 kB"}
    plan = make_plan(scenario(mesh={"device": [device]}))
    found, _ = load_data(plan, peer_names(12))
    assert len(found.shards[0].train_y) < len(found.shards[7].train_y)
    for peer in (0, 7):
        np.testing.assert_array_equal(found.unscaled[peer].train_x, found.shards[peer].train_x)
        np.testing.assert_array_equal(found.unscaled[peer].train_y, found.shards[peer].train_y)


def test_without_antigens_no_rows_are_kept_twice():
    given = scenario(learning={"antigens": False}, data={**BUNDLED, "shards": "dirichlet(0.3)",
                                                         "rows": 150})  # fmt: skip
    assert load_data(make_plan(given), peer_names(12))[0].unscaled is None


def some_shards(labels, late=None) -> Shards:
    """One peer for each array of labels; row i of a family f is near (10 f, i)."""
    shards, plain = [], []
    for own in labels:
        y = np.array(own)
        x = np.stack([10.0 * y, np.arange(len(y)) / len(y)], axis=1).astype(np.float32)
        scaler = HALF
        shards.append(Shard(scaler(x), y, scaler(x[y < 1]), scaler(x), y))
        plain.append(Unscaled(x, y, x[y < 1], scaler))
    families = ("benign", "scan", "dos")
    told = [each.train_y for each in shards]
    seen = visible(told, told, 3, late or {})
    return Shards("s", 2, families, tuple(shards), visible=seen, unscaled=plain)


HALF = Scaler(np.zeros(2, np.float32), np.full(2, 2.0, np.float32), bound=np.inf)


def test_evidence_is_what_a_peer_may_see_now():
    evidence = Evidence(some_shards([[0] * 5 + [1] * 3 + [2] * 4, [-1] * 6], {2: 7}))
    assert evidence.counts(0, 6) == {"scan": 3}
    assert evidence.counts(0, 7) == {"scan": 3, "dos": 4}
    assert evidence.counts(1, 7) == {}
    np.testing.assert_array_equal(evidence.rows(0, "dos", 7)[:, 0], [20.0] * 4)
    assert len(evidence.rows(0, "dos", 6)) == 0
    assert len(evidence.own(0).train) == 5
    assert len(evidence.own(1).train) == 6


def test_balanced_rows_are_of_every_family_alike_and_only_visible():
    shards = some_shards([[0] * 90 + [1] * 9 + [2] * 3], {2: 10})
    rows = Balanced(shards, ["a"], 50, 20, b"seed")
    found = rows.batches([0, 0], [1, 1], [0, 10])
    before, after = (np.bincount(y.ravel(), minlength=3) / y.size for y in found.y)
    assert before.tolist() == pytest.approx([0.5, 0.5, 0.0], abs=0.05)
    assert after.tolist() == pytest.approx([1 / 3] * 3, abs=0.05)
    np.testing.assert_array_equal(found.x[..., 0], 5.0 * found.y)
    assert len(np.unique(found.x[1][found.y[1] == 0][:, 1])) > 80
    again = rows.batches([0], [1], [10])
    np.testing.assert_array_equal(again.x[0], found.x[1])


# Presenting


class Machine:
    """Of a peer what a presenter looks at."""

    def __init__(self, name: PeerId, antigens=(), view=(), cycle: int = 3) -> None:
        self.me = Contact(name)
        self.antigens, self.view, self.cycle = tuple(antigens), tuple(view), cycle


NAMES = [PeerId(f"peer-{number}") for number in range(8)]
FINGERPRINT = Fingerprint("features", "model")
MANY = [[0] * 30 + [1] * 20 + [2] * 9, [0] * 30]


def presenter(labels=MANY, hostile=None, late=None) -> Presenter:
    return Presenter(
        Evidence(some_shards(labels, late)), NAMES, FINGERPRINT, b"seed", hostile or {}
    )


def presented(found) -> list[Antigen]:
    events = list(found)
    assert all(isinstance(each, Present) for each in events)
    return [each.antigen for each in events]


def test_a_peer_presents_what_it_has_ten_rows_of_and_again_when_these_have_doubled():
    made = presenter([[0] * 30 + [1] * 20 + [2] * 9 + [1] * 20], late={2: 1})
    (first,) = presented(made.due(0, Machine(NAMES[0]), 5 * SECOND_US))
    assert (first.family, first.evidence, first.origin) == ("scan", 40, NAMES[0])
    assert (first.created_s, first.expires_s) == (5, 5 + LIFE_S_MAX)
    assert verified(first, FINGERPRINT.schema, made.seal(3))
    Mixture.unpack(first.description, 2)
    assert presented(made.due(0, Machine(NAMES[0], [first]), 9 * SECOND_US)) == []
    less = replace(first, evidence=20)
    (later,) = presented(made.due(0, Machine(NAMES[0], [less]), 9 * SECOND_US))
    assert (later.evidence, later.serial > first.serial) == (40, True)


def test_what_four_others_describe_is_not_described_again():
    made = presenter()
    (one,) = presented(made.due(0, Machine(NAMES[0]), 0))
    others = [replace(one, origin=name) for name in NAMES[1:5]]
    assert presented(made.due(0, Machine(NAMES[0], others[:3]), 0)) == [one]
    assert presented(made.due(0, Machine(NAMES[0], others), 0)) == []


def test_liars_do_not_keep_a_simulated_witness_silent_either():
    made = presenter()
    lies = [antigen_of("scan", 500.0, origin) for origin in NAMES[1:5]]
    assert len(presented(made.due(0, Machine(NAMES[0], lies), 0))) == 1


def test_a_seal_makes_and_takes_only_what_its_origin_signed():
    ours, theirs = HashSeal(b"key", NAMES[0]), HashSeal(b"key", NAMES[1])
    signature = ours.sign(b"text")
    assert theirs.verifies(NAMES[0], b"text", signature)
    assert not theirs.verifies(NAMES[1], b"text", signature)
    assert not theirs.verifies(NAMES[0], b"texts", signature)
    assert not HashSeal(b"other", NAMES[0]).verifies(NAMES[0], b"text", signature)


# Rehearsing


class Rows:
    """Four steps of twelve rows of family 0."""

    def trainable(self, peer: int) -> bool:
        return True

    def batches(self, peers, cycles, times_us) -> Batches:
        shape = (len(peers), 4, 12)
        known = np.zeros((len(peers), 3), np.bool_)
        known[:, 0] = True
        return Batches(np.zeros((*shape, 2), np.float32), np.zeros(shape, np.int64), known)


def antigen_of(family: str, centre: float, origin: PeerId = NAMES[1]) -> Antigen:
    rng = np.random.default_rng(5)
    rows = rng.normal((centre, 0.5), 0.1, (40, 2)).astype(np.float32)
    made = Antigen(origin, family, 1, 40, 0, LIFE_S_MAX, Mixture.fit(rows, rng).pack())
    return signed(made, FINGERPRINT.schema, HashSeal(b"seed", origin))


def test_a_third_of_a_steps_rows_are_draws_most_of_families_that_a_peer_has_none_of():
    evidence = Evidence(some_shards([[0] * 200 + [1] * 20, [0] * 200]))
    rows = Rehearsing(Rows(), evidence, NAMES, ("benign", "scan", "dos", "worm"), 4, 0.05, b"seed")
    held = [antigen_of("scan", 100.0), antigen_of("worm", 300.0)]
    found = rows.batches([0, 1, 1], [1, 1, 1], [0, 0, 0], [held, held, []])
    assert found.y.shape == (3, 4, 12)
    assert (found.y > 0).sum(axis=2).tolist() == [[4] * 4, [4] * 4, [0] * 4]
    assert 0 < (found.y[0] == 1).sum() < 8 < (found.y[0] == 3).sum()  # it has rows of scan
    assert set(found.y[1].ravel()) == {0, 1, 3}
    assert found.known.tolist() == [[1, 1, 0, 1], [1, 1, 0, 1], [1, 0, 0, 0]]
    np.testing.assert_allclose(found.x[0][found.y[0] == 3][:, 0], 150.0, atol=0.5)  # scaled
    assert found.codes.shape[1] == 4
    alone = rows.batches([1], [1], [0], [held])
    np.testing.assert_array_equal(alone.x[0], found.x[1])
    np.testing.assert_array_equal(alone.y[0], found.y[1])


def test_an_antigen_that_looks_like_a_peers_own_benign_rows_is_not_rehearsed():
    evidence = Evidence(some_shards([[0] * 400]))
    rows = Rehearsing(Rows(), evidence, NAMES, ("benign", "scan", "dos"), 4, 0.05, b"seed")
    found = rows.batches([0], [1], [0], [[antigen_of("scan", 0.0)]])
    assert not found.y.any()
    assert found.known.tolist() == [[True, False, False]]


# Whole runs


def test_postponed_training_is_exact_with_antigens_too():
    hostile = [{"peers": "11", "presents": "flood"}]
    churn = {"restless": "0:6", "up": "exponential(40 s)", "away": "exponential(10 s)"}
    given = scenario(mesh={"hostile": hostile}, learning={"train": "4 s"}, churn=churn)
    stages = [stage_of(given, postpone=True), stage_of(given, postpone=False)]
    together, alone = map(run_stage, stages)
    assert together.trace_hash == alone.trace_hash
    assert stages[0].trainer.calls < stages[1].trainer.calls
    for (_, machine), (_, twin) in zip(*(each.world.alive() for each in stages), strict=True):
        np.testing.assert_array_equal(machine.vector, twin.vector)
        assert machine.antigens == twin.antigens


APPEAR = {
    "shards": "natural",
    "appear": [{"family": "class-3", "peers": "0", "at": "50 s"}],
}


def test_a_family_seen_at_one_peer_is_found_and_named_by_the_others():
    groups = {"others": "1:12"}
    runs = {}
    for antigens in (True, False):
        given = scenario(
            mesh={"duration": "120 s", "groups": groups},
            data=APPEAR,
            learning={"antigens": antigens, "evaluate": "60 s"},
        )
        runs[antigens] = run_stage(stage_of(given)).samples[-1].groups["others"]
    assert runs[True]["named:class-3"].mean > runs[False]["named:class-3"].mean + 0.3
    assert runs[True]["detection:class-3"].mean > 0.95


@pytest.mark.parametrize(
    ("presents", "family"),
    [("mimic", "class-1"), ("flood", ""), ("benign", ""), ("forged", "class-1"),
     ("expired", "class-1"), ("replay", "")],
)  # fmt: skip
def test_hostile_peers_reach_no_more_than_the_protocol_allows(presents, family):
    hostile = [{"peers": "10:12", "presents": presents, "family": family}]
    stage = stage_of(scenario(mesh={"hostile": hostile}))
    result = run_stage(stage)
    presenter = stage.immunity.presenter
    seal, schema = presenter.seal(0), presenter.fingerprint.schema
    held = [each for _, machine in stage.world.alive() for each in machine.antigens]
    bad = {peer_names(12)[10], peer_names(12)[11]}
    assert all(verified(each, schema, seal) for each in held)
    assert len({each.origin for each in held} - bad) > 2  # the others' get through
    told = {each.family for each in held if each.origin in bad}
    if presents in {"mimic", "flood"}:
        assert told
    else:
        assert not told - {"class-1", "class-2", "class-3"}
    if presents in {"benign", "forged"}:
        assert result.topics["remote-fault"] > 10
    else:
        assert "remote-fault" not in result.topics
    assert result.samples[-1].metrics["false_alarms"].mean < 0.08


def test_names_that_hostile_peers_bring_up_are_known_beforehand():
    flood = Hostility(Harm.FLOOD, "", 0)
    told = names_of({3: flood, 4: Hostility(Harm.MIMIC, "scan", 0)})
    assert len(told) == JUNK_FAMILIES + 1
    made = presenter(hostile={1: flood})
    names = {presented(made.due(1, Machine(NAMES[1], cycle=cycle), 0))[0].family
             for cycle in range(40)}  # fmt: skip
    assert names == {name.replace("-3-", "-1-") for name in told if name != "scan"}
