"""The Unix socket that serves the status document, and the client that asks it.

One connection, at most one request, one JSON document, then the connection ends. A request is one
line, see `node.control.requests`; who sends none within `REQUEST_S_MAX` is given the status. The
socket belongs to the node's user alone (mode 0600), so whoever can ask may also give verdicts.
"""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from stat import S_ISSOCK
from time import monotonic
from typing import Any, Protocol

import msgspec
import trio

from gossip.errors import StateError
from node.status.document import Status

DOCUMENT_BYTES_MAX = 4 * 2**20
"""What a client takes. 200 incidents of the longest addresses are 1.04 MB (measured) before whoever
contributed, and what analysts noted, is told."""

CLIENTS_MAX = 8  # more wait in the listen queue; each is served in well under a millisecond
SERVE_S_MAX = 2.0
FETCH_S_MAX = 5.0
PROBE_S_MAX = 1.0
REQUEST_S_MAX = 0.05
REQUEST_BYTES_MAX = 8_192


class TaskStatus(Protocol):
    """trio's task status; its own type is missing from the stubs that libp2p brings along."""

    def started(self) -> None:
        """The socket is there."""


async def serve(
    path: Path,
    document: Callable[[], Status],
    answer: Callable[[bytes], bytes] | None = None,
    *,
    task_status: TaskStatus = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on a Unix socket (mode 0600) until cancelled; then remove it.

    A socket that a dead node left is replaced.

    Args:
        path: of the socket.
        document: the status.
        answer: gives the answer to a request, without line breaks; without it every request is
            answered with the status.
        task_status: told once the socket is there.

    Raises:
        StateError: a live node answers there, something else lies there, or the folder cannot
            be used.
    """
    listener = _listener(path)
    mine = _inode(path)
    try:
        serving = partial(_serve_one, document, answer, trio.CapacityLimiter(CLIENTS_MAX))
        task_status.started()
        sockets = [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
        await trio.serve_listeners(serving, sockets)
    finally:
        _remove(path, mine)


async def _serve_one(
    document: Callable[[], Status],
    answer: Callable[[bytes], bytes] | None,
    limiter: trio.CapacityLimiter,
    stream: trio.SocketStream,
) -> None:
    async with stream, limiter:
        with trio.move_on_after(SERVE_S_MAX):
            try:
                line = await _request(stream)
                if answer is None or not line:
                    reply = msgspec.json.encode(document())
                else:
                    reply = answer(line)
                await stream.send_all(reply + b"\n")
            except trio.BrokenResourceError:
                return  # it looked away


async def _request(stream: trio.SocketStream) -> bytes:
    """The line that the client sends; empty for a client that only listens."""
    line = b""
    with trio.move_on_after(REQUEST_S_MAX):
        while b"\n" not in line and len(line) <= REQUEST_BYTES_MAX:
            chunk = await stream.receive_some(REQUEST_BYTES_MAX)
            if not chunk:
                break
            line += chunk
    return line.partition(b"\n")[0].strip()


def _inode(path: Path) -> int:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return -1


def _remove(path: Path, mine: int) -> None:
    """Remove our socket, and not one that took its place."""
    if _inode(path) == mine:
        path.unlink()


def _listener(path: Path) -> socket.socket:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _inode(path) >= 0:
            _make_way(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # On Linux the mode set before bind is the file's from its first moment.
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(CLIENTS_MAX)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise StateError(
            f"{path}: cannot be made a socket ({error.strerror or error}); check the folder, or "
            "set status.socket"
        ) from error
    return listener


def _make_way(path: Path) -> None:
    if not S_ISSOCK(path.lstat().st_mode):
        raise StateError(f"{path}: is not a socket; move it away, or set status.socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S_MAX)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()  # nobody listens: its node is dead
        except TimeoutError as error:
            raise StateError(f"{path}: a node that does not answer holds it; stop it") from error
        else:
            raise StateError(
                f"{path}: a running node answers there; stop it, or set status.socket to another"
            )


def fetch(
    path: Path, within_s: float = FETCH_S_MAX, request: bytes = b'{"ask":"status"}'
) -> dict[str, Any]:
    """Ask the node that serves `path`.

    Args:
        path: of its socket.
        within_s: how long to wait.
        request: one line, see `node.control.requests`.

    Raises:
        StateError: none runs there, it belongs to another user, it does not answer within
            `within_s` seconds, or its answer is no status document.
    """
    deadline = monotonic() + within_s
    data = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(within_s)
            client.connect(str(path))
            with suppress(BrokenPipeError, ConnectionResetError):  # it answers without listening
                client.sendall(request + b"\n")
            while len(data) <= DOCUMENT_BYTES_MAX:
                client.settimeout(max(0.001, deadline - monotonic()))
                try:
                    chunk = client.recv(65_536)
                except ConnectionResetError:  # how one that reads no requests ends its answer
                    chunk = b""
                if not chunk:
                    break
                data += chunk
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise StateError(
            f"{path}: no node is running there; start one with `hedgerow up`, or name its socket"
        ) from error
    except PermissionError as error:
        raise StateError(f"{path}: belongs to another user; ask as that user") from error
    except TimeoutError as error:
        raise StateError(
            f"{path}: the node did not answer within {within_s:g} s; it may be stopped"
        ) from error
    except OSError as error:
        raise StateError(f"{path}: cannot be asked ({error.strerror or error})") from error
    return _document(data, path)


def _document(data: bytes, path: Path) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(data if len(data) <= DOCUMENT_BYTES_MAX else b"")
    except msgspec.DecodeError as error:
        raise StateError(
            f"{path}: answers, but with no status document; is it a node's?"
        ) from error
    if not isinstance(decoded, dict):
        raise StateError(f"{path}: answers, but with no status document; is it a node's?")
    return decoded
