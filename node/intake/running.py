"""The sensors that run, which may change while the node does."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from gossip.errors import LocalError
from node.config.sensing import SensorSettings
from node.intake.making import make_source
from node.intake.source import Source
from node.logs import get_logger

Run = Callable[[Source], Awaitable[None]]
"""Runs one source to its end."""

_log = get_logger("sensor")


class Sensing:
    """Starts sensors, and takes up other ones.

    Args:
        sources: of this life's beginning.

    Attributes:
        sources: those of now; one list, whose content changes.
    """

    def __init__(self, sources: list[Source]) -> None:
        self.sources = sources
        self._scopes: dict[str, trio.CancelScope] = {}
        self._ended: dict[str, trio.Event] = {}
        self._retired: dict[str, dict[str, Any]] = {}
        self._nursery: trio.Nursery | None = None
        self._run: Run | None = None

    def start(self, nursery: trio.Nursery, run: Run) -> None:
        """Run all; one that is of no use ends the node, which has only just begun."""
        self._nursery, self._run = nursery, run
        for source in self.sources:
            self._begin(source, self._attend)

    def change(self, wanted: Sequence[SensorSettings]) -> None:
        """Have these sensors from now on: end others, go on where one was left, begin the rest.

        Raises:
            LocalError: one of them is of no use; nothing was changed.
        """
        now = {source.settings.place: source for source in self.sources}
        kept = {place: source for place, source in now.items() if source.settings in wanted}
        fresh = [
            make_source(settings, self._left(settings.place, now))
            for settings in wanted
            if settings.place not in kept
        ]
        for place, source in now.items():
            if place not in kept:
                self._retired[place] = source.saved()
                if scope := self._scopes.pop(place, None):
                    scope.cancel()
        self.sources[:] = [*kept.values(), *fresh]
        for source in fresh:
            self._retired.pop(source.settings.place, None)
            self._begin(source, self._attend_quietly)

    def _left(self, place: str, now: dict[str, Source]) -> dict[str, Any] | None:
        """Where reading stopped, if it ever did."""
        return now[place].saved() if place in now else self._retired.get(place)

    def _begin(self, source: Source, attend: Callable[..., Awaitable[None]]) -> None:
        place = source.settings.place
        before, ended = self._ended.get(place), trio.Event()
        scope, self._ended[place] = trio.CancelScope(), ended
        self._scopes[place] = scope
        if self._nursery is not None:
            self._nursery.start_soon(attend, source, scope, before, ended)

    async def _attend(
        self, source: Source, scope: trio.CancelScope, before: trio.Event | None, ended: trio.Event
    ) -> None:
        try:
            with scope:
                if before is not None:  # it may still hold the port
                    await before.wait()
                if self._run is not None:
                    await self._run(source)
        finally:
            ended.set()

    async def _attend_quietly(
        self, source: Source, scope: trio.CancelScope, before: trio.Event | None, ended: trio.Event
    ) -> None:
        try:
            await self._attend(source, scope, before, ended)
        except LocalError as error:  # a node that watches other sensors does not stop for this one
            _log.error("a sensor ended", sensor=source.settings.place, reason=str(error))
