"""Exactly what a node sends, put together from its settings and its state folder."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import Antigen
from gossip.codec import GIVEN_MAX, IDS_MAX, encode
from gossip.config import PeerConfig
from gossip.contacts import Contact
from gossip.errors import RemoteError, StateError
from gossip.features import SCHEMA, UNITS
from gossip.fingerprint import Fingerprint
from gossip.learning.mixture import Mixture
from gossip.learning.norms import Norm
from gossip.learning.tails import LEVELS, ROWS_SCALE
from gossip.messages import Entry, Give, Have, Leave, Message, Refuse, Shuffle, Want
from gossip.model import LocalModel
from gossip.pushsum import Sums

NEVER = (
    "packets, flows, log lines, and rows of features",
    "addresses, ports, host names, user names and times seen in the traffic",
    "labels of single flows, and alerts",
    "the gateway's name, sensors and settings",
    "the scaler, the threshold, and the autoencoder's own layers",
    "which antigens this gateway uses, quarantines or approves",
    "anything made of flows without a label, but for the numbers of a model frame and the norm",
)


@dataclass(frozen=True, slots=True)
class FrameKind:
    """One kind of frame: what it holds, its size now in bytes, and when it is sent."""

    kind: str
    bytes: int
    content: str
    when: str


@dataclass(frozen=True, slots=True)
class Column:
    """What a component says of one feature."""

    feature: str
    unit: str
    mean: float
    spread: float


@dataclass(frozen=True, slots=True)
class Component:
    """One normal of a description: its share of the rows, and every feature's numbers."""

    share: float
    features: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class LeavingAntigen:
    """An own antigen.

    Args:
        family: the attack's name.
        state: "presented" or "not presented".
        reason: why it does not leave, or not for long; empty if it does.
        rows: labelled rows held of the family now.
        evidence: rows that it is or would be made of; 0 where there are too few.
        created_s: seconds since 1970, None for one that does not exist yet; expires_s likewise.
        bytes: as it travels or would travel.
        components: of the description; empty where there are too few rows.
    """

    family: str
    state: str
    reason: str
    rows: int
    evidence: int
    created_s: int | None
    expires_s: int | None
    bytes: int
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class TailNumber:
    """One of the numbers that go into the mesh's mean, from 0 to 1, and what it says."""

    what: str
    number: float


@dataclass(frozen=True, slots=True)
class Leaving:
    """All of it.

    Args:
        peer: own identity, which every connection proves.
        features: name and hash of the feature schema, and model: of the shape; in refusals.
        share: whether own antigens leave; use: whether others' are passed on.
        shared: whether they left when the node saved its state, as a flag may have said.
        numbers: of the model that travel, of numbers_all.
        frames: the kinds of frames. There are no others.
        share_tail: whether the tail goes into the mesh's mean.
        tail: what it is, or would be; empty while there are too few rows.
        share_norm: whether its norm leaves: what its benign flows are like.
        norm: of each feature, or what it would be; empty while there are too few benign flows.
        norm_flows: that it is made of.
        antigens: own ones, present or possible.
        passed_on: antigens of other peers that are handed on as they came.
        never: what no frame holds.
    """

    peer: str
    features: str
    model: str
    share: bool
    shared: bool
    use: bool
    numbers: int
    numbers_all: int
    frames: tuple[FrameKind, ...]
    share_tail: bool
    tail: tuple[TailNumber, ...]
    share_norm: bool
    norm: tuple[Column, ...]
    norm_flows: int
    antigens: tuple[LeavingAntigen, ...]
    passed_on: int
    never: tuple[str, ...] = NEVER


def size_of(antigen: Antigen) -> int:
    """Bytes as it travels: what it adds to a frame of antigens."""
    return len(encode(Give((antigen,)), b"")) - len(encode(Give(()), b""))


def tail(told: NDArray[np.float64] | None) -> tuple[TailNumber, ...]:
    """Every number of a contribution, `tails.contribution`, before it is mixed with others'."""
    if told is None:
        return ()
    names = [f"share of benign flows beyond level {level:.4g}" for level in LEVELS.tolist()]
    names += ["step between levels over the score's usual range, in eighths"]
    names += [f"calibration flows, of {ROWS_SCALE:.0f}"]
    return tuple(TailNumber(*each) for each in zip(names, told.tolist(), strict=True))


def norm(description: bytes) -> tuple[Column, ...]:
    """Every number of a norm, rounded as it travels."""
    try:
        found = Norm.unpack(description, len(SCHEMA))
    except RemoteError as error:
        raise StateError(f"this node's own norm is damaged: {error}") from error
    units = [UNITS[name] for name in SCHEMA]
    numbers = zip(SCHEMA, units, found.mean.tolist(), found.deviation.tolist(), strict=True)
    return tuple(Column(*each) for each in numbers)


def components(description: bytes) -> tuple[Component, ...]:
    """Every number of a description, rounded as it travels."""
    try:
        mixture = Mixture.unpack(description, len(SCHEMA))
    except RemoteError as error:
        raise StateError(f"an own antigen is damaged: {error}") from error
    units = [UNITS[name] for name in SCHEMA]
    found = []
    for share, means, spreads in zip(
        mixture.shares.tolist(), mixture.means.tolist(), mixture.spreads.tolist(), strict=True
    ):
        columns = zip(SCHEMA, units, means, spreads, strict=True)
        found.append(Component(share, tuple(Column(*each) for each in columns)))
    return tuple(found)


def frames(
    config: PeerConfig,
    fingerprint: Fingerprint,
    vector: NDArray[np.float32],
    ages: NDArray[np.int64],
    own: tuple[str, ...],
    known: tuple[Contact, ...],
    held: tuple[Antigen, ...],
    *,
    use: bool,
    share_tail: bool,
) -> tuple[FrameKind, ...]:
    """The kinds of frames, each as large as it would be now.

    Args:
        config: of the peer.
        fingerprint: in every frame, as 8 bytes.
        vector: what travels of the model, float32 `(dim,)`.
        ages: of its fragments.
        own: addresses, as far as they are known before the node listens.
        known: contacts of other peers.
        held: antigens.
        use: whether it takes part in these.
        share_tail: whether what it says of its own scores is part of the mesh's mean.
    """
    model = LocalModel(config, vector, ages)
    ids = b"".join(each.id for each in held)[: 8 * IDS_MAX] if use else b""
    indices = range(config.fragments_per_push)
    sums = Sums(1.0, bytes(2 * config.sums_length)) if config.sums_length else None
    pushed = model.message(bytes(32), "", 0, indices, answer=False, holds=ids, sums=sums)
    entries = tuple(Entry(contact) for contact in known[: config.shuffle_size])

    def kind(name: str, message: Message, content: str, when: str) -> FrameKind:
        return FrameKind(name, len(encode(message, fingerprint.digest)), content, when)

    numbers = f"{len(vector):,} numbers of the model as {config.encoding.value}"
    if config.fragments_per_push < config.fragments:
        numbers = f"{config.fragments_per_push} of {config.fragments} fragments of {numbers}"
    told = f", and the ids of {len(ids) // 8} antigens" if use else ""
    if sums is not None:
        part = ", with this node's part in it" if share_tail else ""
        told += f"; {config.sums_length} numbers of the mesh's mean{part}"
    every = f"{config.cycle_us / 1e6:g} s"
    found = [
        kind("model", pushed, f"{numbers}; each fragment's age{told}", f"about every {every}"),
        kind(
            "shuffle, and its reply",
            Shuffle(own, entries),
            f"own addresses; up to {config.shuffle_size} contacts: peer id, addresses, age",
            f"about every {every}",
        ),
        kind("good-bye", Leave(), "nothing more", "at the end"),
        kind("refusal", Refuse(fingerprint.text), fingerprint.text, "to a peer of another kind"),
    ]
    if use:
        found += [
            kind("have", Have(bytes(8)), "ids of antigens held, 8 bytes each", "when one is new"),
            kind("want", Want(bytes(8)), "ids of antigens asked for", "when a peer has a new one"),
            kind(
                "give",
                Give(tuple(sorted(held, key=size_of)[-1:])),
                f"up to {GIVEN_MAX} antigens or norms: others' as they came, own as below; here "
                "the largest alone",
                "when asked for",
            ),
        ]
    return tuple(found)
