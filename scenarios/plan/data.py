"""`[data]`: keys that need each other."""

from collections.abc import Sequence
from functools import partial

from gossip.flows import FAMILIES
from gossip.learning.scaling import ROWS_MIN
from node.sensors.reading import Kind as Sensor
from scenarios.data.appearing import Appearance, check_family
from scenarios.data.gaussian import families as gaussian_families
from scenarios.data.logs import log_files, sites
from scenarios.plan.reader import Reader
from scenarios.recordings import SITES
from scenarios.spec.data import Data, Kind, Source, parse_sharding

SYNTHETIC = ("features", "classes", "separation")
REAL = ("split", "duplicates", "scaling")
BY_SITE = ("labels", "test_left_out")


def groups(reader: Reader) -> dict[str, str]:
    """Groups that the data brings along; refuses keys that mean nothing to it."""
    data, peers = reader.scenario.data, reader.scenario.mesh.peers
    sharding = reader.at("data.shards", lambda: parse_sharding(data.shards))
    synthetic = data.source is Source.GAUSSIAN
    if synthetic:
        _refuse(reader, REAL, "means nothing to gaussian data")
    else:
        _refuse(reader, SYNTHETIC, "belongs to gaussian data")
    if synthetic and sharding.kind is Kind.TIME:
        raise reader.wrong("data.shards", "gaussian rows have no time; write another than time")
    bundled = synthetic or data.source is Source.RECORDINGS
    if bundled and data.folder is not None:
        raise reader.wrong("data.folder", f"means nothing to {data.source.value}; leave it out")
    if data.factory_sensor is not Data().factory_sensor and data.source is not Source.RECORDINGS:
        raise reader.wrong("data.factory_sensor", "belongs to recordings; leave it out")
    natural = sharding.kind is Kind.NATURAL
    recorded = data.source is Source.RECORDINGS and natural
    if not recorded:
        _refuse(reader, BY_SITE, "belongs to recordings dealt by site")
    if not bundled and data.folder is None:
        raise reader.wrong(
            "data.folder", f'missing; say where the files of {data.source.value} lie: folder = "…"'
        )
    if not synthetic and data.scaling.needs_own and data.rows < ROWS_MIN:
        name = data.source.value
        raise reader.wrong("data.rows", f"{data.rows} are too few; {name} need {ROWS_MIN}")
    if recorded and not data.scaling.needs_own:
        raise reader.wrong(
            "data.scaling",
            'recordings dealt by site are scaled as in a node, "own" or "mesh"; write one of '
            "these, or deal them otherwise, see data.shards",
        )
    names = SITES[:peers] if data.source is Source.RECORDINGS else _sites(reader)
    return _owners(names, peers) if natural else {}


def _refuse(reader: Reader, keys: Sequence[str], why: str) -> None:
    for key in keys:
        if getattr(reader.scenario.data, key) != getattr(Data(), key):
            raise reader.wrong(f"data.{key}", f"{why}; leave it out")


def _sites(reader: Reader) -> tuple[str, ...]:
    """Sites of the user's own logs; none for other sources. Refuses a folder that is not there."""
    data = reader.scenario.data
    if data.folder is None:
        return ()
    folder = data.folder
    if not folder.is_dir():
        raise reader.wrong("data.folder", f"{folder} is no folder; name the one with the files")
    if data.source not in {Source.ZEEK, Source.SURICATA}:
        return ()
    sensor = Sensor(data.source.value)
    return reader.at("data.folder", lambda: sites(log_files(folder, sensor)))


def _owners(names: Sequence[str], peers: int) -> dict[str, str]:
    """The peers that each owner's rows are dealt to, as `scenarios.data.dealing.deal` does."""
    step = len(names)
    if step > peers:
        return {name: str(number % peers) for number, name in enumerate(names)}
    return {
        name: ",".join(map(str, range(number, peers, step))) for number, name in enumerate(names)
    }


def known_families(data: Data) -> tuple[str, ...]:
    """Families of a source, benign first; none where only its files say them."""
    if data.source is Source.GAUSSIAN:
        return gaussian_families(data.classes)
    return FAMILIES if data.source is Source.RECORDINGS else ()


def appearances(reader: Reader) -> tuple[Appearance, ...]:
    """Who trains on which attack from when on, in the order of the file.

    A family is checked here where the source's families are known without reading it.

    Raises:
        ConfigError: see `make_plan`.
    """
    data = reader.scenario.data
    found: list[Appearance] = []
    labelled = reader.mask(data.labelled, "data.labelled")
    for place, each in enumerate(data.appear, 1):
        key = f"data.appear[{place}]"
        if each.at_us > reader.scenario.mesh.duration_us:
            raise reader.wrong(f"{key}.at", "lies after the end; see mesh.duration")
        if any(before.family == each.family for before in found):
            raise reader.wrong(f"{key}.family", f"{each.family!r} appears already; name it once")
        families = known_families(data)
        if families:
            reader.at(f"{key}.family", partial(check_family, each.family, families))
        peers = reader.select(each.peers, f"{key}.peers")
        if not peers:
            raise reader.wrong(f"{key}.peers", "names nobody; somebody must see the attack")
        if data.source is not Source.GAUSSIAN and not any(labelled[peer] for peer in peers):
            raise reader.wrong(f"{key}.peers", "nobody of them has labels; see data.labelled")
        found.append(Appearance(key, each.family, peers, each.at_us))
    return tuple(found)
