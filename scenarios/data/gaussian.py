"""Synthetic rows."""

from collections.abc import Sequence

import numpy as np

from gossip.draws import Purpose, generator
from gossip.errors import ConfigError
from gossip.learning.learner import NO_LABEL
from scenarios.data.appearing import Appearance, check_family, late_last, visible
from scenarios.data.shards import Floats, Labels, Shard, Shards
from scenarios.spec.data import Data


def families(classes: int) -> tuple[str, ...]:
    """Names of the classes; class 0 stands for benign."""
    return ("benign", *(f"class-{number}" for number in range(1, classes)))


def gaussian(
    data: Data,
    labelled: tuple[bool, ...],
    seed: bytes,
    appear: Sequence[Appearance] = (),
    where: str = "scenario",
) -> Shards:
    """Synthetic rows, not traffic: one spherical normal cloud per class, the same at every peer.

    Class centres are drawn from N(0, separation²) in every coordinate, rows from N(centre, 1), and
    classes are equally likely. Class 0 stands for benign. Rows for calibration and test are the
    same for all peers, so that ten thousand peers fit into memory. A class that appears late is
    missing among the rows of all but the peers that the appearance names, whose other classes are
    equally likely; the number of rows is the same.

    Args:
        data: the scenario's `[data]`.
        labelled: per peer, whether its rows carry labels.
        seed: of the scenario.
        appear: classes that appear with time.
        where: the scenario's file, for messages.

    Raises:
        ConfigError: a class that appears does not exist, or a peer would have no row before.
    """
    rng = generator(seed, "gaussian", 0, Purpose.WORLD)
    shape = (data.classes, data.features)
    centres = rng.standard_normal(shape, np.float32) * np.float32(data.separation)
    names = families(data.classes)
    late = {check_family(each.family, names): each for each in appear}
    holders = {family: frozenset(each.peers) for family, each in late.items()}

    def rows(count: int, who: str, classes: Sequence[int]) -> tuple[Floats, Labels]:
        own = generator(seed, f"gaussian/{who}", 0, Purpose.WORLD)
        y = np.array(classes)[own.integers(0, len(classes), count)] if len(classes) > 1 else 0
        x = own.standard_normal((count, data.features), np.float32)
        x += centres[y]
        return x, np.broadcast_to(y, count).astype(np.int64)

    everything = range(data.classes)
    calibrate_x, _ = rows(data.calibrate_rows, "calibrate", [0])
    test_x, test_y = rows(data.test_rows, "test", everything)
    times = {family: each.at_us for family, each in late.items()}
    shards = []
    true = []
    for peer, told in enumerate(labelled):
        own = [each for each in everything if each not in late or peer in holders[each]]
        train_x, train_y = rows(data.rows, f"train/{peer}", own)
        if late:
            order = late_last(train_y, times)
            train_x, train_y = train_x[order], train_y[order]
            true.append(train_y)
        if not told:
            train_y = np.full(len(train_y), NO_LABEL, np.int64)
        shards.append(Shard(train_x, train_y, calibrate_x, test_x, test_y))
    seen = visible(true, [s.train_y for s in shards], len(names), times) if late else None
    if seen is not None and not seen.rows[0].all():
        raise ConfigError(
            f"{where}: data.rows: peer {int(seen.rows[0].argmin())} would have no row before "
            f"data.appear; give it more rows than {data.rows}"
        )
    return Shards(f"gaussian-{data.features}", data.features, names, tuple(shards), visible=seen)
