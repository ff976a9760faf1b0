"""A gateway whose model breaks its promise goes back to the last good one; a discovery is none."""

from dataclasses import replace

import numpy as np
import pytest

from gossip.actions import Train
from gossip.antigens import EVIDENCE_MIN, NORM, Antigen
from gossip.contacts import PeerId
from gossip.errors import StateError
from gossip.features import SCHEMA, FeatureExtractor
from gossip.learning.guard import FIRST_LOOK, TRIALS, Standing
from gossip.learning.mixture import Mixture
from gossip.learning.norms import NORMS_MIN, Norm
from gossip.learning.samples import Role
from gossip.learning.tolerance import USUAL, Benign
from node.detection import new_learner
from node.trainer import Trainer
from node.watch import guarding
from node.watch.guarding import RECENT_MAX, Recent, Taken
from node.watch.suspects import Suspects
from node.watch.watch import NORMS_STILL
from tests.node.test_immune import NOW_S, Part, attack
from tests.node.test_watch import fresh, learn
from tests.node.traffic import benign, parsed, scan

BUDGET = 0.05
CALM, PROOF, WARM = 900, 300, 80
NEXT = CALM + PROOF + WARM


@pytest.fixture(scope="module")
def calm():
    """Arrays of a gateway whose model has proven itself."""
    watch = fresh(BUDGET)
    watch.observe(parsed(benign(CALM)))
    watch.serve(learn(watch, 40), 40)
    watch.observe(parsed(benign(PROOF, first=CALM)))
    assert watch.guarding.guard.standing is Standing.PROVEN
    return watch.to_arrays()


@pytest.fixture
def proven(calm):
    return warm(calm)


def warm(calm):
    """Restored, and with a full context."""
    watch = fresh(BUDGET)
    watch.restore(calm)
    watch.observe(parsed(benign(WARM, first=CALM + PROOF)))
    assert watch.guarding.guard.standing is Standing.PROVEN
    usual = Benign(watch.benign, watch.held, np.random.default_rng(1))
    watch.guarding.suspects = Suspects(usual)
    return watch


@pytest.fixture
def said(monkeypatch):
    lines = []

    class Log:
        def info(self, event, **more):
            lines.append((event, more))

        warning = info

    monkeypatch.setattr(guarding, "_log", Log())
    return lines


def eager(watch, share, cycle=41):
    """A model that raises far more alarms than it promises; made as by a training."""
    made, _ = watch._calibrated(
        watch.serving.vector * np.float32(1.0001), cycle, watch.scaler, watch.names
    )
    usual = made.judge(watch._shape, watch.samples.rows(Role.CALIBRATE)).score
    threshold = float(np.quantile(usual, 1 - share))
    wrong = replace(made, calibration=replace(made.calibration, threshold=threshold))
    watch.serving = watch.guarding.offer(wrong)
    return wrong


def feed(watch, count, first, step=32):
    """Ordinary flows in batches; how many were anomalous."""
    flows = parsed(benign(count, first=first))
    return sum(len(watch.observe(flows[i : i + step])) for i in range(0, count, step))


@pytest.mark.parametrize("share", [0.3, 0.95])
def test_a_model_that_cries_wolf_gives_way_also_where_it_makes_a_storm_of_all(proven, said, share):
    good = proven.serving
    wrong = eager(proven, share)
    assert proven.serving is wrong
    feed(proven, 320, NEXT)
    assert proven.guarding.guard.standing is Standing.FALLEN
    assert np.array_equal(proven.serving.vector, good.vector)
    assert proven.serving.calibration.threshold == good.calibration.threshold
    assert proven.guarding.acts.fall_backs == 1
    (line,) = [more for event, more in said if event == "the false-alarm budget is not kept"]
    assert line["done"] == "fell back to the last good model, of cycle 40"
    assert line["alarms_last_good"] <= line["alarms"] / 2
    assert feed(proven, 320, NEXT + 320) < 3 * BUDGET * 320


def test_a_new_model_comes_back_after_trials_on_flows_that_it_was_not_calibrated_on(proven, said):
    eager(proven, 0.3)
    feed(proven, 160, NEXT)
    good = proven.serving
    assert proven.guarding.guard.standing is Standing.FALLEN
    first = NEXT + 160
    for cycle in range(42, 42 + 2 * TRIALS):
        proven.serve(good.vector + np.float32(1e-4), cycle)
        assert proven.serving.cycle == 40, "it waits"
        if cycle % 2:
            feed(proven, 200, first)
            first += 200
    proven.serve(good.vector + np.float32(1e-4), 60)
    assert proven.serving.cycle == 60
    assert proven.guarding.guard.standing is Standing.UNPROVEN
    assert proven.guarding.acts.returns == 1
    assert said[-1] == ("a new model has proven itself and serves", {"cycle": 60})


def test_where_the_traffic_changed_the_threshold_follows_now(proven, said):
    threshold = proven.serving.calibration.threshold
    before = len(proven.samples.rows(Role.CALIBRATE))
    other = parsed(benign(400, first=NEXT))
    other = [replace(f, orig_ip_bytes=40 * f.orig_ip_bytes, orig_h=f.uid) for f in other]
    for i in range(0, len(other), 8):  # too few at once to be a storm
        proven.observe([*other[i : i + 3], *parsed(benign(40, first=NEXT + 1_000 + 5 * i))])
        if proven.guarding.acts.breaches:
            break
    assert proven.guarding.acts.recalibrations == 1
    assert said[-1][1]["done"] == "calibrated anew, with recent flows"
    assert proven.serving.cycle == 40, "the same model"
    assert proven.serving.calibration.threshold > threshold
    assert len(proven.samples.rows(Role.CALIBRATE)) <= before + 400
    assert proven.guarding.guard.standing is Standing.UNPROVEN


class Attacked(Part):
    """A gateway that is proven, and then learns a scan from an antigen."""

    def __init__(self, folder, arrays):
        super().__init__(folder)
        self.watch = warm(arrays)

    def learn(self, *others):
        trainer = Trainer(new_learner(), self.watch.serving.vector)
        shared = self.watch.serving.vector[: trainer.learner.shared]
        for cycle in range(41, 71):
            plan = self.immune.plan(Train(cycle, shared, others), self.watch, others, NOW_S)
            done = self.immune.carry_out(plan)
            self.watch.guarding.suspects = done.suspects
            drawn = self.watch.batches(cycle, done.drawn)
            shared = shared + trainer.train(Train(cycle, shared), drawn).delta
        self.watch.serve(trainer.whole(shared), 71)


def quiet_attack(watch, first):
    """Of each 6 flows one is a scan's, by one of four sources: neither storm nor burst."""
    usual = parsed(benign(400, first=first))
    found = 0
    for i, flow in enumerate(parsed(scan(80, first))):
        some = usual[5 * i : 5 * i + 5]
        probe = replace(flow, orig_h=f"198.18.9.{i % 4}", ts=some[-1].ts)
        found += probe in [anomaly.flow for anomaly in watch.observe([*some, probe])]
        assert not watch.storm
    return found


def test_a_quiet_attack_that_was_just_learnt_is_a_discovery_and_no_fault(tmp_path, calm):
    part = Attacked(tmp_path, calm)
    part.learn(attack("scan"))
    assert len(part.watch.guarding.suspects.known) == 1
    assert quiet_attack(part.watch, NEXT) > 50
    assert part.watch.guarding.acts.breaches == 0
    assert part.watch.serving.cycle == 71


def test_a_storm_that_only_the_newer_model_sees_is_no_fault_if_it_looks_unusual(proven):
    eager(proven, 0.1)
    guard = proven.guarding.guard
    calmer = replace(guard.good.calibration, threshold=1e6)
    guard.good = replace(guard.good, calibration=calmer)
    flows = parsed(scan(200, NEXT))
    rows = np.stack([FeatureExtractor().add(flow) for flow in flows])
    assert proven.guarding.suspects.usual(proven.held).mean() == pytest.approx(USUAL, abs=0.05)
    assert proven.guarding.suspects.usual(rows).mean() < 0.05
    found = sum(len(proven.observe(flows[i : i + 40])) for i in range(0, 200, 40))
    assert proven.storm
    assert found > 100
    assert proven.guarding.acts.fall_backs == 0


def test_a_storm_of_what_is_known_is_no_models_fault_however_usual_it_looks(proven):
    eager(proven, 0.95)
    some = Mixture.fit(proven.benign, np.random.default_rng(1))
    known = replace(proven.guarding.suspects, known=[some], least=np.array([-np.inf]))
    proven.guarding.suspects = known
    assert known(proven.held).all()
    feed(proven, 320, NEXT)
    assert proven.storm
    assert proven.guarding.acts.breaches == 0


def test_known_attacks_excuse_no_more_than_the_budget_together():
    rng = np.random.default_rng(1)
    train, held = rng.normal(3.0, 1.0, (2, 400, 3)).astype(np.float32)
    usual = Benign(train, held, rng)
    spreads = np.full((1, 3), 0.1, np.float32)
    crowd = [Mixture(np.ones(1, np.float32), held[i : i + 1], spreads) for i in range(40)]
    alone = [Suspects.of(usual, [each], BUDGET) for each in crowd]
    union = np.any([each(held) for each in alone], axis=0)
    assert union.mean() > 2 * BUDGET, "each by itself is within it"
    suspects = Suspects.of(usual, crowd, BUDGET)
    assert suspects.known
    assert 0 < suspects(held).mean() <= BUDGET


class Judge:
    """In place of a model: remembers the rows that it is asked about."""

    def __init__(self):
        self.asked = np.zeros((0, 1))

    def alarms(self, shape, rows):
        self.asked = rows
        return len(rows)


def test_a_breach_is_settled_by_the_flows_it_was_seen_on_and_not_by_later_ones():
    one, judge, count = guarding.Guarding(None, BUDGET, 1), Judge(), 2 * FIRST_LOOK
    one.guard.offer(judge, (0.0, BUDGET))
    rows = np.arange(count, dtype=np.float32)[:, None]
    every = np.ones(count, np.bool_)
    believed = [(i, False) for i in range(count)]
    taken = Taken(rows, np.zeros(count), every, [0.0] * count, believed, [])
    breach = one.took(taken, watching=True)
    one.settle(breach)
    assert breach.flows <= FIRST_LOOK
    assert judge.asked[:, 0].tolist() == list(range(FIRST_LOOK))


def test_without_evidence_of_what_it_is_it_counts(tmp_path, calm):
    part = Attacked(tmp_path, calm)
    part.learn(attack("scan"))
    part.watch.guarding.suspects = replace(part.watch.guarding.suspects, known=())
    quiet_attack(part.watch, NEXT)
    assert part.watch.guarding.acts.breaches > 0


def test_what_cost_too_much_is_no_evidence_and_own_labels_are(tmp_path, calm):
    part = Attacked(tmp_path, calm)
    watch = part.watch
    plan = part.immune.plan(Train(41, watch.serving.vector), watch, (), NOW_S)
    assert part.immune.carry_out(plan).suspects.known == ()
    labelled = parsed(scan(40, NEXT, labelled=True))
    watch.observe(labelled)
    plan = part.immune.plan(Train(42, watch.serving.vector), watch, (), NOW_S)
    suspects = part.immune.carry_out(plan).suspects
    assert suspects(plan.evidence[0].rows).mean() > 0.9
    assert suspects(watch.held).mean() < BUDGET
    again = part.immune.plan(Train(43, watch.serving.vector), watch, (), NOW_S)
    assert again.evidence == (), "described once, until there are twice the rows"
    assert part.immune.carry_out(again).suspects is suspects, "nothing has changed"
    wrong = [replace(flow, family="dos") for flow in parsed(benign(60, first=NEXT + 50))]
    watch.observe(wrong)
    plan = part.immune.plan(Train(44, watch.serving.vector), watch, (), NOW_S)
    assert {each.family for each in plan.evidence} == {"dos"}
    assert len(plan.evidence[0].rows) >= EVIDENCE_MIN
    suspects = part.immune.carry_out(plan).suspects
    assert len(suspects.known) == 1, "benign rows that a sensor calls an attack excuse nothing"


def test_to_have_fallen_back_outlives_a_restart_and_damage_is_said(proven):
    eager(proven, 0.3)
    feed(proven, 160, NEXT)
    arrays = proven.to_arrays()
    again = fresh(BUDGET)
    again.restore(arrays)
    guard = again.guarding.guard
    assert guard.standing is Standing.FALLEN
    assert guard.reason == proven.guarding.guard.reason
    assert guard.good.digest == again.serving.digest == proven.serving.digest
    assert again.guarding.since_ts_s == proven.guarding.since_ts_s
    again.serve(again.serving.vector, 80)
    assert again.serving.cycle == 40, "it is on trial, as before"
    old = {name: array for name, array in arrays.items() if not name.startswith("guard.")}
    earlier = fresh(BUDGET)
    earlier.restore(old)
    assert earlier.guarding.guard.standing is Standing.UNPROVEN
    assert earlier.guarding.guard.serving is earlier.serving
    for name in ("guard.since", "guard.good.vector"):
        with pytest.raises(StateError, match="is damaged; restore the folder"):
            fresh(BUDGET).restore(arrays | {name: np.full(2, np.nan)})
    with pytest.raises(StateError, match="has no array"):
        fresh(BUDGET).restore({n: a for n, a in arrays.items() if n != "guard.counts"})


def test_what_was_written_before_models_carried_their_scaler_is_read(proven):
    arrays = proven.to_arrays()
    old = {n: a for n, a in arrays.items() if not n.startswith(("guard.", "serving."))}
    kept = {n: a for n, a in arrays.items() if n in {f"serving.{w}" for w in ("vector", "names")}}
    kept["serving.cycle"] = arrays["serving.cycle"]
    kept |= {
        n.removeprefix("serving."): a for n, a in arrays.items() if "serving.calibration." in n
    }
    again = fresh(BUDGET)
    again.restore(old | kept)
    rows = proven.held
    assert np.array_equal(again.judge(rows).score, proven.judge(rows).score)


def test_recent_rows_are_kept_in_order_and_bounded():
    recent = Recent(2, capacity=4)
    for i in range(6):
        recent.add(np.full(2, i, np.float32), calibrates=bool(i % 2))
    rows, calibrates = recent.last(3)
    assert rows[:, 0].tolist() == [3, 4, 5]
    assert calibrates.tolist() == [True, False, True]
    assert len(recent.last(9)[0]) == len(recent) == 4
    assert recent.last(2, skip=1)[0][:, 0].tolist() == [3, 4]
    assert recent.last(9, skip=3)[0][:, 0].tolist() == [2]
    assert len(recent.last(1, skip=4)[0]) == 0
    assert RECENT_MAX >= FIRST_LOOK


@pytest.mark.parametrize("name", ["serving.vector", "serving.scaler.centre", "train.rows"])
def test_what_is_absent_or_no_number_is_damage_and_never_another_scalers(proven, name):
    arrays = proven.to_arrays()
    (name,) = [each for each in arrays if each.endswith(name)][:1]
    for damaged in (
        {each: array for each, array in arrays.items() if each != name},
        arrays | {name: np.full(arrays[name].shape, "text")},
    ):
        with pytest.raises(StateError, match=r"remove|restore the folder"):
            fresh(BUDGET).restore(damaged)


def norms(count, first=2.0):
    """Of gateways whose benign flows are a little larger each."""
    found = []
    for i in range(count):
        mean = np.full(len(SCHEMA), first + i, np.float32)
        text = Norm(mean, np.ones(len(SCHEMA), np.float32)).pack()
        found.append(Antigen(PeerId(f"peer{i}"), NORM, 1, 200, 0, 86_400, text, b""))
    return tuple(found)


def test_a_model_keeps_the_scaler_that_it_was_trained_with(proven):
    own, served = proven.scaler, proven.serving
    proven.scale_by(norms(NORMS_MIN - 1))
    assert proven.scaler is own, "too few to scale alike"
    proven.scale_by(norms(NORMS_MIN))
    mesh = proven.scaler
    assert mesh.centre[0] == 3.0
    rows = proven.held
    assert np.array_equal(proven.judge(rows).scaled, own(rows)), "what serves is not touched"
    given = served.vector + np.float32(1e-4)
    proven.serve(given, 41)
    assert proven.serving.norms == NORMS_MIN
    assert np.array_equal(proven.judge(rows).scaled, mesh(rows))
    assert np.array_equal(proven.serving.vector, given), "no average over two scalers"
    again = fresh(BUDGET)
    again.restore(proven.to_arrays())
    assert again.serving.norms == NORMS_MIN
    assert np.array_equal(again.judge(rows).score, proven.judge(rows).score)
    again.serve(given, 42)
    assert again.serving.norms == 0, "its norms are not held any more"
    assert again.serving.scales_as(own)


def test_the_meshs_scaler_stays_until_it_moved_materially_and_outlives_a_restart(proven):
    junk = [replace(each, description=b"junk") for each in norms(9)]
    proven.scale_by((*norms(NORMS_MIN), *junk))
    mesh = proven.scaler
    proven.serve(proven.serving.vector, 41)
    assert proven.serving.norms == NORMS_MIN, "of those that can be read"
    served = proven.serving.vector
    for cycle, first in ((42, 2.3), (43, 1.7)):  # as a liar may move them each cycle
        proven.scale_by(norms(NORMS_MIN, first))
        assert proven.scaler is mesh
        proven.serve(served + np.float32(1.0), cycle)
        assert np.abs(proven.serving.vector - served).max() < 0.6, "the average goes on"
    again = fresh(BUDGET)
    again.restore(proven.to_arrays())
    again.scale_by(norms(NORMS_MIN, 2.3))
    assert again.serving.scales_as(again.scaler)
    for _ in range(NORMS_STILL):
        assert again.scaler.centre[0] == 3.0
        again.scale_by(norms(NORMS_MIN, 2.3))
    assert again.scaler.centre[0] == pytest.approx(3.3, abs=0.01), "nobody says anything new"
    again.scale_by(norms(NORMS_MIN, 5.0))
    assert again.scaler.centre[0] == 6.0
    again.scale_by(norms(NORMS_MIN - 1))
    assert again.scaler.centre[0] not in (3.0, 6.0), "its own"
