"""Sockets: bound where we say or not at all, and counted byte by byte.

libp2p's own TCP listener sets SO_REUSEPORT, so that two daemons can share a port in silence and
each gets half of the connections, and it answers an address that cannot be bound with an empty
list instead of an error. So the node binds its sockets itself; that they outlive a host that dies
comes for free.
"""

import errno

import trio
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.utils.address_validation import expand_wildcard_address
from multiaddr import Multiaddr

from gossip.contacts import ADDRESSES_MAX
from gossip.errors import NetworkError
from node.addresses import Address
from node.p2p.stats import Stats

CHUNK_BYTES = 64 * 1024
_HINTS = {
    errno.EADDRINUSE: "another process listens there; stop it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address; listen on /ip4/0.0.0.0/tcp/PORT",
    errno.EACCES: "ports below 1024 need a privilege; choose a higher one",
}


class CountedStream(ReadWriteCloser):
    """A byte stream that counts what passes, and whose `read(n)` gives n bytes unless it ends.

    The latter because libp2p's `read_exactly` gives up after 101 short reads, which a link with
    small packets reaches within one 64 kB message.
    """

    def __init__(
        self, stream: trio.abc.Stream, stats: Stats, remote: tuple[str, int] | None = None
    ) -> None:
        self._stream = stream
        self._stats = stats
        self._remote = remote
        self._buffer = bytearray()

    async def read(self, n: int | None = None) -> bytes:
        """N bytes, fewer only at the end; without n, what there is."""
        wanted = 1 if n is None else n
        while len(self._buffer) < wanted:
            try:
                chunk = await self._stream.receive_some(CHUNK_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ConnectionClosedError(f"connection lost: {error}", transport="tcp") from error
            if not chunk:
                break
            self._stats.wire_bytes_in += len(chunk)
            self._buffer += chunk
        taken = bytes(self._buffer if n is None else self._buffer[:n])
        del self._buffer[: len(taken)]
        return taken

    async def write(self, data: bytes) -> None:
        """All of it."""
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionClosedError(f"connection lost: {error}", transport="tcp") from error
        self._stats.wire_bytes_out += len(data)

    async def close(self) -> None:
        """Close the socket; whoever waits on it is woken with an error."""
        await trio.aclose_forcefully(self._stream)

    def get_remote_address(self) -> tuple[str, int] | None:
        """Host and port of the other end."""
        return self._remote


def counted(stream: trio.SocketStream, stats: Stats) -> CountedStream:
    """`stream`, counted, with its remote address."""
    try:
        name = stream.socket.getpeername()
    except OSError:  # the other end is gone already; the first read will say so
        return CountedStream(stream, stats)
    return CountedStream(stream, stats, (str(name[0]), int(name[1])))


async def connect(address: Address, stats: Stats) -> CountedStream:
    """A TCP connection; all addresses of a name are tried (RFC 8305, by trio).

    Raises:
        OSError: none could be reached.
    """
    return counted(await trio.open_tcp_stream(address.host, address.port), stats)


async def bind(addresses: tuple[Address, ...]) -> list[trio.SocketListener]:
    """Bind all addresses, or none.

    Raises:
        NetworkError: one cannot be bound; names it.
    """
    bound: list[trio.SocketListener] = []
    for address in addresses:
        try:
            bound += await trio.open_tcp_listeners(address.port, host=address.host)
        except OSError as error:
            for listener in bound:
                await listener.aclose()
            code = error.errno or 0
            hint = _HINTS.get(code, "check the address")
            problem = error.strerror or str(error)
            raise NetworkError(f"cannot listen on {address}: {problem}; {hint}") from error
    return bound


def reachable(listeners: list[trio.SocketListener]) -> tuple[str, ...]:
    """Multiaddrs of what is bound, at most four; a wildcard becomes this machine's addresses."""
    found: list[str] = []
    loopback: list[str] = []
    for listener in listeners:
        host, port = listener.socket.getsockname()[:2]
        kind = "ip6" if ":" in host else "ip4"
        if host not in {"0.0.0.0", "::"}:  # noqa: S104 - a comparison, not a binding
            found.append(f"/{kind}/{host}/tcp/{port}")
            continue
        for expanded in expand_wildcard_address(Multiaddr(f"/{kind}/{host}/tcp/{port}")):
            local = "/127." in str(expanded) or "/ip6/::1/" in str(expanded)
            (loopback if local else found).append(str(expanded))
    return tuple(dict.fromkeys(found or loopback))[:ADDRESSES_MAX]
