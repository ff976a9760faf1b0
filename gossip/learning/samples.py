"""The rows a gateway learns from: kept apart by use, bounded, and put into training batches.

Rows are kept unscaled, so that a scaler may change under them. Nothing here leaves the gateway.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gossip.arrays import group_of, prefixed
from gossip.draws import Purpose, generator
from gossip.errors import StateError
from gossip.learning.codes import codes
from gossip.learning.learner import BENIGN, NO_LABEL, Batches
from gossip.learning.reservoir import DrawKey, Reservoir
from gossip.learning.scaling import Scaler

SAID_SHARE = 0.125
"""Of a step's benign rows are drawn from those that a person called benign, where there are any: as
evenly drawn ones among thousands they would not be met once in a hundred steps. Our choice."""


class Role(Enum):
    """What a row may be used for, once and for all."""

    TRAIN = "train"
    CALIBRATE = "calibrate"
    HOLDOUT = "holdout"


class Trust(Enum):
    """What the caller believes of a row that nobody labelled."""

    CLEAN = "clean"  # ordinary; may be trained on
    ODD = "odd"  # scores high, and nothing else speaks against it
    UNKNOWN = "unknown"  # seen during an alert storm, or quarantined: not evidence of anything


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """Bounds and recipe.

    The recipe (`rows` to `balance`) was chosen on the project's recordings: first halves of the
    benign files of hospital and factory, attacks at the hospital, weak labels at one of its two
    gateways. `rows`, `steps` and `attacks` are flat there (32 to 128, 4 to 32, 0.25 to 0.75 change
    no rate by more than its noise); `balance` is not, because a weak label is often wrong in the
    first moments of an attack: Suricata called 940 flows of a SYN flood a scan and 9,000 a denial
    of service, and equal shares made these contradictions equally loud (SYN flood named rightly:
    0.00 to 0.74 with equal shares, 0.99 with 0.5).

    Args:
        features: numbers in a row.
        names: of the families, benign first; a label is an index into it.
        train: share of rows to train on.
        calibrate: share of rows to calibrate with; what is left is held out.
        train_max: rows held to train on.
        calibrate_max: rows held to calibrate with.
        holdout_max: rows held out.
        family_max: labelled rows held of one family to train on; as many are held out at most.
        memory: rows of a role after which the past fades (see `Reservoir`), in multiples of the
            role's bound.
        rows: rows in a training step.
        steps: training steps in a cycle.
        attacks: share of a step's rows that are labelled attacks, where there are any.
        balance: a family's share of these grows with its rows seen to this power; 0 is equal
            shares, 1 is as seen.
    """

    features: int
    names: tuple[str, ...]
    train: float = 0.4
    calibrate: float = 0.5
    train_max: int = 4096
    calibrate_max: int = 4096
    holdout_max: int = 1024
    family_max: int = 512
    memory: int = 8
    rows: int = 64
    steps: int = 8
    attacks: float = 0.5
    balance: float = 0.5

    def __post_init__(self) -> None:
        """Check the shares."""
        if min(self.train, self.calibrate) <= 0 or self.train + self.calibrate > 1:
            raise ValueError(f"shares {self.train} and {self.calibrate} must be parts of 1")

    @property
    def families(self) -> int:
        """How many there are, benign included."""
        return len(self.names)


class Samples:
    """One gateway's rows.

    Args:
        config: bounds and recipe.
        seed: of the draws; secret in a live node, so that nobody can place a row in a role.
        peer: the gateway's peer id.

    Attributes:
        said: rows that a person named, unscaled float32 `(n, features)`, by label. They are trained
            on beside those of their family, kept by whoever gives them, and not stored here.
    """

    def __init__(self, config: SampleConfig, seed: bytes, peer: str) -> None:
        self.config = config
        self.unused = 0
        self.said: dict[int, NDArray[np.float32]] = {}
        self._seed = seed
        self._peer = peer
        bounds = {
            Role.TRAIN: config.train_max,
            Role.CALIBRATE: config.calibrate_max,
            Role.HOLDOUT: config.holdout_max,
        }
        self._pools: dict[str, Reservoir] = {}
        for role, capacity in bounds.items():
            self._add_pool(role.value, capacity)
        for family in range(config.families):
            self._add_pool(_pool(family, Role.TRAIN), config.family_max)
            self._add_pool(_pool(family, Role.HOLDOUT), config.family_max)

    def _add_pool(self, name: str, capacity: int) -> None:
        key = DrawKey(self._seed, self._peer, len(self._pools))
        memory = capacity * self.config.memory
        self._pools[name] = Reservoir(capacity, self.config.features, memory, key)

    def role(self, uid: str) -> Role:
        """The role of a flow: a keyed hash of its uid, so that repeats land in the same place."""
        digest = blake2b(uid.encode(), digest_size=8, key=self._seed, person=b"role").digest()
        place = int.from_bytes(digest, "big") * 2.0**-64
        if place < self.config.train:
            return Role.TRAIN
        if place < self.config.train + self.config.calibrate:
            return Role.CALIBRATE
        return Role.HOLDOUT

    def add(
        self,
        uid: str,
        row: NDArray[np.float32],
        label: int = NO_LABEL,
        trust: Trust = Trust.CLEAN,
    ) -> Role | None:
        """Take a row into account.

        Rows with a label go to their family, for training or held out (`calibrate` rows are
        trained on: calibration needs benign rows as they come, not as analysts pick them). Of rows
        without one, clean rows serve their role and unknown rows serve nothing. Odd rows are never
        trained on, but they do calibrate: leaving out what scores high would lower the threshold,
        which would leave out more, and so on.

        Args:
            uid: the flow's unique name.
            row: unscaled features, `(features,)`.
            label: family, or `NO_LABEL`.
            trust: for rows without a label.

        Returns:
            The role it was offered to, or None where it is not used.

        Raises:
            ValueError: a label that is no family, a wrong shape, or a value that is not finite.
        """
        if not NO_LABEL <= label < self.config.families:
            raise ValueError(f"label {label} is no family; there are {self.config.families}")
        if row.shape != (self.config.features,) or not np.isfinite(row).all():
            raise ValueError(f"a row must hold {self.config.features} finite numbers")
        role = self.role(uid)
        if label != NO_LABEL:
            role = Role.HOLDOUT if role is Role.HOLDOUT else Role.TRAIN
            self._pools[_pool(label, role)].offer(row)
            return role
        if trust is Trust.UNKNOWN or (trust is Trust.ODD and role is Role.TRAIN):
            self.unused += 1
            return None
        self._pools[role.value].offer(row)
        return role

    def rows(self, role: Role) -> NDArray[np.float32]:
        """Unlabelled rows of a role, unscaled float32 `(n, features)`."""
        return self._pools[role.value].rows

    def follow(self, role: Role, recent: NDArray[np.float32], least: int) -> None:
        """Forget of a role's past what is not needed, see `Reservoir.follow`."""
        self._pools[role.value].follow(recent, least)

    def family(self, family: int, role: Role = Role.TRAIN) -> NDArray[np.float32]:
        """Labelled rows of a family to train on or held out, unscaled float32 `(n, features)`."""
        rows = self._pools[_pool(family, role)].rows
        said = self.said.get(family) if role is Role.TRAIN else None
        return rows if said is None else np.concatenate([rows, said])

    @property
    def labelled(self) -> tuple[int, ...]:
        """Attack families with at least one row to train on, ascending."""
        return tuple(f for f in range(1, self.config.families) if len(self.family(f)))

    def batches(self, cycle: int, scaler: Scaler, without: Collection[int] = ()) -> Batches | None:
        """A cycle's training rows for this one peer; None where there is no benign row yet.

        In each step a share `attacks` of the rows is labelled attacks; the others are trusted rows
        and rows that an analyst called benign. Trusted rows count as benign, and benign rows speak
        against every family, also those of which this peer has no rows. Where benign rows speak
        against known families only, a head that came from elsewhere names 6 % of benign flows an
        attack; so, 0.8 %, and attacks are named as often (recordings, see `SampleConfig`).

        The same seed, peer, cycle and rows give the same batches.

        Args:
            cycle: the peer's.
            scaler: of the rows.
            without: attack families to leave out this time.
        """
        config = self.config
        families = [family for family in self.labelled if family not in without]
        benign = np.concatenate([self.rows(Role.TRAIN), self.family(BENIGN)])
        if not len(benign):
            return None
        rng = generator(self._seed, self._peer, cycle, Purpose.ROWS)
        attacks = round(config.rows * config.attacks) if families else 0
        x = np.empty((1, config.steps, config.rows, config.features), np.float32)
        y = np.full((1, config.steps, config.rows), BENIGN, np.int64)
        picked = rng.integers(len(benign), size=(config.steps, config.rows - attacks))
        x[0, :, attacks:] = benign[picked]
        if (named := self.said.get(BENIGN)) is not None and len(named):
            few = round(picked.shape[1] * SAID_SHARE)
            x[0, :, config.rows - few :] = named[rng.integers(len(named), size=(config.steps, few))]
        y[0, :, :attacks] = self._draw_families(rng, families, (config.steps, attacks))
        for family in families if attacks else ():
            rows, places = self.family(family), y[0] == family
            x[0][places] = rows[rng.integers(len(rows), size=int(places.sum()))]
        known = np.ones((1, config.families), np.bool_)
        return Batches(scaler(x), y, known, codes(config.names))

    def _draw_families(
        self, rng: np.random.Generator, families: Sequence[int], size: tuple[int, int]
    ) -> NDArray[np.int64]:
        if not size[1]:
            return np.zeros(size, np.int64)
        seen = [
            self._pools[_pool(family, Role.TRAIN)].seen + len(self.said.get(family, ()))
            for family in families
        ]
        weight = np.array(seen, np.float64) ** self.config.balance
        return rng.choice(np.array(families), size=size, p=weight / weight.sum())

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for the store, named `pool.array`."""
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, pool in self._pools.items():
            arrays |= prefixed(name, pool.to_arrays())
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Become what `to_arrays` described.

        Raises:
            StateError: an array is absent or damaged. Nothing changed.
        """
        before = self.to_arrays()
        try:
            self._restore(arrays)
        except StateError:
            self._restore(before)
            raise

    def _restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        for name, pool in self._pools.items():
            pool.restore(group_of(arrays, name))


def _pool(family: int, role: Role) -> str:
    return f"family{family}.{role.value}"
