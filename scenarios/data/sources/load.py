"""Every published data set that can be loaded, by the name that `data.source` says."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gossip.errors import ConfigError, SensorError
from scenarios.data.sources import ciciot, edgeiiot, iot23, nbaiot, nslkdd, toniot, unsw
from scenarios.data.sources.about import DataSet, Reading

DATA_SETS: Mapping[str, DataSet] = MappingProxyType(
    {
        each.about.name: each
        for each in (
            nbaiot.DATA_SET,
            nslkdd.DATA_SET,
            unsw.DATA_SET,
            toniot.DATA_SET,
            iot23.DATA_SET,
            edgeiiot.DATA_SET,
            ciciot.DATA_SET,
        )
    }
)

ROWS_MAX = 200_000
"""Default of `data.rows_max`: N-BaIoT's 115 columns then take 92 MB, and the slowest set is read in
seconds; see docs/data.md for what was measured."""


def load(name: str, folder: Path, rows_max: int, seed: bytes, where: str) -> Reading:
    """Read a data set from a folder.

    Args:
        name: a key of `DATA_SETS`.
        folder: see there.
        rows_max: of the table; more are thinned out, see `scenarios.data.sources.sampling`.
        seed: decides which rows are kept.
        where: the scenario's file, or whatever named the folder, for messages.

    Raises:
        ConfigError: the folder lacks files, or a file is not in the published layout. The message
            names `where`, the file, and where there is one, line and column.
    """
    try:
        return DATA_SETS[name].read(folder, rows_max, seed)
    except (ConfigError, SensorError) as error:
        raise ConfigError(f"{where}: data.folder: {error}") from None
