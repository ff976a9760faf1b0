"""Where the Lab's peers listen: in namespaces where the World says, else on loopback."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from gossip.errors import LocalError
from scenarios.world.names import peer_address

_FIRST, _LAST = 64, 127  # 127.64.0.0 upwards: away from what people use by hand
_PORT = 4001


@contextmanager
def addresses(peers: int, *, network: bool) -> Iterator[list[str]]:
    """`HOST:PORT` of each peer, ours for as long as the block lasts.

    Args:
        peers: how many.
        network: whether each has a network namespace of its own.

    Raises:
        LocalError: loopback is full.
    """
    if network:
        yield [":".join(peer_address(peer).split("/")[2::2]) for peer in range(peers)]
        return
    for block in range(_FIRST * 256, (_LAST + 1) * 256):
        hosts = [f"127.{block >> 8}.{block & 255}.{peer + 1}" for peer in range(peers)]
        with socket.socket(socket.AF_UNIX) as lock:
            try:
                # A name in memory, which the kernel frees with this process.
                lock.bind(f"\0hedgerow-lab-{block}")
                for host in hosts:
                    with socket.socket() as probe:
                        probe.bind((host, _PORT))
            except OSError:
                continue
            yield [f"{host}:{_PORT}" for host in hosts]
            return
    raise LocalError("no free addresses on loopback; end another run of the Lab first")
