"""Keeping the budget: counts what is believed benign, and acts where a promise is not kept.

    flow believed benign ──── unlike any known attack ─┬─ Guard ── Breach
    usual one of a storm ───── by the last good model ─┘
    Breach ── the flows it was seen on, judged by two models ── fall back │ recalibrate
    each cycle, while fallen back ── rows that came since the newest model was made ── trial

What is done is logged, counted, and shown by the status. Over a restart the last good model, the
counts and the standing are kept; the recent rows, and a model on trial, are not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossip.arrays import group_of, prefixed, wanted
from gossip.errors import StateError
from gossip.learning.guard import FIRST_LOOK, Breach, Cause, Guard, Remedy, Standing
from gossip.learning.shapes import DetectorShape
from node.logs import get_logger
from node.rates import TokenBucket
from node.watch.serving import Serving
from node.watch.suspects import Suspects

RECENT_MAX = 1_024
"""Rows believed benign that are kept in order: 107 kB for 26 features. Sixteen times the fewest
flows that a breach is seen on; our choice."""

DOUBTED_MAX = 64
"""Flows of a batch that are held against the last good model, so that a flood costs little: one
more scoring of 64 rows where 256 are scored anyway. Our choice."""

LINES_PER_MINUTE = 30
"""Log lines. A breach takes 64 flows, which a flood sends in no time. As for antigens."""

Rows = NDArray[np.float32]

_log = get_logger("budget")


class Recent:
    """The last rows that were believed benign, unscaled, oldest first.

    Args:
        features: numbers in a row.
        capacity: rows kept.
    """

    def __init__(self, features: int, capacity: int = RECENT_MAX) -> None:
        self._rows = np.empty((capacity, features), np.float32)
        self._calibrates = np.empty(capacity, np.bool_)
        self._seen = 0

    def __len__(self) -> int:
        return min(self._seen, len(self._rows))

    def add(self, row: Rows, *, calibrates: bool) -> None:
        """Copy a row, over the oldest one if need be; `calibrates` by its role."""
        place = self._seen % len(self._rows)
        self._rows[place], self._calibrates[place] = row, calibrates
        self._seen += 1

    def last(self, count: int, skip: int = 0) -> tuple[Rows, NDArray[np.bool_]]:
        """So many rows before the newest `skip`, or all of these.

        Returns:
            Rows `(n, features)`, and which calibrate; copies.
        """
        count = max(0, min(count, len(self) - skip))
        at = np.arange(self._seen - skip - count, self._seen - skip) % len(self._rows)
        return self._rows[at], self._calibrates[at]


@dataclass(frozen=True, slots=True)
class Taken:
    """Flows that were judged and learnt from.

    Args:
        rows: unscaled float32 `(n, features)`.
        score: combined surprise, float64 `(n,)`.
        anomalous: by the model that served, bool `(n,)`.
        ts_s: their starts.
        believed: indices of those that nothing speaks against but, perhaps, their score, and
            whether they calibrate.
        doubted: indices of those that only a storm or a burst speaks against.
    """

    rows: Rows
    score: NDArray[np.float64]
    anomalous: NDArray[np.bool_]
    ts_s: Sequence[float]
    believed: Sequence[tuple[int, bool]]
    doubted: Sequence[int]


@dataclass(slots=True)
class Acts:
    """What was done, since the process started."""

    breaches: int = 0
    fall_backs: int = 0
    recalibrations: int = 0
    returns: int = 0


class Guarding:
    """See above.

    Args:
        shape: sizes of the detector.
        budget: share of benign flows that may alarm.
        features: numbers in a row.
        now_s: any clock that does not go back.

    Attributes:
        guard: its standing and the last reason.
        suspects: what is known of attacks; renewed before each training.
        acts: counts.
        since_ts_s: since when it stands so, by the flows' own time, s since 1970; None at first.
    """

    def __init__(
        self,
        shape: DetectorShape,
        budget: float,
        features: int,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self.guard = Guard[Serving](budget)
        self.suspects = Suspects()
        self.acts = Acts()
        self.since_ts_s: float | None = None
        self._shape = shape
        self._recent = Recent(features)
        self._since_candidate = 0
        self._after_breach = 0
        self._lines = TokenBucket(LINES_PER_MINUTE)
        self._now_s = now_s

    def begin_anew(self, budget: float) -> None:
        """Forget every model and count, for they were held against another budget."""
        self.guard, self.since_ts_s = Guard[Serving](budget), None

    # Flows

    def took(self, taken: Taken, *, watching: bool) -> Breach | None:
        """Count flows, and remember those believed benign and unlike any known attack.

        What alarms is looked at only where something is known, and for all flows at once.

        Args:
            taken: flows.
            watching: whether the model that judged them raises alerts.
        """
        odd = [i for i, _ in taken.believed if taken.anomalous[i]]
        known = set(np.array(odd)[self.suspects(taken.rows[odd])].tolist()) if odd else set()
        breach: Breach | None = None
        self._after_breach = 0
        for i, calibrates in taken.believed:
            if i in known:
                continue
            self._recent.add(taken.rows[i], calibrates=calibrates)
            self._since_candidate += 1
            if breach is not None:  # another model is to be judged from now on
                self._after_breach += 1
            elif watching:
                alarm = bool(taken.anomalous[i])
                breach = self._saw(float(taken.score[i]), taken.ts_s[i], alarm=alarm)
        if watching and breach is None and taken.doubted:
            breach = self._doubted(taken)
        return breach

    def _saw(self, score: float, ts_s: float, *, alarm: bool) -> Breach | None:
        before = self.guard.standing
        breach = self.guard.saw(score, alarm)
        if breach is not None or self.guard.standing is not before:
            self.since_ts_s = ts_s
        self.acts.breaches += breach is not None
        return breach

    def _doubted(self, taken: Taken) -> Breach | None:
        """Hold flows of a storm or burst that look usual against the last good model.

        An attack makes a storm, too, and a newer model may be the first to see it. But its flows
        look unlike what is usual here, and those that do are as they ever were.
        """
        good, at = self.guard.good, taken.doubted[:DOUBTED_MAX]
        if good is None or good is self.guard.serving:
            return None
        rows, odd = taken.rows[at], taken.anomalous[at]
        benign = self.suspects.usual(rows) & ~self.suspects(rows)
        rows, alarms = rows[benign], int(odd[benign].sum())
        breach = self.guard.doubted(len(rows), alarms, good.alarms(self._shape, rows))
        if breach is not None:
            self.since_ts_s = taken.ts_s[at[-1]]
            self.acts.breaches += 1
        return breach

    # What is done

    def settle(self, breach: Breach) -> Serving | None:
        """The model that serves after a breach; None where its threshold is to be made anew.

        Both models are judged on the flows that the breach was seen on, as far as they are kept.
        """
        guard = self.guard
        flows, alarms, good_alarms = breach.flows, breach.alarms, breach.good_alarms
        if good_alarms is None:
            rows, _ = self._believed(max(flows, FIRST_LOOK), skip=self._after_breach)
            flows = len(rows)
            alarms = 0 if guard.serving is None else guard.serving.alarms(self._shape, rows)
            good_alarms = None if guard.good is None else guard.good.alarms(self._shape, rows)
        remedy = guard.settle(flows, alarms, good_alarms)
        more = {"of": flows, "alarms": alarms, "alarms_last_good": good_alarms}
        if remedy is Remedy.FALL_BACK and guard.serving is not None:
            self.acts.fall_backs += 1
            done = f"fell back to the last good model, of cycle {guard.serving.cycle}"
            self._warn(breach, done, **more)
            return guard.serving
        self.acts.recalibrations += 1
        self._warn(breach, "calibrated anew, with recent flows", **more)
        return None

    def calibrating(self) -> Rows:
        """Recent rows believed benign whose role it is to calibrate, unscaled."""
        rows, calibrates = self._believed(RECENT_MAX)
        return rows[calibrates]

    def recalibrated(self, made: Serving) -> Serving:
        """The model that serves, now that its threshold was made anew."""
        self.guard.recalibrated(made, made.calibration.rate)
        return made

    def offer(self, made: Serving) -> Serving:
        """The model that is to serve, now that a new one was made.

        While an older one serves, the one on trial is replaced once enough flows have come that it
        was not calibrated on, and was judged by them.
        """
        guard = self.guard
        if guard.standing is Standing.FALLEN and guard.candidate is not None:
            rows, _ = self._believed(self._since_candidate)
            if len(rows) < guard.trial_rows:
                return guard.offer(guard.candidate, guard.candidate.calibration.rate)
            alarms = guard.candidate.alarms(self._shape, rows)
            if guard.trial(len(rows), alarms):
                self.acts.returns += 1
                self._info("a new model has proven itself and serves", cycle=made.cycle)
        self._since_candidate = 0
        return guard.offer(made, made.calibration.rate)

    def _believed(self, count: int, skip: int = 0) -> tuple[Rows, NDArray[np.bool_]]:
        """Recent rows, see `Recent.last`, without those that look like what is known by now."""
        rows, calibrates = self._recent.last(count, skip)
        benign = ~self.suspects(rows)
        return rows[benign], calibrates[benign]

    def _warn(self, breach: Breach, done: str, **more: Any) -> None:
        if not self._lines.take(self._now_s()):
            return
        if breach.cause is Cause.TRAFFIC:  # it may not be kept for long; every training helps
            _log.info("benign traffic has changed", reason=breach.reason, done=done)
            return
        _log.warning("the false-alarm budget is not kept", reason=breach.reason, done=done, **more)

    def _info(self, event: str, **more: Any) -> None:
        if self._lines.take(self._now_s()):
            _log.info(event, **more)

    # What outlives a restart

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays for the store."""
        arrays: dict[str, NDArray[Any]] = dict(self.guard.to_arrays())
        arrays["since"] = np.array([-1.0 if self.since_ts_s is None else self.since_ts_s])
        if self.guard.good is not None:
            arrays |= prefixed("good", self.guard.good.to_arrays())
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]], serving: Serving | None) -> None:
        """Become what `to_arrays` described, while `serving` serves.

        Raises:
            StateError: an array is absent or damaged.
        """
        (since,) = wanted(arrays, "the stored watch over the budget", "since")
        if since.shape != (1,) or not np.isfinite(since).all():
            raise StateError(
                "the stored watch over the budget is damaged; restore the folder from a backup"
            )
        kept = group_of(arrays, "good")
        good = Serving.from_arrays(kept, self._shape.layout.dim) if kept else None
        self.guard.restore(arrays, serving, good)
        self.since_ts_s = None if since[0] < 0 else float(since[0])
