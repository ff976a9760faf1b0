"""What antigens are signed with: the node's own libp2p key.

The peer id of an Ed25519 key is the key itself behind a fixed prefix (libp2p's specification of
peer ids: an identity multihash of the protobuf-encoded public key). So a signature can be checked
with the origin's peer id alone, without asking or remembering anybody. Peer ids of other keys hash
the key, and cannot sign antigens.
"""

from functools import lru_cache
from typing import final

from libp2p.crypto.ed25519 import Ed25519PublicKey
from libp2p.peer.id import ID

from gossip.antigens import SIGNATURE_BYTES
from gossip.contacts import PeerId
from node.addresses import parse_peer
from node.p2p.identity import Identity

_KEY_BYTES = 32


@final
class Ed25519Seal:
    """Signs for one node; see `gossip.antigens.Seal`.

    Args:
        identity: whose.
    """

    def __init__(self, identity: Identity) -> None:
        self._key = identity.key_pair.private_key

    def sign(self, body: bytes) -> bytes:
        """64 bytes; the same for the same body (RFC 8032)."""
        return bytes(self._key.sign(body))

    def verifies(self, origin: PeerId, body: bytes, signature: bytes) -> bool:
        """Whether the holder of this peer id's key signed; False for whatever is no signature.

        libsodium refuses keys of small order, with which one signature would fit any body.
        """
        if len(signature) != SIGNATURE_BYTES:
            return False
        key = _key_in(origin)
        return key is not None and key.verify(body, signature)


@lru_cache(maxsize=1_024)  # origins are few and seen again and again; decoding base58 is slow
def _key_in(peer: PeerId) -> Ed25519PublicKey | None:
    """The key that a peer id is made of; None where it is made of none.

    `parse_peer` takes one way to write an id only; by another, one key could be several origins.
    """
    try:
        data = ID.from_base58(parse_peer(peer)).to_bytes()
    except ValueError:
        return None
    return Ed25519PublicKey.from_bytes(data[-_KEY_BYTES:])
