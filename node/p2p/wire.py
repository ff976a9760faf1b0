r"""One exchange on one stream: multistream-select, then a request, then a reply.

    dialler:  19 /multistream/1.0.0\n   11 /hedgerow/1\n   u32 length, request
    listener: 19 /multistream/1.0.0\n   11 /hedgerow/1\n   u32 length, reply

Each line starts with its length as a varint. The dialler sends all of its side at once, so an
exchange costs one round trip (multistream-select allows it: https://github.com/multiformats/
multistream-select). An empty reply says "delivered".
"""

from libp2p.abc import IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamEOF

PROTOCOL = "/hedgerow/1"
MULTISTREAM = "/multistream/1.0.0"
NOT_AVAILABLE = "na"

LENGTH_BYTES = 4
CHUNK_BYTES = 64 * 1024
_LINE_BYTES_MAX = 127  # one byte of varint, which no protocol name in use exceeds
_TRIES_MAX = 8


class GarbageError(Exception):
    """The other side does not speak multistream-select."""


class ForeignError(Exception):
    """It does, but asks for a protocol, or answers in one, that is not ours."""


class OversizeError(Exception):
    """It announced more bytes than the limit."""


def line(text: str) -> bytes:
    """One line of multistream-select."""
    data = text.encode() + b"\n"
    return bytes([len(data)]) + data


OPENING = line(MULTISTREAM) + line(PROTOCOL)


def framed(data: bytes) -> bytes:
    """`data` behind its length."""
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


async def read_exact(stream: IMuxedStream, size: int) -> bytes:
    """`size` bytes, in chunks, so that memory follows what arrived and not what was announced."""
    data = bytearray()
    while len(data) < size:
        chunk = await stream.read(min(size - len(data), CHUNK_BYTES))
        if not chunk:
            raise MuxedStreamEOF(f"the stream ended after {len(data)} of {size} bytes")
        data += chunk
    return bytes(data)


async def read_size(stream: IMuxedStream, size_max: int) -> int:
    """The length in front of a request or reply.

    Raises:
        OversizeError: more than `size_max` bytes are announced.
    """
    size = int.from_bytes(await read_exact(stream, LENGTH_BYTES), "big")
    if size > size_max:
        raise OversizeError(f"{size} bytes announced, {size_max} allowed")
    return size


async def accept_protocol(stream: IMuxedStream) -> None:
    """The listener's side of multistream-select; returns once both agreed on ours.

    Raises:
        GarbageError: not a line where one has to be.
        ForeignError: eight other protocols were asked for, or the other side gave up.
    """
    if await _read_line(stream) != MULTISTREAM:
        raise GarbageError("no multistream-select")
    await stream.write(line(MULTISTREAM))
    for _ in range(_TRIES_MAX):
        try:
            wanted = await _read_line(stream)
        except MuxedStreamEOF as error:
            raise ForeignError("no protocol in common") from error
        if wanted == PROTOCOL:
            await stream.write(line(PROTOCOL))
            return
        await stream.write(line(NOT_AVAILABLE))
    raise ForeignError("no protocol in common")


async def read_agreement(stream: IMuxedStream) -> None:
    """The listener's answer to `OPENING`.

    Raises:
        ForeignError: it does not speak our protocol.
    """
    answer = await _read_line(stream), await _read_line(stream)
    if answer != (MULTISTREAM, PROTOCOL):
        raise ForeignError(f"it answers {answer[1]!r} when asked for {PROTOCOL}")


async def _read_line(stream: IMuxedStream) -> str:
    size = (await read_exact(stream, 1))[0]
    if not 1 < size <= _LINE_BYTES_MAX:
        raise GarbageError(f"a line of {size} bytes")
    data = await read_exact(stream, size)
    if data[-1:] != b"\n" or not data.isascii():
        raise GarbageError("a line that does not end")
    return data[:-1].decode("ascii")
