"""The view of Cyclon: a bounded set of peers, renewed by shuffling.

Voulgaris, Gavidia, van Steen, "CYCLON: inexpensive membership management for unstructured P2P
overlays" (Journal of Network and Systems Management 13, 2005). One change for meshes smaller than
the view: the peer just shuffled with is kept where there is room, so that a small mesh ends up
fully known. What may enter a full view uninvited is decided in `gossip.membership`.
"""

from collections.abc import Container, Iterable

from gossip.codec import COUNTER_MAX
from gossip.contacts import Contact, PeerId
from gossip.messages import Entry


class View:
    """Entries by peer id, in the order of their arrival.

    Invariant: at most `size` entries, none of them `me`, no peer twice.
    """

    __slots__ = ("_entries", "_me", "_size")

    def __init__(self, me: PeerId, size: int) -> None:
        self._me = me
        self._size = size
        self._entries: dict[PeerId, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._entries

    def contacts(self) -> tuple[Contact, ...]:
        """Everybody in the view."""
        return tuple(e.contact for e in self._entries.values())

    def entries(self) -> list[Entry]:
        """Every entry, in the order of arrival."""
        return list(self._entries.values())

    def get(self, peer: PeerId) -> Contact | None:
        """The contact of a peer in the view."""
        entry = self._entries.get(peer)
        return None if entry is None else entry.contact

    def grow_older(self) -> None:
        """Age every entry by one shuffle."""
        for peer, entry in self._entries.items():
            self._entries[peer] = Entry(entry.contact, min(entry.age + 1, COUNTER_MAX))

    def oldest(self, avoid: Container[PeerId] = ()) -> Contact | None:
        """The entry that waited longest for news; the first to arrive among equals."""
        entries = [e for peer, e in self._entries.items() if peer not in avoid]
        return max(entries, key=lambda e: e.age).contact if entries else None

    def add(self, entry: Entry) -> bool:
        """Take an entry if there is room; whether the peer is in the view now.

        An entry about a peer in the view is discarded, as in Cyclon. So hearsay can neither send
        us astray by moving its addresses nor hide, by making it younger, that it is dead.
        """
        peer = entry.contact.peer
        if peer in self._entries:
            return True
        if peer == self._me or len(self._entries) >= self._size:
            return False
        self._entries[peer] = entry
        return True

    def meet(self, contact: Contact) -> bool:
        """A peer spoke to us and told its addresses; whether it is in the view now."""
        if contact.peer in self._entries:
            self._entries[contact.peer] = Entry(contact)
            return True
        return self.add(Entry(contact))

    def absorb(self, received: Iterable[Entry], sent: Iterable[PeerId]) -> None:
        """Fill empty places with received entries, then those of entries we gave away."""
        expendable = [p for p in dict.fromkeys(sent) if p in self._entries]
        for entry in received:
            if self.add(entry) or entry.contact.peer == self._me:
                continue
            if not expendable:
                return
            del self._entries[expendable.pop(0)]
            self.add(entry)

    def remove(self, peer: PeerId) -> bool:
        """Forget a peer; whether it was there."""
        return self._entries.pop(peer, None) is not None
