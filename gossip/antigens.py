"""Antigens: what a peer tells others of a family of attacks that it has seen.

A compact description of how the family looks in feature space, signed by the peer that has the
evidence. No row leaves with it (`gossip.learning.mixture` makes the description), and a peer that
gets one still decides by its own rows whether to use it (`gossip.learning.tolerance`).
"""

import re
from dataclasses import replace
from hashlib import blake2b
from typing import Protocol

import msgpack

from gossip.contacts import PEER_ID_CHARS_MAX, PeerId
from gossip.errors import RemoteError
from gossip.records import record

EVIDENCE_MIN = 10
"""Rows without which nothing leaves: the least with which the prototype that decided for antigens
was measured. With fewer, a component would be close to a single flow."""

NORM = "~norm"
"""Reserved in place of a family: what an origin says of its benign rows (`gossip.learning.norms`).
It names no attack (`is_family`), so no family can have this name, and nobody rehearses it."""

NORM_BYTES_MAX = 1_024
"""Of a norm's description: room for 255 columns. Our choice; a gateway's has 26."""

DESCRIPTION_BYTES_MAX = 3_800
ANTIGEN_BYTES_MAX = 4_096
"""An antigen as it travels. The rest is the header, names and signature."""

LIFE_S_MAX = 30 * 86_400
"""Longest from creation to expiry. Our choice: a month, after which the origin, if it still has
the evidence, makes a new one."""

SKEW_S_MAX = 600
"""How far in the future an antigen may have been made: clocks without NTP. Our choice."""

SIGNATURE_BYTES = 64  # Ed25519's
ID_BYTES = 8
FAMILY_CHARS_MAX = 48

_FAMILY = re.compile(rf"[a-z0-9](?:[a-z0-9 ._/+-]{{0,{FAMILY_CHARS_MAX - 2}}}[a-z0-9])?")
_NO_ATTACKS = frozenset({"benign", "normal", "unknown"})
"""What names ordinary traffic, and what an alert says where there is no name."""

_PURPOSE = "hedgerow antigen 1"
_COUNT_MAX = 2**62


@record
class Antigen:
    """One family of attacks, as one peer has seen it.

    Args:
        origin: the peer that has the evidence, and signed.
        family: the attack's name, see `is_family`; or `NORM`.
        serial: of the origin's antigens of one family only the one with the highest counts.
        evidence: rows that it was made of, at least `EVIDENCE_MIN`; 0 revokes all earlier ones.
        created_s: seconds since 1970.
        expires_s: seconds since 1970; not used from then on, and forgotten.
        description: a packed mixture, see `gossip.learning.mixture`, or norm; empty where it
            revokes.
        signature: by the origin's key, of `body`; empty until signed.
    """

    origin: PeerId
    family: str
    serial: int
    evidence: int
    created_s: int
    expires_s: int
    description: bytes
    signature: bytes = b""

    @property
    def revokes(self) -> bool:
        """Whether the origin takes back what it said of the family."""
        return self.evidence == 0

    @property
    def is_norm(self) -> bool:
        """Whether it speaks of its origin's benign rows and of no attack."""
        return self.family == NORM

    @property
    def ends_s(self) -> int:
        """When everybody forgets it, in seconds since 1970.

        At its expiry; but if it revokes, when anything made before it has expired, for else an old
        antigen could come again.
        """
        return self.created_s + LIFE_S_MAX if self.revokes else self.expires_s

    @property
    def id(self) -> bytes:
        """8 bytes that name it: of everything in it but the signature, which could be made anew."""
        return blake2b(_packed(self, b""), digest_size=ID_BYTES).digest()


class Seal(Protocol):
    """Signs for this peer, and checks what others signed. Pure: no clock, nothing remembered."""

    def sign(self, body: bytes) -> bytes:
        """`SIGNATURE_BYTES` bytes."""

    def verifies(self, origin: PeerId, body: bytes, signature: bytes) -> bool:
        """Whether the holder of this peer id's key signed; False for whatever is no signature."""


def is_family(name: str) -> bool:
    """Whether a text may name a family of attacks: a log may show it, and nobody takes it for none.

    It ends in a letter or digit, for "scan " looks like "scan"; and its letters are not "benign",
    "normal" or "unknown".
    """
    letters = "".join(filter(str.isalpha, name[:FAMILY_CHARS_MAX]))
    return letters not in _NO_ATTACKS and _FAMILY.fullmatch(name) is not None


def body(antigen: Antigen, schema: bytes) -> bytes:
    """What is signed. `schema` digests the features' meaning and order, which never travels."""
    return _packed(antigen, schema)


def signed(antigen: Antigen, schema: bytes, seal: Seal) -> Antigen:
    """The same with its signature.

    Raises:
        ValueError: it breaks a bound, so that nobody would take it.
    """
    whole = replace(antigen, signature=seal.sign(body(antigen, schema)))
    try:
        check(whole)
    except RemoteError as error:
        raise ValueError(f"no antigen to send: {error}") from None
    return whole


def to_fields(antigen: Antigen) -> list[object]:
    """For a frame; `from_fields` reads it."""
    return [
        antigen.origin,
        antigen.family,
        antigen.serial,
        antigen.evidence,
        antigen.created_s,
        antigen.expires_s,
        antigen.description,
        antigen.signature,
    ]


def from_fields(value: object) -> Antigen:
    """Read what came in a frame.

    Raises:
        RemoteError: it is not exactly one antigen within all bounds. The signature is not looked at
            here; `verified` does that.
    """
    if not isinstance(value, list) or len(value) != 8:
        raise RemoteError("antigen: not an array of 8")
    origin, family, serial, evidence, created_s, expires_s, description, signature = value
    if not isinstance(origin, str) or not isinstance(family, str):
        raise RemoteError("antigen: origin and family are not texts")
    if not all(type(each) is int for each in (serial, evidence, created_s, expires_s)):
        raise RemoteError("antigen: serial, evidence and times are not integers")
    if not isinstance(description, bytes) or not isinstance(signature, bytes):
        raise RemoteError("antigen: description and signature are not bytes")
    antigen = Antigen(
        PeerId(origin), family, serial, evidence, created_s, expires_s, description, signature
    )
    check(antigen)
    return antigen


def check(antigen: Antigen) -> None:
    """Hold an antigen against every bound that needs neither clock nor key.

    Raises:
        RemoteError: which bound it breaks.
    """
    origin = antigen.origin
    if not 0 < len(origin) <= PEER_ID_CHARS_MAX or not (origin.isascii() and origin.isprintable()):
        raise RemoteError("antigen: the origin is no peer id")
    if not antigen.is_norm and not is_family(antigen.family):
        raise RemoteError(f"antigen: {antigen.family[:FAMILY_CHARS_MAX]!a} names no attack")
    for name in ("serial", "evidence", "created_s", "expires_s"):
        if not 0 <= getattr(antigen, name) <= _COUNT_MAX:
            raise RemoteError(f"antigen: {name} is out of range")
    life_s = antigen.expires_s - antigen.created_s
    if not 0 < life_s <= LIFE_S_MAX:
        raise RemoteError(f"antigen: a life of {life_s} s; 1 to {LIFE_S_MAX} are allowed")
    if antigen.revokes != (not antigen.description):
        raise RemoteError("antigen: one that revokes has no description, and no other is without")
    if not antigen.revokes and antigen.evidence < EVIDENCE_MIN:
        raise RemoteError(f"antigen: made of {antigen.evidence} rows, fewer than {EVIDENCE_MIN}")
    most = NORM_BYTES_MAX if antigen.is_norm else DESCRIPTION_BYTES_MAX
    if len(antigen.description) > most:
        raise RemoteError(f"antigen: a description of {len(antigen.description)} bytes")
    if len(antigen.signature) != SIGNATURE_BYTES:
        raise RemoteError(f"antigen: a signature of {len(antigen.signature)} bytes")


def verified(antigen: Antigen, schema: bytes, seal: Seal) -> bool:
    """Whether its origin signed it, for these features."""
    return seal.verifies(antigen.origin, body(antigen, schema), antigen.signature)


def told(antigen: Antigen) -> str:
    """For reports: the family, the origin, and whether it is taken back."""
    return f"{antigen.family} by {antigen.origin}{' revoked' if antigen.revokes else ''}"


def is_live(antigen: Antigen, now_s: float) -> bool:
    """Whether it was made by now, but for differing clocks, and has not expired."""
    return antigen.created_s <= now_s + SKEW_S_MAX and now_s < antigen.ends_s


def _packed(antigen: Antigen, schema: bytes) -> bytes:
    fields = to_fields(antigen)[:-1]
    return bytes(msgpack.packb([_PURPOSE, schema, *fields]))
