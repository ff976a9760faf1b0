"""A node's part in antigens: what it presents of its own, and which of others' it learns from.

    Train ── plan ── carry out ── settle
             loop    worker       loop

What is heavy runs where training runs. The loop alone changes what the status shows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gossip.actions import Train
from gossip.antigens import EVIDENCE_MIN, NORM, Antigen, is_family, is_live
from gossip.contacts import PeerId
from gossip.errors import StateError
from gossip.learning.rehearsal import Rehearsal
from gossip.learning.tolerance import Verdict
from node.alerts.contributors import Source
from node.antigens import approvals
from node.antigens.leaving import size_of
from node.antigens.presenting import Due, Evidence, Presenter
from node.antigens.suspecting import Suspecting
from node.config.settings import AntigenSettings
from node.logs import get_logger
from node.rates import TokenBucket
from node.status.document import AntigensStatus, AntigenStatus
from node.vocabulary import Drawn
from node.watch.suspects import Suspects
from node.watch.watch import Watch

LINES_PER_MINUTE = 30
"""Log lines on quarantine. An origin can renew an antigen in every cycle, and each is judged."""

_SERIALS_MAX = 256
_SERIAL_MAX = 2**62

_log = get_logger("antigens")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one training needs, copied from what goes on changing."""

    cycle: int
    antigens: tuple[Antigen, ...]
    benign: NDArray[np.float32]
    held: NDArray[np.float32]
    own: tuple[str, ...]
    due: tuple[Due, ...]
    steps: int
    rows: int
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a plan."""

    drawn: Drawn | None
    seen: dict[bytes, AntigenStatus]
    made: tuple[Antigen, ...]
    approved: tuple[bytes, ...]
    trouble: str
    suspects: Suspects
    sources: tuple[Source, ...] = ()


class Immune:
    """See above.

    Args:
        settings: whether to take part, and whether to share.
        me: this node.
        folder: its state folder, where approvals are.
        presenter: of its own.
        rehearsal: of others'.
        seed: secret.
        now_s: any clock that does not go back.
    """

    def __init__(
        self,
        settings: AntigenSettings,
        me: PeerId,
        folder: Path,
        presenter: Presenter,
        rehearsal: Rehearsal,
        seed: bytes,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._me = me
        self._folder = folder
        self._presenter = presenter
        self._rehearsal = rehearsal
        self._seen: dict[bytes, AntigenStatus] = {}
        self._approved: tuple[bytes, ...] = ()
        self._trouble = ""
        self._ready: list[Antigen] = []
        self._lines = TokenBucket(LINES_PER_MINUTE)
        self._now_s = now_s
        self._suspecting = Suspecting(seed, rehearsal.budget)
        self._take_back = False

    # A life begins

    def begin(self, kept: Sequence[Antigen], now_s: float) -> None:
        """Take back what an earlier life shared, if this one does not."""
        standing = [each for each in kept if is_live(each, now_s)]
        taken_back = self._presenter.withdrawals(standing, now_s)
        if self._settings.use:
            self._ready += taken_back
        elif taken_back:
            _log.warning(
                "antigens.use = false, so what this node shared cannot be taken back and stands "
                "until it expires; run it once with use = true and share = false",
                families=sorted({each.family for each in taken_back}),
            )

    def saved(self, held: Sequence[Antigen]) -> dict[str, Any]:
        """What JSON can hold, for `restore` and for commands that look into the folder."""
        status: dict[str, Any] = msgspec.to_builtins(self.status(held))
        return {"antigens": status, "serials": dict(self._presenter.serials)}

    def restore(self, saved: Any) -> None:
        """Take up the numbers of own antigens.

        Raises:
            ValueError: they are not what `saved` gives.
        """
        serials = msgspec.convert(saved, dict[str, int])
        sound = all(
            (is_family(f) or f == NORM) and 0 <= s <= _SERIAL_MAX for f, s in serials.items()
        )
        if not sound or len(serials) > _SERIALS_MAX:
            raise ValueError("the numbers of own antigens")
        self._presenter.serials.update(serials)

    def reload(self, settings: AntigenSettings, budget: float) -> None:
        """Go by these settings from the next training on.

        Args:
            settings: `use` as it was; where `share` is off now, what was shared is taken back.
            budget: share of benign flows that may alarm.
        """
        shared = self._take_back or self._settings.share
        self._take_back = shared and not settings.share
        self._settings = settings
        self._presenter.reload(settings)
        self._rehearsal.budget = budget
        self._suspecting.budget = budget

    # A training

    def plan(
        self,
        action: Train,
        watch: Watch,
        held: Sequence[Antigen],
        now_s: float,
        norms: Sequence[Antigen] = (),
    ) -> Plan:
        """On the loop, before a training.

        Args:
            action: asks for it, and has the antigens of others.
            watch: this gateway's rows.
            held: all antigens of the peer.
            now_s: seconds since 1970.
            norms: all norms of the peer.
        """
        config = watch.samples.config
        if self._take_back:
            self._take_back = False
            self._ready += self._presenter.withdrawals([*held, *norms], now_s)
        sharing, benign = self._settings.share and watch.ready, watch.benign
        due = self._presenter.due(watch.evidence() if sharing else (), held, now_s, watch.scaler)
        return Plan(
            action.cycle,
            action.antigens if watch.ready else (),
            benign,
            watch.held,
            tuple(
                config.names[family]
                for family in watch.samples.labelled
                if len(watch.samples.family(family)) >= EVIDENCE_MIN
            ),
            (*due, *self._presenter.due_norm(benign, norms, now_s)),
            config.steps,
            config.rows,
            self._suspecting.wanted(watch),
        )

    def carry_out(self, plan: Plan) -> Done:
        """In a worker, one call at a time. Does not raise."""
        approved, trouble = self._approved, ""
        try:
            approved = approvals.load(self._folder)
        except StateError as error:  # what was approved before stays so
            trouble = str(error)
        rehearsal = self._rehearsal
        rehearsal.review(plan.antigens, plan.benign, plan.held, plan.own, approved)
        found = rehearsal.draw(plan.cycle, plan.steps, max(1, plan.rows // 2))
        drawn = None if found is None else Drawn(*found)
        verdicts = rehearsal.verdicts
        seen = {each.id: _judged(each, verdicts[each.id]) for each in plan.antigens}
        made = tuple(self._presenter.make(due) for due in plan.due)
        suspects = self._suspecting.suspects(rehearsal, plan.evidence)
        sources = tuple(
            Source(each.id.hex(), each.family, each.origin, each.evidence, share)
            for each, share in rehearsal.drawn_from
        )
        return Done(drawn, seen, made, approved, trouble, suspects, sources)

    def settle(self, done: Done) -> None:
        """On the loop, after it."""
        for known, status in done.seen.items():
            before = self._seen.get(known)
            if before is None or before.state != status.state:
                self._say(status)
        self._seen, self._approved = done.seen, done.approved
        # What was being made while sharing was turned off stays here.
        self._ready += [each for each in done.made if each.is_norm or self._settings.share]
        if done.trouble != self._trouble and done.trouble:
            _log.error("approvals cannot be read; those read before hold", reason=done.trouble)
        self._trouble = done.trouble

    def tell(self, present: Callable[[Antigen], bool]) -> None:
        """Hand over what is to be presented; what is not taken now is kept for the next time."""
        while self._ready and present(self._ready[0]):
            del self._ready[0]

    # For people

    def status(self, held: Sequence[Antigen]) -> AntigensStatus:
        """For the status document.

        Args:
            held: all antigens of the peer.
        """
        settings = self._settings
        return AntigensStatus(settings.use, settings.share, tuple(self._of(each) for each in held))

    def _of(self, antigen: Antigen) -> AntigenStatus:
        if antigen.origin == self._me:
            return _status(antigen, "own")
        return self._seen.get(antigen.id) or _status(antigen, "waiting", "for the next training")

    def _say(self, status: AntigenStatus) -> None:
        if not self._lines.take(self._now_s()):
            return
        about = {"id": status.id, "family": status.family, "origin": status.origin}
        if status.state == "quarantined":
            _log.warning("quarantined an antigen", **about, reason=status.reason)
        else:
            _log.info("judged an antigen", **about, state=status.state)


def _judged(antigen: Antigen, verdict: Verdict) -> AntigenStatus:
    return _status(antigen, verdict.state.value, verdict.reason, verdict.false_alarms)


def _status(
    antigen: Antigen, state: str, reason: str = "", false_alarms: float | None = None
) -> AntigenStatus:
    return AntigenStatus(
        antigen.id.hex(),
        antigen.family,
        antigen.origin,
        antigen.evidence,
        antigen.created_s,
        antigen.expires_s,
        state,
        false_alarms,
        reason,
        size_of(antigen),
    )
