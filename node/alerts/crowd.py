"""One incident for attacks from more sources than anybody would look at one by one.

A flood with forged sources has a new one in each flow, and a botnet has thousands. So what would
open yet another incident joins the one of the crowd, of its own family, where many others have just
opened theirs: at one destination, or anywhere at all within seconds. The first few keep their own,
and one that goes on and on stands out.
"""

from collections import OrderedDict, deque
from collections.abc import Container

MANY = "many"
"""The source of an incident that has many."""

SOURCES_MAX = 4
"""Sources that open incidents of their own at one destination, within the longest gap of an
incident. With one of the crowd for each family that a flood is taken for, these make at most ten
(measured: a SYN flood with forged sources is taken for 1 to 3). Our choice."""

BEGINNINGS_MAX = 6
BEGINNINGS_S = 10.0
"""Sources that open incidents in so many seconds of the flows' own time, wherever they lead. Our
choice: a person cannot follow more."""

OWN_FLOWS = 5
"""So many flows of one source in the crowd make it stand out, and it gets an incident of its own: a
forged source has one, and else false alarms of a few hosts would hide who attacks their broker. As
many as make a burst (`node.watch.memory.BURST_FLOWS`)."""

STAND_OUT_MAX = 3
STAND_OUT_GROWTH = 4
"""So many sources stand out within the longest gap of an incident, each by so many times the flows
that the one before took: 5, 20, 80. So a false alarm that stands out first keeps no attacker in the
crowd, and a botnet of busy sources does not get through. Our choice."""

DESTINATIONS_MAX = 256
COUNTED_MAX = 1_024


class Crowd:
    """Tells whether a flow's source is one of a crowd. Bounded, whatever comes.

    Args:
        gap_s: longest silence within an incident.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._at: OrderedDict[str, deque[tuple[str, float]]] = OrderedDict()
        self._lately: deque[tuple[str, float]] = deque(maxlen=BEGINNINGS_MAX)
        self._flows: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._standing_out: deque[tuple[str, float]] = deque(maxlen=STAND_OUT_MAX)
        self._own: OrderedDict[str, float] = OrderedDict()

    def source(
        self, key: tuple[str, str], destination: str, ts_s: float, going: Container[tuple[str, str]]
    ) -> str:
        """Whose incident an anomalous flow belongs to: its source's, or the crowd's, `MANY`.

        Args:
            key: its source and family.
            destination: whom it leads to.
            ts_s: when it began.
            going: sources and families of the incidents that are open.
        """
        source = key[0]
        if key not in going and not self._has_its_own(source, ts_s):
            source = self._begun(source, destination, ts_s)
        if source != MANY:
            self._own.pop(source, None)
            self._own[source] = ts_s
            if len(self._own) > COUNTED_MAX:
                self._own.popitem(last=False)
        return source

    def _has_its_own(self, source: str, ts_s: float) -> bool:
        """Whether it has an incident, of whatever family: then another one is no crowd."""
        last_ts_s = self._own.get(source)
        return last_ts_s is not None and abs(ts_s - last_ts_s) <= self._gap_s

    def _begun(self, source: str, destination: str, ts_s: float) -> str:
        here = self._at.get(destination)
        if here is None:
            here = self._at[destination] = deque(maxlen=SOURCES_MAX)
            if len(self._at) > DESTINATIONS_MAX:
                self._at.popitem(last=False)
        self._at.move_to_end(destination)
        crowded = _full(here, source, ts_s, self._gap_s)
        crowded |= _full(self._lately, source, ts_s, BEGINNINGS_S)
        crowded = crowded and not self._stands_out(source, ts_s)
        for last in (here, self._lately):
            if crowded:
                last.append((MANY, ts_s))  # so that it stays one while it goes on
            elif all(other != source for other, _ in last):
                last.append((source, ts_s))
        return MANY if crowded else source

    def _stands_out(self, source: str, ts_s: float) -> bool:
        """Whether one of the crowd has so many flows that it is worth an incident of its own."""
        count, last_ts_s = self._flows.pop(source, (0, ts_s))
        count = count + 1 if abs(ts_s - last_ts_s) <= self._gap_s else 1
        self._flows[source] = (count, ts_s)
        if len(self._flows) > COUNTED_MAX:
            self._flows.popitem(last=False)
        lately = [who for who, at_s in self._standing_out if abs(ts_s - at_s) <= self._gap_s]
        if source not in lately:
            if len(lately) >= STAND_OUT_MAX or count < OWN_FLOWS * STAND_OUT_GROWTH ** len(lately):
                return False
            self._standing_out.append((source, ts_s))
        return True


def _full(last: deque[tuple[str, float]], source: str, ts_s: float, within_s: float) -> bool:
    """Whether as many others as are looked at have begun just before."""
    return len(last) == last.maxlen and all(
        other != source and abs(ts_s - at_s) <= within_s for other, at_s in last
    )
