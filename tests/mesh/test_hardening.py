"""Each defect of py-libp2p 0.8.1: its scenario holds with the work-around, and fails without.

So an upgrade of libp2p shows which work-around can go: `test_needed` of that number turns red.
The scenarios answer whether the promise held; how long they wait for a promise that is not kept is
what makes most of their time.
"""

import os
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.secio import transport as secio
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    TYPE_DATA,
    YAMUX_HEADER_FORMAT,
)
from multiaddr import Multiaddr

from gossip.contacts import Contact, PeerId
from node.p2p import wire
from node.p2p.hardening import Hardening
from node.p2p.identity import Identity, new_identity
from node.p2p.stats import Fault
from node.p2p.transport import PeerUnreachable
from node.p2p.yamux import GRANT_BYTES
from tests.mesh.hosts import (
    FRAME,
    LIMITS,
    Recorder,
    Valve,
    answer_all,
    closed,
    contact,
    endpoint,
    in_memory,
    intruder,
    make,
    say,
    upgraded,
    with_limits,
)

Scenario = Callable[[Hardening], Awaitable[bool]]
ROOT = Path(__file__).parents[2]
BRIEF_S = 1.5  # how long a promise that is not kept is waited for


async def inbound_slots(hardening: Hardening) -> bool:
    """1: after 250 inbound connections that came and went, one more is served."""
    async with make(Recorder(), hardening=hardening) as server:

        async def come_and_go(count: int) -> None:
            for _ in range(count):
                async with intruder(server):
                    pass

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(come_and_go, 25)
        async with make(limits=with_limits(dial_s=BRIEF_S)) as client:
            try:
                await client.request(contact(server), FRAME)
            except PeerUnreachable:
                return False
            return server.stats.accepted == 251


async def handler_exception(hardening: Hardening) -> bool:
    """2: an exception in a handler ends its stream, not the host nor the connection."""
    calls = 0

    async def stumble(_peer: PeerId, _data: bytes) -> bytes:
        nonlocal calls
        calls += 1
        await trio.lowlevel.checkpoint()
        if calls == 1:
            raise ValueError("as a bug would")
        return b"fine"

    async with make(hardening=hardening) as server, make() as client:
        server.serve(stumble)
        with pytest.raises(PeerUnreachable):
            await client.request(contact(server), b"one")
        try:
            reply = await client.request(contact(server), b"two")
        except PeerUnreachable:
            return False
        kept = client.stats.dials == 1 and server.stats.handler_errors == 1
        return reply == b"fine" and kept and server.stats.rebuilds == 0


async def cancelled_write(hardening: Hardening) -> bool:
    """4: a request given up in mid-frame leaves its connection usable."""
    async with make(hardening=hardening) as sender, in_memory(sender) as pair:
        to = Contact(pair.peer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_all, pair.muxed)
            await sender.request(to, b"warm")
            pair.ours.shut(after_bytes=2_000)
            async with trio.open_nursery() as giving_up:
                giving_up.start_soon(sender.request, to, FRAME)
                await pair.ours.blocked.wait()
                giving_up.cancel_scope.cancel()
            pair.ours.open()
            held = False
            with trio.move_on_after(BRIEF_S):
                try:
                    held = await sender.request(to, FRAME) == b""
                except PeerUnreachable:
                    held = False
            nursery.cancel_scope.cancel()
        return held


async def silent_peer(hardening: Hardening) -> bool:
    """5: a peer from which nothing comes any more is dropped."""
    recorder = Recorder()
    limits = with_limits(keepalive_s=0.05, keepalive_reply_s=0.1)
    async with make(recorder, limits=limits, hardening=hardening) as node, in_memory(node) as pair:
        pair.theirs.shut()
        with trio.move_on_after(BRIEF_S):
            await recorder.lost_one.wait()
        return recorder.lost == {pair.peer: "lost"} and node.stats.faults[Fault.LOST] == 1


async def window_overrun(hardening: Hardening) -> bool:
    """6: a peer that sends past its receive window is cut off."""

    async def never(_peer: PeerId, _data: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async with make(hardening=hardening) as server:
        server.serve(never)
        async with intruder(server) as muxed:
            stream = await muxed.open_stream()
            await stream.write(wire.OPENING + wire.framed(b"x"))
            with trio.move_on_after(BRIEF_S):
                try:
                    for _ in range(64):  # 3.8 MB into 256 KiB
                        await muxed._write_frame(_data(stream.stream_id, 60_000))
                except Exception:  # noqa: BLE001 - upstream has a dozen kinds for a refusal
                    pass
                await muxed.event_closed.wait()
        return server.stats.faults[Fault.OVERRUN] == 1


async def weak_security(hardening: Hardening) -> bool:
    """7: dials that offer plaintext or secio only are refused."""
    async with make(Recorder(), hardening=hardening, limits=with_limits(dial_s=BRIEF_S)) as server:
        keys = new_identity().key_pair
        for offer in (
            {TProtocol(PLAINTEXT_PROTOCOL_ID): InsecureTransport(keys)},
            {TProtocol(secio.ID): secio.Transport(keys)},
        ):
            stream = await trio.open_tcp_stream(*endpoint(server))
            try:
                async with upgraded(stream, server.peer, offers=offer):
                    return False
            except Exception:  # noqa: BLE001 - upstream has a dozen kinds for a refusal
                continue
        return True


async def refused_connections(hardening: Hardening) -> bool:
    """8: connections that were refused leave no trace, so that others get in afterwards."""
    recorder = Recorder()
    limits = with_limits(connections_max=16, connections_peer_max=14)
    async with make(recorder, hardening=hardening, limits=limits) as server:

        async def hold(who: Identity, tried: trio.Event, served: list[PeerId]) -> None:
            try:
                async with intruder(server, who):
                    served.append(who.peer)
                    tried.set()
                    await trio.sleep_forever()
            except Exception:  # noqa: BLE001 - upstream has a dozen kinds for a refusal
                tried.set()

        async def hold_all(everybody: list[Identity]) -> int:
            served: list[PeerId] = []
            async with trio.open_nursery() as nursery:
                for who in everybody:
                    tried = trio.Event()
                    nursery.start_soon(hold, who, tried, served)
                    await tried.wait()
                nursery.cancel_scope.cancel()
            return len(served)

        # Upstream allows a peer eight connections, and keeps the slot of each one above.
        await hold_all([new_identity()] * 14)
        await recorder.lost_one.wait()
        return await hold_all([new_identity() for _ in range(14)]) == 14


async def tarpit(hardening: Hardening) -> bool:
    """9: a listener that agrees to a handshake and says no more does not hold up a dial."""

    async def go_silent(stream: trio.SocketStream) -> None:
        await stream.send_all(wire.line(wire.MULTISTREAM) + wire.line(str(NOISE)))
        await trio.sleep_forever()

    limits = with_limits(dial_s=0.2)
    reason = ""
    async with trio.open_nursery() as nursery, make(limits=limits, hardening=hardening) as node:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, go_silent, listeners)
        port = listeners[0].socket.getsockname()[1]
        to = Contact(new_identity().peer, (f"/ip4/127.0.0.1/tcp/{port}",))
        with trio.move_on_after(BRIEF_S):
            try:
                await node.request(to, FRAME)
            except PeerUnreachable as error:
                reason = str(error)
        nursery.cancel_scope.cancel()
    return "no handshake within 0.2 s" in reason


async def stuck_peer(hardening: Hardening) -> bool:
    """10: closing does not wait for a peer that takes nothing in."""
    limits = with_limits(frame_write_s=2 * BRIEF_S, close_s=0.1)
    node = make(limits=limits, hardening=hardening)
    async with node, in_memory(node) as pair, trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(PeerUnreachable):
                await node.request(Contact(pair.peer), FRAME)

        pair.ours.shut()
        nursery.start_soon(ask)
        await pair.ours.blocked.wait()
        with trio.move_on_after(BRIEF_S) as scope:
            await node.aclose()
            await trio.lowlevel.checkpoint()
        return not scope.cancelled_caught


async def auto_connector(hardening: Hardening) -> bool:
    """11: a peer that is merely known is not dialled."""
    async with make(Recorder()) as known, make(hardening=hardening) as node:
        swarm = node._supervisor.swarm
        assert swarm is not None
        addresses = [Multiaddr(text) for text in known.addresses]
        swarm.peerstore.add_addrs(ID.from_base58(known.peer), addresses, 3_600)
        await swarm.auto_connector.maybe_connect()
        return known.stats.accepted == 0


async def frequent_grants(hardening: Hardening) -> bool:
    """12: an exchange is eight frames, of 12 bytes of Yamux and 18 of Noise, and 74 bytes more.

    Three out: open, request, close. Five back: open, two lines that agree, reply, close.
    """
    exchanges, overhead = 5, 8 * (12 + 18) + 74
    async with make(Recorder(), hardening=hardening) as server, make(hardening=hardening) as client:
        await client.request(contact(server), FRAME)
        # The server's last words may still be on their way; they count for the next exchange.
        before = client.stats.wire_bytes_in + client.stats.wire_bytes_out
        for _ in range(exchanges):
            await client.request(contact(server), FRAME)
        after = client.stats.wire_bytes_in + client.stats.wire_bytes_out
        return after - before <= (exchanges + 1) * overhead + exchanges * len(FRAME)


SCENARIOS: dict[int, Scenario] = {
    1: inbound_slots,
    2: handler_exception,
    4: cancelled_write,
    5: silent_peer,
    6: window_overrun,
    7: weak_security,
    8: refused_connections,
    9: tarpit,
    10: stuck_peer,
    11: auto_connector,
    12: frequent_grants,
}


@pytest.mark.parametrize("number", SCENARIOS)
def test_holds(number: int) -> None:
    assert trio.run(SCENARIOS[number], Hardening())


@pytest.mark.parametrize("number", SCENARIOS)
def test_needed(number: int) -> None:
    assert not trio.run(SCENARIOS[number], Hardening().without(number))


def test_gossipsub_is_not_offered() -> None:
    """3: what nobody serves cannot be malformed; nor are identify, ping, or a relay there."""

    async def main() -> None:
        async with make(Recorder()) as server, intruder(server) as muxed:
            stream = await muxed.open_stream()
            await stream.write(wire.line(wire.MULTISTREAM))
            for protocol in (
                "/meshsub/1.1.0",
                "/meshsub/1.2.0",
                "/floodsub/1.0.0",
                "/ipfs/id/1.0.0",
                "/ipfs/ping/1.0.0",
                "/ipfs/kad/1.0.0",
            ):
                await stream.write(wire.line(protocol))
            assert await wire._read_line(stream) == wire.MULTISTREAM
            for _ in range(6):
                assert await wire._read_line(stream) == wire.NOT_AVAILABLE
            await stream.write(wire.line(wire.PROTOCOL) + wire.framed(b"hello"))
            assert await wire._read_line(stream) == wire.PROTOCOL
            assert await wire.read_size(stream, 10) == 0

    trio.run(main)


def test_the_multiplexer_is_ours() -> None:
    """Upstream ignores the class given to it; without ours, 4, 5, 6, 10 and 12 are all undone."""

    async def main() -> None:
        async with make(Recorder()) as server, make() as client:
            await client.request(contact(server), FRAME)
            for node in (server, client):
                assert [type(link.muxed).__name__ for link in node._links.open()] == ["StrictYamux"]

    trio.run(main)


def test_a_window_is_256_kib_to_the_byte() -> None:
    """However much was read and granted; a peer that fills it all is within its rights."""
    request = bytes(150_000)  # more than one grant

    async def hold_frames(_peer: PeerId, data: bytes) -> bytes:
        if data == request:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return b""

    async def main() -> None:
        async with make() as server, intruder(server) as muxed:
            server.serve(hold_frames)
            stream = await muxed.open_stream()
            await stream.write(wire.OPENING + wire.framed(request))
            while not server.stats.requests_in:
                await trio.testing.wait_all_tasks_blocked(0.01)
            assert await say(await muxed.open_stream(), b"after all grants") == b""
            assert DEFAULT_WINDOW_SIZE - GRANT_BYTES < stream.send_window <= DEFAULT_WINDOW_SIZE
            await muxed._write_frame(_data(stream.stream_id, stream.send_window))
            assert await say(await muxed.open_stream(), b"still welcome?") == b""
            assert server.stats.faults == {}
            await muxed._write_frame(_data(stream.stream_id, 1))
            assert await closed(muxed)
            assert server.stats.faults == {Fault.OVERRUN: 1}

    trio.run(main)


def test_the_largest_frames_pass_a_slow_link_both_ways() -> None:
    """Four windows each way, in lumps of 10 kB that each wait until nothing else moves."""

    async def trickle(valve: Valve) -> None:
        while True:
            valve.shut(after_bytes=10_000)
            await valve.blocked.wait()
            await trio.testing.wait_all_tasks_blocked()
            valve.open()

    async def main() -> None:
        data = os.urandom(LIMITS.frame_bytes_max)
        recorder = Recorder(reply=data)
        async with make(recorder) as node, in_memory(node) as pair:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trickle, pair.ours)
                nursery.start_soon(trickle, pair.theirs)
                assert await say(await pair.muxed.open_stream(), data) == data
                nursery.start_soon(answer_all, pair.muxed)
                assert await node.request(Contact(pair.peer), data) == b""
                nursery.cancel_scope.cancel()
            assert recorder.requests == [(pair.peer, data)]
            assert node.stats.faults == {}

    trio.run(main)


def _data(stream_id: int, size: int) -> bytes:
    return struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, stream_id, size) + bytes(size)


def test_a_peer_that_stops_taking_is_dropped_after_a_write_times_out() -> None:
    """Not only its stream: the frame is half written, and the next would be as well."""

    async def main() -> None:
        recorder = Recorder()
        limits = with_limits(frame_write_s=0.1)
        async with make(recorder, limits=limits) as node, in_memory(node) as pair:
            pair.ours.shut(after_bytes=5_000)
            with pytest.raises(PeerUnreachable):
                await node.request(Contact(pair.peer), FRAME)
            assert await closed(pair.muxed)
            assert node.stats.faults[Fault.STUCK] == 1
            assert recorder.lost == {pair.peer: "stuck"}

    trio.run(main)


@pytest.mark.parametrize("leaving", [True, False])
def test_a_good_bye_that_is_not_taken_is_cut_short(leaving: bool) -> None:
    """Nobody holds the write lock, but the good-bye itself gets stuck."""

    async def main() -> None:
        limits = with_limits(
            frame_write_s=3_600,
            close_s=3_600 if leaving else 0.1,
            leave_s=0.1 if leaving else 3_600,
        )
        async with make(limits=limits) as node, in_memory(node) as pair:
            pair.ours.shut()
            if leaving:
                await node.aclose()
            else:
                await node.disconnect(pair.peer, "tidying up")
            assert await closed(pair.muxed)

    trio.run(main)


def test_the_defaults_are_those_that_were_measured() -> None:
    assert (LIMITS.dial_s, LIMITS.new_stream_s, LIMITS.frame_write_s) == (10, 10, 20)
    assert (LIMITS.request_s, LIMITS.handler_s) == (30, 30)
    assert (LIMITS.keepalive_s, LIMITS.keepalive_reply_s) == (10, 10)


def test_importing_the_transport_leaves_the_root_logger_alone() -> None:
    """And upstream's lines are silent, also those that it writes through the root logger."""
    program = (
        "import logging, sys\n"
        "from node.p2p import host, hardening\n"
        "assert not logging.getLogger().handlers\n"
        "logging.getLogger('libp2p.network.swarm').error('chatter')\n"
        "hardening.swarm_connection.logging.warning('chatter')\n"
        "assert not logging.getLogger().handlers\n"
        "logging.basicConfig(stream=sys.stdout)\n"
        "logging.getLogger('libp2p').setLevel(logging.INFO)\n"
        "hardening.swarm_connection.logging.warning('wanted')\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == "WARNING:libp2p.network.connection:wanted\n"
