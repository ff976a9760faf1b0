"""Synthetic rows."""

from collections.abc import Sequence

import numpy as np

from gossip.draws import Purpose, generator
from gossip.errors import ConfigError
from gossip.learning.learner import BENIGN, NO_LABEL
from gossip.learning.scaling import Scaler
from scenarios.data.appearing import Appearance, check_family, late_last, visible
from scenarios.data.kept import Looks
from scenarios.data.sharding import Shares, apportion, shares
from scenarios.data.shards import Floats, Labels, Shard, Shards, Unscaled
from scenarios.spec.data import Data, Kind, parse_sharding


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
    missing among the rows of all but the peers that the appearance names; the number of rows is the
    same.

    Where `data.shards` says so, peers differ in what they train on: `families(k)` gives each benign
    rows and k other classes, equally likely; `dirichlet(a)` draws each peer's shares of the classes
    from a Dirichlet distribution (Hsu, Qi and Brown 2019, "Measuring the Effects of Non-Identical
    Data Distribution"), with one benign row at least; `quantity(a)` draws the peers' shares of all
    rows from one, with one row at least.

    Args:
        data: the scenario's `[data]`.
        labelled: per peer, whether its rows carry labels.
        seed: of the scenario.
        appear: classes that appear with time.
        where: the scenario's file, for messages.

    Raises:
        ConfigError: a class that appears does not exist, a peer would have no row before, or
            `data.shards` asks for more classes than there are.
    """
    rng = generator(seed, "gaussian", 0, Purpose.WORLD)
    shape = (data.classes, data.features)
    centres = rng.standard_normal(shape, np.float32) * np.float32(data.separation)
    names = families(data.classes)
    late = {check_family(each.family, names): each for each in appear}
    holders = {family: frozenset(each.peers) for family, each in late.items()}

    def rows(
        count: int, who: str, classes: Sequence[int], weights: Shares | None = None
    ) -> tuple[Floats, Labels]:
        own = generator(seed, f"gaussian/{who}", 0, Purpose.WORLD)
        y = np.zeros(count, np.int64)
        if weights is not None:
            y = np.array(classes)[own.choice(len(classes), count, p=weights)]
            y[0] *= bool((y == BENIGN).any())
        elif len(classes) > 1:
            y = np.array(classes)[own.integers(0, len(classes), count)]
        x = own.standard_normal((count, data.features), np.float32)
        x += centres[y]
        return x, y

    everything = range(data.classes)
    calibrate_x, _ = rows(data.calibrate_rows, "calibrate", [0])
    test_x, test_y = rows(data.test_rows, "test", everything)
    try:
        amounts, holds = _unequal(data, len(labelled), tuple(late), seed)
    except ConfigError as error:
        raise ConfigError(f"{where}: data.shards: {error}") from None
    sharding = parse_sharding(data.shards)
    times = {family: each.at_us for family, each in late.items()}
    shards = []
    true = []
    for peer, told in enumerate(labelled):
        own = [
            each
            for each in everything
            if (peer in holders[each] if each in late else holds is None or holds[each, peer])
        ]
        weights = None
        if sharding.kind is Kind.DIRICHLET:
            mixture = generator(seed, f"mixture/{peer}", 0, Purpose.WORLD)
            weights = mixture.dirichlet(np.full(len(own), sharding.number))
        train_x, train_y = rows(int(amounts[peer]), f"train/{peer}", own, weights)
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
    return Shards(
        f"gaussian-{data.features}",
        data.features,
        names,
        tuple(shards),
        visible=seen,
        unscaled=_unscaled(shards, data.features),
    )


def _unscaled(shards: Sequence[Shard], features: int) -> Looks[Unscaled]:
    """The same rows, which nobody scales."""
    none = np.zeros(features, np.float32)
    as_it_is = Scaler(none, none + 1, np.inf)

    def look(peer: int) -> Unscaled:
        own = shards[peer]
        return Unscaled(own.train_x, own.train_y, own.calibrate_x, as_it_is)

    return Looks(len(shards), look)


def _unequal(
    data: Data, peers: int, late: tuple[int, ...], seed: bytes
) -> tuple[Labels, Shares | None]:
    """Rows of each peer, and which classes it holds from the start, `(classes, peers)`.

    None for all of them.

    Raises:
        ConfigError: more classes are asked for than there are.
    """
    sharding = parse_sharding(data.shards)
    amounts = np.full(peers, data.rows)
    names = families(data.classes)
    present = np.array([each for each in range(data.classes) if each not in late])
    if sharding.kind is Kind.QUANTITY:
        part = shares(sharding, names, present[:1], peers, seed)[0]
        return apportion(data.rows * peers, part, 1), None
    if sharding.kind is Kind.FAMILIES:
        return amounts, shares(sharding, names, present, peers, seed)
    return amounts, None
