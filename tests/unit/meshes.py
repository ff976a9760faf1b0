"""A small deterministic network of peers for tests: a heap, fixed delays, and failures on request.

Training is answered at once with nothing learnt, unless `trains` is off: then a peer in epidemic
mode never pushes, which leaves peer sampling alone on the wire.
"""

import heapq
import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from gossip.actions import Action, Disconnect, Report, Send, SetTimer, Train
from gossip.antigens import Seal
from gossip.config import PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.events import Event, PeerLost, Received, Start, Stop, TimerFired, Trained
from gossip.fingerprint import Fingerprint
from gossip.membership import Membership
from gossip.messages import Entry, Shuffle, ShuffleReply
from gossip.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

FINGERPRINT = Fingerprint("schema 1", "4 values")
DELAY_US = 20_000


def peer_id(index: int) -> PeerId:
    return PeerId(f"p{index:04d}")


def contact(index: int) -> Contact:
    return Contact(peer_id(index), (f"/ip4/10.0.0.1/tcp/{index + 1}",))


def make_peer(
    index: int,
    config: PeerConfig | None = None,
    *,
    dim: int = 8,
    fingerprint: Fingerprint = FINGERPRINT,
    ages: int = 0,
    cycle: int = 0,
    seal: Seal | None = None,
) -> Peer:
    config = config or PeerConfig()
    vector = np.random.default_rng(index).normal(size=dim).astype(np.float32)
    held = np.full(config.fragments, ages, np.int64)
    return Peer(config, contact(index), b"seed", fingerprint, vector, held, cycle, seal)


class Mesh:
    """Peers by index. `reachable(a, b)` decides each frame; a frame that fails is reported lost."""

    def __init__(
        self,
        config: PeerConfig | None = None,
        *,
        trains: bool = True,
        seal: Seal | None = None,
    ) -> None:
        self.config = config or PeerConfig()
        self.seal = seal
        self.trains = trains
        self.now_us = 0
        self.peers: dict[PeerId, Peer] = {}
        self.reachable: Callable[[PeerId, PeerId], bool] = lambda a, b: True
        self.tells_failures = True
        self.sent: Counter[PeerId] = Counter()
        self.reports: list[tuple[int, PeerId, Report]] = []
        self.on_send: Callable[[PeerId, PeerId, bytes], None] = lambda a, b, f: None
        self._queue: list[tuple[int, int, PeerId, Event]] = []
        self._serial = itertools.count()

    def start(self, index: int, *, bootstrap: tuple[int, ...] = (), **kwargs: object) -> Peer:
        peer = make_peer(index, self.config, seal=self.seal)
        self.peers[peer.me.peer] = peer
        start = Start(bootstrap=tuple(contact(i) for i in bootstrap), **kwargs)  # type: ignore[arg-type]
        self._carry_out(peer.me.peer, peer.handle(start, self.now_us))
        return peer

    def crash(self, index: int) -> None:
        del self.peers[peer_id(index)]

    def stop(self, index: int) -> None:
        peer = self.peers[peer_id(index)]
        self._carry_out(peer.me.peer, peer.handle(Stop(), self.now_us))
        del self.peers[peer_id(index)]

    def tell(self, index: int, event: Event) -> None:
        peer = self.peers[peer_id(index)]
        self._carry_out(peer.me.peer, peer.handle(event, self.now_us))

    def run_cycles(self, cycles: int) -> None:
        end = self.now_us + cycles * self.config.cycle_us
        while self._queue and self._queue[0][0] <= end:
            self.now_us, _, to, event = heapq.heappop(self._queue)
            if to not in self.peers:
                continue
            self._carry_out(to, self.peers[to].handle(event, self.now_us))
        self.now_us = end

    def views(self) -> dict[PeerId, list[PeerId]]:
        return {p: [c.peer for c in peer.view] for p, peer in self.peers.items()}

    def _carry_out(self, me: PeerId, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(to, frame):
                    self.sent[me] += 1
                    self.on_send(me, to.peer, frame)
                    if to.peer in self.peers and self.reachable(me, to.peer):
                        self._push(DELAY_US, to.peer, Received(me, frame))
                    elif self.tells_failures:
                        self._push(DELAY_US, me, PeerLost(to.peer, "no route"))
                case SetTimer(timer, at_us):
                    self._push(at_us - self.now_us, me, TimerFired(timer))
                case Train(cycle, _):
                    if self.trains:
                        self._push(DELAY_US, me, Trained(cycle, None, 0, float("nan")))
                case Report():
                    self.reports.append((self.now_us, me, action))
                case Disconnect():
                    pass

    def _push(self, after_us: int, to: PeerId, event: Event) -> None:
        heapq.heappush(self._queue, (self.now_us + after_us, next(self._serial), to, event))


class Siege:
    """Honest memberships under attack, one shuffle period at a time.

    In each period every honest peer is called by `calls` hostile ones just after its own period
    began, so that they take all that uninvited callers may take. Hostile peers answer every
    shuffle with lies only: colluders, or beside two colluders identities that do not exist.
    """

    def __init__(self, peers: int, hostile: int, config: PeerConfig, *, invents: bool) -> None:
        self._rng = random.Random(1)
        self._invents = invents
        self._config = config
        self._invented = itertools.count()
        self.colluders = [PeerId(f"h{i}") for i in range(hostile)]
        self.honest = {
            p: Membership(config, Contact(p), b"seed")
            for p in (PeerId(f"g{i}") for i in range(peers - hostile))
        }
        first = next(iter(self.honest))
        for p, member in self.honest.items():
            if p != first:
                reply = self.honest[first].answer(p, member.ask(Contact(first)))
                if reply is None:
                    raise AssertionError("a first question is always answered")
                member.absorb_reply(first, reply)

    def run(self, periods: int, calls: int) -> None:
        for _ in range(periods):
            order = list(self.honest)
            self._rng.shuffle(order)
            for p in order:
                self._one_period(p, self.honest[p], calls)

    def _one_period(self, p: PeerId, member: Membership, calls: int) -> None:
        for late in member.overdue():
            member.lose(late)
        questions = member.begin_shuffle()
        for h in self._rng.sample(self.colluders, calls):
            member.answer(h, Shuffle((), self._lies()))
        for target, question in questions:
            if target.peer in self.honest:
                reply = self.honest[target.peer].answer(p, question)
                if reply is not None:
                    member.absorb_reply(target.peer, reply)
            elif target.peer in self.colluders:
                member.absorb_reply(target.peer, ShuffleReply((), self._lies()))
            else:
                member.lose(target.peer)
        for chosen in member.neighbours(1, self._rng.getrandbits(40)):
            if chosen.peer not in self.honest and chosen.peer not in self.colluders:
                member.lose(chosen.peer)

    def _lies(self) -> tuple[Entry, ...]:
        count = self._config.shuffle_size
        if not self._invents:
            names = self._rng.sample(self.colluders, count)
        else:
            names = self._rng.sample(self.colluders, 2)
            names += [PeerId(f"x{next(self._invented)}") for _ in range(count - 2)]
        return tuple(Entry(Contact(n)) for n in names)

    def dishonest_share(self) -> float:
        """Share of hostile or invented peers among the neighbours that honest ones would choose."""
        chosen = [
            c.peer
            for member in self.honest.values()
            for serial in range(20)
            for c in member.neighbours(1, 2**41 + serial)
        ]
        return sum(p not in self.honest for p in chosen) / len(chosen)
