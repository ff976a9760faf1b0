"""A node ends at once and in order, whatever it is doing; and goes on where it can."""

import threading

import numpy as np
import trio

from node.detection import new_learner
from node.state import journal as journals
from node.state.store import Store
from tests.node.live import PATIENCE_S, running, settings_for
from tests.node.traffic import benign, write


class Slow:
    """A learner whose training takes as long as the test wants, from the second cycle on."""

    def __init__(self):
        self._learner = new_learner()
        self.dim, self.shared = self._learner.dim, self._learner.shared
        self.shape, self.initial = self._learner.shape, self._learner.initial
        self.calls = 0
        self.goes_on = threading.Event()

    def train(self, vectors, momentum, batches):
        self.calls += 1
        if self.calls > 1:
            assert self.goes_on.wait(PATIENCE_S)
        return self._learner.train(vectors, momentum, batches)


def test_stopping_does_not_wait_for_training_and_saves_one_consistent_piece(tmp_path):
    log = write(tmp_path / "eve.json", benign(400))
    settings = settings_for(tmp_path / "a", sensor=[{"path": str(log)}])
    learner = Slow()
    served = []

    async def main():
        async with running(settings, learner) as node:
            await node.until(lambda s: s.detector.loss and learner.calls > 1)
            gateway = node.gateway
            trained = {name: array.copy() for name, array in gateway._trainer.to_arrays().items()}
            vector = gateway._watch.serving.vector
            served.extend((trained, vector))
        assert learner.calls == 2
        assert not learner.goes_on.is_set(), "it ended while the training went on"
        learner.goes_on.set()

    trio.run(main)
    store = Store.open(settings.node.state_dir)
    arrays = store.load().arrays
    store.close()
    trained, vector = served
    assert np.array_equal(arrays["trainer.own"], trained["own"])
    assert np.array_equal(arrays["trainer.momentum"], trained["momentum"])
    whole = np.concatenate([arrays["peer.vector"], arrays["trainer.own"]])
    assert np.array_equal(whole, vector), "as it was served"


def test_a_journal_that_is_full_is_said_once_and_the_node_goes_on(tmp_path, caplog):
    path = tmp_path / "peer.journal"

    async def main():
        async with running(settings_for(tmp_path / "a")) as a:
            settings = settings_for(
                tmp_path / "b",
                node__bootstrap=[a.address],
                journal__path=str(path),
                journal__size_max="64 KiB",
            )
            async with running(settings) as b:
                await b.until(lambda s: s.mesh.merges > 5)

    trio.run(main)
    assert path.stat().st_size <= 2**16
    said = [record for record in caplog.records if "journalled" in str(record.msg)]
    assert len(said) == 1
    _, records = journals.read(path)
    assert len(list(records)) > 1


def test_stopping_before_anything_happened_is_fine(tmp_path):
    settings = settings_for(tmp_path / "a", mesh__cycle="1 h")

    async def main():
        async with running(settings) as node:
            node.gateway.stop()
        async with running(settings) as node:
            assert (await node.look()).mesh.cycle == 0

    trio.run(main)
