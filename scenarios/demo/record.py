"""What a run of the demo was: its times, what was seen at each look, and what was promised."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from node.status.document import Status
from scenarios.demo.feeds import Feed
from scenarios.demo.marks import Marks

QUIET_S = 18.0
BUSY_S = 65.0
SETTLE_S = 16.0
KILL_S = QUIET_S + 0.7 * BUSY_S
RETURN_S = KILL_S + 10.0
END_S = QUIET_S + BUSY_S + SETTLE_S
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Moment:
    """What was seen at one look.

    Args:
        at_s: since the first line was logged.
        statuses: by gateway; those that answered.
        marks: by gateway; empty at looks where nobody was judged.
    """

    at_s: float
    statuses: dict[str, Status]
    marks: dict[str, Marks]


@dataclass(frozen=True, slots=True)
class Check:
    """Something the demo promises: whether it held, and the evidence."""

    promise: str
    held: bool
    evidence: str


@dataclass(slots=True)
class Course:
    """The whole run.

    Args:
        feeds: the gateways.
        moments: in order of time.
        pieces: by gateway, the lines that its sensor logged in each cycle; what the control gets.
        final: marks of the models saved when everybody had stopped.
        checks: what was promised.
        events: what happened when, for people.
        victim: the gateway that was killed.
    """

    feeds: list[Feed]
    moments: list[Moment] = field(default_factory=list)
    pieces: dict[str, list[list[bytes]]] = field(default_factory=dict)
    final: dict[str, Marks] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    victim: str = ""


def sent(moments: Sequence[Moment], name: str) -> int:
    """Bytes that a gateway sent, all of libp2p included; its counter starts anew with it."""
    counts = [m.statuses[name].mesh.bytes_out for m in moments if name in m.statuses]
    return sum(counts[-1:]) + sum(before for before, now in pairwise(counts) if now < before)
