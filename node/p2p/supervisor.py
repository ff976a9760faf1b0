"""Keeps a libp2p host alive: builds it, and builds it anew whenever its service dies.

Identity, sockets and handlers are not the host's, so they stay.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import trio
from libp2p.tools.anyio_service import background_trio_service

from node.logs import get_logger
from node.p2p.limits import Limits
from node.p2p.stats import Stats
from node.p2p.swarm import HardenedSwarm

_log = get_logger("p2p")
_DOUBLINGS_MAX = 5


@dataclass(slots=True)
class Supervisor:
    """One host at a time.

    Args:
        build: makes a host.
        died: called when one has died, before the next is built.
        limits: the pause between two, and how long one must live to count as healthy.
        stats: counts the rebuilds.
        swarm: the live host; None while there is none.
    """

    build: Callable[[], HardenedSwarm]
    died: Callable[[], None]
    limits: Limits
    stats: Stats
    swarm: HardenedSwarm | None = None
    _up: trio.Event = field(default_factory=trio.Event)

    async def wait_up(self) -> HardenedSwarm:
        """The live host, as soon as there is one."""
        while self.swarm is None:
            await self._up.wait()
        return self.swarm

    async def run(self) -> None:
        """Run for ever; cancel to stop."""
        doublings = 0
        while True:
            began = trio.current_time()
            reason = await self._run_one()
            self.died()
            self.stats.rebuilds += 1
            _log.warning("network host died; building it anew", reason=reason)
            if trio.current_time() - began > self.limits.request_s:
                doublings = 0
            await trio.sleep(self.limits.rebuild_s * 2**doublings)
            doublings = min(doublings + 1, _DOUBLINGS_MAX)

    async def _run_one(self) -> str:
        swarm = self.build()
        try:
            async with background_trio_service(swarm) as manager:
                await swarm.event_background_nursery_created.wait()
                self.swarm = swarm
                self._up.set()
                await manager.wait_finished()
        except Exception as error:  # noqa: BLE001 - whatever it is, the host is dead
            return _innermost(error)
        finally:
            self.swarm = None
            self._up = trio.Event()
        return "its service ended"


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
