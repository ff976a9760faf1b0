"""Small bounded tables: who is not let in, how many bytes are in flight, how fast streams come."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gossip.contacts import PeerId

Clock = Callable[[], float]


class Refusals:
    """Peers that misbehaved, each for a while. When full, the first to expire makes room.

    Args:
        duration_s: how long a peer stays.
        size_max: peers at most.
        clock: monotonic seconds.
    """

    def __init__(self, duration_s: float, size_max: int, clock: Clock) -> None:
        self._duration_s = duration_s
        self._size_max = size_max
        self._clock = clock
        self._entries: dict[PeerId, tuple[float, str]] = {}  # in the order of their expiry

    def add(self, peer: PeerId, reason: str) -> None:
        """Refuse `peer` from now on, for the whole duration."""
        self._entries.pop(peer, None)
        while len(self._entries) >= self._size_max:
            del self._entries[next(iter(self._entries))]
        self._entries[peer] = (self._clock() + self._duration_s, reason)

    def reason(self, peer: PeerId) -> str | None:
        """Why `peer` is refused; None if it is not."""
        entry = self._entries.get(peer)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            del self._entries[peer]
            return None
        return entry[1]

    def __len__(self) -> int:
        return len(self._entries)


class BusyError(Exception):
    """A bound on what may be in flight is reached."""


class InFlight:
    """Bytes and transfers under way, in total and by peer.

    Args:
        bytes_max: of all peers.
        bytes_peer_max: of one peer.
        count_peer_max: transfers of one peer.
    """

    def __init__(self, bytes_max: int, bytes_peer_max: int, count_peer_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes_peer_max = bytes_peer_max
        self._count_peer_max = count_peer_max
        self._total = 0
        self._bytes: Counter[PeerId] = Counter()
        self._count: Counter[PeerId] = Counter()

    @property
    def total(self) -> int:
        """Bytes under way now."""
        return self._total

    @contextmanager
    def reserve(self, peer: PeerId, size: int) -> Iterator[None]:
        """Hold `size` bytes for one transfer.

        Raises:
            BusyError: there is no room; nothing is held.
        """
        if self._count[peer] >= self._count_peer_max:
            raise BusyError(f"{self._count[peer]} transfers with this peer are under way")
        if self._bytes[peer] + size > self._bytes_peer_max:
            raise BusyError(f"{self._bytes[peer]} bytes with this peer are under way")
        if self._total + size > self._bytes_max:
            raise BusyError(f"{self._total} bytes are under way")
        self._total += size
        self._bytes[peer] += size
        self._count[peer] += 1
        try:
            yield
        finally:
            self._total -= size
            self._bytes[peer] -= size
            self._count[peer] -= 1
            if not self._count[peer]:
                del self._count[peer], self._bytes[peer]


class Rate:
    """A token bucket: `burst` at once, `rate_s` a second in the mean.

    Args:
        rate_s: tokens a second.
        burst: size of the bucket, which starts full.
        clock: monotonic seconds.
    """

    def __init__(self, rate_s: float, burst: int, clock: Clock) -> None:
        self._rate_s = rate_s
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._filled_at = clock()

    def take(self) -> bool:
        """One token; False if there is none."""
        now = self._clock()
        gained = (now - self._filled_at) * self._rate_s
        self._tokens = min(self._burst, self._tokens + gained)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
