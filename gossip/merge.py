"""Combining models. Every function works alike on one peer and on an array of peers.

Vectors are float32 `(..., dim)`, ages int64 `(...)`: leading axes, if any, are peers.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Ages = NDArray[np.int64]


@lru_cache(maxsize=64)  # one tuple for all the peers of a simulation
def slices(dim: int, fragments: int) -> tuple[slice, ...]:
    """The fixed fragments of a vector of length `dim`; their lengths differ by 1 at most."""
    bounds = [dim * i // fragments for i in range(fragments + 1)]
    return tuple(slice(a, b) for a, b in pairwise(bounds))


def age_weighted(
    own: Vector, own_age: Ages | int, other: Vector, other_age: Ages | int
) -> tuple[Vector, Ages | int]:
    """Average weighted by ages; the result's age is the larger.

    The age-weighted MERGE of Hegedűs, Danner, Jelasity, "Decentralized learning works: An
    empirical comparison of gossip learning and federated learning" (JPDC 148, 2021):
    w = (t w + t' w') / (t + t'), t = max(t, t'). Two models of age 0, for which that is 0 / 0, know
    nothing and get equal weights.
    """
    if isinstance(own_age, int) and isinstance(other_age, int):  # one peer: a fifth of the time
        sum_of_ages = own_age + other_age
        share = np.float32(other_age / sum_of_ages if sum_of_ages > 0 else 0.5)
        return own + share * (other - own), max(own_age, other_age)
    own_age = np.asarray(own_age, dtype=np.int64)
    other_age = np.asarray(other_age, dtype=np.int64)
    total = own_age + other_age
    weight = np.where(total > 0, other_age / np.maximum(total, 1), 0.5).astype(np.float32)
    return own + weight[..., None] * (other - own), np.maximum(own_age, other_age)


def mean_with_arrived(own: Vector, arrived_sum: Vector, arrived: NDArray[np.int64] | int) -> Vector:
    """Mean of a peer's own vector and the sum of those that arrived in its cycle.

    Aggregation of epidemic learning (De Vos et al., "Epidemic Learning: Boosting Decentralized
    Learning with Randomized Communication", NeurIPS 2023).
    """
    if isinstance(arrived, int):
        total = own + arrived_sum
        total *= np.float32(1.0 / (1.0 + arrived))
        return total
    share = np.asarray(1.0 / (1.0 + np.asarray(arrived)), dtype=np.float32)
    return (own + arrived_sum) * share[..., None]


def midpoint(own: Vector, other: Vector) -> Vector:
    """Pairwise averaging.

    Boyd, Ghosh, Prabhakar, Shah, "Randomized gossip algorithms" (IEEE Trans. Inf. Theory 52, 2006).
    """
    return np.float32(0.5) * (own + other)


def capped_age(claimed: int, own: int, lead_max: int, age_max: int) -> int:
    """The age we let a sender claim: at most `lead_max` above our own, never above `age_max`."""
    return min(claimed, own + lead_max, age_max)
