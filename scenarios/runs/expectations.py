"""After a run: what was expected, what was found, and whether the one holds for the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from gossip.errors import ExpectationError
from node.config.quantities import format_duration
from scenarios.measures.named import find
from scenarios.runs.results import Result
from scenarios.spec.expect import expectation
from scenarios.spec.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of `[expect]` after a run.

    Args:
        metric: as the scenario names it.
        expected: the bound, as the scenario says it.
        found: the metric's value; NaN where there is none.
        holds: whether the value lies within the bound. NaN never does.
        reason: why there is no value; empty where there is one.
    """

    metric: str
    expected: str
    found: float
    holds: bool
    reason: str = ""

    @property
    def shown(self) -> str:
        """What was found, for a person."""
        return f"nothing: {self.reason}" if isnan(self.found) else f"{self.found:.6g}"


def verdicts(result: Result, scenario: Scenario) -> tuple[Verdict, ...]:
    """What came of each line of `[expect]`, in the order of the file.

    Of a run that was interrupted nothing holds: what it has is not what was asked for, even where
    a number would fit.

    Raises:
        ConfigError: a line names no metric or no bound; `make_plan` refuses such a scenario.
    """
    told = []
    for name, bound in scenario.expect.items():
        expected = expectation(name, bound)
        found = find(result, expected.metric)
        holds, reason = expected.bound.holds(found.value), found.reason
        if not result.complete:
            holds = False
            reason = reason or f"the run was interrupted at {format_duration(result.reached_us)}"
        told.append(Verdict(name, expected.bound.text, found.value, holds, reason))
    return tuple(told)


def verdict_table(told: Sequence[Verdict]) -> Table:
    """Every expectation with what was found."""
    table = Table(title="expectations", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("metric", overflow="fold")
    table.add_column("expected", justify="right", overflow="fold")
    table.add_column("found", justify="right", overflow="fold")
    table.add_column("", no_wrap=True)
    for each in told:
        table.add_row(
            escape(each.metric),
            escape(each.expected),
            escape(each.shown),
            "holds" if each.holds else "FAILS",
        )
    return table


def demand(told: Sequence[Verdict]) -> None:
    """Refuse a result that is not what its scenario expects.

    Raises:
        ExpectationError: an expectation failed; the text names the first.
    """
    failed = [each for each in told if not each.holds]
    if failed:
        first = failed[0]
        why = "" if isnan(first.found) or not first.reason else f" ({first.reason})"
        raise ExpectationError(
            f"{len(failed)} of {len(told)} expectations failed; first: {first.metric} was expected "
            f"to be {first.expected} and is {first.shown}{why}"
        )
