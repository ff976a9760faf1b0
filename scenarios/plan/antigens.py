"""`learning.antigens`, `[[mesh.hostile]]`, and keys that these need."""

from dataclasses import dataclass

from gossip.antigens import FAMILY_CHARS_MAX, is_family
from scenarios.plan.reader import Reader
from scenarios.spec.data import Kind, Scaling, Source, parse_sharding
from scenarios.spec.learning import Method
from scenarios.spec.mesh import Harm

NAMED = frozenset({Harm.MIMIC, Harm.FORGED, Harm.EXPIRED})
"""What is presented under a name of the scenario's choice."""


@dataclass(frozen=True, slots=True)
class Hostility:
    """What one peer tells the others wrongly.

    Args:
        harm: in which way.
        family: under which name, for those in `NAMED`.
        at_us: from when on, simulated microseconds.
    """

    harm: Harm
    family: str
    at_us: int


def check_antigens(reader: Reader) -> None:
    """Refuse keys about antigens that contradict others.

    Raises:
        ConfigError: see above. The message names the file and the key.
    """
    learning, data = reader.scenario.learning, reader.scenario.data
    natural = parse_sharding(data.shards).kind is Kind.NATURAL
    if learning.balance and data.source is Source.RECORDINGS and natural:
        raise reader.wrong(
            "learning.balance",
            "recordings dealt by site draw rows as a node does; leave it out, or deal them "
            "otherwise, see data.shards",
        )
    meshed = data.scaling is Scaling.MESH
    if not learning.antigens:
        if meshed:
            raise reader.wrong(
                "data.scaling",
                "'mesh' needs norms, which travel as antigens; add learning.antigens = true, and "
                'learning.rehearse = "0 %" for norms alone',
            )
        return
    if not learning.coded:
        raise reader.wrong(
            "learning.antigens",
            'may name any family, which a plain head has no place for; add head = "coded"',
        )
    if learning.method is not Method.GOSSIP:
        raise reader.wrong(
            "learning.antigens", f"the baseline {learning.method.value!r} has none; leave it out"
        )
    if not learning.antigens_max:
        raise reader.wrong("learning.antigens_max", "0 holds none; write more, or antigens = false")
    if meshed and not learning.rehearse:
        return
    if not 1 <= rehearsed(learning.batch, learning.rehearse) < learning.batch:
        raise reader.wrong(
            "learning.rehearse",
            f"{learning.rehearse} of {learning.batch} rows leaves none to draw, or none of a "
            "peer's own; see learning.batch. 0 is for norms alone: data.scaling = 'mesh'",
        )


def rehearsed(batch: int, share: float) -> int:
    """How many of a step's rows are draws from antigens, where there are any."""
    return round(batch * share)


def hostilities(reader: Reader) -> dict[int, Hostility]:
    """Hostile peers, ascending.

    Raises:
        ConfigError: there are no antigens, a peer stands in two tables, or a name is missing, is
            none, or means nothing.
    """
    scenario = reader.scenario
    found: dict[int, Hostility] = {}
    for place, each in enumerate(scenario.mesh.hostile, 1):
        key = f"mesh.hostile[{place}]"
        if not scenario.learning.antigens:
            raise reader.wrong(key, "misleads by antigens; add learning.antigens = true")
        if each.presents is Harm.NORM and scenario.data.scaling is not Scaling.MESH:
            raise reader.wrong(
                f"{key}.presents", "a norm misleads who scales by it; add data.scaling = 'mesh'"
            )
        if each.presents in NAMED and not is_family(each.family):
            raise reader.wrong(
                f"{key}.family",
                f"{each.family!r} names no attack; up to {FAMILY_CHARS_MAX} small letters, digits "
                "and ._/+- do, such as scan",
            )
        if each.presents not in NAMED and each.family:
            raise reader.wrong(
                f"{key}.family", f"means nothing to {each.presents.value!r}; leave it out"
            )
        for peer in reader.select(each.peers, f"{key}.peers"):
            if peer in found:
                raise reader.wrong(f"{key}.peers", f"peer {peer} is hostile already; name it once")
            found[peer] = Hostility(each.presents, each.family, each.at_us)
    return dict(sorted(found.items()))
