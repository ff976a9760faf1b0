"""Peers in processes of their own, which stop, are killed, and return."""

import gc
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from gossip.contacts import Contact
from node.addresses import parse_contact
from node.p2p.stats import Fault
from node.p2p.transport import PeerUnreachable
from tests.mesh.hosts import FRAME, PATIENCE_S, Recorder, contact, intruder, make, say, with_limits

ROOT = Path(__file__).parents[2]


@contextmanager
def child() -> Iterator[tuple[subprocess.Popen[str], Contact]]:
    command = [sys.executable, "-m", "tests.mesh.hosts"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process, parse_contact(process.stdout.readline().strip())
        finally:
            process.kill()


def test_a_peer_whose_process_is_stopped_is_dropped_by_keepalive() -> None:
    """Its kernel still takes in what is sent; only the missing sign of life tells."""

    async def main() -> None:
        recorder = Recorder()
        limits = with_limits(keepalive_s=0.5, keepalive_reply_s=1.0)
        with child() as (process, to):
            async with make(recorder, limits=limits) as node:
                await node.request(to, FRAME)
                process.send_signal(signal.SIGSTOP)
                with trio.fail_after(PATIENCE_S):
                    await recorder.lost_one.wait()
                assert recorder.lost == {to.peer: "lost"}
                assert node.stats.faults == {Fault.LOST: 1}
                process.send_signal(signal.SIGCONT)
                assert await node.request(to, FRAME) == b""  # no grudge: it was not hostile

    trio.run(main)


def test_a_peer_that_is_killed_is_noticed_at_once() -> None:
    async def main() -> None:
        recorder = Recorder()
        with child() as (process, to):
            async with make(recorder) as node:
                await node.request(to, FRAME)
                process.kill()
                process.wait()
                with trio.fail_after(PATIENCE_S):
                    await recorder.lost_one.wait()
                with pytest.raises(PeerUnreachable, match="refused"):
                    await node.request(to, FRAME)

    trio.run(main)


def _things() -> int:
    """Tasks, and objects of the network's own kinds: nobody else's caches."""
    gc.collect()
    kinds = ("libp2p", "node", "multiaddr", "noise")
    objects = sum(str(type(each).__module__).startswith(kinds) for each in gc.get_objects())
    return objects + trio.lowlevel.current_statistics().tasks_living


def test_many_exchanges_leave_nothing_behind() -> None:
    async def main() -> None:
        async with make() as server, make() as client:
            server.serve(_echo)

            async def census(exchanges: int) -> int:
                for _ in range(exchanges):
                    assert await client.request(contact(server), b"x" * 1_000) == b"x" * 1_000
                for node in (server, client):
                    assert [len(link.muxed.streams) for link in node._links.open()] == [0]
                    assert node._exchanges.incoming.total == node._outgoing.total == 0
                return _things()

            things = await census(20)
            assert await census(400) <= things + 10

    trio.run(main)


def test_many_connections_leave_nothing_behind() -> None:
    async def main() -> None:
        async with make(Recorder()) as server:

            async def census(visits: int) -> int:
                for _ in range(visits):
                    async with intruder(server) as muxed:
                        assert await say(await muxed.open_stream(), b"hello") == b""
                while server.peers():
                    await trio.lowlevel.checkpoint()
                await trio.testing.wait_all_tasks_blocked(0.3)  # until all good-byes are through
                return _things() - len(server.stats.by_peer)  # which has a bound of its own

            things = await census(5)
            assert await census(60) <= things + 10

    trio.run(main)


async def _echo(_peer: object, data: bytes) -> bytes:
    await trio.lowlevel.checkpoint()
    return data
