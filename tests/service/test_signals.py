"""Signals: which end a node, and which has it read its settings again."""

import os
import signal
from collections.abc import Callable
from functools import partial

import pytest
import trio

from node.config.settings import Settings
from node.service.notify import Notifier
from node.service.signals import obey


class Node:
    """What would be told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.news = trio.Event()

    def stop(self) -> None:
        self.told.append("stop")
        self.news.set()

    def reload(self, again: Callable[[], Settings]) -> str:
        self.told.append("reload")
        self.news.set()
        return ""


def told(again: Callable[[], Settings] | None, number: signal.Signals) -> list[str]:
    """What a node is told when this process gets a signal."""
    node = Node()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(obey, node, again, Notifier({})))
            os.kill(os.getpid(), number)
            await node.news.wait()
            nursery.cancel_scope.cancel()

    trio.run(main)
    return node.told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_without_a_file_every_signal_ends_a_node(number: signal.Signals) -> None:
    assert told(None, number) == ["stop"]


def test_with_a_file_a_hang_up_has_it_read_again() -> None:
    assert told(Settings.defaults, signal.SIGHUP) == ["reload"]
    assert told(Settings.defaults, signal.SIGTERM) == ["stop"]


def test_nohup_is_respected() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(obey, Node(), None, Notifier({})))
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            nursery.cancel_scope.cancel()

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        trio.run(main)
    finally:
        signal.signal(signal.SIGHUP, before)
