"""What can happen to a peer. A driver hands these to `Peer.handle`, one at a time."""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import Antigen
from gossip.contacts import Contact, PeerId
from gossip.records import record


class Timer(Enum):
    """The timers a peer owns. Each is armed at most once at any time."""

    CYCLE = "cycle"
    SHUFFLE = "shuffle"
    JOIN = "join"

    __hash__ = object.__hash__  # members are single: as right as Enum's and four times as fast


@record
class Start:
    """The driver is ready to carry out actions. The first event a peer gets, and only once.

    Args:
        bootstrap: peers to join by; they carry no authority and may be empty.
        remembered: peers known from an earlier life.
        neighbours: a fixed topology. When given, peer sampling is off and only these are used.
        turns: of a topology that changes with time: in cycle t, pushes go only to those neighbours
            that stand in `turns[t % len(turns)]`. Empty: to all of them in every cycle.
        antigens: held in an earlier life, see `Peer.kept`; each is looked at as if it were new.
    """

    bootstrap: tuple[Contact, ...] = ()
    remembered: tuple[Contact, ...] = ()
    neighbours: tuple[Contact, ...] | None = None
    turns: tuple[tuple[PeerId, ...], ...] = ()
    antigens: tuple[Antigen, ...] = ()


@record
class Received:
    """A whole frame arrived. `sender` is authenticated by the driver; `frame` is untrusted."""

    sender: PeerId
    frame: bytes


@record
class TimerFired:
    """A timer that was set has come due."""

    timer: Timer


@record
class Trained:
    """The training asked for by `Train(cycle, …)` is complete.

    Args:
        cycle: the cycle given in the `Train` action.
        delta: trained vector minus the vector given, float32 `(dim,)`; None where there was
            nothing to train on. It is added to the peer's present vector, so merges that
            happened meanwhile are kept.
        updates: local training steps taken; 0 with a delta of None.
        loss: mean training loss over these steps (natural-log units); NaN without steps.
    """

    cycle: int
    delta: NDArray[np.float32] | None
    updates: int
    loss: float


@record
class PeerLost:
    """A send failed or a connection ended. Everything queued for that peer is gone."""

    peer: PeerId
    reason: str


@record
class Present:
    """This peer has evidence of an attack, or takes back what it said; others shall know.

    Args:
        antigen: signed, of this peer's own.
    """

    antigen: Antigen


@record
class Contribute:
    """This peer has other numbers to add to the mesh's mean, from its next cycle on.

    Args:
        numbers: float32 or float64 `(PeerConfig.sums_length,)` in [0, 1], all of which others may
            come to know; None to say nothing more.
    """

    numbers: NDArray[np.floating] | None


@record
class Shun:
    """The operator keeps these peers out; whoever was kept out before and is not among them is not.

    What they made is neither held nor passed on, whoever brings it. That no frame of theirs comes
    in is for the driver to see to.
    """

    peers: tuple[PeerId, ...]


@record
class Stop:
    """Leave the mesh politely. The last event a peer gets."""


Event = Start | Received | TimerFired | Trained | PeerLost | Present | Contribute | Shun | Stop
