"""Signatures of antigens: whose are believed, by the peer id alone."""

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.rsa import create_new_key_pair as rsa
from libp2p.crypto.secp256k1 import create_new_key_pair as secp256k1
from libp2p.peer.id import ID

from gossip.antigens import Antigen, body, signed, verified
from gossip.contacts import PeerId
from node.p2p.identity import Identity, new_identity
from node.p2p.seal import Ed25519Seal

ME = Identity(bytes(range(32)))
SEAL = Ed25519Seal(ME)
SCHEMA = b"features"
ANTIGEN = Antigen(ME.peer, "scan", 7, 12, 1_000, 2_000, b"a mixture")
SIGNED = signed(ANTIGEN, SCHEMA, SEAL)


def test_what_is_signed_is_believed_by_everybody_and_for_these_features_only() -> None:
    assert len(SIGNED.signature) == 64
    other = Ed25519Seal(new_identity())
    assert verified(SIGNED, SCHEMA, other), "whoever checks needs the origin's peer id alone"
    assert not verified(SIGNED, b"others", other)
    assert signed(ANTIGEN, SCHEMA, SEAL) == SIGNED


@pytest.mark.parametrize(
    "change",
    [
        {"family": "scam"},
        {"serial": 8},
        {"evidence": 13},
        {"created_s": 1_001},
        {"expires_s": 2_001},
        {"description": b"a mixturf"},
        {"origin": new_identity().peer},
    ],
)
def test_every_field_is_covered(change) -> None:
    assert not verified(replace(SIGNED, **change), SCHEMA, SEAL)


@given(st.integers(0, 511))
def test_a_signature_with_any_bit_flipped_is_forged(bit: int) -> None:
    flipped = bytearray(SIGNED.signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not SEAL.verifies(ME.peer, body(ANTIGEN, SCHEMA), bytes(flipped))


def test_truncated_longer_and_foreign_signatures_are_none() -> None:
    text, good = body(ANTIGEN, SCHEMA), SIGNED.signature
    assert SEAL.verifies(ME.peer, text, good)
    for wrong in (b"", good[:-1], good + b"\0", good * 2, bytes(64), os.urandom(64)):
        assert not SEAL.verifies(ME.peer, text, wrong)
    forger = Ed25519Seal(new_identity())
    assert not SEAL.verifies(ME.peer, text, forger.sign(text))


def test_peer_ids_of_other_keys_sign_nothing() -> None:
    text = b"text"
    for pair in (rsa(1_024), secp256k1()):
        peer = PeerId(str(ID.from_pubkey(pair.public_key)))
        assert not SEAL.verifies(peer, text, pair.private_key.sign(text)[:64].ljust(64, b"\0"))


def test_one_key_has_one_name() -> None:
    """base58 forgives blanks around it; a second way to write an id would be a second origin."""
    text = b"text"
    signature = SEAL.sign(text)
    for peer in (f" {ME.peer}", f"{ME.peer} ", f"{ME.peer}\n", f"1{ME.peer}", ME.peer[:-1], ""):
        assert not SEAL.verifies(PeerId(peer), text, signature)


@pytest.mark.parametrize("point", ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f"])
def test_a_key_for_which_any_text_is_signed_is_refused(point: str) -> None:
    """With the neutral point as key, the neutral point and 0 would be a signature of anything."""
    key = bytes.fromhex(point)
    peer = PeerId(ID(bytes((0, 0x24, 8, 1, 0x12, 0x20)) + key).to_base58())
    for head in (key, b"\x01" + bytes(31)):
        assert not SEAL.verifies(peer, b"text", head + bytes(32))


@given(st.text(max_size=80))
def test_no_text_for_a_peer_id_raises(text: str) -> None:
    assert not SEAL.verifies(PeerId(text), b"text", bytes(64))
