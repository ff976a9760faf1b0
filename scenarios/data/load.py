"""Where a scenario's rows come from."""

from collections.abc import Sequence
from dataclasses import replace

from gossip.errors import ConfigError, SensorError
from gossip.learning.codes import codes
from node.sensors.reading import Kind
from scenarios.data.balanced import Balanced
from scenarios.data.dealing import deal
from scenarios.data.gaussian import gaussian
from scenarios.data.kept import kept
from scenarios.data.logs import logs_table
from scenarios.data.meshed import MeshScalers
from scenarios.data.recorded import load_recordings, recorded_table
from scenarios.data.shards import Epochs, Shards
from scenarios.data.sources.load import DATA_SETS, load
from scenarios.data.table import Table
from scenarios.plan.plan import Plan
from scenarios.spec.data import Kind as By
from scenarios.spec.data import Scaling, Source, parse_sharding
from scenarios.world.training import Rows


def load_data(plan: Plan, names: Sequence[str]) -> tuple[Shards, Rows]:
    """The data that a plan asks for, and the rows that each peer trains on.

    Raises:
        ConfigError: there are more peers than rows, or a folder or file is not as it must be.
        SensorError: a recording or a log is damaged.
    """
    scenario, seed = plan.scenario, plan.seed_bytes
    data, learning = scenario.data, scenario.learning
    if data.source is Source.GAUSSIAN:
        shards = gaussian(data, plan.labelled, seed, plan.appear, plan.where)
    elif data.source is Source.RECORDINGS and parse_sharding(data.shards).kind is By.NATURAL:
        shards, recorded = load_recordings(plan, names)
        return meshed(shards, data.scaling), recorded
    else:
        shards = deal(
            load_table(plan),
            data,
            plan.labelled,
            seed,
            plan.appear,
            plan.where,
            unscaled=learning.antigens,
        )
    shards = meshed(kept(shards, plan.rows_max(shards.features), seed), data.scaling)
    coded = codes(shards.families) if learning.coded else None
    draws = Balanced if learning.balance else Epochs
    return shards, draws(shards, names, learning.steps, learning.batch, seed, coded)


def meshed(shards: Shards, scaling: Scaling) -> Shards:
    """The same, scaled as peers hold norms if that is asked for.

    Raises:
        ValueError: it is, and nobody kept the rows unscaled (`learning.antigens`).
    """
    if scaling is not Scaling.MESH:
        return shards
    if shards.unscaled is None:
        raise ValueError("norms are of unscaled rows; keep them, see `Shards.unscaled`")
    return replace(shards, scales=MeshScalers(shards.unscaled, shards.features))


def load_table(plan: Plan) -> Table:
    """The whole data set that a plan asks for, before anybody gets any of it.

    Raises:
        ConfigError: the folder or a file in it is not as it must be.
        SensorError: a recording or a log is damaged.
    """
    data = plan.scenario.data
    if data.source is Source.RECORDINGS:
        return recorded_table(data.factory_sensor)
    if data.folder is None:
        raise ConfigError(f"{plan.where}: data.folder: missing; say where the files lie")
    if data.source.value in DATA_SETS:
        name, seed = data.source.value, plan.seed_bytes
        return load(name, data.folder, data.rows_max, seed, plan.where).table
    try:
        return logs_table(data.folder, Kind(data.source.value))
    except (ConfigError, SensorError) as error:
        raise ConfigError(f"{plan.where}: data.folder: {error}") from None
