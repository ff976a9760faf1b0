"""Training by hand: torch against autograd, numpy against torch, one peer against many."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gossip.learning import in_numpy, in_torch
from gossip.learning.codes import CODE_BITS, codes
from gossip.learning.descent import Descent
from gossip.learning.in_numpy import Classifier, Detector
from gossip.learning.in_torch import TorchClassifier, TorchDetector
from gossip.learning.learner import Batches, Learner
from gossip.learning.shapes import DetectorShape, MLPShape

FEATURES, FAMILIES = 6, 4
TOLERANCE = 1e-5  # of the largest number: what the order of sums in a product may change

DETECTOR_SHAPE = DetectorShape(FEATURES, hidden=7, code=3, judge=5)
CLASSIFIER_SHAPE, LOGISTIC_SHAPE = MLPShape((FEATURES, 5, FAMILIES)), MLPShape((FEATURES, FAMILIES))
CODED_SHAPE = MLPShape((FEATURES, 5, CODE_BITS))
CODES = codes(("benign", "flood", "scan", "worm"))
DESCENT = Descent(0.1)

DETECTOR = Detector(DETECTOR_SHAPE, DESCENT)
IN_NUMPY = [
    Classifier(CLASSIFIER_SHAPE, DESCENT),
    Classifier(LOGISTIC_SHAPE, DESCENT),
    Classifier(CODED_SHAPE, DESCENT),
    DETECTOR,
]
IN_TORCH = [
    TorchClassifier(CLASSIFIER_SHAPE, DESCENT),
    TorchClassifier(LOGISTIC_SHAPE, DESCENT),
    TorchClassifier(CODED_SHAPE, DESCENT),
    TorchDetector(DETECTOR_SHAPE, DESCENT),
]
MODELS = [*IN_NUMPY, *IN_TORCH]


def is_coded(model: Learner) -> bool:
    return isinstance(model, Detector | TorchDetector) or model.shape == CODED_SHAPE.text


def some_batches(
    model: Learner, peers: int, steps: int = 4, rows: int = 9, seed: int = 1
) -> Batches:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(peers, steps, rows, FEATURES)).astype(np.float32)
    y = rng.integers(-1, FAMILIES, (peers, steps, rows))
    known = rng.random((peers, FAMILIES)) < 0.7
    known[0], known[-1] = False, True
    return Batches(x, y, known, CODES if is_coded(model) else None)


def stack_of(model: Learner, peers: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    vectors = np.stack([model.initial(bytes([i % 256, i // 256])) for i in range(peers)])
    rng = np.random.default_rng(2)
    return vectors, (0.1 * rng.normal(size=vectors.shape)).astype(np.float32)


def close(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    return bool(np.abs(a - b).max() <= TOLERANCE * max(1.0, np.abs(a).max()))


def oracle_loss(
    model: TorchDetector | TorchClassifier,
    flat: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    known: list[bool],
) -> torch.Tensor:
    w = {n: flat[place].reshape(shape) for n, place, shape in model.sizes.layout.slices()}

    def affine(name: str, a: torch.Tensor) -> torch.Tensor:
        return a @ w[f"{name}.w"] + w[f"{name}.b"]

    loss = torch.zeros((), dtype=flat.dtype)
    if isinstance(model, TorchDetector):
        encoded = torch.relu(affine("encode", x))
        rebuilt = affine(
            "rebuild", torch.relu(affine("decode", torch.tanh(affine("code", encoded))))
        )
        trusted = y <= 0
        if trusted.any():
            loss = loss + model.reconstruction * ((rebuilt - x)[trusted] ** 2).mean()
        logits = affine("name", torch.relu(affine("judge", encoded)))
    else:
        logits = x
        names = [name for name, _, _ in model.sizes.layers]
        for name in names:
            logits = affine(name, logits)
            logits = torch.relu(logits) if name != names[-1] else logits
    if is_coded(model):
        logits = logits @ torch.from_numpy(CODES).double()
    columns = [f for f in range(FAMILIES) if known[f]]
    rows = [i for i in range(len(y)) if int(y[i]) in columns]
    if rows:
        target = torch.tensor([columns.index(int(y[i])) for i in rows])
        loss = loss + torch.nn.functional.cross_entropy(logits[rows][:, columns], target)
    return loss


@pytest.mark.parametrize("model", IN_TORCH)
def test_gradients_are_those_of_autograd(model: TorchDetector | TorchClassifier) -> None:
    peers = 3
    batches = some_batches(model, peers)
    vectors = torch.from_numpy(stack_of(model, peers)[0]).double()
    gradient = torch.empty_like(vectors)
    x, y = torch.from_numpy(batches.x).double(), torch.from_numpy(batches.y)
    known = torch.from_numpy(batches.known)
    coded = None if batches.codes is None else torch.from_numpy(batches.codes).double()
    loss = model.gradients(
        in_torch._views(model.sizes.layout, vectors),
        in_torch._views(model.sizes.layout, gradient),
        in_torch.Step(x[:, 0], y[:, 0], known, coded),
    )
    for peer in range(peers):
        flat = vectors[peer].clone().requires_grad_(True)
        expected = oracle_loss(model, flat, x[peer, 0], y[peer, 0], batches.known[peer].tolist())
        assert loss[peer].item() == pytest.approx(expected.item(), abs=1e-12)
        if expected.requires_grad:
            (by_hand,) = torch.autograd.grad(expected, flat)
            assert torch.allclose(gradient[peer], by_hand, atol=1e-12)
        else:
            assert not gradient[peer].any()


@pytest.mark.parametrize("model", IN_TORCH)
def test_in_torch_a_peer_does_not_feel_who_else_is_in_the_stack(
    model: TorchDetector | TorchClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_torch, "CHUNK_NUMBERS", 5 * model.dim)  # boundaries at 5 and 10
    peers = 12
    batches = some_batches(model, peers)
    vectors, momentum = stack_of(model, peers)
    together = model.train(vectors, momentum, batches)
    for i in range(peers):
        one = batches.part(slice(i, i + 1))
        alone = model.train(vectors[i : i + 1], momentum[i : i + 1], one)
        assert close(alone.vectors[0], together.vectors[i])
        assert close(alone.momentum[0], together.momentum[i])
        assert alone.loss[0] == pytest.approx(together.loss[i], rel=TOLERANCE)


@pytest.mark.parametrize(("model", "oracle"), [*zip(IN_NUMPY, IN_TORCH, strict=True)])
def test_numpy_trains_as_torch_does(model: Learner, oracle: Learner) -> None:
    assert (model.dim, model.shared) == (oracle.dim, oracle.shared)
    assert model.shape == oracle.shape
    assert np.array_equal(model.initial(b"s"), oracle.initial(b"s"))
    batches = some_batches(model, 4)
    vectors, momentum = stack_of(model, 4)
    vectors[2] = 1e30
    ours, theirs = (m.train(vectors, momentum, batches) for m in (model, oracle))
    for peer in range(4):  # each by its own largest number: one of them is huge
        assert close(ours.vectors[peer], theirs.vectors[peer])
        assert close(ours.momentum[peer], theirs.momentum[peer])
    assert np.allclose(ours.loss, theirs.loss, rtol=TOLERANCE, equal_nan=True)


@pytest.mark.parametrize("carries", [True, False])
@pytest.mark.parametrize("model", IN_NUMPY)
def test_in_numpy_a_peers_result_is_the_same_to_the_last_bit_in_any_stack(
    model: Classifier | Detector, carries: bool
) -> None:
    model = replace(model, descent=Descent(0.1, 0.9 if carries else 0.0))
    peers = in_numpy.CHUNK_PEERS_MAX + 3  # a boundary between chunks, and a short last chunk
    batches = some_batches(model, peers)
    vectors, momentum = stack_of(model, peers)
    momentum *= carries
    together = model.train(vectors, momentum, batches)
    assert together.momentum.any() == carries == model.carries
    for part in (slice(0, 1), slice(5, 8), slice(peers - 40, peers)):
        apart = model.train(vectors[part], momentum[part], batches.part(part))
        assert np.array_equal(apart.vectors, together.vectors[part])
        assert np.array_equal(apart.momentum, together.momentum[part])
        assert np.array_equal(apart.loss, together.loss[part])


@pytest.mark.parametrize("model", MODELS)
def test_the_inputs_stay_as_they_are_and_may_be_read_only(model: Learner) -> None:
    batches = some_batches(model, 2)
    vectors, momentum = stack_of(model, 2)
    arrays = [vectors, momentum, batches.x, batches.y, batches.known]
    before = [a.copy() for a in arrays]
    for array in arrays:
        array.flags.writeable = False
    outcome = model.train(vectors, momentum, batches)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert not np.array_equal(outcome.vectors, vectors)
    assert outcome.loss.dtype == outcome.vectors.dtype == outcome.momentum.dtype == np.float32


def trained(
    batches: Batches, steps: int = 60
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[float]]:
    vectors, momentum = stack_of(DETECTOR, len(batches.x))[0], None
    momentum, losses = np.zeros_like(vectors), []
    for _ in range(steps):
        outcome = DETECTOR.train(vectors, momentum, batches)
        vectors, momentum = outcome.vectors, outcome.momentum
        losses.append(float(outcome.loss.mean()))
    return vectors, momentum, losses


def test_training_lowers_the_loss_with_and_without_labels() -> None:
    batches = some_batches(DETECTOR, 2, rows=32)
    batches.y[0] = -1
    _, _, losses = trained(batches)
    assert losses[-1] < 0.8 * losses[0]


def test_attack_rows_do_not_teach_the_autoencoder() -> None:
    batches = some_batches(DETECTOR, 1)
    batches.y[:] = 2
    batches.known[:] = True
    vectors, momentum = stack_of(DETECTOR, 1)
    outcome = DETECTOR.train(vectors, np.zeros_like(momentum), batches)
    before, after = (
        DETECTOR_SHAPE.layout.views(vectors),
        DETECTOR_SHAPE.layout.views(outcome.vectors),
    )
    for name in ("code.w", "decode.w", "rebuild.w", "rebuild.b"):
        assert np.array_equal(before[name], after[name])
    assert not np.array_equal(before["name.w"], after["name.w"])


def test_families_that_a_peer_does_not_know_keep_their_outputs() -> None:
    model = Classifier(CLASSIFIER_SHAPE, DESCENT)
    batches = some_batches(model, 1)
    batches.known[:] = [True, True, False, False]
    vectors, momentum = stack_of(model, 1)
    outcome = model.train(vectors, np.zeros_like(momentum), batches)
    layout = CLASSIFIER_SHAPE.layout
    before, after = layout.views(vectors)["layer1.w"], layout.views(outcome.vectors)["layer1.w"]
    assert np.array_equal(before[..., 2:], after[..., 2:])
    assert not np.array_equal(before[..., :2], after[..., :2])


def test_a_coded_head_is_a_plain_one_whose_last_layer_was_multiplied_by_the_codes() -> None:
    model = Classifier(CODED_SHAPE, DESCENT)
    batches = some_batches(model, 3)
    vectors, momentum = stack_of(model, 3)
    shape = MLPShape((FEATURES, 5, FAMILIES))
    plain = np.zeros((3, shape.layout.dim), np.float32)
    ours, theirs = CODED_SHAPE.layout.views(vectors), shape.layout.views(plain)
    for name in ("layer0.w", "layer0.b"):
        theirs[name][:] = ours[name]
    for name in ("layer1.w", "layer1.b"):
        theirs[name][:] = ours[name] @ CODES
    still = Descent(1e-9)
    losses = (
        Classifier(CODED_SHAPE, still).train(vectors, momentum, batches).loss,
        Classifier(shape, still).train(plain, 0 * plain, replace(batches, codes=None)).loss,
    )
    assert np.allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("kind", [Detector, TorchDetector])
def test_a_step_is_never_longer_than_the_clip(kind: type[Detector | TorchDetector]) -> None:
    model = kind(DETECTOR_SHAPE, Descent(rate=1.0, momentum=0.0, clip=0.25))
    batches = some_batches(model, 3, steps=1)
    batches.x[1] *= 1e4
    vectors, momentum = stack_of(model, 3)
    moved = model.train(vectors, momentum, batches).vectors - vectors
    lengths = np.linalg.norm(moved, axis=1)
    assert (lengths <= 0.25 * (1 + TOLERANCE)).all()
    assert lengths[1] == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("model", [m for m in MODELS if m.sizes != LOGISTIC_SHAPE])
def test_a_peer_that_overflows_keeps_its_vector_and_harms_nobody(model: Learner) -> None:
    batches = some_batches(model, 3)
    vectors, momentum = stack_of(model, 3)
    vectors[1] = 1e30
    outcome = model.train(vectors, momentum, batches)
    assert np.array_equal(outcome.vectors[1], vectors[1])
    assert not outcome.momentum[1].any()
    assert np.isnan(outcome.loss[1])
    assert np.isfinite(outcome.vectors[[0, 2]]).all()
    assert np.isfinite(outcome.loss[[0, 2]]).all()


@pytest.mark.parametrize("model", MODELS)
def test_batches_that_do_not_fit_are_refused(model: Learner) -> None:
    vectors, momentum = stack_of(model, 2)
    whole = some_batches(model, 2)
    with pytest.raises(ValueError, match="2 vectors need as many"):
        model.train(vectors, momentum, some_batches(model, 3))
    with pytest.raises(ValueError, match="do not fit labels"):
        model.train(vectors, momentum, replace(whole, y=whole.y[:, :1]))
    with pytest.raises(ValueError, match="do not fit labels"):
        model.train(vectors, momentum, replace(whole, x=whole.x[:, :0], y=whole.y[:, :0]))
    with pytest.raises(ValueError, match="batches need"):
        model.train(vectors, momentum, replace(whole, x=whole.x[0], y=whole.y[0]))
    with pytest.raises(ValueError, match="do not fit families"):
        model.train(vectors, momentum, replace(whole, codes=CODES[:, :3]))
    other = None if is_coded(model) else CODES
    with pytest.raises(ValueError, match="does not fit batches for"):
        model.train(vectors, momentum, replace(whole, codes=other))
