"""Judges whole logs by the model that a gateway saved, and changes nothing.

No libp2p, no trio, no training: the model, its threshold, sensors and incidents, in 60 MB.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median_low

import numpy as np

from gossip.arrays import group_of
from gossip.errors import StateError
from gossip.features import CONTEXT_S, FeatureExtractor
from gossip.flows import Flow
from gossip.learning.calibration import State
from gossip.learning.samples import Role
from node.alerts.incidents import Incident, Incidents, Verdict
from node.config.settings import DetectorSettings, MeshSettings
from node.detection import SHAPE, fingerprint_of, new_learner, new_watch
from node.sensors.lines import LineParser
from node.sensors.meter.pcap import read_pcap
from node.sensors.reading import Kind, parser_for, read
from node.state.store import look
from node.watch.memory import COLD_FLOWS_MAX

BATCH_FLOWS = 256
CLOCK_FLOWS = 31
"""As a node takes them, see `node.intake`."""

END_TS_S = 1e10
"""In the year 2286 every incident is over."""

CAPTURES = {".pcap", ".pcapng", ".cap"}
"""Names of files that hold packets, with or without `.gz` or `.xz` behind. Our choice."""


@dataclass
class Counts:
    """What became of the flows so far.

    Args:
        flows: read; cold: of these, not judged, for they began within 30 s of the first, whose
            context is not known; anomalous: of those judged, over the threshold.
        logs: who read them; their `stats` tell what became of the lines. Captures have none.
    """

    flows: int = 0
    cold: int = 0
    anomalous: int = 0
    logs: dict[Path, LineParser] = field(default_factory=dict)


class Judging:
    """A saved model that judges logs.

    Args:
        folder: state folder of a node, which may run meanwhile.
        detector: when flows count as one incident.
        mesh: to know the model by, see `node.detection.fingerprint_of`.

    Attributes:
        counts: of all flows so far.
        verdict: what goes into each alert about the model.

    Raises:
        StateError: nothing is saved there, it is damaged or of another release's model, or that
            model has no threshold yet.
    """

    def __init__(self, folder: Path, detector: DetectorSettings, mesh: MeshSettings) -> None:
        snapshot = look(folder)
        expected = fingerprint_of(new_learner(), mesh.fragments).text
        found = snapshot.small.get("fingerprint")
        if found != expected:
            raise StateError(
                f"{folder}: holds another model ({found}) than this Hedgerow runs ({expected}); "
                "use the release and the settings of its node"
            )
        watch = new_watch(detector.budget, b"", "")
        try:
            watch.restore(group_of(snapshot.arrays, "watch"))
        except KeyError as error:  # its checksum was right, so this is no damage
            raise StateError(
                f"{folder}: holds a state that this Hedgerow does not understand ({error} is "
                "absent); use the release that wrote it"
            ) from error
        if watch.serving is None or watch.state is not State.WATCHING:
            raise StateError(
                f"{folder}: its node is still learning and has no threshold yet "
                f"({watch.calibration_rows:,} flows to calibrate with of "
                f"{watch.calibration_rows_needed:,}); wait until `hedgerow status` says watching"
            )
        self._serving = watch.serving
        self._usual = watch.samples.rows(Role.TRAIN)
        self._incidents = Incidents(
            detector.gap_us, detector.incident_us_max, detector.incidents_max
        )
        self._extractor = FeatureExtractor()
        self._lately: deque[float] = deque(maxlen=CLOCK_FLOWS)
        self._warm_ts_s: float | None = None
        self.counts = Counts()
        calibration = self._serving.calibration
        self.verdict = Verdict(
            calibration.threshold,
            calibration.budget,
            calibration.rows,
            self._serving.cycle,
            self._serving.digest,
        )

    def incidents(self, logs: Sequence[Path], kind: Kind = Kind.AUTO) -> Iterator[Incident]:
        """The incidents in these logs, read in this order as one; each when it is over.

        Raises:
            SensorError: while reading: a log cannot be read, or holds no flow.
        """
        for path in logs:
            flows = self._flows(path, kind)
            while batch := list(islice(flows, BATCH_FLOWS)):
                yield from self._take(batch)
        yield from self._incidents.advance(END_TS_S)

    def _flows(self, path: Path, kind: Kind) -> Iterator[Flow]:
        if kind is Kind.AUTO and CAPTURES.intersection(path.suffixes):
            return read_pcap(path)
        parser = parser_for(kind)
        self.counts.logs[path] = parser
        return read(path, kind, parser)

    def _take(self, flows: Sequence[Flow]) -> Iterator[Incident]:
        rows = np.stack([self._extractor.add(flow) for flow in flows])
        judged = self._serving.judge(SHAPE, rows)
        judged.anomalous[[i for i, flow in enumerate(flows) if self._is_cold(flow)]] = False
        anomalies = self._serving.anomalies(SHAPE, flows, rows, judged, self._usual)
        self.counts.flows += len(flows)
        self.counts.anomalous += len(anomalies)
        odd = {anomaly.flow.uid for anomaly in anomalies}
        self._incidents.ordinary(flow for flow in flows if flow.uid not in odd)
        self._lately.extend(flow.ts for flow in flows)
        now_ts_s = median_low(self._lately)
        yield from self._incidents.observe(anomalies, now_ts_s).closed
        yield from self._incidents.advance(now_ts_s)

    def _is_cold(self, flow: Flow) -> bool:
        """As `Memory.is_cold`: of flows with half a context most look odd."""
        if self._warm_ts_s is None:
            self._warm_ts_s = flow.ts + flow.duration + CONTEXT_S
        cold = flow.ts < self._warm_ts_s and self.counts.cold < COLD_FLOWS_MAX
        self.counts.cold += cold
        return cold
