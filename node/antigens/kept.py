"""Antigens in the state folder: as they travel, one after the other."""

from collections.abc import Iterable
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from gossip.antigens import ANTIGEN_BYTES_MAX, Antigen, from_fields, to_fields
from gossip.arrays import wanted
from gossip.errors import RemoteError, StateError

NAME = "antigens"
KEPT_MAX = 1_024
"""Antigens that are read. A peer holds 64 and 32 norms at most, and keeps 512 revocations in mind
for which it has no room (`gossip.immunity.PASSED_MAX`): 200 bytes each. The rest is room for a
release that keeps more."""


def to_arrays(antigens: Iterable[Antigen]) -> dict[str, NDArray[Any]]:
    """Arrays for the store; empty where there is none."""
    packed = bytes(msgpack.packb([to_fields(each) for each in antigens]))
    return {NAME: np.frombuffer(packed, np.uint8)}


def from_arrays(arrays: dict[str, NDArray[Any]]) -> tuple[Antigen, ...]:
    """What `to_arrays` was given. Signatures and expiry are for the peer to look at.

    Raises:
        StateError: the array is absent or damaged.
    """
    (array,) = wanted(arrays, "the stored antigens", NAME)
    if array.dtype != np.uint8 or array.ndim != 1 or len(array) > KEPT_MAX * ANTIGEN_BYTES_MAX:
        raise _damaged(f"an array {array.dtype} {array.shape}")
    try:
        found = msgpack.unpackb(array.tobytes(), max_array_len=KEPT_MAX)
        listed = found if isinstance(found, list) else [found]
        return tuple(from_fields(each) for each in listed)
    except (RemoteError, ValueError, msgpack.UnpackException) as error:
        raise _damaged(str(error)) from error


def _damaged(what: str) -> StateError:
    return StateError(
        f"the stored antigens are damaged ({what}); remove the state folder's newest generation to "
        "use the one before"
    )
