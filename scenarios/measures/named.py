"""Measures by name: `detection:scan.worst of east at 6 min`.

    NAME[:FAMILY][.mean|.tenth|.worst] [of GROUP] [at TIME]

Measures of single peers have a spread (`Sample.metrics`), of which the mean is meant unless the
name says otherwise, and may be asked of a group. The others are one number of the whole mesh. The
time means the first sample at or after it; without one the last sample is meant.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import isnan, nan
from typing import Protocol

from gossip.errors import ConfigError
from node.config.quantities import format_duration, parse_duration_us
from scenarios.measures.judgement import BAD_IS_HIGH, SHARES
from scenarios.measures.samples import Sample, Spread

STATISTICS = ("mean", "tenth", "worst")
SPREADS = (*SHARES, "alarms_a_day", "bytes_per_peer")
"""Names of measures of single peers."""

BY_FAMILY = ("detection", "named")
"""Those that there are for each family; the second for nothing else."""

SCALARS: dict[str, Callable[[Sample], float]] = {
    "up": lambda sample: sample.up,
    "judged": lambda sample: sample.judged,
    "calibrated": lambda sample: sample.calibrated,
    "parts": lambda sample: sample.parts,
    "consensus": lambda sample: sample.consensus,
    "cycles_per_peer": lambda sample: sample.cycles / max(1, sample.peers),
    "trainings_per_peer": lambda sample: sample.trainings / max(1, sample.peers),
    "frames.delivered": lambda sample: sample.frames["delivered"],
    "frames.dropped": lambda sample: sample.frames["dropped"],
    "frames.unreachable": lambda sample: sample.frames["unreachable"],
    "frames.shed": lambda sample: sample.frames["shed"],
}
"""Measures of the whole mesh; per peer means over all nodes, up or not."""

LOW_IS_GOOD = (
    *BAD_IS_HIGH,
    "consensus",
    "parts",
    "frames.dropped",
    "frames.unreachable",
    "frames.shed",
)
"""Measures that reach a target from above."""

NAMES = (*SPREADS, *SCALARS, "named")

_FORM = re.compile(
    r"(?P<name>[a-z0-9_]+(?:\.(?!(?:mean|tenth|worst)\b)[a-z]+)?)"
    r"(?::(?P<family>\S(?:.*?\S)??))??"
    r"(?:\.(?P<statistic>mean|tenth|worst))?"
    r"(?: +of +(?P<group>\S(?:.*?\S)??))??"
    r"(?: +at +(?P<time>[0-9][0-9.]* ?[A-Za-z]+))?"
)
TEXT_CHARS_MAX = 200


class Samples(Protocol):
    """What holds samples: a `Result`."""

    @property
    def samples(self) -> Sequence[Sample]:
        """In the order of time."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that can be read off a result.

    Args:
        name: one of `NAMES`.
        family: of attacks; empty for all of them.
        statistic: one of `STATISTICS`; empty for a measure of the whole mesh.
        group: of peers; empty for all.
        at_us: the first sample at or after this simulated time; None is the last.
    """

    name: str
    family: str = ""
    statistic: str = ""
    group: str = ""
    at_us: int | None = None

    @property
    def key(self) -> str:
        """What `Sample.metrics` calls it."""
        return f"{self.name}:{self.family}" if self.family else self.name

    def __str__(self) -> str:
        text = f"{self.key}.{self.statistic}" if self.statistic else self.key
        text += f" of {self.group}" if self.group else ""
        return text if self.at_us is None else f"{text} at {format_duration(self.at_us)}"


@dataclass(frozen=True, slots=True)
class Found:
    """The value of a metric; NaN where there is none, with the reason."""

    value: float
    reason: str = ""


def parse(text: str) -> Metric:
    """Read the name of a metric.

    Raises:
        ConfigError: it is none; the message knows a near one.
    """
    match = _FORM.fullmatch(text.strip()) if len(text) <= TEXT_CHARS_MAX else None
    if match is None:
        raise ConfigError(
            f"{text[:60]!r} is no metric; write NAME[:FAMILY][.mean|.tenth|.worst] [of GROUP] "
            f"[at TIME], such as detection.worst of east at 6 min"
        )
    name, family, statistic = match["name"], match["family"] or "", match["statistic"] or ""
    if name not in NAMES:
        raise ConfigError(
            f"{name!r} is no metric{guess(name, NAMES)}; metrics are {', '.join(NAMES)}"
        )
    if family and name not in BY_FAMILY:
        raise ConfigError(f"{name} is not measured by family; {BY_FAMILY[0]}:{family} is")
    if name == "named" and not family:
        raise ConfigError("named is measured by family alone, such as named:scan; or use accuracy")
    if name in SCALARS:
        for given, what in (statistic, f".{statistic}"), (match["group"], f"of {match['group']}"):
            if given:
                raise ConfigError(f"{name} is one number of the whole mesh; leave out {what!r}")
    try:
        at_us = parse_duration_us(match["time"]) if match["time"] else None
    except ValueError as error:
        raise ConfigError(f"{text!r}: {error}") from error
    mean = "" if name in SCALARS else "mean"
    return Metric(name, family, statistic or mean, match["group"] or "", at_us)


def guess(word: str, known: Sequence[str]) -> str:
    """A question for a message: did you mean the nearest?"""
    near = get_close_matches(word, known, n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def value(result: Samples, metric: Metric) -> float:
    """The metric's value; NaN where there is none, see `find`."""
    return find(result, metric).value


def find(result: Samples, metric: Metric) -> Found:
    """The metric's value, or why there is none."""
    later = [each for each in result.samples if metric.at_us is None or each.at_us >= metric.at_us]
    if not later:
        when = "" if metric.at_us is None else f" at or after {format_duration(metric.at_us)}"
        return Found(nan, f"the run has no sample{when}")
    return read(later[-1 if metric.at_us is None else 0], metric)


def read(sample: Sample, metric: Metric) -> Found:
    """The metric's value in one sample, whatever the metric's own time."""
    if metric.name in SCALARS:
        number = float(SCALARS[metric.name](sample))
        return Found(number, "nobody is up" if isnan(number) else "")
    if metric.group and metric.group not in sample.groups:
        return Found(nan, f"nobody of {metric.group} was judged")
    spreads = sample.groups[metric.group] if metric.group else sample.metrics
    found = spreads.get(metric.key)
    if found is not None and found.n:
        return Found(float(getattr(found, metric.statistic)))
    return Found(nan, _why(metric, spreads))


def _why(metric: Metric, spreads: Mapping[str, Spread]) -> str:
    judged = spreads.get("accuracy")
    if judged is None or not judged.n:
        return "nobody was judged"
    if metric.family:
        return f"no judged peer has test rows of {metric.family}"
    if metric.name == "alarms_a_day":
        return "these data do not say how often flows come"
    return "no judged peer has test rows enough"


def names(result: Samples, *, groups: bool = True) -> tuple[Metric, ...]:
    """Every metric that the last sample has a place for, in a fixed order.

    Args:
        result: a result.
        groups: those of named groups, too.
    """
    if not result.samples:
        return ()
    last = result.samples[-1]
    found = [Metric(name) for name in SCALARS]
    owners = {"": last.metrics} | (dict(sorted(last.groups.items())) if groups else {})
    for group, spreads in owners.items():
        for key in spreads:
            name, _, family = key.partition(":")
            found.extend(Metric(name, family, each, group) for each in STATISTICS)
    return tuple(found)


def time_to(result: Samples, metric: Metric, target: float) -> int | None:
    """Simulated microseconds of the first sample that reaches the target; None if none does.

    Reached is at least the target, or at most for what is better low (`LOW_IS_GOOD`).
    """
    reached = _first(result, metric, target)
    return None if reached is None else reached.at_us


def cycles_to(result: Samples, metric: Metric, target: float) -> float | None:
    """Cycles that a peer had begun by then, as a mean over all; see `time_to`."""
    reached = _first(result, metric, target)
    return None if reached is None else reached.cycles / max(1, reached.peers)


def _first(result: Samples, metric: Metric, target: float) -> Sample | None:
    sign = -1.0 if metric.name in LOW_IS_GOOD else 1.0
    for sample in result.samples:
        if sign * read(sample, metric).value >= sign * target:  # never so for NaN
            return sample
    return None


def at_bytes(result: Samples, bytes_per_peer: float) -> Sample | None:
    """The last sample by which a peer had sent at most so many bytes, as a mean over all.

    For comparing methods at equal bytes; None where the first sample is beyond.
    """
    sent = Metric("bytes_per_peer", statistic="mean")
    within = [each for each in result.samples if read(each, sent).value <= bytes_per_peer]
    return within[-1] if within else None


def check(
    metric: Metric,
    *,
    groups: Sequence[str],
    families: Sequence[str] | None,
    duration_us: int,
) -> None:
    """Refuse a metric that a run cannot have.

    Args:
        metric: as parsed.
        groups: names that the run knows.
        families: those of attacks; None where they are not known yet.
        duration_us: simulated time at the run's end.

    Raises:
        ConfigError: its group or family is unknown, or its time lies after the end.
    """
    if metric.group and metric.group not in groups:
        known = ", ".join(groups) or "none"
        raise ConfigError(
            f"{metric.group!r} is no group{guess(metric.group, groups)}; groups here are {known}"
        )
    if metric.at_us is not None and metric.at_us > duration_us:
        raise ConfigError(
            f"{format_duration(metric.at_us)} lies after the end; mesh.duration is "
            f"{format_duration(duration_us)}"
        )
    if metric.family and families is not None and metric.family not in families:
        raise ConfigError(
            f"{metric.family!r} is no family of attacks{guess(metric.family, families)}; "
            f"families here are {', '.join(families)}"
        )


def at(metric: Metric, at_us: int | None) -> Metric:
    """The same metric at another time."""
    return replace(metric, at_us=at_us)
