"""Messages between the Lab's own processes: msgpack behind a length, over a pair of Unix sockets.

Both ends are of one release and one user; lengths are bounded all the same.
"""

import os
import socket
from typing import TypeVar

import msgspec

from gossip.errors import LocalError

MESSAGE_BYTES_MAX = 256 * 2**20
"""A picture holds one model, and the largest that a scenario can name stays below it."""

_LENGTH_BYTES = 4

T = TypeVar("T")


class ClosedError(LocalError):
    """The process at the other end has gone."""


class Channel:
    """One end.

    Args:
        end: connected; closed by `close`.
    """

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    def fileno(self) -> int:
        """Of the socket, to wait for messages."""
        return self.socket.fileno()

    def send(self, message: object, descriptor: int | None = None) -> None:
        """Send a message, and a file descriptor beside it.

        Raises:
            ClosedError: the other end has gone.
            TimeoutError: it took nothing in for as long as the socket's time limit.
        """
        data = packed(message)
        try:
            if descriptor is not None:
                socket.send_fds(self.socket, [data[:1]], [descriptor])
                data = data[1:]
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ClosedError("the process at the other end has gone") from error

    def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> tuple[T, int | None]:
        """The next message, and the file descriptor that came beside it.

        Raises:
            ClosedError: the other end has gone.
            TimeoutError: none came within the socket's time limit.
            msgspec.DecodeError: it is not what was expected.
        """
        try:
            first, descriptors, _, _ = socket.recv_fds(self.socket, 1, 1)
        except ConnectionResetError:
            first, descriptors = b"", []
        size = int.from_bytes(first + self._exactly(_LENGTH_BYTES - 1, first), "big")
        if size > MESSAGE_BYTES_MAX:
            raise ClosedError(f"a message of {size} bytes is over the bound")
        message = decoder.decode(self._exactly(size, first))
        return message, descriptors[0] if descriptors else None

    def close(self) -> None:
        """Close our end."""
        self.socket.close()

    def _exactly(self, size: int, first: bytes) -> bytes:
        data = bytearray()
        while first and len(data) < size:
            try:
                chunk = self.socket.recv(min(size - len(data), 2**20))
            except ConnectionResetError:
                chunk = b""
            data += chunk
            if not chunk:
                break
        if not first or len(data) < size:
            raise ClosedError("the process at the other end has gone")
        return bytes(data)


def packed(message: object) -> bytes:
    """A message behind its length."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def pair() -> tuple[Channel, socket.socket]:
    """Our end, and the other one to hand to a process."""
    ours, theirs = socket.socketpair()
    return Channel(ours), theirs


def adopt(descriptor: int) -> Channel:
    """The end that a parent left open for us."""
    os.set_inheritable(descriptor, False)
    return Channel(socket.socket(fileno=descriptor))
