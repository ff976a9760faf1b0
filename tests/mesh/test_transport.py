"""What a node relies on: frames arrive, or the caller hears why not."""

import os

import pytest
import trio
import trio.testing

from gossip.contacts import Contact, PeerId
from gossip.errors import ConfigError
from node.p2p.host import open_transport
from node.p2p.identity import new_identity
from node.p2p.transport import PeerUnreachable, Transport, TransportSettings
from tests.mesh.hosts import (
    FRAME,
    LOOPBACK,
    PATIENCE_S,
    Recorder,
    contact,
    endpoint,
    make,
    with_limits,
)


def test_a_request_is_answered_by_a_proven_peer() -> None:
    async def main() -> None:
        recorder = Recorder(reply=b"thanks")
        async with make(recorder) as server, make() as client:
            assert await client.request(contact(server), FRAME) == b"thanks"
            assert recorder.requests == [(client.peer, FRAME)]
            assert client.peers() == (server.peer,)
            assert server.peers() == (client.peer,)

    trio.run(main)


def test_the_real_transport_has_the_interface() -> None:
    settings = TransportSettings(listen=(LOOPBACK,))
    transport: Transport = open_transport(settings, new_identity())
    assert transport.peers() == ()


def test_both_may_ask_over_one_connection() -> None:
    async def main() -> None:
        one, other = Recorder(), Recorder()
        async with make(one) as left, make(other) as right:
            await left.request(contact(right), b"a")
            await right.request(Contact(left.peer), b"b")  # no address: by the connection there is
            assert right.stats.dials == 0
            assert [data for _, data in one.requests + other.requests] == [b"b", b"a"]

    trio.run(main)


@pytest.mark.parametrize("size", [0, 1, 65_536, 2**20])
def test_any_size_up_to_the_limit_passes_both_ways(size: int) -> None:
    async def main() -> None:
        data = os.urandom(size)
        recorder = Recorder(reply=data)
        async with make(recorder) as server, make() as client:
            assert await client.request(contact(server), data) == data
            assert recorder.requests == [(client.peer, data)]
            with trio.fail_after(PATIENCE_S):  # the reply may be here before it is counted there
                while server.stats.payload_bytes_out < size:
                    await trio.lowlevel.checkpoint()
            assert server.stats.payload_bytes_in == server.stats.payload_bytes_out == size

    trio.run(main)


def test_a_frame_above_the_limit_is_the_senders_mistake() -> None:
    async def main() -> None:
        async with make(Recorder()) as server, make() as client:
            with pytest.raises(ConfigError, match="frame_bytes_max"):
                await client.request(contact(server), bytes(2**20 + 1))
            assert server.stats.accepted == 0

    trio.run(main)


def test_dials_to_one_peer_at_once_are_one_dial() -> None:
    async def main() -> None:
        async with make(Recorder()) as server, make() as client:
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(client.request, contact(server), FRAME)
            assert client.stats.dials == server.stats.accepted == 1
            assert server.stats.requests_in == 10

    trio.run(main)


def test_two_that_dial_each_other_at_once_both_get_through() -> None:
    async def main() -> None:
        async with make(Recorder()) as left, make(Recorder()) as right:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(left.request, contact(right), FRAME)
                nursery.start_soon(right.request, contact(left), FRAME)
            assert left.peers() == (right.peer,)
            assert right.peers() == (left.peer,)

    trio.run(main)


def test_nobody_else_may_answer_at_an_address() -> None:
    async def main() -> None:
        async with make(Recorder()) as server, make() as client:
            wanted = new_identity().peer
            with pytest.raises(PeerUnreachable, match="another peer answers there"):
                await client.request(Contact(wanted, server.addresses), FRAME)
            assert client.stats.dials_failed == client.stats.requests_failed == 1
            assert client.peers() == ()

    trio.run(main)


def test_every_address_is_tried_and_each_failure_told() -> None:
    async def main() -> None:
        async with make(Recorder()) as server, make() as client, make() as gone:
            await gone.aclose()
            dead = gone.addresses[0]
            both = Contact(server.peer, (dead, *server.addresses))
            assert await client.request(both, FRAME) == b""
            to = Contact(gone.peer, (dead, "/ip4/127.0.0.1/udp/1"))
            with pytest.raises(PeerUnreachable, match=r"refused.*/udp/ is not supported"):
                await client.request(to, FRAME)
            with pytest.raises(PeerUnreachable, match="no address"):
                await client.request(Contact(new_identity().peer), FRAME)
            with pytest.raises(PeerUnreachable, match="no base58"):
                await client.request(Contact(PeerId("0"), server.addresses), FRAME)
            with pytest.raises(PeerUnreachable, match="this node itself"):
                await client.request(contact(client), FRAME)

    trio.run(main)


def test_a_peer_that_moved_is_found_at_its_new_address() -> None:
    async def main() -> None:
        identity = new_identity()
        async with make() as client:
            async with make(Recorder(), identity=identity) as before:
                await client.request(contact(before), FRAME)
                old = contact(before)
            with pytest.raises(PeerUnreachable, match="refused"):
                await client.request(old, FRAME)
            async with make(Recorder(), identity=identity) as after:
                assert contact(after) != old
                assert await client.request(contact(after), FRAME) == b""

    trio.run(main)


def test_a_dns_name_is_resolved() -> None:
    async def main() -> None:
        async with make(Recorder()) as server, make() as client:
            port = endpoint(server)[1]
            to = Contact(server.peer, (f"/dns4/localhost/tcp/{port}",))
            assert await client.request(to, FRAME) == b""

    trio.run(main)


def test_the_least_recently_used_connection_makes_room() -> None:
    async def main() -> None:
        limits = with_limits(connections_max=2)
        recorder = Recorder()
        async with (
            make(recorder, limits=limits) as hub,
            make(Recorder()) as a,
            make(Recorder()) as b,
            make(Recorder()) as c,
        ):
            for other in (a, b, a, c):
                await hub.request(contact(other), FRAME)
            assert set(hub.peers()) == {a.peer, c.peer}
            assert hub.stats.evicted == 1
            assert await hub.request(contact(b), FRAME) == b""
            assert recorder.lost == {}  # our own doing is no loss

    trio.run(main)


def test_a_failing_handler_costs_only_its_request() -> None:
    async def main() -> None:
        async def slow(_peer: PeerId, _data: bytes) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        async with make(limits=with_limits(handler_s=0.3)) as server, make() as client:
            with pytest.raises(PeerUnreachable, match="refused"):  # nobody serves yet
                await client.request(contact(server), FRAME)
            server.serve(slow)
            with pytest.raises(PeerUnreachable, match="refused"):
                await client.request(contact(server), FRAME)
            server.serve(Recorder())
            assert await client.request(contact(server), FRAME) == b""
            assert server.stats.handler_errors == 2
            assert client.stats.dials == 1

    trio.run(main)


def test_no_reply_in_time_is_an_error_and_the_connection_stays() -> None:
    async def main() -> None:
        async def slow(_peer: PeerId, data: bytes) -> bytes:
            if data == b"slow":
                await trio.sleep_forever()
            return data

        async with make() as server, make(limits=with_limits(request_s=0.5)) as client:
            server.serve(slow)
            with pytest.raises(PeerUnreachable, match=r"no reply within 0\.5 s"):
                await client.request(contact(server), b"slow")
            assert await client.request(contact(server), b"fast") == b"fast"
            assert client.stats.dials == 1

    trio.run(main)


def test_what_is_in_flight_is_bounded() -> None:
    async def main() -> None:
        waiting = trio.Event()

        async def hold(_peer: PeerId, _data: bytes) -> bytes:
            waiting.set()
            await trio.sleep_forever()
            raise AssertionError

        small = with_limits(inflight_bytes_peer_max=50_000)
        async with make(limits=small) as server, make() as client:
            server.serve(hold)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.request, contact(server), FRAME)
                await waiting.wait()
                with pytest.raises(PeerUnreachable, match="refused"):
                    await client.request(contact(server), FRAME)
                assert server.stats.shed == 1
                nursery.cancel_scope.cancel()
        async with make() as server, make(limits=small) as client:
            server.serve(hold)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.request, contact(server), FRAME)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(PeerUnreachable, match="39300 bytes with this peer"):
                    await client.request(contact(server), FRAME)
                nursery.cancel_scope.cancel()

    trio.run(main)


def test_a_good_bye_is_no_loss() -> None:
    """Nor is being closed to make room; or a full peer would look like a dead one."""

    async def main() -> None:
        recorder = Recorder()
        async with make(recorder) as stays:
            async with make(Recorder()) as leaves:
                await stays.request(contact(leaves), FRAME)
                await leaves.request(contact(stays), FRAME)
            with trio.fail_after(PATIENCE_S):
                while stays.peers():
                    await trio.lowlevel.checkpoint()
            with pytest.raises(PeerUnreachable, match="refused"):
                await stays.request(contact(leaves), FRAME)
            assert recorder.lost == {}

    trio.run(main)


def test_a_disconnected_peer_may_return_unless_refused() -> None:
    async def main() -> None:
        recorder = Recorder()
        limits = with_limits(refuse_s=0.2)
        async with make(recorder, limits=limits) as node, make(Recorder()) as other:
            await other.request(contact(node), FRAME)
            await node.disconnect(other.peer, "tidying up")
            assert node.peers() == ()
            await other.request(contact(node), FRAME)
            assert recorder.lost == {}
            await node.disconnect(other.peer, "spoke out of turn", refuse=True)
            with pytest.raises(PeerUnreachable):
                await other.request(contact(node), FRAME)
            with pytest.raises(PeerUnreachable, match="refused for a while: spoke out of turn"):
                await node.request(contact(other), FRAME)
            assert node.stats.refused >= 1
            for _ in range(1_000):  # until the refusal has expired
                try:
                    await other.request(contact(node), FRAME)
                    break
                except PeerUnreachable:
                    continue
            assert node.peers() == (other.peer,)

    trio.run(main)


def test_the_nodes_own_rule_decides_after_the_handshake() -> None:
    async def main() -> None:
        friend, stranger = new_identity(), new_identity()
        settings = TransportSettings(listen=(LOOPBACK,))

        def friends_only(peer: PeerId) -> str | None:
            return None if peer == friend.peer else "not on the list"

        async with (
            open_transport(settings, new_identity(), friends_only) as node,
            make(identity=friend) as welcome,
            make(identity=stranger) as unwelcome,
        ):
            node.serve(Recorder())
            assert await welcome.request(contact(node), FRAME) == b""
            with pytest.raises(PeerUnreachable):
                await unwelcome.request(contact(node), FRAME)
            assert node.peers() == (friend.peer,)
            assert node.stats.refused >= 1

    trio.run(main)


def test_only_the_right_pre_shared_key_joins() -> None:
    async def main() -> None:
        key = os.urandom(32)
        limits = with_limits(dial_s=0.6)
        async with make(Recorder(), psk=key, limits=limits) as server:
            async with make(psk=key) as member:
                assert await member.request(contact(server), FRAME) == b""
            for psk, hint in ((os.urandom(32), "the same pre-shared key"), (None, "open mesh")):
                async with make(psk=psk, limits=limits) as stranger:
                    with pytest.raises(PeerUnreachable, match=hint):
                        await stranger.request(contact(server), FRAME)
        async with make(Recorder(), limits=limits) as server, make(psk=key, limits=limits) as node:
            with pytest.raises(PeerUnreachable, match="the same pre-shared key"):
                await node.request(contact(server), FRAME)

    trio.run(main)


def test_a_foreign_service_is_told_apart() -> None:
    async def main() -> None:
        async def say_no(stream: trio.SocketStream) -> None:
            await stream.send_all(b"SSH-2.0-OpenSSH_9.6\r\n")
            await stream.receive_some()

        async with trio.open_nursery() as nursery, make(limits=with_limits(dial_s=0.5)) as node:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, say_no, listeners)
            port = listeners[0].socket.getsockname()[1]
            to = Contact(new_identity().peer, (f"/ip4/127.0.0.1/tcp/{port}",))
            with pytest.raises(PeerUnreachable, match="is it a Hedgerow node"):
                await node.request(to, FRAME)
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_the_wire_costs_next_to_nothing() -> None:
    """Bytes, not seconds: a frame of 39.3 kB costs 1.01 times its size, both directions summed."""

    async def main() -> None:
        async with make(Recorder()) as server, make() as client:
            await client.request(contact(server), b"")
            stats = client.stats
            dialled = stats.wire_bytes_in + stats.wire_bytes_out
            assert dialled < 1_600
            for _ in range(5):
                await client.request(contact(server), FRAME)
            spent = stats.wire_bytes_in + stats.wire_bytes_out - dialled
            assert spent < 5 * 1.01 * len(FRAME)
            assert client.stats.faults == server.stats.faults == {}

    trio.run(main)
