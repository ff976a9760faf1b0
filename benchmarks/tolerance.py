"""What gateways refuse to learn from: others' true antigens, and mimics of benign traffic.

    python benchmarks/tolerance.py FOLDER_OF_NSL-KDD

32 gateways by service (see `_owners.py`), ten families; no training. Of each family the gateways
with most rows of it, four at most and with at least ten each, present it. Every gateway measures
the antigens of the others, and mimics that somebody made who knows its traffic, or that of others,
by the budget (`gossip.learning.tolerance`). `--repeats` is the number of seeds, from `--seed` on.
The data are not part of the project: docs/data.md says where they are.

Columns: the share of pairs of an antigen and a gateway that ended in quarantine, mean over seeds,
the least and the most of a seed; the share that is used without some of its components; how much
of what antigens describe is learnt from, mean over pairs; and the pairs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from _common import parser, publish
from _owners import deal, gateways, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gossip.learning.mixture import Floats, Mixture
    from scenarios.data.table import Table
    from scenarios.immunity.evidence import Own

    Pairs = list[tuple[int, Mixture]]

ORIGINS = 4
TRAINED = 0.7
"""Share of a gateway's attack rows that it has labels for, as in `immunity.py`."""
WIDER = (1.5, 3.0, 6.0)
MOVED = (0.25, 0.5, 1.0)
CLUSTERS = 8
SMALL, LARGE = 0.1, 0.3
"""Of a gateway's benign rows: parts below the one, and from the other on."""
BENIGN = 0.2
"""Share of the draws of an antigen that hides benign components."""


def main() -> None:
    made = parser(__doc__)
    made.set_defaults(repeats=5)
    made.add_argument("folder", nargs="?", help="holds KDDTrain+_20Percent.txt")
    made.add_argument("--seed", type=int, default=0, help="the first (default 0)")
    made.add_argument("--peers", type=int, default=32, help="gateways (default 32)")
    made.add_argument("--budget", type=float, default=0.005, help="share (default 0.005)")
    options = made.parse_args()
    if options.folder is None:
        print("tolerance: skipped, for it needs the folder of NSL-KDD; see docs/data.md")
        return
    rows = table(Path(options.folder))
    found: dict[str, list[list[float]]] = {}
    for seed in range(options.seed, options.seed + options.repeats):
        for what, left in _left(rows, seed, options.peers, options.budget):
            found.setdefault(what, []).append(left)
        if not options.json:
            print("seed", seed, file=sys.stderr, flush=True)
    lines = []
    for what, each in found.items():
        shares = [mean(share == 0.0 for share in seed) for seed in each]
        span = {"quarantined": mean(shares), "least": min(shares), "most": max(shares)}
        part = mean(mean(0.0 < share < 1.0 for share in seed) for seed in each)
        left = mean(mean(seed) for seed in each)
        pairs = sum(map(len, each))
        lines.append({"antigen": what, **span, "in part": part, "learnt": left, "pairs": pairs})
    publish("tolerance", options, lines)


def _left(rows: Table, seed: int, peers: int, budget: float) -> Iterator[tuple[str, list[float]]]:
    """What of each antigen is learnt from at each peer, as a share of what it describes."""
    import numpy as np  # noqa: PLC0415 - see _common.parser

    from gossip.learning.tolerance import Benign, counted, tolerable  # noqa: PLC0415
    from scenarios.immunity.evidence import Evidence  # noqa: PLC0415

    shards, _ = deal(
        rows, peers, seed, rows.families[1], 0, scaling="own", everybody=False
    )  # of attacks it deals nothing that is used here
    evidence = Evidence(shards)
    own = [evidence.own(peer) for peer in range(peers)]
    benign = [
        Benign(each.train, each.held, np.random.default_rng([seed, peer]))
        for peer, each in enumerate(own)
    ]
    true = dict(_true(rows, seed, peers))
    for what, pairs in (*true.items(), *_mimics(own, seed, next(iter(true.values()))[0][1])):
        rng = np.random.default_rng([seed, len(pairs)])
        found = []
        for at, each in pairs:
            mixture = counted(each)
            left = tolerable(mixture, benign[at].alarms(mixture, rng), budget)
            found.append(float(mixture.shares[left].sum() / mixture.shares.sum()))
        yield what, found


def _true(rows: Table, seed: int, peers: int) -> Iterator[tuple[str, Pairs]]:
    """Every family that somebody presents, by its name, for everybody else."""
    import numpy as np  # noqa: PLC0415

    from gossip.antigens import EVIDENCE_MIN  # noqa: PLC0415
    from gossip.learning.mixture import Mixture  # noqa: PLC0415

    at = gateways(rows, peers, seed)
    for number, family in enumerate(rows.families[1:], 1):
        pairs: Pairs = []
        counts = np.bincount(at[rows.y == number], minlength=peers)
        for origin in np.argsort(-counts, kind="stable")[:ORIGINS].tolist():
            rng = np.random.default_rng([seed, number, origin])
            seen = rows.x[(rows.y == number) & (at == origin)]
            seen = seen[rng.random(len(seen)) < TRAINED]
            if len(seen) >= EVIDENCE_MIN:
                mixture = Mixture.fit(seen, rng)
                pairs += [(peer, mixture) for peer in range(peers) if peer != origin]
        if pairs:
            yield f"true: {family}", pairs


def _mimics(own: Sequence[Own], seed: int, attack: Mixture) -> Iterator[tuple[str, Pairs]]:
    import numpy as np  # noqa: PLC0415

    from gossip.learning.mixture import Mixture  # noqa: PLC0415

    rng = np.random.default_rng([seed, len(own)])
    mimics = [Mixture.fit(each.train, rng) for each in own]

    def changed(wider: float, moved: float = 0.0) -> Pairs:
        pairs = []
        for peer, each in enumerate(mimics):
            sign = rng.choice(np.array([-1, 1], np.float32), each.means.shape[1])
            means = each.means + np.float32(moved) * sign * own[peer].train.std(axis=0)
            pairs.append((peer, Mixture(each.shares, means, each.spreads * np.float32(wider))))
        return pairs

    yield "mimic of the receiver's own benign traffic", list(enumerate(mimics))
    hidden = [(peer, _beside(attack, each)) for peer, each in enumerate(mimics)]
    yield "the same, a fifth among a true antigen's components", hidden
    for wider in WIDER:
        yield f"the same, spreads times {wider:g}", changed(wider)
    yield "the same, spreads times 0", changed(0.0)
    for moved in MOVED:
        yield f"the same, every column moved by {moved:g} deviations", changed(1.0, moved)
    means = [(peer, _point(each.train.mean(axis=0))) for peer, each in enumerate(own)]
    yield "the mean of the receiver's own, without spread", means
    single = [(peer, _point(rng.choice(each.train))) for peer, each in enumerate(own)]
    yield "a single benign row of the receiver's, without spread", single
    parts = [
        (peer, Mixture(whole.shares[[j]], whole.means[[j]], whole.spreads[[j]]))
        for peer, each in enumerate(own)
        for whole in [Mixture.fit(each.train, rng, CLUSTERS)]
        for j in range(len(whole.shares))
    ]
    for what, low, high in (
        (f"below {SMALL:.0%}", 0.0, SMALL),
        (f"{SMALL:.0%} to {LARGE:.0%}", SMALL, LARGE),
        (f"from {LARGE:.0%} on", LARGE, 1.1),
    ):
        some = [(peer, each) for peer, each in parts if low <= each.shares[0] < high]
        if some:
            yield f"mimic of a part of the receiver's own, {what}", some
    everybody = Mixture.fit(np.concatenate([each.train for each in own]), rng)
    yield "mimic of everybody's benign traffic", [(peer, everybody) for peer in range(len(own))]
    others = [
        (peer, mimics[other])
        for other in range(0, len(own), 4)
        for peer in range(len(own))
        if peer != other
    ]
    yield "mimic of another peer's benign traffic", others


def _beside(attack: Mixture, mimic: Mixture) -> Mixture:
    """Both, the latter with a share of `BENIGN`."""
    import numpy as np  # noqa: PLC0415

    from gossip.learning.mixture import Mixture  # noqa: PLC0415

    weights = (1.0 - BENIGN) * _whole(attack), BENIGN * _whole(mimic)
    return Mixture(
        np.concatenate(weights).astype(np.float32),
        np.concatenate([attack.means, mimic.means]),
        np.concatenate([attack.spreads, mimic.spreads]),
    )


def _whole(mixture: Mixture) -> Any:
    return mixture.shares / mixture.shares.sum()


def _point(row: Floats) -> Mixture:
    import numpy as np  # noqa: PLC0415

    from gossip.learning.mixture import Mixture  # noqa: PLC0415

    here = row.astype(np.float32)[None]
    return Mixture(np.ones(1, np.float32), here, np.zeros_like(here))


if __name__ == "__main__":
    main()
