"""The World held against the Lab: the same scenarios, rows and identities in both.

Each row is one scenario over several seeds. `detection` and `bytes` are per peer at the end of the
run, the World's and the Lab's; `apart` is the difference in points, `bytes, lab / world` and
`wire / bytes` are ratios. A run takes as long as the scenario says, so 3 scenarios of 60 s with 3
seeds take ten minutes.
"""

import argparse
from dataclasses import dataclass
from typing import Any

from _common import Figure, parser, publish

from node.config.tables import from_table
from scenarios.lab.identities import names
from scenarios.lab.run import run_lab
from scenarios.plan.plan import Plan, make_plan
from scenarios.runs.results import Result
from scenarios.runs.simulate import run_stage, set_up
from scenarios.spec.scenario import Scenario

SCENARIOS = ("quiet-mesh", "partition-and-heal", "sudden-death")


@dataclass(frozen=True, slots=True)
class End:
    """What a run came to."""

    detection: float
    bytes_per_peer: float

    @classmethod
    def of(cls, result: Result) -> "End":
        """From the last sample."""
        last = result.samples[-1]
        return cls(last.metrics["detection"].mean, last.bytes_sent / last.peers)


def scenario(name: str, options: argparse.Namespace) -> Scenario:
    """One of the three, as large and as long as asked for."""
    peers, seconds = options.peers, options.duration_s
    spec: dict[str, Any] = {
        "title": name,
        "mesh": {
            "peers": peers,
            "duration": f"{seconds} s",
            "cycle": f"{round(options.cycle_s * 1000)} ms",
            "lost_after": "2 s",
            "join_retry_max": "4 s",
        },
        "data": {"rows": 200, "features": 57, "classes": 4, "separation": 0.3},
        "learning": {
            "hidden": [64],
            "rate": 0.2,
            "train": "100 ms",
            "evaluate": f"{max(1, seconds // 4)} s",
            "alarm_budget": "5 %",
            "exchange": options.exchange,
        },
        "links": {"latency": "5 ms"},
        "churn": {"join_over": "2 s"},
    }
    if name == "partition-and-heal":
        third = {"start": f"{seconds // 4} s", "end": f"{seconds // 2} s"}
        spec["links"]["partition"] = [third | {"sides": [f"0:{peers // 2}"]}]
    if name == "sudden-death":
        spec["event"] = [{"at": f"{seconds // 2} s", "do": "crash", "peers": "50 %"}]
    return from_table(Scenario, spec, name)


def both(plan: Plan) -> tuple[End, End, float]:
    """The World's end, the Lab's, and what crossed the Lab's wires by byte of a frame."""
    world = run_stage(set_up(plan, names=names(plan)))
    lab = run_lab(plan)
    return End.of(world), End.of(lab), sum(lab.wire_sent) / sum(lab.bytes_sent)


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """A scenario, once for each seed."""
    given = scenario(name, options)
    runs = [both(make_plan(given, seed, name)) for seed in range(1, options.repeats + 1)]
    return {
        "scenario": name,
        "detection, world": Figure.of([world.detection for world, _, _ in runs]),
        "detection, lab": Figure.of([lab.detection for _, lab, _ in runs]),
        "apart, points": Figure.of(
            [100 * abs(lab.detection - world.detection) for world, lab, _ in runs]
        ),
        "kB, world": Figure.of([world.bytes_per_peer / 1e3 for world, _, _ in runs]),
        "kB, lab": Figure.of([lab.bytes_per_peer / 1e3 for _, lab, _ in runs]),
        "bytes, lab / world": Figure.of(
            [lab.bytes_per_peer / world.bytes_per_peer for world, lab, _ in runs]
        ),
        "wire / bytes": Figure.of([wire for _, _, wire in runs]),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--peers", type=int, default=30, help="processes (default 30)")
    made.add_argument("--duration-s", type=int, default=60, help="of a run (default 60)")
    made.add_argument("--cycle-s", type=float, default=2.0, help="of each peer (default 2)")
    made.add_argument("--exchange", default="age", help="age, epidemic or pairwise (default age)")
    made.add_argument("--only", action="append", choices=SCENARIOS, help="leave the others out")
    options = made.parse_args()
    publish("lab", options, [measure(name, options) for name in options.only or SCENARIOS])


if __name__ == "__main__":
    main()
