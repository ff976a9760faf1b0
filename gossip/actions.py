"""What a peer asks its driver to do. `Peer.handle` returns these in the order to carry out."""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import Antigen
from gossip.contacts import Contact, PeerId
from gossip.events import Timer
from gossip.records import record


@record
class Send:
    """Deliver a frame, best effort. Failure comes back as `PeerLost`; success is not reported."""

    to: Contact
    frame: bytes


@record
class SetTimer:
    """Fire `timer` at `at_us` (the driver's clock, microseconds), once."""

    timer: Timer
    at_us: int


@record
class Train:
    """Train on local data, starting from `vector`, and answer with `Trained(cycle, …)`.

    `vector` is float32 `(dim,)`, a copy that the driver owns. At most one is outstanding.
    `antigens` are those of other peers that are held and live, by family and origin; whether to
    learn from one is the driver's to decide.
    """

    cycle: int
    vector: NDArray[np.float32]
    antigens: tuple[Antigen, ...] = ()


@record
class Disconnect:
    """Close every connection to a peer and drop what is queued for it."""

    peer: PeerId
    reason: str


class Topic(Enum):
    """What a report is about. The value is the name used in logs and metrics."""

    JOINED = "joined"  # the view went from empty to not empty
    ISOLATED = "isolated"  # nobody is known; detail says who was asked, value = attempts so far
    MERGED = "merged"  # a model was merged; value = fragments
    TRAINED = "trained"  # value = mean training loss
    PEER_LEFT = "peer-left"  # a peer said good-bye
    PEER_LOST = "peer-lost"  # a peer failed and left the view
    REFUSED = "refused"  # we refused a peer; detail says why
    REFUSED_BY = "refused-by"  # a peer refused us; detail is its reason
    REMOTE_FAULT = "remote-fault"  # a peer broke the protocol
    PRESENTED = "presented"  # our own antigen, or that we take one back; detail says which
    ANTIGEN = "antigen"  # another's was taken, from this peer; detail says which, value = evidence
    SHED = "shed"  # a well-formed message over a bound was ignored

    __hash__ = object.__hash__  # members are single: as right as Enum's and four times as fast


@record
class Report:
    """Something worth a log line or a counter. Never needed for the protocol to work."""

    topic: Topic
    peer: PeerId | None = None
    detail: str = ""
    value: float = 0.0


Action = Send | SetTimer | Train | Disconnect | Report
