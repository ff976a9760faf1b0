"""Identities and addresses of simulated peers."""

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


def peer_address(index: int) -> str:
    """The multiaddr that a simulated peer claims to listen on.

    Nobody dials it. It travels with every entry of a view, as a real node's does: without it, what
    membership sends would be two thirds of what it is (docs/lab.md).
    """
    return f"/ip4/10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}/tcp/4001"
