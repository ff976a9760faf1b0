"""What this gateway tells of the attacks that it has evidence of, and when.

Nothing unless the operator shares (`AntigenSettings.share`); then by `gossip.learning.presenting`.
And what its benign rows are like, its norm, where the mesh is to scale alike.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import LIFE_S_MAX, NORM, Antigen, Seal, is_family, is_live, signed
from gossip.contacts import PeerId
from gossip.draws import Purpose, generator
from gossip.learning.mixture import Mixture
from gossip.learning.norms import NORM_ROWS_MIN, Norm
from gossip.learning.presenting import Said, Witness, is_due
from gossip.learning.scaling import Scaler
from node.config.settings import AntigenSettings

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Labelled rows of one family, unscaled float32 `(n, features)`, of nobody else's use.

    Or benign ones, with `NORM` in place of a family.
    """

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


def text_of(evidence: Evidence, seed: bytes) -> bytes:
    """The description in an antigen of these rows, or the norm of benign ones."""
    if evidence.family == NORM:
        return Norm.of(evidence.rows).pack()
    return described(evidence, seed).pack()


class Presenter:
    """Decides what to present, makes it, and numbers it.

    Args:
        settings: whether to share, of how many rows, and for how long.
        origin: this node.
        schema: digest of the features, see `Fingerprint.schema`.
        seal: this node's.
        seed: secret; decides where a fit begins.
        norms: whether to present a norm.

    Attributes:
        serials: the highest number used for each family. A family's numbers only grow, also where
            the clock was set back, and begin at the time, so that they grow even if this is lost.
    """

    def __init__(
        self,
        settings: AntigenSettings,
        origin: PeerId,
        schema: bytes,
        seal: Seal,
        seed: bytes,
        *,
        norms: bool = False,
    ) -> None:
        self.serials: dict[str, int] = {}
        self._last: dict[str, Said] = {}
        self._life_s = settings.life_us / 1e6
        self._settings = settings
        self._origin = origin
        self._schema = schema
        self._seal = seal
        self._seed = seed
        self._norms = norms
        self._witness = Witness(seed, origin)

    def reload(self, settings: AntigenSettings) -> None:
        """Go by these settings from the next training on."""
        self._settings, self._life_s = settings, settings.life_us / 1e6

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
        self._number(held)
        found = tuple(
            Due(each, self._next(each.family, now_s), int(now_s))
            for each in evidence
            if is_family(each.family)
            and self._is_due(
                each,
                held,
                now_s,
                partial(self._witness.same, rows=each.rows, scaler=scaler),
                self._settings.evidence_min,
            )
        )
        self._last |= {due.evidence.family: self._said(due) for due in found}
        return found

    def due_norm(self, benign: Rows, held: Sequence[Antigen], now_s: float) -> tuple[Due, ...]:
        """The same of benign rows: at most one, by the same rule of rows and of age.

        Args:
            benign: that this gateway trains on, unscaled float32 `(n, features)`.
            held: every norm that the peer holds, its own among them.
            now_s: seconds since 1970.
        """
        if not self._norms:
            return ()
        self._number(held)
        each = Evidence(NORM, benign)
        if not self._is_due(each, held, now_s, _never_the_same, NORM_ROWS_MIN):
            return ()
        due = Due(each, self._next(NORM, now_s), int(now_s))
        self._last[NORM] = self._said(due)
        return (due,)

    def make(self, due: Due) -> Antigen:
        """Fit and sign: milliseconds, so not on the loop. Changes nothing here."""
        antigen = Antigen(
            self._origin,
            due.evidence.family,
            due.serial,
            len(due.evidence.rows),
            due.created_s,
            due.created_s + self._settings.life_us // 1_000_000,
            text_of(due.evidence, self._seed),
        )
        return signed(antigen, self._schema, self._seal)

    def withdrawals(self, held: Sequence[Antigen], now_s: float) -> tuple[Antigen, ...]:
        """What takes back all that is held of this node's own and that it shares no longer."""
        self._number(held)
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
            for family in sorted(self._standing(held, now_s))
        )

    def _number(self, held: Sequence[Antigen]) -> None:
        """Numbers go on from those of what is held."""
        for each in held:
            if each.origin == self._origin:
                last = self.serials.get(each.family, 0)
                self.serials[each.family] = max(last, each.serial)

    def _standing(self, held: Sequence[Antigen], now_s: float) -> list[str]:
        """Families that others take our word on now, and that we share no longer."""
        return [
            each.family
            for each in held
            if each.origin == self._origin and is_live(each, now_s) and not each.revokes
            if not (self._norms if each.is_norm else self._settings.share)
        ]

    def _is_due(
        self,
        each: Evidence,
        held: Sequence[Antigen],
        now_s: float,
        same: Callable[[Antigen], bool],
        least: int,
    ) -> bool:
        last = self._last.get(each.family)  # the peer may have no room for it
        said = () if last is None else (last,)
        rows, me = len(each.rows), self._origin
        return is_due(each.family, rows, held, me, now_s, same, said, least)

    def _next(self, family: str, now_s: float) -> int:
        self.serials[family] = max(self.serials.get(family, 0) + 1, int(now_s))
        return self.serials[family]

    def _said(self, due: Due) -> Said:
        """What is remembered of it: rows by their number alone."""
        return Said(len(due.evidence.rows), due.created_s, due.created_s + self._life_s)


def _never_the_same(_: Antigen) -> bool:
    """Of norms each origin's counts, whatever the others say."""
    return False
