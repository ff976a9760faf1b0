"""`[training]`: where a node trains."""

from dataclasses import dataclass
from typing import Annotated, Literal

from node.config.annotations import Range


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """`[training]`: where a node trains. The model is the same to the last bit either way."""

    within: Literal["thread", "process"] = "thread"
    """"thread" trains in a thread of the node. "process" starts a process for each training, which
    gives way to all others and takes its memory with it when it ends. Measured: 1 ms of processor
    time a cycle against 130, and no memory to speak of against 36 MB, for a third of a second
    (docs/adr/0009). So a process pays where the scheduler must be able to put training last."""

    nice: Annotated[int, Range(0, 19)] = 10
    """How far that process gives way, as nice(1) counts. 10 is nice's own default."""
