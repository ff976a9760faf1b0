"""Meshes of nothing but push-sum, for `budget.py`: who sends what to whom, and who lies.

Beside the project's own there are two others to compare it with: push-sum as in the paper, and
contributions that are passed on unmixed, of which a peer takes the trimmed mean.
"""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, nan
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gossip.codec import encode
from gossip.learning.tails import CEILING, LENGTH, LEVELS, MeshTail, contribution
from gossip.messages import Model
from gossip.pushsum import PushSum, Sums

Numbers = NDArray[np.float64]

LIES = {"too much": np.concatenate([CEILING, [1.0, 1.0]]), "too little": np.zeros(LENGTH)}
"""The largest numbers that anybody believes, and the smallest."""

CYCLES = 20
"""That a mesh has run when thresholds are made of what it says."""

DROPPED = 0.1
"""Of all messages."""

LIARS = (3 / 32, 6 / 32)
"""Of the peers, where some lie."""

USUAL = 32
"""Peers of the meshes with liars."""

NEAR = 0.05
"""Relative error at which an estimate is called good."""

LOOKS = (5, 10, 20, 40)
"""Cycles after which push-sum is looked at."""

CHURN = 0.05
"""Peers that a fresh one replaces in a cycle, where some come and go."""

SHARE = 0.01
"""Of rows, beyond the level that is looked at by itself."""

LOOKED_AT = 64
"""Peers whose levels are computed."""


class Part(Protocol):
    """One peer's part; see `PushSum`, whose methods these are."""

    def begin(self, contribution: Numbers | None) -> None:
        """Begin a cycle."""

    def share(self) -> Sums | None:
        """What is sent to one peer."""

    def absorb(self, sender: str, sums: Sums) -> bool:
        """Take what a peer sent."""

    def estimate(self) -> Numbers | None:
        """The mesh's mean."""


class Paper:
    """Push-sum of Kempe, Dobra and Gehrke (2003): nothing is renewed, nothing bounded."""

    def __init__(self, length: int) -> None:
        self._sum, self._weight = np.zeros(length), 0.0

    def begin(self, contribution: Numbers | None) -> None:
        """Count it, the first time."""
        if not self._weight and contribution is not None:
            self._sum, self._weight = contribution.copy(), 1.0

    def share(self) -> Sums | None:
        """Half of it."""
        means = self._sum / self._weight
        self._sum, self._weight = self._sum / 2, self._weight / 2
        return Sums(self._weight, means.astype("<f2").tobytes())

    def absorb(self, sender: str, sums: Sums) -> bool:  # noqa: ARG002 - as PushSum has it
        """Add it."""
        self._sum = self._sum + sums.weight * _means(sums)
        self._weight += sums.weight
        return True

    def estimate(self) -> Numbers | None:
        """This peer's own mix."""
        return self._sum / self._weight


class Unmixed:
    """Others' own words, the latest of each of the last `KEPT`, without the highest and lowest."""

    KEPT, TRIMMED = 32, 0.15

    def __init__(self, length: int) -> None:
        self._own = np.zeros(length)
        self._heard: dict[str, Numbers] = {}

    def begin(self, contribution: Numbers | None) -> None:
        """Say this from now on."""
        if contribution is not None:
            self._own = contribution

    def share(self) -> Sums | None:
        """All of it."""
        return Sums(1.0, self._own.astype("<f2").tobytes())

    def absorb(self, sender: str, sums: Sums) -> bool:
        """Remember it."""
        self._heard.pop(sender, None)
        self._heard[sender] = _means(sums)
        if len(self._heard) > self.KEPT:
            del self._heard[next(iter(self._heard))]
        return True

    def estimate(self) -> Numbers | None:
        """The trimmed mean of what was heard and one's own."""
        rows = np.sort([self._own, *self._heard.values()], axis=0)
        cut = int(len(rows) * self.TRIMMED)
        found: Numbers = rows[cut : len(rows) - cut].mean(axis=0)
        return found


WAYS = {"push-sum as in the paper": Paper, "unmixed, trimmed mean": Unmixed, "ours": PushSum}


def _means(sums: Sums) -> Numbers:
    return np.frombuffer(sums.means, "<f2").astype(np.float64)


def lies(count: int, lie: str) -> dict[int, Sums]:
    """What the first so many peers send in every cycle."""
    return dict.fromkeys(range(count), Sums(1.0, LIES[lie].astype("<f2").tobytes()))


def exchange(
    peers: Sequence[Part], rng: np.random.Generator, dropped: float, lying: Mapping[int, Sums]
) -> None:
    """One push of each peer to another one, who is drawn anew."""
    for number, peer in enumerate(peers):
        to = int(rng.integers(len(peers) - 1))
        to += to >= number
        sums = peer.share()
        if sums is not None and rng.random() >= dropped:
            peers[to].absorb(str(number), lying.get(number, sums))


def word(
    calibrations: Sequence[Numbers],
    references: Sequence[Numbers],
    rng: np.random.Generator,
    lying: Mapping[int, Sums] | None = None,
) -> list[MeshTail | None]:
    """What each gateway has heard of tails after `CYCLES`, by the project's push-sum.

    Args:
        calibrations: each gateway's scores.
        references: likewise.
        rng: draws who sends to whom, and what is dropped.
        lying: what liars send instead.
    """
    peers = [PushSum(LENGTH) for _ in calibrations]
    heard: list[MeshTail | None] = [None] * len(peers)
    for _ in range(CYCLES):
        for peer, own, other, mesh in zip(peers, calibrations, references, heard, strict=True):
            peer.begin(contribution(own, other, mesh))
        exchange(peers, rng, DROPPED, lying or {})
        heard = [
            None if (mean := peer.estimate()) is None else MeshTail.of(mean, peer.peers)
            for peer in peers
        ]
    return heard


@dataclass(frozen=True, slots=True)
class Run:
    """One mesh over its cycles, honest peers alone.

    Args:
        error: relative error of the whole vector of shares, the median peer's, by cycle; infinite
            while half of them have no estimate.
        share: the same of the share at the 1 % level.
        shift: of the 1 % level in units, the mean over peers.
        level: the honest one.
    """

    error: list[float]
    share: list[float]
    shift: list[float]
    level: float


def run(
    drawn: Numbers,
    peers: int,
    way: str,
    seed: int,
    *,
    dropped: float = DROPPED,
    churn: float = 0.0,
    lying: Mapping[int, Sums] | None = None,
) -> Run:
    """A mesh of peers with contributions drawn from `(n, LENGTH)`, for the last of `LOOKS`."""
    rng = np.random.default_rng([seed, peers])
    made, liars = WAYS[way], lying or {}
    own = drawn[rng.integers(len(drawn), size=peers)]
    honest = range(len(liars), peers)
    levels = len(LEVELS)
    truth = own[honest.start :].mean(axis=0)
    at = int(np.argmin(abs(truth[:levels] - SHARE)))
    level = MeshTail.of(truth, peers).level(SHARE)
    parts: list[Part] = [made(LENGTH) for _ in range(peers)]
    found = Run([], [], [], level)
    for _ in range(LOOKS[-1]):
        for number in np.flatnonzero(rng.random(peers) < churn):
            parts[number] = made(LENGTH)
        for part, said in zip(parts, own, strict=True):
            part.begin(said)
        exchange(parts, rng, dropped, liars)
        means = [each for number in honest if (each := parts[number].estimate()) is not None]
        none = [inf] * (len(honest) - len(means))
        off = [each - truth for each in means]
        whole = float(np.linalg.norm(truth[:levels]))
        errors = [float(np.linalg.norm(each[:levels])) / whole for each in off]
        shares = [abs(float(each[at])) / truth[at] for each in off]
        told = [MeshTail.of(each, peers).level(SHARE) for each in means[:LOOKED_AT]]
        found.error.append(float(np.sort(errors + none)[len(honest) // 2]))
        found.share.append(float(np.sort(shares + none)[len(honest) // 2]))
        found.shift.append(float(np.mean(told)) - level if means else nan)
    return found


def usual(peers: Sequence[int]) -> int:
    """Peers of the meshes that are looked at closely, of the numbers that were asked for."""
    return USUAL if USUAL in peers else peers[-1]


def soon(found: Run) -> float:
    """Cycles until the estimate is good; infinite where it never was."""
    return next((number + 1 for number, off in enumerate(found.error) if off < NEAR), inf)


def spreading(drawn: Numbers, data: str, options: Namespace) -> Iterator[dict[str, Any]]:
    """The part `mesh`: what a share costs, how soon it is good, and what liars do to it.

    Args:
        drawn: what gateways say of their tails, float64 `(n, LENGTH)`.
        data: where they are from.
        options: of the script.
    """
    seeds = range(options.seed, options.seed + options.repeats)
    one = PushSum(LENGTH)
    one.begin(drawn[0])
    lengths = [len(encode(Model((), sums=sums), bytes(16))) for sums in (one.share(), None)]
    yield {"a share of push-sum": data, "numbers": LENGTH, "bytes": lengths[0] - lengths[1]}
    some = usual(options.peers)
    cases = [(peers, dropped, 0.0, "ours") for peers in options.peers for dropped in (0, DROPPED)]
    cases += [(some, DROPPED, CHURN, "ours")]
    cases += [(some, DROPPED, 0.0, way) for way in WAYS if way != "ours"]
    for peers, dropped, churn, way in cases:
        runs = [run(drawn, peers, way, seed, dropped=dropped, churn=churn) for seed in seeds]
        until = [*map(soon, runs)]
        yield {
            "push-sum": data,
            "peers": peers,
            "way": way,
            "dropped %": 100 * dropped,
            "replaced %": 100 * churn,
            f"cycles to {NEAR:.0%}": f"{min(until)} to {max(until)}",
            **{f"error % at {n}": 100 * _mean(each.error[n - 1] for each in runs) for n in LOOKS},
            "share's error %": 100 * _mean(each.share[-1] for each in runs),
            "level's shift": _mean(abs(each.shift[-1]) for each in runs),
        }
    for part, lie, way in product(LIARS, LIES, WAYS):
        lying = lies(round(part * some), lie)
        runs = [run(drawn, some, way, seed, lying=lying) for seed in seeds]
        yield {
            "liars": data,
            "peers": some,
            "lie": len(lying),
            "say": lie,
            "way": way,
            "share's error": _mean(each.share[-1] for each in runs),
            "level": _mean(each.level for each in runs),
            "level's shift": _mean(each.shift[-1] for each in runs),
            "at 20": _mean(each.shift[19] for each in runs),
        }


def _mean(values: Iterable[float]) -> float:
    return float(np.mean([*values]))
