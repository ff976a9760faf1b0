"""Transports on loopback, streams that can be shut, and dialers that do not play by the rules."""

import math
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import trio
from libp2p.abc import IMuxedStream, ISecureTransport
from libp2p.custom_types import TProtocol
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.upgrader import TransportUpgrader
from trio.testing import memory_stream_pair

from gossip.contacts import Contact, PeerId
from node.p2p import wire
from node.p2p.hardening import Hardening, security
from node.p2p.host import Libp2pTransport
from node.p2p.identity import Identity, new_identity
from node.p2p.limits import Limits
from node.p2p.stats import Stats
from node.p2p.tcp import CountedStream
from node.p2p.transport import TransportSettings
from node.p2p.yamux import YAMUX

LOOPBACK = "/ip4/127.0.0.1/tcp/0"
FRAME = os.urandom(39_300)
PATIENCE_S = 10.0  # when a wait is given up for good; nothing that works comes near it
LIMITS = Limits(rebuild_s=0.01, close_s=0.5, leave_s=0.2)
"""The defaults, but for pauses that a test would only wait for."""


@dataclass
class Recorder:
    """A handler that keeps what it got, and everybody it lost."""

    requests: list[tuple[PeerId, bytes]] = field(default_factory=list)
    lost: dict[PeerId, str] = field(default_factory=dict)
    reply: bytes = b""
    lost_one: trio.Event = field(default_factory=trio.Event)

    async def __call__(self, peer: PeerId, data: bytes) -> bytes:
        self.requests.append((peer, data))
        await trio.lowlevel.checkpoint()
        return self.reply

    def lose(self, peer: PeerId, reason: str) -> None:
        self.lost[peer] = reason
        self.lost_one.set()


def make(
    recorder: Recorder | None = None,
    *,
    limits: Limits = LIMITS,
    hardening: Hardening | None = None,
    identity: Identity | None = None,
    listen: str = LOOPBACK,
    psk: bytes | None = None,
) -> Libp2pTransport:
    """A transport on loopback, to be entered."""
    settings = TransportSettings(listen=(listen,), psk=psk, limits=limits)
    transport = Libp2pTransport(identity or new_identity(), settings, hardening=hardening)
    if recorder is not None:
        transport.serve(recorder, recorder.lose)
    return transport


def contact(transport: Libp2pTransport) -> Contact:
    return Contact(transport.peer, transport.addresses)


def endpoint(transport: Libp2pTransport) -> tuple[str, int]:
    parts = transport.addresses[0].split("/")
    return parts[2], int(parts[4])


class Valve(trio.abc.Stream):
    """A stream whose outward half can be shut after so many more bytes, in mid-message."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self._inner = inner
        self._left = math.inf
        self._opened = trio.Event()
        self._closed = False
        self.blocked = trio.Event()

    def shut(self, after_bytes: int = 0) -> None:
        self._left = after_bytes
        self._opened = trio.Event()
        self.blocked = trio.Event()

    def open(self) -> None:
        self._left = math.inf
        self._opened.set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            if self._closed:
                raise trio.ClosedResourceError
            if self._left <= 0:
                self.blocked.set()
                await self._opened.wait()
                continue
            count = int(min(len(rest), self._left))
            await self._inner.send_all(rest[:count])
            self._left -= count
            rest = rest[count:]

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self._inner.receive_some(max_bytes))

    async def aclose(self) -> None:
        self._closed = True
        self._opened.set()
        await self._inner.aclose()


@asynccontextmanager
async def upgraded(
    stream: trio.abc.Stream,
    target: PeerId,
    identity: Identity | None = None,
    offers: Mapping[TProtocol, ISecureTransport] | None = None,
) -> AsyncIterator[Yamux]:
    """Upstream's own multiplexer over `stream`, dialling `target`: for what ours would not do."""
    keys = (identity or new_identity()).key_pair
    peer = ID.from_base58(target)
    upgrader = TransportUpgrader(offers or security(keys, noise_only=True), {YAMUX: Yamux})
    counted = CountedStream(stream, Stats())
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(PATIENCE_S):
                secured = await upgrader.upgrade_security(RawConnection(counted, True), True, peer)
                muxed = await upgrader.upgrade_connection(secured, peer)
                assert isinstance(muxed, Yamux)
                nursery.start_soon(muxed.start)
                await muxed.event_started.wait()
            yield muxed
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await counted.close()


@asynccontextmanager
async def intruder(
    target: Libp2pTransport, identity: Identity | None = None
) -> AsyncIterator[Yamux]:
    """A connection to `target` over TCP whose owner may do anything."""
    stream = await trio.open_tcp_stream(*endpoint(target))
    async with upgraded(stream, target.peer, identity) as muxed:
        yield muxed


@dataclass(frozen=True)
class Pair:
    """A transport's in-memory connection.

    Args:
        peer: who the transport takes the other end for.
        ours: the valve on what the transport writes.
        theirs: the valve on what the other end writes.
        muxed: the other end.
    """

    peer: PeerId
    ours: Valve
    theirs: Valve
    muxed: Yamux


@asynccontextmanager
async def in_memory(target: Libp2pTransport) -> AsyncIterator[Pair]:
    """Connect somebody to `target` without a socket."""
    near, far = (Valve(stream) for stream in memory_stream_pair())
    identity = new_identity()
    async with trio.open_nursery() as nursery:
        swarm = target._supervisor.swarm
        assert swarm is not None
        nursery.start_soon(swarm.accept, CountedStream(near, target.stats))
        async with upgraded(far, target.peer, identity) as muxed:
            yield Pair(identity.peer, near, far, muxed)
        nursery.cancel_scope.cancel()


async def answer_all(muxed: Yamux) -> None:
    """Serve `/hedgerow/1` on upstream's multiplexer, with empty replies."""
    while True:
        try:
            stream = await muxed.accept_stream()
        except MuxedConnUnavailable:
            return
        try:
            await wire.accept_protocol(stream)
            await wire.read_exact(stream, await wire.read_size(stream, 2**24))
            await stream.write(wire.framed(b""))
            await stream.close()
        except Exception:  # noqa: BLE001 - the stream of a request that was given up
            continue


async def closed(muxed: Yamux) -> bool:
    """Whether the other side ends the connection."""
    with trio.move_on_after(PATIENCE_S):
        await muxed.event_closed.wait()
        return True
    return False


async def say(stream: IMuxedStream, data: bytes) -> bytes:
    """Send a whole request on a stream, and return the reply."""
    await stream.write(wire.OPENING + wire.framed(data))
    await wire.read_agreement(stream)
    return await wire.read_exact(stream, await wire.read_size(stream, 2**24))


def with_limits(**changes: Any) -> Limits:
    """The short limits with some changed."""
    return replace(LIMITS, **changes)


async def _serve_for_ever() -> None:
    """A node of its own process: prints its contact, then answers until it is killed."""

    async def answer(_peer: PeerId, _data: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""

    async with make() as transport:
        transport.serve(answer)
        sys.stdout.write(f"{transport.addresses[0]}/p2p/{transport.peer}\n")
        sys.stdout.flush()
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(_serve_for_ever)
