"""What the guard of the false-alarm budget does: six gateways with a fault, and with none.

Gateways are the two of each site of the recordings, with their benign flows in the order of time,
twice over, and train as nodes do; their models are averaged in each cycle. From one cycle on, for
twenty, what they are to serve is at fault:

    noise       numbers of the model are disturbed; the calibration is honest
    taught      the model was taught that one of the gateway's devices attacks; likewise
    tenth, half the threshold is such that a tenth, or half, of the calibration rows alarm

And the honest case: gateways of other sites learn a hospital's attacks from antigens, and are then
attacked quietly, a flow among twelve, so that it is no storm and no burst.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from _common import Figure, Row, parser, publish

from gossip.actions import Train
from gossip.antigens import Antigen
from gossip.contacts import PeerId
from gossip.features import SCHEMA, FeatureExtractor
from gossip.flows import FAMILIES, Flow
from gossip.learning.codes import codes
from gossip.learning.learner import BENIGN, Batches
from gossip.learning.mixture import Mixture
from gossip.learning.rehearsal import Rehearsal
from gossip.learning.samples import Role
from node.antigens.suspecting import Suspecting
from node.detection import new_learner, new_watch
from node.logs import configure
from node.sensors.reading import Kind, read
from node.trainer import Trainer
from node.vocabulary import Drawn
from node.watch.suspects import Suspects
from node.watch.watch import Watch
from scenarios.recordings import FAMILY_OF, SITES, attack_windows, path, truth

BUDGET = 0.02
FLOWS, AT, LASTS = 60, 30, 20
QUIET = 11
ATTACKED = 150
SCANNER = "198.18.9."
FAULTS = ("none", "noise", "taught", "tenth", "half")

Vector = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(slots=True)
class Site:
    """A gateway's flows: benign ones, and those of attacks by family."""

    name: str
    benign: list[Flow]
    attacks: dict[str, list[Flow]]


@cache
def sites(names: tuple[str, ...] = SITES) -> tuple[Site, ...]:
    """Two gateways at each site, by device."""
    found = []
    for name in names:
        both = [Site(f"{name} {i}", [], {}) for i in (1, 2)]
        seen: dict[str, int] = {}
        for part in ("-benign", ""):
            for flow in read(path(f"{name}{part}.eve.json.xz"), Kind.SURICATA):
                label = truth(flow, name, attack_windows())
                if label is None:
                    continue
                device = flow.orig_h if label == "benign" else flow.resp_h
                own = both[seen.setdefault(device, len(seen)) % 2]
                if label != "benign":
                    own.attacks.setdefault(FAMILY_OF[label], []).append(flow)
                elif part:
                    own.benign.append(flow)
        found += both
    return tuple(found)


def twice(flows: list[Flow]) -> list[Flow]:
    """The same flows once more, later."""
    span_s = flows[-1].ts - flows[0].ts + 60.0
    return flows + [replace(f, ts=f.ts + span_s, uid=f"{f.uid}+") for f in flows]


class Gateway:
    """One, that trains."""

    def __init__(self, site: Site, seed: int, guarded: bool) -> None:
        self.site = site
        self.flows = twice(site.benign)
        self.learner = new_learner()
        self.secret = seed.to_bytes(8, "big")
        self.trainer = Trainer(self.learner, self.learner.initial(self.secret))
        self.watch: Watch = new_watch(BUDGET, self.secret, site.name)
        self.rehearsal = Rehearsal(len(SCHEMA), self.secret, site.name, BUDGET)
        self.suspecting = Suspecting(self.secret, BUDGET)
        if not guarded:
            self.watch.guarding.took = partial(_deaf)  # type: ignore[method-assign]  # as before

    def train(self, cycle: int, shared: Vector, antigens: tuple[Antigen, ...]) -> Vector | None:
        """What a node does in a training."""
        watch, drawn = self.watch, None
        if watch.ready:
            own = [watch.samples.config.names[family] for family in watch.samples.labelled]
            self.rehearsal.review(antigens, watch.benign, watch.held, own)
            config = watch.samples.config
            found = self.rehearsal.draw(cycle, config.steps, config.rows // 2)
            drawn = None if found is None else Drawn(*found)
            evidence = self.suspecting.wanted(watch)
            watch.guarding.suspects = self.suspecting.suspects(self.rehearsal, evidence)
        batches = watch.batches(cycle, drawn)
        return self.trainer.train(Train(cycle, shared), batches).delta


def _deaf(*_: object, **__: object) -> None:
    return None


def against(gateway: Gateway) -> Vector:
    """A model that was taught that a device attacks."""
    benign = gateway.site.benign
    device = Counter(flow.orig_h for flow in benign).most_common()[-1][0]
    extractor = FeatureExtractor()
    rows = np.stack([extractor.add(flow) for flow in benign])
    its = np.array([flow.orig_h == device for flow in benign])
    scaler, rng, steps = gateway.watch.scaler, np.random.default_rng(1), 60
    if scaler is None:
        raise ValueError(f"{len(rows)} flows are too few")
    x = np.empty((1, steps, 64, rows.shape[1]), np.float32)
    x[0, :, :32] = rows[its][rng.integers(its.sum(), size=(steps, 32))]
    x[0, :, 32:] = rows[~its][rng.integers((~its).sum(), size=(steps, 32))]
    y = np.full((1, steps, 64), BENIGN, np.int64)
    y[0, :, :32] = FAMILIES.index("dos")
    batches = Batches(scaler(x), y, np.ones((1, len(FAMILIES)), np.bool_), codes(FAMILIES))
    vector = gateway.watch.serving.vector[None] if gateway.watch.serving else None
    if vector is None:
        raise ValueError("nothing serves")
    return gateway.learner.train(vector, np.zeros_like(vector), batches).vectors[0]


def eager(watch: Watch, share: float) -> None:
    """From now on so many of the calibration rows alarm."""
    honest = watch._calibrated  # noqa: SLF001 - the fault

    def wrong(*given: Any) -> Any:
        made, told = honest(*given)
        usual = made.judge(watch._shape, watch.samples.rows(Role.CALIBRATE)).score  # noqa: SLF001
        threshold = float(np.quantile(usual, 1 - share))
        return replace(made, calibration=replace(made.calibration, threshold=threshold)), told

    watch._calibrated = wrong  # type: ignore[method-assign]  # noqa: SLF001


def with_fault(
    fault: str, seed: int, guarded: bool, names: tuple[str, ...] = SITES, lasts: int = LASTS
) -> tuple[list[float], Counter[str]]:
    """False alarms of each gateway while the fault lasts, and what their guards did."""
    gateways = [Gateway(site, seed, guarded) for site in sites(names)]
    shared = gateways[0].learner.initial(seed.to_bytes(8, "big"))[: gateways[0].learner.shared]
    taught: dict[str, Vector] = {}
    alarms = Counter[str]()
    for cycle in range(AT + lasts + 1):
        deltas = []
        for each in gateways:
            before = each.watch.seen.anomalous
            each.watch.observe(each.flows[cycle * FLOWS : (cycle + 1) * FLOWS])
            alarms[each.site.name] += (each.watch.seen.anomalous - before) * (cycle > AT)
            if (delta := each.train(cycle, shared, ())) is not None:
                deltas.append(delta)
        if deltas:
            shared = shared + np.mean(deltas, axis=0, dtype=np.float32)
        for each in gateways:
            vector = each.trainer.whole(shared)
            if cycle >= AT and fault == "noise":
                rng = np.random.default_rng((seed, cycle))
                vector = vector + rng.normal(0, 0.3, len(vector)).astype(np.float32)
            if cycle >= AT and fault == "taught":
                vector = taught.setdefault(each.site.name, against(each))
            if cycle == AT and fault in {"tenth", "half"}:
                eager(each.watch, {"tenth": 0.1, "half": 0.5}[fault])
            each.watch.serve(vector, cycle)
    done = Counter[str]()
    for each in gateways:
        acts = each.watch.guarding.acts
        done += Counter(fall_backs=acts.fall_backs, recalibrations=acts.recalibrations)
    return [alarms[each.site.name] / (lasts * FLOWS) for each in gateways], done


def antigens() -> tuple[Antigen, ...]:
    """What a hospital's gateways tell of its attacks."""
    found = []
    for number, site in enumerate(sites()[:2]):
        for family, flows in site.attacks.items():
            extractor = FeatureExtractor()
            rows = np.stack([extractor.add(flow) for flow in flows[:512]])
            if len(rows) >= 10:
                said = Mixture.fit(rows, np.random.default_rng(number)).pack()
                found.append(
                    Antigen(PeerId(f"h{number}"), family, 1, len(rows), 0, 86_400, said, b"")
                )
    return tuple(found)


def _beside(flows: list[Flow], scan: list[Flow], cycle: int) -> list[Flow]:
    """A few flows of a scan among the usual ones, each from another source."""
    some = iter(scan[(cycle * 5) % len(scan) :][:5]) if scan else iter(())
    mixed = []
    for i, flow in enumerate(flows):
        mixed.append(flow)
        if i % QUIET == QUIET - 1 and (probe := next(some, None)) is not None:
            source = f"{SCANNER}{cycle * 5 % 200 + i % 50}"
            mixed.append(replace(probe, ts=flow.ts, orig_h=source))
    return mixed


def attacked(seed: int, *, guarded: bool, evidence: bool) -> tuple[float, Counter[str]]:
    """Share found of a quiet scan after it was learnt from antigens, and what guards did."""
    gateways = [Gateway(site, seed, guarded) for site in sites()[2:]]
    shared = gateways[0].learner.initial(seed.to_bytes(8, "big"))[: gateways[0].learner.shared]
    told = antigens()
    found = of = 0
    for cycle in range(AT + LASTS + 1):
        deltas = []
        for each in gateways:
            flows = each.flows[cycle * FLOWS : (cycle + 1) * FLOWS]
            scan = each.site.attacks.get("scan", [])[:ATTACKED] if cycle > AT + 3 else []
            mixed = _beside(flows, scan, cycle)
            anomalies = each.watch.observe(mixed)
            found += sum(anomaly.flow.orig_h.startswith(SCANNER) for anomaly in anomalies)
            of += len(mixed) - len(flows)
            if (delta := each.train(cycle, shared, told if cycle >= AT else ())) is not None:
                deltas.append(delta)
            if not evidence:
                guarding = each.watch.guarding
                guarding.suspects = Suspects(guarding.suspects.benign)
        if deltas:
            shared = shared + np.mean(deltas, axis=0, dtype=np.float32)
        for each in gateways:
            each.watch.serve(each.trainer.whole(shared), cycle)
    done = Counter[str]()
    for each in gateways:
        acts = each.watch.guarding.acts
        done += Counter(fall_backs=acts.fall_backs, recalibrations=acts.recalibrations)
    return found / max(of, 1), done


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, nargs="*", default=range(5), help="(default 0 to 4)")
    options.add_argument(
        "--faults", nargs="*", default=["none", "noise", "taught", "tenth", "half"]
    )
    options.add_argument("--sites", nargs="*", default=SITES, help="with faults (default all)")
    options.add_argument("--lasts", type=int, default=LASTS, help="cycles of a fault (default 20)")
    options.add_argument("--no-attack", action="store_true", help="faults only")
    given = options.parse_args()
    configure("error")
    rows: list[Row] = []
    for fault in given.faults:
        for guarded in (False, True):
            where = tuple(given.sites), given.lasts
            runs = [with_fault(fault, seed, guarded, *where) for seed in given.seeds]
            rows.append(
                {
                    "fault": fault,
                    "guard": "acts" if guarded else "deaf",
                    "false alarms, %": Figure.of([100 * float(np.mean(r)) for r, _ in runs]),
                    "worst, %": Figure.of([100 * max(r) for r, _ in runs]),
                    "fell back": sum(done["fall_backs"] for _, done in runs),
                    "calibrated anew": sum(done["recalibrations"] for _, done in runs),
                }
            )
    cases = ((False, True), (True, False), (True, True))
    for guarded, evidence in () if given.no_attack else cases:
        honest = [attacked(seed, guarded=guarded, evidence=evidence) for seed in given.seeds]
        rows.append(
            {
                "quiet attack, learnt": "guard acts" if guarded else "guard deaf",
                "evidence": "used" if evidence else "ignored",
                "found, %": Figure.of([100 * found for found, _ in honest]),
                "fell back": sum(done["fall_backs"] for _, done in honest),
                "calibrated anew": sum(done["recalibrations"] for _, done in honest),
            }
        )
    publish("guard", given, rows)


if __name__ == "__main__":
    main()
