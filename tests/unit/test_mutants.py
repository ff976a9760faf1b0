"""Frames that were tampered with: a message or one RemoteError comes out, in bounded memory."""

import contextlib
import struct
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from gossip.codec import decode, encode, pack
from gossip.config import Encoding, PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.errors import RemoteError
from gossip.messages import (
    Entry,
    Fragment,
    Give,
    Have,
    Leave,
    Model,
    Refuse,
    Shuffle,
    ShuffleReply,
    Want,
)
from gossip.model import LocalModel
from gossip.pushsum import Sums
from tests.unit.sealing import an_antigen

DIGEST = b"8 bytes!"
MUTANTS = 100_000
BOMBS = (
    b"\xdd\xff\xff\xff\xff",  # arrays, maps, bytes, texts and extensions of 2^32 - 1
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x05",
    b"\xdc\xff\xff",
    b"\xdc\x01\x00" * 40,  # arrays of 256 within each other
    b"\xdc\xff\xff" * 100,  # arrays of more than 256, and of more than fits into 16 bits
    b"\xdd\x00\x01\x00\x00" * 100,
    b"\x91" * 300,
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",  # the largest and the smallest integer
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\xcb" + struct.pack(">d", float("nan")),
    b"\xcb" + struct.pack(">d", float("inf")),
    b"\xca" + struct.pack(">f", float("-inf")),
    b"\xa2\xff\xfe",
    "\xa4Ω≈".encode(),
    b"\xc0",
    b"\xc2",
    b"\xc3",
    b"\x80",
    b"\x90",
    b"\xc4\x00",
)


def seeds() -> list[bytes]:
    rng = np.random.default_rng(5)
    model = LocalModel(PeerConfig(), rng.normal(size=64).astype(np.float32), None)
    entries = tuple(
        Entry(Contact(PeerId(f"12D3KooW{i:044d}"), (f"/ip4/10.0.0.{i}/tcp/4001",)), i)
        for i in range(8)
    )
    frames = [
        encode(m, DIGEST)
        for m in (
            model.message(b"", "p", 0, range(4), answer=True, holds=bytes(range(24))),
            model.message(
                b"", "p", 0, range(2), answer=False, sums=Sums(0.5, bytes(range(34)) * 2)
            ),
            Shuffle(("/ip4/10.0.0.1/tcp/4001",), entries),
            ShuffleReply((), entries[:3]),
            Leave(),
            Refuse("it has protocol 1, features f, model m"),
            Have(bytes(range(16))),
            Want(bytes(range(8))),
            Give((an_antigen(), an_antigen("x", "scan", 2, revokes=True))),
        )
    ]
    for encoding in (Encoding.FLOAT16, Encoding.INT8):
        part = pack(model.own(0), 0, 9, encoding, rng)
        frames.append(encode(Model((part,)), DIGEST))
    return frames


def mutants(count: int):
    """Frames with flipped bits, cut, spliced with each other, or with bombs put in."""
    rng = np.random.default_rng(20)
    frames = seeds()
    draws = rng.integers(0, 2**31, size=(count, 6)).tolist()
    for kind, a, b, c, d, e in draws:
        base = frames[a % len(frames)]
        at = b % len(base)
        match kind % 5:
            case 0:
                mutant = bytearray(base)
                for place in (b, c, d)[: 1 + e % 3]:
                    mutant[place % len(base)] ^= 1 << (e >> 4) % 8
                yield bytes(mutant)
            case 1:
                yield base[:at]
            case 2:
                other = frames[c % len(frames)]
                yield base[:at] + other[d % len(other) :]
            case 3:
                # In place of one to eight bytes, so that it often stands where a value stood.
                yield base[:at] + BOMBS[c % len(BOMBS)] + base[at + 1 + d % 8 :]
            case _:
                mutant = bytearray(base)
                mutant[at] = c % 256
                yield bytes(mutant)


def test_100_000_mutants_give_a_message_or_one_remote_error_in_bounded_memory():
    model = LocalModel(PeerConfig(), np.zeros(64, np.float32), None)
    outcomes: Counter[str] = Counter()
    worst = 0.0
    tracemalloc.start()
    try:
        for mutant in mutants(MUTANTS):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                message = decode(mutant, DIGEST)
                if isinstance(message, Model):
                    values = model.read(message.fragments)
                    assert all(np.isfinite(v).all() for v, _ in values.values())
                outcomes[type(message).__name__] += 1
            except RemoteError as error:
                outcomes[type(error).__name__] += 1
            peak = tracemalloc.get_traced_memory()[1] - before
            worst = max(worst, peak - 72 * len(mutant))
    finally:
        tracemalloc.stop()
    assert sum(outcomes.values()) == MUTANTS
    # Mutants reach every branch: they pass as each kind of message and fail in each way.
    assert set(outcomes) == {
        "Model", "Shuffle", "ShuffleReply", "Leave", "Refuse", "Have", "Want", "Give",
        "RemoteError", "MismatchError",
    }  # fmt: skip
    assert outcomes["RemoteError"] > MUTANTS / 4
    # An empty list costs 56 bytes and a place of 8 for one byte on the wire; besides, an array of
    # 256 is allocated when its header is read, and our deepest bomb nests 40 of them.
    assert worst < 200_000


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xdc\x01\x00" * 100_000,  # as deep as msgpack goes, an array of 256 at every level
        b"\xdc\x01\x00" + (b"\xdc\x01\x00" + b"\x90" * 256) * 255,
        b"\xdc\xff\xff" * 1000,
        b"\xdd\x00\x01\x00\x00" * 1000,
        encode(Model((Fragment(0, 0, Encoding.FLOAT32, 1.0, bytes(200_000)),)), DIGEST),
    ],
)
def test_the_worst_frames_stay_in_bounded_memory(bomb):
    tracemalloc.start()
    try:
        with contextlib.suppress(RemoteError):
            decode(bomb, DIGEST)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 72 * len(bomb) + 3_000_000
