"""A real mesh: one process a node, libp2p on loopback, the 115-64-32-10 model (39.3 kB), training.

Each run launches node 0, then all others at once with its address; waits until every node knows
every other; takes the time in which everybody completes so many cycles; then lets all nodes go
idle, on the connections they have, and counts what keeping these costs. Bytes are counted where
they are sent, everything included: TCP payload with Noise, Yamux and multistream-select, but not
TCP's and IP's own headers. Payload is the models' numbers alone.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import Any

from _common import MLP_SIZES, Figure, Row, parser, publish

from gossip.config import Encoding, Exchange, PeerConfig
from gossip.learning.shapes import MLPShape

PATIENCE_S = 180.0
END_S = 10.0
SETTLE_S = 5.0
NUMBER_BYTES = {"float32": 4, "float16": 2, "int8": 1}
DEFAULT_CYCLE_S = PeerConfig().cycle_us / 1e6

Status = dict[str, Any]


@dataclass
class Child:
    """One node's process and what it has said, oldest first."""

    number: int
    process: subprocess.Popen[bytes]
    said: list[Status] = field(default_factory=list)

    def tell(self, command: bytes) -> None:
        """Write to its standard input."""
        if self.process.stdin is not None:
            self.process.stdin.write(command)
            self.process.stdin.flush()


class Mesh:
    """All nodes of one run."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._heard: Queue[tuple[Child, Status | None]] = Queue()
        self.launched = monotonic()
        self.children: list[Child] = []
        self._launch(())
        self.wait(lambda child: bool(child.said), "listen")
        address = self.children[0].said[0]["address"]
        for _ in range(1, given.nodes):
            self._launch((address,))

    def _launch(self, join: tuple[str, ...]) -> None:
        given = self._given
        command = [sys.executable, str(Path(__file__).with_name("_meshnode.py"))]
        command += ["--number", str(len(self.children)), "--cycle-s", str(given.cycle_s)]
        command += ["--exchange", given.exchange, "--encoding", given.encoding]
        command += ["--fanout", str(given.fanout), *(f"--join={address}" for address in join)]
        process = subprocess.Popen(  # noqa: S603 - our own script
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        child = Child(len(self.children), process)
        self.children.append(child)
        Thread(target=self._listen, args=(child,), daemon=True).start()

    def _listen(self, child: Child) -> None:
        for line in child.process.stdout or ():
            self._heard.put((child, json.loads(line)))
        self._heard.put((child, None))

    def wait(self, true_of: Callable[[Child], object], what: str) -> float:
        """Let the nodes go on until something is true of each; when the last one said so."""
        deadline = monotonic() + PATIENCE_S
        while not all(map(true_of, self.children)):
            self._hear(deadline - monotonic(), what)
        return max(float(child.said[-1]["at"]) for child in self.children)

    def pause(self, seconds: float) -> None:
        """Let them go on for so long."""
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            self._hear(left, "")

    def _hear(self, seconds: float, what: str) -> None:
        try:
            child, said = self._heard.get(timeout=max(0.0, seconds))
        except Empty:
            if what:
                raise TimeoutError(f"not all nodes {what} within {PATIENCE_S:.0f} s") from None
            return
        if said is None:
            raise ChildProcessError("a node ended; its own words are above")
        child.said.append(said)

    def end(self) -> None:
        """Let every node end politely; kill what does not."""
        for child in self.children:
            if child.process.stdin is not None:
                child.process.stdin.close()
        for child in self.children:
            try:
                child.process.wait(END_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


def marks(child: Child) -> list[Status]:
    """What a node said each time that a training had just ended."""
    return [said for said in child.said if said.get("mark")]


def settled(child: Child, cycle: int) -> Status | None:
    """What a node first said when it had trained in that cycle and then sent all that it began to.

    All frames counted before this moment, and no others, are on the wire in full.
    """
    trained = False
    for said in child.said:
        trained = trained or (said.get("mark", False) and said["cycle"] >= cycle)
        if trained and said["settled"]:
            return said
    return None


def grown(pairs: list[tuple[Status, Status]], key: str) -> float:
    return float(sum(after[key] - before[key] for before, after in pairs))


def run(given: argparse.Namespace) -> dict[str, float]:
    mesh = Mesh(given)
    try:
        return {**starting(mesh, given), **busy(mesh, given), **idle(mesh, given)}
    finally:
        mesh.end()


def starting(mesh: Mesh, given: argparse.Namespace) -> dict[str, float]:
    listening = mesh.wait(lambda child: bool(child.said), "listen")
    joined = mesh.wait(lambda child: child.said[-1].get("view", 0) > 0, "join")
    everybody = given.nodes - 1
    known = mesh.wait(lambda child: child.said[-1]["view"] >= everybody, "know all others")
    return {
        "launch to all listening, s": listening - mesh.launched,
        "launch to all joined, s": joined - mesh.launched,
        "launch to all knowing all, s": known - mesh.launched,
    }


def busy(mesh: Mesh, given: argparse.Namespace) -> dict[str, float]:
    mesh.wait(marks, "train")
    begun = monotonic()
    first = {child.number: marks(child)[-1]["cycle"] for child in mesh.children}

    def ends(cycles: int) -> list[Status]:
        mesh.wait(lambda c: settled(c, first[c.number] + cycles), "complete their cycles")
        found = (settled(c, first[c.number] + cycles) for c in mesh.children)
        return [said for said in found if said is not None]

    before, after = ends(0), ends(given.cycles)
    pairs = list(zip(before, after, strict=True))
    per_node_cycle = given.nodes * given.cycles
    numbers = MLPShape(MLP_SIZES).layout.dim * NUMBER_BYTES[given.encoding]
    frames = grown(pairs, "model_frames")
    payload, wire = frames * numbers, grown(pairs, "wire_bytes")
    membership = grown(pairs, "membership_bytes")
    return {
        f"{given.cycles} cycles of everybody, s": max(said["at"] for said in after) - begun,
        "models sent, a node and cycle": frames / per_node_cycle,
        "models merged, a node and cycle": grown(pairs, "merged") / per_node_cycle,
        "loss before": sum(said["loss"] for said in before) / given.nodes,
        "loss after": sum(said["loss"] for said in after) / given.nodes,
        "processor time, ms a node and cycle": grown(pairs, "cpu_s") * 1e3 / per_node_cycle,
        "payload, kB a cycle of all": payload / given.cycles / 1e3,
        "wire / payload": wire / payload if payload else float("nan"),
        "of it model frames' own": grown(pairs, "model_bytes") / payload - 1 if payload else 0.0,
        "of it membership frames": membership / payload if payload else 0.0,
        "of it libp2p": (wire - grown(pairs, "frames_bytes")) / payload if payload else 0.0,
        "membership, bytes a node and cycle": membership / per_node_cycle,
        "connections a node": sum(said["connected"] for said in after) / given.nodes,
        "resident memory, MB a node": sum(said["rss_mb"] for said in after) / given.nodes,
        "requests failed": grown(pairs, "failed"),
        "shed": grown(pairs, "shed"),
    }


def idle(mesh: Mesh, given: argparse.Namespace) -> dict[str, float]:
    for child in mesh.children:
        child.tell(b"idle\n")
    mesh.wait(lambda child: child.said[-1]["idle"] and child.said[-1]["view"] > 0, "go idle")
    mesh.pause(min(SETTLE_S, given.idle_s))
    before = [child.said[-1] for child in mesh.children]
    mesh.pause(given.idle_s)
    after = [child.said[-1] for child in mesh.children]
    pairs = list(zip(before, after, strict=True))
    node_s = sum(now["at"] - then["at"] for then, now in pairs)
    return {
        "idle: bytes a second and node": grown(pairs, "wire_bytes") / node_s,
        "idle: connections a node": sum(said["connected"] for said in after) / given.nodes,
        "idle: processor time, ms a second and node": grown(pairs, "cpu_s") * 1e3 / node_s,
    }


def measured(given: argparse.Namespace) -> list[Row]:
    runs = [run(given) for _ in range(given.repeats)]
    rows = [{"what": key, "value": Figure.of([each[key] for each in runs])} for key in runs[0]]
    shuffles = [
        each["membership, bytes a node and cycle"] / DEFAULT_CYCLE_S
        + each["idle: bytes a second and node"]
        for each in runs
    ]
    what = f"idle + membership at {DEFAULT_CYCLE_S:g} s cycles, bytes a second and node"
    return [*rows, {"what": what, "value": Figure.of(shuffles)}]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--nodes", type=int, default=8, help="at most 21, the size of a view (8)")
    options.add_argument("--cycles", type=int, default=10, help="that everybody completes (10)")
    options.add_argument("--cycle-s", type=float, default=1.0, help="period of a cycle (1)")
    options.add_argument("--exchange", choices=[e.value for e in Exchange], default="pairwise")
    options.add_argument("--encoding", choices=[e.value for e in Encoding], default="float32")
    options.add_argument("--fanout", type=int, default=1, help="peers that one push goes to (1)")
    options.add_argument("--idle-s", type=float, default=30.0, help="length of the idle phase (30)")
    given = options.parse_args()
    publish("mesh", given, measured(given))


if __name__ == "__main__":
    main()
