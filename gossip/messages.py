"""What peers say to each other. Bounds are checked by `gossip.codec` on the way in."""

from gossip.antigens import Antigen
from gossip.config import Encoding
from gossip.contacts import Contact
from gossip.pushsum import Sums
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
    """Fragments of the sender's model.

    Args:
        fragments: at least one, none of them twice.
        answer: asks the receiver for its own model in return.
        holds: ids of the antigens that the sender holds, as in `Have`; empty if none.
        sums: half of the sender's part in the mesh's mean; None if it has none, or gave it away.
    """

    fragments: tuple[Fragment, ...]
    answer: bool = False
    holds: bytes = b""
    sums: Sums | None = None


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


@record
class Have:
    """The sender holds these antigens now. `ids` are 8 bytes each, one after the other."""

    ids: bytes


@record
class Want:
    """Give me these antigens, which you said that you hold. `ids` as in `Have`."""

    ids: bytes


@record
class Give:
    """The antigens that were asked for, or some of them."""

    antigens: tuple[Antigen, ...]


Message = Model | Shuffle | ShuffleReply | Leave | Refuse | Have | Want | Give
