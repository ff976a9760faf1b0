"""Flows between the sensors and the detector: bounded, fair above capacity, counted to the flow.

    source ── lane ─┐
    source ── lane ─┴─ swap ── what is judged next, each lane in the order of arrival

Each source has a lane of its own, so that one that floods crowds out none of the others. What came
between two swaps and is more than a lane holds is sampled by algorithm R (Vitter, "Random sampling
with a reservoir", ACM TOMS 1985): each flow of that span is as likely to be judged as any other,
and who does not know the secret seed cannot time a flow so that it is let fall.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gossip.draws import Purpose, draw
from gossip.flows import Flow

Held = tuple[int, str, Flow]
"""Serial number of its arrival, the lane's name, and the flow."""


@dataclass(slots=True)
class Lane:
    """What became of one source's flows, since the process started.

    Args:
        taken: handed over; each of them is one of the next three.
        judged: by the detector.
        shed: let fall, because more came than could be held.
        held: waiting.
        came: since the last swap, held or shed.
    """

    taken: int = 0
    judged: int = 0
    shed: int = 0
    held: list[Held] = field(default_factory=list)
    came: int = 0

    @property
    def unjudged(self) -> int:
        """Flows that wait, here or among those that are being judged."""
        return self.taken - self.judged - self.shed


class FlowQueue:
    """See above. No method waits.

    Args:
        capacity: flows that a lane holds of a source that does not wait.
        seed: of the draws; secret in a live node.
        peer: whose draws they are.
    """

    def __init__(self, capacity: int, seed: bytes, peer: str) -> None:
        if capacity < 1:
            raise ValueError(f"a queue of {capacity} flows holds none")
        self._capacity = capacity
        self._seed, self._peer = seed, peer
        self._lanes: dict[str, Lane] = {}
        self._serial = 0

    def lane(self, name: str) -> Lane:
        """A source's lane, made at need."""
        found = self._lanes.get(name)
        if found is None:
            found = self._lanes[name] = Lane()
        return found

    @property
    def lanes(self) -> dict[str, Lane]:
        """All lanes by name, to be read."""
        return self._lanes

    @property
    def waiting(self) -> int:
        """Flows held in all lanes."""
        return sum(len(lane.held) for lane in self._lanes.values())

    def put(self, name: str, flows: Sequence[Flow], *, waits: bool = False) -> int:
        """Take flows of a source in, in order; how many were shed for it, these or earlier ones.

        Args:
            name: of the source.
            flows: that it hands over.
            waits: whether it waits before it hands over more; then all of these are held.
        """
        lane = self.lane(name)
        lane.taken += len(flows)
        room = len(flows) if waits else max(0, self._capacity - len(lane.held))
        for flow in flows[:room]:
            self._serial += 1
            lane.held.append((self._serial, name, flow))
        lane.came += min(room, len(flows))
        for flow in flows[room:]:
            self._serial += 1
            lane.came += 1
            about = f"{self._peer}\0queue {name}"
            place = draw(self._seed, about, self._serial, Purpose.ROWS) % lane.came
            if place < len(lane.held):
                lane.held[place] = (self._serial, name, flow)
        shed = max(0, len(flows) - room)
        lane.shed += shed
        return shed

    def swap(self) -> list[Held]:
        """All that is held, lane by lane, each in the order of arrival; they are empty then."""
        found: list[Held] = []
        for lane in self._lanes.values():
            found += sorted(lane.held, key=_serial)
            lane.held, lane.came = [], 0
        return found


def _serial(held: Held) -> int:
    return held[0]
