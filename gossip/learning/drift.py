"""Noticing that benign traffic changed: a change detector for a stream of bounded numbers.

ADWIN (Bifet and Gavalda, "Learning from time-changing data with adaptive windowing", SDM 2007,
ADWIN2 with the variance-aware bound of its equation 3.1) keeps a window of the recent past, as long
as it can, in buckets of doubling size: some 5 log2(n) triples instead of n numbers. Whenever two
parts of the window differ in mean by more than chance explains, the older part is dropped.

The one in the library river was weighed: 5.3 MB with scipy behind it, for a hundred lines. It finds
the same shifts 16 items after this one (measured, docs/budget.md, section 4).
"""

from collections import deque
from dataclasses import dataclass
from math import log, sqrt
from typing import final

CONFIDENCE = 0.002
"""Chance of a cut without change, for each look. The paper's experiments use 0.002 to 0.3; measured
on scores of benign recordings, docs/budget.md, section 4."""

BUCKETS_MAX = 5
"""Buckets of one size; the paper's M."""

SIZES_MAX = 24
"""Sizes of buckets: 5 x 2**24 items at most, older ones are forgotten. Our bound."""

LOOK_EVERY = 16
"""Items between two looks. The paper looks at each item, at a cost; river's 32 is as good."""

PART_MIN = 5
"""Items in a part that is compared; river's choice, too."""


@dataclass(slots=True)
class _Bucket:
    count: int
    total: float
    scatter: float  # sum of squared distances from the bucket's mean

    def joined(self, other: "_Bucket") -> "_Bucket":
        count = self.count + other.count
        apart = self.total / self.count - other.total / other.count
        scatter = self.scatter + other.scatter + apart * apart * self.count * other.count / count
        return _Bucket(count, self.total + other.total, scatter)


@final
class Adwin:
    """A window over a stream of numbers in [0, 1] that drops what no longer fits.

    Args:
        confidence: chance of a cut without change, for each look.
    """

    def __init__(self, confidence: float = CONFIDENCE) -> None:
        if not 0 < confidence < 1:
            raise ValueError(f"a confidence lies between 0 and 1; got {confidence}")
        self._confidence = confidence
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        # By size, smallest first; within a size the oldest first.
        self._sizes: list[deque[_Bucket]] = [deque()]
        self._all = _Bucket(0, 0.0, 0.0)
        self._since_look = 0

    @property
    def width(self) -> int:
        """Items in the window."""
        return self._all.count

    @property
    def mean(self) -> float:
        """Mean of the window's items; 0 while there is none."""
        return self._all.total / self._all.count if self._all.count else 0.0

    def add(self, value: float) -> bool:
        """Take the next number; True where the past before some point no longer fits.

        Raises:
            ValueError: a number outside [0, 1].
        """
        if not 0 <= value <= 1:
            raise ValueError(f"a change detector takes numbers from 0 to 1; got {value}")
        item = _Bucket(1, value, 0.0)
        self._all = self._all.joined(item) if self._all.count else item
        self._sizes[0].append(item)
        self._compress()
        self._since_look += 1
        if self._since_look < LOOK_EVERY:
            return False
        self._since_look = 0
        cut = False
        while self._changed():
            self._drop_oldest()
            cut = True
        return cut

    def _compress(self) -> None:
        for size, row in enumerate(self._sizes):
            if len(row) <= BUCKETS_MAX:
                return
            if size + 1 == SIZES_MAX:
                self._drop_oldest()
                return
            if size + 1 == len(self._sizes):
                self._sizes.append(deque())
            self._sizes[size + 1].append(row.popleft().joined(row.popleft()))

    def _drop_oldest(self) -> None:
        row = self._sizes[-1]
        old = row.popleft()
        while len(self._sizes) > 1 and not self._sizes[-1]:
            self._sizes.pop()
        count = self._all.count - old.count
        total = self._all.total - old.total
        if not count:
            self._all = _Bucket(0, 0.0, 0.0)
            return
        apart = old.total / old.count - total / count
        scatter = self._all.scatter - old.scatter
        scatter -= apart * apart * old.count * count / self._all.count
        self._all = _Bucket(count, total, max(scatter, 0.0))

    def _changed(self) -> bool:
        n = self._all.count
        if n < 2 * PART_MIN:
            return False
        variance = self._all.scatter / n
        spread = log(2 * log(n) / self._confidence)
        old_n, old_total = 0, 0.0
        for row in reversed(self._sizes):
            for bucket in row:
                old_n, old_total = old_n + bucket.count, old_total + bucket.total
                new_n = n - old_n
                if new_n < PART_MIN:
                    return False
                if old_n < PART_MIN:
                    continue
                # The bound's 1/m counts parts a little short, as river does.
                inverse = 1 / (old_n - PART_MIN + 1) + 1 / (new_n - PART_MIN + 1)
                bound = sqrt(2 * inverse * variance * spread) + 2 / 3 * inverse * spread
                apart = abs(old_total / old_n - (self._all.total - old_total) / new_n)
                if apart > bound:
                    return True
        return False
