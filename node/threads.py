"""Work that must not hold up the event loop."""

from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")


async def off_the_loop(work: Callable[[], T]) -> T:
    """Do it in a worker thread. When cancelled, the work is left behind and its result dropped.

    So `work` may go on for a while after a cancellation; it must leave alone what is used then.
    """
    return await trio.to_thread.run_sync(
        work,
        abandon_on_cancel=True,  # type: ignore[call-arg]  # libp2p's stubs of trio are older
    )
