"""`hedgerow data show`: what a scenario's peers would hold, without running it."""

from pathlib import Path
from typing import Any

from rich.console import Console

from scenarios.data import holdings, pictures
from scenarios.data.dealing import deal
from scenarios.data.load import load_data
from scenarios.data.shards import Shards
from scenarios.data.sources.about import Reading
from scenarios.data.sources.load import DATA_SETS, load
from scenarios.plan.plan import Plan, make_plan
from scenarios.spec import library
from scenarios.spec.scenario import read
from scenarios.world.names import peer_names


def show(file: Path, seed: int | None, picture: Path | None, *, as_json: bool) -> dict[str, Any]:
    """Deal a scenario's data to its peers, and tell or draw who holds what.

    Args:
        file: a scenario, or the name of one of the library's.
        seed: instead of the scenario's own.
        picture: a .png or .svg file to draw to.
        as_json: say nothing; the caller prints what is given back.

    Returns:
        Who holds what, for programs; with what was read, where the source is a published data set.

    Raises:
        ConfigError: see `read`, `make_plan` and `load_data`; or the picture's suffix is unknown.
        SensorError: a log is damaged.
        StateError: the picture cannot be written.
    """
    if picture is not None:
        pictures.picture_format(picture)
    path = library.find(file)
    plan = make_plan(read(path), seed, str(file))
    shards, reading = _loaded(plan)
    held = holdings.holdings(shards, plan.groups)
    if picture is not None:
        pictures.draw(held, picture)
    told = holdings.as_dict(held)
    if reading is not None:
        told["read"] = {
            "files": list(reading.files),
            "rows": reading.rows,
            "kept": len(reading.table.x),
            "bad": reading.bad,
            "first_bad": reading.first_bad,
        }
    if not as_json:
        console = Console(highlight=False)
        if reading is not None:
            console.print(_said(reading), markup=False, soft_wrap=True)
        console.print(holdings.table(held))
        if picture is not None:
            console.print(f"drawn to {picture}", markup=False, soft_wrap=True)
    return told


def _loaded(plan: Plan) -> tuple[Shards, Reading | None]:
    """As `load_data`, keeping what a published set's reading says besides its table."""
    data, seed = plan.scenario.data, plan.seed_bytes
    if data.source.value not in DATA_SETS or data.folder is None:
        shards, _ = load_data(plan, peer_names(plan.scenario.mesh.peers))
        return shards, None
    reading = load(data.source.value, data.folder, data.rows_max, seed, plan.where)
    shards = deal(reading.table, data, plan.labelled, seed, plan.appear, plan.where)
    return shards, reading


def _said(reading: Reading) -> str:
    table = reading.table
    said = (
        f"{len(table.x):,} of {reading.rows:,} rows in {len(reading.files)} files, "
        f"{len(table.columns)} features, {len(table.families)} families, {len(table.owners)} owners"
    )
    if reading.bad:
        said += f"; {reading.bad} bad rows left out, the first in {reading.first_bad}"
    return said
