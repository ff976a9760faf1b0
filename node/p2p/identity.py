"""Who this node is: an Ed25519 key that lives in one private file.

The file has three lines: a format name, the 32-byte seed in hex, and the peer id that follows from
it. The last is there to notice damage: a seed with a flipped bit is a valid seed of somebody else.
"""

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.peer.id import ID

from gossip.contacts import PeerId
from gossip.errors import StateError
from node.p2p.secretfile import create_secret, read_secret

FORMAT = "hedgerow-identity-1"
SEED_BYTES = 32
_WHAT = "identity file"


@dataclass(frozen=True)
class Identity:
    """An Ed25519 key pair.

    Args:
        seed: 32 secret bytes.
    """

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(self.seed)}")

    @cached_property
    def key_pair(self) -> KeyPair:
        """For libp2p."""
        return create_new_key_pair(self.seed)

    @cached_property
    def peer(self) -> PeerId:
        """The public name: the base58 form of the public key."""
        return PeerId(str(ID.from_pubkey(self.key_pair.public_key)))


def samples_seed(identity: Identity) -> bytes:
    """Secret that gives each flow its role; the same in every life, so that roles never change."""
    return blake2b(b"samples", digest_size=32, key=identity.seed).digest()


def new_identity() -> Identity:
    """A fresh key from the operating system's random source."""
    return Identity(os.urandom(SEED_BYTES))


def load_identity(path: Path) -> Identity:
    """The identity in `path`.

    Raises:
        StateError: unreadable, open to others, or damaged; the file is left as it is.
        FileNotFoundError: there is none.
    """
    lines = read_secret(path, _WHAT).splitlines()
    if len(lines) != 3 or lines[0] != FORMAT or not re.fullmatch(r"[0-9a-f]{64}", lines[1]):
        raise _damaged(path, f"it does not hold {FORMAT}, a seed, and a peer id")
    identity = Identity(bytes.fromhex(lines[1]))
    if identity.peer != lines[2]:
        raise _damaged(path, "its seed does not belong to the peer id beside it")
    return identity


def load_or_create_identity(path: Path) -> Identity:
    """The identity in `path`, which is created on the first start.

    Raises:
        StateError: as `load_identity`, or the file cannot be created.
    """
    try:
        return load_identity(path)
    except FileNotFoundError:
        identity = new_identity()
        create_secret(path, f"{FORMAT}\n{identity.seed.hex()}\n{identity.peer}\n", _WHAT)
        return identity


def _damaged(path: Path, problem: str) -> StateError:
    return StateError(
        f"the identity file {path} is damaged: {problem}. It was kept; restore it from a backup, "
        f"or move it away to let this node become a new peer"
    )
