"""How good a gateway's own model is, on rows that no model was trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gossip.arrays import group_of
from gossip.errors import StateError
from gossip.flows import FAMILIES
from gossip.learning.calibration import State
from node.detection import new_watch
from node.state import generations
from node.watch.watch import Watch
from scenarios.demo.feeds import Feed, Rows
from scenarios.recordings import FAMILY_OF


@dataclass(frozen=True, slots=True)
class Share:
    """Rows of one attack: how many, and the shares in [0, 1] found anomalous and rightly named."""

    rows: int
    found: float
    named: float


@dataclass(frozen=True, slots=True)
class Marks:
    """One gateway at one moment.

    Args:
        cycle: of the model.
        false_alarms: share of benign rows above the threshold; None while it is learning.
        attacks: by attack; empty while it is learning.
    """

    cycle: int
    false_alarms: float | None
    attacks: dict[str, Share]

    def families(self) -> dict[str, Share]:
        """By family of attack, over all its rows."""
        of: dict[str, list[Share]] = {}
        for label, share in self.attacks.items():
            of.setdefault(FAMILY_OF[label], []).append(share)
        return {family: _pooled(shares) for family, shares in of.items()}

    @property
    def mean(self) -> Share | None:
        """Mean over families, each counting alike; None while learning."""
        families = list(self.families().values())
        if not families:
            return None
        return Share(
            sum(f.rows for f in families),
            float(np.mean([f.found for f in families])),
            float(np.mean([f.named for f in families])),
        )


def share_named(marks: Marks | None, family: str) -> float | None:
    """Of a family's kept-back flows, the share rightly named; None where there are none."""
    share = None if marks is None else marks.families().get(family)
    return None if share is None else share.named


@dataclass(frozen=True, slots=True)
class Compared:
    """A family of attack, judged twice: alone, then in the mesh; None where it was not.

    Args:
        family: its name.
        rows: judged.
        found: shares found anomalous.
        named: shares rightly named.
    """

    family: str
    rows: int
    found: tuple[float | None, ...]
    named: tuple[float | None, ...]


def compared(alone: Marks, mesh: Marks | None) -> list[Compared]:
    """Every family that either was judged on, in alphabetical order."""
    each = [{} if marks is None else marks.families() for marks in (alone, mesh)]
    rows = {family: share.rows for families in each for family, share in families.items()}
    return [
        Compared(
            family,
            rows[family],
            tuple(f[family].found if family in f else None for f in each),
            tuple(f[family].named if family in f else None for f in each),
        )
        for family in sorted(rows)
    ]


def _pooled(shares: list[Share]) -> Share:
    rows = sum(s.rows for s in shares)
    return Share(
        rows,
        sum(s.found * s.rows for s in shares) / rows,
        sum(s.named * s.rows for s in shares) / rows,
    )


def mark(watch: Watch, feed: Feed) -> Marks:
    """Judge the model that serves."""
    serving = watch.serving
    if serving is None or watch.state is State.LEARNING:
        return Marks(0 if serving is None else serving.cycle, None, {})
    benign = watch.judge(feed.benign)
    attacks = {label: _share(watch, rows, label) for label, rows in sorted(feed.attacks.items())}
    return Marks(serving.cycle, None if benign is None else float(benign.anomalous.mean()), attacks)


def _share(watch: Watch, rows: Rows, label: str) -> Share:
    judged = watch.judge(rows)
    if judged is None:
        return Share(len(rows), 0.0, 0.0)
    right = judged.family == FAMILIES.index(FAMILY_OF[label])
    return Share(len(rows), float(judged.anomalous.mean()), float(right.mean()))


def saved_watch(state_dir: Path, budget: float) -> Watch | None:
    """What a node, running or not, last saved of its detector; None where there is nothing yet.

    The node may remove the file while it is being looked for; then the next one is tried.
    """
    for _ in range(5):
        found = next(iter(generations.listed(state_dir)), None) if state_dir.is_dir() else None
        if found is None:
            return None
        try:
            snapshot = generations.read(state_dir, found)
        except StateError:
            return None
        if snapshot is not None:
            watch = new_watch(budget, b"", "")
            watch.restore(group_of(snapshot.arrays, "watch"))
            return watch
    return None
