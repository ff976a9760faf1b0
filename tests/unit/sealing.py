"""Antigens for tests, signed with a keyed hash that stands for every origin's key."""

from dataclasses import replace
from hashlib import blake2b

from gossip.antigens import DESCRIPTION_BYTES_MAX, SIGNATURE_BYTES, Antigen, signed
from gossip.contacts import PeerId
from tests.unit.meshes import FINGERPRINT

DAY_S = 86_400


class KeyedHash:
    """Signs for one origin and checks for all; forging needs this class, as it needs a key."""

    def __init__(self, me: str) -> None:
        self._me = me
        self.checked = 0

    def sign(self, body: bytes) -> bytes:
        return blake2b(body, digest_size=SIGNATURE_BYTES, key=self._me.encode()).digest()

    def verifies(self, origin: PeerId, body: bytes, signature: bytes) -> bool:
        self.checked += 1
        return KeyedHash(origin).sign(body) == signature


def an_antigen(
    origin: str = "p0001",
    family: str = "smurf",
    serial: int = 1,
    *,
    revokes: bool = False,
    created_s: int = 0,
    expires_s: int = DAY_S,
    description: bytes = b"looks like this",
    schema: bytes = FINGERPRINT.schema,
) -> Antigen:
    evidence, description = (0, b"") if revokes else (12, description)
    plain = Antigen(PeerId(origin), family, serial, evidence, created_s, expires_s, description)
    return signed(plain, schema, KeyedHash(origin))


def forged(antigen: Antigen) -> Antigen:
    return replace(antigen, signature=b"\x01" * SIGNATURE_BYTES)


def largest() -> Antigen:
    """As long as one may be."""
    antigen = an_antigen("p" * 64, "f" * 48, 2**62, created_s=2**62 - 1, expires_s=2**62)
    return replace(antigen, evidence=2**62, description=bytes(DESCRIPTION_BYTES_MAX))
