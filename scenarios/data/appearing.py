"""Attacks that appear with time: from which moment a peer may train on the rows of a family.

Rows of a family that appears late lie at the end of a peer's training rows, in the order in which
the families appear. What a peer may use at a moment is then simply its first so many rows, and
asking for it changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from gossip.errors import ConfigError
from gossip.learning.learner import NO_LABEL

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Appearance:
    """One `[[data.appear]]`, with its peers worked out.

    Args:
        key: where it stands in the scenario file, for messages.
        family: the family's name.
        peers: who alone trains on it, ascending.
        at_us: from when on, simulated microseconds.
    """

    key: str
    family: str
    peers: tuple[int, ...]
    at_us: int


@dataclass(frozen=True, slots=True)
class Visible:
    """How many of its training rows each peer may use, and which families these speak for.

    Stage 0 is the time before any appearance; stage k begins at `starts_us[k - 1]`.

    Args:
        starts_us: ascending, int64 `(stages - 1,)`.
        rows: int64 `(stages, peers)`: the first so many of a peer's rows.
        known: bool `(stages, peers, families)`; see `gossip.learning.learner.Batches.known`.
    """

    starts_us: Labels
    rows: Labels
    known: NDArray[np.bool_]

    def stages(self, times_us: Sequence[int]) -> NDArray[np.intp]:
        """The stage that each of these moments lies in, `(times,)`."""
        return self.starts_us.searchsorted(times_us, side="right")


def check_family(name: str, families: Sequence[str]) -> int:
    """The index of an attack's family among those of the data, benign first.

    Raises:
        ConfigError: there is no such family, or it is the benign one.
    """
    attacks = families[1:]
    if name in attacks:
        return families.index(name)
    near = get_close_matches(name, attacks, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(
        f"{name!r} is no attack in this data; there are {', '.join(attacks) or 'none'}{guess}"
    )


def late_last(families: Labels, late: Mapping[int, int]) -> NDArray[np.intp]:
    """The order that puts rows of late families last, by the time of appearing; else as they were.

    Args:
        families: true family of each row, int64 `(rows,)`.
        late: family to simulated microseconds of its appearance.
    """
    at_us = np.zeros(len(families), np.int64)
    for family, start_us in late.items():
        at_us[families == family] = start_us
    return np.argsort(at_us, kind="stable")


def visible(
    true: Sequence[Labels], told: Sequence[Labels], families: int, late: Mapping[int, int]
) -> Visible:
    """What peers may use at which stage.

    Args:
        true: by peer, the true family of each training row, in the order of `late_last`.
        told: by peer, the labels that it trains with; -1 where nobody has said.
        families: how many there are.
        late: family to simulated microseconds of its appearance, at least 1.
    """
    starts_us = sorted(frozenset(late.values()))
    at_us = np.zeros(families, np.int64)
    for family, start_us in late.items():
        at_us[family] = start_us
    rows = np.zeros((len(starts_us) + 1, len(true)), np.int64)
    known = np.zeros((len(starts_us) + 1, len(true), families), np.bool_)
    for stage, now_us in enumerate([0, *starts_us]):
        for peer, (own, labels) in enumerate(zip(true, told, strict=True)):
            count = len(own) if not late else int(np.count_nonzero(at_us[own] <= now_us))
            said = labels[:count]
            rows[stage, peer] = count
            known[stage, peer, np.unique(said[said != NO_LABEL])] = True
    return Visible(np.array(starts_us, np.int64), rows, known)
