"""`[links]`: the rules that decide on every frame."""

from functools import partial

from scenarios.conditions.latency import Tabulated
from scenarios.conditions.links import Condition, Partition, Rule
from scenarios.conditions.matrix import Matrix, read_matrix
from scenarios.conditions.regions import REGIONS, Place, assign, world_one_way_us
from scenarios.plan.reader import Reader, seed_bytes
from scenarios.spec.links import MATRIX, WORLD, Conditions, LinkRule, Split


def rules(reader: Reader) -> tuple[Rule, ...]:
    """Every rule in the order in which it is asked; partitions first.

    Raises:
        ConfigError: see `make_plan`.
    """
    links = reader.scenario.links
    splits, conditions = enumerate(links.partition, 1), enumerate(links.rule, 1)
    return (
        *(_partition(reader, split, f"links.partition[{n}]") for n, split in splits),
        *(_condition(reader, rule, f"links.rule[{n}]") for n, rule in conditions),
    )


def tables(reader: Reader) -> dict[str, Tabulated]:
    """The tables of delay that the scenario uses, by the word that stands for each.

    Raises:
        ConfigError: see `make_plan`.
    """
    links = reader.scenario.links
    texts = [links.latency.strip(), *(rule.latency.strip() for rule in links.rule)]
    used = [word for word in (WORLD, MATRIX) if word in texts]
    if len(used) > 1:
        raise reader.wrong("links.matrix", 'stands beside "world"; use one table of the two')
    if MATRIX not in used and links.matrix is not None:
        raise reader.wrong("links.matrix", 'is not used; write latency = "matrix", or remove it')
    if not used:
        _check_unused(reader)
        return {}
    if used == [WORLD]:
        place = _places(reader, tuple(REGIONS), "the table of the world")
        extra_us = links.access_us
        return {WORLD: Tabulated(WORLD, place, world_one_way_us(), extra_us, links.jitter)}
    if links.matrix is None:
        raise reader.wrong("links.matrix", 'missing; latency = "matrix" needs it, such as '
                           'matrix = "delays.csv"')  # fmt: skip
    matrix = reader.at("links.matrix", partial(read_matrix, links.matrix))
    place = _matrix_places(reader, matrix)
    return {MATRIX: Tabulated(MATRIX, place, matrix.one_way_us, 0, links.jitter)}


def region_groups(reader: Reader) -> dict[str, str]:
    """Each region that has peers, as a group.

    Raises:
        ConfigError: a region has the name of another group.
    """
    names = _region_names(reader)
    members: dict[str, list[str]] = {}
    for table in reader.tables.values():
        for peer, label in enumerate(table.place if names else ()):
            members.setdefault(names[label], []).append(str(peer))
    for name in members:
        if name in reader.groups:
            raise reader.wrong("links.region", f"{name!r} is another group's name; rename that one")
    return {name: ",".join(peers) for name, peers in members.items()}


def _region_names(reader: Reader) -> tuple[str, ...]:
    """Names of the places, where places are regions; by their number in the table."""
    if WORLD in reader.tables:
        return tuple(REGIONS)
    links = reader.scenario.links
    if MATRIX not in reader.tables or not links.region or links.matrix is None:
        return ()
    return read_matrix(links.matrix).names


def _check_unused(reader: Reader) -> None:
    links, plain = reader.scenario.links, Conditions()
    for key, given in (
        ("region", bool(links.region)),
        ("jitter", links.jitter != plain.jitter),
        ("access", links.access_us != plain.access_us),
    ):
        if given:
            raise reader.wrong(
                f"links.{key}", 'belongs to a table; write latency = "world", or leave it out'
            )


def _matrix_places(reader: Reader, matrix: Matrix) -> tuple[int, ...]:
    if reader.scenario.links.region:
        return _places(reader, matrix.names, "the matrix")
    chosen = [
        Place(label, reader.select(name, "links.matrix")) for label, name in enumerate(matrix.names)
    ]
    count, seed = reader.scenario.mesh.peers, seed_bytes(reader.seed)
    return reader.at("links.matrix", lambda: assign(count, chosen, seed))


def _places(reader: Reader, names: tuple[str, ...], where: str) -> tuple[int, ...]:
    """Per peer, the number of its region among `names`."""
    numbers = {name: number for number, name in enumerate(names)}
    places = [Place(number, None) for number in range(len(names))]
    if reader.scenario.links.region:
        places = []
    seen: dict[str, int] = {}
    for place, region in enumerate(reader.scenario.links.region, 1):
        key = f"links.region[{place}]"
        if region.name not in numbers:
            raise reader.wrong(
                f"{key}.name", f"{region.name!r} is not in {where}; there are {', '.join(names)}"
            )
        if seen.setdefault(region.name, place) != place:
            raise reader.wrong(f"{key}.name", f"{region.name!r} stands above already; join them")
        peers = reader.select(region.peers, f"{key}.peers") if region.peers else None
        places.append(Place(numbers[region.name], peers, region.weight))
    count, seed = reader.scenario.mesh.peers, seed_bytes(reader.seed)
    return reader.at("links.region", lambda: assign(count, places, seed))


def _partition(reader: Reader, split: Split, key: str) -> Rule:
    reader.in_order(split.start_us, split.end_us, key)
    _begins(reader, split.start_us, key)
    side = [0] * reader.scenario.mesh.peers  # those that no side names form one of their own
    for number, text in enumerate(split.sides, 1):
        for peer in reader.select(text, f"{key}.sides[{number}]"):
            if side[peer]:
                raise reader.wrong(
                    f"{key}.sides[{number}]",
                    f"peer {peer} already stands on side {side[peer]}; name it once",
                )
            side[peer] = number
    if len(frozenset(side)) == 1:
        raise reader.wrong(f"{key}.sides", "everybody is on one side; leave somebody out")
    return Partition(tuple(side), split.start_us, split.end_us)


def _condition(reader: Reader, rule: LinkRule, key: str) -> Rule:
    reader.in_order(rule.start_us, rule.end_us, key)
    _begins(reader, rule.start_us, key)
    if rule.kbit_per_s and not rule.latency:
        raise reader.wrong(
            f"{key}.latency", 'missing; a bandwidth needs one, such as latency = "40 ms"'
        )
    if rule.kbit_per_s and not round(rule.kbit_per_s * 1_000):
        raise reader.wrong(
            f"{key}.kbit_per_s", "is less than a bit a second; write 0.001 or more, or a drop"
        )
    if not rule.drop and not rule.latency:
        raise reader.wrong(key, "does nothing; give it a drop, or a latency, or remove it")
    return Condition(
        senders=reader.mask(rule.senders, f"{key}.senders"),
        receivers=reader.mask(rule.receivers, f"{key}.receivers"),
        start_us=rule.start_us,
        end_us=rule.end_us,
        drop=rule.drop,
        latency=reader.latency(rule.latency, f"{key}.latency") if rule.latency else None,
        bits_per_s=round(rule.kbit_per_s * 1_000),
        queue_bytes=rule.queue_bytes,
        shared=rule.shared,
        both=rule.both,
    )


def _begins(reader: Reader, start_us: int, key: str) -> None:
    if start_us > reader.scenario.mesh.duration_us:
        raise reader.wrong(f"{key}.start", "lies after the end; see mesh.duration")
