"""Incidents of the recorded attacks: how many, which flows are collateral, and what verdicts cost.

A gateway of each site learns the twenty benign minutes, then is played the recording with attacks,
without labels. Its model stays as it is meanwhile. Each row of the first table is counted without
collateral and with it. The second calls every incident of a harmless
source benign, and counts what else is pardoned with it.
"""

import lzma
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from _common import Row, parser, publish

from gossip.actions import Train
from gossip.flows import Flow
from node.alerts.crowd import MANY
from node.alerts.incidents import Anomaly, Incident, Incidents
from node.config.settings import DetectorSettings
from node.detection import new_learner, new_watch
from node.sensors.reading import Kind, parser_for
from node.trainer import Trainer
from node.verdicts.book import features_of
from node.verdicts.pardons import Pardons
from node.watch.watch import Watch
from scenarios.recordings import BENIGN, SITES, attack_windows, path, truth

CYCLES = 60
BATCH = 256
SHARE = 0.02  # a budget that twenty minutes have flows enough for: 10 / 0.02 to calibrate with


def flows_of(name: str) -> list[Flow]:
    sensor = parser_for(Kind.SURICATA)
    with lzma.open(path(name)) as stream:
        return [flow for line in stream if (flow := sensor.parse(line.rstrip(b"\n"))) is not None]


def taught(site: str) -> Watch:
    """A gateway that has seen the site's benign minutes."""
    watch, learner = new_watch(SHARE, b"benchmark", site), new_learner()
    trainer = Trainer(learner, learner.initial(b"benchmark"))
    shared = learner.initial(b"benchmark")[: learner.shared]
    watch.observe([replace(flow, family=None) for flow in flows_of(f"{site}-benign.eve.json.xz")])
    for cycle in range(CYCLES):
        trained = trainer.train(Train(cycle, shared), watch.batches(cycle))
        shared = shared + trained.delta
        watch.serve(trainer.whole(shared), cycle)
    return watch


@dataclass(frozen=True, slots=True)
class Played:
    """What one recording came to; anomalies are given with what their flows really were."""

    flows: Sequence[Flow]
    anomalies: Sequence[tuple[Anomaly, str | None]]


def played(watch: Watch, site: str) -> Played:
    flows = [replace(flow, family=None) for flow in flows_of(f"{site}.eve.json.xz")]
    found: list[tuple[Anomaly, str | None]] = []
    windows = attack_windows()
    for first in range(0, len(flows), BATCH):
        batch = watch.observe(flows[first : first + BATCH])
        found += [(anomaly, truth(anomaly.flow, site, windows)) for anomaly in batch]
    return Played(flows, found)


def grouped(site: str, what: Played, *, collateral: bool) -> tuple[Row, list[Incident]]:
    settings = DetectorSettings()
    known = Incidents(settings.gap_us, settings.incident_us_max, settings.incidents_max)
    opened: list[Incident] = []
    told, odd, marked = Counter[str](), Counter[str](), Counter[str]()
    anomalies = {anomaly.flow.uid: (anomaly, what) for anomaly, what in what.anomalies}
    for flow in what.flows:
        if flow.uid not in anomalies:
            if collateral:
                known.ordinary([flow])
            continue
        anomaly, kind = anomalies[flow.uid]
        before = sum(incident.collateral for incident in known.latest(1_000))
        opened += known.observe([anomaly]).opened
        known.advance(flow.ts - 60.0)
        if kind is None:
            continue
        odd[kind] += 1
        if sum(incident.collateral for incident in known.latest(1_000)) > before:
            marked[kind] += 1
        else:
            told[kind] += 1
    attackers = {window.attacker for window in attack_windows() if window.site == site} | {MANY}
    false = [incident for incident in opened if incident.source not in attackers]
    attacks = [kind for kind in odd if kind != BENIGN]
    row = {
        "site": site,
        "collateral": "marked" if collateral else "not marked",
        "anomalous": len(anomalies),
        "benign among them": odd[BENIGN],
        "incidents": len(opened),
        "of harmless sources": len(false),
        "flows marked": sum(marked.values()),
        "of attacks": sum(count for kind, count in marked.items() if kind != BENIGN),
        "attacks found": len(attacks),
        "swallowed": sum(not told[kind] for kind in attacks),
    }
    return row, false


def verdicts(site: str, watch: Watch, what: Played, false: Sequence[Incident]) -> Row:
    rows = np.concatenate([features_of(incident.rows) for incident in false])
    serving = watch.serving
    if serving is None:
        raise SystemExit(f"{site}: no model serves")
    pardons = Pardons(rows)
    kinds = [kind for _, kind in what.anomalies]
    values = np.stack([np.frombuffer(one.row, np.float32) for one, _ in what.anomalies])
    pardoned = pardons(values, serving.scaler)
    attack = np.array([kind not in (BENIGN, None) for kind in kinds])
    benign = np.array([kind == BENIGN for kind in kinds])
    lost = [
        kind
        for kind in sorted({kind for kind in kinds if kind not in (BENIGN, None)})
        if all(p for p, k in zip(pardoned, kinds, strict=True) if k == kind)
    ]
    return {
        "site": site,
        "verdicts": len(false),
        "rows": len(rows),
        "benign anomalies pardoned": f"{pardoned[benign].mean():.1%}",
        "attack anomalies pardoned": f"{pardoned[attack].mean():.2%}",
        "attacks pardoned whole": ", ".join(lost) or "none",
    }


def main() -> None:
    options = parser(__doc__).parse_args()
    table: list[Row] = []
    said: list[Row] = []
    for site in SITES:
        watch = taught(site)
        what = played(watch, site)
        before, false = grouped(site, what, collateral=False)
        table += [before, grouped(site, what, collateral=True)[0]]
        if false:
            said.append(verdicts(site, watch, what, false))
    publish("incidents", options, [*table, *said])


if __name__ == "__main__":
    main()
