"""The mesh at some moments: who was up, who could send to whom, on which side of a partition.

A peer has the same place at every moment. In a fixed topology places are those of its drawing. With
peer sampling everybody may know everybody, and forces would give a ball of wool: peers stand on
discs, one for each side of the partitions or, without any, for each group. While a partition lasts
there are no lines between its sides, and discs of different sides are drawn apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import pi, sqrt

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from gossip.errors import HedgerowError
from node.config.quantities import format_duration
from scenarios.conditions.selectors import select
from scenarios.measures.samples import EDGES_PEERS_MAX, Sample, Snapshot
from scenarios.report.nodes import owners
from scenarios.report.style import FAINT, INK, PAPER, SERIES, Look, Plot, label, legend_columns
from scenarios.runs.results import Result
from scenarios.spec.mesh import SAMPLING
from scenarios.spec.scenario import Scenario
from topologies.graphs import build
from topologies.layout import places

MOMENTS_MAX = 6
LINKED_MAX = 150
"""Peers drawn with their links: more are a grey disc, and a file of megabytes."""
DOTS_MAX = 600
"""Peers drawn without links: at most so many dots fit into a panel."""
CELLS_MAX = 12
"""Discs side by side: more groups than this share one."""
RING_MAX = 40
"""Peers of a disc that stand on its rim, where every line is seen, rather than all over it."""

Places = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where peers are drawn.

    Args:
        peers: those that are drawn, ascending.
        where: their places, float64 `(drawn, 2)`.
        centres: of the disc that each is in, float64 `(drawn, 2)`; all zero without discs.
        linked: whether lines between them are drawn.
        every: one of so many peers is drawn.
        count: peers of the mesh.
    """

    peers: tuple[int, ...]
    where: Places
    centres: Places
    linked: bool
    every: int
    count: int


def moments(samples: Sequence[Sample], scenario: Scenario) -> frozenset[int]:
    """Times of the samples at which the mesh is drawn, simulated microseconds.

    The first and the last; the last within each partition and the first after it; the one with the
    fewest peers up. What is left of `MOMENTS_MAX` fills the widest gaps.
    """
    times = [sample.at_us for sample in samples]
    if not times:
        return frozenset()
    picked = dict.fromkeys((times[0], times[-1]))
    for split in scenario.links.partition:
        within = [at for at in times if split.start_us <= at < split.end_us]
        after = [at for at in times if at >= split.end_us]
        picked |= dict.fromkeys(within[-1:] + after[:1])
    lowest = min(samples, key=lambda sample: sample.up)
    if lowest.up < max(sample.up for sample in samples):
        picked |= dict.fromkeys([lowest.at_us])
    chosen = list(picked)[:MOMENTS_MAX]
    while len(chosen) < min(MOMENTS_MAX, len(times)):
        rest = [at for at in times if at not in chosen]
        chosen.append(max(rest, key=lambda at: min(abs(at - other) for other in chosen)))
    return frozenset(chosen)


def mesh(
    result: Result, scenario: Scenario, groups: Mapping[str, Sequence[int]]
) -> tuple[Plot | None, list[str]]:
    """The figure of the mesh at the moments of `result.mesh`."""
    count = scenario.mesh.peers
    if not result.mesh:
        return None, ["The mesh over time: the run has no sample."]
    layout = _layout(result.mesh, scenario, groups, result.seed)
    parts = {sample.at_us: sample.parts for sample in result.samples}
    at = ", ".join(format_duration(snapshot.at_us) for snapshot in result.mesh)
    caption = "Filled: up; hollow: down. A peer keeps its place."
    if layout.linked:
        caption = f"A line: one of the two may send to the other. {caption}"
    if layout.centres.any():
        caption += " Peers stand on discs by side or group; apart while a partition lasts."
    if layout.every > 1:
        caption += f" Drawn: every {_th(layout.every)} of {count:,} peers" + (
            ", and the lines among them." if layout.linked else "."
        )
    if not layout.linked:
        why = (
            f"of meshes of more than {EDGES_PEERS_MAX} peers they are not recorded"
            if count > EDGES_PEERS_MAX else "this engine records none"
        )  # fmt: skip
        caption += f" Lines are left out: {why}."
    alt = f"The mesh at {at}: who is up" + (" and who may send to whom" if layout.linked else "")
    build_it = partial(_mesh, result.mesh, layout, owners(groups), parts)
    return Plot("mesh", "", alt, caption, build_it), []


def _th(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def _layout(
    snapshots: Sequence[Snapshot],
    scenario: Scenario,
    groups: Mapping[str, Sequence[int]],
    seed: int,
) -> Layout:
    count = scenario.mesh.peers
    linked = all(snapshot.edges is not None for snapshot in snapshots) and any(
        any(row for row in snapshot.edges or ()) for snapshot in snapshots
    )
    every = -(-count // (LINKED_MAX if linked else DOTS_MAX))
    drawn = tuple(range(0, count, every))
    fixed = _of_topology(scenario, seed) if linked and every == 1 else None
    if fixed is not None:
        return Layout(drawn, fixed, np.zeros_like(fixed), linked, every, count)
    cells = _cells(snapshots, count, groups)
    where, centres = _discs([cells[peer] for peer in drawn])
    return Layout(drawn, where, centres, linked, every, count)


def _of_topology(scenario: Scenario, seed: int) -> Places | None:
    """Places in a fixed topology; None with peer sampling, or where its graph cannot be made."""
    if scenario.mesh.topology == SAMPLING:
        return None
    try:
        found = places(build(scenario.mesh.topology, seed))
    except HedgerowError:
        return None
    middle = (found.max(axis=0) + found.min(axis=0)) / 2.0
    reach = max(float(np.abs(found - middle).max()), 1e-9)
    return (found - middle) / reach if len(found) == scenario.mesh.peers else None


def _cells(
    snapshots: Sequence[Snapshot], count: int, groups: Mapping[str, Sequence[int]]
) -> list[int]:
    """The disc of each peer: by side of every partition; without any, by group."""
    keys: list[tuple[int, ...]] = [()] * count
    for sides in dict.fromkeys(snapshot.sides for snapshot in snapshots if snapshot.sides):
        for number, side in enumerate(sides):
            for peer in peers_of(side, count):
                keys[peer] = (*keys[peer], number)
    if not any(keys):
        owner = owners(groups)
        names = sorted(set(owner.values()))
        keys = [(names.index(owner[peer]) if peer in owner else -1,) for peer in range(count)]
    known = sorted(set(keys))
    return [known.index(key) if len(known) <= CELLS_MAX else 0 for key in keys]


def peers_of(text: str, count: int) -> tuple[int, ...]:
    """The peers of a snapshot's selector.

    Raises:
        ConfigError: it is none for so many peers.
    """
    return select(text, count, {}, b"", "") if text else ()


def _discs(cells: Sequence[int]) -> tuple[Places, Places]:
    numbers = sorted(set(cells))
    sizes = [cells.count(number) for number in numbers]
    radii = [sqrt(size / len(cells)) for size in sizes]
    far = 0.0 if len(numbers) == 1 else 1.08 * max(radii) / np.sin(pi / max(2, len(numbers)))
    where, centres = np.zeros((len(cells), 2)), np.zeros((len(cells), 2))
    for number, size, radius in zip(numbers, sizes, radii, strict=True):
        own = [place for place, cell in enumerate(cells) if cell == number]
        turn = -pi / 2 + 2.0 * pi * number / len(numbers)
        centre = far * np.array([np.sin(turn), np.cos(turn)])
        centres[own] = centre
        where[own] = centre + radius * _disc(size)
    reach = max(float(np.abs(where).max()), 1e-9)
    return where / reach, centres / reach


def _disc(count: int) -> Places:
    """Places on a circle's rim; of many all over it, as seeds in a sunflower (Vogel 1979)."""
    number = np.arange(count, dtype=np.float64)
    if count <= RING_MAX:
        angle, distance = 2.0 * pi * number / count, np.full(count, 0.9 if count > 1 else 0.0)
    else:
        angle, distance = number * pi * (3.0 - sqrt(5.0)), 0.95 * np.sqrt((number + 0.5) / count)
    return np.stack([distance * np.sin(angle), distance * np.cos(angle)], axis=1)


def _mesh(
    snapshots: Sequence[Snapshot], layout: Layout, owner: Mapping[int, str],
    parts: Mapping[int, int], look: Look,
) -> Figure:  # fmt: skip
    columns = min(len(snapshots), 2 if look.narrow else 3)
    rows = -(-len(snapshots) // columns)
    names = sorted(set(owner.values()))
    handles = [_mark(SERIES[number % len(SERIES)]) for number in range(len(names))]
    labels = [label(name) for name in names]
    if names and any(peer not in owner for peer in layout.peers):
        handles.append(_mark(INK))
        labels.append("other peers")
    handles.append(_mark(FAINT, hollow=True))
    labels.append("down")
    each = look.width / columns
    legend = 0.0215 * look.size * -(-len(labels) // legend_columns(labels, look)) + 0.1
    title = 0.025 * look.size
    flat = np.ptp(layout.where[:, 1]) < 0.6 * np.ptp(layout.where[:, 0])
    height = each * (0.6 if flat else 0.95)
    whole = rows * (height + title) + legend
    figure = Figure(figsize=(look.width, whole))
    for number, snapshot in enumerate(snapshots):
        row, column = divmod(number, columns)
        y = whole - legend - (row + 1) * (height + title)
        axes = figure.add_axes(
            (column / columns + 0.008, y / whole + 0.005, 1 / columns - 0.016, height / whole)
        )
        _moment(axes, snapshot, layout, owner, names, each / 2.9)
        said = f"{format_duration(snapshot.at_us)}: {len(peers_of(snapshot.up, layout.count)):,} up"
        pieces = parts.get(snapshot.at_us, 0)
        said += f", {pieces} part{'s' if pieces != 1 else ''}" if pieces else ""
        axes.set_title(said, size=look.size, pad=2)
    figure.legend(
        handles, labels, loc="upper center", ncols=legend_columns(labels, look), columnspacing=1.2,
        bbox_to_anchor=(0.5, 1.0),
    )  # fmt: skip
    return figure


def _mark(colour: str, *, hollow: bool = False) -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker="o", markersize=5, markeredgecolor=colour,
        markerfacecolor="none" if hollow else colour,
    )  # fmt: skip


def _moment(
    axes: Axes, snapshot: Snapshot, layout: Layout, owner: Mapping[int, str], names: Sequence[str],
    scale: float,
) -> None:  # fmt: skip
    """One panel; `scale` is its width against that of a third of a page."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=FAINT, alpha=0.35)
    # Room for discs that a partition pushes apart, at every moment, so that places compare.
    apart = 0.14 if layout.centres.any() else 0.0
    wide = 1.12 + apart * float(np.abs(layout.centres[:, 0]).max(initial=0.0))
    high = float(np.abs(layout.where[:, 1]).max()) + 0.08
    high += apart
    box = axes.bbox
    ratio = box.width / box.height  # a circle is to be one
    wide, high = max(wide, high * ratio), max(high, wide / ratio)
    axes.set_xlim(-wide, wide)
    axes.set_ylim(-high, high)
    where = layout.where + (apart * layout.centres if snapshot.sides else 0.0)
    if layout.linked and snapshot.edges is not None:
        _lines(axes, snapshot.edges, layout.peers, where, scale)
    up = frozenset(peers_of(snapshot.up, layout.count))
    size = float(scale * np.clip(60.0 / sqrt(len(layout.peers)), 2.2, 9.0))
    kinds: dict[tuple[str, bool], list[int]] = {}
    for place, peer in enumerate(layout.peers):
        name = owner.get(peer)
        colour = INK if name is None else SERIES[names.index(name) % len(SERIES)]
        kinds.setdefault((colour, peer in up), []).append(place)
    for (colour, is_up), own in sorted(kinds.items()):
        axes.plot(
            where[own, 0], where[own, 1], linestyle="none", marker="o", markersize=size,
            markerfacecolor=colour if is_up else PAPER, markeredgecolor=colour,
            markeredgewidth=0.7, alpha=1.0 if is_up else 0.6, zorder=3 if is_up else 2,
        )  # fmt: skip


def _lines(
    axes: Axes, edges: Sequence[Sequence[int]], peers: Sequence[int], where: Places, scale: float
) -> None:
    """All lines as one shape, which is small as a file."""
    place = {peer: number for number, peer in enumerate(peers)}
    pairs = sorted(
        {
            (min(peer, other), max(peer, other))
            for peer, others in enumerate(edges) if peer in place
            for other in others if other in place and other != peer
        }
    )  # fmt: skip
    if not pairs:
        return
    ends = np.array([(place[one], place[other]) for one, other in pairs])
    codes = np.tile(np.array([Path.MOVETO, Path.LINETO], Path.code_type), len(pairs))
    degree = 2.0 * len(pairs) / len(peers)
    axes.add_patch(
        PathPatch(
            Path(where[ends].reshape(-1, 2), codes), fill=False, edgecolor=FAINT, zorder=1,
            linewidth=float(scale * np.clip(3.0 / sqrt(degree), 0.25, 0.9)),
            alpha=float(np.clip(2.0 / sqrt(degree), 0.25, 0.8)),
        )
    )  # fmt: skip
