"""A peer's reports, as log lines and as counts for the status document."""

from collections import Counter

from gossip.actions import Report, Topic
from node.logs import get_logger, printable

REASONS_MAX = 32
"""Different reasons counted by themselves; peers choose some of the words, so it is bounded."""

_log = get_logger("mesh")

_AT_DEBUG = {Topic.MERGED, Topic.TRAINED, Topic.SHED}
_AT_WARNING = {Topic.REFUSED, Topic.REFUSED_BY, Topic.REMOTE_FAULT}
_WORDS = {
    Topic.JOINED: "joined the mesh",
    Topic.ISOLATED: "no peer answers; asking again",
    Topic.MERGED: "merged a model",
    Topic.TRAINED: "trained",
    Topic.PEER_LEFT: "a peer left",
    Topic.PEER_LOST: "a peer is lost",
    Topic.REFUSED: "refused a peer",
    Topic.REFUSED_BY: "a peer refused us",
    Topic.REMOTE_FAULT: "a peer broke the protocol",
    Topic.SHED: "ignored a message",
}


class Reports:
    """What the peer said of itself since the start."""

    def __init__(self) -> None:
        self.counts: Counter[Topic] = Counter()
        self.refused: Counter[str] = Counter()
        self.refused_by: Counter[str] = Counter()
        self.shed: Counter[str] = Counter()
        self.loss: float | None = None
        self.waiting_for = ""

    def take(self, report: Report) -> None:
        """Count and log one report."""
        self.counts[report.topic] += 1
        detail = printable(report.detail)
        match report.topic:
            case Topic.TRAINED:
                self.loss = report.value
            case Topic.JOINED:
                self.waiting_for = ""
            case Topic.ISOLATED:
                self.waiting_for = detail
            case Topic.REFUSED:
                _count(self.refused, detail)
            case Topic.REFUSED_BY:
                _count(self.refused_by, detail)
            case Topic.SHED:
                _count(self.shed, detail)
            case _:
                pass
        self._write(report, detail)

    @staticmethod
    def _write(report: Report, detail: str) -> None:
        words = _WORDS[report.topic]
        more: dict[str, str] = {} if report.peer is None else {"peer": report.peer}
        if detail:
            more["detail"] = detail
        if report.topic in _AT_DEBUG:
            _log.debug(words, value=round(report.value, 4), **more)
        elif report.topic in _AT_WARNING:
            _log.warning(words, **more)
        else:
            _log.info(words, **more)


def _count(counter: Counter[str], reason: str) -> None:
    counter[reason if reason in counter or len(counter) < REASONS_MAX else "other reasons"] += 1
