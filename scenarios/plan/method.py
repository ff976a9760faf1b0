"""`learning.method`: what a baseline cannot do is refused before any work."""

from scenarios.plan.reader import Reader
from scenarios.spec.learning import Method
from scenarios.spec.mesh import SAMPLING
from topologies.graphs import Table


def check_method(reader: Reader, neighbours: Table | None, turns: tuple[Table, ...]) -> None:
    """Refuse a baseline in a scenario that asks for what it has no answer to.

    Rounds that wait for everybody have none to frames that vanish: as published, they would wait
    for ever.

    Args:
        reader: of the scenario.
        neighbours: of each peer in a fixed topology; None is peer sampling.
        turns: of a topology that changes with time.

    Raises:
        ConfigError: see above. The message names the file and the key.
    """
    scenario = reader.scenario
    method = scenario.learning.method
    if method is Method.GOSSIP:
        return
    for key in ("serve", "borrow"):
        if getattr(scenario.learning, key):
            raise reader.wrong(
                f"learning.{key}", f"the baseline {method.value!r} is judged as it is; leave it out"
            )
    links = scenario.links
    for key, given in ("rule", links.rule), ("partition", links.partition):
        if given:
            raise reader.wrong(
                f"links.{key}",
                f"the baseline {method.value!r} needs links that lose nothing; remove it, or use "
                f'learning.method = "gossip" (links.latency is heeded)',
            )
    if method is Method.DPSGD and neighbours is None:
        raise reader.wrong(
            "mesh.topology",
            f'learning.method = "dpsgd" needs a fixed graph, not {SAMPLING!r}; name one such as '
            f'"regular:{scenario.mesh.peers},degree=4"',
        )
    if method is Method.DPSGD and turns:
        raise reader.wrong(
            "mesh.topology",
            'learning.method = "dpsgd" needs a graph that stays as it is, for its weights; name '
            f'one such as "exponential:{scenario.mesh.peers}"',
        )
