"""`[data]`: keys that need each other."""

from gossip.learning.scaling import ROWS_MIN
from scenarios.plan.reader import Reader
from scenarios.recordings import SITES
from scenarios.spec.data import Data, Source


def groups(reader: Reader) -> dict[str, str]:
    """Groups that the data brings along; refuses keys that mean nothing to it."""
    data, peers = reader.scenario.data, reader.scenario.mesh.peers
    if data.source is not Source.RECORDINGS:
        return {}
    for key in ("features", "classes", "separation"):
        if getattr(data, key) != getattr(Data(), key):
            raise reader.wrong(f"data.{key}", "belongs to gaussian data; leave it out")
    if data.rows < ROWS_MIN:
        raise reader.wrong("data.rows", f"{data.rows} are too few; recordings need {ROWS_MIN}")
    step = len(SITES)
    return {
        site: ",".join(map(str, range(number, peers, step)))
        for number, site in enumerate(SITES)
        if number < peers
    }
