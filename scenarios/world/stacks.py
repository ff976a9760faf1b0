"""Memory of one stack of trainings: what goes in, and in its place what comes out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_INTEGERS = 3
"""For each training: peer, cycle, time asked."""

_ALIGNMENT = 64
"""Bytes; a line of the processor's cache."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Some trainings side by side, in memory of anybody's, perhaps shared by two processes.

    Args:
        memory: what all others are views of, uint8 `(bytes,)`.
        steps: steps taken by each, int64 `(1,)`; a result.
        peers: int64 `(trainings,)`.
        cycles: int64 `(trainings,)`.
        times_us: when each was asked for, int64 `(trainings,)`.
        loss: float32 `(trainings,)`; a result.
        vectors: whole parameter vectors, float32 `(trainings, dim)`. As a result, the merged part
            holds what was learnt (trained minus given) and the local part the trained values.
        momentum: float32 `(trainings, dim)`, replaced by the new one; `(trainings, 0)` where the
            learner carries none.
    """

    memory: Bytes
    steps: NDArray[np.int64]
    peers: NDArray[np.int64]
    cycles: NDArray[np.int64]
    times_us: NDArray[np.int64]
    loss: NDArray[np.float32]
    vectors: NDArray[np.float32]
    momentum: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Form:
    """What a stack of given length looks like.

    Args:
        dim: length of a parameter vector.
        carries: whether momentum goes from one training to the next.
    """

    dim: int
    carries: bool

    def size(self, trainings: int) -> int:
        """Bytes of a stack, a multiple of 64."""
        return self._parts(trainings)[-1]

    def over(self, memory: Bytes, trainings: int) -> Stack:
        """A stack at the beginning of some memory; its contents stay as they are."""
        begin_floats, begin_vectors, begin_momentum, end = self._parts(trainings)
        integers = _view(memory, 0, np.int64, 1 + _INTEGERS * trainings)
        rows = integers[1:].reshape(_INTEGERS, trainings)
        shape = (trainings, self.dim)
        count = trainings * self.dim
        momentum = _view(memory, begin_momentum, np.float32, count if self.carries else 0)
        return Stack(
            memory[:end],
            integers[:1],
            rows[0],
            rows[1],
            rows[2],
            _view(memory, begin_floats, np.float32, trainings),
            _view(memory, begin_vectors, np.float32, count).reshape(shape),
            momentum.reshape(shape if self.carries else (trainings, 0)),
        )

    def new(self, trainings: int) -> Stack:
        """A stack in memory of its own, not yet filled."""
        return self.over(np.empty(self.size(trainings), np.uint8), trainings)

    def _parts(self, trainings: int) -> tuple[int, int, int, int]:
        """Where losses, vectors and momentum begin, and where all ends."""
        floats = _aligned(8 * (1 + _INTEGERS * trainings))
        vectors = _aligned(floats + 4 * trainings)
        momentum = _aligned(vectors + 4 * trainings * self.dim)
        return floats, vectors, momentum, _aligned(momentum + 4 * trainings * self._carried)

    @property
    def _carried(self) -> int:
        return self.dim if self.carries else 0


def _aligned(place: int) -> int:
    return -(-place // _ALIGNMENT) * _ALIGNMENT


def _view(memory: Bytes, start: int, kind: type[Any], count: int) -> NDArray[Any]:
    return memory[start : start + count * np.dtype(kind).itemsize].view(kind)
