"""Syslog messages to a daemon: datagrams, or a TCP connection with counted octets.

Nothing here waits: what the system does not take at once is kept for a while, then lost and
counted. Who needs every alert has a file beside it.
"""

import errno
import socket
from collections import deque
from ipaddress import ip_address

from node.config.alerting import target

WAITING_MAX = 1_000
"""Messages kept for a connection that is not there; 0.7 MB. As many as a file keeps."""

RETRY_S = 10.0
"""Pause before a TCP connection is tried again. Our choice."""

_LATER = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS, errno.EALREADY}


class Sender:
    """Messages to `udp://`, `tcp://` or `unix://`, see `node.config.alerting.target`.

    Args:
        to: the target.

    Attributes:
        written: handed to the system; lost: given up.
    """

    def __init__(self, to: str) -> None:
        self.written = 0
        self.lost = 0
        self._scheme, self._host, self._port = target(to)
        self._socket: socket.socket | None = None
        self._waiting: deque[bytes] = deque()
        self._sent = 0  # bytes of the first that waits, which TCP took already
        self._again_s = 0.0

    @property
    def waiting(self) -> int:
        """Messages that nobody took so far."""
        return len(self._waiting)

    def append(self, line: bytes, now_s: float) -> bool:
        """Send a message behind those that wait; False while it waits.

        Args:
            line: the message.
            now_s: any clock that does not go back.
        """
        if self._scheme == "tcp":  # octet counting: RFC 6587, section 3.4.1
            line = b"%d %s" % (len(line), line)
        self._waiting.append(line)
        if len(self._waiting) > WAITING_MAX:
            del self._waiting[bool(self._sent)]  # the oldest that is not half sent
            self.lost += 1
        self.retry(now_s)
        return not self._waiting

    def retry(self, now_s: float) -> None:
        """Send what waits. Call now and then."""
        if not self._waiting or now_s < self._again_s:
            return
        try:
            self._flush()
        except OSError as error:
            if error.errno in _LATER:
                return
            self.close()
            self._again_s = now_s + RETRY_S

    def close(self) -> None:
        """Close the socket; what still waits is kept for the next one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        if self._sent:  # the receiver cannot use the part that it has
            self._waiting.popleft()
            self._sent = 0
            self.lost += 1

    def _flush(self) -> None:
        if self._socket is None:
            self._socket = self._opened()
        while self._waiting:
            self._sent += self._socket.send(self._waiting[0][self._sent :])
            if self._sent >= len(self._waiting[0]):
                self._waiting.popleft()
                self._sent = 0
                self.written += 1

    def _opened(self) -> socket.socket:
        kind = socket.SOCK_STREAM if self._scheme == "tcp" else socket.SOCK_DGRAM
        family = socket.AF_UNIX
        if self._scheme != "unix":
            six = ip_address(self._host).version == 6
            family = socket.AF_INET6 if six else socket.AF_INET
        made = socket.socket(family, kind)
        made.setblocking(False)
        found = made.connect_ex(self._host if self._scheme == "unix" else (self._host, self._port))
        if found and found not in _LATER:
            made.close()
            raise OSError(found, "cannot be connected to")
        return made
