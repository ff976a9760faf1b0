"""A moment in a node's life, as an operator names it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gossip.errors import ConfigError, StateError
from node.config.quantities import parse_duration_us
from node.state.going_back import Info
from node.times import short_time

FORMS = (
    "a time such as 2026-11-23T10:00 (UTC unless it says another zone), a duration back from now "
    "such as 6h, cycle:1200, or generation:12"
)


@dataclass(frozen=True, slots=True)
class Since:
    """One moment.

    Args:
        kind: what `value` counts: seconds since 1970, cycles, or generations.
        value: of that kind.
        text: as it was written.
    """

    kind: Literal["time", "cycle", "generation"]
    value: float
    text: str

    def holds(self, at_s: float, cycle: int, number: int) -> bool:
        """Whether a moment is at or after this one."""
        here = {"time": at_s, "cycle": cycle, "generation": number}[self.kind]
        return here >= self.value


def parse(text: str, now_s: float) -> Since:
    """What an operator wrote.

    Args:
        text: one of `FORMS`.
        now_s: seconds since 1970.

    Raises:
        ConfigError: it is none of them.
    """
    kind, colon, number = text.partition(":")
    if colon and kind in {"cycle", "generation"} and number.isdecimal() and len(number) < 19:
        return Since("cycle" if kind == "cycle" else "generation", int(number), text)
    try:
        return Since("time", now_s - parse_duration_us(text) / 1e6, text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--since {text[:60]!r} is no moment; give {FORMS}") from None
    return Since("time", (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp(), text)


def newest_before(since: Since, found: Sequence[Info]) -> Info:
    """The newest sound generation of before a moment.

    Args:
        since: the moment.
        found: generations, newest first.

    Raises:
        StateError: none is old enough.
    """
    sound = [each for each in found if each.sound]
    for each in sound:
        if not since.holds(each.at_s, each.cycle, each.number):
            return each
    if not sound:
        raise StateError("no generation can be read, so there is none to go back to")
    oldest = sound[-1]
    raise StateError(
        f"no generation from before {since.text} is kept; the oldest is {oldest.number}, of "
        f"cycle {oldest.cycle}, {short_time(oldest.at_s)}. Name a later moment, or leave --since "
        "out: the peer is kept out then, and the model stays as it is"
    )
