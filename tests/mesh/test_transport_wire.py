"""What is read from a stream, against any bytes, in chunks of any size."""

from typing import Self

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.abc import IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamEOF

from node.p2p import wire


class Script(IMuxedStream):
    """A stream that says what it was told, a few bytes at a time."""

    def __init__(self, data: bytes, chunk: int) -> None:
        self._data = data
        self._chunk = chunk
        self.asked_max = 0
        self.said = b""

    async def read(self, n: int | None = -1) -> bytes:
        await trio.lowlevel.checkpoint()
        assert n is not None
        self.asked_max = max(self.asked_max, n)
        if not self._data:
            raise MuxedStreamEOF("over")
        taken = self._data[: min(n, self._chunk)]
        self._data = self._data[len(taken) :]
        return taken

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.said += data

    async def close(self) -> None:
        """Nothing to close."""

    async def reset(self) -> None:
        """Nothing to reset."""

    def set_deadline(self, ttl: int) -> None:
        raise NotImplementedError

    def get_remote_address(self) -> tuple[str, int] | None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to leave."""


lines = st.sampled_from(
    [
        wire.line(wire.MULTISTREAM),
        wire.line(wire.PROTOCOL),
        wire.line("/meshsub/1.1.0"),
        wire.line("ls"),
        b"\x00\x00\x00\x05hello",
        b"\xff\xff\xff\xff",
    ]
)
chatter = st.lists(lines | st.binary(max_size=40), max_size=12).map(b"".join)


@given(chatter, st.integers(1, 70))
def test_any_bytes_are_a_request_or_a_known_fault(data: bytes, chunk: int) -> None:
    async def main() -> None:
        stream = Script(data, chunk)
        try:
            await wire.accept_protocol(stream)
            size = await wire.read_size(stream, 100)
            assert len(await wire.read_exact(stream, size)) == size <= 100
        except (wire.GarbageError, wire.ForeignError, wire.OversizeError, MuxedStreamEOF):
            pass
        assert stream.asked_max <= 127
        assert len(stream.said) < 100

    trio.run(main)


@given(chatter, st.integers(1, 70))
def test_any_bytes_are_an_agreement_or_a_known_fault(data: bytes, chunk: int) -> None:
    async def main() -> None:
        try:
            await wire.read_agreement(Script(data, chunk))
        except (wire.GarbageError, wire.ForeignError, MuxedStreamEOF):
            return
        assert data.startswith(wire.OPENING)

    trio.run(main)


@given(st.binary(max_size=300), st.integers(1, 70))
def test_a_request_survives_short_reads(data: bytes, chunk: int) -> None:
    async def main() -> None:
        stream = Script(wire.OPENING + wire.framed(data), chunk)
        await wire.accept_protocol(stream)
        assert await wire.read_exact(stream, await wire.read_size(stream, 300)) == data
        assert stream.said == wire.OPENING

    trio.run(main)


def test_memory_follows_what_arrived_and_not_what_was_announced() -> None:
    async def main() -> None:
        stream = Script(bytes(1_000), 1_000)
        with pytest.raises(MuxedStreamEOF):
            await wire.read_exact(stream, 2**30)
        assert stream.asked_max == wire.CHUNK_BYTES

    trio.run(main)
