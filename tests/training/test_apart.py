"""Training in a process of its own: the same numbers, no more imports than needed, no trust."""

import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save

from gossip.actions import Train
from gossip.flows import FAMILIES
from gossip.learning.codes import codes
from gossip.learning.learner import Batches
from node.config.settings import Settings
from node.config.training import TrainingSettings
from node.detection import fingerprint_of, new_learner
from node.trainer import Trainer
from node.training import apart, passing
from tests.meta.sources import ROOT

HERE = new_learner()
THERE = new_learner(TrainingSettings("process", nice=3))
VECTOR = HERE.initial(b"here")


def batches(cycle: int, *, scale: float = 1.0) -> Batches:
    rng = np.random.default_rng(cycle)
    coded = codes(FAMILIES)
    x = (scale * rng.normal(size=(1, 8, 64, 26))).astype(np.float32)
    known = np.ones((1, coded.shape[1]), np.bool_)
    return Batches(x, rng.integers(-1, 3, (1, 8, 64)), known, coded)


def test_a_thread_is_the_default() -> None:
    settings = Settings.defaults().training
    assert settings.within == "thread"
    assert type(new_learner(settings)) is type(HERE)


def test_the_model_is_the_same_to_the_last_bit_and_so_is_the_fingerprint() -> None:
    assert fingerprint_of(HERE, 4) == fingerprint_of(THERE, 4)
    assert np.array_equal(HERE.initial(b"a seed"), THERE.initial(b"a seed"))
    trainers = [Trainer(learner, VECTOR) for learner in (HERE, THERE)]
    for cycle in (1, 2):  # the second goes on with the first one's momentum
        here, there = (
            trainer.train(Train(cycle, VECTOR[: HERE.shared]), batches(cycle))
            for trainer in trainers
        )
        assert here.delta is not None
        assert there.delta is not None
        assert here.delta.tobytes() == there.delta.tobytes()
        assert here.loss == there.loss
    for name, array in trainers[0].to_arrays().items():
        assert array.tobytes() == trainers[1].to_arrays()[name].tobytes()


def test_a_process_is_nice_and_loads_numpy_and_the_model_alone() -> None:
    program = (
        "import os, runpy, sys\n"
        "sys.argv = ['', '7']\n"
        "runpy.run_module('node.training', run_name='__main__')\n"
        "print(os.nice(0), *{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    momentum = np.zeros_like(VECTOR)[None]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        input=passing.task(HERE, VECTOR[None], momentum, batches(1)),
        capture_output=True,
        check=True,
    )
    found = passing.outcome(done.stdout, (1, HERE.dim))
    assert (
        found.vectors.tobytes() == HERE.train(VECTOR[None], momentum, batches(1)).vectors.tobytes()
    )
    nice, *loaded = done.stderr.decode().split()
    assert int(nice) == 7
    assert "numpy" in loaded
    assert not {"trio", "libp2p", "torch", "structlog"} & set(loaded)


@pytest.fixture(name="broken")
def _broken(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(apart.sys, "executable", request.param)


@pytest.mark.parametrize("broken", ["/bin/false", "/bin/true", "/nowhere/python"], indirect=True)
def test_a_process_that_fails_costs_a_training_and_is_logged(
    broken: None, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = Trainer(THERE, VECTOR)
    before = {name: array.copy() for name, array in trainer.to_arrays().items()}
    done = trainer.train(Train(1, VECTOR[: HERE.shared]), batches(1))
    assert done.delta is not None
    assert np.isnan(done.delta).all()  # which the peer discards, and says so
    assert all(np.array_equal(array, before[n]) for n, array in trainer.to_arrays().items())
    assert "a training process failed" in caplog.text


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 64, save({"vectors": np.zeros((1, 3), np.float32)})]
)
def test_bytes_that_are_no_outcome_and_no_task_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not safetensors|no outcome"):
        passing.outcome(data, (1, HERE.dim))
    with pytest.raises(ValueError, match=r"not safetensors|no task"):
        passing.carried_out(data)


def test_what_is_larger_than_any_training_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "BYTES_MAX", 100)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        passing.carried_out(bytes(101))
