"""Which endpoints are servers, learnt from the flows themselves, for records that do not say.

A biflow of an answered connection carries a SYN on both sides, and its exporter puts the two
addresses in an order of its own. The side that others have connected to before is the server.

What teaches is only an exchange in which both sides spoke and nothing was refused: neither a scan's
unanswered probes nor refusals nor a flood with forged sources fills the table. Counts stop at
`COUNT_MAX`, so a known server can be drawn level with, and then the lower port decides, but not be
outdone. A full table halves the count of its least recently used endpoint until one reaches zero,
so that a known server outlives several times `SERVERS_MAX` endpoints that are new.
"""

from collections import OrderedDict

import msgspec

from gossip.errors import StateError

SERVERS_MAX = 4_096
"""Endpoints remembered. Our choice: the factory's recording fills 18 places. A full table is saved
in 41 kB (IPv4) or 90 kB (IPv6), one of 65,536 in 0.7 or 1.4 MB (measured)."""

COUNT_MAX = 64  # 7 rounds through a full table until forgotten; our choice

KEY_BYTES = (7, 19)  # protocol, port, and an address of either version

_snapshot = msgspec.msgpack.Decoder(dict[bytes, int])


def endpoint(proto: int, address: bytes, port: int) -> bytes:
    """A key of the table.

    Args:
        proto: number, 0 to 255.
        address: 4 or 16 bytes.
        port: 0 to 65535.
    """
    return bytes((proto, port >> 8, port & 0xFF)) + address


class Servers:
    """How often endpoints were lately the side that was connected to.

    Args:
        entries_max: endpoints remembered.
    """

    def __init__(self, entries_max: int = SERVERS_MAX) -> None:
        self._most = entries_max
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, key: bytes) -> int:
        """0 for one that is not known, `COUNT_MAX` at most."""
        return self._counts.get(key, 0)

    def note(self, key: bytes) -> None:
        """Count an endpoint once more. Takes constant time on average: it pays for what it adds."""
        counts = self._counts
        counts[key] = min(counts.pop(key, 0) + 1, COUNT_MAX)
        while len(counts) > self._most:
            oldest, count = counts.popitem(last=False)
            if count > 1:
                counts[oldest] = count // 2

    def snapshot(self) -> bytes:
        """The table, least recently used first; at most 23 bytes an endpoint."""
        return msgspec.msgpack.encode(self._counts)

    def restore(self, snapshot: bytes) -> None:
        """Take up the table of an earlier life.

        Raises:
            StateError: the snapshot is damaged; the table is as it was before.
        """
        try:
            counts = _snapshot.decode(snapshot)
        except (ValueError, msgspec.MsgspecError) as error:
            raise StateError(f"the saved servers of an IPFIX log are damaged: {error}") from None
        sound = all(
            len(key) in KEY_BYTES and 1 <= count <= COUNT_MAX for key, count in counts.items()
        )
        if not sound or len(counts) > self._most:
            raise StateError("the saved servers of an IPFIX log are damaged: out of bounds")
        self._counts = OrderedDict(counts)
