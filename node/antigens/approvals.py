"""Which antigens an operator has approved: a small file in the state folder.

The command line writes it, whole or not at all, and the node reads it before each training. So an
approval needs no running node, and the status socket stays one that can only be asked.

One id a line, 16 hexadecimal digits. An id names the content of an antigen, so what its origin
makes later in its place is not approved with it.
"""

import re
from collections.abc import Collection
from pathlib import Path

from gossip.antigens import ID_BYTES
from gossip.errors import StateError
from node.durable import alone, read_small
from node.state.generations import write_whole

FILE = "approved-antigens"
APPROVED_MAX = 256
"""Four times as many as a peer holds (`PeerConfig.antigens_max`); our choice."""

_HEAD = "# Antigens that were approved here; `hedgerow antigens` writes this file.\n"
_BYTES_MAX = len(_HEAD) + APPROVED_MAX * (2 * ID_BYTES + 1)
_ID = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}")


def load(folder: Path) -> tuple[bytes, ...]:
    """The ids approved in a state folder, in the order of approval; none where there is no file.

    Raises:
        StateError: the file cannot be read, or is not what `approve` writes.
    """
    path = folder / FILE
    data = read_small(path, _BYTES_MAX)
    if data is None:
        return ()
    lines = data.decode("ascii", errors="replace").splitlines()
    found = [line for line in lines if not line.startswith("#")]
    wrong = [n for n, line in enumerate(lines, 1) if line[:1] != "#" and not _ID.fullmatch(line)]
    if wrong or len(data) > _BYTES_MAX:
        where = f"line {wrong[0]} is" if wrong else f"more than {APPROVED_MAX} lines are"
        raise StateError(
            f"{path}: {where} not what `hedgerow antigens approve` writes; remove the file, and "
            "approve again what shall be used"
        )
    return tuple(bytes.fromhex(line) for line in dict.fromkeys(found))


def approve(folder: Path, antigen: bytes, held: Collection[bytes]) -> bool:
    """Approve an antigen; False if it was approved before.

    Args:
        folder: the state folder.
        antigen: its id, one of `held`.
        held: all that the node holds; approvals of others are dropped, they are of no more use.

    Raises:
        StateError: the file is damaged, or cannot be written.
    """
    with alone(folder):
        before = load(folder)
        kept = [each for each in before if each in held and each != antigen]
        _write(folder, [*kept, antigen][-APPROVED_MAX:])
        return antigen not in before


def forget(folder: Path, antigen: bytes) -> bool:
    """Take an approval back; False if there was none.

    Raises:
        StateError: the file is damaged, or cannot be written.
    """
    with alone(folder):
        before = load(folder)
        if antigen in before:
            _write(folder, [each for each in before if each != antigen])
        return antigen in before


def _write(folder: Path, ids: list[bytes]) -> None:
    text = _HEAD + "".join(f"{each.hex()}\n" for each in ids)
    write_whole(folder / FILE, text.encode())
