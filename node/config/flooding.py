"""`[flood]`: what is done when more flows come than the gateway should spend its time on."""

from dataclasses import dataclass
from typing import Annotated

from node.config.annotations import Range


@dataclass(frozen=True, slots=True)
class FloodSettings:
    """`[flood]`: when there is one, and how much of it is held."""

    flows_per_s: Annotated[int, Range(10, 1_000_000)] = 1_000
    """Flows a second of one sensor above which there is a flood: training pauses, unlabelled flows
    are not learnt from, and where the gateway cannot keep up, of what waits a sample is judged. For
    a log the flows' own time counts. More than two seconds' worth at once is a flood, too. Our
    choice: twenty times the 50 flows/s of a busy small network; raise it where more is usual."""

    queue_max: Annotated[int, Range(64, 65_536)] = 2_048
    """Flows of one sensor that wait to be judged; of more, every one has the same chance to stay.
    A log waits instead, unless there is a flood. Our choice: 2 MB, less than a second's work."""
