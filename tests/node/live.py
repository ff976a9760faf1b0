"""Whole nodes in this process, over libp2p on loopback, at a hundredth of the usual cycle."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from gossip.actions import Topic
from gossip.learning.learner import Learner
from node.config.settings import Settings
from node.detection import new_learner
from node.gateway import Gateway, Started
from node.p2p.identity import load_or_create_identity
from node.state.store import Store
from node.status import document, service

PATIENCE_S = 60.0  # when a wait is given up for good; nothing that works comes near it
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
LOOK_S = 0.01  # between two looks at a status


def settings_for(folder: Path, **overrides: Any) -> Settings:
    """A quick node's; in the keyword arguments `__` stands for a dot."""
    values = {
        "node.state_dir": str(folder),
        "node.name": folder.name,
        "node.listen": [LOOPBACK],
        "mesh.cycle": "100 ms",
        "detector.budget": "10%",
        "limits.dial_max": "2 s",
    }
    values |= {name.replace("__", "."): value for name, value in overrides.items()}
    return Settings.defaults().with_overrides(values)


@dataclass
class Node:
    """One that runs."""

    settings: Settings
    gateway: Gateway
    started: Started

    @property
    def address(self) -> str:
        """To join by."""
        return f"{self.started.addresses[0]}/p2p/{self.started.peer}"

    async def look(self) -> document.Status:
        """As `hedgerow status` sees it."""
        socket = self.settings.status_socket
        return document.parse(await trio.to_thread.run_sync(service.fetch, socket))

    async def until(self, holds: Callable[[document.Status], Any]) -> document.Status:
        """Wait until something is so, and give the status that says it."""
        found = None
        with trio.move_on_after(PATIENCE_S):
            while not holds(found := await self.look()):  # noqa: ASYNC110 - it is polled
                await trio.sleep(LOOK_S)
            return found
        raise AssertionError(f"it never became so: {found}")

    def count(self, topic: Topic) -> int:
        """Of reports of the peer so far."""
        return self.gateway._reports.counts[topic]


@asynccontextmanager
async def running(settings: Settings, learner: Learner | None = None) -> AsyncIterator[Node]:
    """A node, from the state in its folder; at the end it stops politely."""
    store = Store.open(settings.node.state_dir)
    try:
        identity = load_or_create_identity(settings.node.state_dir / "identity")
        gateway = Gateway(settings, identity, learner or new_learner(), store)
        listening = trio.Event()
        node = Node(settings, gateway, Started("", identity.peer, ()))

        def started(found: Started) -> None:
            node.started = found
            listening.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(gateway.run, started)
            with trio.fail_after(PATIENCE_S):
                await listening.wait()
            yield node
            gateway.stop()
    finally:
        store.close()


def patient(main: Callable[..., Awaitable[None]], *args: Any) -> None:
    """Run a test's coroutine, and give it up for good after a while."""

    async def within() -> None:
        with trio.fail_after(3 * PATIENCE_S):
            await main(*args)

    trio.run(within)


def sensor(path: Path, **more: Any) -> list[dict[str, Any]]:
    """The setting of a node with one sensor."""
    return [{"path": str(path), **more}]


def exchanging(found: document.Status) -> bool:
    """Whether a node merges what its peers send."""
    return found.mesh.merges > 3 and bool(found.mesh.peers)
