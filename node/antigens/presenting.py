"""What this gateway tells of the attacks that it has evidence of, and when.

Nothing unless the operator shares (`AntigenSettings.share`). Rows of a family become an antigen
when there are enough of them, and a new one when there are twice as many or half its life is over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import LIFE_S_MAX, Antigen, Seal, is_family, is_live, signed
from gossip.contacts import PeerId
from gossip.draws import Purpose, generator
from gossip.errors import RemoteError
from gossip.immunity import ORIGINS_MAX
from gossip.learning.mixture import Mixture
from gossip.learning.scaling import Scaler
from gossip.learning.tolerance import AGREEING, Likeness
from node.config.settings import AntigenSettings

ORIGINS_ENOUGH = ORIGINS_MAX
"""Other origins that describe a family when one more would tell nobody anything: as many as a peer
holds."""

GROWTH = 2
"""A new antigen is made of so many times the rows of the last one. Our choice: means settle with
the root of the rows, and one more frame must be worth its bytes."""

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Labelled rows of one family, unscaled float32 `(n, features)`, of nobody else's use."""

    family: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class Due:
    """An antigen to be made: of what, and under which number."""

    evidence: Evidence
    serial: int
    created_s: int


def described(evidence: Evidence, seed: bytes) -> Mixture:
    """What would be said of these rows; the same rows and seed always give the same."""
    key = blake2b(evidence.family.encode(), digest_size=32, key=seed).digest()
    return Mixture.fit(evidence.rows, generator(key, "", len(evidence.rows), Purpose.ROWS))


class Presenter:
    """Decides what to present, makes it, and numbers it.

    Args:
        settings: whether to share, of how many rows, and for how long.
        origin: this node.
        schema: digest of the features, see `Fingerprint.schema`.
        seal: this node's.
        seed: secret; decides where a fit begins.

    Attributes:
        serials: the highest number used for each family. A family's numbers only grow, also where
            the clock was set back, and begin at the time, so that they grow even if this is lost.
    """

    def __init__(
        self, settings: AntigenSettings, origin: PeerId, schema: bytes, seal: Seal, seed: bytes
    ) -> None:
        self.serials: dict[str, int] = {}
        self._last: dict[str, Due] = {}
        self._agrees: dict[bytes, bool] = {}
        self._settings = settings
        self._origin = origin
        self._schema = schema
        self._seal = seal
        self._seed = seed

    def due(
        self,
        evidence: Iterable[Evidence],
        held: Sequence[Antigen],
        now_s: float,
        scaler: Scaler | None,
    ) -> tuple[Due, ...]:
        """What there is to say now.

        Args:
            evidence: rows by family, of this gateway's own.
            held: every antigen that the peer holds, its own among them.
            now_s: seconds since 1970.
            scaler: this gateway's; None as long as it has none, and nothing to say.
        """
        if not self._settings.share or scaler is None:
            return ()
        own, others = self._split(held, now_s)
        self._agrees = {k: v for k, v in self._agrees.items() if k in {a.id for a in others}}
        found = tuple(
            Due(each, self._next(each.family, now_s), int(now_s))
            for each in evidence
            if is_family(each.family)
            and self._is_due(each, own.get(each.family), now_s)
            and sum(self._same(each, other, scaler) for other in others) < ORIGINS_ENOUGH
        )
        self._last |= {due.evidence.family: due for due in found}
        return found

    def make(self, due: Due) -> Antigen:
        """Fit and sign: milliseconds, so not on the loop. Changes nothing here."""
        antigen = Antigen(
            self._origin,
            due.evidence.family,
            due.serial,
            len(due.evidence.rows),
            due.created_s,
            due.created_s + self._settings.life_us // 1_000_000,
            described(due.evidence, self._seed).pack(),
        )
        return signed(antigen, self._schema, self._seal)

    def withdrawals(self, held: Sequence[Antigen], now_s: float) -> tuple[Antigen, ...]:
        """What takes back all that is held of this node's own; none while it shares."""
        if self._settings.share:
            return ()
        own, _ = self._split(held, now_s)
        return tuple(
            signed(
                Antigen(
                    self._origin,
                    family,
                    self._next(family, now_s),
                    0,
                    int(now_s),
                    int(now_s) + LIFE_S_MAX,
                    b"",
                ),
                self._schema,
                self._seal,
            )
            for family in sorted(own)
        )

    def _split(
        self, held: Sequence[Antigen], now_s: float
    ) -> tuple[dict[str, Antigen], list[Antigen]]:
        """Own living antigens by family, and those of others."""
        told = [each for each in held if is_live(each, now_s) and not each.revokes]
        for each in held:
            if each.origin == self._origin:
                last = self.serials.get(each.family, 0)
                self.serials[each.family] = max(last, each.serial)
        own = {each.family: each for each in told if each.origin == self._origin}
        return own, [each for each in told if each.origin != self._origin]

    def _is_due(self, each: Evidence, held: Antigen | None, now_s: float) -> bool:
        """Whether there is something to say that was not said lately."""
        if len(each.rows) < self._settings.evidence_min:
            return False
        said: list[tuple[int, int, float]] = []  # rows, when, until when it is young
        if held is not None:
            said.append((held.evidence, held.created_s, (held.created_s + held.expires_s) / 2))
        if (last := self._last.get(each.family)) is not None:  # the peer may have no room for it
            young_s = last.created_s + self._settings.life_us / 2e6
            said.append((len(last.evidence.rows), last.created_s, young_s))
        if said and len(each.rows) >= GROWTH * max(count for count, _, _ in said):
            return True
        return not any(created_s <= now_s < until_s for _, created_s, until_s in said)

    def _same(self, evidence: Evidence, other: Antigen, scaler: Scaler) -> bool:
        """Whether another origin describes what we have seen. Looked at once for each antigen.

        What four keys say falsely must not keep an honest witness silent.
        """
        if other.family != evidence.family:
            return False
        if other.id not in self._agrees:
            try:
                told = Mixture.unpack(other.description, evidence.rows.shape[1])
            except RemoteError:
                return False
            rng = generator(self._seed, other.id.hex(), 0, Purpose.ROWS)
            self._agrees[other.id] = Likeness(told, scaler, rng).share(evidence.rows) >= AGREEING
        return self._agrees[other.id]

    def _next(self, family: str, now_s: float) -> int:
        self.serials[family] = max(self.serials.get(family, 0) + 1, int(now_s))
        return self.serials[family]
