"""What a run came to, in words and in numbers with their units."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import isnan

from node.config.quantities import format_duration, format_share
from scenarios.measures.samples import Sample, Spread
from scenarios.report.nodes import unit_of
from scenarios.report.parts import table, verdict
from scenarios.runs.expectations import Verdict
from scenarios.runs.results import Result
from scenarios.spec.scenario import Scenario

ENGINES = {
    "world": "in simulated time",
    "lab": "with a real process for each peer",
    "rounds": "in synchronous rounds",
}
NOTHING = "-"


def percent(value: float, digits: int = 1) -> str:
    """A share."""
    return NOTHING if isnan(value) else f"{100.0 * value:.{digits}f} %"


def plain(value: float) -> str:
    """A number between 0 and 1 that is no share."""
    return NOTHING if isnan(value) else f"{value:.3f}"


def amount(size: float) -> str:
    """Bytes."""
    if isnan(size):
        return NOTHING
    name, unit = unit_of(size)
    return f"{size / unit:.3g} {name}"


def counted(number: int, one: str) -> str:
    """`1 part`, `2 parts`."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def summary(result: Result, scenario: Scenario, told: Sequence[Verdict]) -> str:
    """One paragraph: what ran, whether to its end, and the headline numbers."""
    how = ENGINES.get(result.engine, f"by the engine {result.engine}")
    method = "gossip" if result.method == "gossip" else f"the method {result.method}"
    lasting, seed = format_duration(scenario.mesh.duration_us), result.seed
    said = [f"{scenario.mesh.peers:,} peers learned by {method} {how}, for {lasting}, seed {seed}."]
    if not result.complete:
        reached = format_duration(result.reached_us)
        said.append(f"The run was interrupted at {reached}; what follows is what it had come to.")
    if not result.samples:
        return " ".join([*said, "It has no sample, so nothing is known of the models."])
    last = result.samples[-1]
    up = f"{last.up:,} of {last.peers:,} peers were up"
    said.append(f"At {format_duration(last.at_us)}, {up}, in {counted(last.parts, 'part')}.")
    said.append(_worth(last, scenario.learning.alarm_budget))
    sent = last.metrics["bytes_per_peer"]
    said.append(
        f"By then a peer had sent {amount(sent.mean)} in the mean and {amount(sent.worst)} at most."
    )
    if told:
        holding = sum(each.holds for each in told)
        said.append(f"{holding} of {counted(len(told), 'expectation')} hold.")
    return " ".join(said)


def _worth(last: Sample, budget: float) -> str:
    if not last.judged:
        return "Nobody who is judged was up."
    accuracy = percent(last.metrics["accuracy"].mean)
    if not last.calibrated:
        return (
            f"None of the {last.judged:,} judged peers had benign rows enough for a threshold at "
            f"{format_share(budget)} of false alarms, so none raised any alarm. They named "
            f"{accuracy} of their test rows rightly."
        )
    detection, alarms = last.metrics["detection"], last.metrics["false_alarms"]
    some = "" if last.calibrated == last.judged else (
        f" ({last.judged - last.calibrated:,} of them have no threshold, which counts as detecting "
        "nothing)"
    )  # fmt: skip
    return (
        f"The {last.judged:,} judged peers{some}, each with its own model, detected "
        f"{percent(detection.mean)} of attack rows in the mean and {percent(detection.worst)} at "
        f"worst, with {percent(alarms.mean, 2)} of false alarms; the budget was "
        f"{format_share(budget)}."
    )


def _a_day(metrics: Mapping[str, Spread]) -> Iterator[tuple[str, str]]:
    if "alarms_a_day" in metrics:
        mean = metrics["alarms_a_day"].mean
        yield "false alarms a day, mean", NOTHING if isnan(mean) else f"{mean:,.0f}"


def headline(result: Result) -> str:
    """The same numbers large, as HTML."""
    facts = [("run", "complete" if result.complete else "interrupted")]
    if result.samples:
        last = result.samples[-1]
        metrics = last.metrics
        facts += [
            ("detection, mean", percent(metrics["detection"].mean)),
            ("detection, worst peer", percent(metrics["detection"].worst)),
            ("false alarms, mean", percent(metrics["false_alarms"].mean, 2)),
            *_a_day(metrics),
            ("AUC, mean", plain(metrics["auc"].mean)),
            ("sent by a peer", amount(metrics["bytes_per_peer"].mean)),
            ("peers up", f"{last.up:,} of {last.peers:,}"),
            ("parts", f"{last.parts:,}"),
        ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="headline">{cells}</dl>'


def expectations(told: Sequence[Verdict]) -> str:
    """A row for each, as HTML."""
    rows = [
        [
            escape(each.metric),
            escape(each.expected),
            escape(each.shown) + (f" ({escape(each.reason)})" if each.reason
                                  and not isnan(each.found) else ""),
            verdict(each.holds, ("holds", "FAILS")),
        ]
        for each in told
    ]  # fmt: skip
    return table(["metric", "expected", "found", ""], rows, 4)


def final(last: Sample) -> str:
    """Every measure at the end, of the mesh and of each group, as HTML."""
    headings = ["", "judged", "detection: mean", "worst tenth", "worst", "false alarms: mean",
                "worst", "at 1 %: mean", "AUC: mean", "worst", "macro-F1: mean", "accuracy: mean",
                "sent: mean", "most"]  # fmt: skip
    owners = {"all peers": last.metrics} | {
        escape(name): spreads for name, spreads in sorted(last.groups.items())
    }
    return table(headings, [_final(name, spreads) for name, spreads in owners.items()], 1)


def _final(name: str, metrics: Mapping[str, Spread]) -> list[str]:
    detection, alarms, auc = metrics["detection"], metrics["false_alarms"], metrics["auc"]
    sent = metrics["bytes_per_peer"]
    return [
        name,
        f"{metrics['accuracy'].n:,}",
        *(percent(value) for value in (detection.mean, detection.tenth, detection.worst)),
        *(percent(value, 2) for value in (alarms.mean, alarms.worst)),
        percent(metrics["detection_1"].mean),
        *(plain(value) for value in (auc.mean, auc.worst, metrics["macro_f1"].mean)),
        percent(metrics["accuracy"].mean),
        *(amount(value) for value in (sent.mean, sent.worst)),
    ]


def shares(counts: Mapping[str, int], names: tuple[str, str]) -> str:
    """Counts with their share of all, as HTML."""
    whole = max(1, sum(counts.values()))
    rows = [
        [escape(name), f"{count:,}", f"{100.0 * count / whole:.1f} %"]
        for name, count in counts.items()
    ]
    return table([*names, "share"], rows, 1)
