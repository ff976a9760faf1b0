"""Frames: what goes in comes out, and whatever comes in, a message or one RemoteError comes out."""

import dataclasses
import struct

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gossip.antigens import (
    ANTIGEN_BYTES_MAX,
    DESCRIPTION_BYTES_MAX,
    EVIDENCE_MIN,
    LIFE_S_MAX,
    Antigen,
    to_fields,
)
from gossip.codec import (
    COUNTER_MAX,
    ENTRIES_MAX,
    FRAGMENTS_MAX,
    GIVEN_MAX,
    IDS_MAX,
    PARAMETER_MAX,
    REASON_CHARS_MAX,
    MismatchError,
    decode,
    encode,
    frame_bytes_max,
    pack,
    unpack,
)
from gossip.config import Encoding, PeerConfig
from gossip.contacts import ADDRESS_CHARS_MAX, ADDRESSES_MAX, PEER_ID_CHARS_MAX, Contact, PeerId
from gossip.errors import RemoteError
from gossip.fingerprint import PROTOCOL_VERSION
from gossip.messages import (
    Entry,
    Fragment,
    Give,
    Have,
    Leave,
    Message,
    Model,
    Refuse,
    Shuffle,
    ShuffleReply,
    Want,
)
from gossip.model import LocalModel
from gossip.pushsum import LENGTH_MAX, Sums
from tests.unit.sealing import an_antigen, largest

DIGEST = b"8 bytes!"
PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)
COUNTERS = st.integers(0, COUNTER_MAX)
ADDRESSES = st.lists(
    st.text(PRINTABLE, min_size=1, max_size=ADDRESS_CHARS_MAX), max_size=ADDRESSES_MAX
).map(tuple)
ENTRIES = st.lists(
    st.builds(
        Entry,
        st.builds(
            Contact,
            st.text(PRINTABLE, min_size=1, max_size=PEER_ID_CHARS_MAX).map(PeerId),
            ADDRESSES,
        ),
        COUNTERS,
    ),
    max_size=ENTRIES_MAX,
).map(tuple)
FRAGMENTS = st.lists(
    st.builds(
        Fragment,
        st.integers(0, FRAGMENTS_MAX - 1),
        COUNTERS,
        st.sampled_from(Encoding),
        st.floats(0, 1e300),
        st.binary(max_size=64),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda f: f.index,
).map(tuple)
ANTIGENS = st.builds(
    an_antigen,
    st.text(PRINTABLE, min_size=1, max_size=PEER_ID_CHARS_MAX),
    st.sampled_from(["smurf", "a/b_c-d.e + f", "0" * 48]),
    COUNTERS,
    revokes=st.booleans(),
    created_s=st.integers(1, LIFE_S_MAX),
    expires_s=st.just(LIFE_S_MAX + 1),
    description=st.binary(min_size=1, max_size=64),
)


def ids(low: int) -> st.SearchStrategy[bytes]:
    return st.integers(low, IDS_MAX).map(lambda count: bytes(range(8)) * count)


SUMS = st.builds(
    Sums, st.floats(2.0**-20, 4, width=32), st.binary(min_size=1, max_size=40).map(lambda b: b + b)
)
MESSAGES = st.one_of(
    st.builds(Model, FRAGMENTS, st.booleans(), ids(0), st.none() | SUMS),
    st.builds(Shuffle, ADDRESSES, ENTRIES),
    st.builds(ShuffleReply, ADDRESSES, ENTRIES),
    st.just(Leave()),
    st.builds(Refuse, st.text(PRINTABLE, min_size=1, max_size=REASON_CHARS_MAX)),
    st.builds(Have, ids(1)),
    st.builds(Want, ids(1)),
    st.builds(Give, st.lists(ANTIGENS, min_size=1, max_size=GIVEN_MAX).map(tuple)),
)
VECTORS = hnp.arrays(
    np.float32, st.integers(0, 40), elements=st.floats(-1e6, 1e6, width=32, allow_nan=False)
)


@given(MESSAGES)
def test_every_message_survives_the_wire(message: Message):
    assert decode(encode(message, DIGEST), DIGEST) == message


@given(VECTORS, st.sampled_from(Encoding), st.integers(0, COUNTER_MAX), st.integers(0, 2**32 - 1))
def test_every_encoding_stays_within_its_error(values, encoding, age, seed):
    fragment = pack(values, 3, age, encoding, np.random.default_rng(seed))
    received = decode(encode(Model((fragment,)), DIGEST), DIGEST)
    assert isinstance(received, Model)
    assert (received.fragments[0].index, received.fragments[0].age) == (3, age)
    result = unpack(received.fragments[0], len(values))
    assert result.dtype == np.float32
    largest = np.abs(values).max(initial=0)
    bound = {
        Encoding.FLOAT32: np.zeros_like(values),
        # Half a unit in the 11th bit, or half the smallest subnormal; beyond 65504, clipped.
        Encoding.FLOAT16: np.maximum(np.abs(values) * 2.0**-11, 2.0**-25)
        + np.maximum(np.abs(values) - 65504, 0),
        # Less than one step; below 1e-37 a step is not worth its scale.
        Encoding.INT8: np.full_like(values, largest / 127 * 1.0001 + 1e-35),
    }[encoding]
    assert (np.abs(result - values) <= bound).all()


def test_a_mean_that_rounds_beyond_the_bound_is_no_fault():
    values = np.array([np.nextafter(np.float32(PARAMETER_MAX), np.float32(np.inf)), -1e6], "f4")
    for encoding in Encoding:
        fragment = pack(values, 0, 0, encoding, np.random.default_rng(0))
        assert np.abs(unpack(fragment, 2)).max() <= PARAMETER_MAX


def test_int8_is_unbiased():
    rng = np.random.default_rng(7)
    values = rng.normal(size=200).astype(np.float32)
    repeats = 4_000
    total = np.zeros(200)
    for _ in range(repeats):
        total += unpack(pack(values, 0, 0, Encoding.INT8, rng), 200)
    step = np.abs(values).max() / 127
    # The error of one rounding has a deviation of at most step / 2.
    assert np.abs(total / repeats - values).max() < 5 * step / 2 / np.sqrt(repeats)


def test_int8_costs_a_quarter():
    values = np.ones(10_000, np.float32)
    sizes = {
        e: len(encode(Model((pack(values, 0, 1, e, np.random.default_rng(0)),)), DIGEST))
        for e in Encoding
    }
    assert sizes[Encoding.FLOAT32] < 40_060
    assert sizes[Encoding.FLOAT16] < 20_060
    assert sizes[Encoding.INT8] < 10_060


@pytest.mark.parametrize(
    ("dtype", "bad"),
    [
        ("<f4", np.nan),
        ("<f4", np.inf),
        ("<f4", 1.1e6),
        ("<f2", np.nan),
        ("<f2", -np.inf),
    ],
)
def test_values_that_are_not_numbers_of_a_model_are_refused(dtype, bad):
    encoding = Encoding.FLOAT32 if dtype == "<f4" else Encoding.FLOAT16
    data = np.array([0, bad, 0], dtype).tobytes()
    with pytest.raises(RemoteError, match="not finite or too large"):
        unpack(Fragment(0, 0, encoding, 1.0, data), 3)


def test_an_oversize_scale_is_refused():
    with pytest.raises(RemoteError, match="scale"):
        unpack(Fragment(0, 0, Encoding.INT8, 7875.0, b"\x01"), 1)


def test_a_fragment_of_another_size_is_refused():
    with pytest.raises(RemoteError, match="has 8 bytes, expected 12"):
        unpack(Fragment(0, 0, Encoding.FLOAT32, 1.0, bytes(8)), 3)


def frame(
    *fields: object, kind: int = 1, version: object = PROTOCOL_VERSION, digest: object = DIGEST
) -> bytes:
    return bytes(msgpack.packb([version, kind, digest, *fields]))


WEIGHT = struct.pack("<f", 0.5)


def fragment(**changes: object) -> list[object]:
    base = {"index": 0, "age": 0, "encoding": 0, "scale": 1.0, "data": b""} | changes
    return list(base.values())


def antigen_fields(**changes: object) -> list[object]:
    names = (each.name for each in dataclasses.fields(Antigen))
    return list((dict(zip(names, to_fields(an_antigen()), strict=True)) | changes).values())


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xc1",
        frame() + b"\x00",
        msgpack.packb({}),
        msgpack.packb(7),
        msgpack.packb([1, 1]),
        frame(kind=4, digest="8 bytes!"),
        frame(kind=4, digest=b"short"),
        frame(kind=-1),
        frame(kind=9),
        frame(1, kind=4),
        frame([], False, b""),
        frame([fragment()], False),
        frame([fragment()], False, "ids"),
        frame([fragment()], False, bytes(7)),
        frame([fragment()], False, bytes(8 * (IDS_MAX + 1))),
        frame([fragment()], 1, b""),
        frame([fragment()], False, b"", None),
        frame([fragment()], False, b"", WEIGHT),
        frame([fragment()], False, b"", WEIGHT + bytes(3)),
        frame([fragment()], False, b"", WEIGHT + bytes(2 * LENGTH_MAX + 2)),
        frame([fragment()], False, b"", bytes(2)),
        frame([fragment()], False, b"", "a weight and numbers"),
        frame([fragment()], False, b"", [0.5, bytes(2)]),
        frame([fragment()], False, b"", WEIGHT + bytes(2), b""),
        *(
            frame([fragment()], False, b"", struct.pack("<f", weight) + bytes(2))
            for weight in (0.0, -1.0, float("nan"), float("inf"))
        ),
        frame([fragment(), fragment()], False, b""),
        frame([fragment(index=-1)], False, b""),
        frame([fragment(index=FRAGMENTS_MAX)], False, b""),
        frame([fragment(index=True)], False, b""),
        frame([fragment(age=-1)], False, b""),
        frame([fragment(age=COUNTER_MAX + 1)], False, b""),
        frame([fragment(age=0.5)], False, b""),
        frame([fragment(encoding=3)], False, b""),
        frame([fragment(scale=1)], False, b""),
        frame([fragment(scale=-1.0)], False, b""),
        frame([fragment(scale=float("nan"))], False, b""),
        frame([fragment(scale=float("inf"))], False, b""),
        frame([fragment(data="text")], False, b""),
        frame([fragment()[:4]], False, b""),
        frame([fragment(index=i % 256) for i in range(257)], False, b""),
        frame([""], [], kind=2),
        frame(["ä"], [], kind=2),
        frame(["\x1b[2J"], [], kind=2),
        frame(["x" * (ADDRESS_CHARS_MAX + 1)], [], kind=2),
        frame(["x"] * (ADDRESSES_MAX + 1), [], kind=2),
        frame([b"/ip4"], [], kind=3),
        frame([], [["p", [], 0]] * (ENTRIES_MAX + 1), kind=3),
        frame([], [["p" * (PEER_ID_CHARS_MAX + 1), [], 0]], kind=3),
        frame([], [["p", [], -1]], kind=3),
        frame([], [["p", []]], kind=3),
        frame("x" * (REASON_CHARS_MAX + 1), kind=5),
        frame("two\nlines", kind=5),
        *(frame(bad, kind=kind) for kind in (6, 7) for bad in (b"", "8 bytes!", bytes(7))),
        *(frame(bytes(8 * (IDS_MAX + 1)), kind=kind) for kind in (6, 7)),
        frame(bytes(8), 1, kind=6),
        frame([], kind=8),
        frame([to_fields(an_antigen())] * (GIVEN_MAX + 1), kind=8),
        frame([to_fields(an_antigen())[:7]], kind=8),
        frame([None], kind=8),
        *(
            frame([antigen_fields(**{name: value})], kind=8)
            for name, value in {
                "origin": "x" * (PEER_ID_CHARS_MAX + 1),
                "family": "benign",
                "serial": -1,
                "evidence": EVIDENCE_MIN - 1,
                "created_s": 1.0,
                "expires_s": 2**63,
                "description": bytes(DESCRIPTION_BYTES_MAX + 1),
                "signature": b"short",
            }.items()
        ),
        b"\x94\x02\x05\xc4\x08" + DIGEST + b"\xa2\xff\xfe",  # text that is not UTF-8
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\x91" * 100_000,
        b"\xd6\xff\x00\x00\x00\x00",  # a timestamp
    ],
)
def test_what_is_not_exactly_one_message_is_a_remote_error(bad):
    with pytest.raises(RemoteError) as caught:
        decode(bytes(bad), DIGEST)
    assert type(caught.value) is RemoteError


@pytest.mark.parametrize("header", [b"\xdc\x01\x01", b"\xdd\x00\x00\x01\x01"])
def test_an_array_of_more_than_256_is_refused_at_its_header(header):
    # The frame is long enough: every element is there, and one more than the format ever holds.
    for whole in (
        header + b"\xc0" * 257,
        b"\x95\x02\x01\xc4\x08" + DIGEST + header + b"\xc0" * 258,
    ):
        with pytest.raises(RemoteError, match="not a msgpack frame"):
            decode(whole, DIGEST)


def test_a_model_of_256_fragments_is_read():
    model = decode(frame([fragment(index=i) for i in range(FRAGMENTS_MAX)], False, b""), DIGEST)
    assert isinstance(model, Model)
    assert len(model.fragments) == FRAGMENTS_MAX


def test_a_frame_longer_than_agreed_is_refused_unread():
    with pytest.raises(RemoteError, match="bytes where 100 are the most"):
        decode(bytes(101), DIGEST, 100)


@pytest.mark.parametrize(
    "foreign",
    [
        frame(kind=4, digest=b"another!"),
        frame(kind=4, version=PROTOCOL_VERSION + 1),
        frame(
            *range(9), kind=77, version=PROTOCOL_VERSION + 1
        ),  # whatever another version puts after the header
    ],
)
def test_another_fingerprint_or_version_is_a_mismatch(foreign):
    with pytest.raises(MismatchError):
        decode(foreign, DIGEST)


def test_a_refusal_is_read_whatever_its_fingerprint():
    refusal = frame("why", kind=5, version=PROTOCOL_VERSION + 1, digest=b"another!")
    assert decode(refusal, DIGEST) == Refuse("why")


def test_the_longest_honest_frames_fit():
    many = PeerConfig(fragments=256, fragments_per_push=256)
    model = LocalModel(many, np.ones(1_000, np.float32), np.full(256, 2**40))
    held = bytes(8 * IDS_MAX)
    most = Sums(1.0, bytes(2 * LENGTH_MAX))
    message = model.message(b"", "p", 0, range(256), answer=True, holds=held, sums=most)
    assert len(encode(message, DIGEST)) <= frame_bytes_max(1_000)
    entry = Entry(
        Contact(PeerId("p" * PEER_ID_CHARS_MAX), ("a" * ADDRESS_CHARS_MAX,) * ADDRESSES_MAX), 2**62
    )
    shuffle = Shuffle(entry.contact.addresses, (entry,) * ENTRIES_MAX)
    assert len(encode(shuffle, DIGEST)) <= frame_bytes_max(1)
    give = Give((largest(),) * GIVEN_MAX)
    assert decode(encode(give, DIGEST), DIGEST, frame_bytes_max(1)) == give
    assert len(encode(give, DIGEST)) <= GIVEN_MAX * ANTIGEN_BYTES_MAX
