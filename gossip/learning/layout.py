"""Names for the slices of a flat parameter vector."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from gossip.errors import ConfigError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Where each array of a model lies in its flat float32 vector, in the order given.

    Args:
        arrays: `(name, shape)` of each array; names differ and every dimension is at least 1.

    Raises:
        ConfigError: a name occurs twice or a dimension is below 1.
    """

    arrays: tuple[tuple[str, Shape], ...]
    dim: int = field(init=False)

    def __post_init__(self) -> None:
        """Check names and dimensions, and add up the length."""
        names = [name for name, _ in self.arrays]
        for name, shape in self.arrays:
            if names.count(name) > 1:
                raise ConfigError(f"model array {name!r} occurs twice; give each its own name")
            if min(shape, default=0) < 1:
                raise ConfigError(f"model array {name!r} has shape {shape}; use dimensions >= 1")
        object.__setattr__(self, "dim", sum(prod(shape) for _, shape in self.arrays))

    def slices(self) -> Iterator[tuple[str, slice, Shape]]:
        """Name, place in the flat vector, and shape of each array."""
        start = 0
        for name, shape in self.arrays:
            stop = start + prod(shape)
            yield name, slice(start, stop), shape
            start = stop

    def views(self, stack: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Views (not copies) of a stack `(…, dim)`, each `(…, *shape)`.

        Raises:
            ValueError: the last dimension is not `dim`.
        """
        if stack.shape[-1] != self.dim:
            raise ValueError(f"expected vectors of {self.dim} numbers, got {stack.shape[-1]}")
        lead = stack.shape[:-1]
        return {
            name: stack[..., place].reshape(*lead, *shape) for name, place, shape in self.slices()
        }
