"""`[mesh]`."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from gossip.config import PeerConfig
from node.config.annotations import Duration, Example, Range, Share, Size
from scenarios.spec.words import DAY_US, FOREVER_US, SEED_MAX, TABLES_MAX, Peers, Text

_PEER = PeerConfig()

SAMPLING = "sampling"


@dataclass(frozen=True, slots=True)
class Device:
    """`[[mesh.device]]`: what the hardware of some peers can do. Its name is a group."""

    name: Annotated[Text, Example('"small"')]
    peers: Annotated[Peers, Example('"30 %"')]
    speed: Annotated[float, Range(0.0001, 10_000.0)] = 1.0
    memory_bytes: Annotated[Size, Range(0, 2**40)] = 0
    up: Annotated[Share, Range(0.001, 1.0)] = 1.0


class Harm(Enum):
    """What a hostile peer tells of attacks."""

    MIMIC = "mimic"  # benign traffic under an attack's name
    FLOOD = "flood"  # one junk family after the other
    BENIGN = "benign"  # a real attack under the name "benign"
    FORGED = "forged"  # benign traffic in another peer's name
    EXPIRED = "expired"  # what has long ended
    REPLAY = "replay"  # what others said, with a later end
    NORM = "norm"  # of its benign rows what is absurd


@dataclass(frozen=True, slots=True)
class Hostile:
    """`[[mesh.hostile]]`: peers that mislead the others by antigens."""

    peers: Annotated[Peers, Example('"10 %"')]
    presents: Annotated[Harm, Example('"mimic"')]
    family: Text = ""
    at_us: Annotated[Duration, Range(0, FOREVER_US)] = 0


@dataclass(frozen=True, slots=True)
class Mesh:
    """`[mesh]`: the nodes, their protocol and how long they are watched."""

    peers: Annotated[int, Range(2, 100_000), Example("100")]
    duration_us: Annotated[Duration, Range(1_000, FOREVER_US), Example('"10 min"')]
    seed: Annotated[int, Range(0, SEED_MAX)] = 1
    cycle_us: Duration = _PEER.cycle_us
    jitter: float = _PEER.jitter
    topology: Text = SAMPLING
    bootstrap: Peers = "0"
    groups: dict[str, str] = field(default_factory=dict)
    device: Annotated[tuple[Device, ...], Range(0, TABLES_MAX)] = ()
    hostile: Annotated[tuple[Hostile, ...], Range(0, TABLES_MAX)] = ()
    view_size: int = _PEER.view_size
    shuffle_size: int = _PEER.shuffle_size
    samplers: int = _PEER.samplers
    probe_cycles: int = _PEER.probe_cycles
    join_retry_us_min: Duration = _PEER.join_retry_us_min
    join_retry_us_max: Duration = _PEER.join_retry_us_max
    lost_after_us: Annotated[Duration, Range(0, DAY_US)] = 5_000_000
    queue_frames: Annotated[int, Range(1, 1_000)] = 4
    outboxes: Annotated[int, Range(1, 100_000)] = 64
