"""Who a peer is and where it may be reached."""

from typing import NewType

from gossip.records import record

PeerId = NewType("PeerId", str)
"""The text form of a peer's identity. Over libp2p it is the hash of its public key."""

ADDRESSES_MAX = 4
ADDRESS_CHARS_MAX = 160
PEER_ID_CHARS_MAX = 64


@record
class Contact:
    """A peer and the multiaddrs (without the trailing `/p2p/…`) that it claims to listen on.

    Addresses are hearsay until a driver has dialled one and the handshake proved the identity.
    The World's drivers ignore them: simulated peers are reached by identity alone.
    """

    peer: PeerId
    addresses: tuple[str, ...] = ()
