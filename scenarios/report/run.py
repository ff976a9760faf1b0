"""A folder of one run, read for a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gossip.errors import ConfigError, StateError
from node.config.tables import from_table
from scenarios.measures.judgement import SHARES
from scenarios.report.meshes import moments, peers_of
from scenarios.report.story import Story, planned, story
from scenarios.runs import results
from scenarios.runs.results import Result
from scenarios.spec.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Run:
    """One run and what follows from its scenario.

    Args:
        result: details only of the samples at which the mesh is drawn.
        scenario: as it was run.
        story: what was to happen.
        groups: the peers of each named group; none where the run could not be planned again.
    """

    result: Result
    scenario: Scenario
    story: Story
    groups: Mapping[str, Sequence[int]]


def read_run(folder: Path) -> Run:
    """Read a folder of results.

    Raises:
        StateError: it holds none, or is damaged.
    """
    result = results.load(folder)
    scenario = scenario_of(result, folder)
    wanted = moments(result.samples, scenario)
    result = results.load(folder, details=True, moments=wanted)
    _check(result, scenario, folder)
    plan, why = planned(result, scenario, str(folder / SCENARIO))
    groups = {} if plan is None else plan.groups
    return Run(result, scenario, story(result, scenario, plan, why), groups)


SCENARIO = "scenario.toml"


def scenario_of(result: Result, folder: Path) -> Scenario:
    """The scenario that a result tells.

    Raises:
        StateError: it is none.
    """
    try:
        return from_table(Scenario, result.spec, str(folder / results.RESULT))
    except ConfigError as error:
        raise StateError(f"{error}; run the scenario again") from error


def _check(result: Result, scenario: Scenario, folder: Path) -> None:
    """Refuse what the types of a result's fields allow and a run never writes."""
    peers = scenario.mesh.peers
    wanted = {*SHARES, "bytes_per_peer"}
    whole = len(result.bytes_sent) == peers and all(
        wanted <= spreads.keys()
        for sample in result.samples
        for spreads in (sample.metrics, *sample.groups.values())
    )
    try:
        for snapshot in result.mesh:
            for text in (snapshot.up, *snapshot.sides):
                peers_of(text, peers)
            edges = snapshot.edges
            whole = whole and (edges is None or len(edges) == peers)
    except ConfigError:
        whole = False
    if not whole:
        raise StateError(
            f"{folder / results.RESULT}: does not fit its own scenario; run the scenario again"
        )
