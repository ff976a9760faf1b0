"""A peer's reports, as log lines and as counts for the status document."""

from collections import Counter
from collections.abc import Callable
from time import monotonic

from gossip.actions import Report, Topic
from gossip.contacts import PeerId
from node.logs import get_logger, printable
from node.rates import TokenBucket

REASONS_MAX = 32
"""Different reasons counted by themselves; peers choose some of the words, so it is bounded."""

LINES_PER_MINUTE = 30
"""Log lines of one topic. Strangers can make new identities, and with each of them a new line; what
is above is in the status's counters only. Our choice."""

_log = get_logger("mesh")

PEERS_MAX = 256
"""Peers whose merges and antigens are counted by themselves; the one that brought something least
recently makes room. Our choice: four times what the status document lists."""

_FROM_PEERS = {Topic.MERGED, Topic.ANTIGEN, Topic.REMOTE_FAULT}

_AT_DEBUG = {Topic.MERGED, Topic.TRAINED, Topic.SHED}
_AT_WARNING = {Topic.REFUSED, Topic.REFUSED_BY, Topic.REMOTE_FAULT}
_WORDS = {
    Topic.JOINED: "joined the mesh",
    Topic.ISOLATED: "looking for peers",
    Topic.MERGED: "merged a model",
    Topic.TRAINED: "trained",
    Topic.PEER_LEFT: "a peer left",
    Topic.PEER_LOST: "a peer is lost",
    Topic.REFUSED: "refused a peer",
    Topic.REFUSED_BY: "a peer refused us",
    Topic.REMOTE_FAULT: "a peer broke the protocol",
    Topic.PRESENTED: "presented an antigen",
    Topic.ANTIGEN: "took an antigen",
    Topic.SHED: "ignored a message",
}


class Reports:
    """What the peer said of itself since the start.

    Args:
        now_s: any clock that does not go back.

    Attributes:
        waiting_for: what was asked of whom while nobody is known; empty once somebody is.
        trouble: why the latest of these attempts failed, above all if somebody refused us: that
            is said once and ignored from then on. Empty where none has failed.
        by_peer: models merged, antigens taken and faults by who sent them, the latest last; at most
            PEERS_MAX.
    """

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self.counts: Counter[Topic] = Counter()
        self.refused: Counter[str] = Counter()
        self.refused_by: Counter[str] = Counter()
        self.shed: Counter[str] = Counter()
        self.by_peer: dict[PeerId, Counter[Topic]] = {}
        self.loss: float | None = None
        self.waiting_for = ""
        self.trouble = ""
        self._turned_away = False
        self._now_s = now_s
        self._lines = {topic: TokenBucket(LINES_PER_MINUTE) for topic in Topic}
        self._unsaid: Counter[Topic] = Counter()

    def take(self, report: Report) -> None:
        """Count and log one report."""
        self.counts[report.topic] += 1
        detail = printable(report.detail)
        if report.peer is not None and report.topic in _FROM_PEERS:
            self._count_for(report.peer, report.topic)
        match report.topic:
            case Topic.TRAINED:
                self.loss = report.value
            case Topic.JOINED:
                self.waiting_for = self.trouble = ""
                self._turned_away = False
            case Topic.ISOLATED:
                self.waiting_for = detail
            case Topic.PEER_LOST:
                self.trouble = self.trouble if self._turned_away else detail
            case Topic.REFUSED:
                _count(self.refused, detail)
            case Topic.REFUSED_BY:
                _count(self.refused_by, detail)
                self.trouble, self._turned_away = detail, True
            case Topic.SHED:
                _count(self.shed, detail)
            case _:
                pass
        self._write(report, detail)

    def _count_for(self, peer: PeerId, topic: Topic) -> None:
        found = self.by_peer.pop(peer, None) or Counter()
        while len(self.by_peer) >= PEERS_MAX:
            del self.by_peer[next(iter(self.by_peer))]
        self.by_peer[peer] = found
        found[topic] += 1

    def _write(self, report: Report, detail: str) -> None:
        seldom = report.topic not in _AT_DEBUG
        if seldom and not self._lines[report.topic].take(self._now_s()):
            self._unsaid[report.topic] += 1
            return
        words = _WORDS[report.topic]
        more: dict[str, str] = {} if report.peer is None else {"peer": report.peer}
        if detail:
            more["detail"] = detail
        if unsaid := self._unsaid.pop(report.topic, 0):
            more["unsaid_before"] = str(unsaid)
        if report.topic in _AT_DEBUG:
            _log.debug(words, value=round(report.value, 4), **more)
        elif report.topic in _AT_WARNING:
            _log.warning(words, **more)
        else:
            _log.info(words, **more)


def _count(counter: Counter[str], reason: str) -> None:
    counter[reason if reason in counter or len(counter) < REASONS_MAX else "other reasons"] += 1
