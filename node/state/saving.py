"""Saves what a node has learnt while it goes on learning.

Alerts come first: a disk that is nearly full is left to them, and what is learnt stays in memory
until there is room again.
"""

import os
from collections.abc import Callable
from pathlib import Path

import trio

from gossip.errors import StateError
from node.logs import get_logger
from node.service.health import Health
from node.state.store import Snapshot, Store

RESERVE_BYTES = 16 * 2**20
RESERVE_SHARE = 0.05
"""Room that saving leaves on the disk: so much, or so great a share of a small one. An alert is
2 kB (measured), so the former is half a day of alerts at the default rate. Our choice."""

RETRY_S_MIN, RETRY_S_MAX = 1.0, 300.0
"""Pause after a save that failed, doubled each time. Our choice: a broken disk is asked, and the
log told, no oftener than that, and five minutes after it is mended all is saved."""

_log = get_logger("node")


def room(folder: Path) -> tuple[int, int]:
    """Free bytes for this user on the disk of a folder, and those that saving leaves alone.

    Raises:
        OSError: the disk cannot be asked.
    """
    about = os.statvfs(folder)
    size = about.f_blocks * about.f_frsize
    return about.f_bavail * about.f_frsize, min(RESERVE_BYTES, int(RESERVE_SHARE * size))


class Saver:
    """Saves snapshots off the loop, one at a time; of those that wait, only the newest.

    Args:
        store: open. A disk that refuses is said once, and tried again after a pause.
        health: told what is not saved, and why.
        room: see `room`.
    """

    def __init__(
        self,
        store: Store,
        health: Health | None = None,
        room: Callable[[Path], tuple[int, int]] = room,
    ) -> None:
        self._store = store
        self._health = health or Health()
        self._room = room
        self._waiting: Snapshot | None = None
        self._asked = trio.Event()

    def ask(self, snapshot: Snapshot) -> None:
        """Have this saved soon."""
        self._waiting = snapshot
        self._health.not_saved_cycles += bool(self._health.not_saved)
        self._asked.set()

    async def run(self) -> None:
        """Save what is asked for until cancelled; a save that was begun is finished."""
        health, pause_s = self._health, RETRY_S_MIN
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            snapshot, self._waiting = self._waiting, None
            if snapshot is None:
                continue
            try:
                await trio.to_thread.run_sync(self._save, snapshot)
            except StateError as error:
                if not health.not_saved:  # once, and not in each cycle
                    _log.error("nothing was saved; going on without", reason=str(error))
                    health.not_saved_cycles = 1
                health.not_saved = str(error)
                if self._waiting is None:
                    self._waiting = snapshot
                    self._asked.set()
                await trio.sleep(pause_s)
                pause_s = min(RETRY_S_MAX, 2 * pause_s)
            else:
                if health.not_saved:
                    _log.info("what is learnt is saved again", missed=health.not_saved_cycles - 1)
                health.not_saved, health.not_saved_cycles, pause_s = "", 0, RETRY_S_MIN

    def _save(self, snapshot: Snapshot) -> None:
        folder = self._store.folder
        try:
            free, reserve = self._room(folder)
        except OSError as error:
            raise StateError(f"{folder}: the disk cannot be asked ({error.strerror})") from error
        # A generation is smaller than what is left alone, so alerts find some of it.
        if free < reserve:
            raise StateError(
                f"{folder}: {free / 2**20:.1f} MiB are free, and the last {reserve / 2**20:.1f} "
                "MiB are kept for alerts; free some space"
            )
        self._store.save(snapshot)
