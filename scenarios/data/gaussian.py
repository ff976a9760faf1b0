"""Synthetic rows."""

import numpy as np

from gossip.draws import Purpose, generator
from gossip.learning.learner import NO_LABEL
from scenarios.data.shards import Floats, Labels, Shard, Shards
from scenarios.spec.data import Data


def gaussian(data: Data, labelled: tuple[bool, ...], seed: bytes) -> Shards:
    """Synthetic rows, not traffic: one spherical normal cloud per class, the same at every peer.

    Class centres are drawn from N(0, separation²) in every coordinate, rows from N(centre, 1), and
    classes are equally likely. Class 0 stands for benign. Rows for calibration and test are the
    same for all peers, so that ten thousand peers fit into memory.

    Args:
        data: the scenario's `[data]`.
        labelled: per peer, whether its rows carry labels.
        seed: of the scenario.
    """
    rng = generator(seed, "gaussian", 0, Purpose.WORLD)
    shape = (data.classes, data.features)
    centres = rng.standard_normal(shape, np.float32) * np.float32(data.separation)

    def rows(count: int, who: str, only: int | None = None) -> tuple[Floats, Labels]:
        own = generator(seed, f"gaussian/{who}", 0, Purpose.WORLD)
        y = np.full(count, only) if only is not None else own.integers(0, data.classes, count)
        x = own.standard_normal((count, data.features), np.float32)
        x += centres[y]
        return x, y.astype(np.int64)

    calibrate_x, _ = rows(data.calibrate_rows, "calibrate", only=0)
    test_x, test_y = rows(data.test_rows, "test")
    shards = []
    for peer, told in enumerate(labelled):
        train_x, train_y = rows(data.rows, f"train/{peer}")
        if not told:
            train_y[:] = NO_LABEL
        shards.append(Shard(train_x, train_y, calibrate_x, test_x, test_y))
    families = ("benign", *(f"class-{number}" for number in range(1, data.classes)))
    schema = f"gaussian-{data.features}"
    return Shards(schema, data.features, families, tuple(shards))
