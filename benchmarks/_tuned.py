"""The constants of thresholds and of push-sum, each with other values, for `budget.py`.

What was chosen was chosen on seeds from 100 on: `--part constants --seed 100 --repeats 4`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from _rules import Split, borrowed, set_to, summary, trimmed
from _scored import Numbers
from _summed import DROPPED, LIARS, LIES, Run, lies, run, soon

from gossip import pushsum
from gossip.learning import tails

THRESHOLDS: dict[str, tuple[float, ...]] = {
    "QUANTILE": (0.8, 0.9),
    "PRIOR": (0.0, 5.0, 10.0),
    "BORROWED": (1.0, 2.0, 4.0, 8.0),
    "CONFIDENCE": (0.001, 0.5, 0.6, 0.7, 0.8, 0.9),
}
TOLD = ("QUANTILE", "PRIOR")
"""Those that change what gateways tell each other."""

OUTLIERS = (6.0, 10.0, 15.0)
SUMS: dict[str, tuple[float, ...]] = {
    "RENEWAL": (0.1, 0.15),
    "BAND": (1.5, 2.0, 3.0),
    "RECENT": (15, 25),
    "WEIGHT_MAX": (0.2, 0.3, 0.75),
}


def of_thresholds(every: Sequence[Split], budget: float, case: dict[str, Any]) -> Iterator[Any]:
    """Those of the rule that borrows, on clean rows."""
    for name, values in THRESHOLDS.items():
        for value in values:
            used = every
            if name in TOLD:
                used = [replace(split, _words={}) for split in every]
            with set_to(tails, name, value):
                limits = [borrowed(split, budget) for split in used]
            yield {"constant": name, "value": value, **case, **summary(every, limits)}


def of_outliers(every: Sequence[Split], budget: float, case: dict[str, Any]) -> Iterator[Any]:
    """How far out a row is left out, on rows with attack flows among them."""
    for value in OUTLIERS:
        with set_to(tails, "OUTLIER", value):
            limits = [trimmed(split, budget) for split in every]
        yield {"constant": "OUTLIER", "value": value, **case, **summary(every, limits)}


def of_sums(drawn: Numbers, peers: int, seeds: Sequence[int]) -> Iterator[Any]:
    """Those of push-sum, in meshes of honest peers, and with liars among them."""
    liars = round(LIARS[0] * peers)

    def runs(**how: Any) -> list[Run]:
        return [run(drawn, peers, "ours", seed, dropped=DROPPED, **how) for seed in seeds]

    def over(found: Sequence[Run], what: Callable[[Run], float]) -> float:
        return float(np.mean([what(each) for each in found]))

    for name, values in SUMS.items():
        for value in values:
            with set_to(pushsum, name, value):
                honest = runs()
                lied = {lie: runs(lying=lies(liars, lie)) for lie in LIES}
            yield {
                "of push-sum": name,
                "value": value,
                "cycles to 5%": float(np.median([soon(each) for each in honest])),
                "error % at 10": 100 * over(honest, lambda each: each.error[9]),
                "error % at 40": 100 * over(honest, lambda each: each.error[-1]),
                **{
                    f"level's shift, {liars} of {peers} say {lie}": over(
                        found, lambda each: each.shift[-1]
                    )
                    for lie, found in lied.items()
                },
            }
