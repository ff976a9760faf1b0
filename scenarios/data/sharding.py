"""How many rows of each family each peer gets.

Unequal shares are those of Li, Diao, Chen and He, "Federated Learning on Non-IID Data Silos: An
Experimental Study" (ICDE 2022, section IV): a number of labels per party (`families`), label shares
from a Dirichlet distribution (`dirichlet`, after Yurochkin et al. 2019), and amounts from one
(`quantity`). What differs: benign rows go to everybody, because a gateway without any can neither
scale its rows nor calibrate its alarms, and each peer gets at least a minimum of them.
"""

import numpy as np
from numpy.typing import NDArray

from gossip.draws import Purpose, draw, generator
from gossip.errors import ConfigError
from scenarios.data.shards import Labels
from scenarios.spec.data import Kind, Sharding

Shares = NDArray[np.float64]


def shares(
    sharding: Sharding, families: tuple[str, ...], present: Labels, peers: int, seed: bytes
) -> Shares:
    """The part of each family's training rows that goes to each peer.

    Args:
        sharding: `families`, `dirichlet` or `quantity`.
        families: names, benign first.
        present: families that have rows, ascending.
        peers: how many there are.
        seed: of the scenario.

    Returns:
        float64 `(families, peers)`; each row of a present family sums to 1.

    Raises:
        ConfigError: more families are asked for than there are attacks, or more are there than
            peers can hold.
    """
    if sharding.kind is Kind.FAMILIES:
        return _by_families(int(sharding.number), families, present, peers, seed)
    found = np.zeros((len(families), peers))
    for family in present.tolist():
        who = "quantity" if sharding.kind is Kind.QUANTITY else families[family]
        rng = generator(seed, f"shares/{who}", 0, Purpose.WORLD)
        found[family] = rng.dirichlet(np.full(peers, sharding.number))
    return found


def _by_families(
    each: int, families: tuple[str, ...], present: Labels, peers: int, seed: bytes
) -> Shares:
    """Each peer draws among the families that fewest hold, so that holders are spread evenly."""
    attacks = [int(family) for family in present if family]
    if each > len(attacks):
        raise ConfigError(
            f"families({each}) asks for more than there are; the data have rows of "
            f"{len(attacks)} attack families (but for those that appear later): "
            f"{', '.join(families[a] for a in attacks) or 'none'}"
        )
    if each * peers < len(attacks):
        raise ConfigError(
            f"families({each}) leaves some of the {len(attacks)} attack families to none of "
            f"{peers} peers; write families({-(-len(attacks) // peers)}) or use more peers"
        )
    holds = np.zeros((len(families), peers))
    holds[0] = 1.0
    count = dict.fromkeys(attacks, 0)
    for peer in range(peers):
        chance = {a: draw(seed, f"holds/{peer}", a, Purpose.WORLD) for a in attacks}
        for family in sorted(attacks, key=lambda a: (count[a], chance[a]))[:each]:
            holds[family, peer] = 1.0
            count[family] += 1
    spread: Shares = holds / np.maximum(holds.sum(axis=1, keepdims=True), 1.0)
    return spread


def apportion(total: int, shares: Shares, least: int = 0) -> Labels:
    """Whole numbers that sum to `total`, as near to the shares as they can be.

    Everybody gets `least` first, and the rest goes by the largest remainders (Hamilton's method);
    of equal remainders, the first.

    Args:
        total: to be dealt out, at least `least` for each.
        shares: float64 `(peers,)`, not negative; all zero gives nobody anything.
        least: for everybody.

    Returns:
        int64 `(peers,)`.
    """
    if not shares.any():
        return np.zeros(len(shares), np.int64)
    wanted = shares / shares.sum() * total
    counts = np.full(len(shares), least, np.int64)
    above = np.maximum(wanted - least, 0.0)
    if not above.any():
        above = np.ones(len(shares))
    rest = total - int(counts.sum())
    exact = above / above.sum() * rest
    counts += exact.astype(np.int64)
    left = total - int(counts.sum())
    remainders = exact - np.floor(exact)
    counts[np.argsort(-remainders, kind="stable")[:left]] += 1
    return counts
