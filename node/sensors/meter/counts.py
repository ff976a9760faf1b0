"""What became of the packets, counted exactly."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Every packet is one of the first five; each flow's report had one of the last four reasons.

    Args:
        metered: counted to a flow.
        other: sound, but not IP (ARP, spanning tree).
        malformed: cut short inside a header, or its lengths contradict each other.
        orphans: later fragments whose first one was not seen.
        unknown_link: from a link whose headers are not known.
        timed_out: flows that were silent for their time-out, or were followed by a new one.
        cut: long flows reported in parts, one for each part but the last.
        evicted: flows reported early because the table was full.
        finished: flows reported because the packets ended.
    """

    metered: int = 0
    other: int = 0
    malformed: int = 0
    orphans: int = 0
    unknown_link: int = 0
    timed_out: int = 0
    cut: int = 0
    evicted: int = 0
    finished: int = 0

    @property
    def packets(self) -> int:
        """All of them."""
        return self.metered + self.other + self.malformed + self.orphans + self.unknown_link

    @property
    def flows(self) -> int:
        """All that were reported."""
        return self.timed_out + self.cut + self.evicted + self.finished
