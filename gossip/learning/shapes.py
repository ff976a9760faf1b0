"""Sizes of the models and their fresh parameters, in numpy alone, so that no caller needs torch.

Every model here is made of dense layers; a layer called `a` owns the arrays `a.w` `(in, out)` and
`a.b` `(out,)` of the layout.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from gossip.draws import Purpose, generator
from gossip.errors import ConfigError
from gossip.learning.codes import CODE_BITS
from gossip.learning.layout import Layout, Shape

Dense = tuple[str, int, int]
"""A dense layer: its name, inputs and outputs."""


def affine(
    w: Mapping[str, NDArray[np.float32]], name: str, x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What the layer called `name` makes of rows `(n, in)`, before any activation: `(n, out)`."""
    out: NDArray[np.float32] = x @ w[f"{name}.w"] + w[f"{name}.b"]
    return out


class DenseShape(ABC):
    """Sizes of a model of dense layers."""

    @property
    @abstractmethod
    def layers(self) -> tuple[Dense, ...]:
        """Every layer, in the order of the flat vector."""

    @property
    @abstractmethod
    def shared(self) -> int:
        """How many of the vector's first numbers travel."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers that the head gives."""

    @property
    @abstractmethod
    def text(self) -> str:
        """Layer sizes for the fingerprint that peers compare."""

    @cached_property
    def layout(self) -> Layout:
        """Where each array lies in the flat vector."""
        arrays: list[tuple[str, Shape]] = []
        for name, inputs, outputs in self.layers:
            arrays += [(f"{name}.w", (inputs, outputs)), (f"{name}.b", (outputs,))]
        return Layout(tuple(arrays))

    def initial(self, seed: bytes) -> NDArray[np.float32]:
        """Fresh parameters, float32 `(dim,)`: He et al. (2015) uniform weights, zero biases."""
        vector = np.zeros(self.layout.dim, np.float32)
        views = self.layout.views(vector)
        rng = generator(seed, "", 0, Purpose.INITIAL)
        for name, inputs, outputs in self.layers:
            bound = np.sqrt(6.0 / inputs)
            views[f"{name}.w"][:] = rng.uniform(-bound, bound, (inputs, outputs))
        return vector


@final
@dataclass(frozen=True)
class DetectorShape(DenseShape):
    """Sizes of the detector.

    `x -> encode (relu) -> code (tanh) -> decode (relu) -> rebuild` is the autoencoder, and
    `encode -> judge (relu) -> name` the head over attack families; both use `encode`. The head is
    coded (see `gossip.learning.codes`), so that its shape is the same whatever families there are.

    The default sizes were chosen on the project's recordings (see `SampleConfig`): 48 to 96 hidden
    units, a code of 12 to 16 and 16 to 64 units in the head are alike; a code of 4 rebuilds
    known traffic so badly that the share of attacks found falls from 0.999 to 0.970.

    Args:
        features: columns of a row.
        hidden: width of `encode` and of `decode`.
        code: width of the bottleneck.
        judge: width of the head's own layer.

    Raises:
        ConfigError: a size is out of bounds.
    """

    features: int
    hidden: int = 64
    code: int = 12
    judge: int = 16

    def __post_init__(self) -> None:
        """Check every size."""
        for name in ("features", "hidden", "code", "judge"):
            value = getattr(self, name)
            if not 1 <= value <= 4096:
                raise ConfigError(f"{name} = {value} is out of range; give a value from 1 to 4096")

    @property
    def layers(self) -> tuple[Dense, ...]:
        """The shared layers first."""
        return (
            ("encode", self.features, self.hidden),
            ("judge", self.hidden, self.judge),
            ("name", self.judge, CODE_BITS),
            ("code", self.hidden, self.code),
            ("decode", self.code, self.hidden),
            ("rebuild", self.hidden, self.features),
        )

    @property
    def shared(self) -> int:
        """Numbers that travel: `encode` and the head. The autoencoder's own layers stay home.

        Averaging these too blurs what is usual at one site: on the recordings (see `SampleConfig`)
        the autoencoder then found 0.98 of all attack flows instead of 0.998, and 0.70-0.90 instead
        of 0.98-1.00 of the class closest to normal traffic, password guessing over HTTP. It also
        halves what is sent.
        """
        places = {name: place for name, place, _ in self.layout.slices()}
        return int(places["name.b"].stop)

    @property
    def outputs(self) -> int:
        """Bits of a code."""
        return CODE_BITS

    @property
    def text(self) -> str:
        """Layer sizes for the fingerprint that peers compare."""
        return (
            f"detector {self.features}-{self.hidden}-{self.code}-{self.hidden}-{self.features}"
            f" head {self.judge}-{CODE_BITS} coded"
        )


@final
@dataclass(frozen=True)
class MLPShape(DenseShape):
    """Sizes of a classifier: inputs, hidden layers (relu) if any, outputs.

    Args:
        sizes: at least two; `(57, 2)` is logistic regression.

    Raises:
        ConfigError: fewer than two sizes, or one below 1.
    """

    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the sizes."""
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ConfigError(f"layer sizes {self.sizes}: give at least two, each 1 or more")

    @property
    def layers(self) -> tuple[Dense, ...]:
        """One for each two sizes that follow each other."""
        pairs = zip(self.sizes, self.sizes[1:], strict=False)
        return tuple((f"layer{i}", a, b) for i, (a, b) in enumerate(pairs))

    @property
    def shared(self) -> int:
        """Numbers that travel: all."""
        return self.layout.dim

    @property
    def outputs(self) -> int:
        """The last size: families of a plain head, bits of a coded one."""
        return self.sizes[-1]

    @property
    def text(self) -> str:
        """Layer sizes for the fingerprint that peers compare."""
        return "mlp " + "-".join(map(str, self.sizes))
