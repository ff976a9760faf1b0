"""Where a scenario's rows come from."""

from collections.abc import Sequence

from scenarios.data.gaussian import gaussian
from scenarios.data.recorded import load_recordings
from scenarios.data.shards import Epochs, Shards
from scenarios.plan.plan import Plan
from scenarios.spec.data import Source
from scenarios.world.training import Rows


def load_data(plan: Plan, names: Sequence[str]) -> tuple[Shards, Rows]:
    """The data that a plan asks for, and the rows that each peer trains on.

    Raises:
        ConfigError: there are more peers than rows.
        SensorError: a recording is damaged.
    """
    scenario, seed = plan.scenario, plan.seed_bytes
    if scenario.data.source is Source.RECORDINGS:
        return load_recordings(plan, names)
    shards = gaussian(scenario.data, plan.labelled, seed, plan.appear, plan.where)
    learning = scenario.learning
    return shards, Epochs(shards, names, learning.steps, learning.batch, seed)
