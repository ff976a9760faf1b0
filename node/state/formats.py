"""The format of a snapshot: its number, and the way from each older one to the present.

    format  release              what changed
    1       before this number   no number is written
    2       with generations     `made`: how the node was; `ledger`: the last entry noted before;
                                 features count times as every sensor can tell them

A file of an older format is brought up in memory, one step after the other, and stays on disk as it
is until newer ones have outlived it. Whoever changes what is saved so that the loading code no
longer reads the old form raises FORMAT, adds a step here, and adds a file of the format before to
`tests/node/states`.
"""

from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np

from gossip.errors import StateError
from node.state.snapshot import Snapshot

FORMAT = 2
FIRST = 1
"""Files that tell no format have this one."""


_BEFORE, _SINCE = "flow26-db4763baef75cb75", "flow26-c604c0a35505f01d"
"""Names of the features before and since (`gossip.features.schema_fingerprint`)."""


def _made_and_renamed(before: Snapshot) -> Snapshot:
    """1 to 2: nothing is known of when it was made, nor of a ledger.

    Rows and model are taken over: a time is less than a millisecond off, which is less than flows
    of one kind differ by, and rows of the new kind replace the old ones with time. Antigens are
    not: what they are signed for names the features.
    """
    small: dict[str, Any] = {"made": {}, "ledger": 0} | before.small
    arrays = dict(before.arrays)
    told = str(small.get("fingerprint", ""))
    if _BEFORE in told:
        small["fingerprint"] = told.replace(_BEFORE, _SINCE)
        if "antigens" in arrays:
            arrays["antigens"] = np.frombuffer(msgpack.packb([]), np.uint8)
        small["antigens"] = {**small.get("antigens", {}), "held": []}
    return Snapshot(before.cycle, arrays, small)


MIGRATIONS: dict[int, Callable[[Snapshot], Snapshot]] = {1: _made_and_renamed}
"""From each older format to the next one."""


def upgraded(found: Snapshot, told: Any, where: str) -> Snapshot:
    """A snapshot in the present format.

    Args:
        found: as it was read.
        told: the format that the file tells; None for none.
        where: the file, for messages.

    Raises:
        StateError: a newer Hedgerow wrote it, it tells no format that there is, or what it holds
            does not allow a step. The file is left as it is.
    """
    number = FIRST if told is None else told
    if type(number) is not int or number < FIRST:
        raise StateError(f"{where}: tells format {str(told)[:40]!r}; restore it from a backup")
    if number > FORMAT:
        raise StateError(
            f"{where}: has format {number}, and this Hedgerow knows those up to {FORMAT}: a newer "
            "one wrote it. Install that release again, or name another node.state_dir. Nothing "
            "was changed"
        )
    for step in range(number, FORMAT):
        try:
            found = MIGRATIONS[step](found)
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(
                f"{where}: has format {number} and cannot be brought from format {step} to "
                f"{step + 1} ({error!r}); go back to the release that wrote it, or name another "
                "node.state_dir. Nothing was changed"
            ) from error
    return found
