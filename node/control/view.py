"""Incidents for people, in the form of `node.status.view`."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from node.alerts.suppress import Rule
from node.control.documents import (
    ANTIGEN,
    NEIGHBOUR,
    ContributorDocument,
    FeatureDocument,
    IncidentDocument,
)
from node.control.trying import Trial
from node.logs import printable
from node.status.view import Cell, facts_of, share_text, table_of
from node.times import short_time
from node.web.wording import feature

CONTRIBUTORS_SHOWN = 8


def incidents(found: Sequence[IncidentDocument]) -> Text:
    """What `hedgerow incidents` shows; print it with `soft_wrap=True`."""
    going = sum(each.open for each in found)
    title = f"Incidents: {len(found)} known, {going} open"
    if not found:
        return Text(title, style="italic")
    rows: list[tuple[Cell, ...]] = [
        (
            each.key,
            short_time(each.last_seen_ts_s),
            each.source,
            each.family,
            f"{each.flows:,}",
            f"{each.collateral:,}",
            f"{each.score:.3g}",
            _state(each),
            each.verdict or "—",
        )
        for each in found
    ]
    headings = (
        *("key", "last seen", "source", "family", "flows", "collateral", "score"),
        *("state", "verdict"),
    )
    return Text("\n").join(table_of(title, headings, rows))


def incident(one: IncidentDocument) -> Text:
    """What `hedgerow incidents KEY` shows."""
    hosts = ", ".join(one.destinations[:6])
    if len(one.destinations) > 6:
        hosts += f" and {len(one.destinations) - 6} more"
    said = "—"
    if one.verdict:
        said = f"{one.verdict}, by {one.verdict_by or 'nobody named'}"
        said += f": {one.note}" if one.note else ""
    lines = [
        *facts_of(
            f"Incident {one.key}",
            [
                ("looks like", one.family),
                ("source", one.source),
                ("destinations", hosts),
                ("flows", f"{one.flows:,}, and {one.collateral:,} collateral"),
                ("first seen", short_time(one.first_seen_ts_s)),
                ("last seen", short_time(one.last_seen_ts_s)),
                ("score", f"{one.score:.3g}, over a threshold of {one.threshold:.3g}"),
                ("state", _state(one)),
                ("verdict", said),
            ],
        ),
        *_explained(one.explanation),
        *_contributed(one.contributors),
        *table_of(
            "First flows",
            ("began", "from", "to", "proto", "score", "community id"),
            [
                (
                    short_time(each.ts_s),
                    f"{each.source}:{each.source_port}",
                    f"{each.destination}:{each.destination_port}",
                    each.proto,
                    f"{each.score:.3g}",
                    each.community_id,
                )
                for each in one.samples
            ],
        ),
    ]
    return Text("\n").join(lines)


def trials(rules: Sequence[Rule], found: Sequence[Trial], now_s: float) -> Text:
    """What `hedgerow suppress test` shows, at `now_s` seconds since 1970."""
    held = sum(trial.rule > 0 for trial in found)
    lines = [
        *table_of(
            f"Suppress rules: {len(rules)}",
            ("rule", "holds", "incidents", "reason"),
            [
                (
                    str(number),
                    "yes" if rule.holds(now_s) else "expired",
                    str(sum(number in trial.matching for trial in found)),
                    rule.name,
                )
                for number, rule in enumerate(rules, 1)
            ],
        ),
        *table_of(
            f"Incidents: {len(found)}, of which {held} would be held back",
            ("key", "source", "family", "rules", "alerts"),
            [
                (
                    trial.subject.incident,
                    trial.subject.source,
                    trial.subject.family,
                    ", ".join(map(str, trial.matching)) or "—",
                    f"held back by rule {trial.rule}" if trial.rule else "written",
                )
                for trial in found
            ],
        ),
    ]
    return Text("\n").join(lines)


def _state(one: IncidentDocument) -> str:
    state = "open" if one.open else "closed"
    if one.suppressed:
        return f"{state}, held back: {one.suppressed}"
    return state if one.reported else f"{state}, held back by the rate"


def _explained(features: Sequence[FeatureDocument]) -> Iterator[Text]:
    rows: list[tuple[Cell, ...]] = [
        (each.name, *(value_of, usual), words)
        for each, (words, value_of, usual) in ((each, feature(each)) for each in features)
    ]
    if rows:
        headings = ("feature", "value", "usual here", "which is")
        yield from table_of("Unusual in its worst flow", headings, rows)


def _contributed(contributors: Sequence[ContributorDocument]) -> Iterator[Text]:
    words = {NEIGHBOUR: "neighbour's models", ANTIGEN: "antigen", "own": "this gateway"}
    rows: list[tuple[Cell, ...]] = [
        (
            words[each.kind],
            share_text(each.share),
            f"of the rows of {each.family}" if each.family else "of the merged model",
            f"{each.evidence:,}" if each.evidence else "—",
            printable(" ".join(part for part in (each.id, each.origin) if part)),
        )
        for each in contributors[:CONTRIBUTORS_SHOWN]
    ]
    if rows:
        headings = ("whose knowledge", "share", "", "evidence", "who")
        yield from table_of("What it was judged with", headings, rows)
