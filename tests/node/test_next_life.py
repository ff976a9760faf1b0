"""What a peer holds of antigens outlives it, and is looked at again when it comes back."""

from dataclasses import replace

import numpy as np

from gossip.antigens import Antigen, signed
from gossip.config import PeerConfig
from gossip.contacts import Contact
from gossip.events import Present, Start
from gossip.fingerprint import Fingerprint
from gossip.peer import Peer
from node.p2p.identity import Identity, new_identity
from node.p2p.seal import Ed25519Seal

ME = Identity(bytes(range(32)))
SEAL = Ed25519Seal(ME)
PRINT = Fingerprint("features", "model")
EPOCH_S = 1_800_000_000.0


def peer() -> Peer:
    vector = np.zeros(16, np.float32)
    return Peer(PeerConfig(), Contact(ME.peer), b"s", PRINT, vector, seal=SEAL, epoch_s=EPOCH_S)


def made(identity: Identity, family: str, evidence: int = 20, life_s: int = 1_000) -> Antigen:
    now = int(EPOCH_S)
    text = b"mixture" if evidence else b""
    one = Antigen(identity.peer, family, now, evidence, now, now + life_s, text)
    return signed(one, PRINT.schema, Ed25519Seal(identity))


def test_a_next_life_holds_what_the_last_one_did() -> None:
    first = peer()
    first.handle(Start(), 0)
    own = made(ME, "scan"), made(ME, "dos", evidence=0)
    for each in own:
        first.handle(Present(each), 1)
    assert set(first.kept) == set(own)
    assert [each.family for each in first.antigens] == ["scan"], "a revocation says nothing"
    other = made(new_identity(), "smurf")
    second = peer()
    second.handle(Start(antigens=(*first.kept, other)), 5)
    assert set(second.kept) == {*own, other}
    second.handle(Present(made(ME, "dos")), 6)
    assert set(second.kept) == {*own, other}, "what was revoked stays revoked"


def test_what_ended_or_was_tampered_with_is_not_held_again() -> None:
    kept = made(ME, "scan")
    forged = replace(made(new_identity(), "dos"), evidence=99)
    over = made(new_identity(), "smurf", life_s=10)
    late = peer()
    late.handle(Start(antigens=(kept, forged, over)), 20_000_000)
    assert late.kept == (kept,)
    without = Peer(PeerConfig(), Contact(ME.peer), b"s", PRINT, np.zeros(16, np.float32))
    without.handle(Start(antigens=(kept,)), 0)
    assert without.kept == (), "it takes no part"
