"""From binding an address to leaving: how a transport starts, is rebuilt, and ends."""

import gc

import pytest
import trio
import trio.testing

from gossip.contacts import Contact, PeerId
from gossip.errors import ConfigError, NetworkError
from node.addresses import parse_address
from node.p2p.host import Libp2pTransport, open_transport
from node.p2p.identity import new_identity
from node.p2p.transport import PeerUnreachable, TransportSettings
from tests.mesh.hosts import (
    FRAME,
    LOOPBACK,
    PATIENCE_S,
    Recorder,
    contact,
    in_memory,
    make,
    with_limits,
)


def test_a_host_that_dies_is_built_anew() -> None:
    """Identity, address and handler stay, and the peers hear of it."""

    async def main() -> None:
        async def die() -> None:
            raise RuntimeError("a defect not yet known")

        mine, theirs = Recorder(), Recorder()
        async with make(mine) as server, make(theirs) as client:
            await client.request(contact(server), FRAME)
            for rebuilt in (1, 2):
                swarm = server._supervisor.swarm
                assert swarm is not None
                swarm.manager.run_task(die)
                with trio.fail_after(PATIENCE_S):
                    await theirs.lost_one.wait()
                    await mine.lost_one.wait()
                    while server._supervisor.swarm in (swarm, None):
                        await trio.lowlevel.checkpoint()
                theirs.lost_one, mine.lost_one = trio.Event(), trio.Event()
                assert await client.request(contact(server), FRAME) == b""
                assert server.stats.rebuilds == rebuilt
            assert mine.lost == {client.peer: "its connection broke"}

    trio.run(main)


def test_a_request_waits_for_a_host_that_is_being_built() -> None:
    async def main() -> None:
        async with make(Recorder()) as server, make() as client:
            swarm = client._supervisor.swarm
            assert swarm is not None
            swarm.manager.cancel()
            await swarm.manager.wait_finished()
            assert await client.request(contact(server), FRAME) == b""
            assert client.stats.rebuilds == 1

    trio.run(main)


def test_an_address_that_cannot_be_bound_is_named() -> None:
    async def main() -> None:
        async with make() as first:
            taken = first.addresses[0]
            with pytest.raises(NetworkError, match=f"cannot listen on {taken}.*another process"):
                async with make(listen=taken):
                    pass
        with pytest.raises(NetworkError, match=r"/ip4/192\.0\.2\.1/tcp/4001.*no such address"):
            async with make(listen="/ip4/192.0.2.1/tcp/4001"):
                pass
        with pytest.raises(ConfigError, match="is not a TCP port"):
            async with make(listen="/ip4/127.0.0.1/tcp/70000"):
                pass
        async with make(listen=taken) as again:  # free once its owner has left
            assert again.addresses == (taken,)

    trio.run(main)


def test_binding_one_of_two_addresses_binds_none() -> None:
    async def main() -> None:
        async with make() as first:
            settings = TransportSettings(listen=(LOOPBACK, first.addresses[0]))
            with pytest.raises(NetworkError):
                async with Libp2pTransport(new_identity(), settings):
                    pass

    trio.run(main)
    gc.collect()  # an abandoned socket would be a ResourceWarning, which is an error here


def test_a_wildcard_is_announced_as_real_addresses() -> None:
    async def main() -> None:
        async with make(Recorder(), listen="/ip4/0.0.0.0/tcp/0") as server, make() as client:
            assert server.addresses
            assert all(parse_address(text).host != "0.0.0.0" for text in server.addresses)
            assert await client.request(contact(server), FRAME) == b""
        settings = TransportSettings(listen=(LOOPBACK,), announce=("/ip4/192.0.2.7/tcp/4001",))
        async with open_transport(settings, new_identity()) as announced:
            assert announced.addresses == ("/ip4/192.0.2.7/tcp/4001",)
        async with open_transport(TransportSettings(listen=()), new_identity()) as dials_only:
            assert dials_only.addresses == ()

    trio.run(main)


def test_a_caller_that_is_cancelled_leaves_at_once() -> None:
    """Even while the peer takes nothing in and the frame under way must not be cut in half."""

    async def main() -> None:
        limits = with_limits(frame_write_s=3_600, request_s=3_600)
        async with make(limits=limits) as node, in_memory(node) as pair:
            pair.ours.shut()
            with trio.fail_after(PATIENCE_S):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(node.request, Contact(pair.peer), FRAME)
                    await pair.ours.blocked.wait()
                    nursery.cancel_scope.cancel()

    trio.run(main)


def test_closing_ends_what_is_under_way() -> None:
    async def main() -> None:
        async def hold(_peer: PeerId, _data: bytes) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        async with make() as server, make() as client:
            server.serve(hold)

            async def ask() -> None:
                with pytest.raises(PeerUnreachable):
                    await client.request(contact(server), FRAME)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                while not server.stats.requests_in:
                    await trio.lowlevel.checkpoint()
                await client.aclose()
            await client.aclose()  # again does nothing
            with pytest.raises(PeerUnreachable, match="leaving"):
                await client.request(contact(server), FRAME)

    trio.run(main)


def test_an_exception_of_the_body_passes_as_it_is() -> None:
    async def main() -> None:
        async with make():
            raise ConfigError("mine")

    with pytest.raises(ConfigError, match="mine"):
        trio.run(main)
