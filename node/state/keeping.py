"""What a node keeps to look back at, and what follows from it: generations, ledger, exclusions.

Keeping ─┬─ load ────── newest snapshot, without what excluded peers told; goes back if it must
         ├─ recorder ── what the peer merged and took, for the ledger
         ├─ antigens ── which of others' are learnt from, for the ledger
         ├─ refresh ─── whom the operator excluded meanwhile
         └─ made ────── what a snapshot tells of itself
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from gossip.actions import Action, Report, Topic
from gossip.antigens import Antigen
from gossip.codec import decode
from gossip.config import Exchange
from gossip.contacts import PeerId
from gossip.errors import RemoteError, StateError
from gossip.events import Event, Received
from gossip.fingerprint import Fingerprint
from gossip.learning.tolerance import State
from gossip.merge import capped_age
from gossip.messages import Model
from gossip.peer import Peer
from node.antigens import kept
from node.config.settings import Settings
from node.logs import get_logger
from node.p2p.fence import Fenced
from node.p2p.transport import Transport
from node.state import exclusions, going_back
from node.state.ledger import Ledger, Signs
from node.state.snapshot import Snapshot, bytes_digest, vector_digest
from node.state.store import Store
from node.verdicts.book import Book
from node.watch.watch import Watch

_log = get_logger("state")

Recorder = Callable[[Event, int, Sequence[Action]], None]

IN_USE = frozenset(state.value for state in State if state.rehearsed)
"""States of antigens that are learnt from; see `AntigenStatus.state`."""


class Keeping:
    """See above.

    Args:
        store: open.
        me: this node.
        seal: its seal.
        settings: the node's.
        fingerprint: the peer's, to read frames.
        frame_bytes_max: likewise.

    Attributes:
        merged: told of each neighbour's model that was merged, and its mean weight in the whole,
            where there is a ledger.
    """

    def __init__(
        self,
        store: Store,
        me: PeerId,
        seal: Signs,
        settings: Settings,
        fingerprint: Fingerprint,
        frame_bytes_max: int,
    ) -> None:
        store.keep = settings.state.keep(settings.mesh.cycle_us)
        self._store, self._me, self._seal, self._settings = store, me, seal, settings.ledger
        self._config, self._digest = settings.mesh.peer_config(), fingerprint.digest
        self._frame_bytes_max = frame_bytes_max
        self._transport: Transport | None = None
        self._said: dict[str, str] | None = None
        self._flows_before = 0
        self._shun: Callable[[tuple[PeerId, ...]], bool] = lambda _: False
        self._shunned: tuple[PeerId, ...] = ()
        self._ledger: Ledger | None = None
        self._excluded: dict[PeerId, exclusions.Exclusion] = {}
        self._used: dict[str, tuple[str, str]] = {}
        self.merged: Callable[[str, float], None] = lambda _peer, _weight: None
        self._trouble = ""

    @property
    def ledger(self) -> Ledger | None:
        """Where things are noted; None where nothing is, and before `load`."""
        return self._ledger

    def note(self, what: str, **about: Any) -> None:
        """Have the ledger say this, where there is one."""
        if self._ledger is not None:
            self._ledger.note(what, **about)

    def load(self) -> Snapshot | None:
        """What `Store.load` gives, without what excluded peers told.

        Where an operator asked for it, the model is one from before an excluded peer's part in it.

        Raises:
            StateError: as `Store.load`; or the ledger or the list of exclusions cannot be read.
        """
        snapshot = self._store.load()
        folder = self._store.folder
        self._excluded = {each.peer: each for each in exclusions.load(folder)}
        if self._settings.use:
            noted = 0 if snapshot is None else int(snapshot.small.get("ledger", 0))
            size = self._settings.size_max_bytes
            self._ledger = Ledger(folder, self._me, self._seal, size, noted)
            self._store.before_save = self._flush
        if snapshot is None:
            self.note("begin", cycle=0)
            return None
        done = going_back.rebuild(self._store, snapshot, self._ledger, self._excluded.values())
        if done is not None:
            back, snapshot = done
            _log.warning(
                "the model went back to before excluded peers",
                generation=back.source,
                cycle=back.source_cycle,
                merges_gone=back.fell,
            )
        self._flows_before = int(snapshot.small.get("made", {}).get("flows") or 0)
        if self._excluded:
            snapshot = _without(snapshot, self._excluded)
        model = vector_digest(snapshot.arrays["peer.vector"])
        self.note("begin", cycle=snapshot.cycle, model=model)
        return snapshot

    def close(self) -> None:
        """Sign and write what is noted; the node stops."""
        if self._ledger is not None:
            self._ledger.checkpoint()

    # Who is kept out

    def excludes(self, peer: PeerId) -> str | None:
        """Why a peer is kept out; None for everybody else."""
        return "the operator excluded it" if peer in self._excluded else None

    def trusted(self, antigens: Sequence[Antigen]) -> tuple[Antigen, ...]:
        """Those that no excluded peer made."""
        return tuple(each for each in antigens if each.origin not in self._excluded)

    def fenced(self, transport: Transport) -> Transport:
        """The transport, but for excluded peers."""
        self._transport = Fenced(transport, self.excludes)
        return self._transport

    def begin(self, shun: Callable[[tuple[PeerId, ...]], bool]) -> None:
        """Have excluded peers' antigens neither held nor passed on.

        Args:
            shun: the driver's; False where it takes nothing now.
        """
        self._shun = shun
        self._tell()

    def _tell(self) -> None:
        peers = tuple(self._excluded)
        if peers != self._shunned and self._shun(peers):
            self._shunned = peers

    async def refresh(self) -> None:
        """Take up whom the operator excluded, or let in again, since the last look."""
        try:
            found = {each.peer: each for each in exclusions.load(self._store.folder)}
        except StateError as error:
            if self._trouble != str(error):
                _log.error("exclusions cannot be read; those read before hold", reason=str(error))
            self._trouble = str(error)
            return
        self._trouble = ""
        new = [peer for peer in found if peer not in self._excluded]
        lifted = [peer for peer in self._excluded if peer not in found]
        self._excluded = found
        self._tell()
        for peer in lifted:
            self.note("lift", peer=peer)
            _log.info("a peer may come in again", peer=peer)
        for peer in new:
            self.note("deny", peer=peer, since=found[peer].since)
            _log.warning("the operator excluded a peer", peer=peer)
            if self._transport is not None:
                await self._transport.disconnect(peer, "the operator excluded it", refuse=True)

    # What is noted

    def recorder(self, peer: Peer, others: Recorder | None = None) -> Recorder:
        """To be told of each event and what followed, as `Driver`'s `record`.

        Args:
            peer: that lives.
            others: told as well.
        """
        ages = peer.ages

        def record(event: Event, now_us: int, actions: Sequence[Action]) -> None:
            nonlocal ages
            if others is not None:
                others(event, now_us, actions)
            for action in actions:
                if not isinstance(action, Report) or not isinstance(event, Received):
                    continue
                if action.topic is Topic.MERGED:
                    self._merged(event, peer, ages.tolist())
                elif action.topic is Topic.ANTIGEN:
                    self.note("heard", peer=action.peer, detail=action.detail)
            ages = peer.ages

        return record

    def _merged(self, event: Received, peer: Peer, ages: list[int]) -> None:
        try:
            message = decode(event.frame, self._digest, self._frame_bytes_max)
        except RemoteError:  # what the peer merged it could read
            return
        if not isinstance(message, Model):
            return
        claimed = {part.index: part.age for part in message.fragments}
        own = [ages[index] for index in claimed]
        weights = [self._weight(age, mine) for age, mine in zip(claimed.values(), own, strict=True)]
        if known := [weight for weight in weights if weight is not None]:
            self.merged(event.sender, sum(known) / self._config.fragments)
        if self._ledger is None:
            return
        self.note(
            "merge",
            peer=event.sender,
            cycle=peer.cycle,
            fragments=list(claimed),
            claimed=list(claimed.values()),
            ages=own,
            weights=weights,
            got=bytes_digest(part.data for part in message.fragments),
            model=vector_digest(peer.vector),
        )

    def _weight(self, claimed: int, own: int) -> float | None:
        """The part of what came in the merged fragment; None where the cycle's end decides."""
        if self._config.exchange is Exchange.EPIDEMIC:
            return None
        if self._config.exchange is Exchange.PAIRWISE:
            return 0.5
        age = capped_age(claimed, own, self._config.age_lead_max, self._config.age_max)
        return round(age / (age + own), 6) if age + own else 0.5

    def antigens(self, seen: Mapping[bytes, Any]) -> None:
        """Note which antigens are learnt from now, and which no longer.

        Args:
            seen: by id, as `node.antigens.immune.Done.seen`.
        """
        used = {
            each.id: (each.family, each.origin) for each in seen.values() if each.state in IN_USE
        }
        changes = (("antigen in use", used, self._used), ("antigen out of use", self._used, used))
        for what, these, others in changes:
            for name, (family, origin) in these.items():
                if name not in others:
                    self.note(what, id=name, family=family, peer=origin)
        self._used = used

    def verdicts(self, book: Book) -> None:
        """Note what was said of incidents since the last look, or taken back.

        Args:
            book: has all of it.
        """
        said = {each.incident: each.word for each in book.said}
        before = said if self._said is None else self._said  # the life before noted these
        for incident, word in said.items():
            if before.get(incident) != word:
                self.note("verdict", incident=incident, word=word)
        for incident in before:
            if incident not in said:
                self.note("verdict", incident=incident, word="none")
        self._said = said

    def _flush(self) -> None:
        if self._ledger is None:
            return
        before = self._ledger.trouble
        self._ledger.flush()
        if self._ledger.trouble and not before:
            _log.error("nothing is noted; going on without", reason=self._ledger.trouble)
        elif before and not self._ledger.trouble:
            _log.info("the ledger is written again", lost=self._ledger.lost)

    def made(self, watch: Watch, loss: float | None) -> dict[str, Any]:
        """What a snapshot tells of itself, for `hedgerow generations` and for the next life.

        Args:
            watch: that is saved.
            loss: of the last training.
        """
        alarms, held = watch.realised_rate()
        made = {
            "at_s": round(time.time(), 3),
            "flows": self._flows_before + watch.seen.flows,
            "state": watch.state.value,
            "loss": loss if loss is not None and isfinite(loss) else None,
            "alarms": alarms,
            "held": held,
        }
        return {"made": made, "ledger": 0 if self._ledger is None else self._ledger.number}


def _without(snapshot: Snapshot, excluded: Iterable[PeerId]) -> Snapshot:
    """The same without an excluded peer's antigens and addresses."""
    gone = dict.fromkeys(excluded)
    held = tuple(each for each in kept.from_arrays(snapshot.arrays) if each.origin not in gone)
    remembered = [each for each in snapshot.small["remembered"] if each[0] not in gone]
    return replace(
        snapshot,
        arrays=snapshot.arrays | kept.to_arrays(held),
        small=snapshot.small | {"remembered": remembered},
    )
