"""Drives a `Peer` in real time over a transport: one inbox, one loop.

    transport ─┐                       ┌─ Send ────── outbox per peer ── transport
    timers ────┼─ inbox ─ Peer.handle ─┼─ SetTimer ── deadline of the loop
    training ──┘                       ├─ Train ───── one worker thread ── Trained
                                       └─ Report ──── log and counters

Everything is bounded: the inbox, each outbox, the number of outboxes. What does not fit is shed
and counted; the protocol lives with dropped messages.
"""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import trio
from numpy.typing import NDArray

from gossip.actions import Action, Disconnect, Report, Send, SetTimer, Train
from gossip.antigens import Antigen
from gossip.contacts import PeerId
from gossip.errors import RemoteError
from gossip.events import (
    Contribute,
    Event,
    PeerLost,
    Present,
    Received,
    Shun,
    Start,
    Stop,
    Timer,
    TimerFired,
    Trained,
)
from gossip.peer import Peer
from node.p2p.transport import Transport

QUEUED_MAX = 4  # frames waiting for one peer; older ones are overtaken by newer models anyway
OUTBOXES_MAX = 64
FAREWELL_S = 0.75  # with the transport's 0.5 s, the last save and Python's end it fits into 2 s
"""Our choices; none is reached by honest peers at the default settings."""


class Driver:
    """One peer, live.

    Args:
        peer: fresh; `run` starts it.
        transport: already listening.
        train: trains in whatever way it likes off the loop; must not raise.
        report: called on the loop with each report.
        trained: called when a cycle's training has become part of the peer's model.
        inbox_max: events that may wait; frames over it are shed.
        record: called with each event, its time and the actions it caused, to keep a journal.
    """

    def __init__(
        self,
        peer: Peer,
        transport: Transport,
        *,
        train: Callable[[Train], Awaitable[Trained]],
        report: Callable[[Report], None],
        trained: Callable[[], None],
        inbox_max: int,
        record: Callable[[Event, int, Sequence[Action]], None] | None = None,
    ) -> None:
        self.peer = peer
        self.shed: Counter[str] = Counter()
        self._transport = transport
        self._train = train
        self._report = report
        self._trained = trained
        self._record = record
        self._timers: dict[Timer, int] = {}
        self._outboxes: dict[PeerId, deque[Send]] = {}
        self._stopping = trio.Event()
        self._inbox_in, self._inbox = trio.open_memory_channel[Event](inbox_max)

    def stop(self) -> None:
        """Ask for a polite end; `run` returns soon after."""
        self._stopping.set()

    def present(self, antigen: Antigen) -> bool:
        """Have the peer tell others of this; False where the inbox is full now."""
        return self._tell(Present(antigen))

    def contribute(self, numbers: NDArray[np.floating] | None) -> bool:
        """Have the peer put this into the mesh's mean from now on; False likewise."""
        return self._tell(Contribute(numbers))

    def shun(self, peers: tuple[PeerId, ...]) -> bool:
        """Have the peer neither hold nor pass on what these made; False likewise."""
        return self._tell(Shun(peers))

    def _tell(self, event: Event) -> bool:
        try:
            self._inbox_in.send_nowait(event)
        except trio.WouldBlock:
            return False
        return True

    async def run(self, start: Start) -> None:
        """Live until `stop`; then say good-bye, within FAREWELL_S."""
        self._transport.serve(self._on_frame, self._on_lost)
        async with trio.open_nursery() as nursery:
            self._handle(start, nursery)
            nursery.start_soon(self._end_loop_on_stop, nursery.cancel_scope)
            await self._loop(nursery)
        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + FAREWELL_S
            self._outboxes.clear()
            self._handle(Stop(), nursery)

    async def _end_loop_on_stop(self, scope: trio.CancelScope) -> None:
        await self._stopping.wait()
        scope.cancel()

    async def _loop(self, nursery: trio.Nursery) -> None:
        while True:
            due = min(self._timers.values(), default=None)
            deadline = float("inf") if due is None else due / 1e6
            with trio.move_on_at(deadline):
                self._handle(await self._inbox.receive(), nursery)
            now = self._now_us()
            for timer in [t for t, at in self._timers.items() if at <= now]:
                del self._timers[timer]
                self._handle(TimerFired(timer), nursery)

    @staticmethod
    def _now_us() -> int:
        return round(trio.current_time() * 1e6)  # truncated, a timer could seem early for ever

    async def _on_frame(self, sender: PeerId, frame: bytes) -> bytes:
        self._offer(Received(sender, frame))
        return b""

    def _on_lost(self, peer: PeerId, reason: str) -> None:
        self._offer(PeerLost(peer, reason))

    def _offer(self, event: Event) -> None:
        if not self._tell(event):
            self.shed["inbox full"] += 1

    def _handle(self, event: Event, nursery: trio.Nursery) -> None:
        now_us = self._now_us()
        actions = self.peer.handle(event, now_us)
        if self._record is not None:
            self._record(event, now_us, actions)
        for action in actions:
            match action:
                case Send():
                    self._queue(action, nursery)
                case SetTimer(timer, at_us):
                    self._timers[timer] = at_us
                case Train():
                    nursery.start_soon(self._run_training, action)
                case Disconnect(peer, reason):
                    self._outboxes.get(peer, deque()).clear()
                    nursery.start_soon(self._disconnect, peer, reason)
                case Report():
                    self._report(action)

        if isinstance(event, Trained):
            self._trained()

    async def _disconnect(self, peer: PeerId, reason: str) -> None:
        # Peers are disconnected for breaking the protocol only, so it is kept out for a while.
        await self._transport.disconnect(peer, reason, refuse=True)

    async def _run_training(self, action: Train) -> None:
        await self._inbox_in.send(await self._train(action))

    def _queue(self, send: Send, nursery: trio.Nursery) -> None:
        """One transfer at a time to each peer, so that a slow one delays nobody else."""
        peer = send.to.peer
        outbox = self._outboxes.get(peer)
        if outbox is not None:
            if len(outbox) == QUEUED_MAX:
                outbox.popleft()
                self.shed["outbox full"] += 1
            outbox.append(send)
        elif len(self._outboxes) >= OUTBOXES_MAX:
            self.shed["too many outboxes"] += 1
        else:
            self._outboxes[peer] = deque([send])
            nursery.start_soon(self._deliver, peer, self._outboxes[peer])

    async def _deliver(self, peer: PeerId, outbox: deque[Send]) -> None:
        try:
            while outbox:
                send = outbox.popleft()
                await self._transport.request(send.to, send.frame)
        except RemoteError as error:
            self._offer(PeerLost(peer, str(error)))
        finally:
            if self._outboxes.get(peer) is outbox:
                del self._outboxes[peer]
