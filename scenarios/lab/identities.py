"""Who the Lab's peers are: real keys that follow from the scenario's seed.

Every random choice of a peer is a function of a seed and its name, so a World whose peers bear
these names makes the same choices: see `names` of `scenarios.runs.simulate.set_up`.
"""

from hashlib import blake2b

from gossip.contacts import PeerId
from node.p2p.identity import Identity
from scenarios.plan.plan import Plan


def identities(plan: Plan) -> tuple[Identity, ...]:
    """Of each peer. Not secret: whoever knows the seed knows them."""
    key = plan.seed_bytes[:64]
    return tuple(
        Identity(blake2b(b"lab/%d" % peer, digest_size=32, key=key).digest())
        for peer in range(plan.scenario.mesh.peers)
    )


def names(plan: Plan) -> tuple[PeerId, ...]:
    """Of each peer, as libp2p writes them."""
    return tuple(identity.peer for identity in identities(plan))
