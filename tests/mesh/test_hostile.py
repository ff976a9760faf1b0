"""Dialers on loopback that mean harm: each is cut off and counted, and the mesh goes on."""

import struct
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from libp2p.stream_muxer.yamux.yamux import FLAG_SYN, TYPE_WINDOW_UPDATE, YAMUX_HEADER_FORMAT, Yamux

from gossip.contacts import Contact
from node.p2p import wire
from node.p2p.host import Libp2pTransport
from node.p2p.identity import new_identity
from node.p2p.limits import Limits
from node.p2p.stats import Fault
from node.p2p.transport import PeerUnreachable
from tests.mesh.hosts import (
    FRAME,
    PATIENCE_S,
    Recorder,
    closed,
    contact,
    endpoint,
    intruder,
    make,
    say,
    with_limits,
)

Attack = Callable[[Yamux], Awaitable[None]]
SHORT = with_limits(new_stream_s=0.5, dial_s=0.5, request_s=0.5, bandwidth_bytes_s=2**20)


async def stay_silent(muxed: Yamux) -> None:
    for _ in range(10):
        await muxed.open_stream()


async def stop_in_the_middle(muxed: Yamux) -> None:
    stream = await muxed.open_stream()
    await stream.write(wire.OPENING + wire.framed(FRAME)[:1_000])


async def dribble(muxed: Yamux) -> None:
    """One byte whenever the other side might lose patience: the deadline is for the whole."""
    stream = await muxed.open_stream()
    await stream.write(wire.OPENING + (2**20).to_bytes(4, "big"))
    while True:
        await stream.write(b"x")
        await trio.testing.wait_all_tasks_blocked(0.01)


async def send_garbage(muxed: Yamux) -> None:
    stream = await muxed.open_stream()
    await stream.write(bytes(range(256)) * 20)


async def send_garbage_for_a_protocol(muxed: Yamux) -> None:
    stream = await muxed.open_stream()
    await stream.write(wire.line(wire.MULTISTREAM) + b"\x05\xff\xfe\xfd\xfc\xfb")


async def announce_too_much(muxed: Yamux) -> None:
    stream = await muxed.open_stream()
    await stream.write(wire.OPENING + b"\xff\xff\xff\xff")


async def announce_one_byte_too_much(muxed: Yamux) -> None:
    stream = await muxed.open_stream()
    await stream.write(wire.OPENING + (2**20 + 1).to_bytes(4, "big"))


async def open_five_hundred_streams(muxed: Yamux) -> None:
    header = struct.Struct(YAMUX_HEADER_FORMAT)
    for number in range(500):
        await muxed._write_frame(header.pack(0, TYPE_WINDOW_UPDATE, FLAG_SYN, 2 * number + 1, 0))


async def never_close_a_stream(muxed: Yamux) -> None:
    """Whole, honest exchanges, but the streams are left half open."""
    for _ in range(500):
        stream = await muxed.open_stream()
        assert await say(stream, b"hello") == b""
        if muxed.event_closed.is_set():
            return


async def open_and_reset_for_ever(muxed: Yamux) -> None:
    for _ in range(5_000):
        stream = await muxed.open_stream()
        await stream.reset()


ATTACKS: dict[str, tuple[Attack, Fault, Limits]] = {
    "silent streams": (stay_silent, Fault.SILENT, SHORT),
    "half a frame": (stop_in_the_middle, Fault.SILENT, SHORT),
    "a byte at a time": (dribble, Fault.SILENT, SHORT),
    "garbage": (send_garbage, Fault.GARBAGE, SHORT),
    "garbage for a protocol": (send_garbage_for_a_protocol, Fault.GARBAGE, SHORT),
    "4 GB announced": (announce_too_much, Fault.OVERSIZE, SHORT),
    "a byte above the limit": (announce_one_byte_too_much, Fault.OVERSIZE, SHORT),
    "500 streams": (open_five_hundred_streams, Fault.FLOOD, with_limits()),
    "streams never closed": (never_close_a_stream, Fault.FLOOD, with_limits()),
    "streams without end": (
        open_and_reset_for_ever,
        Fault.FLOOD,
        with_limits(stream_rate_s=10, stream_burst=100),
    ),
}


async def _until_cut(attack: Attack, muxed: Yamux) -> bool:
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            try:
                await attack(muxed)
            except Exception:  # noqa: BLE001 - whatever upstream says when it is cut off
                return

        nursery.start_soon(run)
        ended = await closed(muxed)
        nursery.cancel_scope.cancel()
    return ended


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_peer_is_cut_off_counted_and_kept_out(name: str) -> None:
    attack, fault, limits = ATTACKS[name]

    async def main() -> None:
        enemy = new_identity()
        recorder = Recorder()
        async with make(recorder, limits=limits) as server, make() as honest:
            await honest.request(contact(server), FRAME)
            async with intruder(server, enemy) as muxed:
                assert await _until_cut(attack, muxed)
            assert server.stats.faults == {fault: 1}
            assert recorder.lost == {enemy.peer: fault.value}
            async with intruder(server, enemy) as muxed:  # and again: not even a stream
                assert await closed(muxed)
            assert server.stats.refused == 1
            assert server.peers() == (honest.peer,)
            assert await honest.request(contact(server), FRAME) == b""
            assert honest.stats.dials == 1  # it never noticed
            assert server._exchanges.incoming.total == 0

    trio.run(main)


def test_the_honest_are_served_while_an_attack_is_on() -> None:
    async def main() -> None:
        limits = with_limits(streams_max=1_000)  # so that all 500 stay
        async with make(Recorder(), limits=limits) as server, make() as honest:
            await honest.request(contact(server), FRAME)
            async with intruder(server) as muxed:
                await open_five_hundred_streams(muxed)
                for _ in range(5):
                    assert await honest.request(contact(server), FRAME) == b""

    trio.run(main)


async def _tarpit(server: Libp2pTransport, says: bytes) -> bool:
    """Connect, say something or nothing, and never go on. True once the other side has enough."""
    stream = await trio.open_tcp_stream(*endpoint(server))
    async with stream:
        if says:
            await stream.send_all(says)
        with trio.move_on_after(PATIENCE_S):
            try:
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
            return True
    return False


NOISE = wire.line(wire.MULTISTREAM) + wire.line("/noise")
TARPITS = {
    "nothing": b"",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "a greeting": wire.line(wire.MULTISTREAM),
    "a protocol": NOISE,
    "a wrong handshake": NOISE + b"\x00\x20" + bytes(32),
    "half a handshake": NOISE + b"\xff\xff" + bytes(100),
}


@pytest.mark.parametrize("says", TARPITS.values(), ids=TARPITS.keys())
def test_one_that_connects_and_never_negotiates_is_let_go(says: bytes) -> None:
    async def main() -> None:
        async with make(Recorder(), limits=SHORT) as server, make() as honest:
            await honest.request(contact(server), FRAME)
            assert await _tarpit(server, says)
            assert await honest.request(contact(server), FRAME) == b""
            assert server.stats.faults == {Fault.HANDSHAKE: 1}

    trio.run(main)


def test_many_tarpits_do_not_keep_others_out() -> None:
    """Each may stay for 10 s, but only so many at once."""

    async def main() -> None:
        limits = with_limits(handshakes_max=8)
        async with (
            make(Recorder(), limits=limits) as server,
            make() as honest,
            trio.open_nursery() as nursery,
        ):
            for _ in range(40):
                nursery.start_soon(_tarpit, server, b"")
            with trio.fail_after(PATIENCE_S):
                assert await honest.request(contact(server), FRAME) == b""
                while server.stats.accepted < 41:
                    await trio.testing.wait_all_tasks_blocked(0.01)
            assert server.stats.faults[Fault.HANDSHAKE] >= 40 - 8
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_a_dialled_peer_may_be_the_hostile_one() -> None:
    """An oversize reply, or garbage for one: the dialler is the one to be careful."""

    async def main() -> None:
        for reply, fault in (
            (wire.OPENING + b"\xff\xff\xff\xff", Fault.OVERSIZE),
            (b"\xffgarbage", Fault.GARBAGE),
        ):
            enemy = new_identity()
            async with make(Recorder()) as node, intruder(node, enemy) as muxed:

                async def answer(muxed: Yamux = muxed, reply: bytes = reply) -> None:
                    stream = await muxed.accept_stream()
                    await stream.write(reply)

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(answer)
                    await say(await muxed.open_stream(), b"so that it is known")
                    with pytest.raises(PeerUnreachable, match=f"cut off: {fault.value}"):
                        await node.request(Contact(enemy.peer), FRAME)
                assert node.stats.faults == {fault: 1}
                assert node.peers() == ()

    trio.run(main)


def test_noise_is_followed_by_rubbish() -> None:
    """Bytes that do not decrypt end the connection, and nothing else."""

    async def main() -> None:
        async with make(Recorder()) as server, make() as honest:
            await honest.request(contact(server), FRAME)
            async with intruder(server) as muxed:
                raw = muxed.secured_conn
                while not hasattr(raw, "_stream"):
                    raw = next(
                        inner
                        for name in ("conn", "read_writer", "read_write_closer", "stream")
                        if (inner := getattr(raw, name, None)) is not None
                    )
                await raw.write(b"\x00\x40" + bytes(64))
                assert await closed(muxed)
            assert await honest.request(contact(server), FRAME) == b""
            assert server.stats.rebuilds == 0

    trio.run(main)


def test_a_flood_of_requests_is_held_up_by_memory_bounds() -> None:
    """Sixty streams that each announce a whole frame: at most four MiB of it are taken in."""

    async def main() -> None:
        async with make(Recorder()) as server, intruder(server) as muxed:
            for _ in range(60):
                stream = await muxed.open_stream()
                await stream.write(wire.OPENING + (2**20).to_bytes(4, "big"))
            while server.stats.shed < 56:
                await trio.testing.wait_all_tasks_blocked(0.01)
            assert server._exchanges.incoming.total == 4 * 2**20

    trio.run(main)
