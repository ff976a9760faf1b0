"""The pre-shared key of a private mesh: 32 bytes that every node of it holds.

It keeps strangers out before they get as far as a handshake. It is segregation, not access control:
whoever has read it once may join. The file is the `swarm.key` of other libp2p programs
(https://github.com/libp2p/specs/blob/master/pnet/Private-Networks-PSK-V1.md), or 64 hex digits.
"""

import base64
import binascii
import os
import re
from pathlib import Path

from gossip.errors import StateError
from node.p2p.secretfile import create_secret, read_secret

HEADER = "/key/swarm/psk/1.0.0/"
KEY_BYTES = 32
_WHAT = "pre-shared key"


def load_psk(path: Path) -> bytes:
    """The 32 bytes in `path`.

    Raises:
        StateError: missing, unreadable, open to others, or not a key; the file is left as it is.
    """
    try:
        text = read_secret(path, _WHAT)
    except FileNotFoundError as error:
        raise StateError(
            f"there is no pre-shared key {path}; copy it from another node of the mesh"
        ) from error
    try:
        return parse_psk(text)
    except ValueError as error:
        raise StateError(f"the pre-shared key {path} is wrong: {error}. It was kept") from error


def parse_psk(text: str) -> bytes:
    """The 32 bytes in a `swarm.key` text, or in 64 hex digits.

    Raises:
        ValueError: it is neither.
    """
    lines = text.split()
    if len(lines) == 1:
        return _from_hex(lines[0])
    if len(lines) != 3 or lines[0] != HEADER:
        raise ValueError(f"expected 64 hex digits, or the line {HEADER} and two more")
    if lines[1] == "/base16/":
        return _from_hex(lines[2])
    if lines[1] == "/base64/":
        try:
            key = base64.b64decode(lines[2], validate=True)
        except binascii.Error as error:
            raise ValueError("its third line is not base64") from error
        if len(key) != KEY_BYTES:
            raise ValueError(f"it holds {len(key)} bytes instead of {KEY_BYTES}")
        return key
    raise ValueError(f"its second line is {lines[1]!r}; only /base16/ and /base64/ are known")


def create_psk(path: Path) -> bytes:
    """Draw a key, and write it to a new file of mode 0600.

    Raises:
        StateError: the file exists already, or cannot be written.
    """
    key = os.urandom(KEY_BYTES)
    create_secret(path, f"{HEADER}\n/base16/\n{key.hex()}\n", _WHAT)
    return key


def _from_hex(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ValueError(f"expected 64 hex digits, found {len(text)} characters")
    return bytes.fromhex(text)
