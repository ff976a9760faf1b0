"""The bundled recordings as data for a scenario: gateways at three sites, each with its devices.

Peer number p is a gateway at site p modulo 3. A site's devices are dealt out among its gateways;
where there are more gateways than devices, a device's flows are dealt out in turn. Each gateway has
features, a scaler and roles of its own, made by the code that a node uses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf

import numpy as np

from gossip.errors import ConfigError
from gossip.features import SCHEMA, FeatureExtractor, schema_fingerprint
from gossip.flows import FAMILIES, Flow
from gossip.learning.codes import codes
from gossip.learning.learner import BENIGN, Batches
from gossip.learning.samples import Role, SampleConfig, Samples
from gossip.learning.scaling import ROWS_MIN, Scaler
from gossip.learning.tails import alarms_a_day
from node.sensors.reading import Kind, read
from scenarios.conditions.devices import rows_that_fit
from scenarios.data.appearing import Appearance, late_last, visible
from scenarios.data.duplicates import repeated
from scenarios.data.flowed import FlowLog, flows_table
from scenarios.data.kept import Looks
from scenarios.data.shards import Floats, Labels, Shard, Shards, Unscaled
from scenarios.data.table import Table
from scenarios.plan.plan import Plan
from scenarios.recordings import FAMILY_OF, SITES, attack_windows, path, truth
from scenarios.spec.data import Duplicates, Labelling, Scaling, Sensor

FACTORY = "factory"

_ENDS = {Sensor.SURICATA: "eve.json.xz", Sensor.IPFIX: "ipfix.jsonl.xz"}

DEVICES = 4
"""Devices at each site; an attack's further victims are counted among them in turn."""


@dataclass(frozen=True, slots=True)
class SampleRows:
    """Training rows drawn as a node draws them: see `Samples.batches`.

    Args:
        samples: by peer.
        scalers: by peer.
        late: attack family to the simulated microseconds from which on it is trained on.
        codes: the families' codes for a coded head, see `Batches`; None for a plain one.
    """

    samples: tuple[Samples, ...]
    scalers: tuple[Scaler, ...]
    late: Mapping[int, int]
    codes: Floats | None = None

    def trainable(self, peer: int) -> bool:
        """See `Rows`. Every gateway has benign rows."""
        return len(self.samples[peer].rows(Role.TRAIN)) > 0

    def batches(
        self, peers: Sequence[int], cycles: Sequence[int], times_us: Sequence[int]
    ) -> Batches:
        """See `Rows`."""
        drawn = [
            own
            for peer, cycle, now_us in zip(peers, cycles, times_us, strict=True)
            if (own := self._drawn(peer, cycle, now_us)) is not None
        ]
        return Batches(
            np.concatenate([own.x for own in drawn]),
            np.concatenate([own.y for own in drawn]),
            np.concatenate([own.known for own in drawn]),
            self.codes,
        )

    def _drawn(self, peer: int, cycle: int, now_us: int) -> Batches | None:
        hidden = [family for family, start_us in self.late.items() if now_us < start_us]
        return self.samples[peer].batches(cycle, self.scalers[peer], hidden)


def load_recordings(plan: Plan, names: Sequence[str]) -> tuple[Shards, SampleRows]:
    """Read the recordings and deal them out.

    Rows without a label are those of benign flows. An attack's flows are learnt from, with the
    family that `data.labels` says, by gateways that `data.labelled` names; the others leave them
    out, as a node does in an alert storm. Test rows are a gateway's own benign flows held out, and
    attack flows held out at all gateways of its site; with `data.test_left_out`, where these are
    fewer than there is room for, also those that gateways without labels leave out.

    Args:
        plan: the scenario's.
        names: identities, by peer.

    Raises:
        ConfigError: there are more gateways than the recordings have rows for.
        SensorError: a recording is damaged.
    """
    late = {FAMILIES.index(each.family): each for each in plan.appear}
    sites = [_site(plan, names, late, n) for n in range(min(len(SITES), len(names)))]
    at_us = {family: each.at_us for family, each in late.items()}
    samples = tuple(_of_peer(sites, peer).samples[peer // len(SITES)] for peer in range(len(names)))
    for family, each in late.items():
        if not any(len(samples[peer].family(family)) for peer in each.peers):
            raise ConfigError(
                f"{plan.where}: {each.key}.peers: none of them has rows of {each.family!r} with "
                f"labels; name others, see data.labelled and the recordings' README"
            )
    scalers = tuple(_scaler(plan, own, peer) for peer, own in enumerate(samples))
    trained = [_trained(own, at_us) for own in samples]
    held = _Held(samples, [site.attacks for site in sites])
    removed = 0
    if plan.scenario.data.duplicates is Duplicates.REMOVE:
        removed = held.remove(
            np.concatenate([x for x, _ in trained]), np.concatenate([y for _, y in trained])
        )
    shown = scalers
    if plan.scenario.data.scaling is Scaling.MESH:
        shown = (_unchanged(),) * len(names)  # `Shards.scales` does it
    shards = tuple(held.shard(peer, scaler, *trained[peer]) for peer, scaler in enumerate(shown))
    told = [y for _, y in trained]
    seen = visible(told, told, len(FAMILIES), at_us)
    seen.known[:] = True  # as `Samples.batches` says it
    learning = plan.scenario.learning
    coded = codes(FAMILIES) if learning.coded else None

    def unscaled(peer: int) -> Unscaled:
        return Unscaled(*_trained(samples[peer], at_us), held.calibrate(peer), scalers[peer])

    return (
        Shards(
            schema_fingerprint(),
            len(SCHEMA),
            FAMILIES,
            shards,
            visible=seen,
            removed=removed,
            unscaled=Looks(len(names), unscaled) if learning.antigens else None,
            flows_a_day=tuple(
                _of_peer(sites, peer).flows_a_day[peer // len(SITES)] for peer in range(len(names))
            ),
        ),
        SampleRows(samples, shown, at_us, coded),
    )


def recorded_table(factory: Sensor = Sensor.SURICATA) -> Table:
    """The recordings as one table, for dealing them out by something else than site and device.

    Args:
        factory: whose log of the factory is read.

    Raises:
        SensorError: a recording is damaged.
    """
    return flows_table(
        FlowLog(site, _true(f"{site}{kind}", site, _sensor(site, factory)))
        for site in SITES
        for kind in ("-benign", "")
    )


def _sensor(site: str, factory: Sensor) -> Sensor:
    return factory if site == FACTORY else Sensor.SURICATA


def _true(name: str, site: str, sensor: Sensor) -> Iterator[tuple[Flow, int | None]]:
    """Each flow of a recording with its true family; None where it is to be left out."""
    windows = attack_windows()
    for flow in read(path(f"{name}.{_ENDS[sensor]}"), Kind(sensor.value)):
        label = truth(flow, site, windows)
        yield flow, None if label is None else FAMILIES.index(FAMILY_OF[label])


def _of_peer(sites: "Sequence[_Site]", peer: int) -> "_Site":
    return sites[peer % len(SITES)]


def _trained(own: Samples, at_us: Mapping[int, int]) -> tuple[Floats, Labels]:
    """A gateway's rows to train on, unscaled, with their families; late ones last."""
    parts = [own.rows(Role.TRAIN), *(own.family(family) for family in own.labelled)]
    families = np.repeat([BENIGN, *own.labelled], [len(part) for part in parts])
    order = late_last(families, at_us)
    return np.concatenate(parts)[order], families[order]


@dataclass(frozen=True, slots=True)
class _Site:
    """One site's gateways, and its held-out attack rows, unscaled, with their families.

    Args:
        samples: by gateway.
        attacks: rows and families.
        flows_a_day: by gateway, benign ones at the rate of the recordings.
    """

    samples: tuple[Samples, ...]
    attacks: tuple[Floats, Labels]
    flows_a_day: tuple[float, ...]


class _Held:
    """Rows that no gateway trains on, unscaled: by gateway, and attacks by site."""

    def __init__(
        self, samples: Sequence[Samples], attacks: Sequence[tuple[Floats, Labels]]
    ) -> None:
        self._benign = [own.rows(Role.HOLDOUT) for own in samples]
        self._calibrate = [own.rows(Role.CALIBRATE) for own in samples]
        self._attacks = list(attacks)

    def remove(self, train_x: Floats, train_y: Labels) -> int:
        """Leave out what is trained on anywhere; how many rows these were."""
        removed = 0
        for piles in (self._benign, self._calibrate):
            for peer, rows in enumerate(piles):
                twins = repeated(train_x, train_y, rows, np.zeros(len(rows), np.int64))
                piles[peer] = rows[~twins]
                removed += int(twins.sum())
        for site, (rows, families) in enumerate(self._attacks):
            twins = repeated(train_x, train_y, rows, families)
            self._attacks[site] = rows[~twins], families[~twins]
            removed += int(twins.sum())
        return removed

    def calibrate(self, peer: int) -> Floats:
        """A gateway's rows to calibrate with, unscaled."""
        return self._calibrate[peer]

    def shard(self, peer: int, scaler: Scaler, train_x: Floats, train_y: Labels) -> Shard:
        benign = self._benign[peer]
        attacks, families = self._attacks[peer % len(SITES)]
        return Shard(
            scaler(train_x),
            train_y,
            scaler(self._calibrate[peer]),
            scaler(np.concatenate([benign, attacks])),
            np.concatenate([np.full(len(benign), BENIGN, np.int64), families]),
        )


def _site(plan: Plan, names: Sequence[str], late: Mapping[int, Appearance], number: int) -> _Site:
    data = plan.scenario.data
    peers = range(number, len(names), len(SITES))
    gateways = tuple(Samples(_config(plan, peer), plan.seed_bytes, names[peer]) for peer in peers)
    held: list[tuple[Floats, int]] = []
    spare: list[tuple[Floats, int]] = []
    room = [data.test_rows // (len(FAMILIES) - 1)] * len(FAMILIES)
    sensor = _sensor(SITES[number], data.factory_sensor)
    benign, seconds = [0] * len(gateways), 0.0
    for name in (f"{SITES[number]}-benign", SITES[number]):
        first_s, last_s = inf, -inf
        for flow, family, owner, row in _dealt(name, SITES[number], sensor, len(gateways)):
            own = gateways[owner]
            first_s, last_s = min(first_s, flow.ts), max(last_s, flow.ts)
            if family == BENIGN:
                benign[owner] += 1
                own.add(f"{name} {flow.uid}", row)
            elif own.role(flow.uid) is Role.HOLDOUT:
                held.append((row, family))
            elif not plan.labelled[peer := peers[owner]]:
                if data.test_left_out:  # no model trains on them
                    spare.append((row, family))
            elif (told := _label(data.labels, flow, family)) is not None and (
                told not in late or peer in late[told].peers
            ):
                own.add(flow.uid, row, told)
        seconds += last_s - first_s
    kept = []
    for row, family in chain(held, spare):
        if room[family]:
            room[family] -= 1
            kept.append((row, family))
    stacked = np.stack([row for row, _ in kept]) if kept else np.zeros((0, len(SCHEMA)), np.float32)
    return _Site(
        gateways,
        (stacked, np.array([family for _, family in kept], np.int64)),
        tuple(alarms_a_day(1.0, flows, seconds) for flows in benign),
    )


def _label(labels: Labelling, flow: Flow, family: int) -> int | None:
    """What a gateway is told that an attack's flow is; None where nobody says."""
    if labels is Labelling.TRUE:
        return family
    return None if flow.family is None else FAMILIES.index(flow.family)


def _config(plan: Plan, peer: int) -> SampleConfig:
    """A gateway's bounds: those of the scenario, or what its device has memory for."""
    data, learning = plan.scenario.data, plan.scenario.learning
    # Benign rows, and of each family of attacks one part in `len(FAMILIES)` as many.
    fit = (
        rows_that_fit(plan.memory_bytes[peer], len(SCHEMA))
        * len(FAMILIES)
        // (2 * len(FAMILIES) - 1)
    )
    rows = min(data.rows, fit)
    if rows < ROWS_MIN:
        raise ConfigError(
            f"{plan.where}: mesh.device: the memory of peer {peer} holds {rows} benign rows of the "
            f"recordings beside their attacks, and a scaler needs {ROWS_MIN}; give it more"
        )
    return SampleConfig(
        len(SCHEMA),
        FAMILIES,
        train_max=rows,
        calibrate_max=max(1, data.calibrate_rows),
        holdout_max=data.test_rows,
        family_max=max(1, rows // len(FAMILIES)),
        rows=learning.batch,
        steps=learning.steps,
    )


def _dealt(
    name: str, site: str, sensor: Sensor, gateways: int
) -> Iterator[tuple[Flow, int, int, Floats]]:
    """Each flow of a recording with its true family, its gateway at the site, and features there.

    Features are unscaled, float32 `(features,)`.
    """
    streams = [FeatureExtractor() for _ in range(gateways)]
    devices: dict[str, int] = {}
    turns: dict[str, int] = {}
    for flow, family in _true(name, site, sensor):
        if family is None:
            continue
        device = flow.orig_h if family == BENIGN else flow.resp_h
        number = devices.setdefault(device, len(devices)) % DEVICES
        turn = turns[device] = turns.get(device, -1) + 1
        shared = range(number % gateways, gateways, DEVICES)
        owner = shared[turn % len(shared)]
        yield flow, family, owner, streams[owner].add(flow)


def _scaler(plan: Plan, own: Samples, peer: int) -> Scaler:
    rows = own.rows(Role.TRAIN)
    if plan.scenario.data.scaling is Scaling.NONE:  # for a baseline that scales by itself
        return _unchanged()
    if len(rows) < ROWS_MIN:
        raise ConfigError(
            f"{plan.where}: mesh.peers: {plan.scenario.mesh.peers} peers leave peer {peer} "
            f"({SITES[peer % len(SITES)]}) {len(rows)} rows to train on (data.rows = "
            f"{plan.scenario.data.rows}), and a scaler needs {ROWS_MIN}; use fewer peers or "
            f"more rows"
        )
    return Scaler.fit(rows)


def _unchanged() -> Scaler:
    none = np.zeros(len(SCHEMA), np.float32)
    return Scaler(none, none + 1, np.inf)
