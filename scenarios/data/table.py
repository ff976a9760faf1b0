"""A whole data set as one table of rows, before it is dealt out to peers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.data.shards import Floats, Labels


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one data set with one schema.

    Addresses, ports as identity and absolute times are never columns of `x`: they would leak who
    attacked when.

    Args:
        schema: name of the columns' meaning and order; part of the fingerprint that peers compare.
        columns: names of the features.
        families: names of the classes, benign first.
        x: unscaled features, float32 `(rows, columns)`, finite.
        y: family of each row, int64 `(rows,)`.
        owner: device or site that each row was seen at, int64 `(rows,)`, index into `owners`.
        owners: their names; one where the data set does not say.
        time_s: when each row was seen, in seconds since any moment, float64 `(rows,)`, ascending or
            not; None where the data set does not say. For sharding by time only.
        held_out: bool `(rows,)`: rows that the data set's authors set aside for testing; None where
            they set none aside.
    """

    schema: str
    columns: tuple[str, ...]
    families: tuple[str, ...]
    x: Floats
    y: Labels
    owner: Labels
    owners: tuple[str, ...]
    time_s: NDArray[np.float64] | None = None
    held_out: NDArray[np.bool_] | None = None
