"""One node's cycle with the gateway's own detector, step by step.

What a gateway does once in `mesh.cycle` (10 s by default): draw batches, train, calibrate the new
model, write a push, take one in, and save everything, which includes three fsyncs. Training in
torch is shown for comparison; a node trains in numpy, as `node.detection.new_learner` says why.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _common import MLP_SIZES, Row, Work, parser, publish, timed
from _recorded import flows

from gossip.actions import Train
from gossip.codec import encode
from gossip.config import PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.events import Received, Start, Timer, TimerFired
from gossip.learning.calibration import BUDGET
from gossip.learning.in_numpy import Classifier
from gossip.learning.in_torch import TorchClassifier, TorchDetector
from gossip.learning.learner import Batches, Learner
from gossip.learning.shapes import MLPShape
from gossip.model import LocalModel
from gossip.peer import Peer
from node.detection import SHAPE, fingerprint_of, new_learner, new_watch
from node.state.store import Snapshot, Store
from node.trainer import Trainer

SEED = b"benchmark"
Works = list[tuple[str, Work]]


def one_cycle(folder: Path, count: int) -> tuple[Works, Store]:
    """The steps, ready to be measured, and the store to close afterwards."""
    config, learner = PeerConfig(), new_learner()
    fingerprint = fingerprint_of(learner, config.fragments)
    initial = learner.initial(fingerprint.digest)
    watch = new_watch(BUDGET, SEED, "me")
    watch.observe(flows(count))
    batches = watch.batches(1)
    if batches is None:
        raise ValueError(f"{count} lines hold too few flows to train on; give more with --lines")
    shared = initial[: learner.shared]
    trainer, other = Trainer(learner, initial), Trainer(TorchDetector(SHAPE), initial)
    peer = Peer(config, Contact(PeerId("me")), SEED, fingerprint, shared)
    peer.handle(Start(neighbours=()), 0)
    model = LocalModel(config, shared, None)
    indices = range(config.fragments)

    def push() -> bytes:
        message = model.message(SEED, "a", 1, indices, answer=False)
        return encode(message, fingerprint.digest)

    arrived = Received(PeerId("other"), push())
    due_us = 2 * config.cycle_us
    store = Store.open(folder)

    def save() -> None:
        arrays: dict[str, Any] = {f"trainer.{n}": a for n, a in trainer.to_arrays().items()}
        arrays |= {f"watch.{n}": a for n, a in watch.to_arrays().items()}
        arrays |= {"peer.vector": peer.vector.copy(), "peer.ages": peer.ages}
        store.save(Snapshot(1, arrays))

    def receive() -> None:
        nonlocal due_us  # a new cycle each time, or the sender's models would be too many
        due_us += config.cycle_us
        peer.handle(TimerFired(Timer.CYCLE), due_us)
        peer.handle(arrived, due_us)

    return [
        ("draw batches", lambda: watch.batches(1)),
        ("train (numpy)", lambda: trainer.train(Train(1, shared.copy()), batches)),
        ("train in torch instead", lambda: other.train(Train(1, shared.copy()), batches)),
        ("calibrate", lambda: watch.serve(initial, 1)),
        ("write a push", push),
        ("begin a cycle, take a push in", receive),
        ("save", save),
    ], store


def classifiers(rows: int = 32, steps: int = 7) -> Works:
    """An epoch of the mesh benchmark's model."""
    sizes = MLPShape(MLP_SIZES)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, steps, rows, MLP_SIZES[0]), np.float32)
    y = rng.integers(0, MLP_SIZES[-1], (1, steps, rows))
    batches = Batches(x, y, np.ones((1, MLP_SIZES[-1]), np.bool_))
    vector = sizes.initial(SEED)[None]
    zeros = np.zeros_like(vector)

    def train(learner: Learner) -> Work:
        return lambda: learner.train(vector, zeros, batches)

    name = "-".join(map(str, MLP_SIZES))
    return [
        (f"train {name} (numpy)", train(Classifier(sizes))),
        (f"train {name} (torch)", train(TorchClassifier(sizes))),
    ]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--lines", type=int, default=10_000, help="of the recordings (10000)")
    options.add_argument("--seconds", type=float, default=0.5, help="for each repeat (default 0.5)")
    given = options.parse_args()
    with TemporaryDirectory() as folder:
        works, store = one_cycle(Path(folder) / "state", given.lines)
        rows: list[Row] = [
            {"step": what, "ms": timed(work, given.repeats, given.seconds).scaled(1e3)}
            for what, work in works + classifiers()
        ]
        store.close()
    publish("cycle", given, rows)


if __name__ == "__main__":
    main()
