"""Whether the budget is being kept, and what to do when it is not.

    flow believed benign -- saw() -> a Breach, with its reason, or None
    a Breach -- settle() -> fall back to the last good model, or recalibrate on recent rows
    after each training -- offer() -> the model that is to serve
    while fallen, each cycle -- trial() -> whether the newest model has proven itself

Three things are watched. The share of alarms, against the interval that the calibration promised,
by one-sided Clopper-Pearson bounds after 64, 128, 256, … flows whose errors add up to `ERROR`, and
after each 4,096, for what is only a little too much. The same share by ADWIN: did it rise, and out
of the interval? And the scores themselves by ADWIN: benign traffic may change before it alarms.

A flow believed benign is one that nothing speaks against but, perhaps, its score: no label, no
storm, no burst. Leaving out what scores high would show a rate of zero for ever. But storm and
burst are the model's own word, and one that calls everything an attack would never be counted: so
those of these flows that look usual are held against the last good model, doubted(), which is gone
back to if it is calm.

A flow that looks like a known attack is not believed benign either, or a model that has just learnt
one would be gone back from for finding it. What is known must not be the model's own word.

Nothing here scores rows or reads a clock: the caller counts, and keeps a bounded number of recent
rows. What is remembered is two models and some counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import ceil, exp, pi
from typing import Any, Generic, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from gossip.arrays import wanted
from gossip.errors import StateError
from gossip.learning.beta import clopper_pearson
from gossip.learning.drift import Adwin

Model = TypeVar("Model")

FIRST_LOOK = 64
"""Flows before the first look; each further look is at twice as many. Our choice."""

LONG_LOOK = 4096
"""Flows of the long count: 3 % are told from an interval that ends at 2.3 %. Our choice."""

ERROR = 0.01
"""Chance that a rate within its interval is called a breach before the counts start anew."""

PROOF = 4.0
"""A model is proven by this over the budget in flows, 400 at 1 %: alarms that a rate of three
budgets would make 12 of. Our choice."""

TRIALS = 3
"""Passed trials, one a cycle, before a new model takes over from the last good one. Our choice."""

CALMER = 0.5
"""The last good model is gone back to if it raises at most this share of the alarms. Else chance
decides between two that are alike: of 79 flows, 7 alarmed and 6 (measured). Our choice."""

LOOKS_MAX = 32
REASON_BYTES_MAX = 512
"""Bounds of what is read from the disk; ours is less."""


class Standing(Enum):
    """How far the model that serves is to be trusted with the budget."""

    UNPROVEN = "unproven"
    PROVEN = "proven"
    FALLEN = "fallen back"  # an older, proven model serves


class Cause(Enum):
    """What was noticed."""

    RATE = "rate"
    TRAFFIC = "traffic"
    STORM = "storm"  # that the last good model does not see


class Remedy(Enum):
    """What is to be done about a breach."""

    FALL_BACK = "fall back"
    RECALIBRATE = "recalibrate"


@dataclass(frozen=True, slots=True)
class Breach:
    """The budget is not kept, or will not be for long.

    Args:
        cause: what was noticed.
        reason: for a person.
        alarms: among the flows that were counted.
        flows: these.
        good_alarms: likewise, by the last good model; None where it was not asked yet.
    """

    cause: Cause
    reason: str
    alarms: int
    flows: int
    good_alarms: int | None = None


@final
class Guard(Generic[Model]):
    """Keeps the model that serves and the last good one.

    Args:
        budget: share of benign flows that may alarm.
    """

    def __init__(self, budget: float) -> None:
        if not 0 < budget < 1:
            raise ValueError(f"a false-alarm budget lies between 0 and 1; got {budget}")
        self.standing = Standing.UNPROVEN
        self.reason: str | None = None
        self.serving: Model | None = None
        self.good: Model | None = None
        self.candidate: Model | None = None
        self._proof = ceil(PROOF / budget)
        self._expected: tuple[float, float] = (0.0, 1.0)
        self._good_expected: tuple[float, float] = (0.0, 1.0)
        self._candidate_expected: tuple[float, float] = (0.0, 1.0)
        self._drift, self._rate = Adwin(), Adwin()
        self._passed = 0
        self._long = (0, 0)
        self._doubted = (0, 0, 0)
        self._first: tuple[Model | None, tuple[float, float]] = (None, self._expected)
        self._restart()

    @property
    def expected(self) -> tuple[float, float]:
        """Interval of the false-alarm rate that the serving model's calibration promises."""
        return self._expected

    @property
    def trial_rows(self) -> int:
        """Rows that a trial needs."""
        return min(self._proof, FIRST_LOOK)

    @property
    def realised(self) -> tuple[int, int]:
        """Alarms among flows believed benign, and these, since the counts started anew."""
        return self._alarms, self._flows

    def offer(self, model: Model, expected: tuple[float, float]) -> Model:
        """A model after training, with its calibration; gives the one that is to serve.

        A model that follows another in the same standing takes over its counts: a node makes one
        each cycle, and none would live to be judged. What is proven by them is the one that served
        when they began, for the newest has hardly been looked at.

        Args:
            model: with its calibration.
            expected: interval of the false-alarm rate that its calibration promises.
        """
        if self.standing is Standing.FALLEN and self.good is not None:
            self.candidate, self._candidate_expected = model, expected
            return self.good
        self._serve(model, expected)
        return model

    def recalibrated(self, model: Model, expected: tuple[float, float]) -> None:
        """The model that serves has a threshold anew; where it is the last good one, that has.

        Args:
            model: with its new calibration.
            expected: interval of the false-alarm rate that this promises.
        """
        if self.standing is Standing.FALLEN:
            self.good, self._good_expected = model, expected
        self._serve(model, expected)

    def saw(self, score: float, alarm: bool) -> Breach | None:
        """Count a flow believed benign; tells when the budget is not kept.

        Args:
            score: combined surprise, minus the log of a tail probability.
            alarm: whether it was above the threshold.
        """
        self._flows += 1
        self._alarms += alarm
        before = self._drift.mean
        if self._drift.add(1.0 - exp(-max(score, 0.0))) and self._drift.mean > before:
            return self._drifted()
        if self._rate.add(float(alarm)) and self._rate.mean > self._expected[1]:
            flows = self._rate.width
            return self._left(round(self._rate.mean * flows), flows)
        self._long = (self._long[0] + alarm, self._long[1] + 1)
        if self._long[1] == LONG_LOOK:
            alarms, self._long = self._long[0], (0, 0)
            if clopper_pearson(alarms, LONG_LOOK, 1 - 2 * ERROR)[0] > self._expected[1]:
                return self._left(alarms, LONG_LOOK)
        if self._flows < self._next_look:
            return None
        self._looks += 1
        self._next_look *= 2
        error = ERROR * 6 / (pi * self._looks) ** 2
        low, _ = clopper_pearson(self._alarms, self._flows, 1 - 2 * error)
        if low > self._expected[1]:
            return self._left(self._alarms, self._flows)
        if self._flows >= self._proof:
            if self.standing is not Standing.FALLEN:
                self.standing, self.reason = Standing.PROVEN, None
                self.good, self._good_expected = self._first
            self._restart()
        return None

    def doubted(self, flows: int, alarms: int, good_alarms: int) -> Breach | None:
        """Count flows of a storm or a burst that look usual, and like no known attack.

        Args:
            flows: so many more.
            alarms: among them by the model that serves.
            good_alarms: likewise by `good`.
        """
        if self.good is None or self.standing is Standing.FALLEN:
            return None
        before = self._doubted
        flows, alarms = flows + before[0], alarms + before[1]
        good_alarms += before[2]
        if flows < FIRST_LOOK:
            self._doubted = (flows, alarms, good_alarms)
            return None
        self._doubted = (0, 0, 0)
        if not self._blames(flows, alarms, good_alarms):
            return None
        self.reason = (
            f"{alarms} of {flows} flows of a storm that look usual raised alarms "
            f"({alarms / flows:.1%}), {good_alarms} by the last good model"
        )
        return Breach(Cause.STORM, self.reason, alarms, flows, good_alarms)

    def _blames(self, flows: int, alarms: int, good_alarms: int) -> bool:
        """Whether the last good model keeps its promise where the one that serves does not."""
        return (
            good_alarms <= CALMER * alarms
            and not _keeps(alarms, flows, self._expected)
            and _keeps(good_alarms, flows, self._good_expected)
        )

    def settle(self, flows: int, alarms: int, good_alarms: int | None) -> Remedy:
        """Decide after a breach, by what both models say of recent rows believed benign.

        The last good model is gone back to if it keeps its promise on the very rows on which the
        one that serves does not, and alarms half as often: then the model is to blame. If not, or
        there is none, the traffic has changed, and the threshold has to follow: see `recalibrated`.
        That alone does not bring back a model that was fallen back from.

        Args:
            flows: recent rows believed benign.
            alarms: among them by the model that serves.
            good_alarms: likewise by `good`, with its own calibration; None where there is none.
        """
        self._forget()
        fits = (
            self.standing is not Standing.FALLEN
            and good_alarms is not None
            and self._blames(flows, alarms, good_alarms)
        )
        if fits and self.good is not None:
            self.candidate, self._passed = None, 0
            self._serve(self.good, self._good_expected)
            self.standing = Standing.FALLEN
            return Remedy.FALL_BACK
        if self.standing is not Standing.FALLEN:
            self.standing = Standing.UNPROVEN
        return Remedy.RECALIBRATE

    def trial(self, flows: int, alarms: int) -> bool:
        """Judge the newest model while an older one serves; True where it takes over.

        It is the last good one then: else what it finds and the older one does not, such as a storm
        of an attack that no antigen describes, would be held against it again and again.

        Args:
            flows: recent rows believed benign that the candidate was not calibrated on.
            alarms: among them by the candidate.
        """
        if self.standing is not Standing.FALLEN or self.candidate is None:
            return False
        enough = flows >= self.trial_rows
        passed = enough and alarms <= flows * self._candidate_expected[1]
        self._passed = self._passed + 1 if passed else 0
        if self._passed < TRIALS:
            return False
        self._forget()
        self._serve(self.candidate, self._candidate_expected)
        self.good, self._good_expected = self.candidate, self._candidate_expected
        self.candidate, self.standing = None, Standing.UNPROVEN
        return True

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays for the store, without the models, which are the caller's to keep.

        What is on trial is not among them, nor are the windows in which changes are looked for.
        """
        reason = (self.reason or "").encode()[:REASON_BYTES_MAX]
        counts = (self._flows, self._alarms, self._looks, self._next_look, *self._long)
        return {
            "standing": np.array([list(Standing).index(self.standing)], np.int64),
            "counts": np.array(counts, np.int64),
            "expected": np.array([self._expected, self._good_expected]),
            "reason": np.frombuffer(reason, np.uint8),
        }

    def restore(
        self, arrays: Mapping[str, NDArray[Any]], serving: Model | None, good: Model | None
    ) -> None:
        """Become what `to_arrays` described.

        Args:
            arrays: from the store.
            serving: the model that served.
            good: the last good one; None where there was none.

        Raises:
            StateError: an array is absent or damaged. Nothing changed.
        """
        what = "the stored watch over the budget"
        standing, counts, expected, reason = wanted(
            arrays, what, "standing", "counts", "expected", "reason"
        )
        try:
            found = list(Standing)[_whole(standing, 1)[0]]
            flows, alarms, looks, next_look, long_alarms, long_flows = _whole(counts, 6)
            (low, high), (good_low, good_high) = np.asarray(expected, np.float64).tolist()
            said = np.asarray(reason, np.uint8).tobytes().decode()
        except (IndexError, TypeError, ValueError) as error:
            raise StateError(f"{what} is damaged; restore the folder from a backup") from error
        sound = (
            looks <= LOOKS_MAX
            and alarms <= flows < next_look == FIRST_LOOK << looks
            and long_alarms <= long_flows < LONG_LOOK
            and 0 <= low <= high <= 1
            and 0 <= good_low <= good_high <= 1
            and len(said) <= REASON_BYTES_MAX
            and (found is Standing.UNPROVEN or good is not None)
        )
        if not sound:
            raise StateError(f"{what} is damaged; restore the folder from a backup")
        self.standing, self.reason = found, said or None
        self.serving, self.good, self.candidate, self._passed = serving, good, None, 0
        self._expected, self._good_expected = (low, high), (good_low, good_high)
        self._flows, self._alarms, self._looks, self._next_look = flows, alarms, looks, next_look
        self._long = (long_alarms, long_flows)
        self._first = (serving, self._expected)

    def _serve(self, model: Model, expected: tuple[float, float]) -> None:
        self.serving, self._expected = model, expected
        if not self._flows:
            self._first = (model, expected)

    def _left(self, alarms: int, flows: int) -> Breach:
        low, high = self._expected
        self.reason = (
            f"{alarms} of {flows} flows believed benign raised alarms ({alarms / flows:.1%}), "
            f"where {low:.1%} to {high:.1%} were expected"
        )
        return Breach(Cause.RATE, self.reason, alarms, flows)

    def _drifted(self) -> Breach:
        self.reason = (
            f"flows believed benign score higher than before: {self._drift.mean:.2f} of 1 "
            f"on average over the last {self._drift.width}"
        )
        return Breach(Cause.TRAFFIC, self.reason, self._alarms, self._flows)

    def _forget(self) -> None:
        """Another model or threshold is to be judged: all that is counted starts anew."""
        self._restart()
        self._drift.restart()
        self._rate.restart()
        self._long = (0, 0)

    def _restart(self) -> None:
        self._doubted = (0, 0, 0)
        self._first = (self.serving, self._expected)
        self._flows = self._alarms = self._looks = 0
        self._next_look = FIRST_LOOK


def _whole(array: NDArray[Any], length: int) -> list[int]:
    """Numbers of a stored array.

    Raises:
        ValueError: they are not so many whole numbers from 0 to 2**40.
    """
    if array.shape != (length,) or array.dtype != np.int64 or not (array < 2**40).all():
        raise ValueError(f"{length} whole numbers")
    if (array < 0).any():
        raise ValueError("a negative number")
    return [int(number) for number in array]


def _keeps(alarms: int, flows: int, expected: tuple[float, float]) -> bool:
    """Whether so many alarms are no evidence against what was expected."""
    return flows > 0 and clopper_pearson(alarms, flows)[0] <= expected[1]
