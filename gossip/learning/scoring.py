"""Scoring rows with a trained detector, in numpy alone.

A process that only detects needs no torch. Scores agree with torch's within 1e-5 (a test holds
them to it).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.learning.shapes import DetectorShape, affine

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a detector says of n rows.

    Args:
        error: mean squared reconstruction error of a row in scaled units, float32 `(n,)`.
        families: probability of each family, float32 `(n, families)`; column 0 is benign.
        odds: natural log of P(any attack) / P(benign), float32 `(n,)`. It orders rows as
            `1 - families[:, 0]` does, and still tells them apart where that rounds to 0 or 1.
    """

    error: NDArray[np.float32]
    families: NDArray[np.float32]
    odds: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.error)


def _forward(shape: DetectorShape, vector: Rows, x: Rows) -> tuple[Rows, Rows]:
    """Residuals `(n, features)` and what the head gives, `(n, CODE_BITS)`."""
    w = shape.layout.views(vector)
    encoded = np.maximum(affine(w, "encode", x), 0.0)
    decoded = np.maximum(affine(w, "decode", np.tanh(affine(w, "code", encoded))), 0.0)
    judged = np.maximum(affine(w, "judge", encoded), 0.0)
    return affine(w, "rebuild", decoded) - x, affine(w, "name", judged)


def log_odds(logits: Rows) -> NDArray[np.float32]:
    """Natural log of P(any class but 0) / P(class 0), `(n,)`, of logits `(n, classes)`.

    0 where class 0 is the only one.
    """
    attacks = logits[:, 1:]
    if not attacks.shape[1]:
        return np.zeros(len(logits), np.float32)
    top = attacks.max(axis=1, keepdims=True)
    odds: Rows = top[:, 0] + np.log(np.exp(attacks - top).sum(axis=1)) - logits[:, 0]
    return odds


def scores(shape: DetectorShape, vector: Rows, x: Rows, codes: Rows) -> Scores:
    """Score rows.

    Args:
        shape: the detector's sizes.
        vector: its parameters, float32 `(dim,)`.
        x: rows scaled by the gateway's own scaler, float32 `(n, features)`.
        codes: of the families to tell apart, benign first, float32 `(CODE_BITS, families)`; see
            `gossip.learning.codes`.
    """
    residual, named = _forward(shape, vector, x)
    logits: Rows = named @ codes
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponent = np.exp(shifted)
    families = exponent / exponent.sum(axis=1, keepdims=True)
    return Scores(np.square(residual).mean(axis=1), families, log_odds(shifted))


def feature_errors(shape: DetectorShape, vector: Rows, x: Rows) -> NDArray[np.float32]:
    """Squared reconstruction error of each feature, float32 `(n, features)`, scaled units."""
    return np.square(_forward(shape, vector, x)[0])


def top_features(
    shape: DetectorShape, vector: Rows, x: Rows, count: int = 5
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The features that a row was worst rebuilt in, worst first.

    Returns:
        Their columns, int64 `(n, count)`, and squared errors, float32 `(n, count)`.
    """
    errors = feature_errors(shape, vector, x)
    order = np.argsort(-errors, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(errors, order, axis=1)
