"""What events and traces do to peers: spans of absence, from deeds in the order of time."""

from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.conditions.churn import COMING, GOING, Deed
from scenarios.conditions.presence import BEFORE_US, NEVER_US, Away


@dataclass(frozen=True, slots=True)
class Happens:
    """One deed told to one peer.

    Args:
        at_us: when, simulated microseconds.
        deed: what.
        back_us: when a peer that goes comes back by itself; None if another deed has to say so.
    """

    at_us: int
    deed: Deed
    back_us: int | None = None


def absences_told(told: Sequence[Happens], join_us: int) -> list[Away]:
    """The spans for which events and traces keep one peer away.

    A deed that does not fit does nothing: a crash before the peer has joined or while a deed keeps
    it away, a return of one that no deed took away.

    Args:
        told: what the peer is told, in the order of time.
        join_us: when it starts for the first time.
    """
    spans = [Away(BEFORE_US, join_us)]
    gone: Happens | None = None
    for each in told:
        if each.at_us < join_us:
            continue
        if each.deed in GOING and gone is None:
            if each.back_us is None:
                gone = each
            else:
                spans.append(Away(each.at_us, each.back_us, each.deed))
        elif each.deed in COMING and gone is not None:
            spans.append(Away(gone.at_us, each.at_us, gone.deed, each.deed))
            gone = None
    if gone is not None:
        spans.append(Away(gone.at_us, NEVER_US, gone.deed))
    return spans
