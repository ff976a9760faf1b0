"""The bundled recordings as data for a scenario: gateways at three sites, each with its devices.

Peer number p is a gateway at site p modulo 3. A site's devices are dealt out among its gateways;
where there are more gateways than devices, a device's flows are dealt out in turn. Each gateway has
features, a scaler and roles of its own, made by the code that a node uses.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gossip.errors import ConfigError
from gossip.features import SCHEMA, FeatureExtractor, schema_fingerprint
from gossip.flows import FAMILIES, Flow
from gossip.learning.learner import BENIGN, Batches
from gossip.learning.samples import Role, SampleConfig, Samples
from gossip.learning.scaling import ROWS_MIN, Scaler
from node.sensors.reading import Kind, read
from scenarios.data.shards import Floats, Labels, Shard, Shards
from scenarios.plan.plan import Plan
from scenarios.recordings import FAMILY_OF, SITES, attack_windows, path, truth

DEVICES = 4
"""Devices at each site; an attack's further victims are counted among them in turn."""


@dataclass(frozen=True, slots=True)
class SampleRows:
    """Training rows drawn as a node draws them: see `Samples.batches`.

    Args:
        samples: by peer.
        scalers: by peer.
    """

    samples: tuple[Samples, ...]
    scalers: tuple[Scaler, ...]

    def trainable(self, peer: int) -> bool:
        """See `Rows`. Every gateway has benign rows."""
        return len(self.samples[peer].rows(Role.TRAIN)) > 0

    def batches(
        self, peers: Sequence[int], cycles: Sequence[int], _times_us: Sequence[int]
    ) -> Batches:
        """See `Rows`."""
        drawn = [
            own
            for peer, cycle in zip(peers, cycles, strict=True)
            if (own := self.samples[peer].batches(cycle, self.scalers[peer])) is not None
        ]
        return Batches(
            np.concatenate([own.x for own in drawn]),
            np.concatenate([own.y for own in drawn]),
            np.concatenate([own.known for own in drawn]),
        )


def load_recordings(plan: Plan, names: Sequence[str]) -> tuple[Shards, SampleRows]:
    """Read the recordings and deal them out.

    Rows without a label are those of benign flows. An attack's flows are learnt from, with their
    true family, by gateways that `data.labelled` names; the others leave them out, as a node does
    in an alert storm. Test rows are a gateway's own benign flows held out, and attack flows held
    out at all gateways of its site.

    Args:
        plan: the scenario's.
        names: identities, by peer.

    Raises:
        ConfigError: there are more gateways than the recordings have rows for.
        SensorError: a recording is damaged.
    """
    samples: list[Samples] = []
    scalers: list[Scaler] = []
    shards: list[Shard] = []
    sites = [_site(plan, names, number) for number in range(min(len(SITES), len(names)))]
    for peer in range(len(names)):
        site = sites[peer % len(SITES)]
        own = site.samples[peer // len(SITES)]
        scaler = _scaler(plan, own, peer)
        samples.append(own)
        scalers.append(scaler)
        shards.append(_shard(own, scaler, *site.attacks))
    return (
        Shards(schema_fingerprint(), len(SCHEMA), FAMILIES, tuple(shards)),
        SampleRows(tuple(samples), tuple(scalers)),
    )


@dataclass(frozen=True, slots=True)
class _Site:
    """One site's gateways, and its held-out attack rows, unscaled, with their families."""

    samples: tuple[Samples, ...]
    attacks: tuple[Floats, Labels]


def _site(plan: Plan, names: Sequence[str], number: int) -> _Site:
    data, learning = plan.scenario.data, plan.scenario.learning
    peers = range(number, len(names), len(SITES))
    config = SampleConfig(
        len(SCHEMA),
        len(FAMILIES),
        train_max=data.rows,
        calibrate_max=max(1, data.calibrate_rows),
        holdout_max=data.test_rows,
        family_max=max(1, data.rows // len(FAMILIES)),
        rows=learning.batch,
        steps=learning.steps,
    )
    gateways = tuple(Samples(config, plan.seed_bytes, names[peer]) for peer in peers)
    attack_rows: list[Floats] = []
    families: list[int] = []
    room = [data.test_rows // (len(FAMILIES) - 1)] * len(FAMILIES)
    for name in (f"{SITES[number]}-benign", SITES[number]):
        streams = [FeatureExtractor() for _ in gateways]
        for flow, family, owner in _dealt(name, SITES[number], len(gateways)):
            row = streams[owner].add(flow)
            own = gateways[owner]
            if family == BENIGN:
                own.add(f"{name} {flow.uid}", row)
            elif own.role(flow.uid) is not Role.HOLDOUT:
                if plan.labelled[peers[owner]]:
                    own.add(flow.uid, row, family)
            elif room[family]:
                room[family] -= 1
                attack_rows.append(row)
                families.append(family)
    stacked = np.stack(attack_rows) if attack_rows else np.zeros((0, len(SCHEMA)), np.float32)
    return _Site(gateways, (stacked, np.array(families, np.int64)))


def _dealt(name: str, site: str, gateways: int) -> Iterator[tuple[Flow, int, int]]:
    """Each flow of a recording with its true family and its gateway at the site."""
    windows = attack_windows()
    devices: dict[str, int] = {}
    turns: dict[str, int] = {}
    for flow in read(path(f"{name}.eve.json.xz"), Kind.SURICATA):
        label = truth(flow, site, windows)
        if label is None:
            continue
        family = FAMILIES.index(FAMILY_OF[label])
        device = flow.orig_h if family == BENIGN else flow.resp_h
        number = devices.setdefault(device, len(devices)) % DEVICES
        turn = turns[device] = turns.get(device, -1) + 1
        shared = range(number % gateways, gateways, DEVICES)
        yield flow, family, shared[turn % len(shared)]


def _scaler(plan: Plan, own: Samples, peer: int) -> Scaler:
    rows = own.rows(Role.TRAIN)
    if len(rows) < ROWS_MIN:
        raise ConfigError(
            f"{plan.where}: mesh.peers: {plan.scenario.mesh.peers} peers leave peer {peer} "
            f"({SITES[peer % len(SITES)]}) {len(rows)} rows to train on (data.rows = "
            f"{plan.scenario.data.rows}), and a scaler needs {ROWS_MIN}; use fewer peers or "
            f"more rows"
        )
    return Scaler.fit(rows)


def _shard(own: Samples, scaler: Scaler, attacks: Floats, families: Labels) -> Shard:
    benign = own.rows(Role.HOLDOUT)
    trained = own.rows(Role.TRAIN)
    return Shard(
        scaler(trained),
        np.full(len(trained), BENIGN, np.int64),
        scaler(own.rows(Role.CALIBRATE)),
        scaler(np.concatenate([benign, attacks])),
        np.concatenate([np.full(len(benign), BENIGN, np.int64), families]),
    )
