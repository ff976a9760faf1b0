import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gossip.flows import FAMILIES
from gossip.learning.codes import codes
from gossip.learning.scoring import feature_errors, scores, top_features
from gossip.learning.shapes import DetectorShape

SHAPE = DetectorShape(26)
CODES = codes(FAMILIES)
MORE = (*FAMILIES, "smurf")


def some_rows(n: int = 300) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=(n, 26)).clip(-6, 6).astype(np.float32) * 2


def vector(scale: float = 1.0) -> NDArray[np.float32]:
    return SHAPE.initial(b"v") * np.float32(scale)


def by_torch(v: NDArray[np.float32], x: NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rebuilt rows and logits, by the layers of torch.nn."""
    flat = torch.from_numpy(v)
    w = {n: flat[p].reshape(s) for n, p, s in SHAPE.layout.slices()}

    def affine(name: str, a: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(a, w[f"{name}.w"].T, w[f"{name}.b"])

    encoded = torch.relu(affine("encode", torch.from_numpy(x)))
    code = torch.tanh(affine("code", encoded))
    rebuilt = affine("rebuild", torch.relu(affine("decode", code)))
    named = affine("name", torch.relu(affine("judge", encoded)))
    return rebuilt, named @ torch.from_numpy(CODES)


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_numpy_and_torch_give_the_same_scores(scale: float) -> None:
    x = some_rows()
    v = vector(scale)
    got = scores(SHAPE, v, x, CODES)
    rebuilt, logits = by_torch(v, x)
    errors = (rebuilt - torch.from_numpy(x)).square()
    odds = torch.logsumexp(logits[:, 1:], 1) - logits[:, 0]
    assert np.allclose(got.error, errors.mean(1).numpy(), rtol=1e-5, atol=1e-5)
    assert np.allclose(got.families, torch.softmax(logits, 1).numpy(), rtol=0, atol=1e-5)
    assert np.allclose(got.odds, odds.numpy(), rtol=1e-5, atol=1e-4)
    assert np.allclose(feature_errors(SHAPE, v, x), errors.numpy(), rtol=1e-4, atol=1e-4)
    assert len(got) == len(x)
    assert got.error.dtype == got.families.dtype == got.odds.dtype == np.float32


def test_odds_still_order_rows_whose_probability_rounds_to_one() -> None:
    v = vector()
    SHAPE.layout.views(v)["name.b"][:] = 20 * (CODES[:, 1] - CODES[:, 0])
    got = scores(SHAPE, v, some_rows(50), CODES)
    assert (got.families[:, 0] < 1e-7).all()
    assert len(np.unique(got.odds)) == 50


def test_a_head_without_attack_families_has_no_opinion() -> None:
    got = scores(SHAPE, vector(), some_rows(3), codes(("benign",)))
    assert got.odds.tolist() == [0, 0, 0]
    assert got.families.tolist() == [[1], [1], [1]]


def test_a_name_more_takes_nothing_from_the_order_of_the_others() -> None:
    x, v = some_rows(), vector()
    few, many = (scores(SHAPE, v, x, codes(names)).families for names in (FAMILIES, MORE))
    assert many.shape == (300, 9)
    rest = many[:, :8] / many[:, :8].sum(axis=1, keepdims=True)
    assert np.allclose(rest, few, atol=1e-5)


def test_no_rows_give_no_scores() -> None:
    assert len(scores(SHAPE, vector(), np.zeros((0, 26), np.float32), CODES)) == 0


def test_the_worst_rebuilt_features_come_first() -> None:
    v, x = vector(), some_rows(4)
    x[:, 7] += 100
    columns, errors = top_features(SHAPE, v, x, 5)
    assert columns.shape == errors.shape == (4, 5)
    assert (np.diff(errors, axis=1) <= 0).all()
    everything = feature_errors(SHAPE, v, x)
    assert (errors[:, 0] == everything.max(1)).all()
    assert all(errors[i, 2] == everything[i, columns[i, 2]] for i in range(4))
