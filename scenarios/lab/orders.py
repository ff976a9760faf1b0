"""What the Lab's processes tell each other: run to nursery, nursery to run, member to run."""

from dataclasses import dataclass, field
from typing import Any

import msgspec


class Prepare(msgspec.Struct, tag=True):
    """The first order to the nursery: load the data, lay the cables.

    Args:
        scenario: as `scenarios.spec.scenario.table` gives it.
        seed: instead of its own.
        where: what messages call it.
        folder: for states and logs.
        network: a network namespace for each peer; otherwise loopback.
        addresses: of each peer, `HOST:PORT`.
    """

    scenario: dict[str, Any]
    seed: int
    where: str
    folder: str
    network: bool
    addresses: list[str]


class Begin(msgspec.Struct, tag=True):
    """Time 0 of the scenario on this machine's monotonic clock, in seconds."""

    zero_s: float


class Start(msgspec.Struct, tag=True):
    """Start a peer's process; its end of a channel comes beside this.

    Args:
        peer: its number.
        life: its first, second, … start.
        fresh: forget what an earlier life stored.
        begin_s: moment on the monotonic clock before which it only prepares itself.
    """

    peer: int
    life: int
    fresh: bool
    begin_s: float


class Plug(msgspec.Struct, tag=True):
    """Plug a peer's cable in."""

    peer: int


class Leave(msgspec.Struct, tag=True):
    """Ask a peer's process to end politely: SIGTERM."""

    peer: int


class Crash(msgspec.Struct, tag=True):
    """Pull a peer's cable, and end its process by SIGKILL."""

    peer: int


class Gone(msgspec.Struct, tag=True):
    """A peer's process has ended by itself: pull its cable, and say how it ended."""

    peer: int


class Split(msgspec.Struct, tag=True):
    """Plug every peer's cable into the switch of this number; switches are not connected."""

    switches: list[int]


class Shape(msgspec.Struct, tag=True):
    """Limit what peers may send, by peer; lines of `tc -batch`, none for no limit."""

    limits: dict[int, list[str]]


Order = Prepare | Begin | Start | Plug | Leave | Crash | Gone | Split | Shape


class Done(msgspec.Struct):
    """The answer to every order. `code` is an exit code, minus the signal; `error` for a person."""

    error: str = ""
    code: int = 0


@dataclass(slots=True)
class Tallies:
    """What a member counts in one life.

    Args:
        bytes_sent: of frames, as the World counts them.
        bytes_received: of frames.
        wire_out: bytes written to sockets, handshakes and multiplexer included.
        wire_in: bytes read from sockets.
        cycles: begun.
        trainings: completed.
        delivered: frames answered for.
        dropped: frames that a rule of the links dropped.
        unreachable: frames whose transfer failed.
        shed: frames that a full queue shed, here or in the inbox.
        dials: begun.
        topics: how often the peer reported each.
    """

    bytes_sent: int = 0
    bytes_received: int = 0
    wire_out: int = 0
    wire_in: int = 0
    cycles: int = 0
    trainings: int = 0
    delivered: int = 0
    dropped: int = 0
    unreachable: int = 0
    shed: int = 0
    dials: int = 0
    topics: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    """One peer at one moment, as its own process sees it.

    Args:
        look: the number it was asked with; -1 for the last words of a polite end.
        vector: the model it detects with, float32 `(dim,)`, little-endian.
        shared: how many of these numbers are merged with others.
        view: numbers of the peers it may send to.
        tallies: counts of this life.
    """

    look: int
    vector: bytes
    shared: int
    view: tuple[int, ...]
    tallies: Tallies


ORDER: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
DONE = msgspec.msgpack.Decoder(Done)
PICTURE = msgspec.msgpack.Decoder(Picture)
