"""Peers that an operator excluded: a small file in the state folder.

The command line writes it, whole or not at all; the node reads it at its start and before each
training. So excluding a peer needs no stop; taking the model back does, and what is left to do of
that stands in the file until the node starts.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec

from gossip.contacts import PeerId
from gossip.errors import ConfigError, StateError
from node.addresses import parse_peer
from node.durable import alone, read_small
from node.state.generations import write_whole

FILE = "excluded-peers.json"
EXCLUDED_MAX = 1_024
"""As many as the transport keeps in mind as misbehaving (`Limits.refused_max`)."""

_BYTES_MAX = EXCLUDED_MAX * 512
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One peer.

    Args:
        peer: who.
        at_s: when, seconds since 1970.
        since: from when on it was not to be trusted, as the operator wrote it; empty where its
            part in the model is to stay.
        upto_cycle: the model is still to go back to a generation of this cycle or before; None
            where that is done, or nothing is to be done.
    """

    peer: PeerId
    at_s: float
    since: str = ""
    upto_cycle: Annotated[int, msgspec.Meta(ge=0)] | None = None


@dataclass(frozen=True, slots=True)
class _File:
    peers: Annotated[tuple[Exclusion, ...], msgspec.Meta(max_length=EXCLUDED_MAX)] = ()
    format: int = _FORMAT


def load(folder: Path) -> tuple[Exclusion, ...]:
    """Who is excluded, in the order of exclusion; nobody where there is no file.

    Raises:
        StateError: the file cannot be read, or is not what `hedgerow exclude` writes.
    """
    path = folder / FILE
    data = read_small(path, _BYTES_MAX)
    if data is None:
        return ()
    try:
        return _parsed(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StateError(
            f"{path}: is not what `hedgerow exclude` writes ({error}); move it away, and exclude "
            "anew whom it names"
        ) from error


def _parsed(data: bytes) -> tuple[Exclusion, ...]:
    if len(data) > _BYTES_MAX:
        raise ValueError(f"it is longer than {_BYTES_MAX} bytes")
    found = msgspec.json.decode(data, type=_File)
    if found.format != _FORMAT:
        raise ValueError(f"it has format {found.format}")
    return tuple(replace(each, peer=parse_peer(each.peer)) for each in found.peers)


def exclude(folder: Path, new: Exclusion) -> bool:
    """Exclude a peer, or anew from another time on; False if it was excluded before.

    Raises:
        StateError: the file is damaged, or cannot be written.
        ConfigError: there are too many.
    """
    with alone(folder):
        before = load(folder)
        others = [each for each in before if each.peer != new.peer]
        if len(others) >= EXCLUDED_MAX:
            raise ConfigError(
                f"{EXCLUDED_MAX} peers are excluded, and no more can be; lift some with `hedgerow "
                "exclude --lift PEER`, or give the mesh a new pre-shared key"
            )
        _write(folder, [*others, new])
        return len(others) == len(before)


def lift(folder: Path, peer: PeerId) -> bool:
    """Let a peer in again; False if it was not excluded.

    Raises:
        StateError: the file is damaged, or cannot be written.
    """
    with alone(folder):
        before = load(folder)
        kept = [each for each in before if each.peer != peer]
        if len(kept) < len(before):
            _write(folder, kept)
        return len(kept) < len(before)


def settle(folder: Path) -> None:
    """No model has to go back any more.

    Raises:
        StateError: the file is damaged, or cannot be written.
    """
    with alone(folder):
        _write(folder, [replace(each, upto_cycle=None) for each in load(folder)])


def _write(folder: Path, peers: list[Exclusion]) -> None:
    data = msgspec.json.format(msgspec.json.encode(_File(tuple(peers))), indent=1)
    write_whole(folder / FILE, data + b"\n")
