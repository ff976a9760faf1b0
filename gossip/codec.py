"""Frames: msgpack arrays `[protocol version, kind, fingerprint, fields…]`.

`decode` gives a message or raises one `RemoteError`, whatever the bytes. Before anything is
allocated the frame's length is capped by the caller's transport, and every length inside it here.
"""

import math
from struct import Struct
from typing import Any

import msgpack
import numpy as np

from gossip.antigens import ID_BYTES, from_fields, to_fields
from gossip.config import Encoding
from gossip.contacts import (
    ADDRESS_CHARS_MAX,
    ADDRESSES_MAX,
    PEER_ID_CHARS_MAX,
    Contact,
    PeerId,
)
from gossip.errors import RemoteError
from gossip.fingerprint import DIGEST_BYTES, PROTOCOL_VERSION
from gossip.merge import Vector
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
from gossip.pushsum import LENGTH_MAX, Sums

FRAGMENTS_MAX = 256
ENTRIES_MAX = 32
REASON_CHARS_MAX = 400
IDS_MAX = 96  # as many as a peer may hold (`PeerConfig.antigens_max`, `immunity.NORMS_MAX`)
GIVEN_MAX = 8  # antigens in one frame: 33 kB at most, half of what a frame may be beside a model
FRAME_OVERHEAD_MAX = 64 * 1024
FRAGMENT_OVERHEAD = 40  # msgpack headers, index, age, scale
FIELDS_MAX = 16  # room for other protocol versions, whose first three fields stay as they are
COUNTER_MAX = 2**62
SCALE_MIN = 1e-37  # about float32's smallest normal number; below it a division loses its meaning
PARAMETER_MAX = 1e6  # no trained weight comes near; sums of many such stay finite

_KINDS: dict[type, int] = {
    Model: 1,
    Shuffle: 2,
    ShuffleReply: 3,
    Leave: 4,
    Refuse: 5,
    Have: 6,
    Want: 7,
    Give: 8,
}
_WEIGHT = Struct("<f")
_REFUSAL = _KINDS[Refuse]
_ENCODINGS = (Encoding.FLOAT32, Encoding.FLOAT16, Encoding.INT8)
_DTYPES: dict[Encoding, np.dtype[Any]] = {
    Encoding.FLOAT32: np.dtype("<f4"),
    Encoding.FLOAT16: np.dtype("<f2"),
    Encoding.INT8: np.dtype("i1"),
}


class MismatchError(RemoteError):
    """The frame's fingerprint is not ours: another feature schema, model shape, or protocol."""


def is_sound(values: Vector, largest: float = PARAMETER_MAX) -> bool:
    """Whether float32 `(n,)` values are all finite and within ±largest."""
    if not len(values):
        return True
    sizes = np.abs(values)
    # argmax finds a NaN before any number, and is three times as fast as max: it is asked of every
    # model that is sent, received or trained.
    return bool(sizes[sizes.argmax()] <= largest)


def frame_bytes_max(dim: int) -> int:
    """The longest frame that a peer with a model of `dim` parameters has any reason to send."""
    return 4 * dim + FRAGMENTS_MAX * FRAGMENT_OVERHEAD + FRAME_OVERHEAD_MAX


def encode(message: Message, digest: bytes) -> bytes:
    """The frame for `message` from a peer whose fingerprint has this digest."""
    head: list[object] = [PROTOCOL_VERSION, _KINDS[type(message)], digest]
    match message:
        case Model(fragments, answer, holds, sums):
            head += [
                [
                    [f.index, f.age, _ENCODINGS.index(f.encoding), f.scale, f.data]
                    for f in fragments
                ],
                answer,
                holds,
            ]
            if sums is not None:  # else no byte of it
                head.append(_WEIGHT.pack(sums.weight) + sums.means)
        case Shuffle(addresses, entries) | ShuffleReply(addresses, entries):
            head += [
                list(addresses),
                [[e.contact.peer, list(e.contact.addresses), e.age] for e in entries],
            ]
        case Refuse(reason):
            head.append(reason[:REASON_CHARS_MAX])
        case Have(ids) | Want(ids):
            head.append(ids)
        case Give(antigens):
            head.append([to_fields(antigen) for antigen in antigens])
    return bytes(msgpack.packb(head))


def decode(frame: bytes, digest: bytes, bytes_max: int = 2**24) -> Message:
    """The message in a frame of at most `bytes_max` bytes.

    A `Refuse` is decoded whatever its fingerprint, so that a refused peer learns why.

    Raises:
        MismatchError: a well-formed header with another protocol version or fingerprint.
        RemoteError: anything else that is not exactly one message.
    """
    if len(frame) > bytes_max:
        raise RemoteError(f"a frame of {len(frame)} bytes where {bytes_max} are the most")
    try:
        value = msgpack.unpackb(
            frame,
            use_list=True,
            raw=False,
            max_array_len=FRAGMENTS_MAX,
            max_map_len=0,
            max_ext_len=0,
            max_str_len=4 * REASON_CHARS_MAX,
        )
    except (ValueError, msgpack.UnpackException) as error:
        raise RemoteError(f"not a msgpack frame: {type(error).__name__}") from None
    version, kind, theirs, *fields = _array(value, 3, FIELDS_MAX, "frame")
    _integer(version, 0, 255, "protocol version")
    _integer(kind, 0, 255, "kind")
    if not isinstance(theirs, bytes) or len(theirs) != DIGEST_BYTES:
        raise RemoteError(f"fingerprint is not {DIGEST_BYTES} bytes")
    if (theirs != digest or version != PROTOCOL_VERSION) and kind != _REFUSAL:
        raise MismatchError(
            f"protocol version {version} and fingerprint {theirs.hex()} "
            f"where ours are {PROTOCOL_VERSION} and {digest.hex()}"
        )
    return _message(kind, fields)


def _message(kind: int, fields: list[Any]) -> Message:
    match kind, fields:
        case 1, [fragments, bool(answer), holds, *sums] if len(sums) <= 1:
            parts = tuple(map(_fragment, _array(fragments, 1, FRAGMENTS_MAX, "fragments")))
            if len(parts) > 1 and len({f.index for f in parts}) != len(parts):
                raise RemoteError("a fragment is given twice")
            return Model(parts, answer, _ids(holds, 0), _sums(sums[0]) if sums else None)
        case 2, [addresses, entries]:
            return Shuffle(_addresses(addresses), _entries(entries))
        case 3, [addresses, entries]:
            return ShuffleReply(_addresses(addresses), _entries(entries))
        case 4, []:
            return Leave()
        case 5, [reason]:
            return Refuse(_text(reason, REASON_CHARS_MAX, "reason"))
        case ((6 | 7 | 8), [content]):
            return _about_antigens(kind, content)
    raise RemoteError(f"message kind {kind} with {len(fields)} fields is unknown")


def _fragment(value: object) -> Fragment:
    index, age, encoding, scale, data = _array(value, 5, 5, "fragment")
    _integer(index, 0, FRAGMENTS_MAX - 1, "fragment index")
    _integer(age, 0, COUNTER_MAX, "age")
    _integer(encoding, 0, len(_ENCODINGS) - 1, "encoding")
    if not isinstance(scale, float) or not math.isfinite(scale) or scale < 0:
        raise RemoteError("scale is not a finite number of at least 0")
    if not isinstance(data, bytes):
        raise RemoteError("fragment data is not bytes")
    return Fragment(index, age, _ENCODINGS[encoding], scale, data)


def _about_antigens(kind: int, content: object) -> Message:
    if kind == _KINDS[Give]:
        return Give(tuple(map(from_fields, _array(content, 1, GIVEN_MAX, "antigens"))))
    return (Have if kind == _KINDS[Have] else Want)(_ids(content, 1))


def _ids(value: object, low: int) -> bytes:
    if not isinstance(value, bytes) or len(value) % ID_BYTES:
        raise RemoteError(f"ids of antigens are not bytes in pieces of {ID_BYTES}")
    if not low <= len(value) // ID_BYTES <= IDS_MAX:
        raise RemoteError(f"{len(value) // ID_BYTES} ids of antigens, not {low} to {IDS_MAX}")
    return value


def _sums(value: object) -> Sums:
    """What the numbers are is looked at by who takes part, and knows how many there must be."""
    if not isinstance(value, bytes) or len(value) % 2:
        raise RemoteError("sums are not a weight and float16 numbers")
    length = (len(value) - _WEIGHT.size) // 2
    if not 1 <= length <= LENGTH_MAX:
        raise RemoteError(f"sums of {length} numbers, not 1 to {LENGTH_MAX}")
    [weight] = _WEIGHT.unpack_from(value)
    if not (math.isfinite(weight) and weight > 0):
        raise RemoteError("sums have a weight that is not a finite number above 0")
    return Sums(weight, value[_WEIGHT.size :])


def _entries(value: object) -> tuple[Entry, ...]:
    entries = []
    for item in _array(value, 0, ENTRIES_MAX, "entries"):
        peer, addresses, age = _array(item, 3, 3, "entry")
        contact = Contact(PeerId(_text(peer, PEER_ID_CHARS_MAX, "peer id")), _addresses(addresses))
        entries.append(Entry(contact, _integer(age, 0, COUNTER_MAX, "entry age")))
    return tuple(entries)


def _addresses(value: object) -> tuple[str, ...]:
    return tuple(
        _text(a, ADDRESS_CHARS_MAX, "address") for a in _array(value, 0, ADDRESSES_MAX, "addresses")
    )


def _array(value: object, low: int, high: int, what: str) -> list[Any]:
    if not isinstance(value, list) or not low <= len(value) <= high:
        raise RemoteError(f"{what}: not an array of {low} to {high}")
    return value


def _integer(value: object, low: int, high: int, what: str) -> int:
    if type(value) is not int or not low <= value <= high:
        raise RemoteError(f"{what} is not an integer from {low} to {high}")
    return value


def _text(value: object, chars_max: int, what: str) -> str:
    """Printable ASCII only: these texts end up in logs and terminals."""
    if not isinstance(value, str) or not 0 < len(value) <= chars_max:
        raise RemoteError(f"{what} is not a text of 1 to {chars_max} characters")
    if not (value.isascii() and value.isprintable()):
        raise RemoteError(f"{what} holds characters outside printable ASCII")
    return value


def pack(
    values: Vector,
    index: int,
    age: int,
    encoding: Encoding,
    rng: np.random.Generator | None,
    *,
    sound: bool = False,
) -> Fragment:
    """One slice of a model as a fragment.

    Args:
        values: finite float32 `(n,)`.
        index: the slice's number.
        age: its age.
        encoding: float32 is exact; float16 is rounded to nearest and clipped to ±65504; int8 has
            a step of max|values| / 127 and is rounded at random, so that its expectation is exact
            (stochastic rounding as in QSGD, Alistarh et al. 2017, which scales by the 2-norm).
        rng: needed for int8 only.
        sound: the values are known to be within ±1e6 (`PARAMETER_MAX`).
    """
    scale = 1.0
    if not sound and not is_sound(values):
        # A mean may round to one step beyond the bound; a receiver must not take it for a fault.
        values = np.clip(values, -PARAMETER_MAX, PARAMETER_MAX)
    if encoding is Encoding.FLOAT16:
        values = np.clip(values, -65504, 65504)
    elif encoding is Encoding.INT8:
        if rng is None:
            raise ValueError("int8 needs a generator for stochastic rounding")
        scale = float(np.float32(np.abs(values).max(initial=0.0)) / np.float32(127.0))
        if scale < SCALE_MIN:
            scale = 0.0
        steps = values / np.float32(scale) if scale > 0 else np.zeros_like(values)
        values = np.clip(np.floor(steps + rng.random(len(steps), dtype=np.float32)), -127, 127)
    data = values.astype(_DTYPES[encoding], copy=False).tobytes()
    return Fragment(index, age, encoding, scale, data)


def unpack(fragment: Fragment, length: int) -> Vector:
    """The float32 `(length,)` values of a fragment; read-only where they need no conversion.

    Raises:
        RemoteError: its size does not fit, or a value is not finite or beyond ±1e6.
    """
    dtype = _DTYPES[fragment.encoding]
    if len(fragment.data) != length * dtype.itemsize:
        raise RemoteError(
            f"fragment {fragment.index} has {len(fragment.data)} bytes, "
            f"expected {length * dtype.itemsize}"
        )
    if fragment.encoding is Encoding.INT8 and fragment.scale > PARAMETER_MAX / 127:
        raise RemoteError(f"fragment {fragment.index} has a scale beyond any model's")
    values: Vector = np.frombuffer(fragment.data, dtype).astype(np.float32, copy=False)
    if fragment.encoding is Encoding.INT8:
        values *= np.float32(fragment.scale)
    if not is_sound(values):
        raise RemoteError(
            f"fragment {fragment.index} holds a value that is not finite or too large"
        )
    return values
