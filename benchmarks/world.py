"""Throughput of the World: how many updates of simulated peers a second of real time brings.

The task of the reference figures in README.md: 200 rows a peer, one epoch of 7 steps of 32 rows a
cycle (224 rows: passes over the data follow each other without a gap), a 20-regular graph, nothing
judged. `lr` is 57-2 (116 parameters), `mlp` 115-64-32-10 (9,834). One update is one local epoch;
the merges that went with it stand beside it. Every run has a process of its own, so that the memory
is its own.
"""

import argparse
import json
import subprocess
import sys
from cProfile import Profile
from pstats import Stats
from time import perf_counter, process_time
from typing import Any

from _common import LR_SIZES, MLP_SIZES, Figure, Row, parser, publish, rss_mb

from gossip.actions import Topic
from gossip.config import Exchange
from scenarios.plan.plan import make_plan
from scenarios.runs.simulate import Stage, set_up
from scenarios.spec.churn import Churn
from scenarios.spec.data import Data
from scenarios.spec.learning import Learning
from scenarios.spec.mesh import Mesh
from scenarios.spec.scenario import Scenario

CYCLE_US = 10_000_000
SIZES = {"lr": LR_SIZES, "mlp": MLP_SIZES}
SHOWN = 25


def scenario(peers: int, model: str, cycles: int, exchange: Exchange) -> Scenario:
    """Everybody starts within one cycle, at random; then `cycles` cycles for all."""
    features, *hidden, classes = SIZES[model]
    degree = min(20, peers - 1)
    return Scenario(
        mesh=Mesh(peers, (cycles + 1) * CYCLE_US, topology=f"regular:{peers},degree={degree}"),
        data=Data(features=features, classes=classes, calibrate_rows=0, test_rows=1),
        learning=Learning(hidden=tuple(hidden), exchange=exchange, evaluate_us=0),
        churn=Churn(join_over_us=CYCLE_US),
    )


def run(stage: Stage, until_us: int) -> dict[str, Any]:
    world = stage.world
    world.run(CYCLE_US)  # everybody is there, and has begun no cycle
    before_mb = rss_mb()
    begun, cpu = perf_counter(), process_time()
    world.run(until_us)
    wall_s, cpu_s = perf_counter() - begun, process_time() - cpu
    tally = world.tally
    return {
        "updates": tally.trainings,
        "wall s": wall_s,
        "cpu s": cpu_s,
        "merges": tally.topics[Topic.MERGED],
        "memory MB": rss_mb(),
        "before MB": before_mb,
    }


def one(given: argparse.Namespace) -> None:
    """One run, in this process; prints one JSON object."""
    exchange = Exchange(given.exchange)
    wanted = scenario(given.peers[0], given.model[0], given.cycles, exchange)
    stage = set_up(make_plan(wanted))
    if not given.profile:
        print(json.dumps(run(stage, wanted.mesh.duration_us)))
        return
    profile = Profile()
    profile.runcall(run, stage, wanted.mesh.duration_us)
    Stats(profile).sort_stats("tottime").print_stats(SHOWN)


def measured(given: argparse.Namespace, peers: int, model: str) -> Row:
    command = [sys.executable, __file__, "--inside", "--peers", str(peers), "--model", model]
    command += ["--cycles", str(given.cycles), "--exchange", given.exchange]
    found = []
    for _ in range(given.repeats):
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - ourselves
        found.append(json.loads(done.stdout))
    return {
        "peers": peers,
        "model": model,
        "updates/s": Figure.of([each["updates"] / each["wall s"] for each in found]),
        "updates/cpu s": Figure.of([each["updates"] / each["cpu s"] for each in found]),
        "merges/update": Figure.of([each["merges"] / each["updates"] for each in found]),
        "memory MB": Figure.of([each["memory MB"] for each in found]),
        "grown by MB": Figure.of([each["memory MB"] - each["before MB"] for each in found]),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--peers", type=int, nargs="+", default=[1_000], help="(1000)")
    options.add_argument("--model", nargs="+", choices=SIZES, default=["lr", "mlp"])
    options.add_argument("--cycles", type=int, default=20, help="of every peer (20)")
    options.add_argument(
        "--exchange",
        choices=[each.value for each in Exchange],
        default="epidemic",
        help="epidemic: one push a cycle; age: as the token account decides; pairwise (epidemic)",
    )
    options.add_argument("--profile", action="store_true", help="where the first one's time goes")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.inside or given.profile:
        one(given)
        return
    publish("world", given, [measured(given, n, m) for n in given.peers for m in given.model])


if __name__ == "__main__":
    main()
