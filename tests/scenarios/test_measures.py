"""What a judgement says, against scikit-learn; who is judged; how peers become figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score, roc_curve

from gossip.learning.calibration import conformal_threshold
from gossip.learning.shapes import DetectorShape, MLPShape
from scenarios.conditions.selectors import select
from scenarios.data.shards import Shard
from scenarios.measures.judgement import Judgement, auc, detection_at, judge_scores
from scenarios.measures.judges import ClassifierJudge, DetectorJudge
from scenarios.measures.measure import draw_panel, histogram, parts, spreads
from scenarios.measures.samples import selector, spread

FAMILIES = 4

# Few different scores, so that ties are the rule.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.integers(0, FAMILIES - 1),
        st.integers(0, FAMILIES - 1),
    ),
    min_size=1,
    max_size=300,
)


def columns(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, likeliest, truth = (np.array(column) for column in zip(*rows, strict=True))
    return scores / 3.0 - 1.0, likeliest, truth


@given(ROWS, st.integers(-1, 6))
def test_a_judgement_is_what_scikit_learn_finds(rows, limit):
    scores, likeliest, truth = columns(rows)
    threshold = limit / 3.0 - 1.0
    found = judge_scores(scores, likeliest, truth, FAMILIES, threshold)
    attack, alarm = truth > 0, scores > threshold
    assert found.accuracy == pytest.approx(accuracy_score(truth, likeliest))
    present = np.unique(truth)
    f1 = f1_score(truth, likeliest, labels=present, average="macro", zero_division=0.0)
    assert found.macro_f1 == pytest.approx(f1)
    if attack.any():
        assert found.detection == pytest.approx(recall_score(attack, alarm))
    else:
        assert np.isnan(found.detection)
    if not attack.all():
        assert found.false_alarms == pytest.approx(1 - recall_score(~attack, ~alarm))
    for family, share in enumerate(found.families):
        if family and (truth == family).any():
            assert share == pytest.approx(alarm[truth == family].mean())
        else:
            assert np.isnan(share)
    if attack.any() and not attack.all():
        assert found.auc == pytest.approx(roc_auc_score(attack, scores))
    else:
        assert np.isnan(found.auc)


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=60),
    st.lists(st.integers(-40, 30), min_size=1, max_size=400),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_detection_at_false_alarms_is_the_best_point_of_the_roc_curve(attacks, benign, share):
    found = detection_at(np.array(attacks), np.sort(benign), share)
    truth = [1] * len(attacks) + [0] * len(benign)
    fpr, tpr, _ = roc_curve(truth, attacks + benign, drop_intermediate=False)
    if len(benign) * share < 1.0 - 1e-9:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(tpr[fpr <= share + 1e-9].max())


def test_one_per_cent_needs_a_hundred_benign_rows_and_lets_one_alarm():
    attacks = np.array([0.0, 98.0, 99.0, 200.0])
    assert np.isnan(detection_at(attacks, np.arange(99.0), 0.01))
    assert detection_at(attacks, np.arange(100.0), 0.01) == 0.5  # above 98
    tied = np.array([*np.arange(98.0), 99.0, 99.0])
    assert detection_at(attacks, tied, 0.01) == 0.25  # both of 99 would alarm, so neither may


def test_a_model_that_diverged_alarms_nobody():
    shape = MLPShape((3, 2))
    rows, labels = np.ones((20, 3), np.float32), np.arange(20) % 2
    shard = Shard(rows, labels, rows, rows, labels)
    found = ClassifierJudge(shape, 0.1, 2).judge(np.full(8, np.nan, np.float32), shard)
    assert (found.detection, found.false_alarms, found.calibrated) == (0.0, 0.0, False)
    assert found.auc == 0.5


def test_a_classifier_is_judged_by_its_log_odds_and_its_own_threshold():
    shape = MLPShape((2, 3))
    # Class 0 for low x, class 1 for high x, class 2 for high y; no bias.
    vector = np.zeros(9, np.float32)
    weights = shape.layout.views(vector)
    next(iter(weights.values()))[...] = np.array([[-1, 1, 0], [0, 0, 1]], np.float32).reshape(
        next(iter(weights.values())).shape
    )
    x = np.array([[-3, 0], [-2, 0], [3, 0], [0, 5], [-9, 1]], np.float32)
    y = np.array([0, 0, 1, 2, 2])
    calibrate_x = np.stack([np.linspace(-4, 0, 50), np.zeros(50)], axis=1).astype(np.float32)
    shard = Shard(x, y, calibrate_x, x, y)
    found = ClassifierJudge(shape, 0.1, 3).judge(vector, shard)
    assert found.calibrated
    assert found.families == pytest.approx((np.nan, 1.0, 0.5), nan_ok=True)
    assert found.named == pytest.approx((1.0, 1.0, 0.5))
    assert found.detection == pytest.approx(2 / 3)
    assert found.false_alarms == 0.0
    assert found.auc == pytest.approx(4 / 6)
    assert found.accuracy == pytest.approx(4 / 5)


@pytest.mark.parametrize("benign", [0, 19, 20])
def test_a_detector_with_too_few_benign_rows_has_no_threshold_and_is_judged_all_the_same(benign):
    shape = DetectorShape(5)
    draw = np.random.Generator(np.random.Philox(key=7))
    rows = draw.standard_normal((200, 5)).astype(np.float32)
    labels = np.arange(200) % 3
    vector = draw.standard_normal(shape.layout.dim).astype(np.float32) * np.float32(0.1)
    train_y = np.where(np.arange(200) < benign, 0, 1)
    found = DetectorJudge(shape, 0.1, 3, ("benign", "a", "b")).judge(
        vector, Shard(rows, train_y, rows, rows, labels)
    )
    assert found.calibrated == (benign == 20)
    assert 0.0 < found.auc < 1.0
    assert (found.detection > 0.0) == (benign == 20)


def judgement(accuracy: float, families: tuple[float, ...], false_alarms: float = 0.0) -> Judgement:
    return Judgement(
        accuracy, 0.5, false_alarms, np.nan, np.nan, 0.5, 0.5, families, families[::-1], True
    )


def test_peers_become_spreads_without_those_who_have_no_value():
    judged = [
        judgement(number / 10, (np.nan, number / 10 if number > 5 else np.nan, np.nan), number)
        for number in range(11)
    ]
    found = spreads(judged, ("benign", "scan", "dos"))
    assert found["accuracy"] == spread(np.arange(11) / 10)
    assert (found["accuracy"].mean, found["accuracy"].worst) == (pytest.approx(0.5), 0.0)
    assert found["accuracy"].tenth == pytest.approx(0.1)
    assert (found["false_alarms"].worst, found["false_alarms"].tenth) == (10.0, pytest.approx(9.0))
    assert found["detection:scan"].n == 5
    assert found["detection:scan"].worst == pytest.approx(0.6)
    assert "detection:dos" not in found
    assert set(found) >= {"detection:scan", "named:scan"}
    assert not any(name.endswith(":benign") for name in found)
    assert found["detection_1"].n == 0
    assert np.isnan(found["detection_1"].mean)


@given(st.integers(2, 300), st.integers(0, 60), st.integers(0, 5), st.integers(0, 3))
def test_every_group_is_judged_and_the_mesh_by_a_uniform_draw(peers, limit, groups, seed):
    named = {f"g{n}": tuple(range(n * peers // 9, n * peers // 9 + 3)) for n in range(groups)}
    named = {
        name: tuple(p for p in members if p < peers) or (0,) for name, members in named.items()
    }
    key = f"seed {seed}".encode()
    panel = draw_panel(peers, named, limit, key)
    assert len(panel.drawn) == (min(limit, peers) if limit else peers)
    assert panel.drawn == draw_panel(peers, {}, limit, key).drawn  # groups bend nothing
    for name, members in named.items():
        assert panel.groups[name]
        assert set(panel.groups[name]) <= set(members)
        assert set(panel.groups[name]) >= set(members) & set(panel.drawn)
    chosen = {*panel.drawn, *(peer for each in panel.groups.values() for peer in each)}
    assert panel.everybody == tuple(sorted(chosen))


def test_a_small_group_gets_its_ten():
    panel = draw_panel(1_000, {"island": tuple(range(40)), "pair": (1, 2)}, 50, b"seed")
    assert len(panel.groups["island"]) == 10
    assert panel.groups["pair"] == (1, 2)
    assert panel.members["island"] == tuple(range(40))


@given(st.sets(st.integers(0, 99), min_size=1))
def test_peers_as_a_selector_are_the_same_peers(peers):
    assert select(selector(sorted(peers)), 100, {}, b"", "") == tuple(sorted(peers))


def test_parts_and_histograms():
    assert parts({0: [1], 1: [], 4: [5], 5: [4], 7: []}) == 3
    assert parts({}) == 0
    assert histogram([3, 1, 3]) == {1: 1, 3: 2}


def test_the_threshold_is_the_one_a_node_would_use():
    shape = MLPShape((4, 2))
    vector = shape.initial(b"seed")
    draw = np.random.Generator(np.random.Philox(key=3))
    held, test = draw.standard_normal((2, 300, 4)).astype(np.float32)
    labels = np.arange(300) % 2
    found = ClassifierJudge(shape, 0.05, 2).judge(vector, Shard(test, labels, held, test, labels))
    w = shape.layout.views(vector)
    weight, bias = (w[name].reshape(shape_) for name, shape_ in zip(w, [(4, 2), (2,)], strict=True))
    odds = [(each @ weight + bias) @ np.array([-1.0, 1.0]) for each in (held, test)]
    limit = conformal_threshold(odds[0], 0.05)
    assert found.detection == pytest.approx((odds[1][labels == 1] > limit).mean())
    assert found.auc == pytest.approx(auc(odds[1][labels == 1], np.sort(odds[1][labels == 0])))
