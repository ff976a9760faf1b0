"""`[mesh]` and `[learning]`: the protocol's settings, who knows whom, and what training takes."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import networkx as nx

from gossip.config import PeerConfig
from gossip.learning.tails import LENGTH
from scenarios.plan.data import groups as data_groups
from scenarios.plan.reader import Reader
from scenarios.plan.size import check_size
from scenarios.spec.learning import Alarm, Model
from scenarios.spec.mesh import SAMPLING, Device
from topologies.graphs import Table, build, schedule
from topologies.spec import FILE

NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
"""Unlike every other form of a selector."""


MEMBERS_MAX = 10_000_000
"""Of all groups together, at 8 bytes each in memory: a hundred groups of everybody in the largest
mesh."""


def config(reader: Reader) -> PeerConfig:
    """The protocol's settings; each stands in `[mesh]` or in `[learning]`."""
    mesh, learning = reader.scenario.mesh, reader.scenario.learning
    # How many numbers tails are is no setting.
    ours = {"greets", "sums_length"}  # not the scenario's to say
    names = [part.name for part in fields(PeerConfig) if part.name not in ours]
    owners = {name: mesh if hasattr(mesh, name) else learning for name in names}
    given = {name: getattr(owner, name) for name, owner in owners.items()}
    return PeerConfig(**given, sums_length=LENGTH if learning.borrow else 0)


def check_model(reader: Reader) -> None:
    """Refuse keys of `[learning]` that contradict each other, and what no machine could hold."""
    learning = reader.scenario.learning
    if learning.model is Model.DETECTOR and learning.hidden:
        raise reader.wrong("learning.hidden", "a detector has its own layers; leave it out")
    if learning.model is Model.CLASSIFIER and learning.alarm_by is not Alarm.BOTH:
        raise reader.wrong("learning.alarm_by", "a classifier has one score; leave it out")
    check_size(reader)


def named(reader: Reader, graph: nx.Graph | None) -> dict[str, str]:
    """All groups but regions: from data, topology, `mesh.groups` and `[[mesh.device]]`."""
    found = dict(data_groups(reader))
    sites: dict[str, list[str]] = {}
    for node, site in sorted(graph.nodes(data="site")) if graph is not None else ():
        if site is not None:
            sites.setdefault(f"site-{site}", []).append(str(node))
    for name, members in sites.items():
        found.setdefault(name, ",".join(members))
    found |= reader.scenario.mesh.groups
    for place, device in enumerate(reader.scenario.mesh.device, 1):
        key = f"mesh.device[{place}].name"
        if device.name in found:
            raise reader.wrong(key, f"{device.name!r} is another group's name; choose one")
        _check_name(reader, device.name, key)
        found[device.name] = device.peers
    return found


def check_groups(reader: Reader) -> None:
    """Refuse a group whose name or selector makes no sense, and a peer with two devices."""
    members = 0
    for name in reader.scenario.mesh.groups:
        _check_name(reader, name, f"mesh.groups.{name[:80]}")
        members += len(reader.select(name, f"mesh.groups.{name}"))
        if members > MEMBERS_MAX:
            raise reader.wrong(
                "mesh.groups", f"name more than {MEMBERS_MAX:,} peers altogether; name fewer"
            )
    owner: dict[int, str] = {}
    for place, device in enumerate(reader.scenario.mesh.device, 1):
        key = f"mesh.device[{place}].peers"
        for peer in reader.select(device.name, key):
            if owner.setdefault(peer, device.name) != device.name:
                raise reader.wrong(key, f"peer {peer} is a {owner[peer]!r} already; name it once")


def _check_name(reader: Reader, name: str, key: str) -> None:
    if not NAME.fullmatch(name) or name == "all":
        raise reader.wrong(key, "is no name for a group; use letters, digits and -")


def topology(reader: Reader) -> nx.Graph | None:
    """The fixed graph, or None for peer sampling."""
    mesh = reader.scenario.mesh
    if mesh.topology == SAMPLING:
        return None
    spec = _beside_the_file(mesh.topology, reader.where)
    graph = reader.at("mesh.topology", lambda: build(spec, reader.seed, require_connected=True))
    if len(graph) != mesh.peers:
        raise reader.wrong(
            "mesh.topology",
            f"{mesh.topology!r} has {len(graph)} nodes and mesh.peers is {mesh.peers}; "
            f"make them equal",
        )
    return graph


def _beside_the_file(spec: str, where: str) -> str:
    """A graph's file is looked for beside the scenario's, as all files that it names are."""
    kind, colon, path = spec.partition(":")
    if kind != FILE or not colon or not path.strip():
        return spec
    return f"{FILE}:{Path(where).parent / Path(path.strip()).expanduser()}"


def turns(graph: nx.Graph | None) -> tuple[Table, ...]:
    """Neighbours by cycle in a graph that changes with time; empty for one that does not."""
    tables = () if graph is None else schedule(graph)
    return tables if len(tables) > 1 else ()


def train_us(reader: Reader) -> tuple[int, ...]:
    """Per peer, simulated time of one training: `learning.train` on a device of speed 1."""
    plain_us = reader.scenario.learning.train_us
    return tuple(
        round(plain_us / speed) for speed in _of_device(reader, lambda each: each.speed, 1)
    )


def memory_bytes(reader: Reader) -> tuple[int, ...]:
    """Per peer, memory for training rows; 0 is without a bound."""
    return tuple(int(size) for size in _of_device(reader, lambda each: each.memory_bytes, 0))


def _of_device(reader: Reader, what: Callable[[Device], float], otherwise: float) -> list[float]:
    values = [otherwise] * reader.scenario.mesh.peers
    for device in reader.scenario.mesh.device:
        for peer in reader.select(device.name, "mesh.device"):
            values[peer] = what(device)
    return values
