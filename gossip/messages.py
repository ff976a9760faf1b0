"""What peers say to each other. Bounds are checked by `gossip.codec` on the way in."""

from gossip.config import Encoding
from gossip.contacts import Contact
from gossip.records import record


@record
class Fragment:
    """One slice of a model, as it travels.

    Args:
        index: which slice.
        age: updates absorbed; a claim, capped before it is used as a weight.
        encoding: how `data` is to be read.
        scale: value of one int8 step; 1 for floats.
        data: little-endian numbers.
    """

    index: int
    age: int
    encoding: Encoding
    scale: float
    data: bytes


@record
class Model:
    """Fragments of the sender's model. `answer` asks the receiver for its own in return."""

    fragments: tuple[Fragment, ...]
    answer: bool = False


@record
class Entry:
    """A view entry: a contact and the number of shuffles since it was known alive."""

    contact: Contact
    age: int = 0


@record
class Shuffle:
    """Ask for view entries and offer some. `addresses` are the sender's own."""

    addresses: tuple[str, ...]
    entries: tuple[Entry, ...]


@record
class ShuffleReply:
    """The answer to a shuffle."""

    addresses: tuple[str, ...]
    entries: tuple[Entry, ...]


@record
class Leave:
    """The sender is about to stop."""


@record
class Refuse:
    """The sender will not exchange with us, and why, in words for a person."""

    reason: str


Message = Model | Shuffle | ShuffleReply | Leave | Refuse
