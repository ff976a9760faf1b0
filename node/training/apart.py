"""Trains in a process of its own, which gives way to all others and ends when it is done."""

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.learning.in_numpy import Detector
from gossip.learning.learner import Batches, Outcome
from node.logs import get_logger
from node.training.passing import outcome, task

TRAIN_S_MAX = 300.0
"""A training takes milliseconds, its process a third of a second to start. Our choice, for a
gateway so busy that whoever gives way to all others hardly ever has its turn."""

WORDS_MAX = 300

_log = get_logger("training")


@dataclass(frozen=True)
class Apart:
    """A detector that is trained elsewhere: the same numbers to the last bit.

    Args:
        model: which.
        nice: how far the process gives way, as nice(1) counts.
    """

    model: Detector
    nice: int = 10

    @property
    def dim(self) -> int:
        """Length of the flat vector."""
        return self.model.dim

    @property
    def shared(self) -> int:
        """How many of the first numbers travel."""
        return self.model.shared

    @property
    def carries(self) -> bool:
        """Whether momentum goes from one training to the next."""
        return self.model.carries

    @property
    def shape(self) -> str:
        """Layer sizes as text; the same as without a process, so that models still merge."""
        return self.model.shape

    def initial(self, seed: bytes) -> NDArray[np.float32]:
        """A fresh vector, float32 `(dim,)`."""
        return self.model.initial(seed)

    def train(
        self, vectors: NDArray[np.float32], momentum: NDArray[np.float32], batches: Batches
    ) -> Outcome:
        """See `Learner.train`.

        A process that fails is logged, and its outcome is one that diverged: callers discard it.
        """
        self.model.check(len(vectors), batches)
        try:
            done = subprocess.run(  # noqa: S603 - our own module, by the Python that runs us
                # -P: a file called numpy.py in the working directory is not numpy.
                [sys.executable, "-P", "-m", "node.training", str(self.nice)],
                input=task(self.model, vectors, momentum, batches),
                capture_output=True,
                check=True,
                timeout=TRAIN_S_MAX,
                start_new_session=True,  # Ctrl-C is for the node, which lets it finish
                # BLAS sets memory aside for each thread, and uses none at our sizes (ADR 8).
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )
            return outcome(done.stdout, vectors.shape)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            words = getattr(error, "stderr", None) or b""
            last = words.decode(errors="replace").strip().rpartition("\n")[2][:WORDS_MAX]
            _log.error("a training process failed", error=str(error)[:WORDS_MAX], its_words=last)
            nothing = np.full(vectors.shape, np.nan, np.float32)
            return Outcome(nothing, np.zeros_like(nothing), nothing[:, 0])
