"""What a gateway costs: memory, processor time, and the time until it takes part.

Real nodes over loopback libp2p. One follows a log that grows by recorded flows with present times,
first benign ones, later attacks among them; its neighbour has no sensor. Both are looked at each
second: resident memory (RSS), what of it is theirs alone (USS), the kernel's own peak, processor
time. Nodes that join later give the time from launch to the first exchange. Then two nodes without
a sensor exchange models as fast as they can, so that a leak of a few bytes an exchange would show.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from time import monotonic

import numpy as np
from _common import Figure, Row, parser, publish
from _fed import Feed, Node, alone

from gossip.draws import Purpose, generator
from gossip.flows import FAMILIES
from gossip.learning.codes import codes
from gossip.learning.in_numpy import Detector
from gossip.learning.learner import Batches
from node.detection import SHAPE
from node.training.passing import task

CYCLE = "10s"
TRAINING = "import sys\nfrom node.training.passing import carried_out\n"
TRAINING += "carried_out(sys.stdin.buffer.read())"
LOOK_S = 1.0
QUICK = '[node]\n[mesh]\nexchange = "pairwise"\nencoding = "float32"\n'
DETECTING = (
    "from node.watch.watch import Watch\nfrom node.sensors.reading import Kind, parser_for\n"
    "from node.alerts.incidents import Incidents\n"
)


def sizes(given: argparse.Namespace) -> list[Row]:
    """Programs that load a part and end."""
    programs = {
        "Python": ("", b""),
        "Python and numpy": ("import numpy", b""),
        "what detecting needs": (DETECTING, b""),
        "what a node needs": ("import node.gateway", b""),
        "the model, and trains once": (TRAINING, a_task()),
    }
    return [
        {
            "peak memory of a program that loads": name,
            "MB": Figure.of([alone(*program) for _ in range(given.repeats)]),
        }
        for name, program in programs.items()
    ]


def a_task() -> bytes:
    """A training of a gateway's usual size."""
    learner, names = Detector(SHAPE), codes(FAMILIES)
    rows = generator(b"footprint", "rows", 0, Purpose.WORLD)
    x = rows.standard_normal((1, 8, 64, SHAPE.features), np.float32)
    known = np.ones((1, names.shape[1]), np.bool_)
    vector = learner.initial(b"footprint")[None]
    batches = Batches(x, np.zeros((1, 8, 64), np.int64), known, names)
    return task(learner, vector, np.zeros_like(vector), batches)


def detecting(folder: Path, log: Path, repeats: int) -> list[Row]:
    """`hedgerow detect` by a gateway's own model, on the log that it has read."""
    program = (
        "from node.cli import cli\n"
        f"cli.main(['detect', '--state-dir', {str(folder)!r}, {str(log)!r}], standalone_mode=False)"
    )
    peaks = Figure.of([alone(program) for _ in range(repeats)])
    return [{"peak memory of": "hedgerow detect", "MB": peaks}]


def watched(given: argparse.Namespace, folder: Path) -> list[Row]:
    """A gateway that detects and trains, and its neighbour that does neither."""
    log = folder / "eve.json"
    log.touch()
    idle = Node(folder / "idle", "--cycle", CYCLE)
    nodes = [idle]
    try:
        joined = ("--bootstrap", idle.address, "--cycle", CYCLE)
        busy = Node(folder / "busy", *joined, "--sensor", f"suricata:{log}")
        nodes.append(busy)
        busy.says("/p2p/")
        rows = watch(given, idle, busy, Feed(log, given.flows_per_s))
        if busy.status()["detector"]["state"] == "watching":
            rows += detecting(folder / "busy" / "state", log, given.repeats)
        return [*rows, *starts(given, folder, idle)]
    finally:
        for node in nodes:
            node.end()


def watch(given: argparse.Namespace, idle: Node, busy: Node, feed: Feed) -> list[Row]:
    """Feed one, look at both."""
    states: list[str] = []
    seen: dict[str, list[tuple[float, float]]] = {"idle": [], "busy": []}
    begun, before = monotonic(), (idle.cpu_s(), busy.cpu_s())
    halfway: list[float] = []
    while (passed := monotonic() - begun) < given.minutes * 60:
        feed.feed()
        time.sleep(LOOK_S)
        for name, node in (("idle", idle), ("busy", busy)):
            seen[name].append((node.rss_mb(), node.uss_mb()))
        states.append(busy.status().get("detector", {}).get("state", ""))
        if not halfway and passed > given.minutes * 30:
            halfway.append(busy.rss_mb())
    feed.close()
    passed = monotonic() - begun
    rows: list[Row] = []
    for name, node, cpu in (("idle", idle, before[0]), ("busy", busy, before[1])):
        rss, uss = zip(*seen[name], strict=True)
        rows.append(
            {
                "node": name,
                "RSS, MB": Figure.of(rss),
                "USS, MB": Figure.of(uss),
                "peak, MB": node.peak_mb(),
                "second half, MB more": median(rss[len(rss) // 2 :]) - median(rss[: len(rss) // 2]),
                "processor, % of a core": (node.cpu_s() - cpu) / passed * 100,
            }
        )
    found = busy.status()
    rows.append(
        {
            "of the busy node": "",
            "flows fed": feed.flows,
            "flows seen": found["detector"]["flows_seen"],
            "flows a second": feed.flows / passed,
            "anomalous": found["detector"]["flows_anomalous"],
            "cycles": found["mesh"]["cycle"],
            "seconds in state learning": sum(state == "learning" for state in states) * LOOK_S,
            "seconds watching": sum(state == "watching" for state in states) * LOOK_S,
        }
    )
    return rows


def starts(given: argparse.Namespace, folder: Path, first: Node) -> list[Row]:
    """Fresh nodes that join, at the default cycle."""
    events = {
        "it listens": "listening",
        "its bootstrap peer answered": "joined the mesh",
        "it merged a first model": "merged a model",
    }
    seconds: dict[str, list[float]] = {name: [] for name in events}
    for number in range(given.repeats):
        node = Node(folder / f"new-{number}", "--bootstrap", first.address, "--log-level", "debug")
        try:
            for name, words in events.items():
                seconds[name].append(node.says(words)[1])
        finally:
            node.end()
    return [
        {"from launch until": name, "seconds": Figure.of(found)} for name, found in seconds.items()
    ]


def exchanging(given: argparse.Namespace, folder: Path) -> list[Row]:
    """Two nodes that exchange as fast as they are asked to, and what that leaves in memory."""
    settings = folder / "quick.toml"
    settings.write_text(QUICK, encoding="utf-8")
    common = ("--config", str(settings), "--cycle", f"{given.cycle_ms}ms", "--log-level", "warning")
    first = Node(folder / "left", *common)
    nodes = [first]
    try:
        nodes.append(Node(folder / "right", *common, "--bootstrap", first.address))
        points: list[tuple[int, list[float]]] = []
        while not points or points[-1][0] < given.exchanges:
            time.sleep(LOOK_S)
            merges = sum(node.status().get("mesh", {}).get("merges", 0) for node in nodes)
            points.append((merges, [node.rss_mb() for node in nodes]))
        begin = next(i for i, (merges, _) in enumerate(points) if merges >= given.exchanges // 10)
        begin = min(begin, len(points) - 2)
        steep = [slope(points[begin:], number) for number in range(len(nodes))]
        return [
            {
                "models merged by two nodes": points[-1][0],
                "RSS after a tenth, MB": Figure.of(points[begin][1]),
                "RSS at the end, MB": Figure.of(points[-1][1]),
                "MB more in 10,000 merges, by a straight line": Figure.of(steep),
            }
        ]
    finally:
        for node in nodes:
            node.end()


def slope(points: list[tuple[int, list[float]]], number: int) -> float:
    """Of one node's memory by least squares, MB in 10,000 merges of both."""
    x = [merges / 10_000 for merges, _ in points]
    y = [memory[number] for _, memory in points]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / max(spread, 1e-12)


PARTS = {"sizes": sizes, "watched": watched, "exchanging": exchanging}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=3.0, help="that a node is fed (3)")
    options.add_argument("--flows-per-s", type=float, default=50.0, help="that it is fed (50)")
    options.add_argument("--exchanges", type=int, default=10_000, help="by two nodes (10,000)")
    options.add_argument("--cycle-ms", type=int, default=100, help="of these two (100)")
    options.add_argument("--only", choices=PARTS, help="one part alone")
    given = options.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="hedgerow-footprint-") as folder:
        if given.only in {None, "sizes"}:
            rows += sizes(given)
        if given.only in {None, "watched"}:
            rows += watched(given, Path(folder))
        if given.only in {None, "exchanging"}:
            rows += exchanging(given, Path(folder))
    publish("footprint", given, rows)


if __name__ == "__main__":
    main()
