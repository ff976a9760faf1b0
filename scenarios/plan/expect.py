"""`[expect]`: whether a run can have what is expected of it."""

from collections.abc import Sequence

from gossip.errors import ConfigError
from gossip.flows import FAMILIES
from scenarios.data.gaussian import families as gaussian_families
from scenarios.measures.named import check
from scenarios.spec.data import Source
from scenarios.spec.expect import Expectation, expectation
from scenarios.spec.scenario import Scenario


def expectations(
    scenario: Scenario,
    where: str,
    groups: Sequence[str],
    families: Sequence[str] | None = None,
) -> tuple[Expectation, ...]:
    """Every line of `[expect]`, in the order of the file.

    Args:
        scenario: as read.
        where: its file, for messages.
        groups: names of all groups of peers.
        families: names of the classes, benign first, once the data are loaded. Before that those
            of gaussian data and of recordings are known.

    Raises:
        ConfigError: a metric, group or family is unknown, a time lies after the end, or a bound is
            malformed.
    """
    if families is None:
        families = {
            Source.GAUSSIAN: gaussian_families(scenario.data.classes),
            Source.RECORDINGS: FAMILIES,
        }.get(scenario.data.source)
    found = []
    for name, bound in scenario.expect.items():
        try:
            each = expectation(name, bound)
            check(
                each.metric,
                groups=groups,
                families=None if families is None else families[1:],
                duration_us=scenario.mesh.duration_us,
            )
        except ConfigError as error:
            raise ConfigError(f'{where}: expect."{name[:80]}": {error}') from error
        found.append(each)
    return tuple(found)
