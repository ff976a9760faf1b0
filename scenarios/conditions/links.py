"""What happens to a frame between two peers: ordered rules, and the first verdict wins.

A rule looks at one crossing and either gives a verdict or lets the next rule decide. Partitions
come first, then the rules of the scenario in the order of the file, then plain delivery.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from gossip.draws import Purpose, fraction
from gossip.records import record
from scenarios.conditions.latency import Anywhere, Delay

_DRAWS_PER_RULE = 2


@record
class Crossing:
    """One frame about to leave its sender.

    Args:
        now_us: simulated time, microseconds.
        sender: index of the sending peer.
        receiver: index of the peer it is for.
        size: bytes of the frame.
        number: how many frames this sender has sent before; keys the random draws.
    """

    now_us: int
    sender: int
    receiver: int
    size: int
    number: int


@record
class Delivered:
    """The frame arrives `after_us` later."""

    after_us: int


class Fate(Enum):
    """Verdicts without a time."""

    DROPPED = "dropped"  # it left and never arrives; nobody is told
    UNREACHABLE = "unreachable"  # there is no way; the sender learns it as from a failed dial


Verdict = Delivered | Fate


class Shared(Enum):
    """Who shares a rule's bandwidth."""

    PAIR = "pair"  # every directed pair of peers has a pipe of its own
    SENDER = "sender"  # one pipe per sender: a gateway's uplink
    ALL = "all"  # one pipe for everything that the rule matches: a site's only link


def _draw(crossing: Crossing, seed: bytes, index: int, nth: int) -> float:
    key = f"link/{crossing.sender}/{crossing.receiver}"
    return fraction(seed, key, crossing.number, Purpose.LINK, index * _DRAWS_PER_RULE + nth)


class Rule(Protocol):
    """One line of the link conditions."""

    def verdict(self, crossing: Crossing, seed: bytes, index: int) -> Verdict | None:
        """The fate of the frame, or None to let the next rule decide.

        `index` is the rule's place in the list; it keys the draws.
        """

    def severs(self, now_us: int, sender: int, receiver: int) -> bool:
        """Whether no frame at all can cross now. Changes nothing and draws nothing."""


@dataclass(slots=True)
class Condition:
    """A rule of the scenario file: drops, delays and limits what it matches.

    Args:
        senders: per peer, whether its frames are matched; bytes of 0 and 1.
        receivers: the same for the peer a frame is for.
        start_us: first moment at which the rule holds.
        end_us: first moment at which it no longer holds.
        drop: probability of `Fate.DROPPED`.
        latency: one-way delay; None lets later rules decide on what was not dropped.
        bits_per_s: bandwidth; 0 is unlimited. Needs a latency.
        queue_bytes: bytes that may wait for the bandwidth; a frame that finds more is dropped.
        shared: who shares the bandwidth.
        both: frames from a receiver to a sender are matched as well.
        busy_until_us: by pipe, when its last bit so far leaves; changes as frames cross.
    """

    senders: bytes
    receivers: bytes
    start_us: int
    end_us: int
    drop: float
    latency: Delay | None
    bits_per_s: int
    queue_bytes: int
    shared: Shared
    both: bool = False
    busy_until_us: dict[tuple[int, int], int] = field(default_factory=dict)

    def verdict(self, crossing: Crossing, seed: bytes, index: int) -> Verdict | None:
        """See `Rule`."""
        one, other = crossing.sender, crossing.receiver
        if not self.matches(one, other):
            return None
        if not self.start_us <= crossing.now_us < self.end_us:
            return None
        if self.drop and _draw(crossing, seed, index, 0) < self.drop:
            return Fate.DROPPED
        if self.latency is None:
            return None
        wait_us = self._wait_us(crossing) if self.bits_per_s else 0
        if wait_us is None:
            return Fate.DROPPED
        share = 0.0 if self.latency.constant else _draw(crossing, seed, index, 1)
        return Delivered(wait_us + self.latency.after_us(one, other, share))

    def matches(self, sender: int, receiver: int) -> bool:
        """Whether frames from one to the other are meant, whatever the time."""
        return bool(
            (self.senders[sender] and self.receivers[receiver])
            or (self.both and self.senders[receiver] and self.receivers[sender])
        )

    def severs(self, _now_us: int, _sender: int, _receiver: int) -> bool:
        """See `Rule`. A condition may lose a frame, but never tells its sender."""
        return False

    def _wait_us(self, crossing: Crossing) -> int | None:
        """Time to the last bit's leaving, or None when the queue is over its bound."""
        pipe = {
            Shared.PAIR: (crossing.sender, crossing.receiver),
            Shared.SENDER: (crossing.sender, -1),
            Shared.ALL: (-1, -1),
        }[self.shared]
        now_us = crossing.now_us
        free_us = max(now_us, self.busy_until_us.get(pipe, now_us))
        waiting_bytes = (free_us - now_us) * self.bits_per_s // 8_000_000
        if waiting_bytes > self.queue_bytes:
            return None
        done_us = free_us + -(-crossing.size * 8_000_000 // self.bits_per_s)
        self.busy_until_us[pipe] = done_us
        return done_us - now_us


@dataclass(frozen=True, slots=True)
class Partition:
    """Peers of different sides cannot reach each other from `start_us` until `end_us`.

    Args:
        side: per peer, the number of its side; 0 where no side names it.
        start_us: the split, simulated microseconds.
        end_us: the healing.
    """

    side: tuple[int, ...]
    start_us: int
    end_us: int

    def verdict(self, crossing: Crossing, _seed: bytes, _index: int) -> Verdict | None:
        """See `Rule`."""
        cut = self.severs(crossing.now_us, crossing.sender, crossing.receiver)
        return Fate.UNREACHABLE if cut else None

    def severs(self, now_us: int, sender: int, receiver: int) -> bool:
        """See `Rule`."""
        return self.start_us <= now_us < self.end_us and self.side[sender] != self.side[receiver]


class Links:
    """All rules of one World.

    Args:
        rules: tried in this order.
        otherwise: one-way delay of a frame on which no rule gave a verdict.
        seed: of the scenario.
    """

    def __init__(self, rules: Sequence[Rule], otherwise: Delay, seed: bytes) -> None:
        self._rules = tuple(rules)
        self._otherwise = otherwise
        self._drawn = not otherwise.constant
        plain = not self._rules and isinstance(otherwise, Anywhere) and otherwise.constant
        self._always = Delivered(otherwise.after_us(0, 0, 0.0)) if plain else None
        self._seed = seed

    def decide(self, crossing: Crossing) -> Verdict:
        """The fate of one frame. Every frame is asked about once, in the order of time."""
        if self._always is not None:  # nothing to ask: this is called for every frame
            return self._always
        for index, rule in enumerate(self._rules):
            verdict = rule.verdict(crossing, self._seed, index)
            if verdict is not None:
                return verdict
        share = _draw(crossing, self._seed, len(self._rules), 1) if self._drawn else 0.0
        return Delivered(self._otherwise.after_us(crossing.sender, crossing.receiver, share))

    @property
    def queues(self) -> list[dict[tuple[int, int], int]]:
        """All that changes as frames cross: until when each rule's pipes are busy; by reference."""
        return [rule.busy_until_us for rule in self._rules if isinstance(rule, Condition)]

    def restore(self, queues: list[dict[tuple[int, int], int]]) -> None:
        """Go on with the queues that other links of the same rules had.

        Raises:
            ValueError: there are more of them or fewer.
        """
        for mine, theirs in zip(self.queues, queues, strict=True):
            mine.update(theirs)

    @property
    def splits(self) -> tuple[int, ...]:
        """When partitions begin, in the order of the rules."""
        return tuple(rule.start_us for rule in self._rules if isinstance(rule, Partition))

    def severed(self, now_us: int, sender: int, receiver: int) -> bool:
        """Whether a partition stands between two peers now."""
        return any(rule.severs(now_us, sender, receiver) for rule in self._rules)
