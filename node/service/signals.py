"""Signals that a node obeys: TERM and INT end it, HUP has it read its settings again."""

import signal
import time
from collections.abc import Callable
from typing import Protocol

import trio

from node.config.settings import Settings
from node.logs import get_logger
from node.service.notify import Notifier
from node.status.service import TaskStatus

_log = get_logger("node")


class Node(Protocol):
    """What can be done with a node from outside."""

    def stop(self) -> None:
        """End politely."""

    def reload(self, again: Callable[[], Settings]) -> str:
        """Take up the settings that `again` reads; why not, else empty."""


async def obey(
    node: Node,
    again: Callable[[], Settings] | None,
    notifier: Notifier,
    *,
    task_status: TaskStatus = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen to signals until cancelled.

    Args:
        node: that is to obey.
        again: reads the settings; None where there is no file to read. Then a hang-up ends the
            node, as it ends every program that is run by hand, unless nohup(1) started it.
        notifier: told of what goes on.
        task_status: told once signals are listened to.
    """
    wanted = [signal.SIGTERM, signal.SIGINT]
    if again is not None or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    with trio.open_signal_receiver(*wanted) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGHUP and again is not None:
                notifier.reloading(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000)
                refused = node.reload(again)
                notifier.ready(
                    f"settings not reloaded: {refused}" if refused else "settings reloaded"
                )
                continue
            _log.info("stopping", signal=signal.Signals(number).name)
            notifier.stopping()
            node.stop()
