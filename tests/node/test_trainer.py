"""The split of a model between the mesh and home, and what becomes of training that diverges."""

import numpy as np
import pytest

from gossip.actions import Report, Topic, Train
from gossip.config import PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.errors import StateError
from gossip.events import Start, Timer, TimerFired
from gossip.fingerprint import Fingerprint
from gossip.learning.learner import Batches, Outcome
from gossip.peer import Peer
from node.trainer import Trainer

SHARED, DIM, STEPS = 6, 10, 3
INITIAL = np.arange(DIM, dtype=np.float32)
BATCHES = Batches(
    np.zeros((1, STEPS, 4, 2), np.float32), np.zeros((1, STEPS, 4), np.int64), np.ones((1, 2), bool)
)


class Adding:
    """Adds a number to every parameter, and keeps the vectors that it was given."""

    dim, shared, shape = DIM, SHARED, "adding"

    def __init__(self, amount=1.0):
        self.amount = amount
        self.given = []

    def initial(self, seed):
        return INITIAL.copy()

    def train(self, vectors, momentum, batches):
        batches.check(1)
        self.given.append((vectors[0].copy(), momentum[0].copy()))
        return Outcome(vectors + self.amount, momentum + self.amount, np.full(1, 0.5, np.float32))


def test_the_peer_gets_its_part_and_our_own_stays():
    learner = Adding()
    trainer = Trainer(learner, INITIAL)
    merged = np.full(SHARED, 100, np.float32)  # what the mesh made of the shared part
    first = trainer.train(Train(3, merged), BATCHES)
    assert (first.cycle, first.updates, first.loss) == (3, STEPS, 0.5)
    assert np.array_equal(first.delta, np.ones(SHARED))
    assert np.array_equal(trainer.whole(merged), [100] * SHARED + [7, 8, 9, 10])
    trainer.train(Train(4, merged), BATCHES)
    vector, momentum = learner.given[1]
    assert np.array_equal(vector, [100] * SHARED + [7, 8, 9, 10])
    assert np.array_equal(momentum, np.ones(DIM)), "momentum goes on from one cycle to the next"


def test_without_rows_nothing_changes():
    learner = Adding()
    trainer = Trainer(learner, INITIAL)
    found = trainer.train(Train(3, INITIAL[:SHARED]), None)
    assert (found.cycle, found.delta, found.updates) == (3, None, 0)
    assert not learner.given
    assert np.array_equal(trainer.whole(INITIAL[:SHARED]), INITIAL)


@pytest.mark.parametrize("amount", [np.nan, np.inf, 1e7])
def test_training_that_diverged_is_discarded_on_both_sides(amount):
    learner = Adding()
    trainer = Trainer(learner, INITIAL)
    config = PeerConfig(fragments=2, fragments_per_push=2)
    me = Contact(PeerId("me"))
    peer = Peer(config, me, b"seed", Fingerprint("a", "b"), INITIAL[:SHARED])
    peer.handle(Start(), 0)
    (action,) = (a for a in peer.handle(TimerFired(Timer.CYCLE), 10**7) if isinstance(a, Train))
    learner.amount = amount
    reports = peer.handle(trainer.train(action, BATCHES), 10**7)
    (report,) = (a for a in reports if isinstance(a, Report) and a.topic is Topic.TRAINED)
    assert "diverged" in report.detail
    assert np.array_equal(trainer.whole(peer.vector), INITIAL)
    learner.amount = 1.0
    trainer.train(action, BATCHES)
    assert not learner.given[-1][1].any(), "the momentum that led there is gone"
    assert np.isfinite(trainer.whole(peer.vector)).all()


def test_it_comes_back_from_the_disk():
    trainer, again = Trainer(Adding(), INITIAL), Trainer(Adding(), INITIAL)
    trainer.train(Train(1, INITIAL[:SHARED]), BATCHES)
    kept = trainer.to_arrays()
    again.restore(kept)
    trainer.train(Train(2, INITIAL[:SHARED]), BATCHES)
    assert np.array_equal(again.whole(INITIAL[:SHARED]), [*range(SHARED), 7, 8, 9, 10]), (
        "what was handed to the store does not change behind its back"
    )


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"own": np.zeros(DIM - SHARED, np.float32)},
        {"own": np.zeros(DIM, np.float32), "momentum": np.zeros(DIM, np.float32)},
    ],
)
def test_another_models_arrays_are_refused(arrays):
    trainer = Trainer(Adding(), INITIAL)
    with pytest.raises(StateError, match="move the state folder away"):
        trainer.restore(arrays)
    assert np.array_equal(trainer.whole(INITIAL[:SHARED]), INITIAL)
