"""Names of attacks at one gateway: the standard ones, those of other labels, those of antigens.

A label is an index into the names that the gateway has rows of. The head's outputs are named by
these and, behind them, by what it rehearses (`gossip.learning.codes` gives each name its output).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import is_family
from gossip.errors import StateError
from gossip.flows import FAMILIES
from gossip.learning.codes import codes
from gossip.learning.learner import Batches
from gossip.learning.samples import SampleConfig
from gossip.learning.scaling import Scaler

LABELS_MAX = 24
"""Families with rows of their own, the standard eight among them; more count as "other". Three
times the standard list, 54 kB a family; our choice."""

_OTHER = "other"
_NAMES_MAX = 1_024


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows drawn from antigens for one training.

    Args:
        x: unscaled float32 `(steps, rows, features)`.
        names: of the families drawn from.
        index: of each row's family in `names`, int64 `(steps, rows)`.
    """

    x: NDArray[np.float32]
    names: tuple[str, ...]
    index: NDArray[np.int64]


def known_as(family: str, names: Sequence[str]) -> tuple[str, bool]:
    """The name to keep a label's rows under, and whether it is a new one."""
    if family in names:
        return family, False
    return (family, True) if len(names) < LABELS_MAX else (_OTHER, False)


def with_name(config: SampleConfig, name: str) -> SampleConfig:
    """The same bounds for one family more."""
    return replace(config, names=(*config.names, name))


def joined(names: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Names without repetition, the first ones first."""
    return tuple(dict.fromkeys((*names, *more)))


def mixed(own: Batches, names: tuple[str, ...], drawn: Drawn, scaler: Scaler) -> Batches:
    """Own rows and drawn ones side by side in every step.

    Args:
        own: of one peer; its labels are indices into `names`.
        names: of all outputs, own families first, those drawn from among them.
        drawn: from antigens, as many steps.
        scaler: this gateway's.
    """
    places = np.array([names.index(name) for name in drawn.names], np.int64)
    x = np.concatenate([own.x, scaler(drawn.x)[None]], axis=2)
    y = np.concatenate([own.y, places[drawn.index][None]], axis=2)
    return Batches(x, y, np.ones((1, len(names)), np.bool_), codes(names))


def to_array(names: Sequence[str]) -> NDArray[np.uint8]:
    """For the store."""
    return np.frombuffer(json.dumps(list(names)).encode(), np.uint8)


def from_array(array: NDArray[np.generic]) -> tuple[str, ...]:
    """What `to_array` was given: the standard names, and others behind them.

    Raises:
        StateError: the array is damaged.
    """
    try:
        found = json.loads(np.asarray(array, np.uint8).tobytes())
        names = tuple(map(str, found))
    except (ValueError, TypeError) as error:
        raise StateError(f"the stored names of families are damaged ({error})") from error
    others = names[len(FAMILIES) :]
    sound = names[: len(FAMILIES)] == FAMILIES and all(map(is_family, others))
    if not sound or len(set(names)) != len(names) or len(names) > _NAMES_MAX:
        raise StateError("the stored names of families are damaged; remove the newest generation")
    return names
