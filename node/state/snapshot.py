"""What a node saves: arrays, and what JSON can hold."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a node must have to carry on where it stopped.

    Args:
        cycle: the peer's cycle.
        arrays: by name; float32, int64, bool and the like, any shape.
        small: what JSON can hold, without NaN; at most `generations.SMALL_CHARS_MAX` characters.
    """

    cycle: int
    arrays: Arrays = field(default_factory=dict)
    small: dict[str, Any] = field(default_factory=dict)


def bytes_digest(parts: Iterable[bytes]) -> str:
    """32 hexadecimal digits that name all these bytes, one after the other, BLAKE2b."""
    found = blake2b(digest_size=16)
    for part in parts:
        found.update(part)
    return found.hexdigest()


def vector_digest(vector: NDArray[np.float32]) -> str:
    """32 hexadecimal digits that name a vector's values, BLAKE2b."""
    return blake2b(np.ascontiguousarray(vector).data, digest_size=16).hexdigest()
