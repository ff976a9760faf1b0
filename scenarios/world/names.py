"""Identities of simulated peers."""

from hashlib import blake2b

from gossip.contacts import PeerId

NAME_CHARS = 52
"""As long as libp2p's text of an Ed25519 identity, so that frames are as large as real ones."""


def peer_names(count: int) -> tuple[PeerId, ...]:
    """A distinct name for each index, the same in every run: `p7-` and hexadecimal digits."""
    return tuple(
        PeerId(f"p{index}-{blake2b(str(index).encode()).hexdigest()}"[:NAME_CHARS])
        for index in range(count)
    )
