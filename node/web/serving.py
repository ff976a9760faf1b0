"""HTTP in the node's own loop: Hypercorn's protocol on connections that we accept and bound.

Hypercorn's `serve` accepts as many connections as come, and waits for ever, shielded from
cancellation, for a client that does not read. A node has its file descriptors and its end of life
for other things, so here each connection is counted, and cut when the node goes.
"""

import logging
import socket
from functools import partial
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app

from gossip.errors import NetworkError
from node.config.web import parse_web_address
from node.logs import get_logger
from node.web.guard import App

CLIENTS_MAX = 32  # connections; a browser opens six
IDLE_S = 15.0  # a page that is open asks every three seconds
SEND_S_MAX = 10.0
HEAD_BYTES_MAX = 16 * 1024
BACKLOG = 32
"""Our choices."""

_log = get_logger("web")


class _Stream:
    """A connection whose other end has to take what it asked for, in time, and by HTTP/1.

    By HTTP/2 a client may leave its window for an answer shut, and so hold a connection for ever.
    No browser speaks it without TLS, and Hypercorn knows no switch.

    Args:
        stream: the connection.
        serving: all that is done for it; cancelled once it is of no use, for Hypercorn would go on
            waiting to answer the next request.
    """

    def __init__(self, stream: trio.SocketStream, serving: trio.CancelScope) -> None:
        self._stream = stream
        self._serving = serving
        self._answered = False
        self.socket = stream.socket

    async def send_all(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 101") or not (self._answered or data.startswith(b"HTTP/1.")):
            raise self._cut("it speaks another protocol")
        self._answered = True
        with trio.move_on_after(SEND_S_MAX) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            raise self._cut("it does not read")

    def _cut(self, why: str) -> trio.BrokenResourceError:
        self.socket.close()
        self._serving.cancel()
        return trio.BrokenResourceError(why)

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


def listen(address: str, table: str) -> socket.socket:
    """A listening socket.

    Args:
        address: `HOST:PORT`, see `parse_web_address`.
        table: of the settings that it is from, for the message.

    Raises:
        NetworkError: another program uses the port, or the address is not this machine's.
    """
    host, port = parse_web_address(address)
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found.family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind((host, port))
        found.listen(BACKLOG)
        found.setblocking(False)
    except OSError as error:
        found.close()
        raise NetworkError(
            f"{table}.listen = {address}: cannot be served at ({error.strerror}); stop the program "
            f"that uses it, or give another address"
        ) from error
    return found


def address_of(listener: socket.socket) -> str:
    """`HOST:PORT` that a socket listens at."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def serve(app: App, listener: socket.socket) -> None:
    """Serve an ASGI application until cancelled; then cut every connection and close."""
    config = _config()
    handle = partial(_handle, app, config, open_now := set[trio.SocketStream]())
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
    try:
        async with trio.open_nursery() as connections:
            try:
                await trio.serve_listeners(handle, listeners, handler_nursery=connections)
            finally:
                for stream in sorted(open_now, key=id):
                    stream.socket.close()  # ends also what Hypercorn shields from being cancelled
    finally:
        listener.close()


async def _handle(
    app: App, config: Config, open_now: set[trio.SocketStream], stream: trio.SocketStream
) -> None:
    if len(open_now) >= CLIENTS_MAX:
        await trio.aclose_forcefully(stream)
        return
    open_now.add(stream)
    wrapped = wrap_app(cast("ASGIFramework", app), config.wsgi_max_body_size, "asgi")
    context, state = WorkerContext(None), ConnectionState({})
    try:
        with trio.CancelScope() as serving:
            taken = _Stream(stream, serving)
            await TCPServer(wrapped, config, context, state, taken).run()  # type: ignore[arg-type] # only what `_Stream` has is used
    except Exception as error:  # noqa: BLE001 - what a browser sends does not end a node
        _log.debug("a connection failed", reason=repr(error))
    finally:
        open_now.discard(stream)
        stream.socket.close()


def _config() -> Config:
    config = Config()
    config.errorlog = logging.getLogger("hedgerow.web")
    config.accesslog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.keep_alive_timeout = IDLE_S
    config.websocket_max_message_size = HEAD_BYTES_MAX
    return config
