"""What goes to a training process and comes back: arrays as safetensors, nothing that is run."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from gossip.learning.descent import Descent
from gossip.learning.in_numpy import Detector
from gossip.learning.learner import Batches, Outcome
from gossip.learning.shapes import DetectorShape

BYTES_MAX = 64 << 20
"""Of a task or an outcome. A gateway's own are 0.1 MB; our choice."""

Floats = NDArray[np.float32]


def task(model: Detector, vectors: Floats, momentum: Floats, batches: Batches) -> bytes:
    """A training as bytes."""
    descent = model.descent
    how = [descent.rate, descent.momentum, descent.clip, model.reconstruction]
    arrays = {
        "how": np.array(how, np.float64),
        "vectors": vectors,
        "momentum": momentum,
        "x": batches.x,
        "y": batches.y,
        "known": batches.known,
    }
    if batches.codes is not None:
        arrays["codes"] = batches.codes
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def carried_out(data: bytes) -> bytes:
    """Train as a task says; the outcome as bytes.

    Raises:
        ValueError: it is no task.
    """
    arrays = _loaded(data)
    try:
        rate, carried, clip, reconstruction = arrays["how"].tolist()
        batches = Batches(arrays["x"], arrays["y"], arrays["known"], arrays.get("codes"))
        vectors, momentum = arrays["vectors"], arrays["momentum"]
    except KeyError as error:
        raise ValueError(f"no task: {error} is absent") from None
    shape = DetectorShape(batches.x.shape[-1])
    model = Detector(shape, Descent(rate, carried, clip), reconstruction)
    with np.errstate(over="ignore", invalid="ignore"):  # whoever asked looks for what overflowed
        done = model.train(vectors, momentum, batches)
    found = {"vectors": done.vectors, "momentum": done.momentum, "loss": done.loss}
    return save({name: np.ascontiguousarray(array) for name, array in found.items()})


def outcome(data: bytes, shape: tuple[int, ...]) -> Outcome:
    """The outcome that `carried_out` gave.

    Args:
        data: its bytes.
        shape: of the vectors, `(peers, dim)`.

    Raises:
        ValueError: it is none, or of other sizes.
    """
    arrays = _loaded(data)
    expected = {"vectors": shape, "momentum": shape, "loss": shape[:1]}
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected or any(array.dtype != np.float32 for array in arrays.values()):
        raise ValueError(f"no outcome: {found} in place of {expected}")
    return Outcome(arrays["vectors"], arrays["momentum"], arrays["loss"])


def _loaded(data: bytes) -> dict[str, NDArray[Any]]:
    if len(data) > BYTES_MAX:
        raise ValueError(f"more than {BYTES_MAX} bytes")
    try:
        return dict(load(data))
    except SafetensorError as error:
        raise ValueError(f"not safetensors: {error}") from None
