"""Saves what a node has learnt while it goes on learning."""

import trio

from gossip.errors import StateError
from node.logs import get_logger
from node.state.store import Snapshot, Store

_log = get_logger("node")


class Saver:
    """Saves snapshots off the loop, one at a time; of those that wait, only the newest.

    Args:
        store: open. A disk that refuses is said once, and tried again with the next snapshot.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: Snapshot | None = None
        self._asked = trio.Event()

    def ask(self, snapshot: Snapshot) -> None:
        """Have this saved soon."""
        self._waiting = snapshot
        self._asked.set()

    async def run(self) -> None:
        """Save what is asked for until cancelled; a save that was begun is finished."""
        trouble = False
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            snapshot, self._waiting = self._waiting, None
            if snapshot is None:
                continue
            try:
                await trio.to_thread.run_sync(self._store.save, snapshot)
            except StateError as error:
                if not trouble:  # once, and not in each cycle
                    _log.error("nothing was saved; going on without", reason=str(error))
                trouble = True
            else:
                if trouble:
                    _log.info("what is learnt is saved again")
                trouble = False
