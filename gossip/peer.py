"""The protocol: events in, actions out. No I/O, no clock, no hidden randomness.

    Start ─┬─ JOIN timer ──── ask bootstrap and remembered peers until somebody answers
           ├─ SHUFFLE timer ─ exchange view entries (gossip.membership)
           └─ CYCLE timer ─── ask for training, push the model (gossip.exchange)
    Received ─ decode ─ fingerprint ─ merge │ answer │ refuse │ report a fault
    Present ─ hold the antigen, tell neighbours (gossip.immunity)
    Contribute ─ numbers for the mesh's mean, which rides on models (gossip.averaging)
    Stop ──── say good-bye

Invariant, whatever arrives in whatever order: the vector is finite and ages never decrease; the
view is bounded and holds neither us nor anybody twice; each timer is armed at most once; the only
answer to a bad frame is a report and a disconnection; of antigens, a bounded number is held, each
signed by its origin, none that its origin is known to have revoked or renewed, our own always; and
none is asked for that is held, nor twice in one cycle.
"""

from collections.abc import Iterable
from dataclasses import replace

from gossip.actions import Action, Disconnect, Report, Send, Topic, Train
from gossip.antigens import Antigen, Seal, told
from gossip.averaging import Averaging
from gossip.codec import MismatchError, decode, encode, frame_bytes_max
from gossip.config import PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.draws import Purpose, choose, fraction
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
from gossip.exchange import STRATEGIES
from gossip.fingerprint import Fingerprint
from gossip.immunity import Immunity
from gossip.membership import Membership
from gossip.merge import Ages, Vector
from gossip.messages import (
    Give,
    Have,
    Leave,
    Message,
    Model,
    Refuse,
    Shuffle,
    ShuffleReply,
    Want,
)
from gossip.model import LocalModel
from gossip.neighbours import FixedNeighbours
from gossip.pushsum import Vector as Numbers
from gossip.strangers import Strangers
from gossip.timers import Timers

FAREWELLS_MAX = 16


class Peer:
    """One participant of the mesh.

    Args:
        config: protocol settings.
        me: own identity and the addresses told to others.
        seed: source of every random choice; secret in a live node, at most 64 bytes.
        fingerprint: what others must share before models are merged.
        vector: initial model, float32 `(dim,)`, finite; copied.
        ages: int64 `(config.fragments,)`, None for a model that has absorbed nothing.
        cycle: cycles lived before, so that a restarted peer goes on counting.
        seal: checks what others signed; None takes no part in antigens.
        epoch_s: seconds since 1970 when the driver's clock showed 0.
    """

    __slots__ = (
        "_averaging", "_config", "_cycle", "_digest", "_fingerprint", "_fixed", "_frame_bytes_max",
        "_greeted", "_immunity", "_membership", "_model", "_out", "_seed", "_serial", "_state",
        "_strangers", "_strategy", "_timers", "_training", "me",
    )  # fmt: skip

    def __init__(
        self,
        config: PeerConfig,
        me: Contact,
        seed: bytes,
        fingerprint: Fingerprint,
        vector: Vector,
        ages: Ages | None = None,
        cycle: int = 0,
        seal: Seal | None = None,
        epoch_s: float = 0.0,
    ) -> None:
        self.me = me
        self._config = config
        self._seed = seed
        self._fingerprint = fingerprint
        self._digest = fingerprint.digest
        self._model = LocalModel(config, vector, ages)
        self._strategy = STRATEGIES[config.exchange](config, self._model)
        # Both counters index draws and must not repeat in a later life with the same seed.
        self._serial = cycle << 20
        self._membership = Membership(config, me, seed, cycle << 20)
        self._cycle, self._greeted = cycle, -1
        self._frame_bytes_max = frame_bytes_max(len(self._model.vector))
        self._fixed: FixedNeighbours | None = None
        self._training: int | None = None
        self._timers = Timers(config, me.peer, seed)
        self._strangers = Strangers(config)
        self._state = "new"
        self._out: list[Action] = []
        self._averaging = Averaging(config.sums_length)
        self._immunity: Immunity | None = None
        if seal is not None and config.antigens_max:
            self._immunity = Immunity(
                me.peer, seed, config.antigens_max, fingerprint.schema, cycle, seal, epoch_s
            )

    @property
    def vector(self) -> Vector:
        """The model as it is now, float32 `(dim,)`; read-only."""
        view = self._model.vector.view()
        view.flags.writeable = False
        return view

    @property
    def ages(self) -> Ages:
        """Updates absorbed by each fragment, int64 `(fragments,)`; a copy."""
        return self._model.ages.copy()

    @property
    def cycle(self) -> int:
        """Cycles begun, including those of earlier lives."""
        return self._cycle

    @property
    def view(self) -> tuple[Contact, ...]:
        """Peers we may send to now: the view, or the fixed neighbours that are not down."""
        if self._fixed is None:
            return self._membership.view.contacts()
        return self._fixed.up()

    @property
    def remembered(self) -> tuple[Contact, ...]:
        """Contacts to hand to `Start` in the next life."""
        return self._membership.remembered()

    @property
    def norms(self) -> tuple[Antigen, ...]:
        """Norms that are held, our own among them, by origin; nobody rehearses these."""
        return () if self._immunity is None else self._immunity.norms

    @property
    def antigens(self) -> tuple[Antigen, ...]:
        """All of families that are held, ours among them, by family and origin; no revocations.

        They were live when the present cycle began, or have come since.
        What four other origins say of a family, a fifth adds nothing to: nobody would hold it.
        """
        return () if self._immunity is None else self._immunity.antigens

    @property
    def kept(self) -> tuple[Antigen, ...]:
        """All that are held, revocations too, to hand to `Start` in the next life.

        Revocations among it for which there was no room: what they revoke stays away then, too.
        """
        return () if self._immunity is None else self._immunity.kept

    @property
    def mesh(self) -> tuple[Numbers, int] | None:
        """What the mesh has on average, and how many distinct peers that rests on at least.

        The numbers are float64 `(config.sums_length,)` in [0, 1]; None where `sums_length` is 0,
        and before three arrivals. This peer's own word is in it only as far as others pass it on.
        """
        return self._averaging.mesh

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """Take one event; give what the driver must do, in order.

        Args:
            event: the first must be `Start`; everything after `Stop` is ignored.
            now_us: the driver's clock in microseconds; never runs backwards.

        Raises:
            ValueError: the driver broke its side of the contract.
        """
        if self._state == "stopped":
            return []
        if isinstance(event, Start) != (self._state == "new"):
            raise ValueError("Start must be the first event, and come once")
        self._out = []
        match event:  # the most frequent first
            case Received():
                self._on_frame(event.sender, event.frame, now_us)
            case TimerFired():
                self._on_timer(event.timer, now_us)
            case Trained():
                self._on_trained(event)
            case _:
                self._on_seldom(event, now_us)
        if self._fixed is None and self._state == "running":
            self._keep_joining(now_us)
        return self._out

    def _on_seldom(
        self, event: Contribute | PeerLost | Present | Shun | Start | Stop, now_us: int
    ) -> None:
        match event:
            case PeerLost(peer, reason):
                self._lose(peer, Topic.PEER_LOST, reason)
            case Present(antigen):
                self._on_present(antigen, now_us)
            case Contribute(numbers):
                if why := self._averaging.contribute(numbers):
                    self._report(Topic.SHED, detail=why)
            case Start():
                self._on_start(event, now_us)
            case Shun(peers) if self._immunity is not None:
                self._immunity.shun(peers)
            case Stop():
                self._on_stop()

    # Timers

    def _on_start(self, event: Start, now_us: int) -> None:
        self._state = "running"
        if event.neighbours is not None:
            others = {c.peer: c for c in event.neighbours if c.peer != self.me.peer}
            self._fixed = FixedNeighbours(tuple(others.values()), event.turns)
        if self._immunity is not None:
            self._immunity.restore(event.antigens, now_us)
        self._out.append(self._timers.begin(Timer.CYCLE, now_us, self._tick()))
        if self._fixed is None:
            self._membership.remember(event.bootstrap, event.remembered)
            self._out.append(self._timers.begin(Timer.SHUFFLE, now_us, self._tick()))

    def _on_timer(self, timer: Timer, now_us: int) -> None:
        due_us = self._timers.fired(timer)
        if timer is Timer.JOIN:
            return  # _keep_joining does the rest
        self._out.append(self._timers.again(timer, due_us, now_us, self._tick()))
        if timer is Timer.CYCLE:
            self._begin_cycle(now_us)
        else:
            for late in self._membership.overdue():
                self._lose(late, Topic.PEER_LOST, "did not answer a shuffle")
            for target, question in self._membership.begin_shuffle():
                self._send(target, question)

    def _tick(self) -> int:
        self._serial += 1
        return self._serial

    def _keep_joining(self, now_us: int) -> None:
        """While nobody is known, ask again and again, at growing intervals, for ever."""
        if Timer.JOIN in self._timers:
            return
        questions = self._membership.call_out()
        if not questions:
            return  # somebody is known; or this is the first of a mesh, and others will find it
        for target, question in questions:
            self._send(target, question)
        attempts = self._membership.attempts
        timer = self._timers.join(attempts - 1, now_us, self._tick())
        names = ", ".join(target.peer for target, _ in questions)
        pause_s = (timer.at_us - now_us) / 1e6
        self._report(
            Topic.ISOLATED,
            detail=f"asked {names}; next attempt in {pause_s:.1f} s",
            value=float(attempts),
        )
        self._out.append(timer)

    # Cycles

    def _begin_cycle(self, now_us: int) -> None:
        self._cycle += 1
        self._strangers.begin_cycle(self._cycle)
        if self._fixed is not None:
            self._fixed.begin_cycle(self._cycle)
        antigens: tuple[Antigen, ...] = ()
        if self._immunity is not None:
            self._immunity.begin_cycle(self._cycle, now_us)
            antigens = self._immunity.others
        self._averaging.begin_cycle()
        self._push(self._strategy.on_cycle(self._coin(self._cycle, Purpose.TOKEN)))
        if self._training is None:
            self._training = self._cycle
            self._out.append(Train(self._cycle, self._model.vector.copy(), antigens))

    def _on_trained(self, event: Trained) -> None:
        if event.cycle != self._training:
            raise ValueError(f"trained for cycle {event.cycle}, but {self._training} was asked for")
        if event.updates < 0:
            raise ValueError(f"{event.updates} updates; an age never decreases")
        self._training = None
        if event.delta is not None:
            if event.delta.shape != self._model.vector.shape:
                raise ValueError(f"a delta of shape {event.delta.shape} does not fit the model")
            kept = self._model.add(event.delta, event.updates)
            detail = "" if kept else "discarded: training diverged"
            self._report(Topic.TRAINED, detail=detail, value=event.loss)
        self._push(self._strategy.on_trained())

    def _push(self, count: int, *, greets: bool = False) -> None:
        if count == 0:
            return
        serial = self._tick()
        targets = self._neighbours(count, serial)
        if not targets:
            return
        fragments = self._config.fragments_per_push
        indices = self._model.draw_fragments(self._seed, self.me.peer, serial, fragments)
        asks = greets or self._strategy.asks_for_answer
        message = self._own_model(serial, indices, answer=asks)
        frame = encode(message, self._digest)
        for target in targets:
            self._out.append(Send(target, frame))
            self._strategy.on_pushed(target.peer)
            if message.sums is not None and target is not targets[-1]:
                message = replace(message, sums=None)  # what one was given no other may have
                frame = encode(message, self._digest)

    def _neighbours(self, count: int, serial: int) -> list[Contact]:
        if self._fixed is None:
            return self._membership.neighbours(count, serial, self._strangers.refused)
        able = self._fixed.able(self._cycle, self._strangers.refused)
        return choose(able, count, self._seed, self.me.peer, serial, Purpose.NEIGHBOUR)

    def _coin(self, serial: int, purpose: Purpose) -> float:
        return fraction(self._seed, self.me.peer, serial, purpose) if self._strategy.flips else 0.0

    def _own_model(
        self, serial: int, indices: Iterable[int], *, answer: bool, sums: bool = True
    ) -> Model:
        """For one peer: with it goes half of what we hold of the mesh's mean, unless told not."""
        holds = b"" if self._immunity is None else self._immunity.holds
        me, given = self.me.peer, self._averaging.share() if sums else None
        return self._model.message(
            self._seed, me, serial, indices, answer=answer, holds=holds, sums=given
        )

    # Antigens

    def _on_present(self, antigen: Antigen, now_us: int) -> None:
        if self._immunity is None:
            self._report(Topic.SHED, detail="an antigen of our own, for we take no part in them")
            return
        if why := self._immunity.present(antigen, now_us):
            self._report(Topic.SHED, detail=f"{why}: our own of {antigen.family}")
            return
        self._report(Topic.PRESENTED, detail=told(antigen), value=float(antigen.evidence))
        self._tell((antigen,), but=self.me.peer)

    def _on_antigens(self, sender: PeerId, message: Have | Want | Give, now_us: int) -> None:
        if self._immunity is None:
            return
        heard = self._immunity.hear(sender, message, now_us)
        for answer in heard.answers:
            self._send(Contact(sender), answer)
        if heard.shed:
            self._report(Topic.SHED, sender, heard.shed)
        for antigen in heard.new:
            self._report(Topic.ANTIGEN, sender, told(antigen), float(antigen.evidence))
        self._tell(heard.new, but=sender)

    def _tell(self, antigens: tuple[Antigen, ...], but: PeerId) -> None:
        """Name what is new to some neighbours, other than the one that it came from."""
        if not antigens:
            return
        fanout = self._config.antigen_fanout
        message = Have(b"".join(antigen.id for antigen in antigens))
        chosen = self._neighbours(fanout + 1, self._tick())
        for to in [contact for contact in chosen if contact.peer != but][:fanout]:
            self._send(to, message)

    # Frames

    def _on_frame(self, sender: PeerId, frame: bytes, now_us: int) -> None:
        try:
            message = decode(frame, self._digest, self._frame_bytes_max)
            self._on_message(sender, message, now_us)
            if self._strangers.refused and not isinstance(message, Refuse):
                self._strangers.forgive(sender)
        except MismatchError as error:
            self._refuse(sender, str(error))
        except RemoteError as error:
            self._report(Topic.REMOTE_FAULT, sender, str(error))
            self._out.append(Disconnect(sender, str(error)))

    def _on_message(self, sender: PeerId, message: Message, now_us: int) -> None:
        match message:
            case Model():
                self._on_model(sender, message, now_us)
            case Refuse(reason):
                self._report(Topic.REFUSED_BY, sender, reason)
                self._refuse(sender, "it refused us")
            case Leave():
                self._lose(sender, Topic.PEER_LEFT, "said good-bye")
            case Shuffle() | ShuffleReply():
                self._on_shuffle(sender, message)
            case Have() | Want() | Give():
                self._on_antigens(sender, message, now_us)

    def _on_shuffle(self, sender: PeerId, message: Shuffle | ShuffleReply) -> None:
        if self._fixed is not None:
            self._report(Topic.SHED, sender, "a shuffle in a fixed topology")
            return
        knew = len(self._membership.view)
        if isinstance(message, ShuffleReply):
            if not self._membership.absorb_reply(sender, message):
                self._report(Topic.SHED, sender, "a shuffle reply that nobody asked for")
        elif (reply := self._membership.answer(sender, message)) is None:
            self._report(Topic.SHED, sender, "more shuffles in one period than allowed")
            return
        else:
            self._send(Contact(sender), reply)
        self._greet(knew, sender)

    def _on_model(self, sender: PeerId, message: Model, now_us: int) -> None:
        if self._strangers.crowds(sender):
            self._report(Topic.SHED, sender, "more models in one cycle than allowed")
            return
        values = self._model.read(message.fragments)
        arrival = self._averaging.read(message.sums)
        self._strangers.count(sender)
        serial = self._tick()
        # Before merging, and of the same fragments: both sides of a pairwise exchange must average
        # the same two vectors, and a question must not be answered with much more than it brought.
        mutual = self._strategy.asks_for_answer  # else it greets, and who greets often gets no sums
        answers = message.answer and (mutual or self._config.greets)
        own = self._own_model(serial, values, answer=False, sums=mutual) if answers else None
        coin = self._coin(serial, Purpose.REACTIVE)
        verdict = self._strategy.on_model(sender, values, coin, wants_answer=message.answer)
        if message.holds:
            self._on_antigens(sender, Have(message.holds), now_us)
        if self._immunity is not None and (lacks := self._immunity.beyond(message.holds)):
            self._send(Contact(sender), Have(lacks))
        if verdict.shed:
            self._report(Topic.SHED, sender, verdict.shed)
            return
        self._report(Topic.MERGED, sender, value=float(verdict.merged))
        self._averaging.absorb(sender, arrival)
        if own is not None:
            self._send(Contact(sender), own)
        self._push(verdict.pushes)

    def _greet(self, knew: int, sender: PeerId) -> None:
        if not knew and len(self._membership.view):
            self._report(Topic.JOINED, sender)
            if self._config.greets and self._greeted != self._cycle:
                self._greeted = self._cycle  # once: who leaves and comes again costs no more models
                self._push(1, greets=True)

    # Peers that go

    def _refuse(self, sender: PeerId, reason: str) -> None:
        """Tell a peer once why we will not exchange with it, and forget it."""
        if not self._strangers.refuse(sender, self._cycle):
            return
        self._report(Topic.REFUSED, sender, f"{reason}; we have {self._fingerprint.text}")
        self._send(Contact(sender), Refuse(f"it has {self._fingerprint.text}"))
        self._membership.lose(sender)

    def _lose(self, peer: PeerId, topic: Topic, reason: str) -> None:
        self._averaging.lose(peer)
        if self._fixed is not None:
            known = self._fixed.lose(peer, self._cycle)
        else:
            known = self._membership.lose(peer)
        if known:
            self._report(topic, peer, reason)

    def _on_stop(self) -> None:
        for contact in self.view[:FAREWELLS_MAX]:
            self._send(contact, Leave())
        self._state = "stopped"
        self._timers.stop()

    # Output

    def _send(self, to: Contact, message: Message) -> None:
        known = self._membership.view.get(to.peer)
        to = replace(to, addresses=to.addresses or (known.addresses if known else ()))
        self._out.append(Send(to, encode(message, self._digest)))

    def _report(
        self, topic: Topic, peer: PeerId | None = None, detail: str = "", value: float = 0.0
    ) -> None:
        self._out.append(Report(topic, peer, detail, value))
