"""Streams of benign flows that change or do not, for `budget.py`: ADWIN, and the guard over it."""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from time import process_time
from typing import Any, Protocol

import numpy as np
from _scored import Gateway, Numbers

from gossip.learning.drift import CONFIDENCE, Adwin
from gossip.learning.guard import Guard
from gossip.learning.tails import Threshold, allowed

BEFORE, AFTER = 2_000, 2_000
"""Flows before and after a change."""

SHIFTS = (0.7, 1.5)
"""Of all scores, in nats."""

RATE, RATES = 0.01, (0.03, 0.05, 0.10)
"""Of alarms, before and after a change."""

RATE_BEFORE, RATE_AFTER = 4_000, 4_000

GUARD_BEFORE, GUARD_AFTER = 6_000, 9_000

PROMISE = Threshold(0.0, RATE, 168, 1, 400.0, (allowed(569.0, RATE) - 2) / 400).interval()
"""Of a calibration with 168 rows, one of them above the threshold, that borrows all it can."""


class Detector(Protocol):
    """Tells of changes in a stream of numbers from 0 to 1."""

    def add(self, value: float) -> bool:
        """Take the next one; True where something changed."""


class _Rivers:
    """A detector of the library river behind the same method."""

    def __init__(self, detector: Any) -> None:
        self._detector = detector

    def add(self, value: float) -> bool:
        """See `Detector`."""
        self._detector.update(value)
        return bool(self._detector.drift_detected)


def detectors() -> dict[str, Callable[[], Detector]]:
    """Ours, and river's where it is installed; the project does not need it."""
    found: dict[str, Callable[[], Detector]] = {f"ADWIN, ours, {CONFIDENCE}": Adwin}
    try:
        from river.drift import ADWIN, KSWIN  # noqa: PLC0415 - need not be there
    except ImportError:
        return found
    found[f"ADWIN, river, {CONFIDENCE}"] = lambda: _Rivers(ADWIN(delta=CONFIDENCE))
    found["KSWIN, river, 0.005 (100, 30)"] = lambda: _Rivers(
        KSWIN(alpha=0.005, window_size=100, stat_size=30, seed=1)
    )
    return found


def _changes(detector: Detector, stream: Numbers) -> list[int]:
    return [place for place, value in enumerate(stream) if detector.add(float(value))]


def _unit(surprise: Numbers) -> Numbers:
    """As the guard gives surprises to its detector: 0 to 1."""
    found: Numbers = 1.0 - np.exp(-np.maximum(surprise, 0.0))
    return found


def _delay(places: Sequence[int], change: int) -> float:
    return next((place - change for place in places if place >= change), inf)


def drifting(
    meshes: Sequence[Sequence[Gateway]], data: str, trials: int
) -> Iterator[dict[str, Any]]:
    """The part `drift`.

    Args:
        meshes: the gateways of each seed, whose scores are surprises.
        data: where they are from.
        trials: of the guard.
    """
    for name, make in detectors().items():
        yield _row(meshes, data, name, make)
    yield from _guarded(meshes, data, trials)


def _row(
    meshes: Sequence[Sequence[Gateway]], data: str, name: str, make: Callable[[], Detector]
) -> dict[str, Any]:
    flows = ordered = shuffled = numbers = 0
    delays: dict[str, list[float]] = {f"delay, + {shift} nats": [] for shift in SHIFTS}
    delays |= {f"alarms {RATE:.0%} to {rate:.0%}": [] for rate in RATES}
    begun = process_time()
    for seed, gateways in enumerate(meshes):
        for number, gateway in enumerate(gateways):
            rng = np.random.default_rng([seed, number])
            calm = gateway.pool.score[gateway.calm]
            flows += len(calm)
            ordered += len(_changes(make(), _unit(calm)))
            shuffled += len(_changes(make(), _unit(rng.permutation(calm))))
            usual = rng.choice(calm, BEFORE)
            for shift in SHIFTS:
                stream = _unit(np.concatenate([usual, rng.choice(calm, AFTER) + shift]))
                delays[f"delay, + {shift} nats"] += [_delay(_changes(make(), stream), BEFORE)]
            numbers += 2 * len(calm) + len(SHIFTS) * (BEFORE + AFTER)
            for rate in RATES if "ADWIN" in name else ():  # KSWIN is no test for zeros and ones
                parts = [rng.random(RATE_BEFORE) < RATE, rng.random(RATE_AFTER) < rate]
                places = _changes(make(), np.concatenate(parts).astype(np.float64))
                delays[f"alarms {RATE:.0%} to {rate:.0%}"] += [_delay(places, RATE_BEFORE)]
                numbers += RATE_BEFORE + RATE_AFTER
    us = 1e6 * (process_time() - begun) / numbers
    return {
        "changes": data,
        "test": name,
        "flows": flows,
        "false, in order": ordered,
        "false, shuffled": shuffled,
        **{key: float(np.median(found)) if found else "-" for key, found in delays.items()},
        "us a number": us,
    }


def _breaches(scores: Numbers, alarms: Numbers) -> list[int]:
    """Where a guard whose promise is `PROMISE` speaks up, each time told that traffic changed."""
    guard: Guard[str] = Guard(RATE)
    guard.offer("model", PROMISE)
    found = []
    for place, (score, alarm) in enumerate(zip(scores, alarms, strict=True)):
        if guard.saw(float(score), bool(alarm)) is not None:
            found.append(place)
            flows, count = guard.realised[1], guard.realised[0]
            guard.settle(max(flows, 1), count, None)
            guard.offer("model", PROMISE)
    return found


def _guarded(
    meshes: Sequence[Sequence[Gateway]], data: str, trials: int
) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(3)
    before = rng.exponential(size=(trials, GUARD_BEFORE))
    usual = rng.random((trials, GUARD_BEFORE)) < RATE
    quiet = sum(len(_breaches(*pair)) for pair in zip(before, usual, strict=True))
    yield _guard(f"alarms stay at {RATE:.0%}", "made up", trials * GUARD_BEFORE, quiet, None)
    for rate in RATES:
        delays = []
        for _ in range(trials):
            alarms = np.concatenate(
                [rng.random(AFTER) < RATE, rng.random(GUARD_AFTER) < rate]
            ).astype(np.float64)
            places = _breaches(rng.exponential(size=len(alarms)), alarms)
            delays.append(_delay(places, AFTER))
        yield _guard(
            f"alarms {RATE:.0%} to {rate:.0%}", "made up", trials * GUARD_AFTER, None,
            float(np.median(delays)),
        )  # fmt: skip
    for calm in (True, False):
        flows = breaches = 0
        for gateway in (each for gateways in meshes for each in gateways):
            limit = np.quantile(gateway.pool.score[gateway.calm], 1 - RATE)
            rows = gateway.pool.score[gateway.calm == calm]
            flows += len(rows)
            breaches += len(_breaches(rows, (rows > limit).astype(np.float64)))
        name = "benign flows in order" if calm else "benign flows while attacks run"
        yield _guard(name, data, flows, breaches, None)


def _guard(
    what: str, data: str, flows: int, breaches: int | None, delay: float | None
) -> dict[str, Any]:
    low, high = PROMISE
    return {
        "guard": what,
        "data": data,
        "promised %": f"{100 * low:.1f} to {100 * high:.1f}",
        "flows": flows,
        "breaches": "-" if breaches is None else breaches,
        "delay": "-" if delay is None else delay,
    }
