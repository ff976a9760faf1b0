"""What systemd is told: that the node is ready, reloads, stops, and is alive.

The protocol is a datagram of `KEY=value` lines to the socket in NOTIFY_SOCKET (sd_notify(3)).
Without that variable nothing is sent, so a node behaves the same anywhere else.
"""

import os
import socket
from collections.abc import Mapping

import trio

from node.logs import get_logger, one_line

_log = get_logger("service")


class Notifier:
    """Speaks to the service manager, if there is one.

    Args:
        environment: where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked up.
        pid: this process; WATCHDOG_PID must name it, if set.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of Linux's abstract socket names.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environment, os.getpid() if pid is None else pid)

    def ready(self, status: str) -> None:
        """The node listens; also the end of a reload."""
        self._tell(READY="1", STATUS=status)

    def reloading(self, monotonic_us: int) -> None:
        """Settings are read again.

        Args:
            monotonic_us: CLOCK_MONOTONIC, microseconds, which systemd wants beside it.
        """
        self._tell(RELOADING="1", MONOTONIC_USEC=str(monotonic_us))

    def stopping(self) -> None:
        """It ends, politely."""
        self._tell(STOPPING="1")

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self._tell(STATUS=text)

    async def keep_alive(self) -> None:
        """Ping a watchdog from the loop, at half its time as sd_watchdog_enabled(3) advises.

        A loop that is stuck pings no more, and the service manager starts the node again.
        """
        while self.watchdog_s is not None:
            self._tell(WATCHDOG="1")
            await trio.sleep(self.watchdog_s / 2)

    def _tell(self, **state: str) -> None:
        if not self._address:
            return
        text = "\n".join(f"{key}={' '.join(value.splitlines())}" for key, value in state.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
                client.sendto(text.encode(errors="replace"), self._address)
        except OSError as error:  # the node's work does not depend on it
            _log.warning("the service manager cannot be told", reason=one_line(error))


def _watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
    text, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(pid))
    if not text.isdecimal() or whose != str(pid) or not int(text):
        return None
    return int(text) / 1e6
