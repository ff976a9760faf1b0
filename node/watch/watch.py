"""What one gateway sees, remembers to learn from, and finds unlike its own traffic.

    flow ─ features ─ score ─┬─ above the threshold ─ anomaly
                             └─ trusted, by its role ─ train │ calibrate │ hold out

The model that scores (`Serving`) is a frozen copy with a calibration of its own, renewed after each
training; merges that arrive in between never meet a threshold made for another vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossip.antigens import Antigen
from gossip.arrays import group_of, prefixed
from gossip.errors import StateError
from gossip.features import FeatureExtractor
from gossip.flows import Flow
from gossip.learning.calibration import State, calibrate, rows_needed
from gossip.learning.codes import codes
from gossip.learning.guard import Breach, Cause, Standing
from gossip.learning.learner import Batches
from gossip.learning.norms import NORMS_MIN, has_moved, mesh_scaler, readable
from gossip.learning.samples import Role, SampleConfig, Samples
from gossip.learning.scaling import Scaler
from gossip.learning.scoring import scores
from gossip.learning.shapes import DetectorShape
from gossip.learning.tails import BORROWED, LENGTH, MeshTail, Numbers
from node.alerts.contributors import Contributors
from node.alerts.incidents import Anomaly
from node.antigens.presenting import Evidence
from node.verdicts.pardons import Pardons
from node.vocabulary import Drawn, joined, mixed
from node.watch.guarding import Guarding, Taken
from node.watch.memory import Memory, Seen
from node.watch.serving import Judged, Serving

REFERENCE_ROWS_MIN = 100

SERVING_MEMORY = np.float32(0.7)
"""Weight of the past in the model that serves: about three cycles. Measured on the demo's gateway
with most labels, five seeds, last seven cycles, without it and with it: floods rightly named 0.77
and 0.99, with a deviation from cycle to cycle of 0.34 and 0.01; password guessing 0.95 and 0.99;
scans 0.63 and 0.46 (of 25 flows), 0.32 and 0.13. Nothing is found less."""

NORMS_STILL = 10
"""Cycles in which no norm was renewed and after which small moves count, too, so that gateways that
hold the same norms end with one scaler: three times the memory of the model that serves, which
begins anew then. Our choice."""

Rows = NDArray[np.float32]


class Watch:
    """A gateway's detector and its memory.

    Args:
        shape: sizes of the detector.
        budget: share of benign flows that may alarm.
        samples: bounds of what is remembered, and how a cycle's batches are drawn.
        seed: secret in a live node.
        peer: this gateway's peer id.

    Attributes:
        rehearsed: families that are learnt from others' antigens now.
        told: what the mesh may know of this gateway's scores, see `tails.contribution`; None where
            there are too few rows.
        guarding: sees to it that the budget is kept.
        contributors: whose knowledge the model holds.
    """

    def __init__(
        self, shape: DetectorShape, budget: float, samples: SampleConfig, seed: bytes, peer: str
    ) -> None:
        self.serving: Serving | None = None
        self.rehearsed: tuple[str, ...] = ()
        self.told: Numbers | None = None
        self._mesh: MeshTail | None = None
        self.guarding = Guarding(shape, budget, samples.features)
        self._memory = Memory(budget, samples, seed, peer)
        self._shape = shape
        self._budget = budget
        self._extractor = FeatureExtractor()
        self._mesh_scaler: Scaler | None = None
        self._mesh_scaler_kept: Scaler | None = None  # the last one, also of the life before
        self._mesh_scaler_now: Scaler | None = None
        self._norms: tuple[Antigen, ...] = ()
        self._norms_read = self._norms_still = 0
        self._pardons = Pardons()
        self.contributors = Contributors()

    @property
    def state(self) -> State:
        """`learning` until a calibration with enough rows serves."""
        return State.LEARNING if self.serving is None else self.serving.calibration.state

    @property
    def budget(self) -> float:
        """Share of benign flows that may alarm."""
        return self._budget

    @property
    def seen(self) -> Seen:
        """Counts since the process started."""
        return self._memory.seen

    @property
    def samples(self) -> Samples:
        """The rows that are learnt from."""
        return self._memory.samples

    @property
    def flooded(self) -> bool:
        """Whether there is a flood of flows, see `Memory`."""
        return self._memory.flooded

    @flooded.setter
    def flooded(self, flooded: bool) -> None:
        self._memory.flooded = flooded

    @property
    def storm(self) -> bool:
        """Whether attacks are so frequent now that an unlabelled flow proves nothing."""
        return self._memory.storm

    @property
    def calibration_rows(self) -> int:
        """Rows to calibrate with, so far."""
        return len(self.samples.rows(Role.CALIBRATE))

    @property
    def calibration_rows_needed(self) -> int:
        """Rows without which no alert is raised."""
        return rows_needed(self._budget)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the outputs: families with rows here, then those rehearsed from antigens."""
        return joined(self.samples.config.names, self.rehearsed)

    @property
    def scaler(self) -> Scaler | None:
        """To train with: the mesh's, see `scale_by`, or the own; None before there are rows."""
        own = self._memory.scaler
        return own if own is None else self._mesh_scaler or own

    def scale_by(self, norms: Sequence[Antigen]) -> None:
        """Scale by what the mesh's norms say, from the next training on; by the own where few do.

        The mesh's scaler stays until what they say moved materially, see `norms.has_moved`, or no
        longer moves, see `NORMS_STILL`. Models that serve keep the one they were trained with.

        Args:
            norms: all that the peer holds, its own among them; none where it is to use its own.
                Given once a cycle.
        """
        self._norms_still += 1
        if tuple(norms) != self._norms:
            self._norms, self._norms_still = tuple(norms), 0
            found = readable(norms, self.samples.config.features)
            self._norms_read = len(found)
            self._mesh_scaler_now = mesh_scaler(found) if len(found) >= NORMS_MIN else None
        now, kept = self._mesh_scaler_now, self._mesh_scaler_kept
        still = self._norms_still >= NORMS_STILL
        if now is None or kept is None or still or has_moved(kept, now):
            self._mesh_scaler = now
        else:
            self._mesh_scaler = kept
        self._mesh_scaler_kept = self._mesh_scaler or kept

    @property
    def ready(self) -> bool:
        """Whether there are rows enough to train on."""
        return self.scaler is not None

    @property
    def benign(self) -> Rows:
        """Benign rows to train on, unscaled float32 `(n, features)`; a copy."""
        return self._memory.benign

    @property
    def held(self) -> Rows:
        """Benign rows that no model was trained on or calibrated with, likewise."""
        return self._memory.held

    def evidence(self) -> tuple[Evidence, ...]:
        """This gateway's labelled rows of each family of attack, copied."""
        return self._memory.evidence()

    def observe(self, flows: Sequence[Flow]) -> list[Anomaly]:
        """Take flows in the order in which the sensor gave them; the anomalous ones among them.

        An anomaly is given a family where the head objected, not the autoencoder alone. What a
        sensor says of a flow (`family`) is a label to learn from; it neither finds nor pardons.
        """
        if not flows:
            return []
        rows = np.stack([self._extractor.add(flow) for flow in flows])
        cold = np.array([self._memory.is_cold(flow) for flow in flows])
        watching, serving = self.state is State.WATCHING, self.serving
        judged = self.judge(rows)
        anomalous = np.zeros(len(rows), np.bool_)
        if judged is not None:
            anomalous = judged.anomalous & ~cold
            pardoned = self._pardoned(anomalous, rows, serving)
            anomalous &= ~pardoned
            cold |= pardoned  # the rows that the word was about are learnt from, and they alone
            judged = replace(judged, anomalous=anomalous)
        score = np.zeros(len(rows)) if judged is None else judged.score
        trusted: list[tuple[int, bool]] = []
        doubted: list[int] = []
        for i, (flow, odd, unfit) in enumerate(
            zip(flows, anomalous.tolist(), cold.tolist(), strict=True)
        ):
            believed, calibrates = self._memory.learn_from(flow, rows[i], odd=odd, cold=unfit)
            if believed:
                trusted.append((i, calibrates))
            elif flow.family is None and not unfit:
                doubted.append(i)
        times = [flow.ts for flow in flows]
        taken = Taken(rows, score, anomalous, times, trusted, doubted)
        breach = self.guarding.took(taken, watching=watching)
        if breach is not None:
            self._settle(breach)
        if judged is None or serving is None:
            return []
        return serving.anomalies(self._shape, flows, rows, judged, self.samples.rows(Role.TRAIN))

    def hear(self, words: Mapping[str, Rows]) -> None:
        """Take what a person said of flows, in place of all that was said before.

        What was called benign alarms no more, from now on; all of it is learnt from the next
        training on.

        Args:
            words: features by "benign" or a family of attack, unscaled float32 `(n, features)`.
        """
        self._memory.hear(words)
        self._pardons = Pardons(words.get("benign"))

    def _pardoned(
        self, anomalous: NDArray[np.bool_], rows: Rows, serving: Serving | None
    ) -> NDArray[np.bool_]:
        """Which of the anomalous rows are like some that a person called benign, bool `(n,)`."""
        found = np.zeros(len(rows), np.bool_)
        picked = np.flatnonzero(anomalous)
        if serving is not None and len(self._pardons) and len(picked):
            found[picked] = self._pardons(rows[picked], serving.scaler)
            self.seen.pardoned += int(found.sum())
        return found

    def judge(self, rows: Rows) -> Judged | None:
        """What the serving model says of unscaled rows `(n, features)`; None without a model.

        Remembers nothing.
        """
        return None if self.serving is None else self.serving.judge(self._shape, rows)

    def _settle(self, breach: Breach) -> None:
        """Go back to the last good model, or calibrate the one that serves on recent rows, too."""
        good = self.guarding.settle(breach)
        if good is not None:
            self.serving = good
        elif self.serving is not None:
            if breach.cause is Cause.RATE:  # scores that rise, and alarm no more, forget nothing
                recent = self.guarding.calibrating()
                self.samples.follow(Role.CALIBRATE, recent, rows_needed(self._budget))
            now = self.serving
            made, _ = self._calibrated(now.vector, now.cycle, now.scaler, now.names)
            self.serving = self.guarding.recalibrated(replace(made, norms=now.norms))

    def rebudget(self, budget: float) -> None:
        """Keep another budget from now on: the model that serves gets a threshold for it at once.

        Where that takes more rows than there are, the gateway learns until it has them.

        Args:
            budget: share of benign flows that may alarm.
        """
        if budget == self._budget:
            return
        self._budget = self._memory.budget = budget
        self.guarding.begin_anew(budget)
        if self.serving is not None:
            now = self.serving
            made, self.told = self._calibrated(now.vector, now.cycle, now.scaler, now.names)
            made = replace(made, norms=now.norms)
            watching = made.calibration.state is State.WATCHING
            self.serving = self.guarding.offer(made) if watching else made

    def batches(self, cycle: int, drawn: Drawn | None = None) -> Batches | None:
        """Rows for one cycle of training; None while there are too few.

        Args:
            cycle: the peer's.
            drawn: from antigens; from now on their families are outputs of the head as well.
        """
        self.rehearsed = () if drawn is None else drawn.names
        if self.scaler is None:
            return None
        own = self.samples.batches(cycle, self.scaler)
        if own is not None:
            self._count(own, drawn)
        if own is None or drawn is None:
            return own
        return mixed(own, self.names, drawn, self.scaler)

    def _count(self, own: Batches, drawn: Drawn | None) -> None:
        """Whose rows this training sees of each family, and how many there are of them."""
        names, labels = self.samples.config.names, self.samples.labelled
        rows = {names[label]: int((own.y == label).sum()) for label in labels}
        held = {names[label]: len(self.samples.family(label)) for label in labels}
        others: dict[str, int] = {}
        if drawn is not None:
            counts = np.bincount(drawn.index.ravel(), minlength=len(drawn.names)).tolist()
            others = dict(zip(drawn.names, counts, strict=True))
        self.contributors.learnt(rows, others, held)

    def serve(self, vector: Rows, cycle: int, mesh: MeshTail | None = None) -> None:
        """Score with this model from now on, calibrated on rows that it was not trained on.

        What serves is a moving average of the models given (Polyak and Juditsky 1992): each merge
        moves the head a little away from what this gateway knows, and training moves it back.

        Args:
            vector: the whole detector, float32 `(dim,)`.
            cycle: in which it came to be; for the alerts.
            mesh: what the mesh says of tails now; None leaves what it said before.
        """
        self._hear(mesh)
        reference = self.samples.rows(Role.TRAIN)
        if self.scaler is None or len(reference) < REFERENCE_ROWS_MIN:
            return
        guard = self.guarding.guard
        fallen = guard.standing is Standing.FALLEN
        before = guard.candidate if fallen else self.serving
        if before is not None and before.scales_as(self.scaler):  # others are no neighbours of it
            vector = vector + SERVING_MEMORY * (before.vector - vector)
        norms = 0 if self._mesh_scaler is None else self._norms_read
        made, self.told = self._calibrated(vector.copy(), cycle, self.scaler, self.names)
        made = replace(made, norms=norms)
        if made.calibration.state is State.WATCHING:
            self.serving = self.guarding.offer(made)
        elif not fallen:
            self.serving = made

    def _calibrated(
        self, vector: Rows, cycle: int, scaler: Scaler, names: tuple[str, ...]
    ) -> tuple[Serving, Numbers | None]:
        """A model with a threshold by the rows held now, and what the mesh may know of it."""
        known, unknown = (
            scores(self._shape, vector, scaler(self.samples.rows(role)), codes(names))
            for role in (Role.TRAIN, Role.CALIBRATE)
        )
        made = calibrate(known, unknown, self._budget, self._mesh)
        told = made.contribution(known, unknown, self._mesh)
        return Serving(vector, made, cycle, scaler, names), told

    def _hear(self, mesh: MeshTail | None) -> None:
        """Remember what the mesh says, unless it could lend all that is needed and now no longer.

        Else a gateway that began to watch on a loan would stop when peers leave or it restarts.
        """
        if mesh is None:
            return
        if self._mesh is None or mesh.rows >= min(self._mesh.rows, BORROWED / self._budget):
            self._mesh = mesh

    def realised_rate(self) -> tuple[int, int]:
        """Alarms among held-out rows, and their number: neither trained nor calibrated on.

        Held-out rows of quarantined flows are not among them, so this speaks of usual traffic.
        """
        held = self.samples.rows(Role.HOLDOUT)
        judged = self.judge(held) if len(held) else None
        return (0, 0) if judged is None else (int(judged.anomalous.sum()), len(held))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays for the store."""
        arrays = self._memory.to_arrays()
        if self.serving is not None:
            arrays |= prefixed("serving", self.serving.to_arrays())
            arrays |= prefixed("guard", self.guarding.to_arrays())
        if self.told is not None:
            arrays["told"] = self.told
        if self._mesh is not None:
            arrays["mesh"] = np.array([*self._mesh.shares, self._mesh.ratio, self._mesh.rows])
        return arrays

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Become what `to_arrays` described. The 30 s context starts empty.

        Raises:
            StateError: an array is absent or damaged.
        """
        try:
            self._restore(arrays)
        except (TypeError, ValueError) as error:  # of text in place of numbers
            raise StateError(
                f"the stored watch is damaged ({error}); restore the folder from a backup"
            ) from error

    def _restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._memory.restore(arrays)
        if serving := group_of(arrays, "serving"):
            for part in ("scaler", "calibration"):  # models did not always carry theirs
                if not group_of(serving, part):
                    serving |= prefixed(part, group_of(arrays, part))
            self.serving = Serving.from_arrays(serving, self._shape.layout.dim)
            self._mesh_scaler_kept = self.serving.scaler if self.serving.norms else None
            if guard := group_of(arrays, "guard"):
                self.guarding.restore(guard, self.serving)
            elif self.state is State.WATCHING:  # as written before the guard was kept
                self.guarding.offer(self.serving)
            self.rehearsed = self.serving.names[len(self.samples.config.names) :]
        self.told = _of_the_mesh(arrays, "told")
        if (mesh := _of_the_mesh(arrays, "mesh")) is not None:
            self._mesh = MeshTail(mesh[:-2], float(mesh[-2]), int(mesh[-1]))
        if self.state is State.WATCHING:  # until then every row helps, and nothing is alarming
            self._memory.begin_cold()


def _of_the_mesh(arrays: dict[str, NDArray[Any]], name: str) -> Numbers | None:
    """Stored numbers that went to the mesh or came from it; None where there were none."""
    found = arrays.get(name)
    if found is None:
        return None
    if found.shape != (LENGTH,) or found.dtype != np.float64 or not (found >= 0).all():
        raise StateError(f"the stored watch.{name} is damaged; restore the folder from a backup")
    return found
