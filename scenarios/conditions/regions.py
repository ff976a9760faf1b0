"""Delay between regions of the world, tabulated, and the dealing of peers to regions.

Source of the table: Microsoft, "Azure network round-trip latency statistics", in MicrosoftDocs/
azure-docs, articles/networking/azure-network-latency.md, version of 20 June 2024 (documentation
under CC BY 4.0): medians (P50) over the 30 days to 19 June 2024 of the round-trip time between
data centres, probed every minute, in milliseconds. Of some forty regions 16 are taken here. The
page has both directions of each pair, which differ by a few milliseconds at most; here stands the
figure in the table of the region that comes first below.

These are times between data centres over one provider's network. Gateways stand behind access
lines; `links.access` adds for them, and within a region it is all there is. What it and the jitter
are by default is our assumption and was not measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from gossip.draws import Purpose, choose
from gossip.errors import ConfigError

REGIONS: dict[str, str] = {
    "california": "West US",
    "texas": "South Central US",
    "virginia": "East US",
    "canada": "Canada Central",
    "brazil": "Brazil South",
    "ireland": "North Europe",
    "london": "UK South",
    "frankfurt": "Germany West Central",
    "sweden": "Sweden Central",
    "emirates": "UAE North",
    "south-africa": "South Africa North",
    "india": "Central India",
    "singapore": "Southeast Asia",
    "hong-kong": "East Asia",
    "tokyo": "Japan East",
    "sydney": "Australia East",
}
"""Our names, and those of the source."""

_ROUND_TRIP_MS = (
    (36, 71, 61, 186, 156, 148, 160, 183, 255, 294, 220, 171, 151, 108, 140),
    (35, 47, 142, 122, 114, 122, 142, 215, 255, 230, 203, 171, 128, 162),
    (20, 119, 88, 79, 96, 119, 187, 227, 203, 234, 213, 170, 201),
    (131, 99, 90, 110, 125, 199, 239, 213, 223, 203, 159, 196),
    (187, 179, 197, 213, 287, 326, 307, 343, 320, 278, 316),
    (14, 27, 44, 131, 172, 146, 198, 227, 253, 291),
    (17, 34, 122, 162, 131, 188, 217, 244, 280),
    (30, 122, 164, 135, 189, 219, 252, 296),
    (144, 186, 157, 210, 240, 279, 306),
    (102, 37, 88, 118, 155, 180),
    (137, 187, 216, 253, 280),
    (55, 84, 122, 147),
    (36, 73, 91),
    (52, 123),
    (103,),
)
"""Each region's times to those after it, in the order of `REGIONS`."""


def world_one_way_us() -> tuple[tuple[int, ...], ...]:
    """Half the median round-trip time between each two regions; 0 within one."""
    count = len(REGIONS)
    table = [[0] * count for _ in range(count)]
    for low, row in enumerate(_ROUND_TRIP_MS):
        for place, round_trip_ms in enumerate(row):
            high = low + 1 + place
            table[low][high] = table[high][low] = round_trip_ms * 500
    return tuple(map(tuple, table))


@dataclass(frozen=True, slots=True)
class Place:
    """One region that peers can be in.

    Args:
        label: its number in the table.
        peers: who is there; None for a part of those that nobody names.
        weight: how large a part, against the other places with None.
    """

    label: int
    peers: tuple[int, ...] | None
    weight: float = 1.0


def assign(count: int, places: Sequence[Place], seed: bytes) -> tuple[int, ...]:
    """The label of each peer's region.

    Peers that no place names are dealt, in an order drawn with the seed, to the places without
    peers of their own, as nearly in proportion to the weights as whole numbers allow.

    Args:
        count: how many peers there are.
        places: the regions in use.
        seed: of the scenario.

    Raises:
        ConfigError: a peer is named twice, or not at all while no place takes the rest.
    """
    labels = [-1] * count
    for place in places:
        for peer in place.peers or ():
            if labels[peer] >= 0:
                raise ConfigError(f"peer {peer} is in two regions; name it once")
            labels[peer] = place.label
    rest = [peer for peer in range(count) if labels[peer] < 0]
    takers = [place for place in places if place.peers is None]
    if rest and not takers:
        raise ConfigError(
            f"peer {rest[0]} is in no region; name it, or add a region without peers, "
            "which takes the rest"
        )
    if rest:
        order = choose(rest, len(rest), seed, "links.region", 0, Purpose.WORLD)
        ends = list(accumulate(place.weight for place in takers))
        bounds = [round(len(rest) * end / ends[-1]) for end in ends]
        for place, low, high in zip(takers, [0, *bounds], bounds, strict=False):
            for peer in order[low:high]:
                labels[peer] = place.label
    return tuple(labels)
