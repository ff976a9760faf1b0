"""Signatures of simulated peers: hashes in place of keys."""

from dataclasses import dataclass
from hashlib import blake2b

from gossip.antigens import SIGNATURE_BYTES
from gossip.contacts import PeerId


@dataclass(frozen=True, slots=True)
class HashSeal:
    """A `gossip.antigens.Seal` for peers whose ids stand for keys.

    A signature is BLAKE2b of origin and body, keyed by the scenario: as long as one of Ed25519, of
    no other use for anybody, and a thousandth of its time. Every simulated peer could make that of
    any other, and none does: `sign` knows one origin alone, and who wants to deceive signs with
    its own.

    Args:
        key: of the scenario, at most 64 bytes.
        me: the peer that signs.
    """

    key: bytes
    me: PeerId

    def sign(self, body: bytes) -> bytes:
        """See `gossip.antigens.Seal`."""
        return self._made(self.me, body)

    def verifies(self, origin: PeerId, body: bytes, signature: bytes) -> bool:
        """See `gossip.antigens.Seal`."""
        return signature == self._made(origin, body)

    def _made(self, origin: PeerId, body: bytes) -> bytes:
        text = f"{origin}\0".encode() + body
        return blake2b(text, digest_size=SIGNATURE_BYTES, key=self.key, person=b"seal").digest()
