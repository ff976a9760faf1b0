"""`[mesh]` and `[learning]`: the protocol's settings, who knows whom, and what training takes."""

import re
from dataclasses import fields

import networkx as nx

from gossip.config import PeerConfig
from scenarios.plan.data import groups as data_groups
from scenarios.plan.reader import Reader
from scenarios.spec.learning import Arithmetic, Model
from scenarios.spec.mesh import SAMPLING
from topologies.graphs import Table, build, schedule

NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
"""Unlike every other form of a selector."""


def config(reader: Reader) -> PeerConfig:
    """The protocol's settings; each stands in `[mesh]` or in `[learning]`."""
    mesh, learning = reader.scenario.mesh, reader.scenario.learning
    names = [part.name for part in fields(PeerConfig)]
    owners = {name: mesh if hasattr(mesh, name) else learning for name in names}
    return PeerConfig(**{name: getattr(owner, name) for name, owner in owners.items()})


def check_model(reader: Reader) -> None:
    """Refuse keys of `[learning]` that contradict each other."""
    learning = reader.scenario.learning
    if learning.model is Model.DETECTOR:
        if learning.hidden:
            raise reader.wrong("learning.hidden", "a detector has its own layers; leave it out")
        if learning.arithmetic is Arithmetic.NUMPY:
            raise reader.wrong("learning.arithmetic", 'a detector trains in torch; use "torch"')


def named(reader: Reader, graph: nx.Graph | None) -> dict[str, str]:
    """All groups: those that data and topology bring along, and those of `mesh.groups`."""
    found = dict(data_groups(reader))
    sites: dict[str, list[str]] = {}
    for node, site in sorted(graph.nodes(data="site")) if graph is not None else ():
        if site is not None:
            sites.setdefault(f"site-{site}", []).append(str(node))
    for name, members in sites.items():
        found.setdefault(name, ",".join(members))
    return found | reader.scenario.mesh.groups


def check_groups(reader: Reader) -> None:
    """Refuse a group whose name or selector makes no sense."""
    for name in reader.scenario.mesh.groups:
        if not NAME.fullmatch(name) or name == "all":
            raise reader.wrong(
                f"mesh.groups.{name}", "is no name for a group; use letters, digits and -"
            )
        reader.select(name, f"mesh.groups.{name}")


def topology(reader: Reader) -> nx.Graph | None:
    """The fixed graph, or None for peer sampling."""
    mesh = reader.scenario.mesh
    if mesh.topology == SAMPLING:
        return None
    graph = reader.at(
        "mesh.topology", lambda: build(mesh.topology, reader.seed, require_connected=True)
    )
    if len(graph) != mesh.peers:
        raise reader.wrong(
            "mesh.topology",
            f"{mesh.topology!r} has {len(graph)} nodes and mesh.peers is {mesh.peers}; "
            f"make them equal",
        )
    return graph


def turns(graph: nx.Graph | None) -> tuple[Table, ...]:
    """Neighbours by cycle in a graph that changes with time; empty for one that does not."""
    tables = () if graph is None else schedule(graph)
    return tables if len(tables) > 1 else ()


def train_us(reader: Reader) -> tuple[int, ...]:
    """Per peer, simulated time of one training."""
    learning = reader.scenario.learning
    times = [learning.train_us] * reader.scenario.mesh.peers
    for place, slow in enumerate(learning.slow, 1):
        for peer in reader.select(slow.peers, f"learning.slow[{place}].peers"):
            times[peer] = round(learning.train_us * slow.factor)
    return tuple(times)
