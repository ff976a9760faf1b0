"""Who is there when: a peer is up whenever no cause keeps it away.

Every kind of churn says only for which spans of time it keeps a peer away. Spans of different
causes may overlap: a peer whose own session has ended does not come back because an outage ends.
What is left is a list of changes in which going and coming alternate.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from scenarios.conditions.churn import Change, Deed

BEFORE_US = -1
"""Start of the span before a peer's first start."""

NEVER_US = 2**62
"""End of a span that nothing ends."""


@dataclass(frozen=True, slots=True)
class Away:
    """One span in which one cause keeps a peer away: `[start_us, end_us)`, microseconds.

    Args:
        start_us: when it goes; `BEFORE_US` for the span before its first start.
        end_us: when this cause lets it return; equal to `start_us` for a restart.
        going: `LEAVE` or `CRASH`.
        coming: `RETURN_KEPT` or `RETURN_FRESH`.
    """

    start_us: int
    end_us: int
    going: Deed = Deed.CRASH
    coming: Deed = Deed.RETURN_KEPT


def changes_of(peer: int, spans: Iterable[Away], until_us: int) -> list[Change]:
    """A peer's changes up to and including `until_us`, in time order.

    The first is its join; after it a going and a coming alternate. Where spans overlap, the first
    to begin says how the peer goes; it comes back when the last one ends, having lost its state if
    any of them says so.
    """
    changes: list[Change] = []
    merged = _merged([*spans, Away(BEFORE_US, 0)])
    for span in merged:
        if span.start_us >= 0:
            changes.append(Change(span.start_us, peer, span.going))
        changes.append(Change(span.end_us, peer, span.coming if changes else Deed.JOIN))
    return [change for change in changes if change.at_us <= until_us]


def _merged(spans: list[Away]) -> list[Away]:
    merged: list[Away] = []
    for span in sorted(spans, key=lambda span: span.start_us):
        last = merged[-1] if merged else None
        if last is None or span.start_us > last.end_us:
            merged.append(span)
            continue
        coming = (
            Deed.RETURN_FRESH if Deed.RETURN_FRESH in (last.coming, span.coming) else last.coming
        )
        merged[-1] = replace(last, end_us=max(last.end_us, span.end_us), coming=coming)
    return merged
